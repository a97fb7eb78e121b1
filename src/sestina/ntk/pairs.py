"""The pair of kernels that a wide network has, and the names of the two."""

from __future__ import annotations

from typing import Literal, NamedTuple

from torch import Tensor

from sestina.core.errors import UnknownNameError

__all__ = ["Kernels", "Kind", "check_kind"]

Kind = Literal["nngp", "ntk"]
"""Which kernel: of the random network's outputs, or of its gradients."""


class Kernels(NamedTuple):
    """The two kernels of one network on the same pairs of inputs; tensors of one shape."""

    nngp: Tensor
    """Covariance of the outputs of the random network (neural network Gaussian process)."""
    ntk: Tensor
    """Inner products of the gradients in all parameters (neural tangent kernel)."""


def check_kind(kind: str) -> Kind:
    """`kind` itself, if it names a kernel.

    Raises:
        UnknownNameError: if it is neither "nngp" nor "ntk".

    Example:
        >>> check_kind("ntk")
        'ntk'
    """
    if kind == "nngp":
        return "nngp"
    if kind == "ntk":
        return "ntk"
    raise UnknownNameError(
        "kind", kind, expected="'nngp' or 'ntk'", remedy="pass kind='ntk' for the tangent kernel"
    )
