"""`mvnet demo`: a simulated and a real brain set beside what people use, an interferogram and a motion."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mvnet.apps.common.console import Console
from mvnet.apps.common.outputs import Outputs
from mvnet.apps.common.stdout import print_result
from mvnet.apps.demo import interferogram, walker
from mvnet.apps.demo.cases import Case, real_case, simulated_case
from mvnet.apps.demo.section import Section
from mvnet.storage import json_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCORES = {"ai_rmse": "AI-RMSE", "fa_mae": "FA MAE", "v1_deg": "V1 deg", "dev_rmse": "dev log RMSE"}
"""Keys of `mvnet.apps.demo.peers.scores` -> column titles; less is better in all."""

EXPLANATION = (
    "AI-RMSE: root mean square affine-invariant distance. FA MAE: mean absolute error of FA. V1: median "
    "angle of the first eigenvector where the reference's FA > 0.3. dev log: root mean square of the "
    "shape part of the log-tensors. Less is better. Every peer's signal is fitted by the same weighted "
    "least squares. localpca and nlmeans are told the noise level, the Gaussian is shown at its best "
    "width; mvnet is told nothing."
)
_TABLE = "Distance of the tensors to the reference"
OURS, RAW = "mvnet", "raw fit (WLS)"


def show(
    output: Path,
    *,
    overwrite: bool = False,
    quiet: bool = False,
    as_json: bool = False,
    checkpoint: Path | None = None,
) -> dict[str, Any]:
    """Run all cases; print the tables; leave index.html, denoised files, reports and figures in `output`.

    Args:
        checkpoint: weights instead of the shipped ones.
    Raises:
        UserError: when the outputs are in the way.
    """
    from mvnet.apps.dti.bids import DATASET
    from mvnet.apps.dti.denoise import output_names

    makers = {"simulated": simulated_case, "real": real_case}
    names = ["index.html", "comparison.json", *walker.NAMES]
    parts = {"motion": walker.denoise_walk}
    if find_spec("rasterio") is not None:
        names += interferogram.NAMES
        parts = {"interferogram": interferogram.denoise_interferogram, **parts}
    for stem in makers:
        names += [*(stem + end for end in ("_dwi.nii.gz", "_dwi.bval", "_dwi.bvec", "_mask.nii.gz", "_colour-fa.png"))]
        names += output_names(stem, report=True)
    console = Console(quiet)
    start = time.perf_counter()
    result: dict[str, Any] = {"cases": {}}
    with Outputs(output, names, overwrite=overwrite, shared=[DATASET]) as outputs:
        figures = {}
        for stem, make in makers.items():
            case = make()
            rows, tensors = _compare(case, outputs, console, checkpoint)
            result["cases"][stem] = {"about": case.about, "voxels": int(case.mask.sum()), "rows": rows}
            figures[stem] = _picture(case, rows, tensors, outputs)
            if not as_json and not quiet:
                _print_table(case, rows)
        sections = []
        for name, part in parts.items():
            sections.append(part(outputs.path("index.html").parent, console))
            result["cases"][name] = {"about": sections[-1].about, **sections[-1].numbers}
            if not as_json and not quiet:
                _print_section(sections[-1])
        result["seconds"] = round(time.perf_counter() - start, 1)
        outputs.path("comparison.json").write_text(json_text(result, indent=2) + "\n", encoding="utf-8")
        outputs.path("index.html").write_text(_index(result, figures, sections), encoding="utf-8")
    result["outputs"] = {"index": str(output / "index.html"), "comparison": str(output / "comparison.json")}
    if as_json:
        print_result(json_text(result))
    elif not quiet:
        print_result(f"{output / 'index.html'}  ({result['seconds']:.0f} s)")
    return result


def _compare(
    case: Case, outputs: Outputs, console: Console, checkpoint: Path | None
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Scores of every method, and their tensors (n, 3, 3) mm^2/s in voxel axes."""
    from mvnet.apps.demo.peers import scores

    rows, tensors = [], {}
    for method, found, seconds in _methods(case, outputs, console, checkpoint):
        numbers = {key: value if math.isfinite(value) else None for key, value in scores(found, case.reference).items()}
        rows.append({"method": method, **numbers, "seconds": round(seconds, 2)})
        tensors[method] = found
    return rows, tensors


