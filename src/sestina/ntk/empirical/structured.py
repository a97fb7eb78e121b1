"""The tangent kernel of a stack of affine layers, layer by layer, without any Jacobian.

With a the inputs of layer l, z = s_w W a + s_b b its outputs and β_o = ∂f_o/∂z,

    Θ_op(x, x') = Σ_l (s_w² a(x)·a(x') + s_b²) (β_o(x)·β_p(x')),

(Novak, Sohl-Dickstein & Schoenholz, 2022, "structured derivatives"). Two layers need no β: for the
readout β_o = e_o, so that it adds to o = p only; for the one before it β_o = s V_o ∘ φ'(z), so that
β_o(x)·β_p(x') = Σ_i (s² V_oi V_pi) φ'_i(x) φ'_i(x') is symmetric in o and p, half the products.

Cost for n samples, o outputs, width w and L > 1 hidden layers, symmetric (twice without the last
term if not): n² w o(o+1)/2 + (L−1) n² o² w multiply-adds for the products, (L−1) n o w² for the β.
The result is written once, from tiles that lie in a core's cache. Beside it stand (L−1) n o w
numbers for the β, and o(o+1)/2 numbers for each pair of a sample of one tile and any sample.

Axes: n, m samples; o, p outputs; g pairs o ≤ p; w unit of a layer; k input of a layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sestina.core.errors import NonFiniteError
from sestina.core.progress import Progress, silent, tracked
from sestina.ntk.empirical.layers import AffineLayer, AffineStack
from sestina.ntk.empirical.layout import Axes, Storage, spans
from sestina.tensors.products import product

__all__ = ["structured_kernel", "structured_squares"]

# Rows of a tile. 320 x 320 float32 are 0.4 MB, which stay in a core's L2 (1 MB where measured), and
# products of that size run at full speed: 214 GFLOP/s at 160, 320 and 640 rows.
_TILE_ROWS = 320
_PAIR_ROWS = 2048  # rows (pair, sample) of one product of the last hidden layer


@dataclass(frozen=True, slots=True)
class _Signals:
    """What one set of samples sends through the stack."""

    inputs: tuple[Tensor, ...]
    """a per layer, (n, k)."""
    slopes: tuple[Tensor, ...]
    """φ'(z) per hidden layer, (n, w)."""


def structured_kernel(
    stack: AffineStack,
    x1: Tensor,
    x2: Tensor | None,
    *,
    axes: Axes = "full",
    progress: Progress = silent,
) -> Tensor:
    """The tangent kernel of a stack; arguments and result as of `empirical_ntk`.

    Raises:
        NonFiniteError: if the kernel overflows.
    """
    with torch.no_grad():
        tiles = _Tiles(stack, x1, x2, axes)
        for rows in tracked(tiles.row_spans, progress, "tangent kernel"):
            tiles.fill(rows)
        if not bool(torch.isfinite(tiles.checksum)):
            raise NonFiniteError(
                "tangent kernel",
                "infinite or NaN",
                expected=f"finite numbers; a parameter is not, or is too large for {x1.dtype}",
                remedy="look for NaN in the parameters, or compute in float64 (module.double())",
            )
    return tiles.storage.result()


def structured_squares(stack: AffineStack, x: Tensor) -> Tensor:
    """The diagonal of the tangent kernel, Θ_oo(x, x), as (n, o)."""
    with torch.no_grad():
        back = _Backward(stack)
        signals = _signals(stack, x)
        squares_no = torch.zeros(len(x), stack.num_outputs, dtype=x.dtype, device=x.device)
        for rows in spans(len(x), _TILE_ROWS):
            betas = back.betas(signals, rows)
            for index, layer in enumerate(stack.layers):
                gram_n = _affine_gram(layer, signals.inputs[index][rows].square().sum(dim=1))
                beta = betas.get(index)
                if layer.trains and beta is not None:
                    squares_no[rows] += gram_n[:, None] * beta.square().sum(dim=2).T
                elif layer.trains:
                    squares_no[rows] += gram_n[:, None]
    return squares_no


def _signals(stack: AffineStack, x: Tensor) -> _Signals:
    a = stack.prepare.value(x.flatten(1) if stack.flatten else x)
    inputs, slopes = [a], []
    for layer, activation in zip(stack.layers, stack.activations, strict=False):
        a, slope = activation.value_and_slope(_affine(layer, a))
        inputs.append(a)
        slopes.append(slope)
    return _Signals(tuple(inputs), tuple(slopes))


