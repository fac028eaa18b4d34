"""What each parameter of a network is: a point of a manifold, a matrix, or a vector.

The kind of layer decides, never a name or a number of axes: the weight of an equivariant convolution is a flat vector
in memory and a matrix in the network. A module of the user's says itself that its `weight` is one, by a method
`matrix_view()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import nn

from mvnet.linalg.matrix_view import MatrixView, plain_view
from mvnet.manifolds.parameter import ManifoldParameter

Kind = Literal["manifold", "matrix", "vector"]

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Role:
    """What a parameter is.

    Args:
        name: in the network.
        parameter: itself.
        kind: "manifold", "matrix" or "vector".
        view: the matrix; None for other kinds.
    """

    name: str
    parameter: nn.Parameter
    kind: Kind
    view: MatrixView | None = None


def roles(model: nn.Module) -> list[Role]:
    """The role of every parameter.

    A parameter that several modules share is a matrix only where each of them takes it for the same one.

    Args:
        model: any network.
    Returns:
        one entry for each parameter, in the order of `model.named_parameters()`.
    """
    views: dict[int, MatrixView | None] = {}
    for module in model.modules():
        view = matrix_view(module)
        for name, parameter in module.named_parameters(recurse=False):
            its = view if name == "weight" else None
            known = views.setdefault(id(parameter), its)
            if known is None or its is None or known.key != its.key:
                views[id(parameter)] = None
    found = []
    for name, parameter in model.named_parameters():
        view = views[id(parameter)]
        if isinstance(parameter, ManifoldParameter):
            found.append(Role(name, parameter, "manifold"))
        elif view is not None:
            found.append(Role(name, parameter, "matrix", view))
        else:
            found.append(Role(name, parameter, "vector"))
    return found


def matrix_views(model: nn.Module) -> dict[nn.Parameter, MatrixView]:
    """The matrices among the parameters of a network.

    Args:
        model: any network.
    Returns:
        parameter -> its view.
    """
    return {role.parameter: role.view for role in roles(model) if role.view is not None}


def matrix_view(module: nn.Module) -> MatrixView | None:
    """The view of a module's `weight`.

    A convolution in groups is several maps of different channels, and has none.

    Args:
        module: one layer.
    Returns:
        its view; None where its weight is not a matrix.
    """
    own = getattr(module, "matrix_view", None)
    if callable(own):
        return own()  # type: ignore[return-value]
    weight = getattr(module, "weight", None)
    if isinstance(module, nn.Linear) or (isinstance(module, _CONVOLUTIONS) and module.groups == 1):
        return plain_view(tuple(weight.shape), type(module).__name__)  # type: ignore[union-attr]
    return None


def is_treated(parameter: nn.Parameter, view: MatrixView | None, fewest: int) -> bool:
    """Whether an optimiser of matrices treats a parameter as one.

    Args:
        parameter: of a network.
        view: its own; None for a vector.
        fewest: an equivariant kernel of fewer weights is a vector.
    Returns:
        whether it does.
    """
    return view is not None and not (view.tied and parameter.numel() < fewest)


def group_by_view(
    parameters: list[nn.Parameter], views: Mapping[nn.Parameter, MatrixView], fewest: int
) -> tuple[list[tuple[MatrixView, list[nn.Parameter]]], list[nn.Parameter]]:
    """The matrices among some parameters, those of one view, dtype and device together, and the others.

    Args:
        parameters: some of a network's.
        views: of `matrix_views`.
        fewest: as of `is_treated`.
    Returns:
        pairs of a view and its parameters; and the parameters that are in none.
    """
    groups: dict[tuple, tuple[MatrixView, list[nn.Parameter]]] = {}
    others = []
    for parameter in parameters:
        view = views.get(parameter)
        if view is None or not is_treated(parameter, view, fewest):
            others.append(parameter)
        else:
            key = (view.key, parameter.dtype, parameter.device)
            groups.setdefault(key, (view, []))[1].append(parameter)
    return list(groups.values()), others
