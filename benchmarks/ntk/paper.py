"""The activation that Simon, Anand & DeWeese (2022) found for the 4-layer ReLU kernel.

a·relu(z − b) + c·z + d + e·cos(f·z + g), fitted in two hours on a GPU (notebook
mimic_net_training); used with σ_w = 1 and σ_b = 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sestina import ntk

__all__ = ["paper_activation"]

_A, _B, _C, _D, _E, _F, _G = (
    3.8001579818118927,
    1.0600013769145225,
    0.09680930566346302,
    0.9010060417094072,
    -0.07936104642025432,
    11.810565331593281,
    0.9340552512015492,
)


def paper_activation() -> ntk.Activation:
    """The activation, its kink declared."""

    def phi(z: Tensor) -> Tensor:
        return _A * torch.relu(z - _B) + _C * z + _D + _E * torch.cos(_F * z + _G)

    def derivative(z: Tensor) -> Tensor:
        return _A * (z > _B).to(z.dtype) + _C - _E * _F * torch.sin(_F * z + _G)

    return ntk.Custom(phi, derivative, kinks=(_B,))
