"""Skeletons: trees of joints, the axes of the torso, the layouts of depth sensors."""
