"""A kernel from data: choose Σ aₖcᵏ, aₖ ≥ 0, for a task, then emit the network that has it.

Every kernel of a fully connected network is such a series on the sphere, and every such series is
the kernel of a network with one hidden layer. So instead of searching over architectures one may
choose the series. It is sought as a mixture Σ wⱼ Kⱼ, wⱼ ≥ 0, of a dictionary that spans the
achievable kernels widely: powers of c, deep ReLU networks, exponentials of increasing sharpness.
The weights and the ridge minimise the leave-one-out error, or maximise the marginal likelihood
(`mixtures.py`); the dictionary is the regularisation, since no member of it is wild.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from sestina.core.errors import InvalidValueError, ShapeError
from sestina.core.progress import Progress, silent
from sestina.core.text import table
from sestina.ntk.arrays import check_not_negative, float64
from sestina.ntk.datasets import Task
from sestina.ntk.designs.inputs import DataInputs, RadialNetwork
from sestina.ntk.designs.inverse import Design, design
from sestina.ntk.designs.options import check_count
from sestina.ntk.fitting.choices import Choice, Gram, Inputs, Search
from sestina.ntk.fitting.mixtures import Criterion, Floats, quality
from sestina.ntk.kernels.directions import Form
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.kernels.targets import parse_target
from sestina.ntk.pairs import Kind
from sestina.ntk.predictions.estimators import KernelClassifier, KernelRegressor
from sestina.ntk.standardisation import Standardisation

__all__ = ["FitOptions", "FittedKernel", "Score", "dictionary", "fit_kernel"]

_log = logging.getLogger(__name__)

_RELU = "relu:depth={},sigma_w=sqrt(2),sigma_b=0.1"
_REFERENCE_DEPTHS = (1, 2, 4)
_DICTIONARY_DEPTHS = (1, 2, 4, 8, 16)
_POWERS = (0, 1, 2, 3, 4)
_SHARPNESSES = (2, 4, 8, 16, 32, 64)
_FEWEST_ROWS = 8
_LARGEST_INPUT = 1e100


def dictionary() -> dict[str, DotProductKernel]:
    """The default dictionary: kernels by name, each with K(1) = 1.

    Powers c⁰ to c⁴; tangent kernels of ReLU networks of depth 1, 2, 4, 8 and 16; exp(s(c − 1)) for
    s from 2 to 64, which on the sphere is the Gaussian kernel of width √(d/s).

    Example:
        >>> sorted(dictionary())[:3]
        ['c^0', 'c^1', 'c^2']
    """
    kernels = {
        f"c^{power}": DotProductKernel.from_coefficients([0.0] * power + [1.0]) for power in _POWERS
    }
    for depth in _DICTIONARY_DEPTHS:
        kernels[f"relu depth {depth}"] = _of_unit_size(parse_target(_RELU.format(depth)))
    for sharpness in _SHARPNESSES:
        # The NNGP of exp(√s z) is exp(s (1 + c)).
        target = f"exp:a={math.exp(-sharpness)!r},b={math.sqrt(sharpness)!r}"
        kernels[f"exp({sharpness}(c-1))"] = parse_target(target, "nngp")
    return kernels


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions:
    """How a kernel is chosen."""

    criterion: Criterion = "leave-one-out"
    """What is best: the least "leave-one-out" error or the greatest "marginal-likelihood"."""
    form: Literal["radial", "normalise", "strict"] | None = None
    """What the kernel makes of the inputs' norms; see `DotProductKernel.matrix`. None: "radial" or
    "normalise", whichever suits the best of the ReLU kernels better."""
    bias: float | None = None
    """A constant input of bias·√d. None: 0 or 1, likewise."""
    folds: int = 0
    """Repeat the whole choice so many times, each without one part of the rows, and score it there:
    an honest error, at that many times the cost. 0 does not."""
    max_rows: int = 1500
    """Of more rows so many are drawn; at least 8."""
    seed: int = 0
    """Of the draw and the folds."""

    def __post_init__(self) -> None:
        _check_choice("criterion", self.criterion, get_args(Criterion))
        if self.form is not None:
            _check_choice("form", self.form, get_args(Form))
        if self.bias is not None:
            check_not_negative("bias", self.bias)
        check_count("seed", self.seed, 0, (1 << 63) - 1)
        if self.folds != 0 and self.folds < 2:
            raise InvalidValueError(
                "folds", self.folds, expected="0, or at least 2", remedy="pass e.g. 5"
            )
        if self.max_rows < _FEWEST_ROWS:
            raise InvalidValueError(
                "max_rows",
                self.max_rows,
                expected=f"at least {_FEWEST_ROWS}",
                remedy="pass some hundreds",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How one kernel does on the data, with the ridge that suits it best."""

    name: str
    ridge: float
    """Over the mean diagonal of the kernel matrix."""
    leave_one_out_mse: float
    """Mean squared error with each row left out, over that of predicting the mean."""
    leave_one_out_error: float | None
    """Share of rows misclassified when left out; None for regression."""
    log_likelihood: float
    """Logarithm of the marginal likelihood, per target."""
    validation_mse: float | None = None
    """Of the folds, everything chosen without them; None if none were asked for."""
    validation_error: float | None = None
    """Share misclassified in the folds; None for regression, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedKernel:
    """A kernel chosen for a data set.

    Made by `fit_kernel`.
    """

    kernel: DotProductKernel
    """Σ wⱼ Kⱼ with K(1) = 1; every aₖ ≥ 0."""
    ridge: float
    """In units of the kernel matrix."""
    weights: Mapping[str, float]
    """By dictionary name, those above 1e-4, largest first; they add up to 1."""
    options: FitOptions
    inputs: Inputs
    """What is done to the inputs' norms, and the constant input's size."""
    task: Task
    num_rows: int
    """Rows that the choice was made on."""
    scores: tuple[Score, ...]
    """The fitted kernel first, then ReLU networks of depth 1, 2 and 4."""
    standardisation: Standardisation
    """What was done to raw features before the fit."""
    output_mean_o: Floats
    """(o,): the mean of the targets; for a classification the labels' frequencies, sorted."""

    def design(self, kind: Kind = "ntk", **options: Any) -> Design:
        """The network with one hidden layer that has this kernel; options as `design` takes.

        The design carries what new data needs, and so does its file: `Design.data_module` makes a
        network that takes raw rows.
        """
        inputs = DataInputs(
            form=self.inputs.form,
            bias=self.inputs.bias,
            standardisation=self.standardisation,
            output_mean_o=self.output_mean_o,
        )
        return replace(design(self.kernel, kind, **options), inputs=inputs)

    def module(
        self, designed: Design, d_in: int, d_out: int, width: int, seed: int = 0
    ) -> nn.Module:
        """A network of a design that treats norms as the kernel was fitted to.

        Args:
            designed: what `design` returned.
            d_in: inputs.
            d_out: outputs.
            width: units of the hidden layer.
            seed: of the initial values.
        """
        form, bias = self.inputs
        net = designed.module(d_in + (bias > 0), d_out, width, seed)
        if form == "strict" and bias == 0:
            return net
        return RadialNetwork(net, scale=form == "radial", bias=bias)

    def estimator(self) -> KernelRegressor | KernelClassifier:
        """The infinitely wide network trained to the end, for scikit-learn; not fitted yet."""
        make = KernelRegressor if self.task == "regression" else KernelClassifier
        form, bias = self.inputs
        return make(self.kernel, form=form, bias=bias, ridge=self.ridge, centre=True)

    def report(self) -> str:
        """The weights and the scores as text."""
        headers = ["kernel", "ridge", "LOO mse", "LOO error", "log p", "CV mse", "CV error"]
        rows = [
            [
                score.name,
                score.ridge,
                score.leave_one_out_mse,
                score.leave_one_out_error,
                score.log_likelihood,
                score.validation_mse,
                score.validation_error,
            ]
            for score in self.scores
        ]
        used = [i for i in range(len(headers)) if i < 2 or any(row[i] is not None for row in rows)]
        scores = table([[row[i] for i in used] for row in rows], [headers[i] for i in used])
        weights = table(list(self.weights.items()), ["member", "weight"])
        return f"{scores}\n\n{weights}"


