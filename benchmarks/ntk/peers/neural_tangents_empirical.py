"""Empirical NTK by neural-tangents' structured derivatives, compiled, of a ReLU network."""

import jax
import neural_tangents
import numpy as np
from neural_tangents import stax


def structured(workload):
    """The full kernel (n, n, o, o); compiled before anything is timed."""
    layers = []
    for _ in range(workload["depth"]):
        layers += [stax.Dense(workload["width"], 2**0.5, 0.1), stax.Relu()]
    init, apply, _ = stax.serial(*layers, stax.Dense(workload["d_out"], 1.0, None))
    draws = np.random.default_rng(0).standard_normal((workload["n"], workload["d"]))
    x = jax.numpy.asarray(draws.astype(np.float32))
    _, parameters = init(jax.random.PRNGKey(0), x.shape)
    kernel = jax.jit(
        neural_tangents.empirical_ntk_fn(
            apply,
            trace_axes=(),
            vmap_axes=0,
            implementation=neural_tangents.NtkImplementation.STRUCTURED_DERIVATIVES,
        )
    )

    def run():
        kernel(x, None, parameters).block_until_ready()

    run()
    return run
