"""The inputs of the benches of kernel matrices. NumPy alone: peers' environments import it, too."""

import numpy as np

__all__ = ["rows"]


def rows(workload, seed):
    """Random float32 rows of norm √d, or of norms that differ by a factor of e, as a rule.

    The last fiftieth nearly repeats the first rows of seed 0: cosines there need their correction.
    """
    rng = np.random.default_rng(seed)
    draws = rng.standard_normal((workload["n"], workload["d"]))
    repeated = workload["n"] // 50
    originals = np.random.default_rng(0).standard_normal((repeated, workload["d"]))
    draws[len(draws) - repeated :] *= 1e-4
    draws[len(draws) - repeated :] += originals
    draws *= workload["d"] ** 0.5 / np.linalg.norm(draws, axis=1, keepdims=True)
    if workload["norms"] == "unequal":
        draws *= np.exp(rng.standard_normal((workload["n"], 1)))
    return draws.astype(np.float32)
