import pytest
import torch
from torch.nn import functional

LOSSES = {
    "mean square": functional.mse_loss,
    "smooth absolute": lambda x, y: functional.smooth_l1_loss(x, y, beta=0.5),
    "absolute": lambda x, y: functional.smooth_l1_loss(x, y, beta=0.0),
    "huber": lambda x, y: functional.huber_loss(x, y, delta=0.5),
    "likelihood": lambda x, y: functional.binary_cross_entropy(x.sigmoid(), y),
    "likelihood of scores": functional.binary_cross_entropy_with_logits,
    "weighted likelihood": lambda x, y: functional.binary_cross_entropy_with_logits(
        x, y, weight=y[:1] + 1, pos_weight=y[0] * 3
    ),
    "sum": lambda x, y: functional.mse_loss(x, y, reduction="sum"),
    "each": lambda x, y: functional.binary_cross_entropy_with_logits(x, y, reduction="none"),
}
OPTIONS = {"strict": True}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_and_its_gradient_are_atens(name, dtype):
    torch._dynamo.reset()
    generator = torch.Generator().manual_seed(0)
    x = (torch.randn(9, 35, generator=generator) * 4).to(dtype).requires_grad_()
    y = torch.rand(9, 35, generator=generator).to(dtype)
    compiled = torch.compile(LOSSES[name], backend="sestina", options=OPTIONS)
    mine, theirs = compiled(x, y), LOSSES[name](x, y)
    # ATen rounds after each operation, and here that is some five times eight bits.
    close = {} if dtype is torch.float32 else {"atol": 0.02, "rtol": 0.02}
    torch.testing.assert_close(mine, theirs, **close)
    (a,), (b,) = (torch.autograd.grad(loss.sum(), x) for loss in (mine, theirs))
    torch.testing.assert_close(a, b, **close)


def test_a_mean_over_a_size_that_changes_is_a_kernel():
    torch._dynamo.reset()
    compiled = torch.compile(functional.mse_loss, backend="sestina", dynamic=True, options=OPTIONS)
    for size in (9, 14):
        x, y = torch.randn(size, 5, requires_grad=True), torch.randn(size, 5)
        mine, theirs = compiled(x, y), functional.mse_loss(x, y)
        torch.testing.assert_close(mine, theirs)
        (a,), (b,) = (torch.autograd.grad(loss, x) for loss in (mine, theirs))
        torch.testing.assert_close(a, b)


def test_what_is_no_probability_is_refused():
    compiled = torch.compile(functional.binary_cross_entropy, backend="sestina", options=OPTIONS)
    with pytest.raises(RuntimeError, match="between 0 and 1"):
        compiled(torch.full((4,), 1.5), torch.ones(4))
