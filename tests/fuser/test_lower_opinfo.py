"""PyTorch's own samples of its operations, its OpInfo database: kernels give what ATen gives.

Forward and backward, from tensors that lie anyhow, and as close to float64 as ATen is. The
operations are those of which something is in the table of lowerings; the others run through ATen
here as elsewhere. Other dtypes are tested where each entry of the table is.
"""

import pytest
import torch
from torch.utils import _pytree as pytree

from sestina.fuser.lower.graph import NotCaptured, lower
from sestina.fuser.lower.table import ELEMENTWISE, LOWERINGS
from tests.fuser.captured import (
    assert_graph_as_eager,
    assert_no_mistakes,
    gradients_of,
    is_narrower,
    traced,
)

pytest.importorskip("expecttest", reason="expecttest is not installed, which the database imports")
from torch.testing._internal.common_methods_invocations import op_db

SAMPLES = 2
NAMES = """
    H T __getitem__ __radd__ __rdiv__ __rmatmul__ __rmul__ __ror__ __rpow__ __rsub__ __rxor__
    _native_batch_norm_legit _softmax_backward_data abs acos acosh add addcdiv addcmul all amax
    amin any argmax argmin asin asinh atan atan2 atanh atleast_3d bfloat16 bitwise_and
    bitwise_not bitwise_or bitwise_xor bool broadcast_tensors broadcast_to byte cartesian_prod
    cat ceil char chunk clamp clamp_max clamp_min clone column_stack constant_pad_nd copysign
    cos cosh cumprod cumsum cumulative_trapezoid deg2rad diagflat diff div.floor_rounding
    div.no_rounding_mode div.trunc_rounding dsplit dstack einsum eq erf erfc exp exp2 expand
    expand_as expm1 fill flatten flip fliplr flipud float_power floor floor_divide fmod frac
    full_like gather ge gradient gt half heaviside hsplit hstack hypot index_add index_copy
    index_fill index_put index_select inner int isfinite isinf isnan isreal kron le lerp lgamma
    linalg.norm linalg.vector_norm log log10 log1p log2 log_softmax log_softmax.with_dtype
    logaddexp logical_and logical_not logical_or logit logsumexp long lt mH mT masked.amax
    masked.amin masked.argmax masked.argmin masked.cumprod masked.cumsum masked.log_softmax
    masked.logaddexp masked.logsumexp masked.mean masked.median masked.norm masked.prod
    masked.softmax masked.softmin masked.std masked.sum masked.var masked_fill matmul max.binary
    max.reduction_no_dim max.reduction_with_dim max_pool2d_with_indices_backward maximum mean
    meshgrid.list_of_tensors meshgrid.variadic_tensors min.binary min.reduction_no_dim
    min.reduction_with_dim minimum movedim mul nan_to_num nanmean nanquantile narrow
    native_layer_norm ne neg new_zeros nn.functional.adaptive_avg_pool1d
    nn.functional.adaptive_max_pool1d nn.functional.avg_pool1d nn.functional.avg_pool2d
    nn.functional.bilinear nn.functional.binary_cross_entropy
    nn.functional.binary_cross_entropy_with_logits nn.functional.celu nn.functional.conv1d
    nn.functional.conv2d nn.functional.conv3d nn.functional.conv_transpose1d
    nn.functional.conv_transpose2d nn.functional.conv_transpose3d
    nn.functional.cosine_embedding_loss nn.functional.cosine_similarity
    nn.functional.cross_entropy nn.functional.elu nn.functional.embedding nn.functional.gelu
    nn.functional.glu nn.functional.group_norm nn.functional.hardsigmoid nn.functional.hardswish
    nn.functional.hardtanh nn.functional.hinge_embedding_loss nn.functional.huber_loss
    nn.functional.instance_norm nn.functional.interpolate.area nn.functional.kl_div
    nn.functional.l1_loss nn.functional.layer_norm nn.functional.leaky_relu nn.functional.linear
    nn.functional.linear_cross_entropy nn.functional.linear_cross_entropy.chunked
    nn.functional.linear_cross_entropy.chunked_none nn.functional.local_response_norm
    nn.functional.logsigmoid nn.functional.margin_ranking_loss nn.functional.max_pool1d
    nn.functional.max_pool2d nn.functional.max_unpool1d nn.functional.max_unpool1d.grad
    nn.functional.mish nn.functional.mse_loss nn.functional.multilabel_soft_margin_loss
    nn.functional.nll_loss nn.functional.normalize nn.functional.pad.constant
    nn.functional.pairwise_distance nn.functional.pixel_shuffle nn.functional.pixel_unshuffle
    nn.functional.poisson_nll_loss nn.functional.prelu nn.functional.relu nn.functional.relu6
    nn.functional.rms_norm nn.functional.scaled_dot_product_attention nn.functional.selu
    nn.functional.silu nn.functional.smooth_l1_loss nn.functional.softmin
    nn.functional.softmin.with_dtype nn.functional.softplus nn.functional.softsign
    nn.functional.tanhshrink nn.functional.threshold nn.functional.triplet_margin_loss
    nn.functional.triplet_margin_with_distance_loss norm ones_like outer permute pow prod
    quantile rad2deg ravel reciprocal remainder repeat repeat_interleave reshape reshape_as roll
    round rsqrt rsub scatter scatter_add select select_scatter sgn short sigmoid sign sin
    sinh slice slice_scatter softmax softmax.with_dtype special.ndtr split split.list_args
    split_with_sizes sqrt square squeeze squeeze.multiple stack std std.unbiased std_mean
    std_mean.unbiased sub sum sum_to_size t take_along_dim tan tanh tensordot tile
    torch.ops.aten._safe_softmax.default transpose trapezoid trapz tril triu true_divide trunc
    unbind unflatten unsqueeze var var.unbiased var_mean var_mean.unbiased view view_as vsplit
    vstack where xlogy zero_ zeros_like
""".split()  # noqa: SIM905 - so many are read more easily so


