"""Kernel matrices of a dictionary on one data set, and the choices made among them.

Axes: n row, d feature, o output, j kernel, p pair of rows i ≥ i'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sestina.core.errors import InvalidValueError
from sestina.core.progress import Progress, silent
from sestina.ntk.datasets import Task
from sestina.ntk.fitting.mixtures import (
    Criterion,
    Floats,
    best_mixture,
    best_ridge,
    lower_triangle,
    quality,
)
from sestina.ntk.kernels.directions import Form
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.matrices.curves import input_matrix

__all__ = ["Choice", "Gram", "Inputs", "Search"]

# Members below this share of K(1) are left out of the kernel that is returned.
_LEAST_WEIGHT = 1e-4
_PILOT_ROWS = 400
"""Rows that decide what is done to the inputs."""


class Inputs(NamedTuple):
    """What is done to inputs before the kernel sees them."""

    form: Form
    """What becomes of their norms."""
    bias: float
    """The constant input is this times √d."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A mixture of a Gram's kernels, with the ridge for it over the mean diagonal."""

    name: str
    weights: Mapping[str, float]
    ridge: float

    @property
    def kept(self) -> dict[str, float]:
        """The weights that count, largest first, adding up to 1."""
        kept = {name: w for name, w in self.weights.items() if w >= _LEAST_WEIGHT}
        total = sum(kept.values())
        return {name: kept[name] / total for name in sorted(kept, key=lambda name: -kept[name])}


