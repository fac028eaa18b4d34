"""Every folder with Python files or weights is part of the package: `apps` and `data_loaders` install below `mvnet`."""

from setuptools import find_namespace_packages, setup

ROOTS = {"mvnet": "mvnet", "mvnet.apps": "apps", "mvnet.data_loaders": "data_loaders"}


def packages() -> list[str]:
    """The roots and all folders below them."""
    rooms = {root: find_namespace_packages(folder, exclude=["*__pycache__*"]) for root, folder in ROOTS.items()}
    return [name for root, below in rooms.items() for name in (root, *(f"{root}.{room}" for room in below))]


setup(packages=packages(), package_dir=ROOTS)