def _methods(
    case: Case, outputs: Outputs, console: Console, checkpoint: Path | None
) -> Iterator[tuple[str, np.ndarray, float]]:
    """(name, tensors, seconds) of every method; seconds without the fit all of them share, but for ours."""
    from mvnet.apps.demo import peers

    def measure(work: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
        """The result and the seconds it took."""
        start = time.perf_counter()
        return work(), time.perf_counter() - start

    raw, seconds = measure(partial(peers.fit, case.dwi, case.bvals, case.bvecs, case.mask))
    yield RAW, raw, seconds
    console.say(f"{case.stem}: peers")
    smooth, width, seconds = _best_gauss(raw, case)
    yield f"log-Euclidean Gaussian, {width} voxel", smooth, seconds
    for name, denoise in peers.denoisers.items():
        clean, seconds = measure(partial(denoise, case.dwi, case.bvals, case.bvecs, case.mask, case.sigma))
        yield name, peers.fit(clean, case.bvals, case.bvecs, case.mask), seconds
    console.say(f"{case.stem}: {OURS}")
    ours, seconds = measure(partial(_denoise, case, outputs, console, checkpoint))
    yield OURS, ours, seconds


def _best_gauss(raw: np.ndarray, case: Case) -> tuple[np.ndarray, float, float]:
    from mvnet.apps.demo import peers

    start = time.perf_counter()
    results = {width: peers.log_gauss(raw, case.mask, width) for width in peers.GAUSS_WIDTHS}
    seconds = (time.perf_counter() - start) / len(results)
    best = min(results, key=lambda width: peers.scores(results[width], case.reference)["ai_rmse"])
    return results[best], best, seconds


def _denoise(case: Case, outputs: Outputs, console: Console, checkpoint: Path | None) -> np.ndarray:
    """What `mvnet denoise dti` writes for the case: (n, 3, 3) mm^2/s, voxel axes."""
    import nibabel

    from mvnet.apps.dti.bids import map_name
    from mvnet.apps.dti.denoise import run
    from mvnet.apps.dti.options import Options

    folder = outputs.path("index.html").parent
    path = case.save(folder)
    bval, bvec = (folder / f"{case.stem}_dwi.{end}" for end in ("bval", "bvec"))
    mask = folder / f"{case.stem}_mask.nii.gz"
    run(Options(path, folder, bval=bval, bvec=bvec, mask=mask, frame="voxel", checkpoint=checkpoint), console)
    image = nibabel.Nifti1Image.from_filename(folder / map_name(case.stem, "tensor"))
    six = np.asarray(image.dataobj, dtype=np.float64)[case.mask]  # xx xy xz yy yz zz
    return six[:, [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(-1, 3, 3)


def _picture(case: Case, rows: list[dict[str, Any]], tensors: dict[str, np.ndarray], outputs: Outputs) -> bytes:
    """Colour FA of the reference, the raw fit, the best peer and ours; also written as a file."""
    from mvnet.apps.common.figures import png

    peers = [row for row in rows if row["method"] not in (OURS, RAW)]
    best = min(peers, key=lambda row: row["ai_rmse"])["method"]
    label = "truth" if case.stem == "simulated" else "left-out fit"
    shown = {
        label: case.reference,
        "raw": tensors[RAW],
        best.replace(", ", ",\n"): tensors[best],
        OURS: tensors[OURS],
    }
    data = png(_colour_row(case, shown))
    outputs.path(f"{case.stem}_colour-fa.png").write_bytes(data)
    return data


def _colour_row(case: Case, fields: dict[str, np.ndarray]) -> Figure:
    import torch

    from mvnet.apps.dti.figures import Viewer, plane_row, screen_colours
    from mvnet.linalg import sym3
    from mvnet.models.dti.maps import TensorMaps

    mask = torch.from_numpy(case.mask)
    zooms = np.linalg.norm(case.affine[:3, :3], axis=0)
    columns = []
    for name, tensors in fields.items():
        planes = torch.zeros((6, *case.mask.shape))
        planes[:, mask] = sym3.pack(torch.from_numpy(tensors * 1e3).float(), dim=-1).T
        columns.append((name, screen_colours(TensorMaps.of(planes, mask).colour_fa(case.affine))))
    return plane_row(Viewer(case.affine, case.mask, tuple(zooms)), columns)


def _cells(row: dict[str, Any]) -> list[str]:
    digits = {"ai_rmse": 3, "fa_mae": 4, "v1_deg": 2, "dev_rmse": 3, "seconds": 1}
    return [row["method"], *("-" if row[key] is None else f"{row[key]:.{n}f}" for key, n in digits.items())]


def _print_table(case: Case, rows: list[dict[str, Any]]) -> None:
    from rich.console import Console as RichConsole
    from rich.table import Table

    table = Table(title=case.about, title_justify="left", title_style="")
    table.add_column("method")
    for title in (*SCORES.values(), "seconds"):
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(*_cells(row), style="bold" if row["method"] == OURS else "")
    RichConsole().print(table)


def _print_section(section: Section) -> None:
    from rich.console import Console as RichConsole
    from rich.table import Table

    table = Table(title=section.about, title_justify="left", title_style="")
    table.add_column(section.title.lower())
    for title in ("before", "after"):
        table.add_column(title, justify="right")
    for row in section.rows:
        table.add_row(*row)
    RichConsole().print(table)


def _index(result: dict[str, Any], figures: dict[str, bytes], sections: list[Section]) -> str:
    from mvnet import __version__
    from mvnet.apps.common import page
    from mvnet.apps.dti.bids import report_name

    parts = []
    for stem, figure in figures.items():
        case = result["cases"][stem]
        rows = case["rows"]
        marked = [k for k, row in enumerate(rows) if row["method"] == OURS]
        parts += [
            page.heading("Real brain" if stem == "real" else "Simulated brain"),
            page.paragraph(case["about"]),
            page.table(("method", *SCORES.values(), "seconds"), [_cells(row) for row in rows], marked, caption=_TABLE),
            page.picture(figure, "Colour FA of an axial slice: reference, raw fit, best peer, mvnet."),
            page.link(report_name(stem), "The report of mvnet denoise dti on this volume"),
        ]
    parts.append(page.paragraph(EXPLANATION))
    for section in sections:
        parts += [
            page.heading(section.title),
            page.paragraph(section.about),
            page.table((section.title.lower(), "before", "after"), section.rows, caption="Distance to the truth"),
            section.html,
            page.link(section.report, f"The report of mvnet on this {section.title.lower()}"),
        ]
    if "interferogram" not in result["cases"]:
        parts.append(page.paragraph("The interferogram is left out: rasterio, of the extra insar, is not installed."))
    return page.document("mvnet demo", f"mvnet {__version__}, {result['seconds']:.0f} s", parts)
