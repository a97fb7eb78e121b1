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
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from sestina.core.errors import FileFormatError, InvalidValueError, SestinaError
from sestina.core.progress import Progress, silent
from sestina.ntk.activations.base import check_number
from sestina.ntk.designs.building import signed_series, written_activation
from sestina.ntk.designs.files import read_document, write_document
from sestina.ntk.designs.forms import DesignedActivation
from sestina.ntk.designs.inputs import DataInputs, DataNetwork
from sestina.ntk.designs.measures import KernelError, kernel_error, measured
from sestina.ntk.designs.options import DesignForm, DesignOptions, SignChoice, check_count
from sestina.ntk.designs.origins import Origin
from sestina.ntk.designs.records import from_body, to_body
from sestina.ntk.designs.variance import ERROR_ANGLES, ERROR_COSINES, UnitVariance
from sestina.ntk.kernels.coefficients import AskedCoefficients, asked_coefficients
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.nets import FullyConnectedNet
from sestina.ntk.pairs import Kind

__all__ = ["Design", "design"]

Floats = NDArray[np.float64]
_TABLE_DEGREES = 16_384

_MAX_WIDTH = 1 << 60
"""Of forecasts; networks that are built end long before."""
_SMALLEST, _LARGEST = 1e-50, 1e50
"""Of K(1): declared figures are made of its fourth power and more, which float64 must hold."""
_STAGES = ("reading coefficients", "choosing signs", "writing the activation", "measuring")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Design:
    """A network for a kernel, with what it achieves.

    Made by `design` or `Design.load`.
    """

    options: DesignOptions
    target: DotProductKernel
    """The kernel asked for. After `load` the same one, if `DotProductKernel.spec` can describe it;
    else, as for a Python function, the series of its coefficients."""
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
    origin: Origin | None = None
    """What the target is called, if whoever made the design said so."""
    inputs: DataInputs | None = field(default=None, repr=False)
    """What `data_module` does with raw rows, if the kernel was fitted to data; else None."""

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
            InvalidValueError: if the accuracy is no number, or no width suffices: the infinitely
                wide network's error is larger, or the width is beyond counting.

        Example:
            >>> linear = design(DotProductKernel.from_coefficients([0.0, 1.0]))
            >>> width = linear.width_for(0.02)
            >>> linear.expected_error(width) <= 0.02 < linear.expected_error(width - 1)
            True
        """
        check_number("accuracy", accuracy)
        wanted = accuracy * self._scale if relative else accuracy
        if not wanted > self.error.rms:
            raise InvalidValueError(
                "accuracy",
                accuracy,
                expected=f"more than {self.error.rms / (self._scale if relative else 1):.3g}, "
                "the error of the infinitely wide network",
                remedy=self._remedy,
            )
        if self.expected_error(_MAX_WIDTH) > wanted:
            raise InvalidValueError(
                "accuracy",
                accuracy,
                expected=f"one that {_MAX_WIDTH} units reach",
                remedy="ask for less",
            )
        # The error falls as the width grows. A formula for the width would round, and overflow.
        too_small, enough = 0, _MAX_WIDTH
        while enough - too_small > 1:
            middle = (too_small + enough) // 2
            if self.expected_error(middle) <= wanted:
                enough = middle
            else:
                too_small = middle
        return enough

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

    def data_module(self, width: int, seed: int = 0) -> DataNetwork:
        """A network on raw rows of the data that the kernel was fitted to, and on new ones.

        It standardises the features, treats norms and the constant input as the fit chose, and adds
        the targets' mean; so train it on raw rows and raw targets. See `inputs`.

        Args:
            width: units of the hidden layer.
            seed: of the initial values.

        Raises:
            InvalidValueError: if the design was not fitted to data.
        """
        if self.inputs is None:
            raise InvalidValueError(
                "inputs",
                None,
                expected="a design that was fitted to data",
                remedy="make it with fit_kernel(X, y).design(), or call module(d_in, d_out, width)",
            )
        net = self.module(self.inputs.num_inputs, self.inputs.output_mean_o.size, width, seed)
        return self.inputs.around(net)

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

        The target, the origin and the inputs are kept, too.

        Raises:
            OSError: if it cannot be written.
        """
        write_document(path, to_body(self))

    @classmethod
    def load(cls, path: str | Path) -> Design:
        """The design that `save` wrote.

        Raises:
            FileFormatError: if the file is damaged or no design, with the reason.
            OSError: if it cannot be read.
        """
        body = read_document(path)
        try:
            return cls(**from_body(body))
        except FileFormatError:
            raise
        # The file's values reach many constructors, and some fail in their own arithmetic.
        except (SestinaError, ArithmeticError, TypeError, ValueError) as error:
            reason = error.problem if isinstance(error, SestinaError) else str(error)
            raise FileFormatError(
                path, reason, remedy="make the design again, or take it from a backup"
            ) from error

    @property
    def _scale(self) -> float:
        return float(np.sqrt((self.target(ERROR_COSINES) ** 2).mean()))

    @property
    def _remedy(self) -> str:
        """What would bring the infinitely wide network closer."""
        width = f"a larger width= (now {self.options.width})"
        if self.form in ("relu-sum", "sinusoid"):
            return f"design with more terms, {width} or form='table'"
        a_k = self.series**2
        if self.kind == "ntk":
            a_k = a_k * (1 + np.arange(a_k.size))
        of_series = kernel_error(self.target, DotProductKernel.from_coefficients(a_k)).rms
        if of_series < self.error.rms / 2:  # the rest comes from the limit, which the width chose
            return f"design with {width}"
        return "design with a higher degree" + (
            " or form='table'" if self.form == "hermite" else ""
        )

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
    progress: Progress = silent,
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
        progress: told of the four stages.

    Raises:
        NotAchievableError: if an aₖ is negative; it holds the nearest achievable kernel.
        DivergentKernelError: if Σ aₖ is infinite.
        UnknownNameError, InvalidValueError: for other arguments out of range.
        InvalidValueError: if the kernel is something else, or K(1) is not from 1e-50 to 1e50.

    Example:
        >>> from sestina.ntk import FullyConnected
        >>> deep = FullyConnected(activation="relu", depth=4, sigma_w=2**0.5, sigma_b=0.1)
        >>> shallow = design(deep.dot_product("ntk"))
        >>> shallow.error.sse < 1e-8, float(shallow.sigma(1.0)) < 7
        (True, True)
        >>> net = shallow.module(d_in=11, d_out=6, width=1024, seed=0)
    """
    _check_kernel(kernel)
    options = DesignOptions(
        kind=kind, form=form, degree=degree, terms=terms, width=width, signs=signs
    )
    return _made(kernel, options, progress)


def _made(kernel: DotProductKernel, options: DesignOptions, progress: Progress) -> Design:
    """The design, stage after stage."""
    progress(0, len(_STAGES), _STAGES[0])
    asked = asked_coefficients(kernel, options.num_degrees)
    _check_size(asked.total)
    progress(1, len(_STAGES), _STAGES[1])
    series_k, limit = signed_series(asked, options)
    progress(2, len(_STAGES), _STAGES[2])
    phi = written_activation(kernel, asked, series_k, limit, options)
    progress(3, len(_STAGES), _STAGES[3])
    # Kinks have slowly falling coefficients, whatever the target's degree.
    degrees = _TABLE_DEGREES if options.form == "relu-sum" else max(series_k.size, 256)
    result = measured(phi, options.kind, degrees=degrees, limit=limit + 3)
    error = kernel_error(kernel, result.kernel)
    progress(4, len(_STAGES), _STAGES[3])
    return Design(
        options=options,
        target=kernel,
        coefficients=asked.a_k,
        beyond=asked.tail,
        series=series_k,
        activation=phi,
        achieved_coefficients=result.coefficients_k,
        error=error,
        tail=_tail(asked, result.coefficients_k),
        variance=result.variance,
    )


def _check_kernel(kernel: object) -> None:
    if isinstance(kernel, DotProductKernel):
        return
    remedy = "pass a DotProductKernel, e.g. DotProductKernel.from_coefficients([0, 0.5, 0.5])"
    if isinstance(kernel, str):
        remedy = f"pass parse_target({kernel!r})"
    elif hasattr(kernel, "dot_product"):
        remedy = "pass network.dot_product(kind)"
    elif callable(kernel):
        remedy = "pass DotProductKernel(function)"
    raise InvalidValueError("kernel", kernel, expected="a DotProductKernel", remedy=remedy)


def _check_size(total: float) -> None:
    if not _SMALLEST <= total <= _LARGEST:
        raise InvalidValueError(
            "K(1)",
            total,
            expected=f"a number from {_SMALLEST:g} to {_LARGEST:g}",
            remedy="design the kernel over its K(1), and scale the network's outputs by √K(1)",
        )


def _tail(asked: AskedCoefficients, achieved_k: Floats) -> float:
    size = min(asked.a_k.size, achieved_k.size)
    realised = float(np.minimum(asked.a_k[:size], achieved_k[:size]).sum())
    return max(asked.total - realised, 0.0)
