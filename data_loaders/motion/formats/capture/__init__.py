"""Motion capture: hierarchies with angles, and markers."""
