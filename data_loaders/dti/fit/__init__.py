"""What a fit of tensors rests on: which volumes, which weights, which noise; and what it knows of its own error."""
