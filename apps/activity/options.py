"""Options that say which classifier of motions is fitted, and all that can be wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mvnet.apps.common.errors import UserError
from mvnet.apps.common.training_options import optimizer_options

if TYPE_CHECKING:
    from mvnet.data_loaders.motion import MotionSet

NETWORKS = ("kernels", "lie", "auto")
FRAMES = ("facing", "torso")
"""In which the network sees a body: turned about the vertical only, or with the trunk."""

MIRROR = {"auto": "auto", "yes": True, "no": False}
"""Word of the command line -> argument of `MotionClassifier`."""


@dataclass(frozen=True)
class ModelOptions:
    """Options of the command line that say what is fitted; None where not given.

    network: "kernels", the ridge regression on kernels, "lie", `BodyMotionNetwork`, or "auto", whichever of these and
    of both together is best on inner folds. mirror belongs to the first; epochs, optimizer, optimizer_options, rate,
    device, resume and frame to the second; all but resume to the third.
    """

    network: str = "kernels"
    mirror: str | None = None
    seed: int = 0
    epochs: int | None = None
    optimizer: str | None = None
    optimizer_options: str | None = None
    rate: float | None = None
    device: str | None = None
    resume: bool = False
    frame: str | None = None

    def check(self) -> None:
        """UserError: an unknown word, or an option of the other kind."""
        if self.network not in NETWORKS:
            raise UserError(f"--network: found {self.network!r}, expected one of {', '.join(NETWORKS)}")
        if (self.mirror or "auto") not in MIRROR:
            raise UserError(f"--mirror: found {self.mirror!r}, expected one of {', '.join(MIRROR)}")
        if self.network != "kernels":
            self._check_lie()
            return
        given = {
            "--epochs": self.epochs,
            "--optimizer": self.optimizer,
            "--optimizer-options": self.optimizer_options,
            "--learning-rate": self.rate,
            "--device": self.device,
            "--frame": self.frame,
        }
        names = [name for name, value in given.items() if value is not None] + ["--resume"] * self.resume
        if names:
            raise UserError(f"{', '.join(names)}: found --network {self.network}, expected --network lie")

    def _check_lie(self) -> None:
        if self.mirror is not None and self.network == "lie":
            raise UserError("--mirror: found --network lie, expected --network kernels")
        if self.resume and self.network == "auto":
            raise UserError("--resume: found --network auto, expected --network lie")
        if (self.frame or FRAMES[0]) not in FRAMES:
            raise UserError(f"--frame: found {self.frame!r}, expected one of {', '.join(FRAMES)}")
        self.descent()

    def descent(self) -> dict[str, Any]:
        """The options of a schedule that say how it descends. MvnetError: unknown ones."""
        return optimizer_options("activity", self.optimizer, self.optimizer_options, self.rate)

    def check_data(self, motions: MotionSet) -> None:
        """UserError: motions that the network cannot take."""
        reason = self.obstacle(motions) if self.network == "lie" else ""
        if reason:
            raise UserError(
                f"--network lie: found motions that it cannot take ({reason}), expected --network kernels for these"
            )

    def obstacle(self, motions: MotionSet) -> str:
        """Why the network cannot take motions; "" where it can."""
        from mvnet.data_loaders.errors import DataError
        from mvnet.models.activity.rotation_curves import check_rotations

        try:
            check_rotations(motions)
        except DataError as error:
            return str(error)
        return ""

    @property
    def place(self) -> str:
        """The device, in words. MvnetError: it cannot be used."""
        if self.network == "kernels":
            return "cpu"
        from mvnet.runtime import find_device

        return str(find_device(self.device or "auto"))
