"""PyTorch's own machinery around compiled code: hooks, custom functions, modes, threads."""

import threading

import pytest
import torch
from torch import nn
from torch.nn import functional

from sestina.fuser import fuse

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("fresh_compiler")]
x = torch.randn(12, 40, generator=torch.Generator().manual_seed(3))


def layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(40, 32), nn.GELU(), nn.LayerNorm(32), nn.Linear(32, 4))


def note(log, tensor):
    log.append(tensor.detach().clone())


def forward(model, log):
    model[1].register_forward_hook(lambda m, given, made: (note(log, made), made * 2)[1])


def before_forward(model, log):
    model[1].register_forward_pre_hook(lambda m, given: (note(log, given[0]), (given[0] + 1,))[1])


def backward(model, log):
    model[1].register_full_backward_hook(lambda m, to, of: (note(log, of[0]), (to[0] * 3,))[1])


def before_backward(model, log):
    model[1].register_full_backward_pre_hook(lambda m, of: (note(log, of[0]), (of[0] * 3,))[1])


def around(model, log):
    model.register_forward_hook(lambda m, given, made: note(log, made))


def parameter(model, log):
    model[0].weight.register_hook(lambda g: (note(log, g), g * 2)[1])


def accumulated(model, log):
    model[0].weight.register_post_accumulate_grad_hook(lambda p: note(log, p.grad))


HOOKS = [forward, before_forward, backward, before_backward, around, parameter, accumulated]


@pytest.mark.parametrize("install", HOOKS, ids=lambda install: install.__name__)
def test_a_hook_sees_and_changes_what_it_does_in_eager(install):
    found = []
    for compiled in (fuse, lambda model: model):
        model, log = layers(), []
        install(model, log)
        call, leaf = compiled(model), x.clone().requires_grad_()
        for _ in range(2):
            call(leaf).pow(2).sum().backward()
        found.append([leaf.grad, *(p.grad for p in model.parameters()), *log])
    assert len(found[0]) > 7
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)


def test_parameters_may_be_updated_while_the_backward_pass_runs():
    def update(p):
        with torch.no_grad():
            p.sub_(p.grad, alpha=0.01)
        p.grad = None

    found = []
    for compiled in (fuse, lambda model: model):
        model = layers()
        for p in model.parameters():
            p.register_post_accumulate_grad_hook(update)
        call = compiled(model)
        for _ in range(2):
            call(x).pow(2).sum().backward()
        found.append(list(model.parameters()))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)


