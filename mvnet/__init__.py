"""Learning on data whose values live on a manifold, without ever leaving it.

    import mvnet

    denoised = mvnet.denoise_dti("dwi.nii.gz")
    model = mvnet.load_model("insar")
    end = mvnet.odeint(field, start, times, action=mvnet.manifolds.Congruence(), save="last")

Names are imported when they are first used: `import mvnet` loads no torch.
"""

from typing import TYPE_CHECKING

from mvnet.lazy import lazy_names

if TYPE_CHECKING:
    from mvnet import (
        curves,
        data_loaders,
        equivariant,
        insar_filters,
        integrators,
        linalg,
        losses,
        manifolds,
        metrics,
        models,
        nn,
        optim,
        training,
    )
    from mvnet.api import denoise_dti, denoise_insar, load_model, save_model, verify
    from mvnet.data_loaders.motion import load_motion
    from mvnet.integrators import odeint
    from mvnet.manifolds import SPD, Circle, Euclidean, Power, Product, Rotations, SPDField, Sphere
    from mvnet.models.activity.classifier import MotionClassifier
    from mvnet.models.activity.network import LieMotionNetwork

__version__ = "0.1.0"

__all__ = [
    "SPD",
    "Circle",
    "Euclidean",
    "LieMotionNetwork",
    "MotionClassifier",
    "Power",
    "Product",
    "Rotations",
    "SPDField",
    "Sphere",
    "curves",
    "data_loaders",
    "denoise_dti",
    "denoise_insar",
    "equivariant",
    "insar_filters",
    "integrators",
    "linalg",
    "load_model",
    "load_motion",
    "losses",
    "manifolds",
    "metrics",
    "models",
    "nn",
    "odeint",
    "optim",
    "save_model",
    "training",
    "verify",
]

_PLACES = {
    **dict.fromkeys(("denoise_dti", "denoise_insar", "load_model", "save_model", "verify"), "api"),
    **dict.fromkeys(("Circle", "Euclidean", "Power", "Product", "Rotations", "SPD", "SPDField", "Sphere"), "manifolds"),
    "LieMotionNetwork": "models.activity.network",
    "MotionClassifier": "models.activity.classifier",
    "load_motion": "data_loaders.motion",
    "odeint": "integrators",
    **dict.fromkeys(("curves", "data_loaders", "equivariant", "insar_filters", "integrators"), ""),
    **dict.fromkeys(("linalg", "losses", "manifolds", "metrics", "models", "nn", "optim", "training"), ""),
}

__getattr__, __dir__ = lazy_names(__name__, _PLACES)
