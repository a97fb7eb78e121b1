"""Wide networks as scikit-learn estimators and kernels.

- `KernelRegressor` and `KernelClassifier` predict what an infinitely wide network predicts after
  training, by its tangent kernel.
- `NetworkKernel` is a covariance function for `GaussianProcessRegressor`, with σ_w and σ_b tuned
  by gradients; its instances are callables, so that `SVC(kernel=NetworkKernel("relu"))` works, too.
"""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.gaussian_process.kernels import Hyperparameter, Kernel
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from sestina.core.errors import InvalidValueError
from sestina.ntk.activations import ActivationLike
from sestina.ntk.architectures import FullyConnected
from sestina.ntk.designs.inverse import Design
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.kernels.targets import parse_target
from sestina.ntk.matrices.curves import InputForm, input_matrix
from sestina.ntk.pairs import Kind, check_kind
from sestina.ntk.predictions.posteriors import GaussianProcess
from sestina.ntk.predictions.regression import GradientFlow, Loss

__all__ = [
    "KernelClassifier",
    "KernelLike",
    "KernelRegressor",
    "NetworkKernel",
    "resolve_kernel",
]

KernelLike: TypeAlias = str | DotProductKernel | FullyConnected | Design
"""A target such as "relu:depth=4", a kernel, a network or a design (for its achieved kernel)."""


def resolve_kernel(kernel: KernelLike, kind: Kind = "ntk") -> DotProductKernel:
    """The function of the cosine that a user's kernel, network, design or target text stands for.

    Args:
        kernel: what the user passed.
        kind: which kernel of a network is meant.

    Raises:
        InvalidValueError: if it stands for none.

    Example:
        >>> resolve_kernel("relu:depth=1,sigma_w=1").total
        1.0
    """
    check_kind(kind)
    if isinstance(kernel, str):
        return parse_target(kernel, kind)
    if isinstance(kernel, DotProductKernel):
        return kernel
    if isinstance(kernel, FullyConnected):
        return kernel.dot_product(kind)
    if isinstance(kernel, Design):
        return kernel.achieved
    raise InvalidValueError(
        "kernel",
        kernel,
        expected="a target such as 'relu:depth=4', a DotProductKernel, a network or a design",
        remedy="wrap a Python function in DotProductKernel(function)",
    )


class _KernelEstimator(BaseEstimator):  # type: ignore[misc]
    """What the regressor and the classifier share."""

    def __init__(
        self,
        kernel: KernelLike = "relu:depth=4,sigma_w=sqrt(2),sigma_b=0.1",
        *,
        kind: Kind = "ntk",
        form: InputForm = "radial",
        bias: float = 0.0,
        ridge: float = 0.01,
        time: float = math.inf,
        loss: Loss = "mean",
        centre: bool = False,
    ) -> None:
        self.kernel = kernel
        self.kind = kind
        self.form = form
        self.bias = bias
        self.ridge = ridge
        self.time = time
        self.loss = loss
        self.centre = centre

    def _fit(self, X: NDArray[np.float64], targets: NDArray[np.float64]) -> None:
        self.kernel_: DotProductKernel | FullyConnected
        if self.form == "network" and isinstance(self.kernel, FullyConnected):
            self.kernel_ = self.kernel
        else:
            self.kernel_ = resolve_kernel(self.kernel, self.kind)
        self.X_fit_ = X
        self.offset_ = targets.mean(0) if self.centre else np.zeros(targets.shape[1:])
        matrix = self._matrix(X, None)
        centred = targets - self.offset_
        if math.isinf(self.time) and self.ridge > 0:
            # The same limit by Cholesky, some ten times as fast as by eigenvectors.
            self.dual_coef_ = GaussianProcess(matrix, centred, noise=self.ridge).dual
        else:
            flow = GradientFlow(matrix, centred, ridge=self.ridge, loss=self.loss)
            self.dual_coef_ = flow.dual(self.time)

    def _outputs(self, X: Any) -> NDArray[np.float64]:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        outputs: NDArray[np.float64] = self._matrix(X, self.X_fit_) @ self.dual_coef_
        return outputs + self.offset_

    def _matrix(self, X: NDArray[np.float64], Y: NDArray[np.float64] | None) -> NDArray[np.float64]:
        other = None if Y is None else _tensor(Y)
        how: dict[str, Any] = {"form": self.form, "bias": self.bias, "kind": self.kind}
        return np.asarray(input_matrix(self.kernel_, _tensor(X), other, **how).numpy())


