"""An independent oracle of Gaussian expectations: the plane in polar coordinates.

Kinks at zero of φ(u) and φ(v) are rays there, so panels in the angle that end at the rays make the
integrand smooth for any correlation; the room's own quadrature cuts lines instead.
"""

from __future__ import annotations

import itertools
import math

import numpy as np


def expectation(left, right, q1, q2, rho, *, reach=14.0, radial=160, angular=40):
    """E[left(u) right(v)] for standard deviations √q1, √q2 and correlation rho."""
    alpha = math.acos(rho)
    nodes, weights = np.polynomial.legendre.leggauss(radial)
    r = (nodes + 1) * reach / 2
    r_weights = weights * reach / 2 * r * np.exp(-r * r / 2) / (2 * math.pi)
    rays = {
        (ray + k * math.pi) % (2 * math.pi)
        for ray in (math.pi / 2, alpha + math.pi / 2)
        for k in (0, 1)
    }
    edges = sorted(rays | {0.0, 2 * math.pi})
    nodes, weights = np.polynomial.legendre.leggauss(angular)
    total = 0.0
    for low, high in itertools.pairwise(edges):
        theta = (high + low) / 2 + (high - low) / 2 * nodes
        u = math.sqrt(q1) * np.outer(r, np.cos(theta))
        v = math.sqrt(q2) * np.outer(r, np.cos(theta - alpha))
        total += r_weights @ (left(u) * right(v)) @ weights * (high - low) / 2
    return float(total)
