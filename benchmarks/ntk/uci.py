"""The six UCI sets of the shared data, in the format and folds of Fernández-Delgado et al. (2014).

Features come standardised. `conxuntos_kfold.dat` holds the rows of four folds: train, test, train,
test, … (a quarter to test; the four quarters overlap). `conxuntos.dat` holds one split in halves.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.workers import ROOT

__all__ = ["FOLDER", "NAMES", "UciSet", "load_uci", "on_sphere"]

FOLDER = ROOT.parent / "shared" / "data" / "ntk" / "uci"
NAMES = (
    "balance-scale",
    "breast-cancer-wisc-diag",
    "iris",
    "seeds",
    "wine",
    "wine-quality-red",
)

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class UciSet:
    """One data set."""

    name: str
    features: NDArray[np.float64]
    """(n, d), standardised."""
    labels: Rows
    """(n,), from 0."""
    halves: tuple[Rows, Rows]
    """Rows to train and rows to test on."""
    folds: tuple[tuple[Rows, Rows], ...]
    """The same, four times."""

    @property
    def one_hot(self) -> NDArray[np.float64]:
        """(n, classes)."""
        return np.eye(int(self.labels.max()) + 1)[self.labels]


def load_uci(name: str, folder: Path = FOLDER) -> UciSet:
    """The set of that name."""
    table = np.loadtxt(folder / name / f"{name}_R.dat", skiprows=1)
    halves = _rows(folder / name / "conxuntos.dat")
    folds = _rows(folder / name / "conxuntos_kfold.dat")
    return UciSet(
        name=name,
        features=table[:, 1:-1],
        labels=table[:, -1].astype(np.int64),
        halves=(halves[0], halves[1]),
        folds=tuple(zip(folds[::2], folds[1::2], strict=True)),
    )


def on_sphere(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows scaled to norm √d; a row of zeros, which has no direction, becomes all ones."""
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    rows = np.where(norms > 0, features, 1.0)
    scaled: NDArray[np.float64] = rows / np.where(norms > 0, norms, 1.0)
    return scaled * np.where(norms > 0, np.sqrt(features.shape[1]), 1.0)


def _rows(path: Path) -> list[Rows]:
    lines = path.read_text().splitlines()
    return [np.array(line.split(), dtype=np.int64) for line in lines if line.strip()]
