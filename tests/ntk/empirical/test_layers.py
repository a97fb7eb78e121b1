import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from sestina.ntk.activations import activation
from sestina.ntk.empirical.layers import AffineStack, Elementwise, affine_stack
from sestina.ntk.nets import FullyConnectedNet


def hooked():
    module = nn.Sequential(nn.Linear(2, 2))
    module[0].register_forward_hook(lambda *_: None)
    return module


def tied():
    module = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    module[2].weight = module[0].weight
    return module


def repeated():
    linear = nn.Linear(2, 2)
    return nn.Sequential(linear, nn.ReLU(), linear)


def with_own_forward():
    module = nn.Sequential(nn.Linear(2, 2))
    module.forward = lambda x: x
    return module


def tied_net():
    net = FullyConnectedNet(2, 1, 4, nn.ReLU(), depth=3)
    net.weights[1] = net.weights[2]
    return net


class Subclassed(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)), "LayerNorm is neither affine"),
        (nn.Sequential(nn.Linear(2, 2), nn.Softmax(-1), nn.Linear(2, 2)), "Softmax is neither"),
        (nn.Sequential(nn.Linear(2, 2), nn.PReLU(), nn.Linear(2, 2)), "PReLU is neither affine"),
        (nn.Sequential(nn.Linear(2, 2), nn.Tanh()), "ends with a function of the outputs"),
        (nn.Sequential(Subclassed(2, 2)), "Subclassed is neither affine"),
        (nn.Sequential(nn.ReLU()), "no affine layer"),
        (nn.Sequential(), "no affine layer"),
        (nn.Conv1d(1, 1, 1), "Conv1d is neither a FullyConnectedNet nor"),
        (parametrizations.weight_norm(nn.Linear(2, 2)), "neither a FullyConnectedNet nor"),
        (FullyConnectedNet(2, 1, 4, nn.Softmax(-1)), "Softmax is not known to be elementwise"),
        (hooked(), "Linear has hooks"),
        (with_own_forward(), "Sequential has a forward of its own"),
        (tied(), "layers share parameters"),
        (repeated(), "layers share parameters"),
        (tied_net(), "layers share parameters"),
        (nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double()), "differ in precision"),
    ],
)
def test_what_is_no_plain_stack_is_told_why(module, reason):
    assert reason in affine_stack(module)


@pytest.mark.parametrize(
    "module",
    [
        nn.Linear(2, 3),
        nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(4, 2), nn.ReLU()), nn.Linear(2, 3)),
        nn.Sequential(nn.Tanh(), nn.Linear(2, 2, bias=False), nn.Identity(), nn.Linear(2, 3)),
        nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5), nn.Linear(4, 3)).eval(),
        FullyConnectedNet(2, 3, 5, activation("erf"), depth=3, sigma_b=0.1),
        FullyConnectedNet(2, 3, 5, nn.SiLU(), parametrisation="standard", centred=False),
    ],
)
def test_plain_stacks_are_recognised(module):
    stack = affine_stack(module)
    assert isinstance(stack, AffineStack)
    assert stack.num_outputs == 3
    assert len(stack.activations) == len(stack.layers) - 1


def test_frozen_parameters_are_marked():
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    module[0].weight.requires_grad_(False)
    first, second = affine_stack(module).layers
    assert (first.trains_weight, first.trains_bias, first.trains) == (False, True, True)
    assert (second.trains_weight, second.trains_bias) == (True, True)


@pytest.mark.parametrize(
    "modules",
    [
        (),
        (nn.ReLU(inplace=True),),
        (nn.SiLU(), nn.Hardtanh()),
        (activation("gelu"),),
        (activation("erf"), nn.Tanh()),
    ],
    ids=str,
)
def test_slopes_are_those_of_autograd(modules):
    z = torch.linspace(-3, 3, 40, dtype=torch.float64).reshape(4, 10)
    before = z.clone()
    value, slope = Elementwise(modules).value_and_slope(z)
    assert torch.equal(z, before)
    leaf = z.clone().requires_grad_()
    expected = leaf
    for module in modules:
        expected = module(expected.clone())
    (expected_slope,) = torch.autograd.grad(expected.sum(), leaf)
    torch.testing.assert_close(value, expected.detach())
    torch.testing.assert_close(slope, expected_slope)