def name_of(operation):
    return ".".join(filter(None, (operation.name, operation.variant_test_name)))


# Some are listed twice, for the CPU and for a GPU.
OPERATIONS = [
    operation
    for operation in op_db
    if name_of(operation) in NAMES and operation.supported_dtypes("cpu")
]


def calls(operation, sample):
    """A function of a sample's tensors, and the tensors."""
    flat, spec = pytree.tree_flatten((sample.input, sample.args, sample.kwargs))
    places = [at for at, value in enumerate(flat) if isinstance(value, torch.Tensor)]

    def function(*given):
        values = list(flat)
        for at, tensor in zip(places, given, strict=True):
            values[at] = tensor
        first, args, kwargs = pytree.tree_unflatten(values, spec)
        made = pytree.tree_leaves(operation.op(first, *args, **kwargs))
        return [tensor for tensor in made if isinstance(tensor, torch.Tensor)]

    return function, [flat[at].detach() for at in places]


def cases(operation, dtype):
    """Of the first samples that have elements."""
    samples = operation.sample_inputs("cpu", dtype, requires_grad=False)
    for _, sample in zip(range(SAMPLES), samples, strict=False):
        function, tensors = calls(operation, sample.noncontiguous())
        if tensors and all(tensor.numel() for tensor in tensors):
            yield function, tensors


def check(function, tensors):
    """Compares with ATen; how many of the graph's operations the table has."""
    try:
        captured = traced(function, *tensors)
    except Exception:  # noqa: BLE001 - tracing is PyTorch's: shapes that data tell fail in many ways
        return 0
    try:
        made = lower(captured)
    except NotCaptured:
        return 0
    assert_no_mistakes(made)
    assert_graph_as_eager(made.graph, function, tensors, as_inferred=True, of_largest=True)
    return sum(
        node.target in LOWERINGS or node.target in ELEMENTWISE for node in captured.graph.nodes
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_samples_and_their_gradients_are_atens(operation):
    found = 0
    is_floating = torch.float32 in operation.supported_dtypes("cpu")
    for function, tensors in cases(operation, torch.float32 if is_floating else torch.int64):
        found += check(function, tensors)
        if is_floating and operation.supports_autograd and not is_narrower(function, tensors):
            found += check(gradients_of(function), tensors)
    assert found