def _affine(layer: AffineLayer, a_nk: Tensor) -> Tensor:
    z_nw = product(a_nk, layer.weight).mul_(layer.scale_w)
    return z_nw if layer.bias is None else z_nw.add_(layer.bias, alpha=layer.scale_b)


def _affine_gram(layer: AffineLayer, inner: Tensor) -> Tensor:
    """s_w² a·a' + s_b² in place of a·a', of those of W and b that are trained."""
    inner.mul_(layer.scale_w**2 if layer.trains_weight else 0.0)
    return inner.add_(layer.scale_b**2 if layer.trains_bias else 0.0)


class _Backward:
    """From the outputs back to the β of every hidden layer that is, or precedes, a trained one."""

    def __init__(self, stack: AffineStack) -> None:
        self.num_hidden = len(stack.layers) - 1
        trained = [index for index, layer in enumerate(stack.layers) if layer.trains]
        self.lowest = min(trained)
        readout = stack.layers[-1]
        self.readout_ow = readout.weight * readout.scale_w
        # Transposed once: products want the inner axis last.
        self.weights_kw = {
            index: (stack.layers[index + 1].weight.T * stack.layers[index + 1].scale_w).contiguous()
            for index in range(self.lowest, self.num_hidden - 1)
        }

    def betas(self, signals: _Signals, rows: slice) -> dict[int, Tensor]:
        """β by hidden layer, (o, n, w), for some of the samples."""
        betas: dict[int, Tensor] = {}
        for index in range(self.num_hidden - 1, self.lowest - 1, -1):
            slope_nw = signals.slopes[index][rows]
            if index == self.num_hidden - 1:
                betas[index] = self.readout_ow[:, None, :] * slope_nw
            else:
                above = betas[index + 1]
                back = product(above.flatten(0, 1), self.weights_kw[index])
                betas[index] = back.unflatten(0, above.shape[:2]).mul_(slope_nw)
        return betas