def fit_kernel(
    X: Any,
    y: Any,
    options: FitOptions | None = None,
    *,
    task: Task | None = None,
    kernels: Mapping[str, DotProductKernel] | None = None,
    standardisation: Standardisation | None = None,
    progress: Progress = silent,
) -> FittedKernel:
    """The achievable dot-product kernel that suits a task best, and its ridge.

    Cost: some 60 inversions of an n × n matrix; half a minute on one core for 1,500 rows.

    Args:
        X: (n, d); features of comparable scale, e.g. `Table.standardised`.
        y: (n,) or (n, o): numbers, or for a classification labels (n,).
        options: see `FitOptions`.
        task: default is regression for floating-point targets, classification for others.
        kernels: the dictionary, by name; default `dictionary()`.
        standardisation: what made X of raw rows, e.g. `Table.standardisation`; kept, so that the
            design's network takes raw rows. None: X is raw.
        progress: told of the steps.

    Raises:
        ShapeError, DtypeError, NonFiniteError: if X or y cannot be used.
        InvalidValueError: if the targets are constant, or the rows are.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> X = rng.normal(size=(60, 3))
        >>> fitted = fit_kernel(X, X[:, 0] * X[:, 1] / np.linalg.norm(X, axis=1))
        >>> next(iter(fitted.weights)), fitted.inputs.form  # norm times a square of directions
        ('c^2', 'radial')
        >>> fitted.scores[0].leave_one_out_mse < 0.5 * fitted.scores[1].leave_one_out_mse
        True
    """
    options = options or FitOptions()
    rows_nd, outputs_no, task = _checked(X, y, task)
    standardisation = _checked_standardisation(standardisation, rows_nd.shape[1])
    output_mean_o = _mean(outputs_no)
    if options.folds > len(rows_nd) // 2:
        raise InvalidValueError(
            "folds", options.folds, expected=f"at most {len(rows_nd) // 2}", remedy="pass e.g. 5"
        )
    generator = np.random.default_rng(options.seed)
    rows_nd, outputs_no = _sampled(rows_nd, outputs_no, options.max_rows, generator)
    search = Search(
        rows_nd=rows_nd,
        outputs_no=outputs_no,
        task=task,
        members=_members(kernels),
        references=_references(),
        candidates=_candidates(options),
        criterion=options.criterion,
        seed=options.seed,
    )
    return _fitted(search, options, generator, standardisation, output_mean_o, progress)


