"""Matrix products by the quickest route that this machine has, in the operands' precision.

PyTorch's x86 builds bring two libraries that multiply float32 matrices. `torch.mm` calls MKL, which
on processors of other makers than Intel leaves half of the vector unit idle: on an AMD EPYC 9005
(one core, AVX-512) 95 GFLOP/s, where oneDNN, which `torch.compile` uses, reaches 210 (AVX2 on the
same core: 95 against 108). So large products go to oneDNN, and all others, and every other
machine, to `torch.mm`. The choice depends on the operands alone, never on a timing: the same call
gives the same bits in every run.

Both accumulate in float32, in blocks of the inner axis; oneDNN's blocks are longer. The measured
RMS error is 1 to 2.8 times that of `torch.mm`: at most 3e-7 of the largest entry, for inner axes
from 128 to 16384.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

__all__ = ["product", "takes_fast_route"]

# Below 2⋅128⋅128⋅128 FLOP the call's own cost (about 7 µs more than torch.mm's) eats the gain.
_SMALLEST_FLOP = 1 << 22

_Route = Callable[[Tensor, Tensor, None, str, list[object], str], Tensor]


def product(a_mk: Tensor, b_nk: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The product a bᵀ, (m, n): the inner products of the rows of `a_mk` with those of `b_nk`.

    Both operands have their inner axis last, as samples and weights have. Obeys
    `torch.set_float32_matmul_precision`, as `torch.mm` does. Operands that require gradients go
    through `torch.mm`.

    Args:
        a_mk: (m, k).
        b_nk: (n, k), same element type and device.
        out: (m, n), receives the product.

    Example:
        >>> import torch
        >>> product(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [5.0, 6.0]]))
        tensor([[11., 17.]])
    """
    if not takes_fast_route(a_mk, b_nk):
        return torch.mm(a_mk, b_nk.T, out=out)
    route = _onednn()
    assert route is not None, "takes_fast_route has looked"
    product_mn = route(a_mk, b_nk, None, "none", [], "")
    return product_mn if out is None else out.copy_(product_mn)


def takes_fast_route(a_mk: Tensor, b_nk: Tensor) -> bool:
    """Whether `product` of these goes to oneDNN rather than `torch.mm`."""
    flop = 2 * a_mk.shape[0] * b_nk.numel()
    return (
        flop >= _SMALLEST_FLOP
        and a_mk.dtype == b_nk.dtype == torch.float32
        and a_mk.device.type == b_nk.device.type == "cpu"
        and not (torch.is_grad_enabled() and (a_mk.requires_grad or b_nk.requires_grad))
        and _onednn() is not None
    )


@cache
def _onednn() -> _Route | None:
    # The operator behind torch.compile's linear layers: x, w, bias, epilogue, its arguments, its
    # algorithm -> x wᵀ. It is PyTorch's own business, so nothing here relies on its being there.
    route: _Route | None = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    if route is None or platform.machine() not in {"x86_64", "AMD64"}:
        return None
    a_mk, b_nk = torch.eye(3, 4), torch.arange(8.0).reshape(2, 4)
    try:
        result = route(a_mk, b_nk, None, "none", [], "")
    except (RuntimeError, TypeError):  # another signature, or not built for this machine
        return None
    return route if torch.equal(result, a_mk @ b_nk.T) else None
