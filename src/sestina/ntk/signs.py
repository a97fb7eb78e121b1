"""The signs of a designed activation, chosen for the smallest finite-width error.

φ = Σ ±b_k h_k has the same kernel for every choice of signs; the spread of one finite network's
kernel around it depends on them by orders of magnitude. What is minimised here is the mean over
angles of σ²(c) (see `sestina.ntk.variance`), exactly and deterministically.

Where the freedom lies. By phase, h_k(z) ~ cos(√k z − kπ/2) e^{z²/4}, so with the signs + + − − + + …
all terms add up near z = 0 and cancel where |z| is large, where any energy left is amplified by
e^{z²/4}. A deviation at degree k spreads over |z| < 2√k; from degree 10 or so on, that costs more
than it can gain, so that the tail's signs are + + − −. The first signs are free.

Why they can be searched exhaustively. Averaged over angles, odd powers of c cancel, so only the even
parts of φ² and φ'² count. With φ = e + o split by parity these are e² + o² and e'² + o'²: a sum of
something known for each choice of even signs and something for each choice of odd ones. So 2¹⁰ · 2¹⁰
choices need 2 · 2¹⁰ evaluations and one matrix product.

For the tangent kernel of a 4-layer ReLU network the search flips one sign, that of h₁: + − − − + + − −
+ + …; σ(1) falls from 9.6 to 6.4 per unit, the typical error by a seventh.

Axes: g grid point, k degree, j degree of φ², s choice of signs.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sestina.ntk.coefficients import AskedCoefficients, truncated
from sestina.ntk.pairs import Kind
from sestina.ntk.series import HalfGrid, hermite_blocks
from sestina.ntk.variance import ERROR_COSINES

__all__ = ["alternating_signs", "chosen_signs", "magnitudes"]

Floats = NDArray[np.float64]

_SEARCHED = 10
"""Signs searched per parity: 2²⁰ combinations. One more each quadruples the time and, for every
target tried, changed nothing."""
_SEARCH_DEGREES = 512
"""The series is shortened to this for the search; the rest adds the same to every candidate."""
_SQUARE_DEGREES = 64
"""Degrees of φ² and φ'² that the search looks at; the mean over angles of cʲ falls like 1/√j."""
_POLISHED = 64
"""Signs of these first degrees are then flipped one at a time while that helps."""
_SWEEPS = 4
_WIDEST = 24.0
"""Largest |z| of the search; at degree 512, fourth powers stay below 1e280 there."""


def magnitudes(a_k: Floats, kind: Kind) -> Floats:
    """b_k ≥ 0 of an activation with the kernel Σ aₖ cᵏ: √aₖ (NNGP) or √(aₖ/(1 + k)) (NTK).

    Example:
        >>> magnitudes(np.array([1.0, 0.5]), "ntk").tolist()
        [1.0, 0.5]
    """
    return np.sqrt(a_k if kind == "nngp" else a_k / (1 + np.arange(a_k.size)))


def alternating_signs(count: int) -> Floats:
    """+ + − − + + − − …

    Example:
        >>> alternating_signs(5).tolist()
        [1.0, 1.0, -1.0, -1.0, 1.0]
    """
    return np.where(np.arange(count) % 4 < 2, 1.0, -1.0)


def chosen_signs(asked: AskedCoefficients, count: int, kind: Kind) -> Floats:
    """The signs of the first `count` coefficients with the least mean variance over angles.

    The first even and the first odd term come out positive: −φ and φ(−z) have φ's kernel and
    variance.

    Args:
        asked: the kernel's coefficients.
        count: how many signs.
        kind: which kernel the activation is for.
    """
    signs_k = alternating_signs(count)
    b_k = magnitudes(truncated(asked, min(_SEARCH_DEGREES, count)), kind)
    problem = _Search.of(b_k, kind)
    first_k = signs_k[: b_k.size]
    first_k = problem.exhaustive(first_k)
    first_k = problem.polished(first_k)
    # The tail continues the pattern of each parity; the search kept it by construction.
    signs_k[: b_k.size] = first_k
    for parity in (0, 1):
        present = np.flatnonzero(b_k[parity::2])
        if present.size and signs_k[parity::2][present[0]] < 0:
            signs_k[parity::2] *= -1
    return signs_k


