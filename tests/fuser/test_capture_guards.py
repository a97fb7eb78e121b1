"""Whether a call would be captured anew is said before it is made, and so it happens."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim import SGD

from sestina.core.errors import InvalidValueError
from sestina.core.machine import usable_memory_bytes
from sestina.fuser import fuse, recompile_reasons
from sestina.fuser.capture.backend import listening
from sestina.fuser.memory import release_memory


def available_bytes():
    """Memory that is free now; 0 where the system doesn't say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    found = [int(line.split()[1]) for line in lines if line.startswith("MemAvailable")]
    return min(found[0] << 10, usable_memory_bytes()) if found else 0


@pytest.fixture(autouse=True)
def _nothing_captured():
    torch._dynamo.reset()


def captured_by(call):
    """How many graphs a call compiles."""
    found = []
    with listening(found.append):
        call()
    return len(found)


def scaled(x, factor=2.0, *, shift=0):
    return x * factor + shift


CALLS = {
    "dtype mismatch": lambda: (torch.zeros(3, dtype=torch.float64),),
    "size mismatch": lambda: (torch.zeros(4),),
    "rank mismatch": lambda: (torch.zeros(3, 1),),
    "stride mismatch": lambda: (torch.zeros(6)[::2],),
    "requires_grad mismatch": lambda: (torch.zeros(3, requires_grad=True),),
    "factor": lambda: (torch.zeros(3), 3.0),
}


@pytest.mark.parametrize("said", CALLS)
def test_what_differs_is_named_and_compiles(said):
    compiled = torch.compile(scaled, backend="sestina")
    (reason,) = recompile_reasons(compiled, torch.zeros(3))
    assert "it was not called yet" in reason
    compiled(torch.zeros(3))
    assert recompile_reasons(compiled, torch.ones(3)) == ()
    assert recompile_reasons(compiled, x=torch.ones(3), factor=2.0, shift=0) == ()
    assert captured_by(lambda: compiled(torch.ones(3))) == 0
    arguments = CALLS[said]()
    (reason,) = recompile_reasons(compiled, *arguments)
    assert said in reason
    assert captured_by(lambda: compiled(*arguments)) > 0
    assert recompile_reasons(compiled, *arguments) == ()


def test_the_mode_of_gradients_is_what_it_is_now():
    compiled = fuse(scaled)
    compiled(torch.zeros(3))
    with torch.no_grad():
        (reason,) = recompile_reasons(compiled, torch.zeros(3))
        assert "grad_mode" in reason
        assert captured_by(lambda: compiled(torch.zeros(3))) == 1
        assert recompile_reasons(compiled, torch.zeros(3)) == ()


def test_modules_that_are_alike_share_what_was_captured():
    first, second = (fuse(nn.Sequential(nn.Linear(3, 3), nn.GELU())) for _ in range(2))
    first(torch.zeros(2, 3))
    assert recompile_reasons(first, torch.zeros(2, 3)) == ()
    assert recompile_reasons(second, torch.zeros(2, 3)) == ()
    assert captured_by(lambda: second(torch.zeros(2, 3))) == 0
    third = fuse(nn.Sequential(nn.Linear(3, 3), nn.ReLU()))
    assert len(recompile_reasons(third, torch.zeros(2, 3))) > 0
    assert captured_by(lambda: third(torch.zeros(2, 3))) > 0
    assert "size mismatch" in recompile_reasons(first, torch.zeros(5, 3))[0]


def test_whether_a_module_trains_is_asked():
    dropped = fuse(nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5)))
    dropped(torch.zeros(2, 3))
    assert recompile_reasons(dropped, torch.zeros(2, 3)) == ()
    dropped.eval()
    (reason,) = recompile_reasons(dropped, torch.zeros(2, 3))
    assert "training" in reason


