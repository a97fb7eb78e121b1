"""Designs: what they declare is what they are, for every form, and networks of them agree."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sestina.core.errors import InvalidValueError, NotAchievableError, UnknownNameError
from sestina.ntk.architectures import FullyConnected
from sestina.ntk.designs.inverse import Design, design
from sestina.ntk.designs.variance import ERROR_ANGLES, ERROR_COSINES
from sestina.ntk.empirical import empirical_ntk
from sestina.ntk.kernels.dot_product import DotProductKernel

DEEP = FullyConnected(activation="relu", depth=4, sigma_w=2**0.5, sigma_b=0.1)
FORMS = ("table", "hermite", "relu-sum", "sinusoid")


@pytest.fixture(scope="module")
def deep():
    return design(DEEP.dot_product("ntk"))


@pytest.fixture(scope="module", params=FORMS)
def made(request):
    return design(DEEP.dot_product("ntk"), form=request.param)


def brute_moments(phi):
    """E[φ²], E[φ'²] and E[φ⁴ + 2φ²φ'² + 3φ'⁴] by the midpoint rule."""
    z = -10 + 1e-4 * (np.arange(200_000) + 0.5)
    weights = 1e-4 * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    with torch.no_grad():
        value, slope = phi(torch.from_numpy(z)).numpy(), phi.derivative(torch.from_numpy(z)).numpy()
    fourth = value**4 + 2 * value**2 * slope**2 + 3 * slope**4
    return weights @ value**2, weights @ slope**2, weights @ fourth


def network_errors(one, width, nets):
    x = 2**0.5 * torch.from_numpy(np.stack([np.cos(ERROR_ANGLES), np.sin(ERROR_ANGLES)], 1))
    wanted = one.target(ERROR_COSINES)
    errors = []
    for seed in range(nets):
        net = one.module(2, 1, width, seed, centred=False).double()
        kernel = empirical_ntk(net, x[:1], x, axes="full").numpy().reshape(-1)
        errors.append(math.sqrt(((kernel - wanted) ** 2).mean()))
    return np.array(errors)


def test_the_deep_relu_design_reaches_its_figures(deep):
    assert deep.error.sse < 1e-9
    assert abs(deep.error.at_one) < 1e-6
    assert float(deep.sigma(1.0)) < 6.7
    assert deep.variance.rms < 3.9
    assert deep.tail == pytest.approx(0.0202, abs=1e-3)


def test_declared_kernel_and_spread_are_those_of_the_activation(made):
    value, slope, fourth = brute_moments(made.activation)
    assert float(made.achieved(1.0)) == pytest.approx(value + slope, rel=1e-4)
    assert made.error.at_one == pytest.approx(value + slope - made.target.total, abs=3e-4)
    sigma = math.sqrt(fourth - (value + slope) ** 2)
    assert float(made.sigma(1.0)) == pytest.approx(sigma, rel=1e-3)


def test_the_infinite_network_of_the_activation_has_the_achieved_kernel(made):
    curve = FullyConnected(activation=made.activation).dot_product("ntk")
    gap = np.abs(curve(ERROR_COSINES) - made.achieved(ERROR_COSINES))
    # The two put what lies beyond the series at other degrees, which shows next to c = ±1 only.
    assert gap[2:-2].max() < 1e-5
    assert gap.max() < 3e-4


def test_finite_networks_err_as_forecast(made):
    errors = network_errors(made, 1024, 150)
    standard_error = errors.std() / math.sqrt(errors.size)
    assert errors.mean() == pytest.approx(made.expected_error(1024), abs=4 * standard_error)
    assert standard_error < 0.04 * errors.mean()


def test_searched_signs_beat_alternating_ones(deep):
    plain = design(deep.target, signs="alternating")
    assert deep.variance.typical < 0.88 * plain.variance.typical
    assert float(deep.sigma(1.0)) < 0.7 * float(plain.sigma(1.0))
    np.testing.assert_allclose(np.abs(deep.series), np.abs(plain.series))


@pytest.mark.parametrize("kind", ["ntk", "nngp"])
@pytest.mark.parametrize(
    "kernel",
    [
        FullyConnected(activation="relu", sigma_w=2**0.5, sigma_b=0.1).dot_product("ntk"),
        FullyConnected(activation="erf", depth=4).dot_product("ntk"),
        DotProductKernel.from_coefficients([0.0, 0.0, 1.0, 1.0]),
        DotProductKernel(lambda c: np.exp(2 * (c - 1))),
    ],
    ids=["relu", "erf", "polynomial", "exponential"],
)
def test_other_targets_are_met(kernel, kind):
    one = design(kernel, kind)
    assert one.error.max < 1e-5 * kernel.total
    value, slope, _ = brute_moments(one.activation)
    total = value + slope if kind == "ntk" else value
    assert total == pytest.approx(kernel.total, rel=1e-5)


@settings(max_examples=8)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.sampled_from(["ntk", "nngp"]))
def test_any_series_is_designed_and_measured_honestly(coefficients, kind):
    if sum(coefficients) < 1e-3:
        return
    target = DotProductKernel.from_coefficients(coefficients)
    one = design(target, kind, degree=40)
    value, slope, fourth = brute_moments(one.activation)
    total = value + slope if kind == "ntk" else value
    assert one.error.at_one == pytest.approx(total - target.total, abs=1e-6)
    assert 0 <= one.tail <= target.total + 1e-9
    if kind == "ntk":
        sigma = math.sqrt(max(fourth - total**2, 0))
        assert float(one.sigma(1.0)) == pytest.approx(sigma, rel=1e-3, abs=1e-3)
    assert one.signs.size == one.series.size == one.coefficients.size


