import copy
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

from sestina.core.errors import NotFusedError, OptionError
from sestina.fuser import FallbackWarning, fuse, memory_efficient_fusion
from sestina.fuser.capture import fallbacks
from sestina.fuser.capture.backend import MODES
from sestina.fuser.random import uniforms


@pytest.fixture(autouse=True)
def _fresh_compiler(monkeypatch):
    torch._dynamo.reset()
    monkeypatch.setattr(fallbacks, "_said", set())


def gradients(function, inputs, seed=0):
    """The results and the gradients of the inputs, for the same random numbers."""
    torch.manual_seed(seed)
    leaves = [x.clone().requires_grad_(x.is_floating_point()) for x in inputs]
    result = function(*leaves)
    generator = torch.Generator().manual_seed(9)
    result.backward(torch.randn(result.shape, generator=generator))
    return [result.detach(), *(leaf.grad for leaf in leaves if leaf.requires_grad)]


def assert_trains_alike(function, *inputs):
    for mine, theirs in zip(
        gradients(fuse(function), inputs), gradients(function, inputs), strict=True
    ):
        assert mine.stride() == theirs.stride()
        torch.testing.assert_close(mine, theirs, rtol=2e-5, atol=2e-5)


x = torch.randn(12, 40, generator=torch.Generator().manual_seed(1))
w = torch.randn(40, generator=torch.Generator().manual_seed(2))
TRAINED = {
    "gelu": (functional.gelu, x),
    "gelu by tanh": (lambda x: functional.gelu(x, approximate="tanh"), x),
    "silu": (functional.silu, x),
    "elu": (lambda x: functional.elu(x, 1.3), x),
    "softplus": (functional.softplus, x),
    "hardsigmoid": (functional.hardsigmoid, x * 4),
    "hardswish": (functional.hardswish, x * 4),
    "group norm": (
        lambda x, w, b: functional.group_norm(x.view(4, 10, 3, 4), 5, w[:10], b[:10]),
        x,
        w,
        w + 1,
    ),
    "standard deviation": (lambda x: x.std(-1) * x.var(0)[:12], x),
    "relu": (functional.relu, x),
    "sigmoid": (torch.sigmoid, x),
    "tanh": (torch.tanh, x),
    "leaky relu": (functional.leaky_relu, x),
    "hardtanh": (functional.hardtanh, x),
    "softmax": (lambda x: x.softmax(-1), x),
    "log softmax": (lambda x: x.log_softmax(-1), x),
    "layer norm": (lambda x, w, b: functional.layer_norm(x, (40,), w, b), x, w, w + 1),
    "rms norm": (lambda x, w: functional.rms_norm(x, (40,), w), x, w),
    "residual": (lambda x, w: x + functional.gelu(x * w), x, w),
    "linear": (lambda x, w: functional.gelu(x @ w.reshape(40, 1) + 1), x, w),
    "cross entropy": (lambda x: functional.cross_entropy(x, torch.arange(12)), x),
    "batch norm": (
        lambda x, w, b: functional.relu(functional.batch_norm(x, None, None, w, b, training=True)),
        x,
        w,
        w + 1,
    ),
    "attention": (
        lambda x: functional.scaled_dot_product_attention(
            *(x.view(1, 3, 4, 40) for _ in range(3)), is_causal=True
        ),
        x,
    ),
    "repeated": (lambda x: x.expand(3, 12, 40).sum(0) * x[:, :1], x),
    "sums": (lambda x: x.sum(0) + x.mean(), x),
}


@pytest.mark.parametrize("name", TRAINED)
def test_gradients_are_atens(name):
    function, *inputs = TRAINED[name]
    assert_trains_alike(function, *inputs)


