"""Is the quality map right? Predicted against realised error, in bins of equal numbers of pixels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

BINS = 8
_LOG_KAPPA = np.linspace(-8, 9, 400)  # of the table of `von_mises_deviation`


def mean_cosine(concentration: np.ndarray) -> np.ndarray:
    """E cos e = I_1(kappa) / I_0(kappa) of a von Mises error e, any shape."""
    from scipy.special import i0e, i1e

    return i1e(concentration) / i0e(concentration)


def von_mises_deviation(concentration: np.ndarray) -> np.ndarray:
    """sqrt(E e^2), e in (-pi, pi] of density exp(kappa cos e) / (2 pi I_0(kappa)), from a table; any shape, radians."""
    # e = pi t^3: dense where the density of a large kappa is
    nodes, weights = np.polynomial.legendre.leggauss(128)
    t = (nodes + 1) / 2
    e = math.pi * t**3
    density = weights * t**2 * np.exp(np.exp(_LOG_KAPPA)[:, None] * (np.cos(e) - 1))
    table = np.sqrt((density * e**2).sum(1) / density.sum(1))
    logarithm = np.log(np.maximum(concentration, math.exp(_LOG_KAPPA[0])))
    return np.exp(np.interp(logarithm, _LOG_KAPPA, np.log(table)))


def calibration(scene: str, error: np.ndarray, concentration: np.ndarray) -> list[dict[str, Any]]:
    """A row for every bin and one for all: expected cosine of the error and RMSE, predicted and realised.

    In the last row "off" is the expected calibration error: the mean of |predicted - realised| cosine over the bins.

    Args:
        scene: name in the table.
        error: wrapped, radians, (N,) of at least BINS pixels.
        concentration: kappa, (N,).
    """
    order = np.argsort(concentration, kind="stable")
    squared = von_mises_deviation(concentration) ** 2
    confidence = mean_cosine(concentration)

    def row(name: str, inside: np.ndarray) -> dict[str, Any]:
        predicted, realised = float(confidence[inside].mean()), float(np.cos(error[inside]).mean())
        return {
            "quality map": scene,
            "bin": name,
            "predicted cos": predicted,
            "realised cos": realised,
            "off": abs(predicted - realised),
            "predicted rmse": math.sqrt(squared[inside].mean()),
            "realised rmse": math.sqrt(np.mean(error[inside] ** 2)),
        }

    rows = [row(f"{i + 1}/{BINS}", inside) for i, inside in enumerate(np.array_split(order, BINS))]
    return [*rows, row("all", order) | {"off": float(np.mean([r["off"] for r in rows]))}]
