"""The flows that actions and integrators are tried on."""

from tests.integrators.flows import flow

__all__ = ["flow"]
