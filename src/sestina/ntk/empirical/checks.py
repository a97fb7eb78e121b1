"""Which modules have a tangent kernel, and on which inputs: the checks at the public edge.

The tangent kernel of two samples is defined only where the outputs of one do not depend on the
other, and where the same inputs give the same outputs: batch statistics and dropout would give a
number that is no kernel. So would a module that changes itself with every call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.nn.utils.spectral_norm import SpectralNorm

from sestina.core.errors import DtypeError, InvalidValueError, ShapeError
from sestina.tensors.checks import REAL_DTYPES, check_finite

__all__ = [
    "check_independent",
    "check_inputs",
    "check_module",
    "check_outputs",
    "check_repeatable",
    "check_same_outputs",
    "check_unchanged",
    "output_scale",
]

# Relative difference between two ways to compute the same outputs: what float32 and another order
# of summation make is far below, what dropout and batch statistics make is far above.
_ROUNDING = 1e-3


def check_module(module: object) -> nn.Module:
    """The module itself, if its outputs are a differentiable function of each sample alone.

    Raises:
        InvalidValueError: if it is no module, has no trainable parameter, or some part of it works
            on batch statistics, at random or on a state that it changes in its present mode, or
            has no Python forward or no shapes yet.
        DtypeError: if trainable parameters are neither all float32 nor all float64.
    """
    if not isinstance(module, nn.Module):
        raise InvalidValueError(
            "module",
            f"a value of type {type(module).__name__}",
            expected="a torch.nn.Module",
            remedy="wrap the function in a module that owns its parameters",
        )
    for name, part in module.named_modules():
        _check_part(f"module{'.' if name else ''}{name}", part)
    trainable = {name: p for name, p in module.named_parameters() if p.requires_grad}
    if not trainable:
        raise InvalidValueError(
            "module",
            "without trainable parameters",
            expected="at least one parameter with requires_grad",
            remedy="call module.requires_grad_() to unfreeze it",
        )
    dtypes = {parameter.dtype for parameter in trainable.values()}
    if len(dtypes) > 1 or not dtypes <= set(REAL_DTYPES):
        raise DtypeError(
            "module",
            " and ".join(sorted(map(str, dtypes))),
            expected="trainable parameters all float32 or all float64",
            remedy="convert it with module.double() or module.float()",
        )
    devices = {parameter.device for parameter in trainable.values()}
    if len(devices) > 1:
        raise InvalidValueError(
            "module",
            f"on {len(devices)} devices",
            expected="trainable parameters on one device",
            remedy="move it with module.to(device)",
        )
    return module


def check_inputs(module: nn.Module, x1: object, x2: object) -> tuple[Tensor, Tensor | None]:
    """The inputs themselves, if the module can be evaluated on them.

    Raises:
        InvalidValueError: if they are no tensors or on another device than the parameters.
        DtypeError: if they are floating-point of another precision than the parameters.
        ShapeError: if there is no sample, or the two differ in more than the number of samples.
        NonFiniteError: if they hold NaN or infinity.
    """
    first = _check_input(module, "x1", x1)
    if x2 is None:
        return first, None
    second = _check_input(module, "x2", x2)
    if second.shape[1:] != first.shape[1:]:
        raise ShapeError(
            "x2",
            tuple(second.shape),
            expected=f"samples shaped as those of x1, {tuple(first.shape[1:])}",
            remedy="pass samples of the same kind",
        )
    if second.dtype != first.dtype:
        raise DtypeError(
            "x2",
            second.dtype,
            expected=f"{first.dtype} like x1",
            remedy=f"convert it with x2.to({first.dtype})",
        )
    return first, second


def check_outputs(outputs: object, num_samples: int, dtype: torch.dtype) -> Tensor:
    """The outputs themselves, if they are one differentiable tensor with the samples first.

    Raises:
        InvalidValueError: if they are no tensor or have no gradient.
        ShapeError: if the sample axis is lost.
        DtypeError: if they are of another precision than the parameters.
    """
    if not isinstance(outputs, Tensor):
        raise InvalidValueError(
            "outputs of the module",
            f"a value of type {type(outputs).__name__}",
            expected="one tensor",
            remedy="wrap the module so that it returns the tensor meant, e.g. its logits",
        )
    if outputs.ndim == 0 or len(outputs) != num_samples:
        raise ShapeError(
            "outputs of the module",
            tuple(outputs.shape),
            expected=f"a first axis of {num_samples}, one entry per sample",
            remedy="let the module keep the sample axis first",
        )
    if not outputs.requires_grad:
        raise InvalidValueError(
            "outputs of the module",
            f"of dtype {outputs.dtype}, without a gradient",
            expected="differentiable in the trainable parameters",
            remedy="return the values before argmax, rounding, detach() or no_grad()",
        )
    if outputs.dtype != dtype:
        raise DtypeError(
            "outputs of the module",
            outputs.dtype,
            expected=f"{dtype} like the parameters",
            remedy="let the module compute in one precision (no autocast)",
        )
    return outputs


def check_repeatable(outputs_no: Tensor, again_no: Tensor) -> None:
    """Passes if two evaluations of the same samples agree.

    Raises:
        InvalidValueError: if they do not, but for rounding.
    """
    if torch.equal(outputs_no, again_no):
        return
    difference = float((outputs_no - again_no).abs().max())
    if difference > _ROUNDING * float(outputs_no.abs().max()):
        raise InvalidValueError(
            "outputs of the module",
            f"different by {difference:.3g} from one evaluation to the next",
            expected="outputs on which nothing random acts",
            remedy="call module.eval() first, or remove what draws random numbers",
        )


def check_independent(outputs_no: Tensor, x: Tensor) -> None:
    """Passes if the gradient of the first sample's outputs in the other samples is exactly zero.

    This sees batch statistics however small. What has no gradient (a branch, integer inputs) is
    seen by `check_same_outputs`.

    Args:
        outputs_no: with their graph.
        x: the samples that `outputs_no` were computed from, requiring a gradient if they can.

    Raises:
        InvalidValueError: if it is not.
    """
    if not x.requires_grad:
        return
    total = _weighted_sum(outputs_no[0])
    (gradient,) = torch.autograd.grad(
        total, x, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    if bool((gradient[1:].nan_to_num() != 0).any()):
        _refuse_mixing()


def check_same_outputs(outputs_no: Tensor, others_no: Tensor, scale: float) -> None:
    """Passes if the same samples in other company have the same outputs, but for rounding.

    Raises:
        InvalidValueError: if they have not.
    """
    if float((outputs_no - others_no).abs().max()) > _ROUNDING * scale:
        _refuse_mixing()


def output_scale(outputs_no: Tensor, parameters: Sequence[Tensor]) -> float:
    """The size of the terms that the outputs, with their graph, are made of.

    Outputs that are a small difference of large terms (f - f₀) have the rounding of the terms;
    θ·∂f/∂θ is of their size.
    """
    gradients = torch.autograd.grad(
        _weighted_sum(outputs_no[0]),
        list(parameters),
        retain_graph=True,
        allow_unused=True,
        materialize_grads=True,
    )
    along = zip(parameters, gradients, strict=True)
    return float(outputs_no.detach().abs().max()) + sum(
        float((parameter.detach() * gradient).sum().abs()) for parameter, gradient in along
    )


def check_unchanged(held: Mapping[str, Tensor], module: nn.Module) -> None:
    """Passes if the module has not changed the copies of its parameters that it was called with.

    Raises:
        InvalidValueError: if it has.
    """
    for name, parameter in module.named_parameters():
        if name in held and not _same_bits(held[name].detach(), parameter.detach()):
            raise InvalidValueError(
                "module",
                f"one that changes its parameter {name!r} when called",
                expected="a function of its parameters",
                remedy="call module.eval() first, or move what changes it (a constraint, a moving "
                "average) out of forward",
            )


def _same_bits(first: Tensor, second: Tensor) -> bool:
    # Bits, because NaN differs from itself.
    return first.shape == second.shape and torch.equal(
        first.reshape(-1).view(torch.uint8), second.reshape(-1).view(torch.uint8)
    )


def _weighted_sum(outputs_o: Tensor) -> Tensor:
    # Weights that no structure of the outputs cancels, as a plain sum cancels in a softmax.
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(len(outputs_o), generator=generator, dtype=torch.float64)
    return (outputs_o * weights.to(outputs_o)).sum()


def _refuse_mixing() -> NoReturn:
    raise InvalidValueError(
        "outputs of the module",
        "values that depend on the other samples of the batch",
        expected="outputs that depend on one sample alone",
        remedy="call module.eval() first, or remove what mixes samples",
    )


def _check_input(module: nn.Module, name: str, x: object) -> Tensor:
    if not isinstance(x, Tensor):
        raise InvalidValueError(
            name,
            f"a value of type {type(x).__name__}",
            expected="a torch.Tensor",
            remedy=f"convert it with torch.as_tensor({name})",
        )
    if x.ndim == 0 or len(x) == 0:
        raise ShapeError(
            name,
            tuple(x.shape),
            expected="at least one sample along the first axis",
            remedy=f"pass {name}[None] for one sample",
        )
    parameter = next(p for p in module.parameters() if p.requires_grad)
    if x.device != parameter.device:
        raise InvalidValueError(
            name,
            f"on {x.device}",
            expected=f"the device of the parameters, {parameter.device}",
            remedy=f"move it with {name}.to({str(parameter.device)!r})",
        )
    if x.is_complex():
        raise DtypeError(
            name, x.dtype, expected="real numbers", remedy="pass real and imaginary part"
        )
    if not x.is_floating_point():
        return x
    if x.dtype != parameter.dtype:
        raise DtypeError(
            name,
            x.dtype,
            expected=f"{parameter.dtype} like the parameters",
            remedy=f"convert it with {name}.to({parameter.dtype})",
        )
    return check_finite(name, x)


def _check_part(name: str, part: nn.Module) -> None:
    kind = type(part).__name__
    reason = _mixes_samples(part)
    if reason is not None:
        raise InvalidValueError(
            name,
            f"{kind}, which {reason}",
            expected="outputs that depend on one sample and on nothing random",
            remedy="call module.eval() first, with running statistics where it normalises",
        )
    reason = _changes_buffers(part)
    if reason is not None:
        raise InvalidValueError(
            name,
            f"{kind}, which {reason}",
            expected="a module that is the same after a call as before",
            remedy="call module.eval() first",
        )
    if isinstance(part, torch.jit.ScriptModule):
        raise InvalidValueError(
            name,
            f"{kind}, which is compiled by torch.jit",
            expected="modules whose parameters can be replaced",
            remedy="pass the module that it was compiled from",
        )
    if any(nn.parameter.is_lazy(parameter) for parameter in part.parameters(recurse=False)):
        raise InvalidValueError(
            name,
            f"{kind}, whose parameters have no shape yet",
            expected="initialised parameters",
            remedy="call module(x1) once",
        )


def _changes_buffers(part: nn.Module) -> str | None:
    """What this part does to its buffers when called in its present mode; None if nothing."""
    if not part.training:
        return None
    if isinstance(part, nn.modules.instancenorm._InstanceNorm):  # noqa: SLF001
        return None if part.running_mean is None else "updates its running statistics in training"
    # The parametrisation has no vectors where the weight is itself one; the hook is the old form.
    is_spectral = isinstance(part, parametrizations._SpectralNorm) and hasattr(part, "_u")  # noqa: SLF001
    hooks = part._forward_pre_hooks.values()  # noqa: SLF001
    if is_spectral or any(isinstance(hook, SpectralNorm) for hook in hooks):
        return "updates its singular vectors in training (spectral_norm)"
    return None


def _mixes_samples(part: nn.Module) -> str | None:
    """Why this part, in its present mode, is no function of one sample; None if it is one."""
    if isinstance(part, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001
        if part.training or part.running_mean is None:
            return "uses the statistics of the batch"
    elif isinstance(part, nn.modules.dropout._DropoutNd):  # noqa: SLF001
        if part.training and part.p > 0:
            return "drops units at random while training"
    elif isinstance(part, nn.RReLU):
        if part.training:
            return "draws its slopes at random while training"
    elif (
        isinstance(part, nn.MultiheadAttention | nn.RNNBase) and part.training and part.dropout > 0
    ):
        return "drops units at random while training"
    return None