class KernelRegressor(RegressorMixin, MultiOutputMixin, _KernelEstimator):  # type: ignore[misc]
    """Regression as an infinitely wide, centred network trained on the squared loss does it.

    Args:
        kernel: a target such as "relu:depth=4", a `DotProductKernel`, a `FullyConnected` network,
            a design or a fitted kernel.
        kind: which kernel of a network: "ntk" for training all of it, "nngp" for the readout only.
        form: what becomes of the inputs' norms. The default, "radial", takes any X; a row of zeros
            then has kernel zero and is predicted zero.
        bias: a constant input of bias·√d. Without it a radial prediction is proportional to the
            norm; try 1 on standardised features.
        ridge: at least 0, added to the kernel matrix's diagonal. Without it, at time inf, the
            interpolant of minimal norm.
        time: epochs × learning rate of gradient flow; inf for the end.
        loss: how the training loss is averaged, which sets the pace of time.
        centre: fit the targets' differences to their mean.

    Attributes:
        kernel_: the kernel used.
        X_fit_: (n, d), the training inputs.
        dual_coef_: (n,) or (n, o).
        offset_: the mean subtracted from the targets.

    Example:
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.model_selection import cross_val_score
        >>> X, y = load_diabetes(return_X_y=True)
        >>> model = KernelRegressor("relu:depth=2", ridge=1e-3, centre=True)
        >>> bool(cross_val_score(model, X, y).mean() > 0.4)
        True
    """

    def fit(self, X: Any, y: Any) -> KernelRegressor:
        """Solves for the coefficients: O(n³).

        Args:
            X: (n, d).
            y: (n,) or (n, o).
        """
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        self._fit(X, np.asarray(y, dtype=np.float64))
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """The outputs: (m,) or (m, o)."""
        return self._outputs(X)


class KernelClassifier(ClassifierMixin, _KernelEstimator):  # type: ignore[misc]
    """Classification by regression on one-hot targets: the class of the largest output.

    Args:
        kernel: as in `KernelRegressor`, and so are the others.
        kind: which kernel of a network.
        form: what becomes of the inputs' norms.
        bias: a constant input of bias·√d.
        ridge: at least 0, added to the kernel matrix's diagonal.
        time: epochs × learning rate of gradient flow; inf for the end.
        loss: how the training loss is averaged.
        centre: fit the differences to the classes' frequencies.

    Attributes:
        classes_: the labels.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> bool(KernelClassifier("relu:depth=2").fit(X, y).score(X, y) > 0.95)
        True
    """

    def fit(self, X: Any, y: Any) -> KernelClassifier:
        """Solves for the coefficients: O(n³).

        Args:
            X: (n, d).
            y: (n,) labels of any type.
        """
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise InvalidValueError(
                "y",
                f"of one class, {self.classes_[0]!r}",
                expected="at least two classes",
                remedy="pass rows of another class, too",
            )
        self._fit(X, np.eye(len(self.classes_))[codes])
        return self

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """The outputs (m, classes); for two classes the second's less the first's, (m,)."""
        outputs = self._outputs(X)
        return outputs[:, 1] - outputs[:, 0] if len(self.classes_) == 2 else outputs

    def predict(self, X: Any) -> NDArray[Any]:
        """The labels, (m,)."""
        outputs = self._outputs(X)
        labels: NDArray[Any] = self.classes_[outputs.argmax(1)]
        return labels


