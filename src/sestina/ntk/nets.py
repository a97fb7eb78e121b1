"""Fully connected networks in the NTK parametrisation, as PyTorch modules.

With every parameter drawn from N(0, 1), n the width and d the input dimension,

    z¹ = σ_w W¹ x / √d + σ_b b¹,      zˡ⁺¹ = σ_w Wˡ⁺¹ φ(zˡ) / √n + σ_b bˡ⁺¹,
    f  = σ_w' V φ(z^L) / √n + σ_b' c,

so that one learning rate serves every layer and, as n grows, training follows the kernel (Jacot,
Gabriel & Hongler, 2018). The standard parametrisation moves the factors into the initial values.

With `residual`, zˡ⁺¹ adds zˡ; with `layer_norm`, φ sees z / √(mean of z² over the units): the same
steps as `FullyConnected` takes at infinite width.

A centred network returns f − f₀, where f₀ is the network as initialised: it starts at exactly
zero, and the randomness of one initialisation leaves the predictions.

Axes: n sample, d input, w unit, o output.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from sestina.core.errors import InvalidValueError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["FullyConnectedNet"]

Parametrisation = Literal["ntk", "standard"]


class FullyConnectedNet(nn.Module):
    """A fully connected network with `depth` hidden layers of one width.

    Args:
        d_in: inputs per sample.
        d_out: outputs per sample.
        width: units per hidden layer.
        activation: applied to every hidden layer, elementwise.
        depth: hidden layers, at least 1.
        sigma_w: scale of the hidden layers' weights.
        sigma_b: scale of the hidden layers' biases; 0 leaves the biases out.
        readout_sigma_w: scale of the readout's weights.
        readout_sigma_b: scale of the readout's biases; 0 leaves them out.
        parametrisation: "ntk", or "standard" with the scales in the initial values.
        residual: add each hidden layer's preactivation to the next one's.
        layer_norm: normalise each hidden layer's preactivations over its units.
        centred: subtract the output at initialisation. The initial values are kept as buffers.
        seed: of the initial values; the same seed gives the same network on every device.
        dtype: of the parameters; default is PyTorch's.
        device: where the parameters live.

    Example:
        >>> import torch
        >>> net = FullyConnectedNet(3, 2, 64, torch.nn.ReLU(), depth=2, sigma_w=2**0.5, seed=0)
        >>> net(torch.ones(5, 3)).abs().max().item()  # centred: zero before training
        0.0
        >>> [tuple(weight.shape) for weight in net.weights]
        [(64, 3), (64, 64), (2, 64)]
    """

    def __init__(  # noqa: PLR0913 (a network's options; four have no default)
        self,
        d_in: int,
        d_out: int,
        width: int,
        activation: nn.Module,
        *,
        depth: int = 1,
        sigma_w: float = 1.0,
        sigma_b: float = 0.0,
        readout_sigma_w: float = 1.0,
        readout_sigma_b: float = 0.0,
        parametrisation: Parametrisation = "ntk",
        residual: bool = False,
        layer_norm: bool = False,
        centred: bool = True,
        seed: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        _check_options(
            {"d_in": d_in, "d_out": d_out, "width": width, "depth": depth},
            {
                "sigma_w": sigma_w,
                "sigma_b": sigma_b,
                "readout_sigma_w": readout_sigma_w,
                "readout_sigma_b": readout_sigma_b,
            },
            parametrisation,
            seed,
        )
        self.activation = activation
        self.parametrisation = parametrisation
        self.residual = residual
        self.layer_norm = layer_norm
        self.centred = centred
        self.sigmas_w = (sigma_w,) * depth + (readout_sigma_w,)
        self.sigmas_b = (sigma_b,) * depth + (readout_sigma_b,)
        self.fans_in = (d_in,) + (width,) * depth
        self._draw((width,) * depth + (d_out,), seed, dtype, device)
        if centred:
            for layer in range(depth + 1):
                self.register_buffer(
                    f"initial_weight_{layer}", self.weights[layer].detach().clone()
                )
                self.register_buffer(f"initial_bias_{layer}", self.biases[layer].detach().clone())

    @property
    def depth(self) -> int:
        """The number of hidden layers."""
        return len(self.weights) - 1

    @property
    def d_in(self) -> int:
        """Inputs per sample."""
        return self.fans_in[0]

    @property
    def d_out(self) -> int:
        """Outputs per sample."""
        return len(self.weights[-1])

    @property
    def width(self) -> int:
        """Units per hidden layer."""
        return self.fans_in[-1]

    @property
    def num_parameters(self) -> int:
        """Trainable numbers, the frozen initial values not counted."""
        return sum(parameter.numel() for parameter in self.parameters())

    def forward(self, x_nd: Tensor) -> Tensor:
        """The outputs (n, o), or (o,) for one sample (d,); f − f₀ when centred."""
        if x_nd.shape[-1:] != (self.d_in,):
            raise ShapeError(
                "x",
                tuple(x_nd.shape),
                expected=f"a last axis of {self.d_in}",
                remedy="build the network with d_in equal to the number of input columns",
            )
        outputs_no = self._outputs(x_nd, list(self.weights), list(self.biases))
        if not self.centred:
            return outputs_no
        layers = range(self.depth + 1)
        initial_weights = [self.get_buffer(f"initial_weight_{layer}") for layer in layers]
        initial_biases = [self.get_buffer(f"initial_bias_{layer}") for layer in layers]
        return outputs_no - self._outputs(x_nd, initial_weights, initial_biases)

    def layer_scales(self, layer: int) -> tuple[float, float]:
        """The factors on the weights and on the bias of a layer in the forward pass."""
        if self.parametrisation == "standard":
            return 1.0, 1.0
        return self.sigmas_w[layer] / math.sqrt(self.fans_in[layer]), self.sigmas_b[layer]

    def preactivation(
        self, layer: int, inputs_nd: Tensor, weight_wd: Tensor, bias_w: Tensor
    ) -> Tensor:
        """One affine map with the parametrisation's factors: (n, fan in) to (n, fan out)."""
        scale_w, scale_b = self.layer_scales(layer)
        # The factor goes onto the smaller operand.
        if inputs_nd.numel() <= weight_wd.numel():
            outputs_nw = (inputs_nd * scale_w) @ weight_wd.T
        else:
            outputs_nw = inputs_nd @ (weight_wd * scale_w).T
        return outputs_nw + scale_b * bias_w if self.sigmas_b[layer] != 0 else outputs_nw

    def extra_repr(self) -> str:
        """The shape in one line, for `print(net)`."""
        return (
            f"d_in={self.d_in}, d_out={self.d_out}, width={self.width}, depth={self.depth}, "
            f"parametrisation={self.parametrisation!r}, centred={self.centred}"
        )

    def _draw(
        self,
        fans_out: tuple[int, ...],
        seed: int,
        dtype: torch.dtype | None,
        device: torch.device | str | None,
    ) -> None:
        """Make the parameters, by the seed alone."""
        generator = torch.Generator().manual_seed(seed)
        weights, biases = [], []
        for layer, (fan_in, fan_out) in enumerate(zip(self.fans_in, fans_out, strict=True)):
            spread_w, spread_b = self._initial_spreads(layer)
            # Drawn in float32 on the CPU, so that a seed means one network whatever the precision.
            weight = torch.randn(fan_out, fan_in, generator=generator, dtype=torch.float32)
            bias = torch.randn(fan_out, generator=generator, dtype=torch.float32)
            weights.append((spread_w * weight).to(device=device, dtype=dtype))
            # A layer without bias keeps an empty parameter, so that indices stay the layers'.
            has_bias = self.sigmas_b[layer] != 0
            bias = spread_b * bias if has_bias else torch.empty(0)
            biases.append(bias.to(device=device, dtype=dtype))
        self.weights = nn.ParameterList(nn.Parameter(weight) for weight in weights)
        self.biases = nn.ParameterList(nn.Parameter(bias) for bias in biases)

    def _initial_spreads(self, layer: int) -> tuple[float, float]:
        if self.parametrisation == "ntk":
            return 1.0, 1.0
        return self.sigmas_w[layer] / math.sqrt(self.fans_in[layer]), self.sigmas_b[layer]

    def _outputs(self, x_nd: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
        z_nw = self.preactivation(0, x_nd, weights[0], biases[0])
        for layer in range(1, self.depth + 1):
            if self.layer_norm:
                normal_nw = z_nw / z_nw.square().mean(-1, keepdim=True).sqrt()
            else:
                normal_nw = z_nw
            next_nw = self.preactivation(
                layer, self.activation(normal_nw), weights[layer], biases[layer]
            )
            is_hidden = layer < self.depth
            z_nw = z_nw + next_nw if self.residual and is_hidden else next_nw
        return z_nw  # (n, o) by now


def _check_options(
    counts: Mapping[str, object],
    scales: Mapping[str, object],
    parametrisation: object,
    seed: object,
) -> None:
    for name, count in counts.items():
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise InvalidValueError(
                name, count, expected="a whole number of at least 1", remedy=f"pass {name} >= 1"
            )
    for name, scale in scales.items():
        if not isinstance(scale, (int, float)) or not 0 <= scale < math.inf:
            raise InvalidValueError(
                name,
                scale,
                expected="a finite number of at least 0",
                remedy="pass the standard deviation, not the variance",
            )
    if parametrisation not in ("ntk", "standard"):
        raise InvalidValueError(
            "parametrisation",
            parametrisation,
            expected="'ntk' or 'standard'",
            remedy="pass one of them",
        )
    if not isinstance(seed, int):
        raise InvalidValueError("seed", seed, expected="a whole number", remedy="pass e.g. seed=0")
