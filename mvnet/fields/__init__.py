"""Vector fields z' = xi(t, z) . z (paper section 2.1): what integrators integrate."""

from mvnet.fields.base import ActingField, Field

__all__ = ["ActingField", "Field"]
