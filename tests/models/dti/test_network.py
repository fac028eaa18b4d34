"""The DTI network: on the manifold, seamless in tiles, blind to what lies outside, and its checkpoints."""

import json
from typing import Any

import pytest
import torch

from mvnet.data_loaders.dti.training.pairs import PatchMaps
from mvnet.equivariant import FieldType, Sym2, Trivial, field_type, group
from mvnet.linalg import sym3
from mvnet.metrics import affine_invariant_error
from mvnet.models import load_checkpoint, pretrained, save_checkpoint
from mvnet.models.dti.inference import denoise_volume
from mvnet.models.dti.inputs import feature_planes
from mvnet.models.dti.loss import denoising_loss, relative_loss
from mvnet.models.dti.network import DTIDenoiser
from mvnet.models.tiling import masked_tiles
from tests.nn.test_frechet_filter import randomise, spd_field

SMALL = {"fields": {"faces": 1, "trivial": 2}, "hidden": {"faces": 1}, "convolutions": (1, 2)}


def small_model(seed: int = 0) -> DTIDenoiser:
    torch.manual_seed(seed)
    model = DTIDenoiser(**SMALL).eval()
    randomise(model, 0.15)
    return model


def ball(*shape: int) -> torch.Tensor:
    grids = torch.meshgrid(*(torch.linspace(-1.1, 1.1, n) for n in shape), indexing="ij")
    return sum(g.square() for g in grids) < 1  # type: ignore[return-value]


def test_output_is_positive_definite_whatever_the_weights():
    model = randomise(DTIDenoiser(**SMALL).double(), 2.0)
    mask = ball(8, 7, 6)
    features = feature_planes(mask).double()[None]
    out = model(spd_field(1, 8, 7, 6), features)
    assert bool((sym3.eigvals(out.tensors) > 0).all())