class Cube(torch.autograd.Function):
    """With half of its gradient, so that it shows whose is used."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(x)
        ctx.factor = factor
        return x * x * x * factor

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 1.5 * x * x * ctx.factor, None


class Straight(torch.autograd.Function):
    """Rounds, and passes gradients through."""

    @staticmethod
    def forward(x):
        return x.round()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, g):
        return g


class InPlace(torch.autograd.Function):
    """Writes into its argument."""

    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)

    @staticmethod
    def backward(ctx, g):
        return g * 2


class Foreign(torch.autograd.Function):
    """Computed by something else than PyTorch."""

    @staticmethod
    def forward(ctx, x):
        return torch.from_numpy(x.detach().numpy() * 2)

    @staticmethod
    def backward(ctx, g):
        return torch.from_numpy(g.numpy() * 2)


def hooked(x):
    made = x * 2
    made.register_hook(lambda g: g * 3)
    return made.exp().sum()


def partly_tracked(x):
    with torch.no_grad():
        first = x * 2
    with torch.enable_grad():
        second = x * 3
    return first.sum() + second.sum() + (x * x).detach().sum() + (first * x).sum()


FUNCTIONS = {
    "cube": lambda x: Cube.apply(x * 1.5, 2.0).sin().sum(),
    "straight": lambda x: (Straight.apply(x * 3) * x).sum(),
    "in place": lambda x: (InPlace.apply(x * 2) + x).pow(2).sum(),
    "foreign": lambda x: (Foreign.apply(x * 2) + x).pow(2).sum(),
    "hooked": hooked,
    "partly tracked": partly_tracked,
}


def gradient(function, given=x):
    leaf = given.clone().requires_grad_()
    result = function(leaf)
    (made,) = torch.autograd.grad(result, leaf)
    return result.detach(), made


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_that_users_define_are_used(name):
    ours, eagers = gradient(fuse(FUNCTIONS[name])), gradient(FUNCTIONS[name])
    torch.testing.assert_close(ours, eagers, rtol=1e-4, atol=1e-4)


def test_a_compiled_function_may_be_called_in_anothers_hook_and_backward_pass():
    inner = fuse(lambda g: g.softmax(-1) * 2)
    weight = torch.randn(40, 40)

    class Bent(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            with torch.enable_grad():
                return g * gradient(lambda y: inner(y).pow(2).sum(), g.detach())[1]

    bent = torch._dynamo.disable(Bent.apply)

    def function(x):
        made = functional.gelu(x @ weight)
        made.register_hook(inner)
        return (bent(made * 3) + x).sum()

    torch.testing.assert_close(gradient(fuse(function)), gradient(function), rtol=1e-4, atol=1e-4)


def test_one_function_serves_every_mode_of_autograd():
    made = fuse(lambda x: (x * 2).relu())
    with torch.inference_mode():
        assert made(x).is_inference()
        inferred = x * 1
    torch.testing.assert_close(made(inferred), (x * 2).relu())
    torch.testing.assert_close(gradient(lambda y: made(y).sum())[1], (x > 0) * 2.0)
    with torch.no_grad():
        assert not made(x.clone().requires_grad_()).requires_grad


def test_gradients_of_gradients_are_refused_and_not_wrong():
    leaf = x.clone().requires_grad_()
    (first,) = torch.autograd.grad(fuse(torch.tanh)(leaf).sum(), leaf, create_graph=True)
    with pytest.raises(RuntimeError, match="does not currently support double backward"):
        first.sum().backward()


@pytest.mark.parametrize("dynamic", [None, True, False])
def test_numbers_among_the_arguments_may_change(dynamic):
    made = fuse(lambda x, s: x * s + s / 2, dynamic=dynamic)
    for number in (0.5, 1.5, float("nan"), float("inf"), -0.0, 3, 4, 0):
        torch.testing.assert_close(made(x, number), x * number + number / 2, equal_nan=True)


SHAPED = {
    "sizes in formulas": lambda a: a * a.shape[0] + a.shape[1],
    "means": lambda a: (a.mean(0), a.mean(1), a.var(0)),
    "views": lambda a: (a.view(-1, 2) * 2, a.flatten() + 1, a.t().contiguous() + 1),
    "parts": lambda a: (a[: a.shape[0] // 2] * 2, torch.cat([a, a * 2]), a.roll(1, 0) + a),
    "made": lambda a: a + torch.arange(a.shape[1]) + torch.full((a.shape[0], 1), 2.0),
    "products": lambda a: (a @ a.t()).relu(),
    "sizes given": lambda a: (a * 2, a.shape[0], a.numel()),
}


@pytest.mark.parametrize("dynamic", [None, True])
@pytest.mark.parametrize("name", SHAPED)
def test_sizes_may_change(name, dynamic):
    function = SHAPED[name]
    made = fuse(function, dynamic=dynamic)
    for shape in ((4, 6), (5, 8), (33, 130)):
        a = torch.randn(shape)
        torch.testing.assert_close(made(a), function(a), rtol=1e-4, atol=1e-4)


def test_several_threads_may_call_and_compile_at_once():
    model = layers()
    made, wrong = fuse(model), []

    def work(rows):
        given = torch.randn(rows, 40)
        for _ in range(5):
            ours = gradient(lambda y: made(y).pow(2).sum(), given)
            eagers = gradient(lambda y: model(y).pow(2).sum(), given)
            if not all(torch.allclose(*p, 1e-4, 1e-4) for p in zip(ours, eagers, strict=True)):
                wrong.append(rows)

    threads = [threading.Thread(target=work, args=(rows,)) for rows in (3, 5, 7, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
