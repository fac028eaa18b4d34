"""Optimisers of kernels: exactness on equivariant layers, Muon against torch's, their share of a training step."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.harness import Target
from mvnet.models.dti.network import DTIDenoiser
from mvnet.models.insar.network import InSARDenoiser
from mvnet.optim.matrices import FEWEST
from mvnet.optim.registry import build
from mvnet.optim.roles import matrix_views
from mvnet.optim.spectral import Muon, newton_schulz

LAYERS, SHAPE = 14, (64, 576)
SHIPPED = {"dti": (DTIDenoiser, (4, 16)), "insar": (InSARDenoiser, (8, 64))}
"""Network -> (itself, the batch that its shipped weights are trained with: examples and side)."""
SHARES = {"muon": 0.10, "soap": 0.15}
_COEFFICIENTS = (3.4445, -4.775, 2.0315)


def measure(quick: bool) -> tuple[list[dict], list[Target]]:
    """Rows and targets of the optimisers of kernels."""
    targets = [*_exactness(), *_against_torch(5 if quick else 40)]
    rows, shares = _shares(2 if quick else 5, 3 if quick else 20)
    return rows, [*targets, *shares]


def milliseconds(call: Callable[[], object], repeats: int) -> float:
    """Median time of a call."""
    call()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return 1e3 * sorted(times)[len(times) // 2]


def _exactness() -> list[Target]:
    """Lift and projection are inverse; the polar factor of a lifted gradient is that of a layer's own weights."""
    inverse = leaves = 0.0
    generator = torch.Generator().manual_seed(0)
    for network, _ in SHIPPED.values():
        views = {view.key: view for p, view in matrix_views(network()).items() if p.numel() >= FEWEST}
        for view in views.values():
            weights = view.project(torch.randn(view.shape, generator=generator))
            inverse = max(inverse, float((view.project(view.expand(weights)) - weights).abs().max()))
            polar = newton_schulz(view.lift(weights).flatten(-2)).view(view.shape)
            leaves = max(leaves, float((view.expand(view.project(polar)) - polar).norm() / polar.norm()))
    return [
        Target("lift and projection are inverse, float32", inverse, "<= 1e-5", inverse <= 1e-5),
        Target("Muon's step outside the equivariant kernels, float32", leaves, "<= 1e-5", leaves <= 1e-5),
    ]


def _iteration(g: Tensor) -> Tensor:
    """Newton-Schulz as it is published."""
    a, b, c = _COEFFICIENTS
    x = g / g.norm()
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


def _against_torch(repeats: int) -> list[Target]:
    ours, theirs = (nn.ModuleList(nn.Linear(SHAPE[1], SHAPE[0], bias=False) for _ in range(LAYERS)) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    before = [p.detach().clone() for p in ours.parameters()]
    for p, q in zip(ours.parameters(), theirs.parameters()):
        p.grad = torch.randn_like(p)
        q.grad = p.grad.clone()
    rate = 0.1
    muon = Muon(ours.parameters(), rate, views=matrix_views(ours))
    peer = torch.optim.Muon(theirs.parameters(), lr=rate, weight_decay=0.0)
    muon.step()
    peer.step()
    written = torch.stack([_iteration(p.grad) for p in ours.parameters() if p.grad is not None])
    step = torch.stack([(b - p.detach()) for b, p in zip(before, ours.parameters())]) / (rate * max(SHAPE) ** 0.5)
    other = torch.stack([(b - p.detach()) for b, p in zip(before, theirs.parameters())])
    error = float((step - written).abs().max())
    off = float((step / step.norm() - other / other.norm()).norm())
    times = [milliseconds(optimizer.step, repeats) for _ in range(3) for optimizer in (muon, peer)]
    ratio = min(times[0::2]) / min(times[1::2])
    return [
        Target("Muon's update from the float32 iteration written out", error, "<= 1e-5", error <= 1e-5),
        Target("Muon's update from torch's, which iterates in bfloat16", off, "<= 0.03", off <= 0.03),
        Target("Muon's step, 14 layers of 64 x 576, over torch.optim.Muon's", ratio, "<= 0.6", ratio <= 0.6),
    ]


def _shares(passes: int, steps: int) -> tuple[list[dict], list[Target]]:
    """Time of the optimiser over that of a whole training step at the batch of the shipped weights."""
    rows, targets = [], []
    for name, (network, batch) in SHIPPED.items():
        model = network()
        gradients = _pass_ms(name, model, batch, passes)
        for optimizer in ("adamw", *SHARES):
            ms = milliseconds(build(optimizer, model, 1e-6).step, steps)
            share = ms / (gradients + ms)
            rows.append({"network": name, "gradient ms": gradients, "optimizer": optimizer, "ms": ms, "share": share})
            if (bar := SHARES.get(optimizer)) is not None:
                label = f"{name}: share of {optimizer} in a training step"
                targets.append(Target(label, share, f"<= {bar}", share <= bar))
    return rows, targets


def _pass_ms(name: str, model: nn.Module, batch: tuple[int, int], passes: int) -> float:
    """Loss and gradient of one batch; the gradients stay."""
    from torch.utils.data import default_collate

    from benchmarks.optim.trainings import TASKS

    task = TASKS[name](True)
    count, side = batch
    parts = default_collate(task.examples(side, count, 0))

    def call() -> None:
        model.zero_grad()
        task.loss(model, *parts)[0].backward()

    return milliseconds(call, passes)
