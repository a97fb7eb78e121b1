"""Building an activation: its series has the kernel's coefficients, whatever the signs."""

import numpy as np

from sestina.ntk.designs.building import signed_series, written_activation
from sestina.ntk.designs.forms import HermiteSeries, TabulatedActivation
from sestina.ntk.designs.options import DesignOptions
from sestina.ntk.kernels.coefficients import asked_coefficients
from sestina.ntk.kernels.dot_product import DotProductKernel

TARGET = DotProductKernel.from_coefficients([0.2, 0.5, 0.2, 0.1])


def test_squares_of_the_series_are_the_coefficients():
    asked = asked_coefficients(TARGET, 64)
    series_k, _ = signed_series(asked, DesignOptions(kind="nngp"))
    np.testing.assert_allclose(series_k**2, [0.2, 0.5, 0.2, 0.1], rtol=1e-12)
    series_k, _ = signed_series(asked, DesignOptions(kind="ntk"))
    np.testing.assert_allclose(series_k**2 * [1, 2, 3, 4], [0.2, 0.5, 0.2, 0.1], rtol=1e-12)


def test_the_form_is_the_one_asked_for():
    asked = asked_coefficients(TARGET, 64)
    for form, expected in (("table", TabulatedActivation), ("hermite", HermiteSeries)):
        options = DesignOptions(form=form)
        series_k, limit = signed_series(asked, options)
        assert isinstance(written_activation(TARGET, asked, series_k, limit, options), expected)
