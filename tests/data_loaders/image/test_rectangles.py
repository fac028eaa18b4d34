"""Random rectangles: seeded, sharp alike at every angle, and rotated images are the rotated scenes."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from mvnet.data_loaders.image.rectangles import POINT_SPREAD, Scenes, noisy, random_scenes


def scenes(count: int = 4, size: int = 24, seed: int = 0) -> Scenes:
    return random_scenes(count, size, generator=torch.Generator().manual_seed(seed))


def one(centre=(0.0, 0.0), sides=(8.0, 8.0), size: int = 24) -> Scenes:
    """A white rectangle on black."""
    place, lengths = (torch.tensor(t, dtype=torch.float32).view(1, 1, 2) for t in (centre, sides))
    return Scenes(place, lengths, torch.ones(1, 1, 3), torch.zeros(1, 3), size)


def test_same_seed_same_images():
    assert_close(scenes().draw(), scenes().draw(), atol=0, rtol=0)
    assert float((scenes(seed=1).draw() - scenes().draw()).abs().max()) > 0.1


def test_shape_range_and_variety():
    images = scenes(count=8, size=60).draw()
    assert images.shape == (8, 3, 60, 60) and images.dtype == torch.float32
    assert float(images.min()) >= 0 and float(images.max()) <= 1
    assert float(images.std()) > 0.15


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_move_pixels(quarters):
    """Row axis to column axis, as a group element with matrix R does: (g . x)(p) = x(R^-1 p)."""
    from mvnet.equivariant import group

    g, drawn = group("C4"), scenes()
    matrix = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64).matrix_power(quarters)
    expected = g.act(int(g.index(matrix)), drawn.draw())
    assert_close(drawn.draw(quarters * math.pi / 2), expected, atol=2e-5, rtol=0)


def test_every_image_has_its_own_angle():
    drawn, angles = scenes(3), torch.tensor([0.3, 1.0, 2.0])
    batch = drawn.draw(angles)
    for k, angle in enumerate(angles):
        assert_close(batch[k], drawn.draw(float(angle))[k], atol=1e-6, rtol=0)


@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 4])
@pytest.mark.parametrize("centre", [(0.0, 0.0), (0.3, -0.2)])
def test_area_and_place_at_any_angle(angle, centre):
    """The sum over pixels is the area, the centre of mass the centre of the turned rectangle."""
    sides = (8.0, 5.5)
    image = one(centre, sides).draw(angle)[0, 0]
    assert_close(float(image.sum()), sides[0] * sides[1], atol=0.02, rtol=0)
    line = torch.arange(24) - 11.5
    mass = torch.stack([(image * line[:, None]).sum(), (image * line).sum()]) / image.sum()
    c, s = math.cos(angle), math.sin(angle)
    expected = torch.tensor([c * centre[0] - s * centre[1], s * centre[0] + c * centre[1]])
    assert_close(mass, expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize("angle", [0.0, 0.3, math.pi / 4])
def test_edges_are_equally_sharp(angle):
    """Across an edge the image is the error function of the distance, whatever the angle."""
    image = one((0.0, 10.0), (100.0, 20.0)).draw(angle)[0, 0]  # the half plane to the right of the centre
    line = torch.arange(24) - 11.5
    row, column = torch.meshgrid(line, line, indexing="ij")
    distance = math.cos(angle) * column - math.sin(angle) * row
    expected = torch.special.ndtr(distance / POINT_SPREAD)
    inside = distance.abs() < 8
    assert_close(image[inside], expected[inside], atol=1e-5, rtol=0)


def test_later_rectangles_cover_earlier_ones():
    both = Scenes(torch.zeros(1, 2, 2), torch.full((1, 2, 2), 12.0), torch.eye(3)[None, :2], torch.zeros(1, 3), 24)
    assert_close(both.draw()[0, :, 12, 12], torch.tensor([0.0, 1.0, 0.0]))


def test_statistics_do_not_depend_on_the_angle():
    """Mean square gradient of on-grid and of turned images."""
    drawn = scenes(200, 30)

    def gradient(images):
        rows, columns = images.diff(dim=-2).square().mean(), images.diff(dim=-1).square().mean()
        return float(rows + columns)

    assert abs(gradient(drawn.draw(math.pi / 4)) / gradient(drawn.draw()) - 1) < 0.06


def test_noise():
    x = torch.zeros(2, 3, 60, 60)
    noise = noisy(x, 0.2, generator=torch.Generator().manual_seed(0))
    assert_close(noise, noisy(x, 0.2, generator=torch.Generator().manual_seed(0)), atol=0, rtol=0)
    assert abs(float(noise.std()) - 0.2) < 0.005


@pytest.mark.parametrize("count, size", [(0, 10), (1, 0)])
def test_what_does_not_fit_is_named(count, size):
    with pytest.raises(ValueError, match="count, size"):
        scenes(count, size)
