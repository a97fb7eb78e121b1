"""Which modules are stacks of affine maps with elementwise functions between, and what they hold.

For those the tangent kernel factorises layer by layer (`structured`). A module is recognised by the
exact types of its parts, without hooks and without shared parameters: whatever could change what a
layer computes makes it an ordinary module, for which every other method works.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sestina.ntk.activations.base import Activation
from sestina.ntk.nets import FullyConnectedNet

__all__ = ["AffineLayer", "AffineStack", "Elementwise", "affine_stack"]

_ELEMENTWISE = frozenset(
    {
        nn.CELU,
        nn.ELU,
        nn.GELU,
        nn.Hardshrink,
        nn.Hardsigmoid,
        nn.Hardswish,
        nn.Hardtanh,
        nn.Identity,
        nn.LeakyReLU,
        nn.LogSigmoid,
        nn.Mish,
        nn.ReLU,
        nn.ReLU6,
        nn.SELU,
        nn.Sigmoid,
        nn.SiLU,
        nn.Softplus,
        nn.Softshrink,
        nn.Softsign,
        nn.Tanh,
        nn.Tanhshrink,
        nn.Threshold,
    }
)
"""PyTorch's elementwise functions without parameters, by exact type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AffineLayer:
    """z = scale_w W a + scale_b b, and which of W and b count as parameters."""

    weight: Tensor
    """(fan out, fan in), detached."""
    bias: Tensor | None
    """(fan out,), detached."""
    scale_w: float = 1.0
    scale_b: float = 1.0
    trains_weight: bool = True
    trains_bias: bool = True

    @property
    def trains(self) -> bool:
        """Whether the layer contributes to the tangent kernel."""
        return self.trains_weight or self.trains_bias


