"""NNGP and NTK matrices by neural-tangents, compiled, of a ReLU network."""

import jax
from neural_tangents import stax

from benchmarks.ntk.peers.forward_rows import rows


def kernels(workload):
    """Both float32 kernels of the same rows as ours; compiled before anything is timed."""
    layers = []
    for _ in range(workload["depth"]):
        layers += [stax.Dense(1, 2**0.5, workload["sigma_b"]), stax.Relu()]
    kernel = jax.jit(stax.serial(*layers, stax.Dense(1, 1.0, None))[2], static_argnames="get")
    x1 = jax.numpy.asarray(rows(workload, seed=0))
    x2 = None if workload["square"] else jax.numpy.asarray(rows(workload, seed=1))

    def run():
        jax.block_until_ready(tuple(kernel(x1, x2, get=("nngp", "ntk"))))

    run()
    return run
