"""Kernel matrices the slow and obvious way: the recursion on every pair, in float64."""

from __future__ import annotations

import torch

from sestina.ntk.pairs import Kernels


def plain_kernels(network, x1, x2=None):
    """Both kernels of the rows of x1 with those of x2."""
    network = network.at_input_width(x1.shape[1])
    rows1 = x1.to(torch.float64)
    rows2 = rows1 if x2 is None else x2.to(torch.float64)
    width = x1.shape[1]
    # Products are summed like the norms, not by GEMM: equal rows have cosine exactly 1.
    q1 = network.first_covariance((rows1 * rows1).sum(-1) / width)
    q2 = network.first_covariance((rows2 * rows2).sum(-1) / width)
    k12 = network.first_covariance((rows1[:, None, :] * rows2[None, :, :]).sum(-1) / width)
    found = network.pairwise(q1[:, None], q2[None, :], k12)
    if x2 is not None:
        return found
    is_diagonal = torch.eye(len(rows1), dtype=torch.bool)
    return Kernels(
        *(
            torch.where(is_diagonal, diagonal[:, None], matrix)
            for matrix, diagonal in zip(found, network.diagonal(q1), strict=True)
        )
    )