@dataclass(frozen=True, slots=True)
class Elementwise:
    """A chain of elementwise modules as one function φ."""

    modules: tuple[nn.Module, ...]

    def value(self, z: Tensor) -> Tensor:
        """φ(z); `z` keeps its values."""
        # The copy is for modules that work in place.
        a = z.clone() if any(getattr(module, "inplace", False) for module in self.modules) else z
        for module in self.modules:
            a = module(a)
        return a

    def value_and_slope(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """φ(z) and φ'(z), elementwise."""
        if not self.modules:
            return z, torch.ones_like(z)
        if len(self.modules) == 1 and isinstance(self.modules[0], Activation):
            return self.modules[0](z), self.modules[0].derivative(z)
        with torch.enable_grad():
            inputs = z.detach().requires_grad_()
            outputs = self.value(inputs)
            (slope,) = torch.autograd.grad(outputs, inputs, torch.ones_like(outputs))
        return outputs.detach(), slope


@dataclass(frozen=True, slots=True, kw_only=True)
class AffineStack:
    """A network x → affine, elementwise, …, affine."""

    prepare: Elementwise
    """What happens to the inputs before the first layer."""
    flatten: bool
    """Whether the inputs are first made (n, d)."""
    layers: tuple[AffineLayer, ...]
    activations: tuple[Elementwise, ...]
    """One fewer than the layers."""

    @property
    def num_outputs(self) -> int:
        """Outputs per sample."""
        return len(self.layers[-1].weight)


def affine_stack(module: nn.Module) -> AffineStack | str:
    """The module as a stack of affine layers, or in words why it is none.

    Example:
        >>> from torch import nn
        >>> stack = affine_stack(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)))
        >>> stack.num_outputs
        2
        >>> affine_stack(nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)))
        'LayerNorm is neither affine nor known to be elementwise'
    """
    for part in module.modules():
        reason = _changed(part)
        if reason is not None:
            return reason
    if type(module) is FullyConnectedNet:
        stack = _stack_of_net(module)
    elif type(module) in {nn.Sequential, nn.Linear}:
        stack = _stack_of_sequence(list(_leaves(module)))
    else:
        return f"{type(module).__name__} is neither a FullyConnectedNet nor an nn.Sequential"
    if isinstance(stack, str):
        return stack
    parameters = [t for layer in stack.layers for t in (layer.weight, layer.bias) if t is not None]
    if len({t.data_ptr() for t in parameters}) < len(parameters):
        return "layers share parameters"
    if len({(t.dtype, t.device) for t in parameters}) > 1:
        return "layers differ in precision or device"
    return stack


def _changed(part: nn.Module) -> str | None:
    hooks = (part._forward_hooks, part._forward_pre_hooks, part._backward_hooks)  # noqa: SLF001
    if any(hooks) or part._backward_pre_hooks:  # noqa: SLF001
        return f"{type(part).__name__} has hooks"
    if "forward" in vars(part):
        return f"{type(part).__name__} has a forward of its own"
    return None


def _leaves(module: nn.Module) -> Iterator[nn.Module]:
    if type(module) is nn.Sequential:
        for child in module:  # a child that stands twice comes twice, which named_children hides
            yield from _leaves(child)
    else:
        yield module


def _stack_of_net(net: FullyConnectedNet) -> AffineStack | str:
    if net.residual or net.layer_norm:
        return "its layers are joined by more than an activation"
    activation = _elementwise(net.activation)
    if activation is None:
        return f"{type(net.activation).__name__} is not known to be elementwise"
    layers = []
    for index, (weight, bias) in enumerate(zip(net.weights, net.biases, strict=True)):
        scale_w, scale_b = net.layer_scales(index)
        has_bias = net.sigmas_b[index] != 0
        layers.append(
            AffineLayer(
                weight=weight.detach(),
                bias=bias.detach() if has_bias else None,
                scale_w=scale_w,
                scale_b=scale_b,
                trains_weight=weight.requires_grad,
                trains_bias=has_bias and bias.requires_grad,
            )
        )
    return AffineStack(
        prepare=Elementwise(()),
        flatten=False,
        layers=tuple(layers),
        activations=(Elementwise((activation,)),) * net.depth,
    )


def _stack_of_sequence(parts: Sequence[nn.Module]) -> AffineStack | str:
    flatten = bool(parts) and _is_flatten(parts[0])
    layers: list[AffineLayer] = []
    between: list[list[nn.Module]] = [[]]
    for part in parts[1:] if flatten else parts:
        if type(part) is nn.Linear:
            layer = _layer_of(part)
            if layer is None:
                return "a Linear layer's weight and bias are not its plain parameters"
            layers.append(layer)
            between.append([])
        else:
            activation = _elementwise(part)
            if activation is None:
                return f"{type(part).__name__} is neither affine nor known to be elementwise"
            between[-1].append(activation)
    if not layers:
        return "it has no affine layer"
    chains = [
        Elementwise(tuple(m for m in chain if type(m) is not nn.Identity)) for chain in between
    ]
    if chains[-1].modules:
        return "it ends with a function of the outputs"
    return AffineStack(
        prepare=chains[0],
        flatten=flatten,
        layers=tuple(layers),
        activations=tuple(chains[1:-1]),
    )


def _is_flatten(part: nn.Module) -> bool:
    return type(part) is nn.Flatten and (part.start_dim, part.end_dim) == (1, -1)


def _layer_of(linear: nn.Linear) -> AffineLayer | None:
    weight = linear.weight
    bias: nn.Parameter | None = linear.bias
    named = dict(linear.named_parameters())
    expected = {"weight", "bias"} if bias is not None else {"weight"}
    if named.keys() != expected or any(type(p) is not nn.Parameter for p in named.values()):
        return None
    return AffineLayer(
        weight=weight.detach(),
        bias=None if bias is None else bias.detach(),
        trains_weight=weight.requires_grad,
        trains_bias=bias is not None and bias.requires_grad,
    )


def _elementwise(part: nn.Module) -> nn.Module | None:
    if any(True for _ in part.parameters()):
        return None
    if type(part) in _ELEMENTWISE or isinstance(part, Activation):
        return part
    # Dropout is the identity in evaluation; in training every method refuses the module.
    is_off = isinstance(part, nn.Dropout) and (not part.training or part.p == 0)
    return nn.Identity() if type(part) is nn.Dropout and is_off else None