def test_series_signs_and_coefficients_belong_together(deep):
    k = np.arange(deep.series.size)
    body = slice(0, 12_000)  # beyond, the tail is faded out and made up for
    np.testing.assert_allclose(
        (deep.series**2 * (1 + k))[body], deep.coefficients[body], rtol=1e-12
    )
    np.testing.assert_array_equal(np.sign(deep.series), deep.signs)


def test_width_for_is_the_least_width(deep):
    for accuracy in (0.5, 0.05, 0.003):
        width = deep.width_for(accuracy)
        assert deep.expected_error(width) <= accuracy < deep.expected_error(width - 1)
    relative = deep.width_for(0.02, relative=True)
    assert deep.expected_error(relative, relative=True) <= 0.02
    assert 5000 < relative < 7000


def test_an_accuracy_beyond_the_form_is_refused():
    coarse = design(DEEP.dot_product("ntk"), form="hermite", degree=5)
    with pytest.raises(InvalidValueError, match="infinitely wide"):
        coarse.width_for(0.01)


def test_networks_are_reproducible_centred_and_independent(deep):
    one, same, other = (deep.module(3, 2, 32, seed) for seed in (0, 0, 1))
    x = torch.randn(4, 3)
    assert torch.equal(one(x), torch.zeros(4, 2))
    loose = deep.module(3, 2, 32, 0, centred=False)
    assert loose(x).abs().max() > 0
    assert torch.equal(one.weights[0], same.weights[0])
    assert not torch.equal(one.weights[0], other.weights[0])
    one.double()
    assert same(x).dtype == torch.float32
    assert deep.activation is not same.activation


def test_networks_train(deep):
    net = deep.module(3, 1, 256, 0)
    x = torch.nn.functional.normalize(torch.randn(20, 3), dim=1) * 3**0.5
    y = x[:, :1]
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = (net(x) - y).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_curves_and_summary_are_ready_to_show(made):
    curves = made.curves()
    assert {len(curves[name]) for name in ("angles", "cosines", "target", "achieved", "sigma")} == {
        100
    }
    assert len(curves["z"]) == len(curves["phi"]) == len(curves["slope"])
    summary = made.summary()
    assert summary["form"] == made.form
    assert summary["sigma_at_one"] == float(made.sigma(1.0))
    assert isinstance(repr(made), str)


