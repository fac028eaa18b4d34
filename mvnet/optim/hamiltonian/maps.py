"""One step of each method as a function of (theta, p), smooth wherever the gradient of E is: for analysis.

The optimisers take these steps with one gradient each. A conformal map scales the symplectic form,

    J^T Omega J = mu Omega,    J = d(theta+, p+) / d(theta, p),    mu = exp(-gamma h),    hence det J = mu^n,

as the flow of (56) does: volumes shrink at the rate of the flow, whatever the step.

Source: paper section 6.1; Bhatt, Floyd and Moore (2016); Franca et al. (2020).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from mvnet.optim.hamiltonian.kinetic import Kinetic

Gradient = Callable[[Tensor], Tensor]
State = tuple[Tensor, Tensor]


def vector_field(theta: Tensor, p: Tensor, gradient: Gradient, kinetic: Kinetic, friction: float) -> State:
    """The right-hand side of (56).

        theta' = dT/dp,    p' = - dE/dtheta - gamma p,    so that    dH/dt = - gamma p . dT/dp

    The paper prints dH/dt = - gamma / (2 mu) p . p. For T = |p|^2 / (2 mu) the factor is gamma / mu, twice that; for
    other energies it is p . dT/dp that stands there.

    Args:
        theta: parameters, any shape.
        p: momentum, of that shape.
        gradient: of E.
        kinetic: T.
        friction: gamma.
    Returns:
        theta', p'.
    """
    return kinetic.velocity([p])[0], -gradient(theta) - friction * p


def conformal_euler(theta: Tensor, p: Tensor, gradient: Gradient, kinetic: Kinetic, h: float, friction: float) -> State:
    """Conformal symplectic Euler, first order.

        p+ = exp(-gamma h) p - h dE/dtheta(theta),    theta+ = theta + h dT/dp(p+)

    With T = |p|^2 / 2m it is the heavy ball: momentum factor exp(-gamma h), rate h^2 / m.

    Args:
        theta: parameters, any shape.
        p: momentum, of that shape.
        gradient: of E.
        kinetic: T.
        h: step.
        friction: gamma.
    Returns:
        theta+, p+.
    """
    p = math.exp(-friction * h) * p - h * gradient(theta)
    return theta + h * kinetic.velocity([p])[0], p


def conformal_leapfrog(
    theta: Tensor, p: Tensor, gradient: Gradient, kinetic: Kinetic, h: float, friction: float
) -> State:
    """Friction, kick, drift, kick, friction, each but the drift for half a step; second order.

        p_half = exp(-gamma h/2) p - h/2 dE/dtheta(theta)
        theta+ = theta + h dT/dp(p_half)
        p+     = exp(-gamma h/2) ( p_half - h/2 dE/dtheta(theta+) )

    Args:
        theta: parameters, any shape.
        p: momentum, of that shape.
        gradient: of E.
        kinetic: T.
        h: step.
        friction: gamma.
    Returns:
        theta+, p+.
    """
    decay = math.exp(-friction * h / 2)
    half = decay * p - h / 2 * gradient(theta)
    theta = theta + h * kinetic.velocity([half])[0]
    return theta, decay * (half - h / 2 * gradient(theta))


def relativistic_step(
    x: Tensor, v: Tensor, gradient: Gradient, rate: float, momentum: float, delta: float, alpha: float
) -> State:
    """Relativistic gradient descent.

        x_half = x + sqrt(mu) v / sqrt(mu delta |v|^2 + 1)
        v_half = sqrt(mu) v - epsilon dE/dx(x_half)
        x+     = alpha x_half + (1 - alpha) x + v_half / sqrt(delta |v_half|^2 + 1)
        v+     = sqrt(mu) v_half

    Conformal where alpha = 1; Nesterov's method where alpha = delta = 0. A half step is no longer than 1 / sqrt(delta).

    Args:
        x: parameters, any shape.
        v: scaled momentum, of that shape.
        gradient: of E.
        rate: epsilon.
        momentum: mu.
        delta: of the speed limit.
        alpha: 0 to 1.
    Returns:
        x+, v+.
    Source: Franca et al. (2020), algorithm 1. With h, gamma, m and c of (56): mu = exp(-gamma h), epsilon = h^2 / 2m,
        delta = 4 / (c h)^2, v = (h / 2m) p.
    """
    root = math.sqrt(momentum)
    half = x + _limited(root * v, delta)
    v = root * v - rate * gradient(half)
    return alpha * half + (1 - alpha) * x + _limited(v, delta), root * v


def _limited(v: Tensor, delta: float) -> Tensor:
    """v / sqrt(delta |v|^2 + 1), shorter than 1 / sqrt(delta)."""
    return v / (delta * v.square().sum() + 1).sqrt()
