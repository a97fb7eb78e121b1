"""The empirical tangent kernel, by the method that suits the module."""

from __future__ import annotations

import logging
from functools import partial
from typing import Literal, get_args

from torch import Tensor, nn

from sestina.core.errors import InvalidValueError
from sestina.core.progress import Progress, silent
from sestina.ntk.empirical.checks import check_inputs, check_module
from sestina.ntk.empirical.contraction import contracted_kernel, jacobian_bytes
from sestina.ntk.empirical.layers import AffineStack, affine_stack
from sestina.ntk.empirical.layout import Axes, check_axes
from sestina.ntk.empirical.samplewise import SamplewiseFunction
from sestina.ntk.empirical.structured import structured_kernel
from sestina.ntk.empirical.vectors import vector_product_kernel
from sestina.tensors.checks import check_finite

__all__ = ["Method", "empirical_ntk"]

Method = Literal["auto", "structured", "contraction", "vector-products"]

_log = logging.getLogger(__name__)


def empirical_ntk(
    module: nn.Module,
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    method: Method = "auto",
    axes: Axes = "full",
    max_bytes: int = 2**30,
    progress: Progress = silent,
) -> Tensor:
    """The tangent kernel of a network as it stands, Θ_op(x, x') = ∂f_o(x)/∂θ · ∂f_p(x')/∂θ.

    θ are the parameters with `requires_grad`; frozen ones and buffers are constants. A parameter
    used twice counts once, with both uses. A centred network has the kernel of the uncentred one.

    Args:
        module: from (n, …) to (n, o), or (n,), or (n, …), whose output axes are then flattened.
            The outputs of a sample must depend on that sample alone and on nothing random, so call
            `module.eval()` where it normalises over the batch or drops units.
        x1: (n, …), samples in the parameters' precision, or integers.
        x2: (m, …); None means `x1`, and half the work.
        method: "structured" for a `FullyConnectedNet` and for an `nn.Sequential` of `nn.Linear` and
            elementwise functions, layer by layer without Jacobians; "contraction" of Jacobians for
            any module; "vector-products", column by column, where not even one sample's Jacobian
            fits; "auto" takes the first of these that can be used.
        axes: "full" for every pair of outputs; "diagonal" for the pairs of an output with itself;
            "trace" for their mean over outputs, Σ_o Θ_oo / o (as the `trace_axes` of
            neural-tangents).
        max_bytes: the memory aimed at beside the result, by "contraction" and "vector-products".
        progress: told after each part; raising an exception in it cancels.

    Returns:
        (n, m, o, o) for "full", (n, m, o) for "diagonal", (n, m) for "trace": a detached tensor, in
        general a view with its axes permuted. `kernel_matrix` makes "full" the matrix (n⋅o, m⋅o)
        without copying.

    Raises:
        InvalidValueError: if the module mixes samples, is random, has nothing to train or no
            differentiable outputs; if the method is "structured" and the module's structure is
            another; if `method` or `axes` is unknown.
        ShapeError: if there are no samples, they differ in shape, or the module refuses them.
        DtypeError: if inputs, parameters and outputs are not all float32 or all float64.
        NonFiniteError: if inputs, outputs or the kernel hold NaN or infinity.

    Example:
        >>> import torch
        >>> network = torch.nn.Linear(2, 3)  # ∂f_o/∂θ = (x, 1) for the parameters of output o
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 2.0]])
        >>> empirical_ntk(network, x, axes="trace")
        tensor([[2., 2.],
                [2., 6.]])
        >>> empirical_ntk(network, x)[0, 1]
        tensor([[2., 0., 0.],
                [0., 2., 0.],
                [0., 0., 2.]])
    """
    _check_choices(method, axes, max_bytes)
    x1, second = check_inputs(check_module(module), x1, x2)
    compute = _suited(module, x1, second, method, max_bytes)
    return compute(axes=axes, progress=progress)


def _suited(
    module: nn.Module, x1: Tensor, x2: Tensor | None, method: Method, max_bytes: int
) -> partial[Tensor]:
    """What computes the kernel by this method, or by the first that can be used; takes the rest."""
    if method in {"auto", "structured"}:
        stack = _structure(module, x1)
        if isinstance(stack, AffineStack):
            return partial(structured_kernel, stack, x1, x2)
        if method == "structured":
            raise InvalidValueError(
                "method",
                "structured",
                expected=f"a module that is a stack of affine layers; this one is not: {stack}",
                remedy='use method="auto" or "contraction"',
            )
        _log.info("no structured tangent kernel: %s; contracting Jacobians", stack)
    function = SamplewiseFunction(module, x1, x2)
    if method == "auto" and jacobian_bytes(function) > max_bytes // 4:
        _log.info("one sample's Jacobian takes over a quarter of max_bytes; using vector products")
        method = "vector-products"
    return partial(_by_derivatives, function, x1, x2, method=method, max_bytes=max_bytes)


def _by_derivatives(
    function: SamplewiseFunction,
    x1: Tensor,
    x2: Tensor | None,
    *,
    method: Method,
    axes: Axes,
    max_bytes: int,
    progress: Progress,
) -> Tensor:
    compute = vector_product_kernel if method == "vector-products" else contracted_kernel
    theta = compute(function, x1, x2, axes=axes, max_bytes=max_bytes, progress=progress)
    return check_finite("tangent kernel", theta)


def _structure(module: nn.Module, x: Tensor) -> AffineStack | str:
    stack = affine_stack(module)
    if isinstance(stack, str):
        return stack
    num_inputs = stack.layers[0].weight.shape[1]
    shape = tuple((x.flatten(1) if stack.flatten and x.ndim > 1 else x).shape)
    if not x.is_floating_point() or len(shape) != 2 or shape[1] != num_inputs:
        return f"samples of shape {tuple(x.shape[1:])}, {x.dtype}, for {num_inputs} inputs"
    return stack


def _check_choices(method: str, axes: str, max_bytes: int) -> None:
    if method not in get_args(Method):
        raise InvalidValueError(
            "method",
            method,
            expected=f"one of {', '.join(get_args(Method))}",
            remedy='use "auto"',
        )
    check_axes(axes)
    if max_bytes < 1:
        raise InvalidValueError(
            "max_bytes", max_bytes, expected="a number of bytes above 0", remedy="use 2**30"
        )
