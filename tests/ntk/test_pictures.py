"""What the pictures show is what was computed, and all their text is inside."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.text import Text

from sestina.core.errors import InvalidValueError
from sestina.core.plots import save_figure
from sestina.ntk.datasets import shipped_table
from sestina.ntk.designs.inverse import design
from sestina.ntk.designs.origins import Origin
from sestina.ntk.designs.variance import ERROR_ANGLES, ERROR_COSINES
from sestina.ntk.fitting.fits import fit_kernel
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.kernels.targets import parse_target
from sestina.ntk.pictures import (
    LearningCurve,
    activation_picture,
    fit_picture,
    forecast_picture,
    kernel_picture,
    network_kernel,
    network_picture,
    training_picture,
)
from sestina.ntk.predictions.forecasts import forecast_from_data


@pytest.fixture(scope="module")
def made():
    return design(DotProductKernel.from_coefficients([0.2, 0.5, 0.0, 0.3]))


@pytest.fixture(scope="module")
def made_nngp():
    return design(DotProductKernel.from_coefficients([0.2, 0.5, 0.0, 0.3]), "nngp")


@pytest.fixture(scope="module")
def iris():
    table = shipped_table("iris")
    return torch.from_numpy(table.standardised[::2]), table.outputs[::2], table.targets[::2]


@pytest.fixture(scope="module")
def forecasts(iris):
    x, y, _ = iris
    targets = ("relu:depth=1", "relu:depth=4,sigma_w=1.41421356,sigma_b=0.1", "poly:0,1")
    matrices = {target: parse_target(target).matrix(x) for target in targets}
    return {
        target: forecast_from_data(
            matrix, y - y.mean(0), [5, 10, 20, 35, 60], ridge=0.1 * float(matrix.diagonal().mean())
        )
        for target, matrix in matrices.items()
    }


def curves(name, factor):
    epochs = np.array([1.0, 5.0, 20.0, 100.0])
    return LearningCurve(
        name=name, epochs=epochs, train=factor / epochs, test=factor / np.sqrt(epochs)
    )


def lines(axes):
    return {line.get_label(): line for line in axes.get_lines()}


def texts_outside(figure):
    """Texts that do not lie wholly within the figure."""
    figure.draw_without_rendering()
    page = figure.bbox
    found = []
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text():
            box = text.get_window_extent()
            inside = page.x0 - 1 <= box.x0 and box.x1 <= page.x1 + 1
            inside &= page.y0 - 1 <= box.y0 and box.y1 <= page.y1 + 1
            if not inside and text.axes is not None and not is_hidden_tick(text):
                found.append(text.get_text())
    return found


def is_hidden_tick(text):
    """Tick labels beyond the axes' limits exist, but are not drawn."""
    axes = text.axes
    low, high = axes.get_xlim()
    place = text.get_position()[0]
    in_x = text in axes.get_xticklabels() + axes.get_xticklabels(minor=True)
    in_y = text in axes.get_yticklabels() + axes.get_yticklabels(minor=True)
    if in_x:
        return not low <= place <= high
    bottom, top = axes.get_ylim()
    return in_y and not bottom <= text.get_position()[1] <= top


def test_the_kernel_picture_draws_target_and_achieved_kernel(made):
    axes = kernel_picture(made).axes[0]
    cosines, target = lines(axes)["target"].get_data()
    assert (cosines.min(), cosines.max()) == (-1.0, 1.0)
    np.testing.assert_allclose(target, made.target(cosines), atol=1e-12)
    np.testing.assert_allclose(lines(axes)["achieved"].get_ydata(), target, atol=1e-6)


def test_the_kernel_picture_shows_the_declared_error(made):
    errors = kernel_picture(made).axes[1].get_lines()[0].get_ydata()
    assert errors.max() == pytest.approx(max(made.error.max, 1e-17))


def test_the_activation_picture_draws_the_activation(made):
    z, phi = lines(activation_picture(made).axes[0])["φ(z)"].get_data()
    with torch.no_grad():
        np.testing.assert_allclose(phi, made.activation(torch.from_numpy(z)).numpy(), atol=1e-12)


def test_a_network_kernel_is_the_product_of_gradients(made):
    net = made.module(2, 1, 7, seed=3, centred=False).double()
    gradients = []
    for angle in ERROR_ANGLES[[0, 40, 99]]:
        x = math.sqrt(2) * torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=torch.float64)
        parts = torch.autograd.grad(net(x)[0, 0], list(net.weights))
        gradients.append(torch.cat([part.flatten() for part in parts]))
    expected = [float(gradients[0] @ gradient) for gradient in gradients]
    kernel = network_kernel(made, 7, seed=3)
    np.testing.assert_allclose(kernel[[0, 40, 99]], expected, rtol=1e-12)


