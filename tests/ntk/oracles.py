"""A slow, obvious evaluation of kernel matrices, to compare every fast one with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor

from sestina.ntk import _native
from sestina.ntk.architectures import FullyConnected
from sestina.ntk.matrices.rectifiers import RectifierNetwork

LEVELS = _native.simd_levels()


@contextmanager
def simd(level: str) -> Iterator[None]:
    """The C++ kernel at that instruction set."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SESTINA_SIMD", level)
        yield


def exact_kernels(
    network: FullyConnected, x1: Tensor, x2: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """NNGP and NTK in float64 from extended-precision angles, and their scale, each (2, n, m).

    Cosines near ±1 come from differences of the normalised rows; the scale of an entry is
    √(K(x, x) K(x', x')). Other activations than rectifiers must be smooth, or the inputs not
    nearly parallel.
    """
    network = network.at_input_width(x1.shape[1])
    rows1 = x1.detach().numpy().astype(np.longdouble)
    rows2 = rows1 if x2 is None else x2.detach().numpy().astype(np.longdouble)
    units1, norms1 = _units(rows1)
    units2, norms2 = _units(rows2)
    gaps = ((units1[:, None] - units2[None]) ** 2).sum(-1) / 2
    sums = ((units1[:, None] + units2[None]) ** 2).sum(-1) / 2
    moments1 = (norms1**2 / x1.shape[1]).astype(np.float64)
    moments2 = (norms2**2 / x1.shape[1]).astype(np.float64)
    rectifiers = RectifierNetwork.of(network)
    if rectifiers is not None:
        both = rectifiers.kernels_at(
            gaps.astype(np.float64), sums.astype(np.float64), (moments1[:, None], moments2)
        )
        diagonals = [rectifiers.diagonal(moments) for moments in (moments1, moments2)]
    else:
        q1, q2 = (
            network.first_covariance(torch.from_numpy(moments)) for moments in (moments1, moments2)
        )
        products = (norms1[:, None] * norms2 / x1.shape[1] * (sums - gaps) / 2).astype(np.float64)
        k12 = network.first_covariance(torch.from_numpy(products))
        both = np.stack([k.numpy() for k in network.pairwise(q1[:, None], q2, k12)])
        diagonals = [np.stack([k.numpy() for k in network.diagonal(q)]) for q in (q1, q2)]
    scale = np.sqrt(diagonals[0][:, :, None] * diagonals[1][:, None, :])
    return torch.from_numpy(both), torch.from_numpy(scale)


def _units(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    norms = np.sqrt((rows * rows).sum(1))
    return rows / np.where(norms > 0, norms, 1)[:, None], norms
