"""Small valid inputs of every kind that is read, and what is promised of what is read."""
