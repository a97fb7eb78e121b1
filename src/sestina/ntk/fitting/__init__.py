"""A kernel from data.

fits (`fit_kernel`) → choices (what can be chosen) → mixtures (the best mixture of kernels).
"""
