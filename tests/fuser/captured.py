"""Functions captured, lowered and compiled without TorchDynamo, for tests."""

import torch
from torch.fx.experimental.proxy_tensor import make_fx

from sestina.fuser.launch.program import assemble
from sestina.fuser.lower.graph import BROKEN, lower
from sestina.fuser.reference import evaluate


def traced(function, *arguments):
    """The graph of ATen's calls that a function of tensors makes."""

    def listed(*tensors):
        return results_of(function, *tensors)

    return make_fx(torch.func.functionalize(listed), tracing_mode="fake")(*arguments)


def lowered(function, *arguments):
    """The IR of a function of tensors."""
    made = lower(traced(function, *arguments))
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


def gradients_of(function):
    """The gradients of the floating-point arguments, of a sum that weights each result."""

    def gradients(*tensors):
        places = [at for at, one in enumerate(tensors) if one.is_floating_point()]

        def results(*leaves):
            given = list(tensors)
            for at, leaf in zip(places, leaves, strict=True):
                given[at] = leaf
            return [one for one in function(*given) if one.is_floating_point()]

        made, pulled = torch.func.vjp(results, *(tensors[at] for at in places))
        return pulled([weights_like(one) for one in made])

    return gradients


def is_narrower(function, tensors):
    """Whether a result has fewer digits: kernels that go on with all of them are not those."""
    widths = [one.dtype.itemsize for one in tensors if one.is_floating_point()]
    made = [one.dtype.itemsize for one in function(*tensors) if one.is_floating_point()]
    return min(made, default=0) < max(widths, default=0)


def weights_like(tensor):
    """Numbers that every dtype has: functions of the tensor would magnify its rounding error."""
    places = torch.arange(tensor.numel()).reshape(tensor.shape).bitwise_and(31)
    return places.to(tensor.dtype) / 32 + 0.5


def copied(tensor):
    """The same values, lying the same way in memory of their own, elements that share one too."""
    storage = tensor.detach().untyped_storage().clone()
    return tensor.new_empty(0).set_(storage, tensor.storage_offset(), tensor.shape, tensor.stride())


def widened(arguments):
    """The arguments with float64 for each floating-point dtype."""
    return [a.double().clone() if a.is_floating_point() else a.clone() for a in arguments]


def assert_as_eager(function, *arguments, allow_aten=False, steps=8, **how):
    """Compares the program with ATen, in float64 too, and with the interpreter of its own graph."""
    arguments = [a.detach() for a in arguments]
    made = lowered(function, *arguments)
    assert allow_aten or made.reasons == {}
    assert_graph_as_eager(made.graph, function, arguments, steps=steps, **how)


def assert_graph_as_eager(graph, function, arguments, *, as_inferred=False, **how):
    """Compares a graph with the function that it is of.

    As inferred are the strides and dtypes that PyTorch says there will be when it captures, which
    now and then are not those that its kernels give.
    """
    ours = assemble(graph).run([copied(a) for a in arguments])
    eager = results_of(function, *(copied(a) for a in arguments))
    if as_inferred:
        dtypes = [node.dtype for node in graph.outputs]
        eager = [theirs.to(dtype) for theirs, dtype in zip(eager, dtypes, strict=True)]
    truth = results_of(function, *widened(arguments))
    for mine, theirs, true, layout in zip(ours, eager, truth, graph.layouts, strict=True):
        assert mine.stride() == (layout.strides if as_inferred else theirs.stride())
        assert_as_exact(mine, theirs, true, **how)
    if any(node.kind == "aten" for node in graph.nodes):
        return  # by dtype and strides it may depend on what the interpreter leaves out
    oracle = evaluate(graph, [copied(a) for a in arguments], dtype=torch.float64)
    for mine, theirs, true, said in zip(ours, eager, truth, oracle, strict=True):
        assert_within(bound_of(theirs, true, **how), mine, said)


def assert_as_exact(mine, theirs, true, **how):
    """As close to the true values as ATen is twice over, or so many units of the last place."""
    assert mine.dtype is theirs.dtype
    assert mine.shape == theirs.shape
    if mine.is_floating_point():
        is_nan = mine.isnan()
        # ATen's gelu of infinity is NaN in float32 and infinite in float64.
        assert bool(((is_nan == theirs.isnan()) | (is_nan == true.isnan())).all())
        assert_within(bound_of(theirs, true, **how), mine, true)
    else:
        assert torch.equal(mine, theirs)


def bound_of(theirs, true, *, steps=8, of_largest=False):
    """How far an element may be from the truth: ATen's error twice over, or units of its place.

    Of several operations the units are those of the largest element, or of 1: what cancels leaves
    the rounding errors of what went into it.
    """
    if not theirs.is_floating_point() or theirs.numel() == 0:
        return torch.zeros(())
    scale = true.double().nan_to_num(0, 0, 0).abs()
    if of_largest:
        scale = scale.max().clamp(min=1)
    if theirs.dtype is torch.float64:
        return 1e-13 * scale + 1e-15
    error = (theirs.double() - true).nan_to_num(0, 0, 0).abs()
    unit, least = torch.finfo(theirs.dtype).eps, torch.finfo(torch.float32).tiny
    return 2 * error.max() + steps * unit * scale + least


def assert_within(bound, mine, true):
    """Compares where both are finite."""
    error = (mine.double() - true.double()).nan_to_num(0, 0, 0).abs()
    assert bool((error <= bound).all()), float((error - bound).max())
