"""Optimizers that update all parameters of a model in one call of one kernel.

They take the state of those of `torch.optim` and the arguments that are listed here, with the same
results within rounding. Left out are `amsgrad`, `maximize` and `dampening`, and what chooses among
PyTorch's own ways of computing: `foreach`, `fused`, `capturable` and `differentiable`.

What PyTorch does as three calls is one here, if asked: `max_norm` clips the gradients to a norm,
all together, and `zero` sets them to 0 in the pass that reads them. Learning rates and the like are
data of the kernel, so that a schedule changes them for free. `torch.compile` breaks its graph at
`step`, which is compiled already.

    AdamW  I. Loshchilov, F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019
    Lion   X. Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeVar

import sympy
import torch
from torch import Tensor

from sestina.core.errors import InvalidValueError, SestinaError
from sestina.fuser.compile.native import compiled_table, machine, num_threads
from sestina.fuser.ir.nodes import Builder, Graph, Node
from sestina.fuser.ir.operations import compute_dtype
from sestina.fuser.lower.expressions import Expression
from sestina.fuser.optim_checks import (
    Known,
    check_apart,
    check_gradient,
    check_memory,
    check_options,
    check_parameter,
    check_state,
    laid_like,
)
from sestina.fuser.render.kernel import render
from sestina.fuser.schedule.kernel import schedule
from sestina.fuser.segment.groups import segment

__all__ = ["SGD", "AdamW", "Lion"]

# Elements of an item of work: enough to be worth a call, few enough to be dealt out evenly.
_CHUNK = 1 << 16
_ADDRESS = Tensor.data_ptr
# Of a parameter, its gradient, what is kept of it and the numbers: what they are to become.
Rule = Callable[..., Sequence[Expression]]
Method = TypeVar("Method", bound=Callable[..., Any])


def _outside_of_graphs(method: Method) -> Method:
    """A method that Dynamo does not trace: it would follow the compiler of the kernels."""
    reason = "sestina.fuser.optim updates parameters by a kernel that is compiled already"
    outside: Method = torch.compiler.disable(method, reason=reason)
    return outside


class _Fused(torch.optim.Optimizer):
    """What the optimizers share: tensors gathered, gradients clipped, the kernel called."""

    rule: Rule
    kept: tuple[str, ...]

    def __init__(
        self, params: Any, defaults: dict[str, Any], *, max_norm: float | None, zero: bool
    ) -> None:
        if max_norm is not None and not max_norm > 0:
            raise InvalidValueError(
                "max_norm", max_norm, expected="a number above 0", remedy="leave it out not to clip"
            )
        self.max_norm, self.zero = max_norm, zero
        # What a step found in order, which the next one need only find unchanged.
        self._known: dict[Tensor, Known] = {}
        self._apart: list[list[int]] = []
        super().__init__(params, defaults)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"max_norm": self.max_norm, "zero": self.zero}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._known, self._apart = {}, []

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Takes more parameters, with options of their own.

        Raises:
            DtypeError: for parameters that are not real floating-point tensors of the CPU.
            InvalidValueError: for parameters with gaps in memory and options out of range.
        """
        super().add_param_group(param_group)
        try:
            check_options(self.param_groups[-1])
            for param in self.param_groups[-1]["params"]:
                check_parameter(param)
        except SestinaError:
            self.param_groups.pop()
            raise

    @_outside_of_graphs
    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates the parameters that have a gradient: all of them, or none if one can't be.

        Args:
            closure: computes the loss and the gradients; what it gives is given back.

        Raises:
            DtypeError: for a parameter, gradient or state whose dtype, device or layout the kernel
                does not take, or state that is not of the parameter's dtype any more.
            ShapeError: for a gradient or state that is not of the parameter's shape any more.
            InvalidValueError: for parameters with gaps in memory or that share memory.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        # All are checked before any is written.
        updates = [(group, self._sets_of(group["params"])) for group in self.param_groups]
        sets = [one for _, several in updates for one in several]
        self._check_written(sets)
        scale = self._scale(sets)
        for group, several in updates:
            self._update(group, several, scale)
        return loss

    def numbers(self, group: dict[str, Any], step: int) -> tuple[float, ...]:
        """The numbers that the rule of a group takes at a step; those of each class are its own."""
        del group, step
        return ()

    def _scale(self, sets: list[_Set]) -> float:
        if self.max_norm is None or not sets:
            return 1.0
        gradients = [gradient for _, _, (_, gradient, *_), _ in sets]
        norm = float(torch.nn.utils.get_total_norm(gradients, foreach=True))
        # As torch.nn.utils.clip_grad_norm_ has it.
        return min(1.0, self.max_norm / (norm + 1e-6))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the state of an optimizer of this kind, PyTorch's own included.

        Raises:
            InvalidValueError: for the state of another kind, or options that are left out here.
            ShapeError: for the state of parameters of other shapes.
        """
        for group in state_dict["param_groups"]:
            check_options(group)
        # Registered last, it sees what the hooks before have made of the state.
        loaded: list[dict[str, Any]] = []
        hook = self.register_load_state_dict_pre_hook(lambda _, last: loaded.append(last))
        try:
            super().load_state_dict(state_dict)
        finally:
            hook.remove()
        saved = [key for group in loaded[0]["param_groups"] for key in group["params"]]
        params = [param for group in self.param_groups for param in group["params"]]
        for key, param in zip(saved, params, strict=True):
            state = self.state.get(param)
            if not state:
                continue
            state["step"] = float(state.get("step", 0))
            for name in self.kept:
                # Not what PyTorch has rounded to the dtype of half-precision parameters.
                value = loaded[0]["state"][key].get(name)
                if isinstance(value, Tensor):
                    state[name] = value.to(param.device, compute_dtype(param.dtype))
            self._lay_state(state, param)

    def _sets_of(self, params: list[Tensor]) -> list[_Set]:
        """Of each parameter with a gradient: the two and what is kept, as the kernel may have them.

        This is most of what a step does in Python, hence one loop of few calls.
        """
        sets: list[_Set] = []
        for param in params:
            gradient = param.grad
            if gradient is None:
                continue
            state, known = self.state[param], self._known.get(param)
            if known is not None and state:
                tensors = [param, gradient, *map(state.__getitem__, self.kept)]
            if known is None or not state or not known.holds(*tensors):
                tensors = self._checked(param, gradient, state)
                known = self._known[param] = Known.of(tensors)
            addresses = list(map(_ADDRESS, tensors))
            if known.count and 0 in addresses:
                check_memory(tensors)
            sets.append((state, known, tensors, addresses))
        return sets

    def _checked(self, param: Tensor, gradient: Tensor, state: dict[str, Any]) -> list[Tensor]:
        self._apart = []
        check_parameter(param)
        check_gradient(gradient, param)
        self._lay_state(state, param)
        return [param, laid_like(gradient, param), *(state[name] for name in self.kept)]

    def _lay_state(self, state: dict[str, Any], param: Tensor) -> None:
        """Makes the state of a parameter, or lays it as the parameter lies."""
        if not state:
            # A number, which PyTorch's optimizers take where they load it: counting 100 tensors
            # takes longer than all else that is done in Python here.
            state["step"] = 0.0
            state |= dict.fromkeys(self.kept)
        for name in self.kept:
            check_state(state, name, param)
            if state[name] is None:  # what PyTorch's SGD has before its first step
                state[name] = torch.zeros_like(param, dtype=compute_dtype(param.dtype))
            state[name] = laid_like(state[name], param)

    def _check_written(self, sets: list[_Set]) -> None:
        """Asks that what is written is written once: threads would race."""
        # Parameters, and gradients if these are zeroed; what is kept was made here.
        written = 1 + self.zero
        addresses = [one[3][:written] for one in sets]
        if addresses != self._apart:
            check_apart([tensor for _, _, tensors, _ in sets for tensor in tensors[:written]])
            self._apart = addresses

    def _update(self, group: dict[str, Any], sets: list[_Set], scale: float) -> None:
        alike: dict[tuple[float, tuple[torch.dtype, torch.dtype]], list[_Set]] = {}
        for one in sets:
            one[0]["step"] += 1
            alike.setdefault((one[0]["step"], one[1].dtypes), []).append(one)
        for (step, (dtype, kind)), several in alike.items():
            numbers = self.numbers(group, int(step))
            spec = _Spec(type(self).rule, dtype, kind, len(self.kept), len(numbers), self.zero)
            _kernel(spec).run(several, [scale, *numbers])
        if self.zero:
            for _, _, (param, gradient, *_), _ in sets:
                if param.grad is not None and param.grad is not gradient:
                    param.grad.zero_()  # the kernel has zeroed a copy


# The state of a parameter, what is known, and its tensors with their addresses. No class: it is
# made for each parameter in each step.
_Set = tuple[dict[str, Any], Known, list[Tensor], list[int]]


class AdamW(_Fused):
    """Adam with decoupled weight decay, as `torch.optim.AdamW`.

    Args:
        params: tensors, or groups of them with options of their own.
        lr: learning rate.
        betas: decay of the means of gradients and of their squares.
        eps: added to the root of the mean square.
        weight_decay: of parameters, times the learning rate, a step.
        max_norm: gradients are scaled down to this norm, all together; None not to.
        zero: whether gradients are set to 0 once they are read.

    Raises:
        DtypeError: for parameters that are not real floating-point tensors of the CPU.
        InvalidValueError: for parameters with gaps in memory and arguments out of range.
    """

    kept = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        max_norm: float | None = None,
        zero: bool = False,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults, max_norm=max_norm, zero=zero)

    def numbers(self, group: dict[str, Any], step: int) -> tuple[float, ...]:
        """Decay, learning rate and betas, corrected for the step."""
        lr, (first, second) = float(group["lr"]), group["betas"]
        root = (1 - second**step) ** 0.5
        shrink = 1 - lr * group["weight_decay"]
        # The root's correction goes into the rate and ε: the kernel divides once.
        return shrink, lr / (1 - first**step) * root, 1 - first, 1 - second, group["eps"] * root

    @staticmethod
    def rule(  # noqa: D102 - the formula of the class
        param: Expression, g: Expression, mean: Expression, square: Expression, *n: Expression
    ) -> Sequence[Expression]:
        shrink, rate, first, second, eps = n
        mean = mean + (g - mean) * first
        square = square + (g * g - square) * second
        return param * shrink - rate * (mean / (square.sqrt() + eps)), mean, square


class SGD(_Fused):
    """Gradient descent with momentum, as `torch.optim.SGD`.

    Args:
        params: tensors, or groups of them with options of their own.
        lr: learning rate.
        momentum: decay of the sum of gradients.
        weight_decay: parameters times this are added to their gradients.
        nesterov: whether the step looks ahead by the momentum.
        max_norm: gradients are scaled down to this norm, all together; None not to.
        zero: whether gradients are set to 0 once they are read.

    Raises:
        DtypeError: for parameters that are not real floating-point tensors of the CPU.
        InvalidValueError: for parameters with gaps in memory and arguments out of range.
    """

    kept = ("momentum_buffer",)

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0.0,
        *,  # here PyTorch's has its dampening
        weight_decay: float = 0.0,
        nesterov: bool = False,
        max_norm: float | None = None,
        zero: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
        }
        super().__init__(params, defaults, max_norm=max_norm, zero=zero)

    def numbers(self, group: dict[str, Any], step: int) -> tuple[float, ...]:
        """Rate, momentum, decay, and what the gradient and the momentum weigh in the step."""
        del step
        momentum, lr = group["momentum"], float(group["lr"])
        ahead = (1.0, momentum) if group["nesterov"] else (0.0, 1.0)
        return lr, momentum, group["weight_decay"], *ahead

    @staticmethod
    def rule(  # noqa: D102 - the formula of the class
        param: Expression, g: Expression, buffer: Expression, *n: Expression
    ) -> Sequence[Expression]:
        lr, momentum, decay, of_gradient, of_buffer = n
        g = g + param * decay
        buffer = buffer * momentum + g
        return param - lr * (g * of_gradient + buffer * of_buffer), buffer


class Lion(_Fused):
    """Steps of the sign of a momentum.

    Args:
        params: tensors, or groups of them with options of their own.
        lr: learning rate; a third to a tenth of AdamW's.
        betas: weight of the momentum in the step, and its decay.
        weight_decay: of parameters, times the learning rate, a step.
        max_norm: gradients are scaled down to this norm, all together; None not to.
        zero: whether gradients are set to 0 once they are read.

    Raises:
        DtypeError: for parameters that are not real floating-point tensors of the CPU.
        InvalidValueError: for parameters with gaps in memory and arguments out of range.
    """

    kept = ("exp_avg",)

    def __init__(
        self,
        params: Any,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        max_norm: float | None = None,
        zero: bool = False,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "weight_decay": weight_decay}
        super().__init__(params, defaults, max_norm=max_norm, zero=zero)

    def numbers(self, group: dict[str, Any], step: int) -> tuple[float, ...]:
        """Decay, rate and betas."""
        del step
        lr, (first, second) = float(group["lr"]), group["betas"]
        return 1 - lr * group["weight_decay"], lr, 1 - first, 1 - second

    @staticmethod
    def rule(  # noqa: D102 - the formula of the class
        param: Expression, g: Expression, mean: Expression, *n: Expression
    ) -> Sequence[Expression]:
        shrink, lr, first, second = n
        step = mean + (g - mean) * first
        sign = (step > 0).convert(step.dtype) - (step < 0).convert(step.dtype)
        return param * shrink - lr * sign, mean + (g - mean) * second


@dataclass(frozen=True, slots=True)
class _Kernel:
    """A rule for tensors of some dtypes, compiled.

    Attributes:
        order: of the kernel's arguments: which of parameter, gradient, what is kept and numbers.
    """

    function: Callable[..., None]
    order: tuple[int, ...]

    def run(self, sets: list[_Set], numbers: Sequence[float]) -> None:
        """Updates sets of a parameter, its gradient and what is kept, with the same numbers."""
        values = torch.tensor(numbers, dtype=torch.float64)
        width = len(self.order) + 1  # and a flag that the kernel never raises
        in_order = itemgetter(*self.order)
        arguments: list[int] = []
        last = values.data_ptr()
        for *_, addresses in sets:
            arguments += in_order([*addresses, last])
            arguments.append(0)
        array = (ctypes.c_int64 * len(arguments))(*arguments)
        step = width * ctypes.sizeof(ctypes.c_int64)
        items: list[int] = []
        for index, (_, known, *_) in enumerate(sets):
            count = known.count
            for start in range(0, count, _CHUNK):
                items += [index * step, start, min(start + _CHUNK, count), 0]
        table = (ctypes.c_int64 * len(items))(*items)
        self.function(array, table, len(items) // 4, num_threads())


@dataclass(frozen=True, slots=True)
class _Spec:
    """What a kernel is made for."""

    rule: Rule
    dtype: torch.dtype
    gradient: torch.dtype
    num_kept: int
    num_numbers: int
    zero: bool


@functools.cache
def _kernel(spec: _Spec) -> _Kernel:
    """A rule as a kernel that writes where it reads."""
    b, wide = Builder(), compute_dtype(spec.dtype)
    size = sympy.Symbol("n", integer=True, positive=True)
    dtypes = [spec.dtype, spec.gradient, *[wide] * spec.num_kept]
    tensors = [b.make("input", (), (size,), kind, index=at) for at, kind in enumerate(dtypes)]
    numbers = b.make("input", (), (1 + spec.num_numbers,), torch.float64, index=len(tensors))

    def number(index: int) -> Expression:
        one = b.reshape(b.slice(numbers, 0, index, 1), ())
        return Expression(b, b.expand(b.convert(one, wide), (size,)))

    param, gradient, *kept = (Expression(b, b.convert(tensor, wide)) for tensor in tensors)
    others = [number(1 + at) for at in range(spec.num_numbers)]
    made = spec.rule(param, gradient * number(0), *kept, *others)
    targets = [0, *range(2, len(dtypes))]
    results = [b.convert(e.node, dtypes[at]) for e, at in zip(made, targets, strict=True)]
    if spec.zero:
        # Zero whatever the gradient is, and in the kernel that reads it.
        is_nan = b.apply("ne", tensors[1], tensors[1])
        zero = b.constant(0, spec.gradient)
        results.append(b.apply("where", is_nan, zero, zero))
        targets.append(1)
    # A copy of its own for each target: equal results are one node.
    stores = [
        b.make("copy", (node,), node.shape, node.dtype, target=at)
        for node, at in zip(results, targets, strict=True)
    ]
    places = {node: at for at, node in enumerate([*tensors, numbers])}
    places |= dict(zip(stores, targets, strict=True))
    graph = Graph([*tensors, numbers], list(stores), [None] * len(stores))
    return _compiled(graph, places)


def _compiled(graph: Graph, places: dict[Node, int]) -> _Kernel:
    segments = segment(graph)
    (group,) = segments.groups
    rendered = render(schedule(group, segments.stored), machine().features)
    order = tuple(places[base] for base in rendered.bases)
    return _Kernel(compiled_table(rendered), order)
