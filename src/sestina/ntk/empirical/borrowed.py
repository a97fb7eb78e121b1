"""A module of somebody else, called with other parameters and left exactly as it was.

PyTorch's `torch.func.functional_call` restores the names it was given. That is too little here: a
submodule registered under two names is replaced twice and keeps a replacement (with tied weights),
and what a forward stores beside its parameters (the flat weights of an LSTM, the weight computed by
a hook, a list of activations) stays behind, as tensors of a transformation that has ended.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

__all__ = ["BorrowedModule"]

_CONTAINERS = frozenset({dict, OrderedDict, defaultdict, list, set})


class BorrowedModule:
    """The module, to be called with other tensors in place of its parameters.

    Every name of a tied parameter gets the same replacement. Buffers, and tensors that are plain
    attributes, are replaced by copies at every use, so that each call starts from their present
    values and none changes them.
    """

    def __init__(self, module: nn.Module) -> None:
        self._parts = list(module.modules())  # each once, however many names it has
        names = {id(parameter): name for name, parameter in module.named_parameters()}
        # Where each parameter stands. A parameter may stand among the buffers, too.
        self._slots = [
            (part, kind, key, names[id(tensor)])
            for part in self._parts
            for kind in ("_parameters", "_buffers")
            for key, tensor in vars(part)[kind].items()
            if id(tensor) in names
        ]

    @contextmanager
    def holding(self, parameters: Mapping[str, Tensor]) -> Iterator[None]:
        """While it lasts, the module has these parameters; then it is as it was, come what may.

        A pass backward belongs inside: `torch.utils.checkpoint` calls parts of the module again.

        Args:
            parameters: by the names of `named_parameters`; those not named keep their values.
        """
        snapshots = [_Snapshot(part) for part in self._parts]
        try:
            self._copy_constants()
            for part, kind, key, name in self._slots:
                if name in parameters:
                    vars(part)[kind][key] = parameters[name]
            yield
        finally:
            for snapshot in snapshots:
                snapshot.restore()

    def _copy_constants(self) -> None:
        copies: dict[int, Tensor] = {}  # one for all names of a tensor
        for part in self._parts:
            attributes = vars(part)
            for holder in (attributes["_buffers"], attributes):
                for key, tensor in holder.items():
                    if isinstance(tensor, Tensor):
                        if id(tensor) not in copies:
                            copies[id(tensor)] = tensor.detach().clone()
                        holder[key] = copies[id(tensor)]


class _Snapshot:
    """The attributes of one module, the contents of its plain containers, its parameters' flags."""

    def __init__(self, part: nn.Module) -> None:
        self.attributes = vars(part)
        self.before = dict(self.attributes)
        containers = [c for c in self.before.values() if type(c) in _CONTAINERS]
        # Nine in ten are empty (hooks), and copying those took most of a snapshot's time.
        self.filled = [(container, container.copy()) for container in containers if container]
        self.empty = [container for container in containers if not container]
        self.flags = [
            (parameter, parameter.requires_grad, parameter.grad)
            for parameter in self.before["_parameters"].values()
            # Others are replacements, of a use that this one is nested in.
            if parameter is not None and parameter.is_leaf
        ]

    def restore(self) -> None:
        _restore_mapping(self.attributes, self.before)
        for container in self.empty:
            if container:
                container.clear()
        for container, before in self.filled:
            if isinstance(container, list):
                container[:] = before
            elif isinstance(container, set):
                container.clear()
                container.update(before)
            else:
                _restore_mapping(container, before)
        for parameter, requires_grad, gradient in self.flags:
            if parameter.requires_grad != requires_grad:
                parameter.requires_grad_(requires_grad)
            if parameter.grad is not gradient:
                parameter.grad = gradient


def _restore_mapping(mapping: dict[Any, Any], before: dict[Any, Any]) -> None:
    # By identity: keys may be of any kind. Emptied only where the keys or their order changed.
    if list(map(id, mapping)) != list(map(id, before)):
        mapping.clear()
    mapping.update(before)
