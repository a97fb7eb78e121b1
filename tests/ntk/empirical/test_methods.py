import logging
import subprocess
import sys

import pytest
import torch
from torch import nn

from sestina.core.errors import DtypeError, InvalidValueError, NonFiniteError, ShapeError
from sestina.ntk.empirical import empirical_ntk
from sestina.ntk.nets import FullyConnectedNet

METHODS = ("auto", "contraction", "vector-products")


class Calls(nn.Module):
    """A module whose forward is a function of it and of the inputs."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


class OldSine(torch.autograd.Function):
    """A function in the old style, that torch.func takes neither vectorised nor forward."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * x.cos()


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def with_statistics():
    module = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))
    module(normal(50, 4, seed=9, dtype=torch.float32))  # so that its statistics are not 0 and 1
    return module.eval()


def tied():
    return Calls(lambda m, x: m.first(m.first(x).tanh()) @ m.first.weight, first=nn.Linear(4, 4))


def residual():
    return Calls(
        lambda m, x: m.out(x + m.inner(x).relu()), inner=nn.Linear(4, 4), out=nn.Linear(4, 3)
    )


def partly_frozen():
    module = nn.Sequential(nn.Conv1d(2, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(6, 2))
    module[0].weight.requires_grad_(False)
    return module


MODULES = {
    "MLP": lambda: (nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), (4,)),
    "convolution": lambda: (
        nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3)
        ),
        (2, 6, 6),
    ),
    "transposed convolution": lambda: (
        nn.Sequential(nn.ConvTranspose2d(2, 3, 2), nn.SiLU(inplace=True), nn.AvgPool2d(2)),
        (2, 3, 3),
    ),
    "LayerNorm": lambda: (
        nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.GELU(), nn.Linear(6, 2)),
        (4,),
    ),
    "GroupNorm": lambda: (nn.Sequential(nn.Conv1d(2, 4, 2), nn.GroupNorm(2, 4)), (2, 4)),
    "tied weights": lambda: (tied(), (4,)),
    "residual": lambda: (residual(), (4,)),
    "evaluated BatchNorm": lambda: (with_statistics(), (4,)),
    "frozen part": lambda: (partly_frozen(), (2, 4)),
    "in place first": lambda: (nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 2)), (4,)),
    "trained slope": lambda: (nn.Sequential(nn.Linear(4, 5), nn.PReLU(), nn.Linear(5, 2)), (4,)),
    "scalar output": lambda: (Calls(lambda m, x: m.a(x)[:, 0], a=nn.Linear(4, 1)), (4,)),
    "attention": lambda: (
        Calls(
            lambda m, x: m.a(x, x, x)[0].mean(1), a=nn.MultiheadAttention(4, 2, batch_first=True)
        ),
        (3, 4),
    ),
    "LSTM": lambda: (
        Calls(lambda m, x: m.r(x)[0][:, -1], r=nn.LSTM(3, 2, batch_first=True)),
        (4, 3),
    ),
    "old function": lambda: (
        Calls(lambda m, x: m.b(OldSine.apply(m.a(x))), a=nn.Linear(4, 3), b=nn.Linear(3, 2)),
        (4,),
    ),
    "weight norm": lambda: (
        nn.Sequential(
            nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), nn.Tanh(), nn.Linear(3, 2)
        ),
        (4,),
    ),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", MODULES)
def test_any_module_has_the_kernel_of_its_jacobian(name, method, oracle, assert_kernel):
    torch.manual_seed(1)
    module, shape = MODULES[name]()
    x1, x2 = normal(5, *shape), normal(3, *shape, seed=1)
    exact, exact_symmetric = oracle(module, x1, x2), oracle(module, x1)
    module.double()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    x_before = x1.clone()
    assert_kernel(empirical_ntk(module, x1, x2, method=method), exact, 1e-12)
    assert_kernel(empirical_ntk(module, x1, method=method), exact_symmetric, 1e-12)
    diagonal = empirical_ntk(module, x1, method=method, axes="diagonal")
    assert_kernel(diagonal, exact_symmetric.diagonal(dim1=2, dim2=3), 1e-12)
    trace = empirical_ntk(module, x1, x2, method=method, axes="trace")
    assert_kernel(trace, exact.diagonal(dim1=2, dim2=3).mean(-1), 1e-12)
    assert torch.equal(x1, x_before)
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())


