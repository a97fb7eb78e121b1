"""The inputs of the benches of kernel matrices. NumPy alone: peers' environments import it, too."""

import numpy as np

__all__ = ["rows"]


def rows(workload, seed):
    """Random float32 rows of norm √d, or of norms that differ by a factor of e, as a rule."""
    rng = np.random.default_rng(seed)
    draws = rng.standard_normal((workload["n"], workload["d"]))
    draws *= workload["d"] ** 0.5 / np.linalg.norm(draws, axis=1, keepdims=True)
    if workload["norms"] == "unequal":
        draws *= np.exp(rng.standard_normal((workload["n"], 1)))
    return draws.astype(np.float32)
