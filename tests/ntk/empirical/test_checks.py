import pytest
import torch
from torch import nn

from sestina.core.errors import DtypeError, InvalidValueError, NonFiniteError, ShapeError
from sestina.ntk.empirical import empirical_ntk
from sestina.ntk.empirical.checks import (
    check_independent,
    check_same_outputs,
    check_unchanged,
    output_scale,
)
from sestina.ntk.nets import FullyConnectedNet
from tests.ntk.empirical.modules import METHODS, Calls, normal


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), r"module\.1 is BatchNorm1d"),
        (
            nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, track_running_stats=False)).eval(),
            r"module\.1 is BatchNorm1d, which uses the statistics of the batch",
        ),
        (nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1)), r"module\.1 is Dropout, which drops"),
        (nn.Sequential(nn.Linear(2, 2), nn.RReLU()), r"module\.1 is RReLU, which draws"),
    ],
)
def test_batch_statistics_and_dropout_are_refused_with_a_remedy(module, name):
    for method in ("auto", "contraction", "vector-products", "structured"):
        with pytest.raises(InvalidValueError, match=rf"{name}.*module\.eval\(\)"):
            empirical_ntk(module, torch.ones(3, 2), method=method)


@pytest.mark.filterwarnings("ignore:.*spectral_norm.*:FutureWarning")
@pytest.mark.parametrize(
    ("part", "name"),
    [
        (
            lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4)),
            r"module\.1\.parametrizations\.weight\.0 is _SpectralNorm, which updates its singular",
        ),
        (
            lambda: nn.utils.spectral_norm(nn.Linear(4, 4)),
            r"module\.1 is Linear, which updates its singular",
        ),
        (
            lambda: nn.Sequential(
                nn.Unflatten(1, (2, 2)),
                nn.InstanceNorm1d(2, track_running_stats=True),
                nn.Flatten(),
            ),
            r"module\.1\.1 is InstanceNorm1d, which updates its running statistics",
        ),
    ],
)
def test_parts_that_update_themselves_are_refused_with_a_remedy(part, name, oracle, assert_kernel):
    torch.manual_seed(4)
    module, x = nn.Sequential(nn.Linear(3, 4), part()).double(), normal(5, 3)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    for method in (*METHODS, "structured"):
        with pytest.raises(InvalidValueError, match=rf"{name}.*module\.eval\(\)"):
            empirical_ntk(module, x, method=method)
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    module.eval()
    for method in METHODS:
        assert_kernel(empirical_ntk(module, x, method=method), oracle(module, x), 1e-12)


def test_instance_statistics_that_are_not_kept_are_a_function_of_one_sample(oracle, assert_kernel):
    module = nn.Sequential(nn.Conv1d(2, 3, 2), nn.InstanceNorm1d(3, affine=True)).double()
    x = normal(3, 2, 5)
    for method in METHODS:
        assert_kernel(empirical_ntk(module, x, method=method), oracle(module, x), 1e-10)


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: m.a(x) - m.a(x).mean(0),
        lambda m, x: m.a(x) if x.sum() > 0 else -2 * m.a(x),
        lambda m, x: m.a(x.flip(0)),
        lambda m, x: nn.functional.batch_norm(m.a(x), None, None, training=True),
    ],
)
def test_hidden_mixing_of_samples_is_found(function):
    x = torch.tensor([[3.0, 1.0], [-2.0, -2.0], [0.5, -1.0]])
    for method in METHODS:
        with pytest.raises(InvalidValueError, match="depend on the other samples of the batch"):
            empirical_ntk(Calls(function, a=nn.Linear(2, 2)), x, method=method)


def test_mixing_beyond_the_first_samples_is_found_where_batches_are_used():
    module = Calls(lambda m, x: m.a(x) * (1 + (len(x) > 3)), a=nn.Linear(2, 2))
    with pytest.raises(InvalidValueError, match="depend on the other samples of the batch"):
        empirical_ntk(module, normal(6, 2, dtype=torch.float32), method="vector-products")


def test_hidden_randomness_is_found():
    module = Calls(lambda m, x: nn.functional.dropout(m.a(x), 0.5), a=nn.Linear(2, 20))
    for method in METHODS:
        with pytest.raises(InvalidValueError, match="from one evaluation to the next"):
            empirical_ntk(module, torch.ones(3, 2), method=method)


def test_a_barely_trained_centred_net_is_not_mistaken_for_one_that_mixes_samples():
    # f - f₀ is then a difference of nearly equal numbers, whose rounding depends on the batch.
    net = FullyConnectedNet(30, 2, 300, nn.Tanh(), depth=2)
    with torch.no_grad():
        net.weights[0].mul_(1 + 1e-6)
    empirical_ntk(net, normal(40, 30, dtype=torch.float32), method="vector-products", axes="trace")


