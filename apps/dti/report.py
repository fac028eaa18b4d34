"""The HTML page of `mvnet denoise dti`: before and after in three views, what changed, and the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mvnet.apps.common import page
from mvnet.apps.common.figures import AFTER, BEFORE, png
from mvnet.apps.dti.figures import Viewer, histogram, screen_colours, slice_grid
from mvnet.apps.dti.outliers_out import COLUMNS, outlier_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from mvnet.data_loaders.dti import DTIVolume
    from mvnet.models.dti.maps import TensorMaps

_MOST_ROWS = 60


def write_report(
    path: Path,
    title: str,
    volume: DTIVolume,
    before: TensorMaps,
    after: TensorMaps,
    confidence: Tensor | None,
    summary: dict[str, Any],
    posterior: Sequence[str] = (),
) -> None:
    """Write the page.

    Args:
        volume: gives the grid and the mask.
        before, after: maps of the tensors.
        confidence: (X, Y, Z) in [0, 1], None where the network makes none.
        summary: of `mvnet.apps.dti.denoise.run`.
        posterior: its section, of `mvnet.apps.dti.posterior.section`.
    """
    maps = {"input": before, "denoised": after}
    colours, anisotropy, bars = _figures(volume, maps, confidence)
    shown = ", and the confidence map." if confidence is not None else "; this network has no confidence map."
    parts = [
        page.table((), _numbers(summary)),
        page.heading("Colour FA"),
        page.picture(png(colours), "Red left-right, green back-front, blue down-up; brightness is FA."),
        page.heading("Fractional anisotropy"),
        page.picture(png(anisotropy), f"Input, denoised, the difference (denoised minus input){shown}"),
        page.heading("Histogram of FA in the mask"),
        page.picture(png(bars), "All voxels of the mask."),
        *posterior,
        *_outliers(volume),
        page.heading("Provenance"),
        page.table((), _provenance(summary)),
        *([page.heading("Messages")] if summary["messages"] else []),
        *(page.paragraph(message) for message in summary["messages"]),
        page.paragraph("For research; not a medical device."),
    ]
    subtitle = f"Diffusion tensors denoised by mvnet {summary['version']}"
    path.write_text(page.document(title, subtitle, parts), encoding="utf-8")


def _figures(
    volume: DTIVolume, maps: dict[str, TensorMaps], confidence: Tensor | None
) -> tuple[Figure, Figure, Figure]:
    """Colour FA; FA, its change and the confidence; the histogram of FA. maps: "input" and "denoised"."""
    mask = volume.mask
    viewer = Viewer(volume.affine, mask.numpy(), tuple(float(z) for z in volume.header.get_zooms()[:3]))
    grey = {"cmap": "gray", "vmin": 0, "vmax": 1, "colorbar": "FA"}
    signed = {"cmap": "RdBu_r", "vmin": -0.2, "vmax": 0.2, "colorbar": "FA change"}
    share = {"cmap": "viridis", "vmin": 0, "vmax": 1, "colorbar": "confidence"}
    change = maps["denoised"].fa - maps["input"].fa
    colours = [(name, screen_colours(of.colour_fa(volume.affine)), {}) for name, of in maps.items()]
    anisotropy = [(name, of.fa.numpy(), grey) for name, of in maps.items()]
    anisotropy.append(("change", change.numpy(), signed))
    if confidence is not None:
        anisotropy.append(("confidence", confidence.numpy(), share))
    series = [(name, of.fa[mask].numpy(), colour) for (name, of), colour in zip(maps.items(), (BEFORE, AFTER))]
    return slice_grid(viewer, colours), slice_grid(viewer, anisotropy), histogram(series, "FA", (0.0, 1.0))


def _outliers(volume: DTIVolume) -> list[str]:
    """The section on volumes and slices that do not fit the others; none for tensor images."""
    scan = volume.acquisition
    if scan is None:
        return []
    rows = outlier_rows(scan.outliers)
    parts = [page.table(list(COLUMNS), rows[:_MOST_ROWS])] if rows else [page.paragraph("None was found.")]
    if len(rows) > _MOST_ROWS:
        parts.append(page.paragraph(f"And {len(rows) - _MOST_ROWS} more, in the table beside this page."))
    return [page.heading("Outlier volumes and slices"), *parts]


def _numbers(summary: dict[str, Any]) -> list[tuple[str, str]]:
    counts, numbers = summary["counts"], summary["statistics"]
    kinds = f"{counts['non_positive']:,} not positive, {counts['non_finite']:,} not finite"
    clipped = f"{counts['clipped']:,} more clipped"
    noise = "not measurable without the diffusion-weighted images"
    if "sigma" in numbers:
        noise = (
            f"signal sigma {numbers['sigma']:.4g}, b0 over sigma {numbers['snr_b0']:.3g} (medians), {_origin(summary)}"
        )
    error: list[tuple[str, str]] = [("Expected error left", "not estimated by this network")]
    if "expected_error" in numbers:
        expected = f"{numbers['expected_error']:.3f} (affine-invariant distance, the network's estimate)"
        expected += f"; FA {numbers['expected_fa_error']:.4f}, MD {numbers['expected_md_error']:.4f} um^2/ms"
        held = f"{100 * numbers['trust_region_bound']:.2f} % of the voxels"
        error = [("Expected error left", expected), ("Held by the trust region", held)]
    fitted = f", {counts['volumes_fitted']} of {counts['volumes']} volumes fitted" if "volumes" in counts else ""
    return [
        ("Voxels in the mask", f"{counts['voxels']:,}{fitted}"),
        ("Tensors repaired", f"{counts['repaired']:,} ({kinds}); {clipped}"),
        ("Noise level", noise),
        ("Mean change", f"{numbers['mean_change']:.3f} (affine-invariant distance)"),
        *error,
        ("Mean FA", f"{numbers['fa_before']:.3f} before, {numbers['fa_after']:.3f} after"),
        ("Mean MD", f"{numbers['md_before']:.3f} before, {numbers['md_after']:.3f} after (um^2/ms)"),
    ]


def _origin(summary: dict[str, Any]) -> str:
    """Where the noise level comes from: given, or estimated; the messages say which estimate."""
    given = summary["options"]["fit"]["noise"]
    if given is None:
        return "medians, estimated"
    return f"medians, given as {given if isinstance(given, int | float) else Path(given).name}"


def _provenance(summary: dict[str, Any]) -> list[tuple[str, str]]:
    layout, options = summary["layout"], summary["options"]
    kept = {k: v for k, v in options.items() if v not in (None, False) and k not in ("input", "output", "checkpoint")}
    return [
        ("Input", Path(options["input"]).name),
        ("Layout", f"order {layout['order']}, unit {layout['unit']}, frame {layout['frame']}"),
        ("Weights", f"{summary['weights']['name']}, sha256 {summary['weights']['sha256'][:16]}"),
        (
            "Options",
            ", ".join(f"{k}={Path(v).name if k in ('bval', 'bvec', 'mask') else v}" for k, v in kept.items()),
        ),
        ("Device", summary["device"]),
    ]
