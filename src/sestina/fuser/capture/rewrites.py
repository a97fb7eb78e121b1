"""The rewrites of captured graphs, by name and in order, and where they are applied.

Each changes a graph of ATen calls in place to one that gives the same, and tells whether it did.
A rewrite that fails costs what it would have gained: what it has not yet replaced stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from functorch.compile import min_cut_rematerialization_partition
from torch import fx
from torch._functorch import config as functorch_config

from sestina.fuser.capture.channels import lay_channels_last
from sestina.fuser.capture.duplicates import merge_duplicates
from sestina.fuser.capture.epilogues import move_into_products
from sestina.fuser.capture.fallbacks import tell_rewrite
from sestina.fuser.capture.losses import split_log_softmax
from sestina.fuser.capture.randomness import make_regenerable
from sestina.fuser.capture.savings import (
    add_into_tables,
    compare_for_thresholds,
    see_through_detached,
)
from sestina.fuser.capture.statistics import widen_statistics
from sestina.fuser.options import FuserOptions

__all__ = ["INFERENCE", "TRAINING", "partition", "rewrite", "rewritten_by"]

Rewrite = Callable[[fx.Graph], bool]
_CHANGED = "sestina_rewritten_by"
TRAINING: Mapping[str, Rewrite] = {
    "statistics in the precision that ATen has": widen_statistics,
    "scores rather than logarithms of softmax": split_log_softmax,
    "random numbers by position": make_regenerable,
    "tensors rather than what shares their memory": see_through_detached,
    "masks rather than tensors": compare_for_thresholds,
    "rows added into tables": add_into_tables,
    "duplicates": merge_duplicates,
}
"""Of graphs that do both passes, before they are cut into forward and backward."""
INFERENCE: Mapping[str, Rewrite] = {
    "random numbers by position": make_regenerable,
    "convolutions channels last": lay_channels_last,
    "duplicates": merge_duplicates,
    "activations within products": move_into_products,
}
"""Of graphs without a backward pass."""


def rewrite(graph: fx.Graph, table: Mapping[str, Rewrite], options: FuserOptions) -> None:
    """Applies the rewrites of a table; `rewritten_by` tells which of them changed it.

    Raises:
        NotFusedError: for one that fails, if the options are strict; otherwise a warning says so.
    """
    changed = []
    for name, apply in table.items():
        if apply is make_regenerable and options.dropout != "regenerate":
            continue
        try:
            if apply(graph):
                changed.append(apply.__name__)
        except Exception as error:  # noqa: BLE001 - a mistake of ours costs speed and not the result
            reason = f"its rewriting failed ({name}), {type(error).__name__}: {error}"
            tell_rewrite(reason, strict=options.strict)
    if graph.owning_module is not None:
        graph.owning_module.meta[_CHANGED] = tuple(changed)


def rewritten_by(module: fx.GraphModule) -> tuple[str, ...]:
    """The names of the rewrites that changed a graph, in order."""
    changed: tuple[str, ...] = module.meta.get(_CHANGED, ())
    return changed


def partition(
    options: FuserOptions, joint: fx.GraphModule, joint_inputs: Any, **others: Any
) -> tuple[fx.GraphModule, fx.GraphModule]:
    """The forward and the backward graph of one that does both; what AOTAutograd asks for.

    PyTorch's partitioner finds the cut that keeps least; of a graph that was rewritten it may be
    less.
    """
    rewrite(joint.graph, TRAINING, options)
    # The duplicates are gone: PyTorch's own pass would import TorchInductor for them.
    with functorch_config.patch(cse=False):
        parts: tuple[fx.GraphModule, fx.GraphModule] = min_cut_rematerialization_partition(
            joint, joint_inputs, **others
        )
    return parts
