"""Functions captured, lowered and compiled without TorchDynamo, for tests."""

import torch
from torch.fx.experimental.proxy_tensor import make_fx

from sestina.fuser.launch.program import assemble
from sestina.fuser.lower.graph import BROKEN, lower
from sestina.fuser.reference import evaluate


def lowered(function, *arguments):
    """The IR of a function of tensors; it must have no operation that only ATen computes."""

    def listed(*tensors):
        return results_of(function, *tensors)

    captured = make_fx(torch.func.functionalize(listed), tracing_mode="fake")(*arguments)
    made = lower(captured)
    assert_no_mistakes(made)
    return made


def assert_no_mistakes(made):
    """A lowering that failed is a mistake of the compiler, and no fallback by design."""
    assert [reason for reason in made.reasons.values() if reason.startswith(BROKEN)] == []


def program(function, *arguments, allow_aten=False):
    """The compiled program of a function of tensors."""
    made = lowered(function, *arguments)
    assert allow_aten or made.reasons == {}
    return assemble(made.graph)


def run(function, *arguments, allow_aten=False):
    """The results of the compiled program, as a list."""
    return program(function, *arguments, allow_aten=allow_aten).run(list(arguments))


def interpreted(function, *arguments, dtype=None):
    """The results of the interpreter."""
    return evaluate(lowered(function, *arguments).graph, list(arguments), dtype=dtype)


def results_of(function, *arguments):
    """What the function gives by itself, as a list."""
    made = function(*arguments)
    return list(made) if isinstance(made, (tuple, list)) else [made]


def assert_as_eager(function, *arguments, allow_aten=False, steps=8):
    """Compares the program with ATen: as close to float64 as ATen is, in the same layout."""
    arguments = [a.detach() for a in arguments]
    ours = run(function, *(a.clone() for a in arguments), allow_aten=allow_aten)
    eager = results_of(function, *(a.clone() for a in arguments))
    wide = [a.double() if a.is_floating_point() else a for a in arguments]
    truth = results_of(function, *wide)
    for mine, theirs, true in zip(ours, eager, truth, strict=True):
        assert mine.dtype is theirs.dtype
        assert mine.shape == theirs.shape
        assert mine.stride() == theirs.stride()
        if not theirs.is_floating_point():
            assert torch.equal(mine, theirs)
            continue
        is_nan = mine.isnan()
        # ATen's gelu of infinity is NaN in float32 and infinite in float64.
        assert bool(((is_nan == theirs.isnan()) | (is_nan == true.isnan())).all())
        error, allowed = ((x.double() - true).nan_to_num(0, 0, 0).abs() for x in (mine, theirs))
        if theirs.dtype is torch.float64:
            torch.testing.assert_close(mine, theirs, rtol=1e-13, atol=1e-15, equal_nan=True)
            continue
        unit = torch.finfo(theirs.dtype).eps
        scale = true.nan_to_num(0, 0, 0).abs()
        bound = 2 * allowed.max() + steps * unit * scale + torch.finfo(torch.float32).tiny
        assert bool((error <= bound).all()), float((error - bound).max())
