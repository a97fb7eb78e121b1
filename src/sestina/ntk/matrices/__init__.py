"""Kernel matrices of data.

tiled (the calls) → plans (what is computed how) → tables and rectifiers (from angle to value) →
native_tiles (C++) or torch_tiles (any device, gradients). curves: kernels that are no network's.
"""
