"""Which volumes of a scan the tensor is fitted to.

The signal of the tensor model is exp(-b g^T D g); in tissue it holds up to about b = 1500 s/mm^2 (Jensen et al., Magn.
Reson. Med. 53 (2005) 1432-1440: the next term of log S is b^2 MD^2 K / 6). Shells above that pull diffusivities down,
and their misfit looks like noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mvnet.data_loaders.dti.fit_options import FitOptions
from mvnet.data_loaders.dti.gradients import b0_limit
from mvnet.data_loaders.errors import DataError

USUAL_MAXIMUM = 1500.0
"""s/mm^2: above it the tensor model no longer describes tissue."""

_SPREAD = 1.05  # scanners write the b-values of a shell up to 5 % apart
_NEAR, _NEAR_SHARE = 50.0, 0.1  # s/mm^2, and of the b-value: how far from a shell its volumes are
_MIN_NORM = 0.1  # of a b-vector; a shorter one is no direction


@dataclass(frozen=True)
class Selection:
    """used: (M,) bool, the volumes to fit; b0: (M,) bool, those of them without weighting; messages for the user."""

    used: np.ndarray
    b0: np.ndarray
    messages: list[str]


def select_volumes(
    bvals: np.ndarray, bvecs: np.ndarray, options: FitOptions, usable: np.ndarray | None = None
) -> Selection:
    """The volumes to fit: those asked for, else those up to b = 1500 where they determine a tensor, else all.

    Args:
        bvals, bvecs: (M,) in s/mm^2 and (M, 3).
        options: which shells and volumes are asked for.
        usable: (M,) bool, the volumes that can be fitted at all; None takes all.
    Raises:
        DataError: a volume or a shell that the scan does not have, or too few directions left.
    """
    count = len(bvals)
    used = np.ones(count, dtype=bool) if usable is None else usable.copy()
    wrong = [number for number in options.skip_volumes if not 0 <= number < count]
    if wrong:
        raise DataError(f"skip_volumes: found {wrong[0]}, expected numbers of volumes from 0 to {count - 1}")
    used[list(options.skip_volumes)] = False
    b0 = bvals < b0_limit(bvals[used], options.b0_threshold)
    candidates = used & (b0 | (np.linalg.norm(bvecs, axis=1) > _MIN_NORM))
    used, why = _asked(bvals, b0, candidates, options)
    if why is None:
        return _usual(bvals, bvecs, b0, candidates, options.all_shells)
    check_selection(bvecs, used, b0, why)
    line = f"shells: fitted {describe(bvals, used, b0)} of {count} volumes ({why})"
    return Selection(used, used & b0, [line, *_warn(bvals, used)])


def _asked(bvals: np.ndarray, b0: np.ndarray, used: np.ndarray, options: FitOptions) -> tuple[np.ndarray, str | None]:
    """The volumes of the shells asked for, and what was asked; None when nothing was."""
    words, keep = [], used.copy()
    if options.shells is not None:
        near = np.zeros_like(used)
        for shell in options.shells:
            here = used & (np.abs(bvals - shell) <= max(_NEAR, _NEAR_SHARE * shell))
            if not here.any():
                found = ", ".join(f"{b:.0f}" for b in shells_of(bvals[used & ~b0]))
                raise DataError(f"shells: found none of b = {shell:g} s/mm^2, expected some of {found}")
            near |= here
        keep &= near | b0
        words.append("shells " + ", ".join(f"{shell:g}" for shell in options.shells))
    if options.bmax is not None:
        keep &= (bvals <= _SPREAD * options.bmax) | b0
        words.append(f"b <= {options.bmax:g}")
    return keep, " and ".join(words) + " as asked" if words else None


def _usual(bvals: np.ndarray, bvecs: np.ndarray, b0: np.ndarray, used: np.ndarray, everything: bool) -> Selection:
    """Up to b = 1500 where that determines a tensor, else every volume."""
    low = used & (b0 | (bvals <= _SPREAD * USUAL_MAXIMUM))
    if everything or (low == used).all() or not determines_tensor(bvecs[low & ~b0]):
        return Selection(used, used & b0, _warn(bvals, used))
    line = (
        f"shells: fitted {describe(bvals, low, b0)} of {len(bvals)} volumes, those of b <= {USUAL_MAXIMUM:.0f} "
        "s/mm^2, up to which the tensor model holds; others on request (--shells, --bmax, --all-shells)"
    )
    return Selection(low, low & b0, [line])


def check_selection(bvecs: np.ndarray, used: np.ndarray, b0: np.ndarray, why: str, name: str = "shells") -> None:
    """DataError, of the argument `name`, unless volumes (M,) hold a b0 and directions that determine a tensor."""
    if not (used & b0).any():
        raise DataError(f"{name}: found no b0 volume left ({why}), expected at least one")
    if not determines_tensor(bvecs[used & ~b0]):
        left = int((used & ~b0).sum())
        raise DataError(f"{name}: found {left} weighted volumes left ({why}), expected at least six spread directions")


def determines_tensor(g: np.ndarray) -> np.ndarray:
    """Whether directions (..., n, 3), zero where there is none, determine all six components of a tensor."""
    quadratic = np.stack([g[..., i] * g[..., j] for i in range(3) for j in range(i, 3)], -1)
    return np.asarray(np.linalg.matrix_rank(quadratic, tol=1e-3) == 6)


def shells_of(bvals: np.ndarray) -> list[float]:
    """Mean b-values of the shells: b-values within 10 % or 50 s/mm^2 of their neighbour are one.

    Args:
        bvals: (n,) in s/mm^2.
    """
    ordered = np.sort(bvals)
    gaps = np.flatnonzero(np.diff(ordered) > np.maximum(_NEAR, _NEAR_SHARE * ordered[:-1])) + 1
    return [float(group.mean()) for group in np.split(ordered, gaps) if len(group)]


def describe(bvals: np.ndarray, used: np.ndarray, b0: np.ndarray) -> str:
    """Such as '36 (6 b0, 30 of b 1000)'."""
    weighted = bvals[used & ~b0]
    shells = np.array(shells_of(weighted))
    nearest = np.abs(weighted[:, None] - shells).argmin(1)
    parts = [f"{int((used & b0).sum())} b0"]
    parts += [f"{int((nearest == k).sum())} of b {shell:.0f}" for k, shell in enumerate(shells)]
    return f"{int(used.sum())} ({', '.join(parts)})"


def _warn(bvals: np.ndarray, used: np.ndarray) -> list[str]:
    largest = bvals[used].max()
    if largest <= _SPREAD * USUAL_MAXIMUM:
        return []
    return [f"warning: b-values up to {largest:.0f} s/mm^2; the tensor model holds up to about {USUAL_MAXIMUM:.0f}"]