def test_a_network_kernel_of_an_nngp_design_is_the_mean_product_of_its_units(made_nngp):
    net = made_nngp.module(2, 1, 5, seed=1, centred=False).double()
    first, second = net.weights[0].detach().T
    phi = made_nngp.activation
    at_zero = phi(first)  # √2 (1, 0) over √d = √2
    opposite = phi(-first)
    kernel = network_kernel(made_nngp, 5, seed=1)
    assert kernel[0] == pytest.approx(float((at_zero * at_zero).mean()), rel=1e-12)
    assert kernel[-1] == pytest.approx(float((at_zero * opposite).mean()), rel=1e-9)
    assert len(second) == 5


def test_wide_networks_come_close_to_the_target(made):
    width = 4096
    error = network_kernel(made, width) - made.target(ERROR_COSINES)
    # One draw; the chance of four times the expected error is far below one in a million.
    assert np.sqrt(np.mean(error**2)) < 4 * made.expected_error(width)


def test_the_network_picture_puts_each_network_at_its_error(made):
    widths = (64, 1024)
    axes = network_picture(made, widths, seed=2).axes[1]
    at, errors = lines(axes)["the networks on the left"].get_data()
    expected = [
        np.sqrt(np.mean((network_kernel(made, width, seed=2) - made.target(ERROR_COSINES)) ** 2))
        for width in widths
    ]
    assert list(at) == list(widths)
    np.testing.assert_allclose(errors, expected)


@pytest.mark.parametrize("widths", [(), (0,), (64, -1)])
def test_widths_that_no_network_has_are_refused(made, widths):
    with pytest.raises(InvalidValueError, match="widths"):
        network_picture(made, widths)


def test_the_forecast_picture_is_dashed_where_the_spectrum_is_not_trusted(forecasts):
    axes = forecast_picture(forecasts).axes[0]
    solid, dashed = axes.get_lines()[:2]
    assert list(solid.get_xdata()) == [5, 10, 20, 35]  # half of 75 rows is 37
    assert list(dashed.get_xdata()) == [35, 60]
    assert dashed.get_ydata()[0] == solid.get_ydata()[-1]
    assert set(forecasts) <= set(lines(axes))


def test_the_fit_picture_shows_every_score(iris):
    x, _, labels = iris
    fitted = fit_kernel(x, labels.astype(int))
    figure = fit_picture(fitted)
    names = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert names == ["fitted", "relu depth 1", "relu depth 2", "relu depth 4"]
    kernel = lines(figure.axes[0])["fitted"].get_ydata()
    assert kernel[0] == pytest.approx(1.0)
    assert texts_outside(figure) == []


def test_the_training_picture_draws_networks_and_predictions():
    real = [curves("designed", 0.5), curves("deep", 0.6)]
    ideal = [curves("designed", 0.45), curves("deep", 0.45)]
    figure = training_picture(real, ideal)
    assert [axes.get_title("left") for axes in figure.axes] == ["Training loss", "Test loss"]
    np.testing.assert_array_equal(lines(figure.axes[1])["deep"].get_ydata(), real[1].test)
    assert texts_outside(figure) == []


def test_no_text_is_cut_off(made, made_nngp, forecasts):
    figures = [
        kernel_picture(made),
        activation_picture(made_nngp),
        network_picture(made_nngp, (16, 65536)),
        forecast_picture(forecasts),
    ]
    assert [texts_outside(figure) for figure in figures] == [[], [], [], []]


def test_the_same_picture_gives_the_same_bytes(made, tmp_path):
    paths = [save_figure(activation_picture(made), tmp_path / f"{i}.png") for i in range(2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_the_nearest_kernel_is_not_drawn_as_the_one_asked_for():
    made = design(DotProductKernel.from_coefficients([0.0, 1.0]), form="hermite", degree=1)
    origin = Origin(text="nearest", nearest_of="poly:0,1,-0.5", distance=0.5)
    for draw in (kernel_picture, network_picture):
        for each, label in ((made, "target"), (replace(made, origin=origin), "nearest to poly:")):
            legend = draw(each).axes[0].get_legend()
            assert any(text.get_text().startswith(label) for text in legend.get_texts())
