"""Which nodes share a kernel: those that can share loops, so that no kernels wait in a ring."""
