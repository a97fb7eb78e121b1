"""Kernels as LLVM IR: text with explicit vectors of 16 lanes, which LLVM fits to the machine."""