def test_impossible_kernels_are_refused_with_a_way_out():
    target = DotProductKernel.from_coefficients([1.0, 0.5, -0.1, 0.3])
    with pytest.raises(NotAchievableError) as caught:
        design(target)
    nearest = caught.value.nearest
    assert isinstance(nearest, DotProductKernel)
    assert design(nearest).error.max < 1e-6


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"form": "spline"}, UnknownNameError),
        ({"kind": "gp"}, UnknownNameError),
        ({"degree": 1 << 20}, InvalidValueError),
        ({"form": "hermite", "degree": 1}, InvalidValueError),
    ],
)
def test_bad_arguments_are_refused_before_any_work(arguments, error):
    with pytest.raises(error):
        design(DotProductKernel.from_coefficients([0.0, 0.0, 1.0]), **arguments)


def test_a_design_is_a_fact(deep):
    assert isinstance(deep, Design)
    with pytest.raises(AttributeError):
        deep.tail = 0.0


@pytest.mark.parametrize(
    ("kernel", "remedy"),
    [
        (lambda c: c, r"DotProductKernel\(function\)"),
        ("relu", r"parse_target\('relu'\)"),
        (DEEP, r"network\.dot_product\(kind\)"),
        ([0.0, 1.0], "from_coefficients"),
    ],
)
def test_what_is_no_kernel_is_refused_with_the_way_to_one(kernel, remedy):
    with pytest.raises(InvalidValueError, match=remedy):
        design(kernel)


@pytest.mark.parametrize("size", [1e-300, 1e-51, 1e51, 1e300])
def test_a_kernel_too_large_or_small_for_its_fourth_moments_is_refused(size):
    with pytest.raises(InvalidValueError, match=r"1e-50 to 1e\+50"):
        design(DotProductKernel.from_coefficients([0.0, size]))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [1e-50, 1e50])
def test_the_largest_and_smallest_kernels_allowed_are_designed(form, size, tmp_path):
    made = design(DotProductKernel.from_coefficients([0.0, 0.9 * size, 0.1 * size]), form=form)
    assert 0 < float(made.sigma(1.0)) < 10 * size
    made.save(tmp_path / "design.json")
    assert Design.load(tmp_path / "design.json").error == made.error


def test_the_remedy_for_a_width_is_what_limits_the_design():
    with pytest.raises(InvalidValueError, match=r"larger width= \(now 16\)$"):
        design(DEEP.dot_product("ntk"), width=16).width_for(1e-9)
    with pytest.raises(InvalidValueError, match=r"higher degree$"):
        design(DEEP.dot_product("ntk"), degree=5).width_for(1e-9)
    with pytest.raises(InvalidValueError, match=r"higher degree or form='table'$"):
        design(DEEP.dot_product("ntk"), form="hermite", degree=5).width_for(1e-9)
    with pytest.raises(InvalidValueError, match=r"more terms, a larger width= .* or form='table'$"):
        design(DEEP.dot_product("ntk"), form="relu-sum").width_for(1e-9)


@pytest.mark.parametrize("accuracy", ["2%", None, float("nan"), True])
def test_an_accuracy_that_is_no_number_is_refused(deep, accuracy):
    with pytest.raises(InvalidValueError, match="accuracy"):
        deep.width_for(accuracy)


def test_progress_is_told_of_each_stage():
    told = []
    design(
        DotProductKernel.from_coefficients([0.0, 1.0]),
        progress=lambda done, total, label: told.append((done, total, label)),
    )
    assert [done for done, _, _ in told] == [0, 1, 2, 3, 4]
    assert {total for _, total, _ in told} == {4}
    labels = ["reading coefficients", "choosing signs", "writing the activation", "measuring"]
    assert [label for _, _, label in told[:4]] == labels
