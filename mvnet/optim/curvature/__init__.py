"""Curvature of a loss through a network: losses of the outputs, and Gauss-Newton and Fisher products."""
