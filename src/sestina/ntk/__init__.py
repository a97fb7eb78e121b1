"""Design a network from a kernel, and know the kernel of a network.

>>> import torch
>>> from sestina import ntk
>>> deep = ntk.FullyConnected(activation="relu", depth=4, sigma_w=2**0.5, sigma_b=0.1)
>>> kernel = deep.dot_product("ntk")  # on inputs of one norm, a function of the cosine
>>> kernel(torch.tensor([1.0, 0.5, -1.0], dtype=torch.float64)).numpy().round(6).tolist()
[5.07, 2.160512, 1.085666]
>>> kernel.coefficients(3).round(6).tolist()  # of 1, c and c²: non-negative, so it can be had
[1.474731, 0.886129, 0.687545]
>>> design = ntk.design(kernel)  # one hidden layer with the same kernel
>>> design.module(d_in=64, d_out=10, width=1024, seed=0)(torch.ones(2, 64)).shape
torch.Size([2, 10])

- kernels: `FullyConnected`, `DotProductKernel`, `parse_target`, `kernel_matrices`
- networks from kernels: `design`, `fit_kernel`; as modules: `FullyConnectedNet`
- kernels of modules: `empirical_ntk`
- predictions: `GradientFlow`, `GaussianProcess`, `KernelRegressor`, `forecast`
- activations, each with its kernels: `sestina.ntk.activations`
"""

from sestina.core.extras import naming_extra

with naming_extra("ntk"):
    from sestina.ntk.activations import Activation, Custom, activation
    from sestina.ntk.architectures import FullyConnected
    from sestina.ntk.datasets import Table, load_table, read_table, shipped_table
    from sestina.ntk.designs.inverse import Design, design
    from sestina.ntk.designs.options import DesignOptions
    from sestina.ntk.empirical import EmpiricalNTK, empirical_ntk
    from sestina.ntk.fitting.fits import FitOptions, FittedKernel, fit_kernel
    from sestina.ntk.kernels.dot_product import DotProductKernel
    from sestina.ntk.kernels.spectra import Spectrum, hypercube_spectrum, sphere_spectrum
    from sestina.ntk.kernels.targets import parse_target
    from sestina.ntk.matrices.curves import input_matrix
    from sestina.ntk.matrices.tiled import kernel_matrices, kernel_matrix
    from sestina.ntk.nets import FullyConnectedNet
    from sestina.ntk.pairs import Kernels
    from sestina.ntk.predictions.estimators import KernelClassifier, KernelRegressor, NetworkKernel
    from sestina.ntk.predictions.forecasts import (
        DataForecast,
        Forecast,
        forecast,
        forecast_from_data,
    )
    from sestina.ntk.predictions.posteriors import GaussianProcess, LeaveOneOut, leave_one_out
    from sestina.ntk.predictions.regression import GradientFlow, max_learning_rate

__all__ = [
    "Activation",
    "Custom",
    "DataForecast",
    "Design",
    "DesignOptions",
    "DotProductKernel",
    "EmpiricalNTK",
    "FitOptions",
    "FittedKernel",
    "Forecast",
    "FullyConnected",
    "FullyConnectedNet",
    "GaussianProcess",
    "GradientFlow",
    "KernelClassifier",
    "KernelRegressor",
    "Kernels",
    "LeaveOneOut",
    "NetworkKernel",
    "Spectrum",
    "Table",
    "activation",
    "design",
    "empirical_ntk",
    "fit_kernel",
    "forecast",
    "forecast_from_data",
    "hypercube_spectrum",
    "input_matrix",
    "kernel_matrices",
    "kernel_matrix",
    "leave_one_out",
    "load_table",
    "max_learning_rate",
    "parse_target",
    "read_table",
    "shipped_table",
    "sphere_spectrum",
]
