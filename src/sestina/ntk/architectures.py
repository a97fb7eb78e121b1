"""Fully connected networks of infinite width: from inputs to kernels.

With q the variance of a preactivation, K its covariance over two inputs and Θ its tangent kernel,

    first layer    K¹ = σ_w² x·x'/d + σ_b²,                Θ¹ = K¹
    each hidden    K ← σ_w² E[φφ] + σ_b²,                  Θ ← σ_w² Θ E[φ'φ'] + K
    readout        the same with the readout's σ, once after the last activation,

where the expectations are over the Gaussian with variances q, q' and covariance K (Jacot et al.
2018; Lee et al. 2019). `depth` counts the activations. Options change the step:

- residual: z ← z + W φ(z) + b, so K ← K + σ_w² E[φφ] + σ_b² and Θ ← Θ + its own increment. The
  first layer and the readout have no skip.
- layer_norm: φ sees z/√(mean z²) instead of z, in every hidden layer. The mean over the width
  tends to q, so K/√(qq') and Θ/√(qq') go into the step; the gradient's other terms are O(1/n).
- parametrisation "standard": weights of variance σ_w²/n_in without factors in the network, so
  that Θ ← σ_w² Θ E[φ'φ'] + n_in E[φφ] + 1; the 1 is there only if the layer has biases, σ_b ≠ 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

import torch
from torch import Tensor

from sestina.core.errors import DivergentKernelError, InvalidValueError, OptionError
from sestina.core.registry import nearest_name
from sestina.ntk import activations
from sestina.ntk.activations import Activation, ActivationLike
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.kernels.expressions import READERS, Expression
from sestina.ntk.matrices.tiled import kernel_matrices, kernel_matrix
from sestina.ntk.nets import FullyConnectedNet
from sestina.ntk.pairs import Kernels, Kind, check_kind

__all__ = ["OPTIONS", "FullyConnected", "NetworkCurve", "Parametrisation"]

Parametrisation = Literal["ntk", "standard"]
Scale: TypeAlias = float | Tensor
"""A standard deviation, possibly one that is learned."""


class FullyConnected:
    """A fully connected network, as wide as one likes; `replace` makes a changed copy.

    Args:
        activation: φ of every hidden layer: an `Activation`, its name or spec, or any function.
        depth: number of hidden layers, at least 1.
        sigma_w: standard deviation of weights, hidden layers. May be a tensor that needs grad,
            as may the other three.
        sigma_b: the same of biases.
        readout_sigma_w: the same of the last layer's weights.
        readout_sigma_b: the same of the last layer's biases.
        parametrisation: "ntk" (unit-variance parameters, scales in the network) or "standard".
        width: units of the hidden layers; read only by the standard parametrisation.
        input_width: inputs; read only by the standard parametrisation where the inputs themselves
            are not given, as in `curve`.
        residual: add each hidden layer's input to its output.
        layer_norm: normalise the preactivations over the width.

    Example:
        >>> network = FullyConnected(activation="relu", depth=4, sigma_w=2**0.5, sigma_b=0.1)
        >>> x = torch.eye(3, dtype=torch.float64) * 3**0.5
        >>> network.ntk(x)[0].numpy().round(6).tolist()  # orthogonal inputs of norm √d
        [5.07, 1.474731, 1.474731]
    """

    def __init__(  # noqa: PLR0913 (a network's options; only one has no default)
        self,
        *,
        activation: ActivationLike,
        depth: int = 1,
        sigma_w: Scale = 1.0,
        sigma_b: Scale = 0.0,
        readout_sigma_w: Scale = 1.0,
        readout_sigma_b: Scale = 0.0,
        parametrisation: Parametrisation = "ntk",
        width: int | None = None,
        input_width: int | None = None,
        residual: bool = False,
        layer_norm: bool = False,
    ) -> None:
        self.activation: Final[Activation] = activations.activation(activation)
        self.depth: Final = _checked_count("depth", depth)
        self.sigma_w: Final = _checked_scale("sigma_w", sigma_w)
        self.sigma_b: Final = _checked_scale("sigma_b", sigma_b)
        self.readout_sigma_w: Final = _checked_scale("readout_sigma_w", readout_sigma_w)
        self.readout_sigma_b: Final = _checked_scale("readout_sigma_b", readout_sigma_b)
        self.parametrisation: Final = _checked_parametrisation(parametrisation, width)
        self.width: Final = None if width is None else _checked_count("width", width)
        self.input_width: Final = (
            None if input_width is None else _checked_count("input_width", input_width)
        )
        self.residual: Final = _checked_flag("residual", residual)
        self.layer_norm: Final = _checked_flag("layer_norm", layer_norm)
        _check_alive(self)

    # Kernels of inputs.

    def kernels(self, x1: Tensor, x2: Tensor | None = None, **how: Any) -> Kernels:
        """Both kernels of the rows of x1 with the rows of x2.

        Args:
            x1: (n, d), float32 or float64.
            x2: (m, d); default x1, when the diagonals are exact.
            **how: options of `sestina.ntk.matrices.tiled.kernel_matrices`: threads, tiles, files.

        Returns:
            Two (n, m) tensors of the inputs' dtype; differentiable in inputs and scales.

        Raises:
            DivergentKernelError: if φ jumps, so that the tangent kernel is infinite.
            ShapeError, DtypeError, NonFiniteError: if the inputs are not two real matrices.
        """
        return kernel_matrices(self, x1, x2, **how)

    def ntk(self, x1: Tensor, x2: Tensor | None = None, **how: Any) -> Tensor:
        """The tangent kernel, (n, m); see `kernels`."""
        return kernel_matrix(self, "ntk", x1, x2, **how)

    def nngp(self, x1: Tensor, x2: Tensor | None = None, **how: Any) -> Tensor:
        """The covariance of the random network's outputs, (n, m); see `kernels`."""
        return kernel_matrix(self, "nngp", x1, x2, **how)

    def dot_product(self, kind: Kind) -> DotProductKernel:
        """One of the kernels on the sphere |x|² = d, as a function of the cosine."""
        check_kind(kind)
        if kind == "ntk":
            self._check_has_ntk()
        return DotProductKernel(NetworkCurve(self, kind))

    # Kernels of covariances: the recursion itself.

    def first_covariance(self, moment: Tensor) -> Tensor:
        """What the first layer makes of x·x'/d: σ_w² x·x'/d + σ_b²."""
        return self.sigma_w**2 * moment + self.sigma_b**2

    def curve(self, c: Tensor) -> Kernels:
        """Both kernels at cosines c between inputs of |x|² = d.

        Args:
            c: any shape; real in [−1, 1], or complex in the open unit disc.
        """
        q, k12 = self._on_sphere(c)
        return self.pairwise(q, q, k12)

    def nngp_curve(self, c: Tensor) -> Tensor:
        """`curve` without the tangent kernel, for activations that jump."""
        q, k12 = self._on_sphere(c)
        return self.nngp_pairwise(q, q, k12)

    def pairwise(self, q1: Tensor, q2: Tensor, k12: Tensor) -> Kernels:
        """Both kernels from the first preactivations' variances and covariances, elementwise.

        Args:
            q1: σ_w²|x|²/d + σ_b², broadcast with the others: (n, 1) and (1, m) cost least.
            q2: the same of x'.
            k12: σ_w² x·x'/d + σ_b², real or complex.

        Returns:
            Two tensors of the broadcast shape; differentiable in all arguments and scales.

        Raises:
            DivergentKernelError: if φ jumps, so that the tangent kernel is infinite.
        """
        self._check_has_ntk()
        k12 = k12 + torch.zeros_like(q1 + q2)
        nngp, ntk = self._propagate(q1, q2, k12, self._first_tangent(k12))
        assert ntk is not None
        return Kernels(nngp, ntk)

    def nngp_pairwise(self, q1: Tensor, q2: Tensor, k12: Tensor) -> Tensor:
        """`pairwise` without the tangent kernel, for activations that jump."""
        return self._propagate(q1, q2, k12 + torch.zeros_like(q1 + q2), None)[0]

    def diagonal(self, q: Tensor) -> Kernels:
        """Both kernels of inputs with themselves, exact, from first preactivations' variances."""
        self._check_has_ntk()
        nngp, ntk = self._propagate_diagonal(q, self._first_tangent(q))
        assert ntk is not None
        return Kernels(nngp, ntk)

    def nngp_diagonal(self, q: Tensor) -> Tensor:
        """`diagonal` without the tangent kernel, for activations that jump."""
        return self._propagate_diagonal(q, None)[0]

    # Finite networks, copies and descriptions.

    def module(
        self, d_in: int, d_out: int, width: int, seed: int = 0, *, centred: bool = True
    ) -> FullyConnectedNet:
        """A finite network of this kind, as a PyTorch module.

        Args:
            d_in: inputs.
            d_out: outputs.
            width: units of each hidden layer.
            seed: of the initial parameters.
            centred: subtract the initial network's output.

        Example:
            >>> FullyConnected(activation="relu", depth=2).module(3, 1, 16)(torch.ones(5, 3)).shape
            torch.Size([5, 1])
        """
        return FullyConnectedNet(
            d_in,
            d_out,
            width,
            self.activation,
            depth=self.depth,
            sigma_w=_number(self.sigma_w),
            sigma_b=_number(self.sigma_b),
            readout_sigma_w=_number(self.readout_sigma_w),
            readout_sigma_b=_number(self.readout_sigma_b),
            parametrisation=self.parametrisation,
            residual=self.residual,
            layer_norm=self.layer_norm,
            centred=centred,
            seed=seed,
        )

    def replace(self, **changes: Any) -> FullyConnected:
        """A copy with other arguments.

        Example:
            >>> FullyConnected(activation="relu").replace(depth=3).depth
            3
        """
        return FullyConnected(**(self._arguments() | changes))

    def at_input_width(self, input_width: int) -> FullyConnected:
        """The network for inputs of that many columns; differs in the standard parametrisation."""
        if self.parametrisation == "ntk" or self.input_width == input_width:
            return self
        return self.replace(input_width=input_width)

    def spec(self) -> dict[str, object]:
        """The network as JSON-able values, tensors as numbers: `from_spec` makes an equal one.

        Example:
            >>> FullyConnected.from_spec(FullyConnected(activation="erf", depth=2).spec())
            FullyConnected(activation=Erf(), depth=2)
        """
        values: dict[str, object] = {"activation": self.activation.spec()}
        for name, value in self._changed_arguments().items():
            values[name] = _number(value) if isinstance(value, Tensor) else value
        return values

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> FullyConnected:
        """The network that `spec()` described.

        Raises:
            OptionError: if a key is unknown; the nearest one is named.
        """
        for name in spec:
            if name != "activation" and name not in OPTIONS:
                nearest = nearest_name(name, ("activation", *OPTIONS))
                raise OptionError(
                    "network option",
                    name,
                    expected=f"one of activation, {', '.join(OPTIONS)}",
                    remedy=f"did you mean {nearest!r}?" if nearest else "remove it",
                )
        return cls(**spec)

    def __repr__(self) -> str:
        changed = {"activation": self.activation, **self._changed_arguments()}
        return (
            f"FullyConnected({', '.join(f'{name}={value!r}' for name, value in changed.items())})"
        )

    # The steps.

    def _arguments(self) -> dict[str, Any]:
        return {"activation": self.activation} | {name: getattr(self, name) for name in OPTIONS}

    def _changed_arguments(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in OPTIONS}
        return {
            name: value
            for name, value in values.items()
            if isinstance(value, Tensor) or value != OPTIONS[name]
        }

    def _propagate(
        self, q1: Tensor, q2: Tensor, k12: Tensor, tangent: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        for is_last in [False] * (self.depth - 1) + [True]:
            (in1, in2, in12), in_tangent = (q1, q2, k12), tangent
            if self.layer_norm:
                scale = torch.sqrt(q1 * q2)
                in1 = in2 = torch.ones((), dtype=q1.dtype, device=q1.device)
                in12, in_tangent = k12 / scale, None if tangent is None else tangent / scale
            value, slope = self.activation.duals(in1, in2, in12)
            step12, step_tangent = self._layer(value, slope, in_tangent, is_readout=is_last)
            if is_last:
                break
            step1 = self._layer(self.activation.moments(in1)[0], None, None, is_readout=is_last)[0]
            step2 = self._layer(self.activation.moments(in2)[0], None, None, is_readout=is_last)[0]
            if self.residual:
                q1, q2, k12 = q1 + step1, q2 + step2, k12 + step12
                tangent = (
                    None if tangent is None or step_tangent is None else tangent + step_tangent
                )
            else:
                q1, q2, k12, tangent = step1, step2, step12, step_tangent
        return step12, step_tangent

    def _propagate_diagonal(
        self, q: Tensor, tangent: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        for is_last in [False] * (self.depth - 1) + [True]:
            in_q, in_tangent = q, tangent
            if self.layer_norm:
                in_q, in_tangent = torch.ones_like(q), None if tangent is None else tangent / q
            value, slope = self.activation.moments(in_q)
            step, step_tangent = self._layer(value, slope, in_tangent, is_readout=is_last)
            if is_last:
                break
            if self.residual:
                q = q + step
                tangent = (
                    None if tangent is None or step_tangent is None else tangent + step_tangent
                )
            else:
                q, tangent = step, step_tangent
        return step, step_tangent

    def _layer(
        self, value: Tensor, slope: Tensor | None, tangent: Tensor | None, *, is_readout: bool
    ) -> tuple[Tensor, Tensor | None]:
        """One dense layer on activations of covariance `value`: covariance and tangent kernel."""
        sigma_w = self.readout_sigma_w if is_readout else self.sigma_w
        sigma_b = self.readout_sigma_b if is_readout else self.sigma_b
        covariance = sigma_w**2 * value + sigma_b**2
        if tangent is None or slope is None:
            return covariance, None
        below = sigma_w**2 * tangent * slope
        if self.parametrisation == "ntk":
            return covariance, covariance + below
        assert self.width is not None
        return covariance, self.width * value + _has_bias(sigma_b) + below

    def _first_tangent(self, k12: Tensor) -> Tensor:
        if self.parametrisation == "ntk":
            return k12
        if self.input_width is None:
            raise InvalidValueError(
                "input_width",
                None,
                expected="the number of inputs, in the standard parametrisation",
                remedy="pass input_width=d to FullyConnected, or evaluate kernels(x1, x2)",
            )
        moment = (k12 - self.sigma_b**2) / self.sigma_w**2
        return self.input_width * moment + _has_bias(self.sigma_b)

    def _on_sphere(self, c: Tensor) -> tuple[Tensor, Tensor]:
        one = torch.ones((), dtype=c.real.dtype if c.is_complex() else c.dtype, device=c.device)
        return self.first_covariance(one), self.first_covariance(c)

    def _check_has_ntk(self) -> None:
        if not self.activation.has_ntk:
            raise DivergentKernelError(
                "ntk",
                f"infinite for {self.activation!r}",
                expected="a finite tangent kernel; φ jumps, so E[φ'²] is infinite",
                remedy="use the NNGP (nngp, nngp_curve), or a continuous activation such as Erf",
            )


class NetworkCurve(Expression):
    """A network's kernel on the sphere.

    Args:
        network: its activation must have a tangent kernel if that is asked for.
        kind: which of its kernels.
    """

    is_analytic = True

    def __init__(self, network: FullyConnected, kind: Kind) -> None:
        self.network = network
        self.kind = kind

    def evaluate(self, c: Tensor) -> Tensor:
        """The kernel at cosines c."""
        if self.kind == "nngp":
            return self.network.nngp_curve(c)
        return self.network.curve(c).ntk

    def spec(self) -> dict[str, object]:
        """The network and the kind."""
        return {"form": "network", "kind": self.kind, "network": self.network.spec()}

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> NetworkCurve:
        """The curve that `spec()` described."""
        return cls(FullyConnected.from_spec(spec["network"]), check_kind(spec["kind"]))


_MAX_DEPTH = 10_000
"""Of more layers kernels are constant to rounding, or beyond float64."""
_MAX_UNITS = 2**53
_MAX_SCALE = 1e100
"""Its square is far from the end of float64."""

READERS.add("network", NetworkCurve.from_spec)

OPTIONS: Final[dict[str, object]] = {
    "depth": 1,
    "sigma_w": 1.0,
    "sigma_b": 0.0,
    "readout_sigma_w": 1.0,
    "readout_sigma_b": 0.0,
    "parametrisation": "ntk",
    "width": None,
    "input_width": None,
    "residual": False,
    "layer_norm": False,
}


def _checked_flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidValueError(
            name, value, expected="True or False", remedy=f"pass {name}=True or leave it out"
        )
    return value


def _check_alive(network: FullyConnected) -> None:
    """Refuses weights of zero where something is divided by them, or nothing is left."""
    if _number(network.sigma_w) != 0:
        return
    if network.parametrisation == "standard" or _number(network.sigma_b) == 0:
        raise InvalidValueError(
            "sigma_w",
            network.sigma_w,
            expected="above 0: the hidden layers see nothing of the inputs",
            remedy="pass e.g. sigma_w=1",
        )


def _has_bias(sigma_b: Scale) -> float:
    return float(_number(sigma_b) != 0.0)


def _number(scale: Scale) -> float:
    return float(scale.detach()) if isinstance(scale, Tensor) else float(scale)


def _checked_count(name: str, value: object) -> int:
    most = _MAX_DEPTH if name == "depth" else _MAX_UNITS
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise InvalidValueError(
            name,
            value,
            expected=f"an integer from 1 to {most:,}",
            remedy="without hidden layers the kernel is DotProductKernel.from_coefficients([0, 1])"
            if name == "depth"
            else "pass a number of units",
        )
    return value


def _checked_scale(name: str, value: Scale) -> Scale:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    is_scalar = isinstance(value, Tensor) and value.ndim == 0
    if not (is_number or is_scalar) or not 0 <= _number(value) <= _MAX_SCALE:
        raise InvalidValueError(
            name,
            value,
            expected=f"a number from 0 to {_MAX_SCALE:g}, or a tensor of no axes holding one",
            remedy="pass the standard deviation, not the variance",
        )
    return value


def _checked_parametrisation(value: Parametrisation, width: int | None) -> Parametrisation:
    if value not in ("ntk", "standard"):
        raise InvalidValueError(
            "parametrisation", value, expected="'ntk' or 'standard'", remedy="pass one of them"
        )
    if value == "standard" and width is None:
        raise InvalidValueError(
            "width",
            width,
            expected="the number of hidden units: standard tangent kernels grow with it",
            remedy="pass width=..., or parametrisation='ntk'",
        )
    return value
