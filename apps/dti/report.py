"""The HTML page of `mvnet denoise dti`: a viewer of the volumes before and after, what changed, and the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mvnet.apps.common import page
from mvnet.apps.common.figures import AFTER, BEFORE, png
from mvnet.apps.dti.figures import Viewer, histogram, screen_colours, slice_grid
from mvnet.apps.dti.outliers_out import COLUMNS, outlier_rows

if TYPE_CHECKING:
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
    viewer = Viewer(volume.affine, volume.mask.numpy(), tuple(float(z) for z in volume.header.get_zooms()[:3]))
    maps = {"input": before, "denoised": after}
    series = [(name, of.fa[volume.mask].numpy(), colour) for (name, of), colour in zip(maps.items(), (BEFORE, AFTER))]
    parts = [
        page.table((), _numbers(summary), caption="What was found"),
        page.heading("Before and after"),
        _volumes(volume, viewer, before, after, confidence, _stills(volume, viewer, maps, confidence)),
        page.heading("Histogram of FA in the mask"),
        page.picture(png(histogram(series, "FA", (0.0, 1.0))), "All voxels of the mask."),
        *posterior,
        *_outliers(volume),
        page.heading("Provenance"),
        page.table((), _provenance(summary), caption="Where the results come from"),
        *([page.heading("Messages: what was read, guessed and repaired")] if summary["messages"] else []),
        *(page.paragraph(message) for message in summary["messages"]),
        page.paragraph("For research; not a medical device."),
    ]
    subtitle = f"Diffusion tensors denoised by mvnet {summary['version']}"
    path.write_text(page.document(title, subtitle, parts), encoding="utf-8")


def _volumes(
    volume: DTIVolume,
    viewer: Viewer,
    before: TensorMaps,
    after: TensorMaps,
    confidence: Tensor | None,
    still: str,
) -> str:
    """The viewer of the volumes; NaN outside of the mask."""
    mask = volume.mask.numpy()

    def inside(values: Tensor) -> np.ndarray:
        return viewer.box(np.where(mask, values.numpy(), np.nan))

    shown = [
        page.ScalarMap("FA", inside(after.fa), (0.0, 1.0), before=inside(before.fa)),
        page.ScalarMap("FA change", inside(after.fa - before.fa), (-0.2, 0.2), colours="RdBu_r"),
    ]
    if confidence is not None:
        shown.append(page.ScalarMap("confidence", inside(confidence), (0.0, 1.0), colours="viridis"))
    if volume.acquisition is not None and mask.any():
        residual = inside(volume.acquisition.residual)
        top = float(f"{np.nanquantile(residual, 0.99):.2g}") or 1.0
        shown.append(page.ScalarMap("residual of the fit", residual, (0.0, top), colours="magma"))
    directions = [viewer.directions(np.moveaxis(maps.v1.numpy(), 0, -1)) for maps in (before, after)]
    words = (
        "Right is on the left. Change: denoised minus input. V1 lines: the principal direction where FA is above 0.15, "
        "cut by the plane."
    )
    return page.volumes(viewer.grid(), shown, (directions[0], directions[1]), still, words)


def _stills(volume: DTIVolume, viewer: Viewer, maps: dict[str, TensorMaps], confidence: Tensor | None) -> str:
    """Three planes of colour FA, FA, its change and the confidence. maps: "input" and "denoised"."""
    grey = {"cmap": "gray", "vmin": 0, "vmax": 1, "colorbar": "FA"}
    signed = {"cmap": "RdBu_r", "vmin": -0.2, "vmax": 0.2, "colorbar": "FA change"}
    share = {"cmap": "viridis", "vmin": 0, "vmax": 1, "colorbar": "confidence"}
    change = maps["denoised"].fa - maps["input"].fa
    colours = [(name, screen_colours(of.colour_fa(volume.affine)), {}) for name, of in maps.items()]
    anisotropy = [(name, of.fa.numpy(), grey) for name, of in maps.items()]
    anisotropy.append(("change", change.numpy(), signed))
    if confidence is not None:
        anisotropy.append(("confidence", confidence.numpy(), share))
    last = ", and the confidence map." if confidence is not None else "; this network has no confidence map."
    words = f"Input, denoised, the difference (denoised minus input){last}"
    first = "Colour FA: red left-right, green back-front, blue down-up; brightness is FA."
    return page.picture(png(slice_grid(viewer, colours)), first) + page.picture(
        png(slice_grid(viewer, anisotropy)), words
    )


def _outliers(volume: DTIVolume) -> list[str]:
    """The section on volumes and slices that do not fit the others; none for tensor images."""
    scan = volume.acquisition
    if scan is None:
        return []
    rows = outlier_rows(scan.outliers)
    parts = (
        [page.table(list(COLUMNS), rows[:_MOST_ROWS], caption="Volumes and slices left out or doubted")]
        if rows
        else [page.paragraph("None was found.")]
    )
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
    flat = {k: v for k, v in options.items() if k not in ("input", "output", "checkpoint", "fit")} | (
        options.get("fit") or {}
    )
    files = ("bval", "bvec", "mask", "noise")
    kept = {k: v for k, v in flat.items() if v not in (None, False, (), [])}
    return [
        ("Input", Path(options["input"]).name),
        ("Layout", f"order {layout['order']}, unit {layout['unit']}, frame {layout['frame']}"),
        ("Weights", f"{summary['weights']['name']}, sha256 {summary['weights']['sha256'][:16]}"),
        (
            "Options",
            ", ".join(f"{k}={Path(v).name if k in files and isinstance(v, str) else v}" for k, v in kept.items()),
        ),
        ("Device", summary["device"]),
    ]
