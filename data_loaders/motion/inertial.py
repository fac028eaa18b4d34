"""Inertial sensors: rotations from angular rates and from quaternions.

A rotation maps axes of the sensor to axes of the world: R' = R hat(w), w the rate in the axes of the sensor.
"""

from __future__ import annotations

import numpy as np

from mvnet.data_loaders.errors import DataError

RADIANS = {"rad/s": 1.0, "deg/s": np.pi / 180}
"""Radians per second of one unit of angular rate."""
_SHORTEST = 1e-150  # length of a quaternion


def integrate_gyroscope(rates: np.ndarray, times: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
    """Rotations from angular rates, on SO(3) by the exponential, exact to fourth order for rates linear in time.

        R_{k+1} = R_k exp(hat(u)),   u = h (w_k + w_{k+1}) / 2 + h^2 / 12  w_k x w_{k+1},   h = t_{k+1} - t_k

    There is nothing to correct drift with: the error grows with the bias of the gyroscope.

    Args:
        rates: w (frames, ..., 3) rad/s, finite.
        times: (frames,) seconds, increasing.
        start: R_0 (..., 3, 3), the identity when None.
    Returns:
        (frames, ..., 3, 3) float64.
    Raises:
        DataError: times that do not increase, rates that are not finite.
    Source: Magnus expansion; paper section 2.4; Iserles et al., Lie-group methods (2000), section 4.
    """
    from scipy.spatial.transform import Rotation

    rates, times = np.asarray(rates, dtype=np.float64), np.asarray(times, dtype=np.float64)
    if rates.shape[-1:] != (3,) or times.shape != rates.shape[:1]:
        raise DataError(
            f"rates: found shape {rates.shape} with {times.shape} times, expected (frames, ..., 3), (frames,)"
        )
    if not np.isfinite(rates).all():
        raise DataError("rates: found values that are not finite, expected them filled in")
    if (np.diff(times) <= 0).any():
        raise DataError(
            f"times: found a step back at frame {int(np.argmin(np.diff(times))) + 1}, expected seconds that grow"
        )
    h = np.diff(times).reshape(-1, *[1] * (rates.ndim - 1))
    u = h * (rates[:-1] + rates[1:]) / 2 + h**2 / 12 * np.cross(rates[:-1], rates[1:])
    steps = Rotation.from_rotvec(u.reshape(-1, 3)).as_matrix().reshape(*u.shape, 3)
    rotations = np.empty((*rates.shape, 3))
    rotations[0] = np.eye(3) if start is None else start
    for k, step in enumerate(steps):
        rotations[k + 1] = rotations[k] @ step
    return rotations


def rotations_of_quaternions(quaternions: np.ndarray, order: str) -> np.ndarray:
    """Matrices (..., 3, 3) of quaternions (..., 4), not necessarily of unit length.

    NaN where one is 0 or NaN, or has a length whose square no number holds.

    Args:
        order: "wxyz" or "xyzw".
    """
    from scipy.spatial.transform import Rotation

    scalar_last = to_xyzw(quaternions, order)
    flat = scalar_last.reshape(-1, 4)
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(flat, axis=-1)
    good = (lengths > _SHORTEST) & (lengths < 1 / _SHORTEST)
    result = np.full((len(flat), 3, 3), np.nan)
    if good.any():
        result[good] = Rotation.from_quat(flat[good]).as_matrix()
    return result.reshape(*quaternions.shape[:-1], 3, 3)


def nearest_rotations(matrices: np.ndarray) -> np.ndarray:
    """The rotation nearest to each matrix (..., 3, 3), NaN where none is near.

        M = U S V^T  ->  U V^T, where |S - 1| < 0.05 and det M > 0

    Source: Higham, Matrix nearness problems and applications (1989), section 4, the orthogonal polar factor.
    """
    good = np.isfinite(matrices).all((-1, -2), keepdims=True)
    u, s, vt = np.linalg.svd(np.where(good, matrices, 0.0))
    near = (np.abs(s - 1) < 0.05).all(-1) & (np.linalg.det(u) * np.linalg.det(vt) > 0)
    return np.where(near[..., None, None], u @ vt, np.nan)


def to_xyzw(quaternions: np.ndarray, order: str) -> np.ndarray:
    """Quaternions (..., 4) with the scalar last, as scipy has them."""
    if order not in ("wxyz", "xyzw"):
        raise DataError(f"order: found {order!r}, expected wxyz or xyzw")
    return quaternions if order == "xyzw" else np.roll(quaternions, -1, axis=-1)


def continuous(quaternions: np.ndarray) -> np.ndarray:
    """The same rotations with signs such that neighbours (frames, ..., 4) lie in one hemisphere: q_k . q_{k+1} >= 0.

    A missing (NaN) quaternion leaves the sign as it was.
    """
    dots = (quaternions[1:] * quaternions[:-1]).sum(-1)
    signs = np.concatenate((np.ones((1, *dots.shape[1:])), np.where(dots < 0, -1.0, 1.0)))
    return quaternions * np.cumprod(signs, axis=0)[..., None]
