"""The section of the page on the posterior: cones, intervals of FA on a slider, a region, the check on this scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mvnet.apps.common import page
from mvnet.apps.common.figures import png
from mvnet.apps.dti.figures import Viewer, slice_grid

if TYPE_CHECKING:
    from mvnet.data_loaders.dti import DTIVolume
    from mvnet.models.dti.posterior.inference import VolumePosterior
    from mvnet.models.dti.posterior.own_scan import ScanCheck
    from mvnet.models.dti.posterior.summaries import Summary


def section(
    volume: DTIVolume,
    posterior: VolumePosterior,
    maps: Summary | None,
    check: ScanCheck | None,
    said: dict[str, Any],
) -> list[str]:
    """Pieces of HTML.

    Args:
        volume: gives the grid.
        posterior: of it.
        maps: None without `--uncertainty`.
        check: None where it could not be made.
        said: of the summary.
    """
    parts = [page.heading("How sure is it")]
    if maps is not None:
        parts += _pictures(volume, maps)
    rows = []
    if maps is not None:
        rows.append(("Median standard deviation", f"FA {said['fa_sd']:.4f}, MD {said['md_sd']:.4f} um^2/ms"))
        if "v1_cone" in said:
            rows.append(("Median 90 % cone of V1 (FA above 0.3)", f"{said['v1_cone']:.1f} degrees"))
        rows.append(("Check on this scan", _check(check)))
    if region := said.get("region"):
        where = ", ".join(map(str, region["centre"]))
        text = f"mean FA {region['mean_fa']:.4f}, standard deviation {region['sd']:.4f} over {said['samples']} samples"
        rows.append((f"Region of {region['voxels']} voxels about ({where})", text))
    lags = ", ".join(f"{x:.2f}" for x in said["correlation"][1:])
    rows.append(("Correlation of the noise at 1, 2, 3 voxels", lags))
    note = (
        "A mean over a region has the spread that it has over the samples: single voxels err together with their "
        "neighbours, so that dividing the deviation of a voxel by the root of their number promises too much."
    )
    return [*parts, page.table((), rows), page.paragraph(note)]


def _pictures(volume: DTIVolume, maps: Summary) -> list[str]:
    from mvnet.models.dti.posterior.summaries import LEVELS

    zooms = tuple(float(z) for z in volume.header.get_zooms()[:3])
    viewer = Viewer(volume.affine, volume.mask.numpy(), zooms)
    cone = {"cmap": "magma_r", "vmin": 0, "vmax": 45, "colorbar": "degrees"}
    spread = {"cmap": "magma", "vmin": 0, "vmax": 0.1, "colorbar": "sd of FA"}
    grey = {"cmap": "gray", "vmin": 0, "vmax": 1, "colorbar": "FA"}
    rows = [("90 % cone", maps.cone.numpy(), cone), ("sd of FA", maps.fa_sd.numpy(), spread)]
    frames = [
        (f"{level:.0%} quantile of FA", png(slice_grid(viewer, [("FA", values.numpy(), grey)])))
        for level, values in zip(LEVELS, maps.fa, strict=True)
    ]
    words = "Half angle of the cone about V1 that holds the true direction with 90 %, and the standard deviation of FA."
    interval = "FA at a quantile of its posterior: from 5 % to 95 % is the 90 % interval."
    return [page.picture(png(slice_grid(viewer, rows)), words), page.slider(frames, len(frames) // 2, interval)]


def _check(check: ScanCheck | None) -> str:
    if check is None:
        return "not possible: it takes a DWI of 12 directions or more"
    first, second = check.directions
    text = (
        f"{first} directions denoised: {check.share:.1%} of the FA of the other {second} lie in their 90 % intervals, "
        "widened by their own noise"
    )
    return f"{text}. The intervals are too narrow for this scan." if check.too_narrow else text
