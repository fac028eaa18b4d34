"""The Gabor bank responds most where it should."""

import torch

from mvnet.equivariant import group
from mvnet.nn.gabor import GaborBank


def test_a_gabor_bank_sees_the_wave_it_is_made_for():
    symmetry = group("D4xZ2")
    bank = GaborBank(symmetry, (("waves-sides", 1.2),), 8, 2).double()
    x = torch.arange(32, dtype=torch.float64)
    z = torch.polar(torch.ones(32, 32, dtype=torch.float64), 1.2 * x.expand(32, 32))
    with torch.no_grad():
        response = bank(torch.stack([z.real, z.imag])[None])[0, :, 8, 8]
    vectors = bank.fields_out.fields[0][1].points  # type: ignore[attr-defined]
    assert torch.equal(vectors[response.argmax()], torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert float(response.max()) > 3 * float(response.sort()[0][-2])