@pytest.mark.parametrize(
    ("function", "error", "match"),
    [
        (lambda m, x: m.a(x).argmax(1), InvalidValueError, r"without a gradient.*before argmax"),
        (lambda m, x: m.a(x).detach(), InvalidValueError, r"without a gradient"),
        (lambda m, x: (m.a(x), x), InvalidValueError, r"a value of type tuple.*wrap the module"),
        (lambda m, x: m.a(x).sum(), ShapeError, r"expected a first axis of 3"),
        (lambda m, x: m.a(x).double(), DtypeError, r"dtype torch.float64, expected torch.float32"),
        (lambda m, x: m.a(x) / 0, NonFiniteError, r"outputs of the module"),
    ],
)
def test_unusable_outputs_are_named_errors(function, error, match):
    for method in METHODS:
        with pytest.raises(error, match=match):
            empirical_ntk(Calls(function, a=nn.Linear(2, 2)), torch.ones(3, 2), method=method)


@pytest.mark.parametrize(
    ("x1", "x2", "error", "match"),
    [
        ([[1.0, 2.0]], None, InvalidValueError, "x1 is 'a value of type list'|x1 is a value"),
        (torch.ones(3, 5), None, ShapeError, r"x1 is \(3, 5\), expected samples that the module"),
        (torch.ones(()), None, ShapeError, "at least one sample"),
        (torch.ones(0, 2), None, ShapeError, "at least one sample"),
        (
            torch.ones(3, 2),
            torch.ones(3, 1),
            ShapeError,
            r"x2 is \(3, 1\), expected samples shaped",
        ),
        (torch.ones(3, 2).double(), None, DtypeError, r"float64, expected torch.float32 like"),
        (torch.ones(3, 2).cfloat(), None, DtypeError, "expected real numbers"),
        (torch.ones(3, 2), torch.ones(3, 2).double(), DtypeError, "x2 has dtype torch.float64"),
        (torch.tensor([[1.0, float("nan")]]), None, NonFiniteError, r"x1 is nan at \[0, 1\]"),
        (torch.ones(3, 2, device="meta"), None, InvalidValueError, "x1 is on meta"),
    ],
)
@pytest.mark.parametrize("method", ["auto", "contraction"])
def test_unusable_inputs_are_named_errors(x1, x2, error, match, method):
    with pytest.raises(error, match=match):
        empirical_ntk(nn.Linear(2, 2), x1, x2, method=method)


@pytest.mark.parametrize(
    ("module", "error", "match"),
    [
        (lambda x: x, InvalidValueError, r"expected a torch\.nn\.Module"),
        (nn.ReLU(), InvalidValueError, "without trainable parameters"),
        (nn.Linear(2, 2).requires_grad_(False), InvalidValueError, r"call module\.requires_grad_"),
        (nn.Linear(2, 2).half(), DtypeError, "torch.float16, expected trainable parameters all"),
        (
            nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double()),
            DtypeError,
            "torch.float32 and torch.float64",
        ),
        (nn.LazyLinear(2), InvalidValueError, r"parameters have no shape yet.*call module\(x1\)"),
    ],
)
def test_unusable_modules_are_named_errors(module, error, match):
    with pytest.raises(error, match=match):
        empirical_ntk(module, torch.ones(3, 2))


@pytest.mark.parametrize("weight", [1.0, 1e-30])
def test_any_dependence_on_another_sample_is_seen_in_the_gradient(weight):
    x = normal(3, 2).requires_grad_()
    check_independent(x.sin(), x)
    with pytest.raises(InvalidValueError, match="depend on the other samples of the batch"):
        check_independent(x.sin() + weight * x.roll(1, 0), x)


def test_outputs_may_differ_by_rounding_of_their_terms_and_no_more():
    outputs = normal(3, 2)
    check_same_outputs(outputs, outputs + 1e-4, scale=1.0)
    with pytest.raises(InvalidValueError, match="depend on the other samples of the batch"):
        check_same_outputs(outputs, outputs + 1e-4, scale=0.01)


def test_the_scale_of_a_difference_is_that_of_its_terms():
    parameter = torch.full((), 1e3, dtype=torch.float64, requires_grad=True)
    outputs = (parameter - 1e3)[None, None]
    assert outputs.detach() == 0
    assert output_scale(outputs, [parameter]) >= 100


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_scripted_module_is_a_named_error():
    module = torch.jit.trace(nn.Linear(2, 2), torch.ones(3, 2))
    with pytest.raises(InvalidValueError, match=r"compiled by torch\.jit.*compiled from"):
        empirical_ntk(module, torch.ones(3, 2))


def test_parameters_that_stay_as_they_are_pass_whatever_their_bits():
    module = nn.Linear(2, 2)
    with torch.no_grad():
        module.weight.fill_(float("nan"))
    module.scale = nn.Parameter(torch.tensor(True), requires_grad=False)
    check_unchanged({name: p.clone() for name, p in module.named_parameters()}, module)
    with pytest.raises(InvalidValueError, match="changes its parameter 'scale'"):
        check_unchanged({"scale": torch.tensor(False)}, module)