class NetworkKernel(Kernel):  # type: ignore[misc]
    """A wide network's kernel as a covariance function for scikit-learn's Gaussian processes.

    Multiply by a `ConstantKernel` for the amplitude and add a `WhiteKernel` for noise. An instance
    called with two arrays gives their kernel matrix, which is what `SVC(kernel=...)` wants.

    Args:
        activation: φ, by name.
        depth: hidden layers.
        sigma_w: standard deviation of the hidden weights; tuned.
        sigma_b: standard deviation of the hidden biases; tuned unless it is 0.
        sigma_w_bounds: lower and upper bound when tuned, or "fixed".
        sigma_b_bounds: the same for `sigma_b`.
        kind: "nngp", the Bayesian network's prior, or "ntk".

    Example:
        >>> import numpy as np
        >>> from sklearn.gaussian_process import GaussianProcessRegressor
        >>> X = np.linspace(-1, 1, 12)[:, None]
        >>> process = GaussianProcessRegressor(NetworkKernel("erf", sigma_b=1.0), alpha=1e-4)
        >>> bool(process.fit(X, np.sin(2 * X[:, 0])).score(X, np.sin(2 * X[:, 0])) > 0.99)
        True
    """

    def __init__(
        self,
        activation: ActivationLike = "relu",
        *,
        depth: int = 1,
        sigma_w: float = 1.0,
        sigma_b: float = 0.0,
        sigma_w_bounds: tuple[float, float] | Literal["fixed"] = (1e-2, 1e2),
        sigma_b_bounds: tuple[float, float] | Literal["fixed"] = (1e-2, 1e2),
        kind: Kind = "nngp",
    ) -> None:
        self.activation = activation
        self.depth = depth
        self.sigma_w = sigma_w
        self.sigma_b = sigma_b
        self.sigma_w_bounds = sigma_w_bounds
        self.sigma_b_bounds = sigma_b_bounds
        self.kind = kind

    @property
    def hyperparameter_sigma_w(self) -> Hyperparameter:
        """What the optimiser may do with σ_w."""
        return Hyperparameter("sigma_w", "numeric", self.sigma_w_bounds)

    @property
    def hyperparameter_sigma_b(self) -> Hyperparameter:
        """What the optimiser may do with σ_b; nothing if it is 0, which has no logarithm."""
        bounds = "fixed" if self.sigma_b == 0 else self.sigma_b_bounds
        return Hyperparameter("sigma_b", "numeric", bounds)

    def __call__(
        self,
        X: Any,
        Y: Any = None,
        eval_gradient: bool = False,  # noqa: FBT001, FBT002 - scikit-learn's signature
    ) -> Any:
        """The kernel matrix, and its derivatives in log σ_w and log σ_b if asked for.

        Args:
            X: (n, d).
            Y: (m, d); default X.
            eval_gradient: return (n, n, hyperparameters), too; only without Y.

        Raises:
            InvalidValueError: if gradients are asked for with Y.
        """
        rows = _tensor(np.atleast_2d(X))
        if not eval_gradient:
            other = None if Y is None else _tensor(np.atleast_2d(Y))
            matrix = input_matrix(self._network(), rows, other, form="network", kind=self.kind)
            return matrix.numpy()
        if Y is not None:
            raise InvalidValueError(
                "Y",
                np.shape(Y),
                expected="None when eval_gradient is set",
                remedy="ask for the gradient of the kernel of X with itself",
            )
        names = [each.name for each in self.hyperparameters if not each.fixed]
        if not names:
            return self(X), np.empty((len(rows), len(rows), 0))
        return self._with_derivatives(rows, names)

    def diag(self, X: Any) -> NDArray[np.float64]:
        """The diagonal of `self(X)`, (n,)."""
        rows = _tensor(np.atleast_2d(X))
        with torch.no_grad():
            return np.asarray(self._diagonal(self._network(), rows).numpy())

    def is_stationary(self) -> bool:
        """False: the kernel depends on norms and angles, not on differences."""
        return False

    def __repr__(self) -> str:
        return (
            f"NetworkKernel({self.activation!r}, depth={self.depth}, sigma_w={self.sigma_w:.3g}, "
            f"sigma_b={self.sigma_b:.3g}, kind={self.kind!r})"
        )

    def _network(self, **scales: Tensor) -> FullyConnected:
        arguments = {"sigma_w": self.sigma_w, "sigma_b": self.sigma_b} | scales
        return FullyConnected(
            activation=self.activation,
            depth=self.depth,
            sigma_w=arguments["sigma_w"],
            sigma_b=arguments["sigma_b"],
        )

    def _diagonal(self, network: FullyConnected, rows: Tensor) -> Tensor:
        q = network.first_covariance(rows.square().mean(1))
        return network.nngp_diagonal(q) if self.kind == "nngp" else network.diagonal(q).ntk

    def _with_derivatives(
        self, rows: Tensor, names: list[str]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The matrix and its derivatives in the logarithms of scales, over the upper triangle.

        Reverse differentiation sums over entries. It is linear in the weights of that sum, and
        its own derivative in them is what is wanted: the derivative of every entry.
        """
        above, right = torch.triu_indices(len(rows), len(rows), offset=1)
        moments = rows @ rows.T / rows.shape[1]
        scales = {
            name: torch.tensor(float(getattr(self, name)), dtype=torch.float64, requires_grad=True)
            for name in names
        }
        network = self._network(**scales)
        q = network.first_covariance(moments.diagonal())
        pairs = (q[above], q[right], network.first_covariance(moments[above, right]))
        if self.kind == "nngp":
            off_diagonal = network.nngp_pairwise(*pairs)
        else:
            off_diagonal = network.pairwise(*pairs).ntk
        entries = torch.cat([off_diagonal, self._diagonal(network, rows)])
        weights = torch.ones_like(entries, requires_grad=True)
        sums = torch.autograd.grad(entries, list(scales.values()), weights, create_graph=True)
        slopes = [
            scale * torch.autograd.grad(total, weights, retain_graph=True)[0]  # d/d(log s) = s d/ds
            for scale, total in zip(scales.values(), sums, strict=True)
        ]

        def square(values: Tensor) -> NDArray[np.float64]:
            matrix = torch.diag(values[len(above) :])
            matrix[above, right] = matrix[right, above] = values[: len(above)]
            return np.asarray(matrix.detach().numpy())

        return square(entries), np.stack([square(slope) for slope in slopes], axis=-1)


def _tensor(X: NDArray[Any]) -> Tensor:
    array = np.ascontiguousarray(X, dtype=np.float64)
    return torch.from_numpy(array if array.flags.writeable else array.copy())
