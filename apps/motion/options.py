"""Options of `mvnet denoise motion`, and all that can be wrong with them before a file is opened."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mvnet.apps.common.errors import UserError


@dataclass(frozen=True)
class MotionOptions:
    """Options of `mvnet denoise motion`; see its --help.

    strength: 0 keeps the input with its gaps filled, 1 is the network's output, between them lies the geodesic.
    trust_region: quantile of the noise beyond which no value is moved that is no outlier, in (0, 1]; 1 is no bound.
    model: checkpoint; None is the shipped one.
    """

    input: Path
    output: Path
    strength: float = 1.0
    trust_region: float = 1.0
    device: str = "auto"
    model: Path | None = None
    overwrite: bool = False
    report: bool = False

    def to_json(self) -> dict[str, Any]:
        """For the summary, paths as text."""
        return {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()}


def check(options: MotionOptions) -> None:
    """UserError for options that cannot work together; reads no file."""
    check_numbers(options)
    if not options.input.is_file():
        found = "a folder at" if options.input.is_dir() else "no file"
        raise UserError(f"input: found {found} {options.input}, expected one recording: BVH, C3D, TRC or .npz")
    if options.output.suffix.lower() != options.input.suffix.lower():
        raise UserError(
            f"output: found {options.output.name}, expected a name that ends in {options.input.suffix}, as the input"
        )


def check_numbers(options: MotionOptions) -> None:
    """UserError for numbers out of their range."""
    if not (math.isfinite(options.strength) and 0 <= options.strength <= 1):
        raise UserError(f"--strength: found {options.strength}, expected a number in [0, 1]")
    if not (math.isfinite(options.trust_region) and 0 < options.trust_region <= 1):
        raise UserError(f"--trust-region: found {options.trust_region}, expected a quantile in (0, 1]")