@pytest.mark.parametrize(
    "fields, trunk",
    [
        ({"faces": 1, "trivial": 2}, "residual"),
        ({"flags": 1, "edges": 1, "regular": 1}, "residual"),
        ({"trivial": 2, "faces": 2, "vertices": 2}, "reversible"),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_the_network_commutes_with_every_symmetry_of_the_cube(fields, trunk, dtype, tolerance):
    """Voxels, tensors and the shape of a voxel turned together turn the result, on anisotropic voxels too."""
    torch.manual_seed(0)
    options: dict[str, Any] = {
        "fields": fields,
        "hidden": {"flags": 1},
        "trunk": trunk,
        "spread": True,
        "size_noise": True,
    }
    model = randomise(DTIDenoiser(convolutions=(1, 2), **options), 0.05).to(dtype).eval()
    cube = group("Oh")
    tensor, scalar = field_type(cube, {"sym2": 1}), Trivial(cube)
    inputs = FieldType((5, scalar), (1, Sym2(cube)), (1, scalar))
    mask = ball(6, 6, 6)
    mask[0, :2, :3] = True  # no symmetry of its own
    *maps, ratio = (torch.rand(6, 6, 6, generator=torch.Generator().manual_seed(k)) for k in range(4))
    features = feature_planes(mask, *maps, spacing=(1.0, 1.0, 2.5), size_ratio=ratio).to(dtype)[None]
    logs = torch.randn(1, 6, 6, 6, 6, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    tensors = sym3.exp(0.4 * logs).to(dtype)
    with torch.no_grad():
        out = model(tensors, features)
        for g in range(cube.order):
            turned = model(tensor.act(g, tensors), inputs.act(g, features))
            expected = tensor.act(g, out.tensors)
            assert float((turned.tensors - expected).abs().max() / expected.abs().max()) < tolerance
            for given, found in ((out.log_error, turned.log_error), (out.log_spread, turned.log_spread)):
                assert given is not None and found is not None
                assert float((found - cube.act(g, given)).abs().max()) < tolerance


def test_an_ordinary_network_commutes_with_nothing():
    torch.manual_seed(0)
    model = randomise(DTIDenoiser({"regular": 8}, {"regular": 4}, (1, 1), group="E"), 0.2).double()
    tensors, features = spd_field(1, 5, 5, 5), feature_planes(torch.ones(5, 5, 5, dtype=torch.bool)).double()[None]
    cube = group("Oh")
    tensor = field_type(cube, {"sym2": 1})
    with torch.no_grad():
        turned = model(tensor.act(5, tensors), features).tensors - tensor.act(5, model(tensors, features).tensors)
    assert float(turned.abs().max()) > 1e-2


def test_features_that_no_pointwise_nonlinearity_keeps_are_refused():
    with pytest.raises(ValueError, match="vector"):
        DTIDenoiser(fields={"trivial": 2, "vector": 1})


def test_tiles_cover_the_mask_once():
    mask = ball(23, 17, 30)
    count = torch.zeros(mask.shape)
    for tile in masked_tiles(mask, block=8, overlap=3):
        count[tile.inner] += 1
        assert count[tile.outer][tile.place].shape == count[tile.inner].shape
    assert bool((count[mask] == 1).all()) and float(count.max()) == 1


def test_tiled_result_equals_the_whole():
    model, mask = small_model(), ball(24, 20, 22)
    tensors = spd_field(1, 24, 20, 22)[0].float()
    whole = denoise_volume(model, tensors, mask, block=64)
    tiled = denoise_volume(model, tensors, mask, block=7)
    assert float((whole.tensors - tiled.tensors).abs().max()) < 1e-5
    assert whole.error is not None and tiled.error is not None
    assert float((whole.error - tiled.error).abs().max()) < 1e-5


def test_outside_the_mask_nothing_matters_and_nothing_changes():
    model, mask = small_model(), ball(12, 12, 12)
    tensors = spd_field(1, 12, 12, 12)[0].float()
    other = torch.where(mask, tensors, 5 * tensors)
    first, second = (denoise_volume(model, t, mask) for t in (tensors, other))
    torch.testing.assert_close(first.tensors[:, mask], second.tensors[:, mask], rtol=0, atol=0)
    torch.testing.assert_close(second.tensors[:, ~mask], other[:, ~mask], rtol=0, atol=0)
    assert first.confidence is not None and bool((first.confidence[~mask] == 0).all())


def test_a_change_of_unit_commutes_with_the_network():
    model, mask = small_model(), ball(10, 10, 10)
    tensors = spd_field(1, 10, 10, 10)[0].float()
    out, scaled = denoise_volume(model, tensors, mask), denoise_volume(model, 1e-3 * tensors, mask)
    torch.testing.assert_close(scaled.tensors, 1e-3 * out.tensors, rtol=1e-4, atol=1e-7)


def test_strength_walks_the_geodesic():
    model, mask = small_model(), ball(9, 9, 9)
    tensors = spd_field(1, 9, 9, 9)[0].float()
    full, half, none = (denoise_volume(model, tensors, mask, strength=s).tensors[:, mask] for s in (1.0, 0.5, 0.0))
    torch.testing.assert_close(none, tensors[:, mask], rtol=0, atol=0)
    ends = affine_invariant_error(tensors[:, mask], full, dim=0)
    torch.testing.assert_close(affine_invariant_error(half, full, dim=0), ends / 2, rtol=1e-3, atol=1e-4)


def test_receptive_radius_is_what_an_output_depends_on():
    model = small_model().double()
    radius = model.receptive_radius
    n = 2 * radius + 5
    tensors = spd_field(1, n, 3, 3)
    features = feature_planes(torch.ones(n, 3, 3, dtype=torch.bool)).double()[None]

    def centre(distance: int | None) -> torch.Tensor:
        """Output at the centre when the tensors at a distance are other ones."""
        given = tensors.clone()
        if distance is not None:
            given[:, :, n // 2 + distance] *= 1.5
        with torch.no_grad():
            return model(given, features).tensors[0, :, n // 2]

    assert not torch.equal(centre(radius), centre(None))
    assert torch.equal(centre(radius + 1), centre(None))


@pytest.mark.parametrize(
    "change, words",
    [
        ({"tensors": torch.ones(5, 4, 4, 4)}, "(5, 4, 4, 4)"),
        ({"mask": torch.ones(4, 4, 5, dtype=torch.bool)}, "(4, 4, 5)"),
        ({"mask": torch.zeros(4, 4, 4, dtype=torch.bool)}, "no voxel"),
        ({"strength": 1.5}, "1.5"),
    ],
)
def test_bad_arguments_are_named(change: dict, words: str):
    arguments: dict[str, Any] = {
        "tensors": spd_field(1, 4, 4, 4)[0].float(),
        "mask": torch.ones(4, 4, 4, dtype=torch.bool),
    } | change
    with pytest.raises(ValueError, match=words.replace("(", r"\(").replace(")", r"\)").replace(".", r"\.")):
        denoise_volume(small_model(), **arguments)


def test_checkpoint_round_trip(tmp_path):
    model = small_model()
    save_checkpoint(tmp_path / "net", model, {"note": "test"})
    again, card = load_checkpoint(tmp_path / "net.safetensors")
    assert card["note"] == "test" and card["architecture"] == "DTIDenoiser"
    for name, value in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=0, atol=0)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.json", "net.safetensors"]


@pytest.mark.parametrize("damage", ["missing", "truncated", "unknown"])
def test_a_damaged_checkpoint_is_one_clear_error(tmp_path, damage: str):
    save_checkpoint(tmp_path / "net", small_model(), {})
    if damage == "missing":
        (tmp_path / "net.json").unlink()
    elif damage == "truncated":
        data = (tmp_path / "net.safetensors").read_bytes()
        (tmp_path / "net.safetensors").write_bytes(data[: len(data) // 2])
    else:
        card = json.loads((tmp_path / "net.json").read_text()) | {"architecture": "Other"}
        (tmp_path / "net.json").write_text(json.dumps(card))
    with pytest.raises(ValueError, match="checkpoint") as caught:
        load_checkpoint(tmp_path / "net")
    assert "\n" not in str(caught.value)


def test_loss_is_zero_for_a_perfect_prediction_and_one_scale_for_every_noise():
    noise = torch.rand(2, 3, 3, 3, generator=torch.Generator().manual_seed(0)) + 0.5
    mask = torch.ones_like(noise)
    assert float(relative_loss(0 * noise, noise, mask)) == 0
    torch.testing.assert_close(relative_loss(noise, noise, mask), relative_loss(3 * noise, 3 * noise, mask))


def without_maps(n: int) -> tuple[torch.Tensor, PatchMaps]:
    """The mask and the maps of a batch of one sample of n^3 voxels whose acquisition is unknown."""
    mask, spacing = torch.ones(1, n, n, n, dtype=torch.bool), torch.ones(1, 3, dtype=torch.float64)
    zero = torch.zeros(1, n, n, n)
    return mask, PatchMaps(zero, zero, zero, spacing, torch.tensor([False]), zero)


def test_loss_gradients_are_finite_at_coincident_and_isotropic_tensors():
    torch.manual_seed(0)
    model = DTIDenoiser(**SMALL)
    tensors = torch.tensor([0.7, 0.7, 0.7, 0, 0, 0]).view(1, 6, 1, 1, 1).repeat(1, 1, 5, 5, 5)
    loss, _ = denoising_loss(model, tensors, tensors.clone(), *without_maps(5))
    loss.backward()
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in model.parameters())


def test_a_few_steps_learn():
    torch.manual_seed(0)
    model = DTIDenoiser(**SMALL)
    random = torch.Generator().manual_seed(0)
    clean = torch.tensor([-0.1, 0.1, 0.0, 0.1, 0.0, 0.0]).view(1, 6, 1, 1, 1).repeat(1, 1, 10, 10, 10)
    noisy = sym3.exp(clean + 0.2 * torch.randn(clean.shape, generator=random))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    ratios = []
    for _ in range(40):
        optimizer.zero_grad()
        loss, figures = denoising_loss(model, noisy, sym3.exp(clean), *without_maps(10))
        loss.backward()
        optimizer.step()
        ratios.append(figures["error_ratio"])
    assert ratios[-1] < 0.5 * ratios[0]


@pytest.mark.parametrize("blind", [False, True])
def test_the_shipped_model_denoises_a_simulated_brain(blind: bool):
    """Below every width of the log-Euclidean Gaussian with the acquisition known, below the input without it."""
    from mvnet.apps.demo.peers import GAUSS_WIDTHS, log_gauss
    from mvnet.data_loaders.dti.simulation import simulate_pair

    model, card = pretrained("dti")
    assert isinstance(model, DTIDenoiser) and card["architecture"] == "DTIDenoiser"
    pair = simulate_pair(seed=12345, shape=(32, 32, 32), snr=12.0)
    known: dict[str, Any] = {} if blind else {"b0": pair.b0, "noise": pair.noise, "residual": pair.residual}
    out = denoise_volume(model, pair.noisy, pair.mask, **known)
    truth = pair.clean[:, pair.mask]

    def error(tensors: torch.Tensor) -> float:
        return float(affine_invariant_error(tensors, truth, dim=0).mean())

    noisy = pair.noisy[:, pair.mask]
    if blind:
        assert error(out.tensors[:, pair.mask]) < 0.8 * error(noisy)
    else:
        matrices, inside = sym3.unpack(noisy, dim=0).double().numpy(), pair.mask.numpy()
        smooth = [torch.from_numpy(log_gauss(matrices, inside, width)).float() for width in GAUSS_WIDTHS]
        assert error(out.tensors[:, pair.mask]) < min(error(sym3.pack(m, dim=0)) for m in smooth)


def test_tiles_in_threads_and_by_an_executor_give_the_same(brain):
    """What a tile is computed from can be pickled, so that an executor may be another process."""
    import pickle
    from concurrent.futures import ThreadPoolExecutor
    from functools import partial

    from mvnet.models.dti.inference import _filter_tile

    model = small_model().float()
    pickle.dumps(partial(_filter_tile, model))
    tensors, mask = brain.tensors.float(), brain.mask
    expected = denoise_volume(model, tensors, mask, block=8)
    threads = denoise_volume(model, tensors, mask, block=8, workers=2)
    with ThreadPoolExecutor(2) as executor:
        spread = denoise_volume(model, tensors, mask, block=8, workers=2, executor=executor)
    for found in (threads, spread):
        torch.testing.assert_close(found.tensors, expected.tensors, rtol=1e-4, atol=1e-5)
