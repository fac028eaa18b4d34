"""Options of `mvnet denoise dti`, and all that can be wrong with them before a file is opened."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mvnet.apps.common.errors import UserError
from mvnet.apps.common.training_options import optimizer_options
from mvnet.data_loaders.dti.fit_options import FitOptions
from mvnet.data_loaders.dti.layouts import FRAMES, LAYOUTS, UNITS

_FSL_SCAN, _FSL_MASK = "data.nii", "nodif_brain_mask.nii.gz"

ADAPTATION = ("optimizer", "optimizer_options", "rate", "memory")
"""Options that belong to --adapt."""

POSTERIOR = ("uncertainty", "samples", "seed")
"""Options of the posterior."""

MODELS = {"dti": "DTIDenoiser", "certified": "CertifiedDenoiser"}
"""Shipped weights that --model names, and their architecture."""

_TRUST_REGION = 0.99


@dataclass(frozen=True)
class Options:
    """Options of `mvnet denoise dti`; see its --help.

    input: DWI (with bval and bvec) or tensor image.  output: folder.
    order, unit: of a tensor image, None deduces them.
    frame: axes of the b-vectors or of the components, None follows the loader.
    fit: which volumes of a DWI are fitted, and how.
    trust_region: quantile of a measurement's own noise beyond which no voxel is moved, in (0, 1]; 1 is no bound.
    strength: 0 keeps the input, 1 is the network's output, between them lies the affine-invariant geodesic.
    adapt: fine-tune first; optimizer, optimizer_options ("k=v,..."), rate and memory belong to it, None where absent.
    device: "auto", "cpu", "cuda", ...
    model: one of `MODELS`, or a checkpoint; None is "dti".  checkpoint: weights instead of the shipped ones.
    own_gradients: the input is a DWI with gradients in its own header.
    maps: names of the maps to write, None the usual ones.  dwi_output: whether the denoised DWI is written.
    uncertainty: whether deviations, intervals and cones are written.  samples: number of posterior fields to write.
    seed: of both, None is 0.
    dataset: root of the BIDS data set that the input is part of; the output folder then lies in a derivative of it.
    """

    input: Path
    output: Path
    bval: Path | None = None
    bvec: Path | None = None
    mask: Path | None = None
    order: str | None = None
    unit: str | None = None
    frame: str | None = None
    fit: FitOptions = field(default_factory=FitOptions)
    trust_region: float = _TRUST_REGION
    strength: float = 1.0
    device: str = "auto"
    adapt: bool = False
    optimizer: str | None = None
    optimizer_options: str | None = None
    rate: float | None = None
    memory: str | None = None
    overwrite: bool = False
    report: bool = True
    model: str | None = None
    checkpoint: Path | None = None
    own_gradients: bool = False
    maps: tuple[str, ...] | None = None
    dwi_output: bool = False
    dataset: Path | None = None
    uncertainty: bool = False
    samples: int | None = None
    seed: int | None = None

    @property
    def has_posterior(self) -> bool:
        """Whether anything of the posterior is written."""
        return self.uncertainty or self.samples is not None

    @property
    def is_dwi(self) -> bool:
        """Whether the input is a DWI: its gradients are known."""
        return self.bval is not None or self.own_gradients

    @property
    def weights(self) -> tuple[str, Path | None]:
        """Shipped weights, and the checkpoint that takes their place."""
        if self.model is None or self.model in MODELS:
            return self.model or "dti", self.checkpoint
        return "dti", Path(self.model)

    @property
    def certified(self) -> bool:
        """Whether the network is the one that cannot amplify."""
        name, path = self.weights
        return _architecture(name, path) == MODELS["certified"]

    def descent(self) -> dict[str, Any]:
        """The options of a schedule that say how it descends. MvnetError: unknown ones."""
        return optimizer_options("adapt", self.optimizer, self.optimizer_options, self.rate)

    def record(self) -> dict[str, Any]:
        """What the sidecars say: every option, those of --adapt where they were given."""
        hidden = {"own_gradients"}  # follows from the input
        optional = (*ADAPTATION, "model", *POSTERIOR)
        unset = (None, False)
        return {k: v for k, v in asdict(self).items() if k not in hidden and not (v in unset and k in optional)}


def only_input(inputs: list[str] | None) -> Path:
    """The one image that is named. UserError: none, or several."""
    if not inputs:
        raise UserError("input: found none, expected a DWI or tensor image, or --bids with a data set")
    if len(inputs) > 1:
        raise UserError(f"input: found {len(inputs)} ({', '.join(inputs)}), expected one, or --bids with a data set")
    return Path(inputs[0])


def find_gradient_files(options: Options) -> tuple[Options, list[str]]:
    """The options with the files that lie beside the input, where none was given: gradients, FSL's mask; and messages.

    Files of other formats may have gradients of their own.
    """
    source = options.input
    if options.bval or options.bvec or not source.is_file():
        return options, []
    from mvnet.data_loaders.dti.formats import gradient_files
    from mvnet.data_loaders.dti.formats.contents import contents_of
    from mvnet.data_loaders.dti.formats.registry import suffix_of
    from mvnet.data_loaders.dti.nifti import open_image

    messages = []
    beside = gradient_files.find_gradient_files(source)
    if beside is not None:
        options = replace(options, bval=beside[0], bvec=beside[1])
        names = " and ".join(os.path.relpath(path, source.parent) for path in beside)
        messages.append(f"using {names} beside {source.name}: the input is a DWI")
    elif suffix_of(source) is not None:
        options = replace(options, own_gradients=contents_of(open_image(source, kinds="iufbc")).is_dwi)
    mask = source.with_name(_FSL_MASK)
    if options.mask is None and options.is_dwi and source.name.startswith(_FSL_SCAN) and mask.is_file():
        options = replace(options, mask=mask)
        messages.append(f"using {_FSL_MASK} beside {source.name} as mask")
    return options, messages


def parse_shells(text: str | None) -> tuple[float, ...] | None:
    """b-values "1000,2000" in s/mm^2. UserError: no positive numbers."""
    if text is None:
        return None
    try:
        shells = tuple(float(word) for word in text.replace(",", " ").split())
    except ValueError:
        shells = ()
    if not shells or not all(math.isfinite(b) and b > 0 for b in shells):
        raise UserError(f"--shells: found {text!r}, expected b-values in s/mm^2 such as 1000 or 1000,2000")
    return shells


def parse_volumes(text: str | None) -> tuple[int, ...]:
    """Numbers of volumes "0,5,60:64", the first is 0 and a range excludes its end. UserError: no such numbers."""
    chosen: list[int] = []
    for word in (text or "").replace(",", " ").split():
        start, colon, stop = word.partition(":")
        if not start.isdecimal() or (colon and not stop.isdecimal()):
            raise UserError(f"--skip-volumes: found {word!r}, expected numbers of volumes such as 0,5,60:64")
        chosen += range(int(start), int(stop)) if colon else [int(start)]
    return tuple(sorted(set(chosen)))


def parse_noise(text: str | None) -> float | Path | None:
    """A number in image units, or a file. UserError: a number that is not positive, or no such file."""
    if text is None:
        return None
    try:
        level = float(text)
    except ValueError:
        if not Path(text).is_file():
            raise UserError(f"--noise: found no file {text}, expected a number or a noise map") from None
        return Path(text)
    if not (math.isfinite(level) and level > 0):
        raise UserError(f"--noise: found {text}, expected a positive number in image units, or a noise map")
    return level


def _architecture(name: str, path: Path | None) -> str:
    """Of shipped weights, or of the checkpoint in their place; nothing heavy is imported for the usual ones."""
    if path is None:
        return MODELS[name]
    from mvnet.models.checkpoint import architecture_of

    return architecture_of(path)


def check_model(options: Options) -> None:
    """UserError for a checkpoint of another kind than --model, and for what the certified network does not do."""
    name, path = options.weights
    if options.model is not None and options.checkpoint is not None:
        if options.model not in MODELS:
            raise UserError(f"--model: found {options.model} and --checkpoint, expected one of them")
        found = _architecture(name, path)
        if found and found != MODELS[name]:
            raise UserError(f"--checkpoint: found a {found}, expected a {MODELS[name]} for --model {name}")
    found = _architecture(name, path)
    if found and found not in MODELS.values():
        raise UserError(f"--model: found a {found} in {path}, expected one of {', '.join(MODELS.values())}")
    if not options.certified:
        return
    if options.adapt:
        raise UserError("--adapt: found the certified network, expected another: its card is about the shipped weights")
    if options.trust_region != _TRUST_REGION:
        raise UserError(
            "--trust-region: found the certified network, expected none: a region would void the certificate"
        )


def check_fit(options: Options) -> None:
    """UserError for options of a fit that cannot work together, or that a tensor image has no use for."""
    fit = options.fit
    if not options.is_dwi and fit != FitOptions():
        raise UserError("options of the fit: found a tensor image as input, expected a DWI with --bval and --bvec")
    chosen = [
        name
        for name, given in (
            ("--shells", fit.shells is not None),
            ("--bmax", fit.bmax is not None),
            ("--all-shells", fit.all_shells),
        )
        if given
    ]
    if len(chosen) > 1:
        raise UserError(f"{', '.join(chosen)}: found {len(chosen)} choices of shells, expected one")
    if fit.bmax is not None and not fit.bmax > fit.b0_threshold:
        raise UserError(f"--bmax: found {fit.bmax:g}, expected a b-value above that of the b0, {fit.b0_threshold:g}")
    if not (math.isfinite(fit.b0_threshold) and fit.b0_threshold > 0):
        raise UserError(f"--b0-threshold: found {fit.b0_threshold:g}, expected a positive b-value in s/mm^2")


def check(options: Options) -> None:
    """UserError for options that cannot work together; reads no file."""
    if (options.bval is None) != (options.bvec is None):
        given, missing = ("--bval", "--bvec") if options.bval else ("--bvec", "--bval")
        raise UserError(f"{given}: found no {missing} with it, expected both for a DWI")
    choices = {"order": tuple(LAYOUTS), "unit": tuple(UNITS), "bvec-frame": FRAMES}
    values = {"order": options.order, "unit": options.unit, "bvec-frame": options.frame}
    for name, value in values.items():
        if value is not None and value not in choices[name]:
            raise UserError(f"--{name}: found {value!r}, expected one of {', '.join(choices[name])}")
    if not (math.isfinite(options.strength) and 0 <= options.strength <= 1):
        raise UserError(f"--strength: found {options.strength}, expected a number in [0, 1]")
    if not (math.isfinite(options.trust_region) and 0 < options.trust_region <= 1):
        raise UserError(f"--trust-region: found {options.trust_region}, expected a quantile in (0, 1]")
    check_fit(options)
    if options.is_dwi and (options.order or options.unit):
        raise UserError("--order, --unit: found a DWI as input (bval and bvec in use), expected a tensor image")
    check_model(options)
    if options.adapt and not options.is_dwi:
        raise UserError("--adapt: found a tensor image as input, expected a DWI with --bval and --bvec")
    if options.dwi_output and not options.is_dwi:
        raise UserError("--dwi-output: found a tensor image as input, expected a DWI with --bval and --bvec")
    given = [name for name in ADAPTATION if getattr(options, name) is not None]
    if given and not options.adapt:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UserError(f"{names}: found no --adapt with it, expected it only there")
    options.descent()
    for name, path in (
        ("input", options.input),
        ("bval", options.bval),
        ("bvec", options.bvec),
        ("mask", options.mask),
    ):
        if path is not None and not path.is_file():
            raise UserError(f"{name}: found {'a folder at' if path.is_dir() else 'no'} {path}, expected a file")
