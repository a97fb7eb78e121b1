"""Gaussian-process posteriors, and kernel regression with each sample left out.

With the NNGP kernel as prior the posterior is that of a Bayesian wide network; its mean with noise
δ is kernel ridge regression with ridge δ. Computed in float64 by Cholesky; arrays come back as what
was given.

Axes: n training sample, m test sample, o output.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Generic, NamedTuple

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
)
from sestina.tensors.checks import check_shape

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["GaussianProcess", "LeaveOneOut", "leave_one_out"]


class GaussianProcess(Generic[ArrayT]):
    """The posterior of a Gaussian process; with the NNGP kernel, that of a Bayesian wide network.

    Args:
        kernel: (n, n), the prior covariance on the training inputs.
        targets: (n,) or (n, o); the outputs are independent and share the kernel.
        noise: variance of the targets' noise, ≥ 0, added to the diagonal.
        jitter: added to the diagonal besides, only to make a singular matrix invertible.

    Raises:
        InvalidValueError: if the matrix is not positive definite with what was added.

    Example:
        >>> import numpy as np
        >>> posterior = GaussianProcess(np.array([[1.0]]), np.array([2.0]), noise=3.0)
        >>> posterior.mean(np.array([[0.5]])).tolist()  # ½ · 2 / (1 + 3)
        [0.25]
        >>> posterior.covariance(np.array([[0.5]]), np.array([[1.0]])).tolist()
        [[0.9375]]
    """

    def __init__(
        self, kernel: ArrayT, targets: Array, *, noise: float = 0.0, jitter: float = 0.0
    ) -> None:
        self._as_given: Callable[[Tensor], ArrayT]
        self._kernel_nn, self._as_given = float64_square("kernel", kernel)
        self._targets_no, self._is_vector = float64_targets(
            targets, len(self._kernel_nn), device=self._kernel_nn.device
        )
        check_not_negative("noise", noise)
        check_not_negative("jitter", jitter)
        self.noise = noise
        self.jitter = jitter
        self._factor_nn = _cholesky(self._kernel_nn, noise + jitter)
        self._dual_no = torch.cholesky_solve(self._targets_no, self._factor_nn)

    @property
    def dual(self) -> ArrayT:
        """The coefficients α of the mean Σᵢ K(x, xᵢ) αᵢ: (n,) or (n, o)."""
        return self._as_given(self._dual_no[:, 0] if self._is_vector else self._dual_no)

    def mean(self, kernel_test_train: Array | None = None) -> ArrayT:
        """The posterior mean (m,) or (m, o); on the training inputs by default."""
        mean_mo = self._cross(kernel_test_train) @ self._dual_no
        return self._as_given(mean_mo[:, 0] if self._is_vector else mean_mo)

    def covariance(
        self, kernel_test_train: Array | None = None, kernel_test: Array | None = None
    ) -> ArrayT:
        """The posterior covariance (m, m) of one output, without the noise.

        Args:
            kernel_test_train: (m, n), prior covariance between test and training inputs; None is
                on the training inputs.
            kernel_test: (m, m), prior covariance on the test inputs.
        """
        cross_mn = self._cross(kernel_test_train)
        if kernel_test_train is None:
            prior_mm = self._kernel_nn
        else:
            prior_mm = float64_square("kernel_test", kernel_test)[0].to(cross_mn.device)
            check_shape("kernel_test", prior_mm, (len(cross_mn),) * 2)
        half_nm = torch.linalg.solve_triangular(self._factor_nn, cross_mn.T, upper=False)
        return self._as_given(prior_mm - half_nm.T @ half_nm)

    def log_marginal_likelihood(self) -> float:
        """The logarithm of the density p(y), summed over outputs."""
        num_samples, num_outputs = self._targets_no.shape
        fit = float((self._targets_no * self._dual_no).sum())
        log_det = 2.0 * float(self._factor_nn.diagonal().log().sum())
        return -0.5 * (fit + num_outputs * (log_det + num_samples * math.log(2.0 * math.pi)))

    def _cross(self, kernel_test_train: Array | None) -> Tensor:
        if kernel_test_train is None:
            return self._kernel_nn
        cross_mn = float64("kernel_test_train", kernel_test_train)[0].to(self._kernel_nn.device)
        check_shape("kernel_test_train", cross_mn, (None, len(self._kernel_nn)))
        return cross_mn


class LeaveOneOut(NamedTuple):
    """Every sample predicted from all the others."""

    predictions: Array
    """(n,) or (n, o)."""
    residuals: Array
    """Target minus prediction, of the same shape."""
    mse: float
    """Mean over samples of the squared residual, summed over outputs."""


def leave_one_out(kernel: Array, targets: Array, *, ridge: float = 0.0) -> LeaveOneOut:
    """Kernel ridge regression with each sample left out in turn, exactly, from one factorisation.

    The residual of sample i is [(K + δI)⁻¹ y]ᵢ / [(K + δI)⁻¹]ᵢᵢ (e.g. Rasmussen & Williams 2006,
    eq. 5.12).

    Args:
        kernel: (n, n).
        targets: (n,) or (n, o).
        ridge: δ ≥ 0, added to the diagonal.

    Raises:
        InvalidValueError: if K + δI is singular.

    Example:
        >>> import numpy as np
        >>> kernel = np.array([[1.0, 0.5], [0.5, 1.0]])
        >>> leave_one_out(kernel, np.array([2.0, 0.0])).predictions.tolist()  # ½·0 and ½·2
        [0.0, 1.0]
    """
    kernel_nn, as_given = float64_square("kernel", kernel)
    targets_no, is_vector = float64_targets(targets, len(kernel_nn), device=kernel_nn.device)
    check_not_negative("ridge", ridge)
    inverse_nn = torch.cholesky_inverse(_cholesky(kernel_nn, ridge))
    residuals_no = (inverse_nn @ targets_no) / inverse_nn.diagonal()[:, None]
    predictions_no = targets_no - residuals_no
    mse = float(residuals_no.square().sum(1).mean())
    if is_vector:
        predictions_no, residuals_no = predictions_no[:, 0], residuals_no[:, 0]
    return LeaveOneOut(as_given(predictions_no), as_given(residuals_no), mse)


def _cholesky(kernel_nn: Tensor, added: float) -> Tensor:
    """The lower factor of K + added·I."""
    shifted_nn = kernel_nn.clone()
    shifted_nn.diagonal().add_(added)
    factor_nn: Tensor
    factor_nn, failed_at = torch.linalg.cholesky_ex(shifted_nn)
    if int(failed_at):
        smallest = float(torch.linalg.eigvalsh(shifted_nn)[0])
        enough = max(2.0 * abs(smallest), 1e-12 * float(kernel_nn.diagonal().mean()))
        raise InvalidValueError(
            "kernel's smallest eigenvalue",
            smallest,
            expected=f"above 0 after adding {added:g} to the diagonal",
            remedy=f"remove repeated rows, or add about {enough:.1g} as ridge, noise or jitter",
        )
    return factor_nn
