"""Vector fields z' = xi(t, z) . z (paper section 2.1): the input of integrators."""

from mvnet.fields.base import ActingField, Field

__all__ = ["ActingField", "Field"]