class _Tiles:
    """The tiles of one kernel: rows of samples against all columns, or all from the diagonal on."""

    def __init__(self, stack: AffineStack, x1: Tensor, x2: Tensor | None, axes: Axes) -> None:
        self.layers = stack.layers
        self.axes = axes
        self.symmetric = x2 is None
        self.left = _signals(stack, x1)
        self.right = self.left if x2 is None else _signals(stack, x2)
        n, m, o = len(x1), len(x1 if x2 is None else x2), stack.num_outputs
        self.storage = Storage(n, m, o, axes, like=self.left.inputs[0], zeros=False)
        size = max(1, _TILE_ROWS // o) if axes == "full" else _TILE_ROWS
        self.row_spans = spans(n, size)
        self.column_spans = spans(m, size)
        self.backward = _Backward(stack)
        self.right_betas = [self._betas(self.right, columns) for columns in self.column_spans]
        self.checksum = self.storage.tensor.new_zeros(())
        # Pairs o ≤ p, and where the pair (o, p) or (p, o) stands among them.
        first_g, second_g = torch.triu_indices(o, o, device=x1.device)
        self.pairs_op = torch.empty(o, o, dtype=torch.long, device=x1.device)
        self.pairs_op[first_g, second_g] = torch.arange(len(first_g), device=x1.device)
        self.pairs_op[second_g, first_g] = self.pairs_op[first_g, second_g]
        self.first_g, self.second_g = first_g, second_g

    def fill(self, rows: slice) -> None:
        """Computes every tile of these rows, and their mirror images."""
        skipped = self.row_spans.index(rows) if self.symmetric else 0
        start = rows.start if self.symmetric else 0
        betas = self.right_betas[skipped] if self.symmetric else self._betas(self.left, rows)
        grams = {
            index: _affine_gram(
                layer, product(self.left.inputs[index][rows], self.right.inputs[index][start:])
            )  # (n, m - start)
            for index, layer in enumerate(self.layers)
            if layer.trains
        }
        pairs_gnm = self._last_hidden(rows, start, grams)
        for columns, right in zip(
            self.column_spans[skipped:], self.right_betas[skipped:], strict=True
        ):
            local = slice(columns.start - start, columns.stop - start)
            local_grams = {index: gram[:, local] for index, gram in grams.items()}
            if self.axes == "full":
                tile = self._full_tile(betas, right, local_grams, pairs_gnm[:, :, local])
            else:
                tile = self._summed_tile(betas, right, local_grams)
            if self.symmetric and columns == rows:  # the two halves differ by rounding
                twin = tile.permute(1, 0, 3, 2) if self.axes == "full" else tile.mT
                tile = (tile + twin) / 2
            self.checksum += tile.sum()
            self._write(tile, rows, columns)

    def _betas(self, signals: _Signals, rows: slice) -> dict[int, Tensor]:
        """β by trained hidden layer, laid out for the products of these axes."""
        betas = self.backward.betas(signals, rows)
        last = len(self.layers) - 2
        if self.axes == "trace" and last in betas:
            # Σ_o β_o(x)·β_o(x') = Σ_i (Σ_o s² V_oi²) φ'_i(x) φ'_i(x'): one row instead of o.
            norms_w = self.backward.readout_ow.norm(dim=0)
            betas[last] = (norms_w * signals.slopes[last][rows])[None]
        if self.axes == "full":
            betas.pop(last, None)
        betas = {index: beta for index, beta in betas.items() if self.layers[index].trains}
        if self.axes == "trace":  # one long row per sample: its products sum over o
            num_outputs = self.storage.num_outputs
            betas = {
                index: beta.transpose(0, 1).flatten(1)[None] / math.sqrt(num_outputs)
                for index, beta in betas.items()
            }
        return betas

    def _last_hidden(self, rows: slice, start: int, grams: dict[int, Tensor]) -> Tensor:
        """The last hidden layer's term for every pair of outputs, (g, n, m - start)."""
        last = len(self.layers) - 2
        n, m = rows.stop - rows.start, len(self.right.inputs[0]) - start
        like = self.storage.tensor
        if self.axes != "full":
            return like.new_empty(0, n, m)
        if last not in grams or last < 0:
            return like.new_zeros(len(self.first_g), n, m)
        terms_gnm = like.new_empty(len(self.first_g), n, m)
        left_nw, right_mw = self.left.slopes[last][rows], self.right.slopes[last][start:]
        weight_ow = self.backward.readout_ow
        for chunk in spans(len(self.first_g), max(1, _PAIR_ROWS // n)):
            weight_gw = weight_ow[self.first_g[chunk]] * weight_ow[self.second_g[chunk]]
            scaled = (weight_gw[:, None, :] * left_nw).flatten(0, 1)  # (g⋅n, w)
            terms = product(scaled, right_mw).unflatten(0, (-1, n))  # (g, n, m)
            torch.mul(terms, grams[last], out=terms_gnm[chunk])
        return terms_gnm

    def _full_tile(
        self,
        left: dict[int, Tensor],
        right: dict[int, Tensor],
        grams: dict[int, Tensor],
        pairs_gnm: Tensor,
    ) -> Tensor:
        """(o, p, n, m)."""
        o = self.storage.num_outputs
        tile: Tensor = pairs_gnm.index_select(0, self.pairs_op.flatten()).view(
            o, o, *pairs_gnm.shape[1:]
        )
        for index, beta in left.items():
            inner = product(beta.flatten(0, 1), right[index].flatten(0, 1))  # (o⋅n, p⋅m)
            inner = inner.view(o, beta.shape[1], o, -1).transpose(1, 2)  # (o, p, n, m)
            tile.addcmul_(inner, grams[index])
        readout = grams.get(len(self.layers) - 1)
        if readout is not None:
            tile.diagonal().add_(readout[..., None])
        return tile

    def _summed_tile(
        self, left: dict[int, Tensor], right: dict[int, Tensor], grams: dict[int, Tensor]
    ) -> Tensor:
        """(o, n, m) of the diagonal, or (1, n, m) of the trace."""
        num_planes = self.storage.num_outputs if self.axes == "diagonal" else 1
        n, m = next(iter(grams.values())).shape
        tile = self.storage.tensor.new_zeros(num_planes, n, m)
        for index, beta in left.items():
            for plane, left_nw, right_mw in zip(tile, beta, right[index], strict=True):
                plane.addcmul_(product(left_nw, right_mw), grams[index])
        readout = grams.get(len(self.layers) - 1)
        if readout is not None:
            tile.add_(readout)
        return tile

    def _write(self, tile: Tensor, rows: slice, columns: slice) -> None:
        target = self.storage.tensor
        mirrored = self.symmetric and columns.start > rows.start
        if self.axes == "full":
            target[rows, :, columns] = tile.permute(2, 0, 3, 1)
            if mirrored:
                target[columns, :, rows] = tile.permute(3, 1, 2, 0)
            return
        tile = tile if self.axes == "diagonal" else tile[0]
        target[..., rows, columns] = tile
        if mirrored:
            target[..., columns, rows] = tile.mT