class Gram:
    """Kernel matrices on one data set, each divided by their mean diagonal, and its targets."""

    def __init__(
        self,
        rows_nd: Tensor,
        outputs_no: Floats,
        kernels: Mapping[str, DotProductKernel],
        inputs: Inputs,
        task: Task,
    ) -> None:
        self.kernels = kernels
        self.inputs = inputs
        # Targets of 1e200 have squares, and what is asked of them has no unit.
        outputs_no = outputs_no / _sizes(outputs_no, task)
        mean_o = outputs_no.mean(0)
        # Outputs have units of their own; the indicators of classes share theirs.
        variance_o = outputs_no.var(0)
        spread = np.sqrt(variance_o if task == "regression" else variance_o.mean())
        spread = np.where(spread > 0, spread, 1.0)
        self.outputs_no: Floats = (outputs_no - mean_o) / spread
        self._labels_n = outputs_no.argmax(1) if task == "classification" else None
        self._offset_o = mean_o / spread
        constant = DotProductKernel.from_coefficients([1.0])
        form, bias = inputs
        diagonal = input_matrix(constant, rows_nd, form=form, bias=bias).diagonal()
        self.scale = float(diagonal.mean())
        if self.scale == 0.0:
            raise InvalidValueError(
                "X",
                "zero in every row: no feature varies",
                expected="rows that differ",
                remedy="add a feature that varies",
            )
        self._triangles_jp = np.stack(
            [
                lower_triangle(
                    input_matrix(kernel, rows_nd, form=form, bias=bias).numpy() / self.scale
                )
                for kernel in kernels.values()
            ]
        )

    def triangles(self, names: Sequence[str], rows: NDArray[np.int64]) -> Floats:
        """Lower triangles on some rows: (names, pairs of rows)."""
        left, right = np.tril_indices(len(rows))
        chosen = self._triangles_jp[[list(self.kernels).index(name) for name in names]]
        if len(rows) * (len(rows) + 1) // 2 == chosen.shape[1]:
            return chosen
        return chosen[:, _place(rows[left], rows[right])]

    def mixture(self, choice: Choice, rows: NDArray[np.int64]) -> Floats:
        """The lower triangle of a mixture on some rows."""
        weights_j = np.array([choice.weights.get(name, 0.0) for name in self.kernels])
        left, right = np.tril_indices(len(rows))
        mixture: Floats = (weights_j @ self._triangles_jp)[_place(rows[left], rows[right])]
        return mixture

    def predict(self, choice: Choice, train: NDArray[np.int64], test: NDArray[np.int64]) -> Floats:
        """The outputs on the test rows after training on the others."""
        weights_j = np.array([choice.weights.get(name, 0.0) for name in self.kernels])
        mixed_p = weights_j @ self._triangles_jp
        kernel_nn = mixed_p[_place(train[:, None], train[None, :])]
        kernel_nn += choice.ridge * np.eye(len(train))
        mean_o = self.outputs_no[train].mean(0)
        dual_no = np.linalg.solve(kernel_nn, self.outputs_no[train] - mean_o)
        outputs: Floats = mixed_p[_place(test[:, None], train[None, :])] @ dual_no + mean_o
        return outputs

    def losses(self, predicted_no: Floats, rows: NDArray[np.int64]) -> tuple[float, float | None]:
        """Mean squared error over that of predicting the mean, and share misclassified."""
        mse = float(np.square(predicted_no - self.outputs_no[rows]).mean())
        if self._labels_n is None:
            return mse, None
        labels_n = (predicted_no + self._offset_o).argmax(1)
        return mse, float((labels_n != self._labels_n[rows]).mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is chosen from, and how."""

    rows_nd: Tensor
    outputs_no: Floats
    task: Task
    members: Mapping[str, DotProductKernel]
    """What may be mixed."""
    references: Mapping[str, DotProductKernel]
    """What the mixture is compared with; they also decide on the inputs."""
    candidates: Sequence[Inputs]
    criterion: Criterion
    seed: int = 0
    """Of the rows that decide on the inputs."""

    def gram(self, inputs: Inputs) -> Gram:
        """All kernel matrices on inputs treated so."""
        kernels = {**self.references, **self.members}
        return Gram(self.rows_nd, self.outputs_no, kernels, inputs, self.task)

    def best_inputs(self, rows: NDArray[np.int64]) -> Inputs:
        """The inputs on which the best of the references does best, by some of these rows."""
        if len(self.candidates) == 1:
            return self.candidates[0]
        generator = np.random.default_rng(self.seed)
        pilot = rows[np.sort(generator.permutation(len(rows))[:_PILOT_ROWS])]
        some = (self.rows_nd[pilot], self.outputs_no[pilot], self.references)
        values = []
        for inputs in self.candidates:
            gram = Gram(*some, inputs, self.task)
            triangles_jp = gram.triangles(tuple(self.references), np.arange(len(pilot)))
            values.append(min(self._best(each, gram.outputs_no)[1] for each in triangles_jp))
        return self.candidates[int(np.argmin(values))]

    def choose(
        self, gram: Gram, rows: NDArray[np.int64], progress: Progress = silent
    ) -> list[Choice]:
        """The fitted mixture, then the references, each with the best ridge on these rows."""
        targets_no = gram.outputs_no[rows] - gram.outputs_no[rows].mean(0)
        triangles_jp = gram.triangles(tuple(self.members), rows)
        mixture = best_mixture(triangles_jp, targets_no, self.criterion, progress=progress)
        fitted = Choice(
            name="fitted",
            weights=dict(zip(self.members, mixture.weights.tolist(), strict=True)),
            ridge=mixture.ridge,
        )
        found = quality(mixture.weights @ triangles_jp, targets_no, mixture.ridge)
        least = found.value(self.criterion)
        choices = []
        triangles_jp = gram.triangles(tuple(self.references), rows)
        for name, triangle_p in zip(self.references, triangles_jp, strict=True):
            ridge, value = self._best(triangle_p, targets_no)
            choices.append(Choice(name=name, weights={name: 1.0}, ridge=ridge))
            if value < least:  # the search ended in a poorer minimum
                fitted, least = Choice(name="fitted", weights={name: 1.0}, ridge=ridge), value
        return [fitted, *choices]

    def validate(
        self, gram: Gram, folds: Sequence[NDArray[np.int64]], progress: Progress = silent
    ) -> dict[str, tuple[float, float | None]]:
        """Losses on rows that had no part in any choice, by the name of the choice.

        Args:
            gram: made for any of the inputs; not made again for those.
            folds: the rows to leave out, one part after the other.
            progress: told within each fold.
        """
        predictions: dict[str, Floats] = {}
        everything = np.arange(len(self.outputs_no))
        for test in folds:
            train = np.setdiff1d(everything, test)
            inputs = self.best_inputs(train)
            gram = gram if inputs == gram.inputs else self.gram(inputs)
            for choice in self.choose(gram, train, progress):
                predicted = predictions.setdefault(choice.name, np.empty_like(gram.outputs_no))
                predicted[test] = gram.predict(choice, train, test)
        return {name: gram.losses(predicted, everything) for name, predicted in predictions.items()}

    def _best(self, triangle_p: Floats, targets_no: Floats) -> tuple[float, float]:
        """The best ridge for one kernel, and the criterion there."""
        ridge = best_ridge(triangle_p, targets_no, self.criterion)
        return ridge, quality(triangle_p, targets_no, ridge).value(self.criterion)


def _sizes(outputs_no: Floats, task: Task) -> Floats:
    """The largest magnitude of each output; 1 for indicators of classes."""
    largest_o = np.abs(outputs_no).max(0)
    is_scaled = (largest_o > 0) & (task == "regression")
    return np.where(is_scaled, largest_o, 1.0)


def _place(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where a pair of rows stands in a lower triangle."""
    larger, smaller = np.maximum(left, right), np.minimum(left, right)
    place: NDArray[np.int64] = larger * (larger + 1) // 2 + smaller
    return place
