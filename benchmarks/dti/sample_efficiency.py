"""What equivariance is worth: `python -m benchmarks.dti.sample_efficiency [--runs DIR] [--steps N] [--json FILE|-]`.

DTI denoisers of as many channels: one that commutes with the symmetries of the cube, an ordinary one on the same data,
and an ordinary one that learns the symmetries from rotated patches, 48 times as many examples. They are trained by the
same command for the same steps, on all of the training data and on a tenth of it, each at its own learning rate; then
all denoise the slices no training saw (the cases of `benchmarks.dti`). Paper section 5.3.1.
Six trainings of 15 to 20 minutes on one core. A folder given by --runs keeps them: finished ones are used again, others
go on.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.dti import accuracy as dti
from benchmarks.harness import Benchmark, Target
from mvnet.apps.demo import peers as compare
from mvnet.models import DTIDenoiser, load_checkpoint

TRAININGS = {  # network, peak learning rate, patches
    "equivariant": ("equivariant", 1.2e-3, "--augment"),
    "ordinary": ("ordinary", 1.5e-3, "--no-augment"),
    "ordinary, turned patches": ("ordinary", 1.5e-3, "--augment"),
}
OURS, *OTHERS = TRAININGS
SHARES = (0.1, 1.0)


def trained(folder: Path, training: str, share: float, steps: int, simulated: int) -> DTIDenoiser:
    """The network of a finished run in `folder`, which is started or continued when needed."""
    network, rate, patches = TRAININGS[training]
    scan = Path(os.environ["MVNET_DATA"]) / "dti" / "invivo_sherbrooke_1p8mm"
    if not (folder / "dti.safetensors").is_file():
        options = {
            "--output": folder,
            "--dwi": scan / "dwi.nii.gz",
            "--bval": scan / "dwi.bval",
            "--bvec": scan / "dwi.bvec",
            "--exclude": "28:44",
            "--network": network,
            "--share": share,
            "--steps": steps,
            "--rate": rate,
            "--simulated": simulated,
            "--threads": 1,
        }
        words = [str(word) for pair in options.items() for word in pair] + [patches, "--quiet"]
        subprocess.run([sys.executable, "-m", "mvnet.apps.main", "train", "dti", *words], check=True)
    model, _ = load_checkpoint(folder / "dti")
    assert isinstance(model, DTIDenoiser)
    return model


def scores(model: DTIDenoiser, scan: dti.Scan, truth: np.ndarray, snrs: tuple[int, ...], counts: tuple[int, ...]):
    """Yields (case, scores) of protocol A for every SNR and of protocol B for every number of directions."""
    for snr in snrs:
        noisy, _ = dti.simulated(scan, truth, snr)
        yield f"A SNR {snr}", compare.scores(dti.ours(model, noisy), truth)
    for count in counts:
        given, others = dti.directions_left_out(scan, count)
        reference = compare.fit(others.dwi, others.bvals, others.bvecs, others.mask)
        yield f"B {count} directions", compare.scores(dti.ours(model, given), reference)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", metavar="DIR", help="folder that keeps the trainings")
    parser.add_argument("--steps", type=int, default=2000, help="of every training")


def main() -> None:
    benchmark = Benchmark("sample_efficiency", __doc__, add_options=options)
    if "MVNET_DATA" not in os.environ:
        sys.exit("MVNET_DATA: not set, expected the folder that holds dti/invivo_sherbrooke_1p8mm")
    steps, simulated = (3, 2) if benchmark.quick else (benchmark.options.steps, 16)
    cases = ((15,), (12,)) if benchmark.quick else ((30, 15, 8), (6, 12, 30))
    scan = dti.load(Path(os.environ["MVNET_DATA"]), slice(34, 37) if benchmark.quick else slice(30, 42))
    truth = compare.fit(scan.dwi, scan.bvals, scan.bvecs, scan.mask)
    rows, targets = [], []
    gains: dict[str, list[float]] = {other: [] for other in OTHERS}
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(benchmark.options.runs or temporary)
        for share in SHARES:
            errors: dict[str, dict[str, float]] = {}
            for name in TRAININGS:
                folder = root / f"{name.replace(', ', '-').replace(' ', '-')}-{share:g}-{steps}"
                model = trained(folder, name, share, steps, simulated)
                parameters = sum(p.numel() for p in model.parameters())
                errors[name] = {}
                for case, score in scores(model, scan, truth, *cases):
                    rows.append({"share": share, "network": name, "parameters": parameters, "case": case, **score})
                    errors[name][case] = score["ai_rmse" if case.startswith("A") else "dev_rmse"]
            for other in OTHERS:
                ratios = {case: error / errors[other][case] for case, error in errors[OURS].items()}
                targets += [
                    Target(f"share {share:g}, {case}: error over that of {other}", ratio, "< 1", ratio < 1)
                    for case, ratio in ratios.items()
                ]
                gains[other].append(float(np.mean(list(ratios.values()))))
    for other, (tenth, whole) in gains.items():
        targets.append(Target(f"mean ratio to {other}, a tenth over all data", tenth / whole, "< 1", tenth < whole))
    benchmark.report(rows, targets)


if __name__ == "__main__":
    main()
