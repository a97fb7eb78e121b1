"""The inverse map: from a kernel to the network that has it.

For K(c) = Σ aₖ cᵏ with aₖ ≥ 0, one hidden layer (σ_w = 1, no biases, readout σ_w = 1) with the
activation φ = Σ ±√aₖ h_k has the NNGP K, and with φ = Σ ±√(aₖ/(1+k)) h_k the NTK K, on inputs of
norm √d (Simon, Anand & DeWeese, 2022). The signs are free in theory; here they are chosen so that
a network of finite width comes closest (`sestina.ntk.designs.signs`).

What a `Design` declares is measured on the finished activation by quadrature, not taken from the
formula: tables, truncation, clamping and fits are included.
"""

from __future__ import annotations

import copy
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import cast, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from sestina.core.errors import FileFormatError, InvalidValueError, SestinaError
from sestina.ntk.activations import activation
from sestina.ntk.designs.files import Fields, read_document, write_document
from sestina.ntk.designs.forms import DesignedActivation, HermiteSeries, TabulatedActivation
from sestina.ntk.designs.measures import KernelError, kernel_error, measured
from sestina.ntk.designs.options import DesignForm, DesignOptions, SignChoice, check_count
from sestina.ntk.designs.packing import pack
from sestina.ntk.designs.relu_fits import relu_sum
from sestina.ntk.designs.searches import signs_and_limit
from sestina.ntk.designs.signs import alternating_signs, magnitudes
from sestina.ntk.designs.variance import ERROR_ANGLES, ERROR_COSINES, UnitVariance
from sestina.ntk.designs.wave_fits import sinusoid_sum
from sestina.ntk.gaussian.series import evaluate
from sestina.ntk.kernels.coefficients import AskedCoefficients, asked_coefficients, truncated
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.nets import FullyConnectedNet
from sestina.ntk.pairs import Kind

__all__ = ["Design", "design"]

Floats = NDArray[np.float64]
_SEARCH_DEGREES = 512
"""The series is shortened to this for the choice of signs and limit: what lies beyond adds the same
to every candidate."""
_TABLE_DEGREES = 16_384
_STEPS_PER_WAVE = 50
"""Knots of the table per wave of the highest degree: cubic interpolation is then right to 1e-5."""
_ERROR_NAMES = tuple(item.name for item in fields(KernelError))

