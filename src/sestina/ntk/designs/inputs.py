"""What a network of a design does with rows of data that are not on the sphere.

A design's kernel is that of inputs of norm √d. A kernel fitted to data comes with a way to get
there from raw rows: standardise, append a constant, go by the direction, and multiply by the norm
again or not. `DataInputs` keeps it, in a design and in its file; `DataNetwork` does it.

Axes: n row, d feature, o output.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sestina.core.errors import ShapeError
from sestina.ntk.designs.packing import pack
from sestina.ntk.kernels.directions import Form
from sestina.ntk.standardisation import Standardisation

if TYPE_CHECKING:
    from sestina.ntk.designs.files import Fields

__all__ = ["DataInputs", "DataNetwork", "RadialNetwork"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DataInputs:
    """How raw rows become a network's inputs, and its outputs predictions.

    Example:
        >>> plain = Standardisation(mean_d=np.array([1.0, 0.0]), scale_d=np.array([2.0, 0.0]))
        >>> inputs = DataInputs(
        ...     form="radial", bias=1.0, standardisation=plain, output_mean_o=np.array([7.0])
        ... )
        >>> inputs.rows(torch.tensor([[5.0, 9.0]])).tolist()  # 2, constant, bias·√2
        [[2.0, 0.0, 1.4142135623730951]]
    """

    form: Form
    """What becomes of the rows' norms: "radial" multiplies the network's outputs by |x|/√d,
    "normalise" ignores them, "strict" takes rows of norm √d only."""
    bias: float
    """The constant input is this times √d; 0 for none."""
    standardisation: Standardisation
    """What is done to raw features first."""
    output_mean_o: NDArray[np.float64]
    """(o,): the targets' mean, which is added to the network's outputs. For a classification there
    is one output for each label, sorted."""

    @property
    def num_features(self) -> int:
        """d, of a raw row."""
        return self.standardisation.mean_d.size

    @property
    def num_inputs(self) -> int:
        """d, or one more where a constant is appended: what the network takes."""
        return self.num_features + (self.bias > 0)

    def rows(self, raw_nd: Tensor) -> Tensor:
        """Standardised rows with the constant appended, float64: (n, num_inputs) from (n, d).

        Raises:
            ShapeError: if the rows have another number of features.
        """
        if raw_nd.shape[-1:] != (self.num_features,):
            raise ShapeError(
                "rows",
                tuple(raw_nd.shape),
                expected=f"a last axis of {self.num_features} features",
                remedy="pass the columns that the kernel was fitted to, in their order",
            )
        unit, mean, scale = (
            torch.from_numpy(part).to(raw_nd.device) for part in self.standardisation.in_units()
        )
        is_constant = scale == 0
        centred = raw_nd.to(torch.float64) / unit - mean
        rows = torch.where(is_constant, 0.0, centred / torch.where(is_constant, 1.0, scale))
        return _with_constant(rows, self.bias)

    def around(self, net: nn.Module) -> DataNetwork:
        """The module from raw rows to predictions, around one that takes inputs of norm √d.

        Args:
            net: from (n, num_inputs) to (n, o).
        """
        return DataNetwork(net, self)

    def to_body(self) -> dict[str, object]:
        """The fields of a design file."""
        return {
            "form": self.form,
            "bias": self.bias,
            "mean": pack(self.standardisation.mean_d),
            "scale": pack(self.standardisation.scale_d),
            "output_mean": pack(self.output_mean_o),
        }

    @classmethod
    def from_body(cls, body: Fields) -> DataInputs:
        """What `to_body` wrote, each field checked."""
        mean_d, scale_d = body.numbers("mean"), body.numbers("scale")
        if mean_d.size != scale_d.size or (scale_d < 0).any():
            body.refuse("scale", f"{scale_d.size} numbers", f"{mean_d.size} of at least 0")
        return cls(
            form=cast("Form", body.text("form", get_args(Form))),
            bias=body.number("bias", at_least=0.0),
            standardisation=Standardisation(mean_d=mean_d, scale_d=scale_d),
            output_mean_o=body.numbers("output_mean"),
        )


class RadialNetwork(nn.Module):
    """A network on the direction of its input, times the input's length.

    If g has the kernel κ(c) on inputs of norm √d, then f(x) = r g(x/r), r = |x|/√d, has r r' κ(c).
    A row of zeros gives zero.

    Args:
        net: from (n, d) to (n, o).
        scale: multiply by r; without, only directions count.
        bias: append the constant input bias·√d first; the net then takes d + 1.

    Example:
        >>> double = RadialNetwork(nn.Linear(2, 1, bias=False))
        >>> x = torch.tensor([[3.0, 4.0]])
        >>> bool(torch.allclose(double(2 * x), 2 * double(x)))
        True
    """

    def __init__(self, net: nn.Module, *, scale: bool = True, bias: float = 0.0) -> None:
        super().__init__()
        self.net = net
        self.scale = scale
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        """The outputs (n, o) of inputs (n, d)."""
        x = _with_constant(x, self.bias)
        radius = torch.linalg.vector_norm(x, dim=-1, keepdim=True) / math.sqrt(x.shape[-1])
        factor = radius if self.scale else (radius != 0).to(x.dtype)
        outputs: Tensor = factor * self.net(x / torch.where(radius == 0, 1.0, radius))
        return outputs


class DataNetwork(nn.Module):
    """A network on raw rows of data: it standardises them and adds the targets' mean.

    Train it on raw rows and raw targets. A centred network predicts the targets' mean at first.

    Args:
        net: from inputs of norm √d, (n, inputs.num_inputs), to (n, o).
        inputs: what is done before and after it.
    """

    def __init__(self, net: nn.Module, inputs: DataInputs) -> None:
        super().__init__()
        self.inputs = inputs
        is_plain = inputs.form == "strict"
        self.net = net if is_plain else RadialNetwork(net, scale=inputs.form == "radial")

    def forward(self, raw_nd: Tensor) -> Tensor:
        """The predictions (n, o), in the network's precision, of raw rows (n, d)."""
        parameter = next(self.net.parameters())
        rows = self.inputs.rows(raw_nd.to(parameter.device)).to(parameter.dtype)
        outputs: Tensor = self.net(rows)
        return outputs + torch.from_numpy(self.inputs.output_mean_o).to(outputs)


def _with_constant(x: Tensor, bias: float) -> Tensor:
    """The rows with bias·√d appended."""
    if not bias:
        return x
    constant = x.new_full((*x.shape[:-1], 1), bias * math.sqrt(x.shape[-1]))
    return torch.cat([x, constant], dim=-1)