class _Search:
    """The mean variance over angles, as a function of signs, up to a constant."""

    def __init__(self, grid: HalfGrid, b_k: Floats, kind: Kind) -> None:
        terms_kg = np.concatenate([now.copy() for _, now, _ in hermite_blocks(grid.z_g, b_k.size)])
        slopes_kg = np.zeros_like(terms_kg)
        slopes_kg[1:] = terms_kg[:-1] * (b_k[1:] * np.sqrt(np.arange(1, b_k.size)))[:, None]
        terms_kg *= b_k[:, None]
        self.grid = grid
        self.b_k = b_k
        # A function is its values and, for the NTK, its slopes in a second half of the grid axis.
        self.is_tangent = kind == "ntk"
        self.terms_kg = np.hstack([terms_kg, slopes_kg]) if self.is_tangent else terms_kg
        self.weights_jg = self._weights()

    @classmethod
    def of(cls, b_k: Floats, kind: Kind) -> _Search:
        """On a grid that is wide enough to hold the series' energy."""
        limit, step = 8.0, 0.04
        while True:
            search = cls(HalfGrid.up_to(limit, step), b_k, kind)
            lost = 1 - search.energy(alternating_signs(b_k.size)) / float(b_k @ b_k)
            if lost < 1e-8 or limit >= _WIDEST:
                return search
            limit = min(1.5 * limit, _WIDEST)

    def energy(self, signs_k: Floats) -> float:
        """E[φ²] as the grid sees it."""
        count = self.grid.z_g.size
        even_g, odd_g = self.parts(signs_k)
        return self.grid.mean(even_g[:count] ** 2 + odd_g[:count] ** 2)

    def parts(self, signs_k: Floats) -> tuple[Floats, Floats]:
        """The even and the odd part."""
        return signs_k[0::2] @ self.terms_kg[0::2], signs_k[1::2] @ self.terms_kg[1::2]

    def squares(self, part_sg: Floats) -> Floats:
        """The weighted Hermite coefficients of a part's squares (s, j): cost = |even + odd|²."""
        count = self.grid.z_g.size
        square_sg = part_sg**2
        values_sj = square_sg[:, :count] @ self.weights_jg[:, :count].T
        if not self.is_tangent:
            return values_sj
        slopes_sj = square_sg[:, count:] @ self.weights_jg[:, count:].T
        return np.hstack([values_sj, slopes_sj])

    def exhaustive(self, signs_k: Floats) -> Floats:
        """The best signs of the first degrees present, ten of each parity, the others as given."""
        free, squares, choices = [], [], []
        for parity in (0, 1):
            present = np.flatnonzero(self.b_k[parity::2] > 0)[:_SEARCHED] * 2 + parity
            choice_sk = _all_signs(present.size)
            rest_k = signs_k.copy()
            rest_k[present] = 0
            rest_g = rest_k[parity::2] @ self.terms_kg[parity::2]
            squares.append(self.squares(rest_g + choice_sk @ self.terms_kg[present]))
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
        parts = list(self.parts(result_k))
        squares = [self.squares(part[None])[0] for part in parts]
        cost = float(((squares[0] + squares[1]) ** 2).sum())
        for _ in range(_SWEEPS):
            has_changed = False
            for k in range(1, min(_POLISHED, result_k.size)):
                if self.b_k[k] == 0:
                    continue
                part_g = parts[k % 2] - 2 * result_k[k] * self.terms_kg[k]
                square_j = self.squares(part_g[None])[0]
                candidate = float(((square_j + squares[1 - k % 2]) ** 2).sum())
                if candidate < cost * (1 - 1e-9):
                    result_k[k] *= -1
                    parts[k % 2], squares[k % 2], cost = part_g, square_j, candidate
                    has_changed = True
            if not has_changed:
                break
        return result_k

    def _weights(self) -> Floats:
        """Rows that turn squares into Hermite coefficients, times the roots of their weights."""
        j = np.arange(0, _SQUARE_DEGREES, 2)
        hermite_kg = np.concatenate(
            [now.copy() for _, now, _ in hermite_blocks(self.grid.z_g, _SQUARE_DEGREES)]
        )[0::2]
        mean_power_j = (ERROR_COSINES ** j[:, None]).mean(1)
        rows = hermite_kg * self.grid.weights_g
        if not self.is_tangent:
            return rows * np.sqrt(mean_power_j)[:, None]
        value_rows = rows * np.sqrt(mean_power_j * (1 + j / 2))[:, None]
        shifted_j = (ERROR_COSINES ** (j[:, None] + 2)).mean(1)
        return np.hstack([value_rows, rows * np.sqrt(3 * shifted_j)[:, None]])


def _all_signs(count: int) -> Floats:
    """All 2^count rows of ±1, (s, k)."""
    bits = np.arange(1 << count)[:, None] >> np.arange(count) & 1
    return 1.0 - 2.0 * bits


def _first_least(cost_ss: Floats) -> int:
    """The first cost that is within rounding of the least, so that ties fall alike everywhere."""
    least = float(np.nanmin(cost_ss))
    return int(np.flatnonzero(cost_ss.ravel() <= least * (1 + 1e-12) + math.ulp(0.0))[0])
