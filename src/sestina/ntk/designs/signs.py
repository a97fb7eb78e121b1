"""The signs of a designed activation, chosen for the smallest finite-width error.

φ = Σ ±b_k h_k has the same kernel for every choice of signs; the spread of one finite network's
kernel around it depends on them by orders of magnitude. What is minimised here is the mean over
angles of σ²(c) (see `designs.variance`), exactly and deterministically, for a series that is
continued by its tangent beyond a limit (see `designs.searches`).

Where the freedom lies. By phase, h_k(z) ~ cos(√k z − kπ/2) e^{z²/4}, so with the signs
+ + − − + + … all terms add up near z = 0 and cancel where |z| is large, where any energy left is
amplified by e^{z²/4}. A deviation at degree k spreads over |z| < 2√k; from degree 10 or so on,
that costs more than it can gain, so that the tail's signs are + + − −. The first signs are free.

Why they can be searched exhaustively. Averaged over angles, odd powers of c cancel, so only the
even parts of φ² and φ'² count. With φ = e + o split by parity these are e² + o² and e'² + o'²: a
sum of something known for each choice of even signs and something for each choice of odd ones. So
2¹⁰ · 2¹⁰ choices need 2 · 2¹⁰ evaluations and one matrix product.

For the tangent kernel of a 4-layer ReLU network the search flips, up to mirror images, one sign:
that of h₁. σ(1) falls from 10.0 to 6.6 per unit, the typical error by 13 %.

Axes: g grid point, k degree, j degree of φ², s choice of signs.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sestina.ntk.designs.variance import ERROR_COSINES
from sestina.ntk.gaussian.series import HalfGrid, hermite_blocks
from sestina.ntk.pairs import Kind

__all__ = ["alternating_signs", "chosen_signs", "magnitudes"]

Floats = NDArray[np.float64]

_SEARCHED = 10
"""Signs searched per parity: 2²⁰ combinations. One more each quadruples the time and, for every
target tried, changed nothing."""
_SQUARE_DEGREES = 64
"""Degrees of φ² and φ'² that the search looks at; the mean over angles of cʲ falls like 1/√j."""
_POLISHED = 64
"""Signs of these first degrees are then flipped one at a time while that helps."""
_SWEEPS = 4
_STEP = 0.04
"""Of the grid; at degree 512 a seventh of a wave of φ."""


def magnitudes(a_k: Floats, kind: Kind) -> Floats:
    """b_k ≥ 0 of an activation with the kernel Σ aₖ cᵏ: √aₖ (NNGP) or √(aₖ/(1 + k)) (NTK).

    Example:
        >>> magnitudes(np.array([1.0, 0.5]), "ntk").tolist()
        [1.0, 0.5]
    """
    return np.sqrt(a_k if kind == "nngp" else a_k / (1 + np.arange(a_k.size)))


def alternating_signs(count: int) -> Floats:
    """+ + − − + + − − ….

    Example:
        >>> alternating_signs(5).tolist()
        [1.0, 1.0, -1.0, -1.0, 1.0]
    """
    return np.where(np.arange(count) % 4 < 2, 1.0, -1.0)


def chosen_signs(b_k: Floats, kind: Kind, *, width: int, limit: float) -> Floats:
    """The signs of a series with the least squared error of a network of one width.

    The first even and the first odd term come out positive: −φ and φ(−z) have φ's kernel and
    variance.

    Args:
        b_k: magnitudes, ≥ 0; a series of more than a thousand terms should be shortened first,
            since + + − − continues whatever is chosen.
        kind: which kernel the activation is for.
        width: of the network: what is minimised is bias² + variance/width, where the bias counts
            the energy beyond the limit as if it were missing from the kernel at every angle.
        limit: the |z| from which on φ continues by its tangent.

    Example:
        >>> chosen_signs(np.array([1.0, 0.5, 0.3, 0.2]), "ntk", width=4096, limit=7.0).tolist()
        [1.0, 1.0, -1.0, -1.0]
    """
    search = _Search(b_k, kind, width, limit)
    signs_k = search.polished(search.exhaustive(alternating_signs(b_k.size)))
    for parity in (0, 1):
        present = np.flatnonzero(b_k[parity::2])
        if present.size and signs_k[parity::2][present[0]] < 0:
            signs_k[parity::2] *= -1
    return signs_k


