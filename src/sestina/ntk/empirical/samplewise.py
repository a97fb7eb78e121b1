"""A module as a function of its trainable parameters and of one sample at a time.

Axes: n sample, o output (all output axes of the module, flattened).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor, nn

from sestina.core.errors import InvalidValueError, SestinaError, ShapeError
from sestina.ntk.empirical.borrowed import BorrowedModule
from sestina.ntk.empirical.checks import (
    check_independent,
    check_outputs,
    check_repeatable,
    check_same_outputs,
    check_unchanged,
    output_scale,
)
from sestina.ntk.empirical.layout import spans
from sestina.tensors.checks import check_finite

__all__ = ["Parameters", "SamplewiseFunction"]

Parameters = dict[str, Tensor]

_log = logging.getLogger(__name__)
_NUM_PROBES = 3


class SamplewiseFunction:
    """The checked function (parameters, samples) → (n, o), and its Jacobian.

    Args:
        module: passed `check_module`.
        x1: passed `check_inputs`.
        x2: as `x1`.

    Raises:
        InvalidValueError: if the outputs are no differentiable tensor, mix samples or are random,
            or if the module changes its parameters.
        ShapeError: if the module refuses the inputs or loses the sample axis.
        NonFiniteError: if the outputs are not finite.
    """

    def __init__(self, module: nn.Module, x1: Tensor, x2: Tensor | None) -> None:
        self.module = module
        self.parameters: Parameters = {
            name: parameter.detach()
            for name, parameter in module.named_parameters()
            if parameter.requires_grad
        }
        self._borrowed = BorrowedModule(module)
        self._scale = 0.0
        self.num_saved = 0
        """Numbers that one sample keeps for its pass backward."""
        probes = x1[:_NUM_PROBES]
        if len(probes) == 1 and x2 is not None:
            probes = torch.cat([probes, x2[: _NUM_PROBES - 1]])
        outputs = self._probe(probes)
        self.num_outputs = outputs.shape[1]
        self.like = outputs[:0]
        """An empty tensor of the outputs' element type and device."""
        self._vectorised = True
        self._has_forward_mode = True

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """The outputs of the samples, (n, o)."""
        with self._borrowed.holding(parameters):
            return self._outputs(x)

    def _outputs(self, x: Tensor) -> Tensor:
        """The outputs, (n, o), with the parameters that the module holds."""
        return self._raw(x).reshape(len(x), -1)

    def jacobian(self, names: Sequence[str], x: Tensor, *, at_once: int) -> dict[str, Tensor]:
        """∂f_o(x)/∂p for some of the parameters, each as (n, o, numel).

        Args:
            names: the parameters.
            x: the samples.
            at_once: how many gradients (pairs of a sample and an output) are computed together.
        """
        if self._vectorised:
            try:
                return self._vectorised_jacobian(names, x, at_once)
            except (RuntimeError, NotImplementedError, ValueError) as error:
                # What torch.func cannot vectorise: data-dependent branches, .item(), some kernels.
                self._vectorised = False
                _log.info("cannot be vectorised over samples, going one by one: %s", _line(error))
        return self._looped_jacobian(names, x)

    def _check_alone(self, outputs_no: Tensor, x: Tensor) -> None:
        try:
            alone_no = torch.cat([self(self.parameters, sample) for sample in x.split(1)])
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise InvalidValueError(
                "module",
                f"one that refuses a sample alone: {_line(error)}",
                expected="outputs that depend on one sample alone",
                remedy="call module.eval() first, or remove what mixes samples",
            ) from error
        check_same_outputs(outputs_no, alone_no, self._scale)

    def check_batches(self, x: Tensor, *, max_bytes: int) -> None:
        """Passes if batches of samples have the outputs that their halves have.

        `jacobian` evaluates samples one by one; `pull_back` and `push_forward` rely on this.

        Raises:
            InvalidValueError: if they have not.
        """
        with torch.no_grad():
            for chunk in x.split(self._chunk_size(max_bytes)):
                if len(chunk) > 1:
                    outputs_no = self(self.parameters, chunk)
                    for half in (slice(0, None, 2), slice(1, None, 2)):
                        halved = self(self.parameters, chunk[half])
                        check_same_outputs(outputs_no[half], halved, self._scale)

    def pull_back(self, vector_no: Tensor, x: Tensor, *, max_bytes: int) -> Parameters:
        """Jᵀ v: a tangent for every parameter."""
        tangents = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        size = self._chunk_size(max_bytes)
        with torch.enable_grad():
            parameters = self._leaves()
            for chunk, weights in zip(x.split(size), vector_no.split(size), strict=True):
                with self._borrowed.holding(parameters):
                    gradients = torch.autograd.grad(
                        self._outputs(chunk),
                        list(parameters.values()),
                        weights,
                        allow_unused=True,
                        materialize_grads=True,
                    )
                for tangent, gradient in zip(tangents.values(), gradients, strict=True):
                    tangent.add_(gradient)
        return tangents

    def push_forward(self, tangents: Parameters, x: Tensor, *, max_bytes: int) -> Tensor:
        """J t: the change of the outputs, (n, o), along a tangent for every parameter."""
        chunks = x.split(self._chunk_size(max_bytes))
        return torch.cat([self._push_forward_chunk(tangents, chunk) for chunk in chunks])

    def _push_forward_chunk(self, tangents: Parameters, x: Tensor) -> Tensor:
        if self._has_forward_mode:
            _load_forward_mode()
            try:
                change_no: Tensor = torch.func.jvp(
                    lambda parameters: self(parameters, x), (self.parameters,), (tangents,)
                )[1]
            except (RuntimeError, NotImplementedError) as error:
                self._has_forward_mode = False
                _log.info("no forward-mode derivative, going backward twice: %s", _line(error))
            else:
                return change_no.detach()
        try:
            return self._push_forward_twice_backward(tangents, x)
        except (RuntimeError, NotImplementedError) as error:
            raise InvalidValueError(
                "module",
                f"without forward-mode or second derivatives: {_line(error)}",
                expected="either of them, for products with vectors",
                remedy='use empirical_ntk with method="contraction"',
            ) from error

    def _push_forward_twice_backward(self, tangents: Parameters, x: Tensor) -> Tensor:
        # Jᵀ u is linear in u, so that its derivative in u along t is J t.
        parameters = self._leaves()
        with torch.enable_grad(), self._borrowed.holding(parameters):
            outputs = self._outputs(x)
            cotangents = torch.zeros_like(outputs, requires_grad=True)
            pulled = torch.autograd.grad(
                outputs,
                list(parameters.values()),
                cotangents,
                create_graph=True,
                allow_unused=True,
                materialize_grads=True,
            )
            along = [(p * t).sum() for p, t in zip(pulled, tangents.values(), strict=True)]
            return torch.autograd.grad(torch.stack(along).sum(), cotangents)[0]

    def _leaves(self) -> Parameters:
        return {name: p.clone().requires_grad_() for name, p in self.parameters.items()}

    def _chunk_size(self, max_bytes: int) -> int:
        # Values, tangents, and what is in flight.
        return max(1, max_bytes // max(1, 4 * self.num_saved * self.like.element_size()))

    def _raw(self, x: Tensor) -> Tensor:
        # The copy is for modules whose first part works in place.
        outputs: Tensor = self.module(x.clone())
        return outputs

    def _vectorised_jacobian(
        self, names: Sequence[str], x: Tensor, at_once: int
    ) -> dict[str, Tensor]:
        chosen = {name: self.parameters[name] for name in names}
        rest = {name: p for name, p in self.parameters.items() if name not in chosen}

        def outputs(parameters: Parameters, sample: Tensor) -> Tensor:
            return self(rest | parameters, sample[None])[0]

        jacobian = self._empty_jacobian(chosen, len(x))
        num_samples = max(1, at_once // self.num_outputs)
        num_outputs = None if at_once >= self.num_outputs else max(1, at_once)
        of_sample = torch.func.jacrev(outputs, chunk_size=num_outputs)
        of_samples = torch.func.vmap(of_sample, in_dims=(None, 0))
        with warnings.catch_warnings():
            # Of PyTorch on its own speed, once per process; the values are right.
            warnings.filterwarnings("ignore", message="There is a performance drop")
            for samples in spans(len(x), num_samples):
                for name, part in of_samples(chosen, x[samples]).items():
                    rows = jacobian[name][samples]
                    rows.copy_(part.reshape(rows.shape))
        return jacobian

    def _looped_jacobian(self, names: Sequence[str], x: Tensor) -> dict[str, Tensor]:
        chosen = {name: self.parameters[name].clone().requires_grad_() for name in names}
        jacobian = self._empty_jacobian(chosen, len(x))
        for i, sample in enumerate(x):
            with torch.enable_grad(), self._borrowed.holding(self.parameters | chosen):
                outputs = self._outputs(sample[None])[0]
                for k, output in enumerate(outputs):
                    for name, gradient in zip(names, _gradients(output, chosen), strict=True):
                        jacobian[name][i, k] = gradient.flatten()
        return jacobian

    def _empty_jacobian(self, chosen: Parameters, num_samples: int) -> dict[str, Tensor]:
        return {
            name: self.like.new_empty(num_samples, self.num_outputs, parameter.numel())
            for name, parameter in chosen.items()
        }

    def _probe(self, x: Tensor) -> Tensor:
        """The outputs of a few samples, after everything has been checked that can be."""
        leaf = x.detach().clone()
        leaf.requires_grad_(leaf.is_floating_point())
        parameters = self._leaves()
        # Copies of those, too, that later calls leave in place: what a module does to its
        # parameters is to be found out on copies.
        frozen = {
            name: nn.Parameter(parameter.detach().clone(), requires_grad=False)
            for name, parameter in self.module.named_parameters()
            if name not in parameters and type(parameter) is nn.Parameter
        }
        held = parameters | frozen
        with torch.enable_grad():
            with self._borrowed.holding(held):
                outputs = self._first_call(parameters, leaf).reshape(len(x), -1)
                check_finite("outputs of the module", outputs.detach())
                self._check_backward(outputs, leaf, parameters)
            check_repeatable(outputs.detach(), self(held, leaf).detach())
        check_unchanged(held, self.module)
        if len(x) > 1:
            self._check_alone(outputs.detach(), leaf.detach())
        return outputs.detach()

    def _check_backward(self, outputs_no: Tensor, x: Tensor, parameters: Parameters) -> None:
        try:
            self._scale = output_scale(outputs_no, list(parameters.values()))
            if len(x) > 1:
                check_independent(outputs_no, x)
        except (RuntimeError, NotImplementedError) as error:
            raise InvalidValueError(
                "module",
                f"one without a pass backward: {_line(error)}",
                expected="outputs that torch.autograd.grad differentiates",
                remedy="call torch.utils.checkpoint, if that is it, with use_reentrant=False",
            ) from error

    def _first_call(self, parameters: Parameters, x: Tensor) -> Tensor:
        own = {p.untyped_storage().data_ptr() for p in parameters.values()}
        saved: list[int] = []

        def note(tensor: Tensor) -> Tensor:
            if tensor.untyped_storage().data_ptr() not in own:
                saved.append(tensor.numel())
            return tensor

        try:
            with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
                outputs = self._raw(x)
        except SestinaError:
            raise
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise ShapeError(
                "x1",
                tuple(x.shape),
                expected=f"samples that the module accepts; it says: {error}",
                remedy="check that module(x1) works",
            ) from error
        self.num_saved = -(-sum(saved) // len(x))
        return check_outputs(outputs, len(x), next(iter(self.parameters.values())).dtype)


def _gradients(output: Tensor, parameters: Parameters) -> Sequence[Tensor]:
    if not output.requires_grad:  # none of these parameters enters it
        return [torch.zeros_like(parameter) for parameter in parameters.values()]
    return torch.autograd.grad(
        output,
        list(parameters.values()),
        retain_graph=True,
        allow_unused=True,
        materialize_grads=True,
    )


@cache
def _load_forward_mode() -> None:
    # The first forward-mode derivative in a process warns of PyTorch's own torch.jit.script.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.func.jvp(torch.sin, (torch.zeros(1),), (torch.zeros(1),))


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0]
