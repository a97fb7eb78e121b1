"""Forward map: errors of float32 and float64 matrices, entry by entry, depth 1 to 20.

The reference is the network's own recursion in float64 at cosines from extended precision: exact to
about 1e-11, where two inputs are 1e-8 from parallel. Errors are relative to √(K(x, x) K(x', x')).
"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.harness import Report, Value, at_most, main
from sestina.ntk.architectures import FullyConnected

DEPTHS = range(1, 21)
COLUMNS = (3, 100, 784, 3072)
ROWS = 120


def inputs(d, *, one_norm, dtype):
    """Clusters, near copies and near opposites down to 1 − |c| = 1e-8, copies, opposites."""
    rng = np.random.default_rng(d)
    x = rng.standard_normal((ROWS, d))
    x[:30] = x[:3].repeat(10, axis=0) + 0.05 * rng.standard_normal((30, d))
    half = ROWS // 2
    near = x[:half] / np.linalg.norm(x[:half], axis=1, keepdims=True)
    across = rng.standard_normal((half, d))
    across -= (across * near).sum(1, keepdims=True) * near
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    angles = 10 ** rng.uniform(np.log10(1.4e-4), np.log10(1.5), (half, 1))
    angles[:6] = 0
    signs = np.where(np.arange(half)[:, None] % 3 == 0, -1, 1)
    x[half:] = signs * (np.cos(angles) * near + np.sin(angles) * across)
    x *= d**0.5 / np.linalg.norm(x, axis=1, keepdims=True)
    if not one_norm:
        x *= np.exp(rng.standard_normal((ROWS, 1)))
    return torch.from_numpy(x).to(dtype)


def cosines(x):
    """Norms² / d, and cosines with their rounding far below float64's."""
    rows = x.numpy().astype(np.longdouble)
    norms = np.sqrt((rows * rows).sum(1))
    units = rows / norms[:, None]
    c = np.stack([((unit + units) ** 2 - (unit - units) ** 2).sum(1) / 4 for unit in units])
    return norms**2 / x.shape[1], c


def errors(network, x, moments, c):
    """The largest error of an entry, and of a diagonal value relative to itself."""
    q = network.first_covariance(torch.from_numpy(moments.astype(np.float64)))
    products = np.sqrt(moments[:, None] * moments) * c
    k12 = network.first_covariance(torch.from_numpy(products.astype(np.float64)))
    exact = network.pairwise(q[:, None], q, k12)
    diagonals = network.diagonal(q)
    largest, on_diagonal = 0.0, 0.0
    for second in (None, x.clone()):
        found = network.kernels(x, second)
        for matrix, reference, diagonal in zip(found, exact, diagonals, strict=True):
            scale = torch.sqrt(diagonal[:, None] * diagonal)
            gaps = (matrix.double() - reference).abs() / scale
            gaps.fill_diagonal_(0)  # acos in the reference: 1e-8 off at c = 1
            ratio = matrix.diagonal().double() / diagonal
            largest = max(largest, float(gaps.max()))
            on_diagonal = max(on_diagonal, float((ratio - 1).abs().max()))
    return largest, on_diagonal


def bench(report: Report) -> None:
    for dtype, entry_target, diagonal_target in (
        (torch.float32, at_most(2e-6), at_most(1e-6)),
        (torch.float64, None, None),
    ):
        for one_norm in (True, False):
            worst, worst_diagonal, where = 0.0, 0.0, ""
            for d in COLUMNS:
                x = inputs(d, one_norm=one_norm, dtype=dtype)
                moments, c = cosines(x)
                for depth in DEPTHS:
                    network = FullyConnected(
                        activation="relu", depth=depth, sigma_w=2**0.5, sigma_b=0.1
                    )
                    entry, diagonal = errors(network, x, moments, c)
                    if entry > worst:
                        worst, where = entry, f"d = {d}, depth {depth}"
                    worst_diagonal = max(worst_diagonal, diagonal)
            name = str(dtype).removeprefix("torch.")
            norms = "equal" if one_norm else "unequal"
            workload = {
                "n": ROWS,
                "d": list(COLUMNS),
                "depths": "1 to 20",
                "norms": norms,
                "dtype": name,
            }
            report.row(
                what=f"{name}, {norms} norms, all entries: largest error over K(1)",
                workload=workload,
                measured=Value(worst),
                target=entry_target,
                notes={"worst": where},
            )
            report.row(
                what=f"{name}, {norms} norms, diagonal: largest relative error",
                workload=workload,
                measured=Value(worst_diagonal),
                target=diagonal_target,
            )


if __name__ == "__main__":
    main(bench)
