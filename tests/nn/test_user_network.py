"""A network of one's own for phase images: layers of `mvnet.nn`, a field for `odeint`, a geodesic loss."""

import torch
from torch import Tensor, nn

from mvnet.equivariant import GroupConv, field_type, group
from mvnet.integrators import CircleAction, odeint
from mvnet.losses import manifold_loss
from mvnet.manifolds import Circle
from mvnet.nn import ConnectionFilter, EquivariantUNet, GaborBank, angle


class PhaseNetwork(nn.Module):
    """Interferograms (B, 2, H, W), real and imaginary part -> phases (B, H, W), radians.

    It commutes with the symmetries of the square, with conjugation and with the global phase: features come from
    moduli, the filter passes a global phase through, and the field of the ODE sees phases relative to the data only.
    """

    def __init__(self, generator: torch.Generator):
        super().__init__()
        symmetry = group("D4xZ2")  # of the square, times the conjugation of the values
        fine, coarse = field_type(symmetry, {"trivial": 2, "waves-sides": 1}), field_type(symmetry, {"regular": 1})
        waves = (("trivial", 0.0), ("waves-sides", 0.8), ("waves-corners", 0.8))
        self.bank = GaborBank(symmetry, waves, size=8, stride=2, generator=generator)
        levels = [fine, coarse], [self.bank.fields_out, None]
        self.unet = EquivariantUNet(*levels, down=[1, 1], up=[1, 0], generator=generator)
        self.filter = ConnectionFilter(fine, size=5, carrier=1, generator=generator)
        self.rate = GroupConv(fine, field_type(symmetry, {"trivial": 1}), 1, generator=generator)

    def forward(self, planes: Tensor) -> Tensor:
        # planes -> moduli on 2x2 blocks -> features -> filtered planes
        mask = torch.ones_like(planes[:, :1, ::2, ::2])
        features = self.unet([self.bank(planes), None], mask)
        filtered = self.filter(features, planes)
        # filtered planes -> phase at time 0 -> phase at time 1, drawn to the data where the features say so
        rate = torch.sigmoid(self.rate(features)).repeat_interleave(2, 2).repeat_interleave(2, 3)[:, 0]

        def velocity(t: Tensor, phase: Tensor) -> Tensor:
            return rate * (angle(planes) - phase).sin()

        return odeint(velocity, angle(filtered), [0.0, 0.5, 1.0], action=CircleAction(), method="rkmk2")[-1]


def fringes(generator: torch.Generator, noise: float = 0.6) -> tuple[Tensor, Tensor]:
    """Noisy interferograms (4, 2, 24, 24) of plane waves, and their phases (4, 24, 24)."""
    slope = torch.rand(4, 2, 1, 1, generator=generator) * 1.6 - 0.8  # radians per pixel
    row, column = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")
    phase = slope[:, 0] * row + slope[:, 1] * column
    clean = torch.stack([phase.cos(), phase.sin()], 1)
    return clean + noise * torch.randn(clean.shape, generator=generator), angle(clean)


def test_a_network_of_our_layers_learns():
    generator = torch.Generator().manual_seed(0)
    model, (planes, phase) = PhaseNetwork(generator), fringes(generator)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(20):
        loss = manifold_loss(model(planes), phase, Circle(), kind="squared", reduction="mean")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_it_commutes_with_the_global_phase():
    generator = torch.Generator().manual_seed(1)
    model, (planes, _) = PhaseNetwork(generator), fringes(generator)
    turn = torch.tensor(2.0)
    real, imaginary = planes.unbind(1)
    moved = torch.stack([turn.cos() * real - turn.sin() * imaginary, turn.sin() * real + turn.cos() * imaginary], 1)
    with torch.no_grad():
        difference = Circle().dist(model(moved), model(planes) + turn)
    assert (
        float(difference.quantile(0.99)) < 1e-3
    )  # where the modulus nearly vanishes, so does the precision of its phase