def test_the_backend_has_a_name_and_those_that_the_trainer_accepts():
    assert {"sestina", "nvprims_nvfuser", "aot_ts_nvfuser"} <= set(torch._dynamo.list_backends())
    made = torch.compile(lambda x: x * 2 + 1, backend="sestina", mode="default")
    assert torch.equal(made(torch.ones(4)), torch.full((4,), 3.0))


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_gives_the_same_kernels(mode):
    made = torch.compile(lambda x: x * 2 + 1, backend="sestina", mode=mode)
    assert torch.equal(made(x), x * 2 + 1)


WRONG = {
    "a mode": ({"mode": "fast"}, "mode is 'fast', expected one of default, reduce-overhead, max-a"),
    "a name": ({"options": {"strikt": True}}, "strict, dropout; did you mean 'strict'"),
    "a choice": ({"options": {"dropout": "never"}}, "expected one of regenerate, eager"),
    "a type": ({"options": {"strict": 3}}, "strict is 3, expected true or false"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_chosen_is_refused_with_what_can(name):
    chosen, message = WRONG[name]
    with pytest.raises(Exception, match=f"OptionError: .*{message}"):
        torch.compile(lambda x: x * 2 + 1, backend="sestina", **chosen)(x)


def test_what_is_left_to_aten_is_said_once():
    with pytest.warns(FallbackWarning, match=r"ATen computes aten\.sort\.default: there is no"):
        fuse(lambda x: torch.sort(x).values + 1)(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fuse(lambda x: torch.sort(x).values + 2)(x)


def test_strict_refuses_what_would_be_left_to_aten():
    with pytest.raises(Exception, match=r"aten\.sort\.default") as caught:
        fuse(lambda x: torch.sort(x).values + 1, strict=True)(x)
    assert NotFusedError.__name__ in str(caught.value) or "strict" in str(caught.value)


def test_an_unknown_option_is_named():
    with pytest.raises(OptionError, match="dropuot"):
        fuse(lambda x: x + 1, dropuot="eager")


def test_a_seed_repeats_a_dropout_and_the_next_call_differs():
    made = fuse(lambda x: functional.dropout(x, 0.25) * 1.0)
    ones = torch.ones(64, 64)
    torch.manual_seed(3)
    first, second = made(ones), made(ones)
    torch.manual_seed(3)
    assert torch.equal(first, made(ones))
    assert not torch.equal(first, second)
    assert set(first.unique().tolist()) == {0.0, 4 / 3} or torch.allclose(
        first.unique(), torch.tensor([0.0, 4 / 3])
    )
    # 4,096 draws of probability 0.75: within 5 standard deviations, 0.0068.
    assert abs((first > 0).float().mean() - 0.75) < 5 * 0.0068


def test_the_backward_pass_makes_the_same_mask_again():
    made = fuse(lambda x: functional.dropout(functional.gelu(x), 0.5))
    leaf = torch.full((32, 70), 1.5, requires_grad=True)
    result = made(leaf)
    result.sum().backward()
    assert torch.equal(result == 0, leaf.grad == 0)
    assert 0 < (result == 0).sum() < result.numel()


def test_masks_follow_the_seed_that_is_drawn_and_the_stream():
    torch.manual_seed(11)
    seed = int(torch.randint(-(2**63), 2**63 - 1, ()))
    torch.manual_seed(11)
    made = fuse(lambda x: (functional.dropout(x, 0.4) * 1, functional.dropout(x, 0.4) * 1))
    leaf = torch.ones(16, 64, requires_grad=True)
    for stream, result in enumerate(made(leaf)):
        kept = torch.from_numpy(uniforms(seed, (16, 64), stream) >= 0.4)
        assert torch.equal(result.detach() != 0, kept)


def test_eager_dropout_draws_atens_masks():
    torch.manual_seed(5)
    mine = fuse(lambda x: functional.dropout(x, 0.4) + 1, dropout="eager")(
        x.clone().requires_grad_()
    )
    torch.manual_seed(5)
    theirs = functional.dropout(x.clone().requires_grad_(), 0.4) + 1
    torch.testing.assert_close(mine, theirs)


def test_an_argument_that_is_written_to_is_written_to():
    def function(x, total):
        total.add_(x.sum(0))
        return x * total

    mine, theirs = torch.zeros(40), torch.zeros(40)
    with torch.no_grad():
        torch.testing.assert_close(fuse(function)(x, mine), function(x, theirs))
    torch.testing.assert_close(mine, theirs)


def test_statistics_of_batches_are_kept():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    other = copy.deepcopy(model)
    images = torch.randn(4, 3, 9, 9)
    fuse(model)(images).sum().backward()
    other(images).sum().backward()
    for mine, theirs in zip(model.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(mine, theirs)
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-4)


def test_sizes_that_change_are_compiled_once():
    made = fuse(
        lambda x, w: functional.gelu(functional.layer_norm(x, (40,), w)).sum(0), dynamic=True
    )
    counts = torch._dynamo.utils.counters
    counts.clear()
    for rows in (5, 9, 17, 64, 33):
        y = torch.randn(rows, 40)
        torch.testing.assert_close(
            made(y, w),
            functional.gelu(functional.layer_norm(y, (40,), w)).sum(0),
            rtol=1e-5,
            atol=1e-5,
        )
    assert counts["stats"]["unique_graphs"] == 1


@pytest.mark.filterwarnings("ignore:ATen computes")
def test_a_view_that_only_aten_can_make_is_made_of_what_kernels_leave_broadcast():
    def function(x):
        return (x.mean(-1, keepdim=True).expand(x.shape) / 3).reshape(2, -1) * 2

    made = fuse(function, dynamic=True)
    for rows in (6, 8):
        y = torch.randn(rows, 3)
        torch.testing.assert_close(made(y), function(y))


def test_sizes_that_change_train_and_drop_alike():
    layer = nn.Sequential(nn.Linear(40, 64), nn.GELU(), nn.Dropout(0.25), nn.LayerNorm(64))
    made = fuse(layer, dynamic=True)
    for rows in (6, 11, 64):
        leaf = torch.randn(rows, 40, requires_grad=True)
        made(leaf).pow(2).sum().backward()
        assert leaf.grad.shape == (rows, 40)
        assert bool(leaf.grad.isfinite().all())
    layer.eval()
    y = torch.randn(9, 40, requires_grad=True)
    (mine,) = torch.autograd.grad(made(y).pow(3).sum(), y)
    (theirs,) = torch.autograd.grad(layer(y).pow(3).sum(), y)
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def test_half_precision_under_autocast_trains():
    layer = nn.Sequential(nn.Linear(40, 64), nn.GELU(), nn.LayerNorm(64), nn.Linear(64, 8))
    other = copy.deepcopy(layer)
    for model, call in ((layer, fuse(layer)), (other, other)):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            call(x).float().pow(2).mean().backward()
        del model
    for mine, theirs in zip(layer.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=0.05, atol=0.02)


def test_empty_tensors_run():
    made = fuse(lambda x: (x * 2 + 1).sum(0))
    assert torch.equal(made(torch.zeros(0, 5)), torch.zeros(5))


def test_functions_are_captured_without_dynamo():
    square = memory_efficient_fusion(lambda x: (x * x * 3).sum(-1))
    leaf = x.clone().requires_grad_()
    square(leaf).sum().backward()
    torch.testing.assert_close(leaf.grad, x * 6)
    module = memory_efficient_fusion(nn.LayerNorm(40))
    torch.testing.assert_close(module(x), functional.layer_norm(x, (40,)), rtol=1e-5, atol=1e-5)


def test_inference_and_no_grad_run():
    model = nn.Sequential(nn.Linear(40, 40), nn.GELU())
    made = fuse(model)
    with torch.inference_mode():
        torch.testing.assert_close(made(x), model(x), rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        torch.testing.assert_close(made(x), model(x), rtol=1e-5, atol=1e-6)
