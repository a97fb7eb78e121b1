"""Whether a call would be captured anew is said before it is made, and so it happens."""

import pytest
import torch
from torch import nn
from torch.optim import SGD

from sestina.core.errors import InvalidValueError
from sestina.fuser import fuse, recompile_reasons
from sestina.fuser.capture.backend import listening


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
    assert recompile_reasons(compiled, torch.zeros(3)) == ("it has not been called yet",)
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
