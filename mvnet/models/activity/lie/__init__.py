"""A network on curves of rotations of a body, seen facing one way or in the axes of its torso."""
