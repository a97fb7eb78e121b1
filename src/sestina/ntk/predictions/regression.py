"""What a network trained by gradient descent predicts, from its kernel, at any time.

A wide network trained by gradient flow on the squared loss follows a linear equation: with Θ its
neural tangent kernel on the n training inputs and f₀ its output at initialisation, the training
outputs obey ∂f/∂t = −r Θ (f − y). Here t counts epochs × learning rate, and the rate r is set by
how the loss is averaged (`flow_rate`):

    f_t(x) = f₀(x) + Θ(x, X) α_t,     α_t = Θ⁻¹ (I − e^{−r t Θ}) (y − f₀(X)).

A centred network has f₀ = 0, so its prediction is the mean. Over random initialisations f₀ is a
Gaussian process with the NNGP kernel K, which gives the ensemble its covariance (Lee et al. 2019,
"Wide neural networks of any depth evolve as linear models", eq. 16). Training the readout alone
to convergence, or Bayes' rule with prior K, gives the NNGP posterior: `posteriors.py`.

All is computed in float64 from one eigendecomposition. Arrays come back as what was given: NumPy
for NumPy, a tensor on the same device for a tensor.

Axes: n training sample, m test sample, o output, t time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Generic, Literal

import numpy as np
import torch
from torch import Tensor

from sestina.core.errors import InvalidValueError
from sestina.ntk.arrays import (
    Array,
    ArrayT,
    check_not_negative,
    float64,
    float64_square,
    float64_targets,
    rounding_unit,
)
from sestina.tensors.checks import check_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "GradientFlow",
    "Loss",
    "flow_rate",
    "max_learning_rate",
]

Loss = Literal["mean", "half-mean", "element-mean", "half-element-mean"]
"""How the squared error is averaged over the n training samples and the o outputs:

