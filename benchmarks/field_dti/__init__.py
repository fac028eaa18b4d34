"""DTI in the field: what is not in the shop window."""
