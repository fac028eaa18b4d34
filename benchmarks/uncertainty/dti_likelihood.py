"""Negative log-likelihood of the truth, nats per voxel: the radial spline against two Gaussians, trained alike.

Heads of one network, with and without the spline, with a full covariance and an isotropic one, are fitted to the same
features with the same draws of voxels, three seeds each. The features are those of other patches than the shipped
head's; slices 28 to 43 are left out.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import torch

from benchmarks.harness import Target
from benchmarks.uncertainty.dti_cells import Cell, cell_a, cell_b, cell_s, denoiser
from mvnet.data_loaders.dti.training.fields import scan_field, simulated_fields
from mvnet.data_loaders.dti.training.referenced import ReferencedSet
from mvnet.models.dti.posterior.loss import Voxels, VoxelSet, posterior_loss, voxel_features
from mvnet.models.dti.posterior.network import DTIPosterior
from mvnet.training import Run, Schedule, batches_of

if TYPE_CHECKING:
    from benchmarks.uncertainty.__main__ import Setup

LAWS = {
    "isotropic Gaussian": {"covariance": "isotropic", "tails": False},
    "full Gaussian": {"covariance": "full", "tails": False},
    "radial": {"covariance": "full", "tails": True},
}
_SEEDS = (0, 1, 2)
_GAIN = 0.05


def measure(setup: Setup) -> tuple[list[dict], list[Target]]:
    cells = [cell_a(setup.root, setup.model, 15, setup.quick), cell_s(setup.model, 20, setup.quick)]
    cells += [cell_b(setup.root, setup.model, n, setup.quick) for n in (12, 30)]
    voxels = features(setup)
    rows = []
    for name, config in LAWS.items():
        for seed in _SEEDS[: 1 if setup.quick else 3]:
            head = fit(voxels, config, seed, 200 if setup.quick else 1500, setup.model)
            rows.append(
                {"law": name, "seed": seed, **{cell.name: likelihood(cell, head, setup.model) for cell in cells}}
            )
            print(rows[-1], file=sys.stderr, flush=True)
    return rows, targets(rows, [cell.name for cell in cells])


def features(setup: Setup) -> Voxels:
    folder = setup.root / "dti" / "invivo_sherbrooke_1p8mm"
    dwi, bval, bvec = (folder / name for name in ("dwi.nii.gz", "dwi.bval", "dwi.bvec"))
    field = scan_field(dwi, bval, bvec, None, slice(28, 44))
    clean = [(0.5 / 8, brain) for brain in simulated_fields(2 if setup.quick else 8, seed=100)]
    count = 16 if setup.quick else 128
    patches = ReferencedSet([*clean, (0.38, field)], [(0.12, field)], [], count, 16, seed=100)
    return voxel_features(denoiser(setup.model), patches)


def fit(voxels: Voxels, config: dict, seed: int, steps: int, model: str) -> DTIPosterior:
    trained = denoiser(model).config
    random = torch.Generator().manual_seed(seed)
    head = DTIPosterior(trained["fields"], group=trained["group"], generator=random, **config)
    schedule = Schedule(steps=steps, batch=4, rate=3.6e-3, warm_up=50, workers=0, seed=seed)
    run = Run(None, head, schedule)
    data = VoxelSet(voxels, steps * schedule.batch, seed=seed)
    for _ in run.steps(lambda head, batch: posterior_loss(head, *batch), batches_of(data, schedule, 0)):  # type: ignore[arg-type]
        pass
    found = run.finish()
    assert isinstance(found, DTIPosterior)
    return found


def likelihood(cell: Cell, head: DTIPosterior, model: str) -> float:
    posterior = cell.posterior(model, head)
    with torch.no_grad():
        return -float(posterior.head.log_density(posterior.law, cell.logs(posterior)).mean())


def targets(rows: list[dict], cases: list[str]) -> list[Target]:
    found = []
    for case in cases:
        mean = {law: sum(r[case] for r in rows if r["law"] == law) / sum(r["law"] == law for r in rows) for law in LAWS}
        gain = min(mean["isotropic Gaussian"], mean["full Gaussian"]) - mean["radial"]
        least = 0.0 if case.startswith("B") else _GAIN
        found.append(Target(f"{case}: nats below the better Gaussian", gain, f">= {least:g}", gain >= least))
    return found
