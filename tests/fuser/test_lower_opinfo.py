"""PyTorch's own samples of its operations, its OpInfo database: kernels give what ATen gives.

Operations that are not lowered run through ATen here as elsewhere; a sample counts where a kernel
was made for some of it.
"""

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

from sestina.fuser.launch.program import assemble
from sestina.fuser.lower.graph import NotCaptured, lower
from tests.fuser.captured import assert_no_mistakes

pytest.importorskip("expecttest", reason="expecttest is not installed, which the database imports")
from torch.testing._internal.common_methods_invocations import op_db

SAMPLES = 3
DTYPES = [torch.float32, torch.bfloat16, torch.int64]
# Random results, and what takes long or is nothing but ATen.
LEFT_OUT = ("dropout", "rand", "linalg", "fft", "multinomial", "normal", "bernoulli", "uniform")
LEFT_OUT += ("rrelu", "exponential", "geometric", "cauchy", "empty", "multi_head_attention", "poly")
LEFT_OUT += ("fractional", "as_strided")  # random places, and storages larger than their tensors
OPERATIONS = [
    operation for operation in op_db if not any(word in operation.name for word in LEFT_OUT)
]


def cases(operation, dtype):
    """Functions of tensors and their tensors, from the first samples that have elements."""
    samples = operation.sample_inputs("cpu", dtype, requires_grad=False)
    for _, sample in zip(range(SAMPLES), samples, strict=False):
        flat, spec = pytree.tree_flatten((sample.input, sample.args, sample.kwargs))
        places = [at for at, value in enumerate(flat) if isinstance(value, torch.Tensor)]
        tensors = [flat[at].detach().clone() for at in places]
        if not tensors or any(tensor.numel() == 0 for tensor in tensors):
            continue

        def function(*given, flat=flat, spec=spec, places=places):
            values = list(flat)
            for at, tensor in zip(places, given, strict=True):
                values[at] = tensor
            first, args, kwargs = pytree.tree_unflatten(values, spec)
            made = pytree.tree_leaves(operation.op(first, *args, **kwargs))
            return [tensor for tensor in made if isinstance(tensor, torch.Tensor)]

        yield function, tensors


def captured(function, tensors):
    """The graph, or None where PyTorch can't trace it or runs it as a whole."""
    try:
        graph = make_fx(torch.func.functionalize(function), tracing_mode="fake")(*tensors)
    except Exception:  # noqa: BLE001 - tracing is PyTorch's: shapes that data tell fail in many ways
        return None
    try:
        made = lower(graph)
    except NotCaptured:
        return None
    assert_no_mistakes(made)
    return made.graph


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: f"{o.name}.{o.variant_test_name}")
def test_samples_give_what_aten_gives(operation, dtype):
    if dtype not in operation.supported_dtypes("cpu"):
        return
    for function, tensors in cases(operation, dtype):
        graph = captured(function, tensors)
        if graph is None:
            continue
        theirs = function(*(tensor.clone() for tensor in tensors))
        mine = assemble(graph).run([tensor.clone() for tensor in tensors])
        tolerance = 2e-5 if dtype is torch.float32 else 2e-2
        for a, b in zip(mine, theirs, strict=True):
            assert a.dtype is b.dtype
            torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)