class _Search:
    """The mean squared error of a network, times its width, as a function of signs.

    Up to a constant it is |q(even part) + q(odd part)|², q being quadratic: see `squares`.
    """

    def __init__(self, b_k: Floats, kind: Kind, width: int, limit: float) -> None:
        self.grid = HalfGrid.up_to(limit + 2, _STEP)
        self.b_k = b_k
        # A function is its values and, for the NTK, its slopes in a second half of the grid axis.
        self.terms_kg = _clamped_terms(b_k, self.grid.z_g, limit, with_slopes=kind == "ntk")
        self.weights_gj = self._weights(kind, width, limit).T.copy()
        energy_k = b_k**2 * (1 + np.arange(b_k.size) * (kind == "ntk"))
        self.energy_j = np.zeros((2, self.weights_gj.shape[1]))
        self.energy_j[:, -1] = math.sqrt(width) * np.array(
            [energy_k[0::2].sum(), energy_k[1::2].sum()]
        )

    def squares(self, part_sg: Floats, parity: int) -> Floats:
        """Q of one part, (s, j): weighted Hermite coefficients of its squares, and energy lost."""
        result_sj: Floats = part_sg**2 @ self.weights_gj - self.energy_j[parity]
        return result_sj

    def exhaustive(self, signs_k: Floats) -> Floats:
        """The best signs of the first degrees present, ten of each parity, the others as given."""
        free, squares, choices = [], [], []
        for parity in (0, 1):
            present = np.flatnonzero(self.b_k[parity::2] > 0)[:_SEARCHED] * 2 + parity
            choice_sk = _all_signs(present.size)
            rest_k = signs_k.copy()
            rest_k[present] = 0
            rest_g = rest_k[parity::2] @ self.terms_kg[parity::2]
            squares.append(self.squares(rest_g + choice_sk @ self.terms_kg[present], parity))
            free.append(present)
            choices.append(choice_sk)
        even_sj, odd_sj = squares
        cost_ss = 2 * even_sj @ odd_sj.T
        cost_ss += (even_sj**2).sum(1)[:, None] + (odd_sj**2).sum(1)
        best = np.unravel_index(_first_least(cost_ss), cost_ss.shape)
        result_k = signs_k.copy()
        for present, choice_sk, index in zip(free, choices, best, strict=True):
            result_k[present] = choice_sk[int(index)]
        return result_k

    def polished(self, signs_k: Floats) -> Floats:
        """Signs of which no single flip among the first degrees is an improvement."""
        result_k = signs_k.copy()
        parts = [result_k[parity::2] @ self.terms_kg[parity::2] for parity in (0, 1)]
        squares = [self.squares(parts[parity][None], parity)[0] for parity in (0, 1)]
        cost = float(((squares[0] + squares[1]) ** 2).sum())
        for _ in range(_SWEEPS):
            has_changed = False
            for k in range(1, min(_POLISHED, result_k.size)):
                if self.b_k[k] == 0:
                    continue
                part_g = parts[k % 2] - 2 * result_k[k] * self.terms_kg[k]
                square_j = self.squares(part_g[None], k % 2)[0]
                candidate = float(((square_j + squares[1 - k % 2]) ** 2).sum())
                if candidate < cost * (1 - 1e-9):
                    result_k[k] *= -1
                    parts[k % 2], squares[k % 2], cost = part_g, square_j, candidate
                    has_changed = True
            if not has_changed:
                break
        return result_k

    def _weights(self, kind: Kind, width: int, limit: float) -> Floats:
        """Rows that turn squares into Hermite coefficients, times the roots of their weights.

        The last row is the energy within the limit, E[φ² + φ'²] or E[φ²].
        """
        j = np.arange(0, _SQUARE_DEGREES, 2)
        hermite_kg = np.concatenate(
            [now.copy() for _, now, _ in hermite_blocks(self.grid.z_g, _SQUARE_DEGREES)]
        )
        rows = hermite_kg[0::2] * self.grid.weights_g
        energy_row = math.sqrt(width) * (self.grid.weights_g * (self.grid.z_g <= limit))[None]
        mean_power_j = (ERROR_COSINES ** j[:, None]).mean(1)
        if kind == "nngp":
            return np.vstack([rows * np.sqrt(mean_power_j)[:, None], energy_row])
        value_rows = rows * np.sqrt(mean_power_j * (1 + j / 2))[:, None]
        shifted_j = (ERROR_COSINES ** (j[:, None] + 2)).mean(1)
        slope_rows = rows * np.sqrt(3 * shifted_j)[:, None]
        none = np.zeros_like(rows)
        return np.vstack(
            [
                np.hstack([value_rows, none]),
                np.hstack([none, slope_rows]),
                np.hstack([energy_row, energy_row]),
            ]
        )


def _clamped_terms(b_k: Floats, z_g: Floats, limit: float, *, with_slopes: bool) -> Floats:
    """b_k h_k on z ≥ 0, continued by its tangent from the limit on, and its slopes, (k, g | 2g)."""
    inside_g = np.minimum(z_g, limit)
    terms_kg = np.concatenate([now.copy() for _, now, _ in hermite_blocks(inside_g, b_k.size)])
    slopes_kg = np.zeros_like(terms_kg)
    slopes_kg[1:] = terms_kg[:-1] * (b_k[1:] * np.sqrt(np.arange(1, b_k.size)))[:, None]
    terms_kg *= b_k[:, None]
    terms_kg += slopes_kg * (z_g - inside_g)
    return np.hstack([terms_kg, slopes_kg]) if with_slopes else terms_kg


def _all_signs(count: int) -> Floats:
    """All 2^count rows of ±1, (s, k)."""
    bits = np.arange(1 << count)[:, None] >> np.arange(count) & 1
    return np.where(bits == 1, -1.0, 1.0)


def _first_least(cost_ss: Floats) -> int:
    """The first cost that is within rounding of the least, so that ties fall alike everywhere."""
    least = float(np.nanmin(cost_ss))
    return int(np.flatnonzero(cost_ss.ravel() <= least * (1 + 1e-12) + math.ulp(0.0))[0])