@pytest.mark.parametrize("name", ["MLP", "convolution", "LayerNorm", "tied weights", "residual"])
def test_in_float32_it_equals_the_full_jacobians_to_1e_5(name, oracle, assert_kernel):
    torch.manual_seed(2)
    module, shape = MODULES[name]()
    x = normal(6, *shape, dtype=torch.float32)
    theta = empirical_ntk(module, x)
    assert theta.dtype == torch.float32
    assert not theta.requires_grad
    assert_kernel(theta, oracle(module, x), 1e-5)


@pytest.mark.parametrize("axes", ["full", "diagonal", "trace"])
@pytest.mark.parametrize("max_bytes", [1, 3000, 20_000])
def test_little_memory_changes_nothing(axes, max_bytes, oracle, assert_kernel):
    module = nn.Sequential(nn.Linear(4, 9), nn.LayerNorm(9), nn.Tanh(), nn.Linear(9, 3)).double()
    x1, x2 = normal(11, 4), normal(7, 4, seed=1)
    exact, symmetric = oracle(module, x1, x2), oracle(module, x1)
    for theta, whole in (
        (
            empirical_ntk(module, x1, x2, method="contraction", axes=axes, max_bytes=max_bytes),
            exact,
        ),
        (
            empirical_ntk(module, x1, method="contraction", axes=axes, max_bytes=max_bytes),
            symmetric,
        ),
        (
            empirical_ntk(module, x1, method="vector-products", axes=axes, max_bytes=max_bytes),
            symmetric,
        ),
    ):
        diagonal = whole.diagonal(dim1=2, dim2=3)
        expected = {"full": whole, "diagonal": diagonal, "trace": diagonal.mean(-1)}[axes]
        assert_kernel(theta, expected, 1e-12)