def _fitted(
    search: Search,
    options: FitOptions,
    generator: np.random.Generator,
    standardisation: Standardisation,
    output_mean_o: Floats,
    progress: Progress,
) -> FittedKernel:
    """The best choice of a search, with all scores."""
    everything = np.arange(len(search.rows_nd))
    gram = search.gram(search.best_inputs(everything))
    choices = search.choose(gram, everything, progress)
    folds = _folds(len(everything), options.folds, generator)
    validated = search.validate(gram, folds, progress)
    scores = tuple(_score(gram, choice, validated.get(choice.name)) for choice in choices)
    parts = (gram.kernels[name] * weight for name, weight in choices[0].kept.items())
    return FittedKernel(
        kernel=reduce(DotProductKernel.__add__, parts),
        ridge=choices[0].ridge * gram.scale,
        weights=choices[0].kept,
        options=options,
        inputs=gram.inputs,
        task=search.task,
        num_rows=len(everything),
        scores=scores,
        standardisation=standardisation,
        output_mean_o=output_mean_o,
    )


def _checked_standardisation(given: Standardisation | None, num_features: int) -> Standardisation:
    """What was given, or nothing to be done."""
    if given is None:
        return Standardisation(mean_d=np.zeros(num_features), scale_d=np.ones(num_features))
    if given.mean_d.size != num_features:
        raise ShapeError(
            "standardisation",
            (given.mean_d.size,),
            expected=f"({num_features},), one mean and scale per column of X",
            remedy="pass the one that X was made with",
        )
    return given


def _mean(outputs_no: Floats) -> Floats:
    """The mean of each output; a sum of numbers near 1e308 would overflow."""
    mean: Floats = (outputs_no / len(outputs_no)).sum(0)
    return mean


def _sampled(
    rows_nd: Tensor,
    outputs_no: NDArray[np.float64],
    max_rows: int,
    generator: np.random.Generator,
) -> tuple[Tensor, NDArray[np.float64]]:
    if len(rows_nd) > max_rows:
        chosen = np.sort(generator.choice(len(rows_nd), max_rows, replace=False))
        _log.info("the kernel is chosen on %d of %d rows", max_rows, len(rows_nd))
        rows_nd, outputs_no = rows_nd[chosen], outputs_no[chosen]
    if (outputs_no == outputs_no[0]).all(0).any():
        raise InvalidValueError(
            "y",
            f"{outputs_no[0].tolist()} in every row",
            expected="at least two values",
            remedy="choose another target",
        )
    return rows_nd, outputs_no


