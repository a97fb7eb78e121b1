"""Wide networks as covariance functions for GPyTorch, differentiable in σ_w, σ_b and the inputs.

Importing this module needs GPyTorch: pip install 'sestina[gpytorch]'.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from sestina.core.extras import naming_extra
from sestina.ntk.activations import ActivationLike
from sestina.ntk.architectures import FullyConnected
from sestina.ntk.pairs import Kind, check_kind

with naming_extra("gpytorch"), warnings.catch_warnings():
    # GPyTorch compiles with torch.jit.script, which today's PyTorch announces the end of.
    warnings.simplefilter("ignore", DeprecationWarning)
    from gpytorch.constraints import Interval, Positive
    from gpytorch.kernels import Kernel
    from gpytorch.priors import Prior

__all__ = ["WideNetworkKernel"]


class WideNetworkKernel(Kernel):  # type: ignore[misc]
    """The kernel of a wide network at unequal norms, with σ_w and σ_b learned.

    It has no length scale: σ_b against σ_w says how fast it varies. Wrap it in a `ScaleKernel` for
    the amplitude.

    Args:
        activation: φ of every hidden layer.
        depth: hidden layers.
        sigma_w: standard deviation of the hidden weights to start from.
        sigma_b: the same of the biases; 0 stays 0.
        kind: "nngp", the Bayesian network's prior, or "ntk".
        constraint: GPyTorch's on both scales; default is positive.
        prior: GPyTorch's on both scales; default none.
        **kernel_arguments: such as `batch_shape` and `active_dims`.

    Example:
        >>> kernel = WideNetworkKernel("erf", depth=2, sigma_b=0.5)
        >>> x = torch.linspace(-1, 1, 4)[:, None]
        >>> matrix = kernel(x).to_dense()
        >>> tuple(matrix.shape), bool((matrix == matrix.T).all())
        ((4, 4), True)
        >>> matrix.sum().backward()
        >>> kernel.raw_sigma_w.grad is not None
        True
    """

    has_lengthscale = False

    def __init__(
        self,
        activation: ActivationLike = "relu",
        *,
        depth: int = 1,
        sigma_w: float = 1.0,
        sigma_b: float = 0.1,
        kind: Kind = "nngp",
        constraint: Interval | None = None,
        prior: Prior | None = None,
        **kernel_arguments: Any,
    ) -> None:
        super().__init__(**kernel_arguments)
        self.network = FullyConnected(
            activation=activation, depth=depth, sigma_w=sigma_w, sigma_b=sigma_b
        )
        self.kind = check_kind(kind)
        self.has_bias = sigma_b != 0
        self._add_scale("sigma_w", sigma_w, constraint, prior)
        if self.has_bias:
            self._add_scale("sigma_b", sigma_b, constraint, prior)

    @property
    def sigma_w(self) -> Tensor:
        """Standard deviation of the hidden weights, (*batch, 1, 1)."""
        return self._scale("sigma_w")

    @sigma_w.setter
    def sigma_w(self, value: float | Tensor) -> None:
        self._set_scale("sigma_w", value)

    @property
    def sigma_b(self) -> Tensor:
        """Standard deviation of the hidden biases, (*batch, 1, 1)."""
        return self._scale("sigma_b") if self.has_bias else torch.zeros_like(self.sigma_w)

    @sigma_b.setter
    def sigma_b(self, value: float | Tensor) -> None:
        self._set_scale("sigma_b", value)

    def forward(
        self,
        x1: Tensor,
        x2: Tensor,
        diag: bool = False,  # noqa: FBT001, FBT002 - GPyTorch's signature
        **params: Any,  # noqa: ARG002 - GPyTorch's signature
    ) -> Tensor:
        """The kernel matrix, or its diagonal.

        Args:
            x1: (*batch, n, d).
            x2: (*batch, m, d).
            diag: pair the rows instead; n = m.
            **params: ignored.

        Returns:
            (*batch, n, m), or (*batch, n), of the inputs' type; computed in float64.
        """
        wide1, wide2 = x1.to(torch.float64), x2.to(torch.float64)
        sigma_w, sigma_b = self.sigma_w.to(torch.float64), self.sigma_b.to(torch.float64)
        batch = torch.broadcast_shapes(self.batch_shape, x1.shape[:-2], x2.shape[:-2])
        if sigma_w.numel() == 1:
            values = self._values(sigma_w.reshape(()), sigma_b.reshape(()), wide1, wide2, diag=diag)
            return values.expand(*batch, *values.shape[-1 if diag else -2 :]).to(x1.dtype)
        # A network has one σ_w and one σ_b: one after the other.
        count = batch.numel()
        scales = zip(
            sigma_w.expand(*batch, 1, 1).reshape(count),
            sigma_b.expand(*batch, 1, 1).reshape(count),
            wide1.expand(*batch, *x1.shape[-2:]).reshape(count, *x1.shape[-2:]),
            wide2.expand(*batch, *x2.shape[-2:]).reshape(count, *x2.shape[-2:]),
            strict=True,
        )
        each = torch.stack([self._values(*scale, diag=diag) for scale in scales])
        return each.reshape(*batch, *each.shape[1:]).to(x1.dtype)

    def _values(
        self, sigma_w: Tensor, sigma_b: Tensor, x1: Tensor, x2: Tensor, *, diag: bool
    ) -> Tensor:
        network = self.network.replace(sigma_w=sigma_w, sigma_b=sigma_b)
        is_nngp = self.kind == "nngp"
        q1 = network.first_covariance(x1.square().mean(-1))
        q2 = network.first_covariance(x2.square().mean(-1))
        same = x1.shape == x2.shape and bool(torch.equal(x1, x2))
        diagonal = network.nngp_diagonal if is_nngp else lambda q: network.diagonal(q).ntk
        pairs = network.nngp_pairwise if is_nngp else lambda *qs: network.pairwise(*qs).ntk
        if diag:
            if same:
                return diagonal(q1)
            return pairs(q1, q2, network.first_covariance((x1 * x2).mean(-1)))
        moments = x1 @ x2.transpose(-1, -2) / x1.shape[-1]
        values = pairs(q1.unsqueeze(-1), q2.unsqueeze(-2), network.first_covariance(moments))
        if not same:
            return values
        is_diagonal = torch.eye(values.shape[-1], dtype=torch.bool, device=values.device)
        return torch.where(is_diagonal, diagonal(q1).unsqueeze(-1), values)

    def _add_scale(
        self, name: str, start: float, constraint: Interval | None, prior: Prior | None
    ) -> None:
        raw = torch.nn.Parameter(torch.zeros(*self.batch_shape, 1, 1))
        self.register_parameter(f"raw_{name}", raw)
        self.register_constraint(f"raw_{name}", constraint or Positive())
        if prior is not None:
            self.register_prior(
                f"{name}_prior",
                prior,
                lambda kernel: getattr(kernel, name),
                lambda kernel, value: setattr(kernel, name, value),
            )
        self._set_scale(name, start)

    def _scale(self, name: str) -> Tensor:
        raw = getattr(self, f"raw_{name}")
        scale: Tensor = getattr(self, f"raw_{name}_constraint").transform(raw)
        return scale

    def _set_scale(self, name: str, value: float | Tensor) -> None:
        raw = getattr(self, f"raw_{name}")
        wanted = torch.as_tensor(value).to(raw).expand(raw.shape)
        constraint = getattr(self, f"raw_{name}_constraint")
        self.initialize(**{f"raw_{name}": constraint.inverse_transform(wanted)})
