"""What every room that computes with PyTorch shares: checks of tensors, devices, generators."""

from sestina.tensors.checks import (
    check_dtype,
    check_finite,
    check_matching,
    check_matrix,
    check_shape,
)
from sestina.tensors.devices import resolve_device
from sestina.tensors.generators import make_generator

__all__ = [
    "check_dtype",
    "check_finite",
    "check_matching",
    "check_matrix",
    "check_shape",
    "make_generator",
    "resolve_device",
]
