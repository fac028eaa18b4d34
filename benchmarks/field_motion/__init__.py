"""Motion in the field."""
