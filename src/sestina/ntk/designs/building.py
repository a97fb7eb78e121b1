"""From coefficients to an activation: the signed series, and φ in the form asked for."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sestina.core.errors import InvalidValueError
from sestina.ntk.designs.forms import DesignedActivation, HermiteSeries, TabulatedActivation
from sestina.ntk.designs.options import DesignOptions
from sestina.ntk.designs.relu_fits import relu_sum
from sestina.ntk.designs.searches import signs_and_limit
from sestina.ntk.designs.signs import alternating_signs, magnitudes
from sestina.ntk.designs.variance import ERROR_COSINES
from sestina.ntk.designs.wave_fits import sinusoid_sum
from sestina.ntk.gaussian.series import evaluate
from sestina.ntk.kernels.coefficients import AskedCoefficients, truncated
from sestina.ntk.kernels.dot_product import DotProductKernel

__all__ = ["signed_series", "written_activation"]

Floats = NDArray[np.float64]
_SEARCH_DEGREES = 512
"""The series is shortened to this for the choice of signs and limit: what lies beyond adds the same
to every candidate."""
_STEPS_PER_WAVE = 50
"""Knots of the table per wave of the highest degree: cubic interpolation is then right to 1e-5."""


def written_activation(
    kernel: DotProductKernel,
    asked: AskedCoefficients,
    series_k: Floats,
    limit: float,
    options: DesignOptions,
) -> DesignedActivation:
    """φ in the form asked for."""
    kind, terms, width = options.kind, options.terms, options.width
    if options.form == "table":
        return _table(series_k, limit)
    if options.form == "hermite":
        return HermiteSeries(series_k, limit)
    target_a = kernel(ERROR_COSINES)
    if options.form == "relu-sum":
        return relu_sum(target_a, series_k, limit, kind, terms=terms, width=width)
    return sinusoid_sum(asked, target_a, series_k, limit, kind, terms=terms, width=width)


def signed_series(asked: AskedCoefficients, options: DesignOptions) -> tuple[Floats, float]:
    """The signed series and its limit."""
    count = options.num_degrees
    if options.form == "hermite":
        a_k = short_k = asked.a_k[:count]
        if not a_k.any():
            raise InvalidValueError(
                "degree",
                options.degree,
                expected="a degree that the kernel has",
                remedy="pass a higher degree",
            )
    else:
        a_k, short_k = truncated(asked, count), truncated(asked, min(count, _SEARCH_DEGREES))
    first_k, limit = signs_and_limit(
        short_k, options.kind, width=options.width, signs=options.signs
    )
    signs_k = alternating_signs(a_k.size)
    for parity in (0, 1):  # the tail goes on as the search assumed, up to the sign of its parity
        last = first_k[parity::2][-1:] * signs_k[: first_k.size][parity::2][-1:]
        signs_k[parity::2] *= last if last.size else 1.0
    signs_k[: first_k.size] = first_k
    return signs_k * magnitudes(a_k, options.kind), limit


def _table(series_k: Floats, limit: float) -> TabulatedActivation:
    """φ at knots close enough for its highest degree, √N being its wave number."""
    wave_number = max(math.sqrt(series_k.size), 8.0)
    half = limit * wave_number * _STEPS_PER_WAVE / (2 * math.pi)
    cells = 2 << max(8, math.ceil(math.log2(half)))
    parts = evaluate(series_k, np.linspace(0, limit, cells // 2 + 1))
    minus, plus = parts.even_g - parts.odd_g, parts.even_g + parts.odd_g
    slope_minus = parts.odd_slope_g - parts.even_slope_g
    slope_plus = parts.odd_slope_g + parts.even_slope_g
    return TabulatedActivation(
        limit,
        np.concatenate([minus[:0:-1], plus]),
        np.concatenate([slope_minus[:0:-1], slope_plus]),
    )