def test_memory_stays_near_what_was_asked_for():
    # The whole Jacobian would be 40 x 10 x 93,910 float32: 150 MB. Peak memory is a process's.
    program = """
import resource, torch
from torch import nn
from sestina.ntk.empirical import empirical_ntk
torch.set_num_threads(1)
module = nn.Sequential(nn.Linear(300, 300), nn.LayerNorm(300), nn.ReLU(), nn.Linear(300, 10))
x = torch.randn(40, 300)
empirical_ntk(module, x[:2], method="contraction")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
empirical_ntk(module, x, method="contraction", axes="diagonal", max_bytes=2**25)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    # Twice what was asked for, since what PyTorch keeps on its way is estimated, not counted.
    assert int(done.stdout) <= 2 * 2**25 / 1024


def test_integer_inputs_need_no_gradient(oracle, assert_kernel):
    module = nn.Sequential(nn.Embedding(7, 4), nn.Flatten(), nn.Linear(12, 2)).double()
    x = torch.randint(0, 7, (6, 3), generator=torch.Generator().manual_seed(0))
    for method in METHODS:
        assert_kernel(empirical_ntk(module, x, method=method), oracle(module, x), 1e-12)


def test_one_sample_and_one_output_are_enough(oracle, assert_kernel):
    module, x = nn.Linear(3, 1).double(), normal(1, 3)
    for method in (*METHODS, "structured"):
        assert_kernel(empirical_ntk(module, x, method=method), oracle(module, x), 1e-12)


def test_it_works_where_gradients_are_off(oracle, assert_kernel):
    module, x = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)).double(), normal(4, 3)
    with torch.no_grad():
        for method in METHODS:
            theta = empirical_ntk(module, x, method=method)
            with torch.enable_grad():
                assert_kernel(theta, oracle(module, x), 1e-12)


def test_a_centred_net_has_one_kernel_by_every_method():
    net = FullyConnectedNet(3, 2, 20, nn.Tanh(), depth=2, sigma_b=0.3, dtype=torch.float64)
    x = normal(5, 3)
    structured = empirical_ntk(net, x, method="structured")
    for method in ("contraction", "vector-products"):
        torch.testing.assert_close(empirical_ntk(net, x, method=method), structured)


def test_a_barely_trained_centred_net_is_not_mistaken_for_one_that_mixes_samples():
    # f - f₀ is then a difference of nearly equal numbers, whose rounding depends on the batch.
    net = FullyConnectedNet(30, 2, 300, nn.Tanh(), depth=2)
    with torch.no_grad():
        net.weights[0].mul_(1 + 1e-6)
    empirical_ntk(net, normal(40, 30, dtype=torch.float32), method="vector-products", axes="trace")


def test_auto_says_why_it_is_not_structured(caplog):
    with caplog.at_level(logging.INFO, logger="sestina"):
        empirical_ntk(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)), torch.ones(3, 2))
    assert "LayerNorm is neither affine nor known to be elementwise" in caplog.text


def test_what_cannot_be_vectorised_is_told_and_right(caplog, oracle, assert_kernel):
    module, shape = MODULES["old function"]()
    x = normal(4, *shape)
    with caplog.at_level(logging.INFO, logger="sestina"):
        theta = empirical_ntk(module.double(), x)
    assert "cannot be vectorised over samples, going one by one" in caplog.text
    assert_kernel(theta, oracle(module, x), 1e-12)


def test_a_branch_on_the_values_of_one_sample_is_followed(oracle, assert_kernel):
    def branch(module, x):
        return torch.stack([module.a(row) if row.sum() > 0 else -2 * module.a(row) for row in x])

    module, x = Calls(branch, a=nn.Linear(3, 2)).double(), normal(6, 3)
    for method in METHODS:
        assert_kernel(empirical_ntk(module, x, method=method), oracle(module, x), 1e-12)


def test_auto_turns_to_vector_products_where_a_jacobian_is_too_large(caplog):
    module = nn.Sequential(nn.Linear(50, 40), nn.LayerNorm(40))
    with caplog.at_level(logging.INFO, logger="sestina"):
        empirical_ntk(module, torch.ones(1, 50), max_bytes=40 * 50 * 40 * 4, axes="trace")
    assert "using vector products" in caplog.text


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
    ],
)
def test_unusable_modules_are_named_errors(module, error, match):
    with pytest.raises(error, match=match):
        empirical_ntk(module, torch.ones(3, 2))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"method": "fast"}, "method is 'fast', expected one of auto, structured"),
        ({"axes": "all"}, "axes is 'all', expected one of full, diagonal, trace"),
        ({"max_bytes": 0}, "max_bytes is 0"),
    ],
)
def test_unknown_options_are_named_errors(options, match):
    with pytest.raises(InvalidValueError, match=match):
        empirical_ntk(nn.Linear(2, 2), torch.ones(3, 2), **options)


def test_structured_refuses_what_has_another_structure():
    module = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    with pytest.raises(InvalidValueError, match=r"LayerNorm is neither.*method=\"auto\""):
        empirical_ntk(module, torch.ones(3, 2), method="structured")


@pytest.mark.parametrize("method", ["contraction", "vector-products", "structured"])
def test_a_callback_that_raises_cancels(method):
    def stop(done, total, label):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        empirical_ntk(nn.Linear(2, 2), torch.ones(3, 2), method=method, progress=stop)


@pytest.mark.parametrize("method", ["contraction", "vector-products"])
def test_progress_ends_at_the_total(method):
    told = []
    empirical_ntk(
        nn.Linear(20, 2),
        normal(9, 20, dtype=torch.float32),
        method=method,
        max_bytes=2000,
        progress=lambda *step: told.append(step),
    )
    total = told[0][1]
    assert [step[0] for step in told] == list(range(total + 1))
    assert total > 1
