"""Rotations of space: `maps` between the group SO(3) and its algebra, `quaternion`, another view of the group."""

from mvnet.linalg.so3 import quaternion
from mvnet.linalg.so3.maps import cayley, dcayinv, dexp, dexpinv, exp, hat, log, project, vee

__all__ = ["cayley", "dcayinv", "dexp", "dexpinv", "exp", "hat", "log", "project", "quaternion", "vee"]
