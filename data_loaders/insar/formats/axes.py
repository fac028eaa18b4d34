"""Which axes of an array are rows, columns, a stack, or real and imaginary part."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mvnet.data_loaders.errors import DataError

Axis = str
"""Role of an axis: y; x; one, of length 1; parts, real and imaginary; bands, rasters of different kinds; stack, of one
kind."""

_NAMES: tuple[tuple[Axis, str], ...] = (
    ("y", r"y|y_?coordinates?|lat(itude)?|north(ing)?|rows?|lines?|az(imuth)?|length"),
    ("x", r"x|x_?coordinates?|lon(gitude)?|long|east(ing)?|col(umn)?s?|samples?|pixels?|r(an)?ge?|width"),
    ("parts", r"ri|re_?im|real_?imag(inary)?|complex|cplx|reim|parts?|iq|components?"),
    ("bands", r"bands?|layers?|variables?|channels?"),
)
_FAR = 2  # a stack is told by its axis being shorter than both others by this factor
_STACK_LAST = r"[/:]ifgs$"  # SARvey's (length, width, number)


def find_axes(
    name: str,
    shape: Sequence[int],
    dims: Sequence[str],
    images: Sequence[tuple[int, int]],
    first: bool = False,
) -> tuple[Axis, ...]:
    """The role of each axis.

    Told by the names of the dimensions; else by shapes of images that the array must hold; else a stack is along an
    axis, the first or the last, that is far shorter than the others. A stack of two is "bands" without a name: its
    values say what it is.

    Args:
        name: of the array, for messages.
        shape: at least 2 axes.
        dims: names of the axes, "" where unknown.
        images: (rows, columns) of other rasters of the file or in its attributes.
        first: the product keeps the stack in front.
    Raises:
        DataError: the axes cannot be told apart.
    """
    named = [_named(dim, size) for dim, size in zip(dims, shape)]
    if named.count("y") == named.count("x") == 1:
        return tuple(axis or ("one" if size == 1 else "stack") for axis, size in zip(named, shape))
    long = [k for k, size in enumerate(shape) if size > 1]
    long = long if len(long) > 1 else list(range(len(shape)))[-2:]
    if len(long) == 2:
        return _place(len(shape), {long[0]: "y", long[1]: "x"})
    if len(long) == 4 and shape[long[1]] == 2 and not any(named):
        return _place(len(shape), {long[0]: "stack", long[1]: "parts", long[2]: "y", long[3]: "x"})
    if len(long) != 3:
        raise DataError(f"layer: found shape {tuple(shape)} of {name}, expected (y, x), or one axis more for a stack")
    sizes = [shape[k] for k in long]
    along = 0 if first else _stack_axis(name, sizes, images)
    if along is None:
        raise DataError(
            f"layer: found axes of length {sizes[0]}, {sizes[1]}, {sizes[2]} in {name} that nothing tells apart, "
            "expected dimensions named y and x, or attributes LENGTH and WIDTH"
        )
    rest = [k for k in long if k != long[along]]
    unnamed = "bands" if sizes[along] == 2 and not first else "stack"
    kind = unnamed if first else named[long[along]] or unnamed
    return _place(len(shape), {long[along]: kind, rest[0]: "y", rest[1]: "x"})


def _named(dim: str, size: int) -> Axis | None:
    word = dim.rpartition("/")[2].lower()
    axis = next((axis for axis, pattern in _NAMES if re.fullmatch(pattern, word)), None)
    if axis == "parts" and size != 2:
        return None
    return "one" if size == 1 and axis not in ("y", "x") else axis


def _stack_axis(name: str, sizes: list[int], images: Sequence[tuple[int, int]]) -> int | None:
    """Position of the stack among three axes; None if it cannot be told."""
    by_images = {k for k in range(3) for image in images if tuple(sizes[:k] + sizes[k + 1 :]) == image}
    if len(by_images) == 1:
        return by_images.pop()
    if re.search(_STACK_LAST, name):
        return 2
    by_size = [k for k in (0, 2) if all(sizes[k] * _FAR <= sizes[m] for m in range(3) if m != k)]
    return by_size[0] if by_size else None


def _place(count: int, found: dict[int, Axis]) -> tuple[Axis, ...]:
    roles: list[Axis] = ["one"] * count
    for k, axis in found.items():
        roles[k] = axis
    return tuple(roles)
