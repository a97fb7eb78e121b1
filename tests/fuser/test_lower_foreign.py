"""Higher-order operators run as they are, and what is around them has its kernels."""

import warnings

import pytest
import torch
from torch import nn
from torch._dynamo.exc import BackendCompilerFailed
from torch._higher_order_ops.map import map as mapped
from torch._higher_order_ops.scan import scan
from torch._higher_order_ops.while_loop import while_loop
from torch.nn import functional
from torch.nn.attention.flex_attention import flex_attention
from torch.utils.checkpoint import checkpoint

from sestina.fuser import FallbackWarning, explain, fuse
from sestina.fuser.capture import fallbacks
from sestina.fuser.capture.backend import listening
from sestina.fuser.lower.foreign import Foreign

# PyTorch warns of its higher-order operators being young; what is said here is asked for.
pytestmark = pytest.mark.filterwarnings("ignore")

x = torch.randn(8, 32, generator=torch.Generator().manual_seed(5)) * 0.3


@pytest.fixture(autouse=True)
def _fresh_compiler(monkeypatch):
    torch._dynamo.reset()
    monkeypatch.setattr(fallbacks, "_said", set())


@torch.library.custom_op("test_lower_foreign::scaled", mutates_args={"x"})
def scaled(x: torch.Tensor, factor: float) -> None:
    x.mul_(factor)


@torch.library.custom_op("test_lower_foreign::doubled", mutates_args={"xs"})
def doubled(xs: list[torch.Tensor], y: torch.Tensor) -> torch.Tensor:
    for one in xs:
        one.mul_(2)
    return y + 1


doubled.register_fake(lambda xs, y: torch.empty_like(y))


@torch.compiler.nested_compile_region
def region(x, y):
    return (x.sin() * y).cos(), x + y


def branched(x):
    y = x.exp() * 2
    first, second = torch.cond(
        y.sum() > 0, lambda a: (a.sin() + 1, a * 3), lambda a: (a.cos(), a * 2), (y,)
    )
    return first * 2 + 1, second.exp()


def branched_over_what_it_closes_over(x):
    w = x.sin()
    return torch.cond(x.sum() > 0, lambda a: (a * w).sin(), lambda a: (a + w).cos(), (x * 2,)).exp()


def regions(x):
    first = region(x.exp(), x * 2)
    second = region(first[0] + 1, first[1] * 2)
    return second[0] * 2, second[1].exp()


def written(x):
    y = x.exp() * 2
    scaled(y, 3.0)
    return y + 1, y.sum(0)


def written_columns(x):
    y = x.exp() * 2
    scaled(y[1::2, 3:9], 3.0)
    return y + 1, x * 2


def written_parts_of_what_is_joined(x):
    joined = torch.cat([x * 2, x.exp()])[3:9]
    scaled(joined.t()[1:], 3.0)
    scaled(joined[:, 1], 2.0)
    return joined + 1, joined.sum(0)


FORWARD_AND_BACKWARD = {
    "cond": branched,
    "cond of what it closes over": branched_over_what_it_closes_over,
    "regions": regions,
    "map": lambda x: mapped(lambda a, b: a * b + 1, x * 2, x.exp().sum(0)) * 2,
    "scan": lambda x: scan(lambda c, a: (c + a, c * a), x.sum(0) * 0, x * 2)[1] * 2,
    "written": written,
    "written columns": written_columns,
    "written parts of what is joined": written_parts_of_what_is_joined,
}


def looped(x):
    start = torch.tensor(0)
    return while_loop(lambda i, _: i < 3, lambda i, a: (i + 1, a * 1.5), (start, x.exp()))[1] * 2


def attended(x):
    q, bias = x.view(1, 2, 8, 16), x[0, :8] * 2
    return flex_attention(q * 2, q + 1, q, score_mod=lambda s, b, h, i, j: s * 2 + bias[j]) * 2


def written_argument(x):
    scaled(x[1:4], 3.0)
    return x + 1


def written_lists(x):
    a, b = x * 2, x.exp()
    made = doubled([a, b[1:3]], x.sin())
    return a * 2, b + 1, made.exp()


def said(x):
    y = x * 2 + 1
    torch._higher_order_ops.print("{}", y.shape[0])
    return y.exp()


INFERENCE = {
    "while_loop": looped,
    "flex_attention": attended,
    "written argument": written_argument,
    "written lists": written_lists,
    "print": said,
}


def trained(function, given):
    """Results and gradients."""
    leaf = given.clone().requires_grad_()
    results = function(leaf)
    results = results if isinstance(results, tuple) else (results,)
    sum(result.square().sum() for result in results).backward()
    return [*(result.detach() for result in results), leaf.grad]


def called(function, given):
    """Results, and the argument, which may be written to."""
    given = given.clone()
    results = function(given)
    return [*(results if isinstance(results, tuple) else (results,)), given]


def assert_fused_as_eager(run, function, given, **options):
    found, fused = [], fuse(function, **options)
    with listening(found.append):
        mine = run(fused, given)
    for one, other in zip(mine, run(function, given), strict=True):
        torch.testing.assert_close(one, other, rtol=2e-5, atol=2e-5)
    targets = [
        str(n.attributes["target"]) for g in found for n in g.graph.nodes if n.kind == "aten"
    ]
    assert all(graph.program.kernels for graph in found)
    return found, targets


