"""Learning on data whose values live on a manifold, without ever leaving it."""

__version__ = "0.1.0"
