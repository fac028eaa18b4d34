"""The InSAR denoiser against what people use: `python -m benchmarks.insar [--quick] [--json FILE|-]`.

gentle, steep   simulated scenes of 1024 x 1024 and 256 x 256 pixels with one look of noise, at four coherences and with
    a map of coherences whose lake is not scored; no training has seen them or their seeds. The lower bound is that of
    their fractal surface alone: hills, edges and whatever is not known come on top.
artificial      the image of MVIRT, wrapped Gaussian noise of .3 radians; TV1 + TV2 is published to reach 5.305e-3.
Sentinel-1      a real interferogram (MVNET_DATA), taken as the truth and given the noise of a single look.
quality map     predicted against realised errors of ours, pixels of all coherences of a scene.
speed           of ours on 1024 x 1024 pixels: per second of CPU time on two threads, and per second on a GPU if any.

Ours is one model, given nothing about the noise. Every peer gets, in every case, the parameter with the lowest error on
another draw of the noise (the artificial image: on the image itself); BM3D the true noise level.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.harness import Benchmark, Target
from benchmarks.insar import cases
from benchmarks.insar.calibration import calibration
from benchmarks.insar.cases import Case
from benchmarks.insar.peers import Peer
from benchmarks.insar.scenes import least_error, single_look, true_phase, wrapped
from mvnet.models import load_checkpoint, pretrained
from mvnet.models.insar.inference import DenoisedInterferogram, denoise_interferogram
from mvnet.models.insar.network import InSARDenoiser
from mvnet.runtime import freed_memory_kept

OURS, BOUND = "mvnet", "lower bound"
PROTOTYPE = {"0.3": 0.430, "0.5": 0.262, "0.7": 0.200, "0.9": 0.140}  # RMSE on the steep scene
SHARE_OF_PROTOTYPE = 0.9
ARTIFICIAL_MSE, PUBLISHED_MSE = 0.0045, 0.005304747  # the latter: TV1 + TV2 of MVIRT, its log of this image
CPU_SPEED, GPU_SPEED = 0.5, 50.0  # Mpx per second of CPU time, Mpx/s
PARTS = (*cases.SCENES, "artificial", "real", "speed")
_GPU_SIDE = 4096


def ours(model: InSARDenoiser, z: np.ndarray) -> DenoisedInterferogram:
    """What `mvnet denoise insar` computes of an interferogram that comes without coherence."""
    return denoise_interferogram(model, torch.from_numpy(np.ascontiguousarray(z)))


def best_parameter(peer: Peer, case: Case) -> Any:
    """The one with the lowest wrapped RMSE on the trial."""
    if len(peer.parameters) == 1:
        return peer.parameters[0]
    z, truth, scored = case.trial
    return min(peer.parameters, key=lambda p: cases.scores(peer.filter(z, p), truth, scored)["rmse"])


def compare(model: InSARDenoiser, case: Case, unwrap: bool) -> tuple[list[dict[str, Any]], DenoisedInterferogram]:
    """One row of scores for every method, and the full result of ours."""
    rows = []

    def add(method: str, parameter: Any, phase: np.ndarray, seconds: float | None) -> None:
        of_truth = (phase, case.truth, case.scored)
        rows.append(
            {
                "scene": case.scene,
                "coherence": case.coherence,
                "method": method,
                "parameter": "" if parameter is None else str(parameter),
                **cases.scores(*of_truth),
                "unwrapped wrong %": cases.wrong_after_unwrapping(*of_truth) if unwrap and case.unwraps else None,
                "Mpx/CPU-s": case.z.size / seconds / 1e6 if seconds else None,
            }
        )

    print(case.name, file=sys.stderr)
    add("none", None, np.angle(case.z), None)
    for name, peer in case.peers.items():
        parameter = best_parameter(peer, case)
        start = time.process_time()
        phase = peer.filter(case.z, parameter)
        add(name, parameter, phase, time.process_time() - start)
    start = time.process_time()
    found = ours(model, case.z)
    seconds = time.process_time() - start
    add(OURS, None, found.phase.numpy(), seconds)
    return rows, found


def simulated(
    model: InSARDenoiser, scene: str, quick: bool, unwrap: bool
) -> tuple[list[dict], list[Target], list[dict]]:
    """Rows and targets of the five coherences of a scene, rows of its quality map (all pixels, the lake too)."""
    rows, targets, errors, concentrations = [], [], [], []
    for case in cases.simulated(scene, quick):
        found, denoised = compare(model, case, unwrap)
        rows += found
        targets.append(below_all(case, found))
        constant = cases.COHERENCES[case.coherence]
        if constant is not None:
            row = {"scene": scene, "coherence": case.coherence, "method": BOUND, "parameter": ""}
            rows.append(dict.fromkeys(found[0]) | row | {"rmse": least_error(cases.SCENES[scene], constant)})
        if scene == "steep" and case.coherence in PROTOTYPE:
            value, target = _rmse(found)[OURS], SHARE_OF_PROTOTYPE * PROTOTYPE[case.coherence]
            targets.append(
                Target(
                    f"{case.name}: RMSE, {SHARE_OF_PROTOTYPE} of the prototype's",
                    value,
                    f"<= {target:.3f}",
                    value <= target,
                )
            )
        errors.append(wrapped(denoised.phase.numpy() - case.truth).ravel())
        concentrations.append(denoised.concentration.numpy().ravel())
    return rows, targets, calibration(scene, np.concatenate(errors), np.concatenate(concentrations))


def _rmse(rows: list[dict[str, Any]]) -> dict[str, float]:
    return {row["method"]: row["rmse"] for row in rows}


def below_all(case: Case, rows: list[dict[str, Any]]) -> Target:
    """Ours below every peer."""
    found = _rmse(rows)
    value = found.pop(OURS)
    best = min(found.values())
    return Target(f"{case.name}: RMSE below every peer", value, f"< {best:.4f}", value < best)


def artificial(model: InSARDenoiser, quick: bool) -> tuple[list[dict], list[Target]]:
    """Rows with the mean squared error beside, the published one included."""
    rows, _ = compare(model, cases.artificial(quick), unwrap=False)
    nothing = dict.fromkeys(rows[0]) | {"scene": "artificial", "coherence": "", "parameter": ""}
    rows.append(nothing | {"method": "TV1 + TV2, published", "rmse": PUBLISHED_MSE**0.5})
    for row in rows:
        row["mse"] = row["rmse"] ** 2
    value = _rmse(rows)[OURS] ** 2
    return rows, [Target("artificial: mean squared error", value, f"< {ARTIFICIAL_MSE}", value < ARTIFICIAL_MSE)]


def real(model: InSARDenoiser, quick: bool) -> Iterator[tuple[list[dict], Target]]:
    """For both coherences; nothing, and a line that says so, without MVNET_DATA."""
    if "MVNET_DATA" not in os.environ:
        print("MVNET_DATA: not set, expected the folder that holds insar/eo_tools; left out", file=sys.stderr)
        return
    for case in cases.real(Path(os.environ["MVNET_DATA"]), quick):
        rows, _ = compare(model, case, unwrap=False)
        yield rows, below_all(case, rows)


@freed_memory_kept()
def speed(model: InSARDenoiser, quick: bool) -> tuple[list[dict], list[Target]]:
    """Ours alone, in tiles as the command line does it: medians over repeats, the first of which is not counted."""
    z = single_look(true_phase(1024), 0.5, seed=0)
    rows, targets = [], []

    def measure(device: str, image: torch.Tensor, clock: Any, repeats: int, target: float) -> None:
        here, times = model.to(device), []
        for _ in range(1 + repeats):
            start = clock()
            denoise_interferogram(here, image)
            times.append(clock() - start)
        rate = image.numel() / median(times[1:]) / 1e6
        unit = "Mpx/s" if device == "cuda" else "Mpx per CPU-second"
        rows.append({"speed": device, "pixels": image.numel(), "seconds": median(times[1:]), unit: rate})
        targets.append(Target(f"{device}: {unit}", rate, f">= {target:g}", rate >= target))

    def gpu_clock() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    measure("cpu", torch.from_numpy(np.tile(z, (2, 2))), time.process_time, 1 if quick else 3, CPU_SPEED)
    torch.set_num_threads(threads)
    if torch.cuda.is_available():
        tiles = (_GPU_SIDE // 1024,) * 2
        measure("cuda", torch.from_numpy(np.tile(z, tiles)).cuda(), gpu_clock, 3, GPU_SPEED)
        model.cpu()
    return rows, targets


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="FILE", help="checkpoint to use instead of the shipped weights")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--unwrap", action=argparse.BooleanOptionalAction, default=True, help="unwrap every result")


def main() -> None:
    benchmark = Benchmark("insar", __doc__, add_options=add_options)
    options, quick = benchmark.options, benchmark.quick
    try:
        model, _ = pretrained("insar") if options.model is None else load_checkpoint(options.model)
    except ValueError as error:
        sys.exit(str(error))
    assert isinstance(model, InSARDenoiser)
    torch.set_num_threads(2)
    ours(model, single_look(np.zeros((64, 64)), 0.9, seed=0))  # the first call is slower than the others
    rows, targets, maps = [], [], []
    for scene in (name for name in cases.SCENES if name in options.only):
        found, limits, quality = simulated(model, scene, quick, options.unwrap)
        rows, targets, maps = rows + found, targets + limits, maps + quality
    if "artificial" in options.only:
        found, limits = artificial(model, quick)
        rows, targets = rows + found, targets + limits
    for found, limit in real(model, quick) if "real" in options.only else ():
        rows, targets = rows + found, [*targets, limit]
    if "speed" in options.only:
        found, limits = speed(model, quick)
        maps, targets = maps + found, targets + limits
    benchmark.report(rows + maps, targets)


if __name__ == "__main__":
    main()