@pytest.mark.parametrize("is_dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("name", FORWARD_AND_BACKWARD)
def test_training_around_higher_order_operators_is_fused(name, is_dynamic):
    function = FORWARD_AND_BACKWARD[name]
    found, _ = assert_fused_as_eager(trained, function, x, dynamic=is_dynamic)
    assert len(found) == 2


@pytest.mark.parametrize("is_dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("name", FORWARD_AND_BACKWARD | INFERENCE)
def test_inference_around_higher_order_operators_is_fused(name, is_dynamic):
    function = (FORWARD_AND_BACKWARD | INFERENCE)[name]
    with torch.no_grad():
        found, _ = assert_fused_as_eager(called, function, x, dynamic=is_dynamic)
    assert len(found) == 1


@pytest.mark.parametrize(
    ("function", "pattern"),
    [
        (branched, r"computes cond: it runs graphs of its own"),
        (written, r"v2 of test_lower_foreign\.scaled\.default: it writes into its arguments"),
        (said, r"computes with_effects of print: there is no lowering of it"),
    ],
)
def test_they_are_told_once_by_name_and_refused_where_strict(function, pattern):
    with pytest.warns(FallbackWarning, match=pattern) as caught:
        [fuse(function)(given) for given in (x, x[:4])]
    assert len([one for one in caught if one.category is FallbackWarning]) == 1
    with pytest.raises(BackendCompilerFailed, match=pattern):
        fuse(function, strict=True)(x[:3])


def test_what_they_do_besides_is_done_in_order_each_time(capfd):
    def talking(x):
        torch._higher_order_ops.print("first {}", x.shape[0])
        y = x * 2
        torch._higher_order_ops.print("second {}", x.shape[1])
        return y.exp()

    fused = fuse(talking)
    fused(x)
    capfd.readouterr()
    fused(x)
    assert capfd.readouterr().out.split() == ["first", "8", "second", "32"]


def test_memory_that_they_hold_is_not_written_over():
    """Tensors of 1 MiB or more may lie where one lay that is read last."""
    held = []

    @torch.library.custom_op("test_lower_foreign::kept", mutates_args={"x"})
    def kept(x: torch.Tensor, y: torch.Tensor) -> None:
        held.append((y, y.clone()))
        x.add_(1)

    def function(x):
        y = x.exp() + 1
        z = torch.cond(y.sum() > 3, lambda a: (a * 2, a + 1), lambda a: (a * 3, a - 1), (y,))
        w = (y + z[0]).sin()
        u = w * z[1] + y
        first, second = u + 1, w + 1
        scaled(first, 2.0)
        kept(first, w)
        kept(second, z[1])
        return (u * 2).tanh(), (w + first).cos(), z[0] + second

    large = x.repeat(64, 32)
    for run in (called, trained):
        torch._dynamo.reset()
        for _ in range(2):
            assert_fused_as_eager(run, function, large)
    assert len(held) == 16
    assert all(torch.equal(y, before) for y, before in held)


def test_a_number_that_depends_on_the_data_leaves_the_graph_to_pytorch_by_name():
    def counted(x):
        n, y = while_loop(lambda n, _: n < 3, lambda n, a: (n + 1, a * 1.5), (0, x * 2))
        return y * 2 + n

    with pytest.warns(FallbackWarning, match="runs this graph: while_loop gives a number, u"):
        made = fuse(counted)(x)
    torch.testing.assert_close(made, counted(x))


def test_what_pytorch_does_not_tell_of_leaves_the_graph_to_it_by_name():
    def recomputed(x):
        return checkpoint(
            lambda a: functional.dropout(a.sin() * 2, 0.5).exp(), x * 1.5, use_reentrant=False
        )

    def seeded(function):
        torch.manual_seed(3)
        return trained(function, x)

    with pytest.warns(FallbackWarning, match="run_and_save_rng_state: PyTorch tells of no tensor"):
        mine = seeded(fuse(recomputed, dropout="eager"))
    for one, other in zip(mine, seeded(recomputed), strict=True):
        torch.testing.assert_close(one, other)


def test_a_report_tells_them_as_what_is_not_fused():
    report = explain(branched, x)
    assert [(call.target, call.reason) for call in report.calls] == [
        ("cond", "it runs graphs of its own")
    ]
    assert report.kernels
    assert report.left == ()


def test_results_within_lists_are_one_list():
    several = Foreign(lambda a: (a, [a + 1, None]), "several", "", is_strided=False)
    assert several(3) == [3, 4, None]
    assert str(several) == "several"
    one = Foreign(torch.neg, "one", "", is_strided=False)
    assert torch.equal(one(x), -x)


def test_modules_are_left_as_they_were():
    model = nn.Sequential(nn.Linear(32, 32), nn.GELU())

    def function(x):
        return torch.cond(x.sum() > 0, lambda a: model(a + 1), lambda a: model(a * 2), (x + 1,)) * 2

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        assert_fused_as_eager(called, function, x)