def test_what_a_function_closes_over_is_asked_too():
    factor = 2

    def bent(x):
        return x * factor

    compiled = fuse(bent)
    compiled(torch.zeros(3))
    assert recompile_reasons(compiled, torch.zeros(3)) == ()
    factor = 3
    (reason,) = recompile_reasons(compiled, torch.zeros(3))
    assert "factor" in reason


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Profiler record function")
def test_a_step_of_an_optimizer_with_another_rate():
    parameter = nn.Parameter(torch.zeros(3))
    parameter.grad = torch.ones(3)
    optimizer = SGD([parameter], lr=0.5)
    step = torch.compile(optimizer.step, backend="sestina")
    step()
    assert recompile_reasons(step) == ()
    optimizer.param_groups[0]["lr"] = 0.25
    (reason,) = recompile_reasons(step)
    assert "lr" in reason


def test_what_is_not_compiled_is_refused():
    with pytest.raises(InvalidValueError, match="compile it first"):
        recompile_reasons(scaled, torch.zeros(3))


def of_an_argument(x, y):
    return x * y, x


def of_a_result(x, _):
    made = x.exp()
    return made * 1, made


@pytest.mark.parametrize("function", [of_an_argument, of_a_result])
def test_what_the_backward_pass_needs_must_not_be_written_to(function):
    for call in (function, fuse(function)):
        x, y = (torch.full((3,), value, requires_grad=True) for value in (1.0, 2.0))
        made, needed = call(x, y)
        with torch.no_grad():
            needed.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            made.sum().backward()


@pytest.fixture
def _precision_as_it_was():
    before = torch.get_float32_matmul_precision()
    is_deterministic = torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_float32_matmul_precision(before)
    torch.use_deterministic_algorithms(is_deterministic)


@pytest.mark.usefixtures("_precision_as_it_was")
def test_another_precision_of_products_counts_from_the_next_call():
    x, y = torch.randn(64, 256), torch.randn(256, 64)
    compiled = fuse(lambda x, y: torch.tanh(x @ y) * 2)
    exact = (x.double() @ y.double()).tanh() * 2
    for precision in ("highest", "medium", "highest"):
        torch.set_float32_matmul_precision(precision)
        error = (compiled(x, y) - exact).abs().max()
        eager = (torch.tanh(x @ y) * 2 - exact).abs().max()
        # Products of bfloat16 numbers where the processor has them; those of float32 elsewhere.
        assert error <= 2 * eager + 1e-6


@pytest.mark.filterwarnings("ignore:TF32 acceleration")
@pytest.mark.usefixtures("_precision_as_it_was")
def test_flags_of_the_process_may_change_between_calls():
    x, place = torch.randn(40, 8), torch.arange(40) % 5
    compiled = fuse(lambda x, i: torch.zeros(5, 8).index_add(0, i, x) * 2)
    expected = torch.zeros(5, 8).index_add(0, place, x) * 2
    for is_on in (False, True, False):
        torch.use_deterministic_algorithms(is_on)
        with torch.backends.mkldnn.flags(enabled=is_on):
            torch.testing.assert_close(compiled(x, place), expected)


@pytest.mark.skipif(available_bytes() < 8 << 30, reason="less than 8 GB of memory are free")
def test_places_beyond_two_to_the_31_are_told_apart():
    places = [0, 2**31 - 1, 2**31, 2**31 + 69]
    x = torch.zeros(2**31 + 70, dtype=torch.bool)
    x[places] = True
    made = fuse(torch.logical_not)(x)
    assert not made[places].any()
    assert int(made.count_nonzero()) == x.numel() - len(places)
    del made
    release_memory()


def test_compiling_asks_nothing_of_sizes_that_may_change():
    compiled = torch.compile(
        lambda x: (x * 2).softmax(-1).cumsum(0) + x.mean(), backend="sestina", dynamic=True
    )
    compiled(torch.ones(3, 5))
    for shape in ((7, 9), (2, 130), (300, 2)):
        assert captured_by(lambda shape=shape: compiled(torch.ones(shape))) == 0
