"""Kernels and ATen calls as one function of Python, generated for a graph."""
