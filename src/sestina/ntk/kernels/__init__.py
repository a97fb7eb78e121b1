"""Kernels as functions of the cosine: K(c) = Σ aₖ cᵏ.

dot_product (the object), expressions (what it is made of), coefficients (and whether a network can
have them), spectra (eigenvalues on sphere and hypercube), targets (kernels by name).
"""