- "mean": (1/n) Σₙ Σₒ (f − y)², the default of this package;
- "half-mean": half of that;
- "element-mean": (1/(n·o)) Σₙ Σₒ (f − y)², which is `torch.nn.MSELoss`;
- "half-element-mean": half of that, the convention of neural-tangents.
"""

_LOSSES = ("mean", "half-mean", "element-mean", "half-element-mean")


def flow_rate(loss: Loss, num_samples: int, num_outputs: int = 1) -> float:
    """The rate r in ∂f/∂t = −r Θ (f − y), for time in epochs × learning rate.

    Args:
        loss: how the squared error is averaged.
        num_samples: training samples n.
        num_outputs: outputs o; only the two "element" losses depend on it.

    Raises:
        InvalidValueError: if the loss is unknown or a count is below 1.

    Example:
        >>> flow_rate("mean", 100)
        0.02
        >>> flow_rate("half-element-mean", 100, 10)
        0.001
    """
    if loss not in _LOSSES:
        raise InvalidValueError(
            "loss",
            loss,
            expected=f"one of {', '.join(_LOSSES)}",
            remedy="use 'mean' for (1/n) Σ (f − y)², 'element-mean' for torch.nn.MSELoss",
        )
    for name, count in (("num_samples", num_samples), ("num_outputs", num_outputs)):
        if count < 1:
            raise InvalidValueError(name, count, expected="at least 1", remedy=f"pass {name} >= 1")
    averaged_over = num_samples * (num_outputs if "element" in loss else 1)
    return (1.0 if loss.startswith("half") else 2.0) / averaged_over


def max_learning_rate(kernel: Array, *, loss: Loss = "mean", num_outputs: int = 1) -> float:
    """The largest learning rate for which full-batch gradient descent is stable: 2 / (r λmax).

    Above it the error along the kernel's first eigenvector grows at every step. A finite network
    is stable up to about this; below it gradient descent and gradient flow end alike.

    Args:
        kernel: (n, n), the neural tangent kernel on the training inputs.
        loss: how the squared error is averaged.
        num_outputs: outputs; only the two "element" losses depend on it.

    Example:
        >>> import numpy as np
        >>> max_learning_rate(np.diag([4.0, 1.0]))
        0.5
    """
    kernel_nn, _ = float64_square("kernel", kernel)
    largest = float(torch.linalg.eigvalsh(kernel_nn)[-1])
    if largest <= 0.0:
        return math.inf
    return 2.0 / (flow_rate(loss, len(kernel_nn), num_outputs) * largest)


class GradientFlow(Generic[ArrayT]):
    """A wide network trained by full-batch gradient flow on the squared loss, at any time.

    Args:
        kernel: (n, n), the neural tangent kernel Θ on the training inputs.
        targets: (n,) or (n, o).
        prior: (n, n), the NNGP kernel K on the training inputs: the covariance of the outputs at
            initialisation. Only `covariance` needs it.
        ridge: δ ≥ 0, weight decay towards the initial parameters: the loss gains
            δ·(r/2)·|θ − θ₀|², and the limit is kernel ridge regression with ridge δ.
        loss: how the squared error is averaged.
        learning_rate: None for the flow. A number follows gradient descent itself with steps of
            that size: time still counts epochs × learning rate.

    Attributes:
        rate: r of `flow_rate`.

    Raises:
        ShapeError, DtypeError, NonFiniteError: if an array cannot be used.
        InvalidValueError: if the kernel has a negative eigenvalue beyond rounding.

    Example:
        >>> import numpy as np
        >>> flow = GradientFlow(np.diag([4.0, 1.0]), np.array([1.0, 1.0]))
        >>> flow.mean(time=1.0).round(4).tolist()  # 1 − e⁻⁴, 1 − e⁻¹
        [0.9817, 0.6321]
        >>> flow.mean(np.array([[2.0, 0.0]])).tolist()  # test against train, trained to the end
        [0.5]
    """

    def __init__(
        self,
        kernel: ArrayT,
        targets: Array,
        *,
        prior: Array | None = None,
        ridge: float = 0.0,
        loss: Loss = "mean",
        learning_rate: float | None = None,
    ) -> None:
        self._as_given: Callable[[Tensor], ArrayT]
        self._kernel_nn, self._as_given = float64_square("kernel", kernel)
        self._targets_no, self._is_vector = float64_targets(
            targets, len(self._kernel_nn), device=self._kernel_nn.device
        )
        num_samples, self.num_outputs = self._targets_no.shape
        check_not_negative("ridge", ridge)
        self.ridge = ridge
        self.loss = loss
        self.rate = flow_rate(loss, num_samples, self.num_outputs)
        self._prior_nn: Tensor | None = None
        if prior is not None:
            self._prior_nn = float64_square("prior", prior)[0].to(self._kernel_nn.device)
            check_shape("prior", self._prior_nn, tuple(self._kernel_nn.shape))
        self._vectors_nn: Tensor
        spectrum_n, self._vectors_nn = torch.linalg.eigh(self._kernel_nn)
        largest = max(float(spectrum_n[-1]), 0.0)
        # What the rounding of the kernel's own type makes of a zero eigenvalue, at most.
        floor = num_samples * rounding_unit(kernel) * largest
        if float(spectrum_n[0]) < -10.0 * floor - 1e-300:
            raise InvalidValueError(
                "kernel's smallest eigenvalue",
                float(spectrum_n[0]),
                expected=f"at least 0 up to rounding (the largest is {largest:.6g})",
                remedy="pass a positive semidefinite matrix: the kernel of rows with themselves",
            )
        self._spectrum_n = torch.where(spectrum_n > floor, spectrum_n, 0.0)
        self.learning_rate = learning_rate
        if learning_rate is not None:
            self._check_learning_rate(learning_rate)

    @property
    def eigenvalues(self) -> ArrayT:
        """(n,), the kernel's eigenvalues in ascending order, at least 0."""
        return self._as_given(self._spectrum_n)

    @property
    def max_learning_rate(self) -> float:
        """The largest stable learning rate of full-batch gradient descent."""
        largest = float(self._spectrum_n[-1]) + self.ridge
        return math.inf if largest <= 0.0 else 2.0 / (self.rate * largest)

    def dual(self, time: float | Sequence[float] = math.inf) -> ArrayT:
        """The coefficients α of Σᵢ Θ(x, xᵢ) αᵢ: (n,) or (n, o), with times in front if many.

        At infinite time a direction of zero eigenvalue gets no weight: the limit that gradient
        descent reaches, of minimal norm.
        """
        times, is_many = _times(time)
        projected_no = self._vectors_nn.T @ self._targets_no
        duals = [self._vectors_nn @ (self._gain(t)[:, None] * projected_no) for t in times]
        return self._shaped(duals, is_many=is_many)

    def mean(
        self, kernel_test_train: Array | None = None, *, time: float | Sequence[float] = math.inf
    ) -> ArrayT:
        """The prediction of a centred network; for others, its mean over initialisations.

        Args:
            kernel_test_train: (m, n), Θ between test and training inputs; None predicts on the
                training inputs.
            time: epochs × learning rate, at least 0; inf is the end of training. A sequence gives
                a result for each, stacked in front.

        Returns:
            (m,) or (m, o) as the targets are; (t, m) or (t, m, o) for a sequence of times.
        """
        times, is_many = _times(time)
        projected_no = self._vectors_nn.T @ self._targets_no
        basis_mn = self._basis(kernel_test_train)
        means = [basis_mn @ (self._gain(t)[:, None] * projected_no) for t in times]
        return self._shaped(means, is_many=is_many)

    def covariance(
        self,
        kernel_test_train: Array | None = None,
        prior_test_train: Array | None = None,
        prior_test: Array | None = None,
        *,
        time: float = math.inf,
    ) -> ArrayT:
        """The covariance of one output over random initialisations (the NTK ensemble).

        With A_t = Θ(x, X) Θ⁻¹ (I − e^{−rtΘ}) it is K** − A K(X, x) − K(x, X) Aᵀ + A K Aᵀ.

        Args:
            kernel_test_train: (m, n), Θ between test and training inputs; None is on the training
                inputs, and then the other two are None.
            prior_test_train: (m, n), the NNGP kernel between them.
            prior_test: (m, m), the NNGP kernel on the test inputs.
            time: epochs × learning rate.

        Returns:
            (m, m), or (n, n) on the training inputs; the same for every output.

        Raises:
            InvalidValueError: if `prior` was not given at construction.
        """
        if self._prior_nn is None:
            raise InvalidValueError(
                "prior", None, expected="the NNGP kernel", remedy="pass prior= to GradientFlow"
            )
        gain_n = self._gain(_times(time)[0][0])
        smoother_mn = (self._basis(kernel_test_train) * gain_n) @ self._vectors_nn.T
        if kernel_test_train is None:
            cross_mn = prior_mm = self._prior_nn
        else:
            cross_mn = self._rectangle("prior_test_train", prior_test_train)
            check_shape("prior_test_train", cross_mn, tuple(smoother_mn.shape))
            prior_mm = float64_square("prior_test", prior_test)[0].to(cross_mn.device)
            check_shape("prior_test", prior_mm, (len(smoother_mn),) * 2)
        shared_mm = smoother_mn @ cross_mn.T
        covariance_mm = (
            prior_mm - shared_mm - shared_mm.T + smoother_mn @ self._prior_nn @ smoother_mn.T
        )
        return self._as_given((covariance_mm + covariance_mm.T) / 2)

    def loss_at(
        self,
        time: float = math.inf,
        kernel_test_train: Array | None = None,
        targets: Array | None = None,
    ) -> float:
        """The loss of the mean prediction, averaged as `loss` says.

        Args:
            time: epochs × learning rate.
            kernel_test_train: (m, n) and
            targets: (m,) or (m, o), of the test set; None for both is the training set.
        """
        mean = torch.as_tensor(self.mean(kernel_test_train, time=time)).reshape(
            -1, self.num_outputs
        )
        if kernel_test_train is None and targets is None:
            wanted = self._targets_no
        else:
            wanted, _ = float64_targets(targets, len(mean), device=mean.device)
            check_shape("targets", wanted, tuple(mean.shape))
        scale = flow_rate(self.loss, len(wanted), self.num_outputs) / 2
        return float(scale * (mean - wanted).square().sum())

    def _gain(self, time: float) -> Tensor:
        """(1 − e^{−r t (λ + δ)}) / (λ + δ) for each eigenvalue, without cancellation."""
        decays_n = self._spectrum_n + self.ridge
        is_seen = decays_n > 0.0
        safe_n = torch.where(is_seen, decays_n, 1.0)
        if math.isinf(time):
            return torch.where(is_seen, 1.0 / safe_n, 0.0)
        if self.learning_rate is None:
            trained_n = -torch.expm1(-self.rate * time * safe_n)
        else:
            trained_n = 1.0 - (1.0 - self.learning_rate * self.rate * safe_n) ** self._steps(time)
        return torch.where(is_seen, trained_n / safe_n, self.rate * time)

    def _steps(self, time: float) -> int:
        assert self.learning_rate is not None
        steps = time / self.learning_rate
        if abs(steps - round(steps)) > 1e-6 * max(steps, 1.0):
            raise InvalidValueError(
                "time",
                time,
                expected=f"a whole number of steps of {self.learning_rate}",
                remedy="pass epochs * learning_rate, or learning_rate=None for the flow",
            )
        return round(steps)

    def _basis(self, kernel_test_train: Array | None) -> Tensor:
        """Θ(x, X) U: (m, n)."""
        if kernel_test_train is None:
            return self._vectors_nn * self._spectrum_n
        return self._rectangle("kernel_test_train", kernel_test_train) @ self._vectors_nn

    def _rectangle(self, name: str, matrix: Array | None) -> Tensor:
        matrix_mn = float64(name, matrix)[0].to(self._vectors_nn.device)
        check_shape(name, matrix_mn, (None, len(self._vectors_nn)))
        return matrix_mn

    def _shaped(self, results: list[Tensor], *, is_many: bool) -> ArrayT:
        if self._is_vector:
            results = [result[:, 0] for result in results]
        return self._as_given(torch.stack(results) if is_many else results[0])

    def _check_learning_rate(self, learning_rate: float) -> None:
        if not 0.0 < learning_rate < self.max_learning_rate:
            raise InvalidValueError(
                "learning_rate",
                learning_rate,
                expected=f"above 0 and below {self.max_learning_rate:.6g}, where descent diverges",
                remedy="lower it, or pass None for gradient flow",
            )


def _times(time: float | Sequence[float]) -> tuple[list[float], bool]:
    is_many = np.ndim(time) > 0
    times = [float(t) for t in np.atleast_1d(time)]
    for t in times:
        if not t >= 0.0:
            raise InvalidValueError(
                "time",
                t,
                expected="epochs × learning rate, at least 0 or inf",
                remedy="pass math.inf for the end of training",
            )
    return times, is_many