def _members(kernels: Mapping[str, DotProductKernel] | None) -> dict[str, DotProductKernel]:
    if kernels is None:
        return dictionary()
    for name in kernels:
        if name in _references():
            raise InvalidValueError(
                "kernels",
                name,
                expected=f"other names than {', '.join(_references())}, which scores use",
                remedy="rename it",
            )
    return {name: _of_unit_size(kernel) for name, kernel in kernels.items()}


def _references() -> dict[str, DotProductKernel]:
    return {
        f"relu depth {depth}": _of_unit_size(parse_target(_RELU.format(depth)))
        for depth in _REFERENCE_DEPTHS
    }


def _candidates(options: FitOptions) -> list[Inputs]:
    forms: Sequence[Form] = ("radial", "normalise") if options.form is None else (options.form,)
    biases = (0.0, 1.0) if options.bias is None else (options.bias,)
    return [Inputs(form, bias) for form in forms for bias in biases]


def _check_choice(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise InvalidValueError(
            name, value, expected=f"one of {', '.join(known)}", remedy="pass one of them"
        )


def _of_unit_size(kernel: DotProductKernel) -> DotProductKernel:
    if kernel.total <= 0:
        raise InvalidValueError(
            "kernel", kernel, expected="K(1) above 0", remedy="leave it out of the dictionary"
        )
    return kernel if kernel.total == 1.0 else kernel * (1.0 / kernel.total)


def _checked(X: Any, y: Any, task: Task | None) -> tuple[Tensor, Floats, Task]:
    """Rows, outputs (n, o), and the task."""
    rows_nd = float64("X", X)[0].cpu()
    labels = np.asarray(y.cpu() if isinstance(y, Tensor) else y)
    if rows_nd.ndim != 2 or len(rows_nd) < _FEWEST_ROWS or rows_nd.shape[1] == 0:
        raise ShapeError(
            "X",
            tuple(rows_nd.shape),
            expected=f"(n, d) with at least {_FEWEST_ROWS} rows",
            remedy="pass one row per sample",
        )
    _check_sizes(rows_nd)
    if labels.ndim not in (1, 2) or len(labels) != len(rows_nd) or labels.size == 0:
        raise ShapeError(
            "y", labels.shape, expected=f"({len(rows_nd)},)", remedy="pass one target per row of X"
        )
    if task is not None:
        _check_choice("task", task, get_args(Task))
    else:
        task = "regression" if labels.dtype.kind == "f" else "classification"
    if task == "regression":
        return rows_nd, float64("y", labels)[0].reshape(len(labels), -1).numpy(), task
    if labels.ndim != 1:
        raise InvalidValueError(
            "task",
            task,
            expected="'regression', or 'classification' with labels (n,)",
            remedy="pass labels, not one-hot rows",
        )
    classes, codes = np.unique(labels, return_inverse=True)
    return rows_nd, np.eye(len(classes))[codes], task


def _check_sizes(rows_nd: Tensor) -> None:
    """Refuses rows whose squares over- or underflow: they have no norm."""
    largest = float(rows_nd.abs().max())
    if not (largest == 0 or 1 / _LARGEST_INPUT <= largest <= _LARGEST_INPUT):
        raise InvalidValueError(
            "X",
            f"of up to {largest:.3g}",
            expected=f"magnitudes from {1 / _LARGEST_INPUT:g} to {_LARGEST_INPUT:g}",
            remedy="standardise the features, e.g. by Standardisation.of(X)(X)",
        )


def _score(gram: Gram, choice: Choice, validated: tuple[float, float | None] | None) -> Score:
    everything = np.arange(len(gram.outputs_no))
    found = quality(gram.mixture(choice, everything), gram.outputs_no, choice.ridge)
    mse, error = gram.losses(found.leave_one_out, everything)
    return Score(
        name=choice.name,
        ridge=choice.ridge,
        leave_one_out_mse=mse,
        leave_one_out_error=error,
        log_likelihood=found.log_likelihood,
        validation_mse=validated[0] if validated else None,
        validation_error=validated[1] if validated else None,
    )


def _folds(num_rows: int, folds: int, generator: np.random.Generator) -> list[NDArray[np.int64]]:
    return np.array_split(generator.permutation(num_rows), folds) if folds else []
