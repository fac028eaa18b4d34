"""How much each network amplifies a change of its input, attacked: `python -m benchmarks.dti.amplification [--quick]`.

Data: 10x10x3 voxels in the middle of the Sherbrooke slab of protocol A at SNR 15 and 8, with the maps that the
command line has, in float64. The change is measured on log-tensors, in the input and in the output: the largest
singular value of the Jacobian that power iteration finds, beside the largest of 200 random directions, which show
nothing.
The certified network may not exceed 1; nothing is claimed about the other one.

usage: python -m benchmarks.dti.amplification [--quick] [--json FILE|-]
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.dti.accuracy import CERTIFIED, OURS, load, simulated
from benchmarks.dti.ours import certified, shipped_or
from benchmarks.harness import Benchmark, Target
from mvnet.apps.demo import peers as compare
from mvnet.data_loaders.dti import DTIVolume, load_dwi
from mvnet.linalg import sym3
from mvnet.models.amplification import derivative, lengths, strongest_direction
from mvnet.models.dti.certified.inference import side_information

SNRS = (15, 8)
_RANDOM = 200


def noisy_volume(root: Path, snr: float) -> DTIVolume:
    """Slices 34 to 36 of the scan with simulated noise, fitted."""
    from nibabel.nifti1 import Nifti1Image

    scan = load(root, slice(34, 37))
    truth = compare.fit(scan.dwi, scan.bvals, scan.bvecs, scan.mask)
    noisy, _ = simulated(scan, truth, snr)
    image = Nifti1Image(noisy.dwi.astype(np.float32), np.diag([*noisy.spacing, 1.0]))
    return load_dwi(image, noisy.bvals, noisy.bvecs, mask=noisy.mask, bvec_frame="voxel")


def maps_of(volume: DTIVolume) -> tuple[Tensor, Tensor, dict[str, Callable[[Tensor], Tensor]]]:
    """Log-tensors and mask of the patch, and both networks as maps of log-tensors."""
    middle = [slice(n // 2 - 5, n // 2 + 5) for n in volume.mask.shape[:2]]
    features = side_information(volume)[None][:, :, *middle].double()
    logs = sym3.log(volume.tensors[None][:, :, *middle].double())
    inside = features[:, :1]
    network, proof = shipped_or(None).double(), certified().double()
    return (
        logs,
        inside,
        {
            OURS: lambda x: sym3.log(network(sym3.exp(x), features.expand(len(x), -1, -1, -1, -1)).tensors) * inside,
            CERTIFIED: lambda x: proof.filter_logs(x, features) * inside,
        },
    )


def measure(root: Path, quick: bool) -> tuple[list[dict], list[Target]]:
    """Rows and targets."""
    rows, targets = [], []
    for snr in SNRS[-1:] if quick else SNRS:
        logs, inside, maps = maps_of(noisy_volume(root, snr))
        for name, f in maps.items():
            generator = torch.Generator().manual_seed(0)
            with torch.no_grad():
                attacked = strongest_direction(f, logs, inside, 8 if quick else 40, generator)
                drawn = torch.randn((_RANDOM, *logs.shape[1:]), generator=generator, dtype=torch.float64) * inside
                ratios = [
                    float(lengths(derivative(f, logs, v)).max())
                    for v in (attacked, *(drawn / lengths(drawn)).split(1)[: 10 if quick else _RANDOM])
                ]
            rows.append({"SNR": snr, "method": name, "attacked": ratios[0], "random": max(ratios[1:])})
        worst = max(rows[-1]["attacked"], rows[-1]["random"])
        limit = 1 + 1e-9
        targets.append(
            Target(f"SNR {snr}: largest ratio of the certified network", worst, f"<= {limit}", worst <= limit)
        )
    return rows, targets


def main() -> None:
    benchmark = Benchmark("dti.amplification", __doc__)
    if "MVNET_DATA" not in os.environ:
        sys.exit("MVNET_DATA: not set, expected the folder that holds dti/invivo_sherbrooke_1p8mm")
    benchmark.report(*measure(Path(os.environ["MVNET_DATA"]), benchmark.quick))


if __name__ == "__main__":
    main()
