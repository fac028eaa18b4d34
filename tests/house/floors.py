"""The floors of the house, from the bottom to the top. An import points down, or stays within its room.

An entry is a module, or a package with everything below it. A package of `FRONTS` stands for its own `__init__.py`
only: its modules and folders are rooms of their own, and have their entries.
"""

from __future__ import annotations

FLOORS: tuple[tuple[str, ...], ...] = (
    ("mvnet.errors", "mvnet.lazy"),
    ("mvnet.ranks", "mvnet.runtime", "mvnet.storage"),
    ("mvnet.linalg",),
    ("mvnet.manifolds",),
    ("mvnet.curves", "mvnet.equivariant", "mvnet.fields", "mvnet.losses", "mvnet.metrics", "mvnet.optim"),
    (
        "mvnet.data_loaders",
        "mvnet.data_loaders.errors",
        "mvnet.data_loaders.packing",
        "mvnet.integrators",
        "mvnet.training",
    ),
    ("mvnet.invertible",),
    (
        "mvnet.data_loaders.confident_array",
        "mvnet.data_loaders.isolated",
        "mvnet.data_loaders.isolated_worker",
        "mvnet.data_loaders.npz_files",
        "mvnet.data_loaders.optional",
        "mvnet.data_loaders.point_sets",
        "mvnet.data_loaders.random_fields",
        "mvnet.data_loaders.text_files",
    ),
    ("mvnet.data_loaders.dti", "mvnet.data_loaders.image", "mvnet.data_loaders.insar", "mvnet.data_loaders.motion"),
    ("mvnet.control",),
    ("mvnet.nn",),
    (
        "mvnet.models.amplification",
        "mvnet.models.guarantee",
        "mvnet.models.position_noise",
        "mvnet.models.stored",
        "mvnet.models.tiling",
    ),
    ("mvnet.models.activity", "mvnet.models.dti", "mvnet.models.image", "mvnet.models.insar", "mvnet.models.motion"),
    ("mvnet.models.calibration", "mvnet.models.exported", "mvnet.models.trials"),
    ("mvnet.models.registry",),
    ("mvnet.models.checkpoint",),
    ("mvnet.models.posterior_weights",),
    ("mvnet.models.posterior",),
    ("mvnet.models.activity.lie.classifier",),  # the classifiers read and write checkpoints
    ("mvnet.models", "mvnet.models.activity.ensemble", "mvnet.models.activity.lie_classifier"),
    ("mvnet.models.activity.programs",),
    ("mvnet.api",),
    ("mvnet.insar_filters", "mvnet.xarray"),
    ("mvnet",),
    ("mvnet.apps", "mvnet.apps.common", "mvnet.apps.optimizers", "mvnet.apps.verify"),
    ("mvnet.apps.activity", "mvnet.apps.dti", "mvnet.apps.insar", "mvnet.apps.motion"),
    ("mvnet.apps.bench", "mvnet.apps.demo", "mvnet.apps.export"),
    ("mvnet.apps.main",),
)

FRONTS = ("mvnet", "mvnet.apps", "mvnet.data_loaders", "mvnet.models")
"""Packages that hold rooms."""