_MAX_WIDTH = 1 << 60
"""Of forecasts; networks that are built end long before."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Design:
    """A network for a kernel, with what it achieves.

    Made by `design` or `Design.load`.
    """

    options: DesignOptions
    target: DotProductKernel
    """The kernel asked for; after `load`, the series of its coefficients."""
    coefficients: Floats = field(repr=False)
    """aₖ asked for."""
    beyond: float
    """K(1) − Σ aₖ of `coefficients`: what the kernel has at higher degrees."""
    series: Floats = field(repr=False)
    """b_k, the Hermite coefficients of φ, signs included; for "relu-sum" and "sinusoid" those of
    the ideal φ that was fitted."""
    activation: DesignedActivation
    """φ."""
    achieved_coefficients: Floats = field(repr=False)
    """aₖ of the network, measured."""
    error: KernelError
    """Of the infinitely wide network, measured on 100 angles."""
    tail: float
    """K(1) − Σ min(aₖ, aₖ achieved): the part of the coefficients that is not realised. A table
    makes up for it at its last degrees, so that K(1) still holds."""
    variance: UnitVariance = field(repr=False)
    """σ(c) of one unit and its means."""

    @property
    def kind(self) -> Kind:
        """Which kernel was designed."""
        return self.options.kind

    @property
    def form(self) -> DesignForm:
        """How φ is written."""
        return self.options.form

    @property
    def signs(self) -> NDArray[np.int8]:
        """The signs of the series: 1, −1, or 0 where the kernel has no such degree."""
        return np.sign(self.series).astype(np.int8)

    @property
    def achieved(self) -> DotProductKernel:
        """The kernel of the infinitely wide network, measured."""
        return DotProductKernel.from_coefficients(self.achieved_coefficients)

    def sigma(self, cosine: ArrayLike = 1.0) -> Floats:
        """σ(c): one unit's standard deviation; the kernel of n units has σ(c)/√n.

        Args:
            cosine: c, a number or an array.
        """
        return self.variance.at(np.asarray(cosine, dtype=np.float64))

    def expected_error(self, width: int, *, relative: bool = False) -> float:
        """The RMS over 100 angles of one network's kernel error, averaged over networks.

        Args:
            width: units of the hidden layer.
            relative: as a fraction of the kernel's RMS over the angles.
        """
        check_count("width", width, 1, _MAX_WIDTH)
        error = math.hypot(self.error.rms, self.variance.typical / math.sqrt(width))
        return error / self._scale if relative else error

    def width_for(self, accuracy: float, *, relative: bool = False) -> int:
        """The least width whose `expected_error` is at most `accuracy`.

        Raises:
            InvalidValueError: if no width suffices: the infinitely wide network's error is larger,
                or the width is beyond counting.

        Example:
            >>> linear = design(DotProductKernel.from_coefficients([0.0, 1.0]))
            >>> width = linear.width_for(0.02)
            >>> linear.expected_error(width) <= 0.02 < linear.expected_error(width - 1)
            True
        """
        wanted = accuracy * self._scale if relative else accuracy
        if not wanted > self.error.rms:
            raise InvalidValueError(
                "accuracy",
                accuracy,
                expected=f"more than {self.error.rms / (self._scale if relative else 1):.3g}, "
                "the error of the infinitely wide network",
                remedy="design with a higher degree, more terms or form='table'",
            )
        variance = (wanted - self.error.rms) * (wanted + self.error.rms)
        needed = self.variance.typical**2 / variance
        if not needed < _MAX_WIDTH:
            raise InvalidValueError(
                "accuracy",
                accuracy,
                expected=f"one that {_MAX_WIDTH} units reach, not {needed:.3g}",
                remedy="ask for less",
            )
        width = max(1, math.ceil(needed))
        while width > 1 and self.expected_error(width - 1) <= wanted:
            width -= 1
        while self.expected_error(width) > wanted:  # rounding of the division
            width += 1
        return width

    def module(
        self, d_in: int, d_out: int, width: int, seed: int = 0, *, centred: bool = True
    ) -> FullyConnectedNet:
        """A network of the design, in the NTK parametrisation.

        Args:
            d_in: inputs; the kernel is that of inputs of norm √d_in.
            d_out: outputs.
            width: units of the hidden layer.
            seed: of the initial values.
            centred: subtract the output at initialisation.

        Example:
            >>> net = design(DotProductKernel.from_coefficients([0.0, 0.5, 0.5])).module(3, 1, 64)
            >>> net(torch.ones(2, 3)).shape
            torch.Size([2, 1])
        """
        phi = copy.deepcopy(self.activation)  # networks may live on different devices
        return FullyConnectedNet(d_in, d_out, width, phi, seed=seed, centred=centred)

    def curves(self) -> dict[str, Floats]:
        """What there is to plot.

        Returns:
            angles, cosines, target, achieved and sigma over 100 angles; z, phi and slope over the
            points of φ from −4 to 4.
        """
        z = torch.linspace(-4, 4, 1601, dtype=torch.float64)
        with torch.no_grad():
            phi, slope = self.activation(z), self.activation.derivative(z)
        return {
            "angles": ERROR_ANGLES,
            "cosines": ERROR_COSINES,
            "target": self.target(ERROR_COSINES),
            "achieved": self.achieved(ERROR_COSINES),
            "sigma": self.sigma(ERROR_COSINES),
            "z": z.numpy(),
            "phi": phi.numpy(),
            "slope": slope.numpy(),
        }

    def summary(self) -> dict[str, object]:
        """The figures that the design declares, JSON-able."""
        return {
            "kind": self.kind,
            "form": self.form,
            "total": self.target.total,
            "degrees": int(self.coefficients.size),
            "activation": repr(self.activation),
            "error": asdict(self.error),
            "tail": self.tail,
            "sigma_at_one": float(self.sigma(1.0)),
            "sigma_rms": self.variance.rms,
            "width_for_2_percent": self._width_for_2_percent(),
        }

    def save(self, path: str | Path) -> None:
        """Write the design to one JSON file; the file is the old one or the whole new one.

        Raises:
            OSError: if it cannot be written.
        """
        write_document(path, _to_body(self))

    @classmethod
    def load(cls, path: str | Path) -> Design:
        """The design that `save` wrote.

        Raises:
            FileFormatError: if the file is damaged or no design, with the reason.
            OSError: if it cannot be read.
        """
        body = read_document(path)
        try:
            return _from_body(body)
        except FileFormatError:
            raise
        except SestinaError as error:
            raise FileFormatError(
                path, error.problem, remedy="make the design again, or take it from a backup"
            ) from error

    @property
    def _scale(self) -> float:
        return float(np.sqrt((self.target(ERROR_COSINES) ** 2).mean()))

    def _width_for_2_percent(self) -> int | None:
        try:
            return self.width_for(0.02, relative=True)
        except InvalidValueError:
            return None


def design(
    kernel: DotProductKernel,
    kind: Kind = "ntk",
    form: DesignForm = "table",
    *,
    degree: int | None = None,
    terms: int | None = None,
    width: int = 16_384,
    signs: SignChoice = "searched",
) -> Design:
    """The network with one hidden layer whose kernel is the one given.

    Args:
        kernel: the target, Σ aₖ cᵏ with aₖ ≥ 0.
        kind: whether it is to be the network's "ntk" or "nngp".
        form: "table" (accurate, the default), "hermite", "relu-sum" or "sinusoid".
        degree: highest degree of the series; default 16,383, or 64 for "hermite".
        terms: terms of a "relu-sum" (default 8) or "sinusoid" (default 12).
        width: the width to design for; see `DesignOptions`.
        signs: "searched", or "alternating" for + + − −.

    Raises:
        NotAchievableError: if an aₖ is negative; it holds the nearest achievable kernel.
        DivergentKernelError: if Σ aₖ is infinite.
        UnknownNameError, InvalidValueError: for other arguments out of range.

    Example:
        >>> from sestina.ntk import FullyConnected
        >>> deep = FullyConnected(activation="relu", depth=4, sigma_w=2**0.5, sigma_b=0.1)
        >>> shallow = design(deep.dot_product("ntk"))
        >>> shallow.error.sse < 1e-8, float(shallow.sigma(1.0)) < 7
        (True, True)
        >>> net = shallow.module(d_in=11, d_out=6, width=1024, seed=0)
    """
    options = DesignOptions(
        kind=kind, form=form, degree=degree, terms=terms, width=width, signs=signs
    )
    asked = asked_coefficients(kernel, options.num_degrees)
    series_k, limit = _series(asked, options)
    phi = _activation(kernel, asked, series_k, limit, options)
    # Kinks have slowly falling coefficients, whatever the target's degree.
    degrees = _TABLE_DEGREES if options.form == "relu-sum" else max(series_k.size, 256)
    result = measured(phi, options.kind, degrees=degrees, limit=limit + 3)
    return Design(
        options=options,
        target=kernel,
        coefficients=asked.a_k,
        beyond=asked.tail,
        series=series_k,
        activation=phi,
        achieved_coefficients=result.coefficients_k,
        error=kernel_error(kernel, result.kernel),
        tail=_tail(asked, result.coefficients_k),
        variance=result.variance,
    )


def _activation(
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


def _series(asked: AskedCoefficients, options: DesignOptions) -> tuple[Floats, float]:
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


def _tail(asked: AskedCoefficients, achieved_k: Floats) -> float:
    size = min(asked.a_k.size, achieved_k.size)
    realised = float(np.minimum(asked.a_k[:size], achieved_k[:size]).sum())
    return max(asked.total - realised, 0.0)


def _to_body(design: Design) -> dict[str, object]:
    """The fields of a design file."""
    variance = design.variance
    return {
        "options": asdict(design.options),
        "beyond": design.beyond,
        "coefficients": pack(design.coefficients),
        "series": pack(design.series),
        "achieved_coefficients": pack(design.achieved_coefficients),
        "activation": design.activation.spec(),
        "error": asdict(design.error),
        "tail": design.tail,
        "variance": {
            "angles": pack(variance.angles_a),
            "sigma": pack(variance.sigma_a),
            "rms": variance.rms,
            "variation": variance.variation,
        },
    }


def _from_body(body: Fields) -> Design:
    """The design of a file's fields, each checked."""
    options, error, variance = (body.part(name) for name in ("options", "error", "variance"))
    kind = options.text("kind", ("ntk", "nngp"))
    form = options.text("form", get_args(DesignForm))
    signs = options.text("signs", get_args(SignChoice))
    a_k = body.numbers("coefficients")
    beyond = body.number("beyond", at_least=0.0)
    achieved_k = body.numbers("achieved_coefficients")
    angles, sigma = variance.numbers("angles", at_least=2), variance.numbers("sigma", at_least=2)
    for name, numbers in (("coefficients", a_k), ("achieved_coefficients", achieved_k)):
        if (numbers < 0).any():
            body.refuse(name, float(numbers.min()), "numbers of at least 0")
    if angles.size != sigma.size or (np.diff(angles) <= 0).any() or (sigma < 0).any():
        variance.refuse("sigma", f"{sigma.size} numbers", "one >= 0 for each ascending angle")
    phi = activation(body.mapping("activation"))
    if not isinstance(phi, DesignedActivation):
        body.refuse("activation", repr(phi), "one of the forms that design() makes")
    return Design(
        options=DesignOptions(
            kind=cast("Kind", kind),
            form=cast("DesignForm", form),
            degree=options.count("degree", optional=True),
            terms=options.count("terms", optional=True),
            width=options.count("width") or 0,
            signs=cast("SignChoice", signs),
        ),
        target=DotProductKernel.from_coefficients(np.append(a_k, beyond)),
        coefficients=a_k,
        beyond=beyond,
        series=body.numbers("series"),
        activation=phi,
        achieved_coefficients=achieved_k,
        error=KernelError(**{name: error.number(name) for name in _ERROR_NAMES}),
        tail=body.number("tail"),
        variance=UnitVariance(
            angles_a=angles,
            sigma_a=sigma,
            rms=variance.number("rms", at_least=0.0),
            variation=variance.number("variation", at_least=1e-3),
        ),
    )
