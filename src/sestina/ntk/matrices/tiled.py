"""Kernel matrices of data: fast, tiled, and accurate where inputs nearly coincide.

`matrices.plans` decides how. On the CPU without gradients a C++ kernel fuses the inner products
with the kernel values; everything else is plain PyTorch. A float32 cosine has a rounding error of
1e-7 that kinked activations amplify by 1/sin θ: near c = ±1 it is computed from |x ∓ x'| instead,
in just the zone where the kernel at hand needs it.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sestina.core.engine import Engine
from sestina.core.errors import InvalidValueError
from sestina.core.files import atomic_path
from sestina.core.progress import Progress, silent, tracked
from sestina.ntk.matrices import native_tiles, torch_tiles
from sestina.ntk.matrices.plans import Plan, make_plan
from sestina.ntk.pairs import Kernels, Kind, check_kind
from sestina.tensors.checks import check_finite, check_matching, check_matrix

if TYPE_CHECKING:
    from sestina.ntk.architectures import FullyConnected

__all__ = ["MatrixOptions", "kernel_matrices", "kernel_matrix"]

_LOG = logging.getLogger(__name__)

_SCALES = ("sigma_w", "sigma_b", "readout_sigma_w", "readout_sigma_b")
_BAND_ENTRIES = 1 << 25
"""Entries after which Ctrl-C is noticed and progress told: a quarter of a second."""
_TORCH_TILE = 256
_ITEMS = 32
"""Into how many items the rows are cut for an engine."""


class MatrixOptions(TypedDict, total=False):
    """The options of `kernel_matrices`, for functions that pass them on."""

    num_threads: int | None
    tile: int | None
    out: str | Path | None
    engine: Engine | None
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    num_threads: int | None
    tile: int | None
    out: Path | None
    engine: Engine | None
    progress: Progress

    @property
    def threads(self) -> int:
        """How many threads to use in this process."""
        return torch.get_num_threads() if self.num_threads is None else self.num_threads


def kernel_matrices(
    network: FullyConnected,
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    num_threads: int | None = None,
    tile: int | None = None,
    out: str | Path | None = None,
    engine: Engine | None = None,
    progress: Progress = silent,
) -> Kernels:
    """Both kernels of the rows of x1 with the rows of x2.

    What the C++ kernel computes does not depend on `num_threads`, `tile` or `engine`, to the last
    bit. With gradients wanted (grad mode on, and an input or a parameter of the network requires
    them) results are differentiable, in memory proportional to the depth.

    Args:
        network: its spec is all that is read, but for gradients.
        x1: (n, d), float32 or float64, any device, any strides.
        x2: (m, d), default x1: half of the work, exact diagonals, and exactly symmetric results.
        num_threads: threads of the C++ kernel; default `torch.get_num_threads()`.
        tile: rows (and, in PyTorch, columns) computed at once, and an engine's item; the C++
            kernel rounds it up to a multiple of 144. Default: what is fast.
        out: write to this `.npy` file, (2, n, m) with the NNGP first, and return memory maps of
            it that never write back. It appears when it is complete, or not at all.
        engine: compute bands of rows as its items; the inputs must be on the CPU.
        progress: told how many bands of rows are done.

    Returns:
        Two (n, m) tensors of the inputs' dtype and device. float32 entries are within 2e-6, float64
        entries within about 1e-12 of √(K(x, x) K(x', x')) of the exact kernel of the given inputs.

    Raises:
        DivergentKernelError: if φ jumps, so that the tangent kernel is infinite.
        InvalidValueError: if an option is out of range, values exceed the dtype, or gradients
            are wanted together with `out` or `engine`.
        ShapeError, DtypeError, NonFiniteError: if the inputs are not matching real matrices.
        WorkerError: if an engine's item failed.

    Example:
        >>> from sestina.ntk.architectures import FullyConnected
        >>> network = FullyConnected(activation="relu", depth=4, sigma_w=2**0.5, sigma_b=0.1)
        >>> x = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
        >>> kernel_matrices(network, x).ntk
        tensor([[5.0700, 1.4747],
                [1.4747, 5.0700]])
    """
    options = _checked_options(
        num_threads=num_threads, tile=tile, out=out, engine=engine, progress=progress
    )
    nngp, ntk = _matrices(network, ("nngp", "ntk"), x1, x2, options)
    return Kernels(nngp, ntk)


def kernel_matrix(
    network: FullyConnected,
    kind: Kind,
    x1: Tensor,
    x2: Tensor | None = None,
    **options: Unpack[MatrixOptions],
) -> Tensor:
    """One kernel of the rows of x1 with the rows of x2; see `kernel_matrices`.

    The NNGP exists for activations that jump, too. `out` receives an (n, m) array.

    Example:
        >>> from sestina.ntk.architectures import FullyConnected
        >>> kernel_matrix(FullyConnected(activation="sign"), "nngp", torch.eye(2))
        tensor([[1., 0.],
                [0., 1.]])
    """
    return _matrices(network, (check_kind(kind),), x1, x2, _checked_options(**options))[0]


def _matrices(
    network: FullyConnected,
    kinds: tuple[Kind, ...],
    x1: Tensor,
    x2: Tensor | None,
    options: _Options,
) -> list[Tensor]:
    _check_inputs(x1, x2)
    network = network.at_input_width(x1.shape[1])
    if _wants_gradients(network, x1, x2):
        _check_plain(options)
        for name, rows in (("x1", x1), ("x2", x2)):
            if rows is not None:
                check_finite(name, rows)
        work = torch_tiles.working_dtype(x1.device, x1.dtype)
        network = _with_scales(network, lambda scale: scale.to(work))
        return torch_tiles.differentiable(network, kinds, x1, x2, options.tile or _TORCH_TILE)
    with torch.no_grad():
        _check_engine(options.engine, x1)
        network = _with_scales(network, lambda scale: float(scale.detach()))
        rows2 = None if x2 is None else x2.detach()
        job = _Job.prepare(network, kinds, x1.detach(), rows2, options)
        if options.out is not None:
            return _to_file(job, options.out)
        if options.engine is not None:
            with tempfile.TemporaryDirectory(prefix="sestina-") as folder:
                return [matrix.clone() for matrix in _to_file(job, Path(folder, "kernels.npy"))]
        return job.run()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Job:
    """Inputs that were checked, what is to be done with them, and with what."""

    plan: Plan
    x1: Tensor
    x2: Tensor | None
    packed: tuple[native_tiles.PackedRows, native_tiles.PackedRows | None] | None
    options: _Options

    @classmethod
    def prepare(
        cls,
        network: FullyConnected,
        kinds: tuple[Kind, ...],
        x1: Tensor,
        x2: Tensor | None,
        options: _Options,
    ) -> _Job:
        inputs = [x1] if x2 is None else [x1, x2]
        packed = None
        if x1.device.type == "cpu":
            rows = [native_tiles.pack(matrix, options.threads) for matrix in inputs]
            packed = rows[0], (rows[1] if x2 is not None else None)
            roots = [one.norms / np.sqrt(x1.shape[1]) for one in rows]
            with np.errstate(over="ignore"):
                moments = [root * root for root in roots]
        else:
            roots = moments = [
                torch_tiles.second_moments(
                    matrix.to(torch_tiles.working_dtype(x1.device, x1.dtype))
                )
                .to("cpu", torch.float64)
                .numpy()
                for matrix in inputs
            ]
        for name, matrix, of_rows in zip(("x1", "x2"), inputs, roots, strict=False):
            if not np.isfinite(of_rows).all():
                check_finite(name, matrix)
        plan = make_plan(
            network,
            kinds,
            "float32" if x1.dtype == torch.float32 else "float64",
            moments[0],
            None if x2 is None else moments[1],
            x1.shape[1],
        )
        _LOG.debug("kernel matrices of %s by %s", network, plan.form)
        return cls(
            plan=plan,
            x1=x1,
            x2=x2,
            packed=None if plan.form == "recursion" else packed,
            options=options,
        )

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.x1), len(self.x1 if self.x2 is None else self.x2)

    def run(self) -> list[Tensor]:
        """The matrices in memory."""
        count, device, dtype = len(self.plan.kinds), self.x1.device, self.x1.dtype
        if device.type == "cpu":
            outputs = native_tiles.new_matrices(count, self.shape, dtype, self.options.threads)
        else:
            outputs = [torch.empty(self.shape, dtype=dtype, device=device) for _ in range(count)]
        self.fill(outputs)
        return outputs

    def fill(self, outputs: list[Tensor]) -> None:
        """Write all entries."""
        for band in tracked(self.bands(), self.options.progress, "bands of kernel rows"):
            self.fill_band(outputs, band)
        self.fill_diagonals(outputs)

    def fill_band(self, outputs: list[Tensor], band: tuple[int, int]) -> None:
        """Write the rows of a band, and their mirror image where x2 is x1."""
        if self.packed is None:
            tile = self.options.tile or _TORCH_TILE
            torch_tiles.fill(self.plan, self.x1, self.x2, outputs, band, tile)
        else:
            arrays = [output.numpy() for output in outputs]
            native_tiles.fill(self.plan, *self.packed, arrays, band, self.options.threads)

    def fill_diagonals(self, outputs: list[Tensor]) -> None:
        """Write K(x, x) where x2 is x1."""
        if self.x2 is None:
            for output, diagonal in zip(outputs, self.plan.diagonal, strict=True):
                output.diagonal().copy_(torch.from_numpy(diagonal))

    def bands(self, num_bands: int = 1) -> list[tuple[int, int]]:
        """Ranges of rows that are computed in turn: so many, where there are rows enough."""
        num_rows, num_columns = self.shape
        step = native_tiles.TILE if self.packed is not None else self.options.tile or _TORCH_TILE
        wanted = self.options.tile or min(
            _BAND_ENTRIES // max(1, num_columns), -(-num_rows // num_bands)
        )
        rows = max(1, -(-wanted // step)) * step
        return [(first, min(first + rows, num_rows)) for first in range(0, num_rows, rows)]


def _to_file(job: _Job, path: Path) -> list[Tensor]:
    shape = job.shape if len(job.plan.kinds) == 1 else (len(job.plan.kinds), *job.shape)
    dtype = np.dtype(job.plan.precision)
    with atomic_path(path) as partial:
        if 0 in shape:
            with partial.open("wb") as file:
                np.lib.format.write_array(file, np.empty(shape, dtype))
        else:
            with _mapped(partial, shape, dtype) as outputs:
                if job.options.engine is None:
                    job.fill(outputs)
                else:
                    _fill_by_engine(job, partial, job.options.engine)
                    job.fill_diagonals(outputs)
    # Mapped privately: what the caller does with the tensors never reaches the file.
    array = np.load(path, mmap_mode=None if 0 in shape else "c")
    return _matrices_of(array)


@contextmanager
def _mapped(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[list[Tensor]]:
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    _reserve(path)
    yield _matrices_of(array)
    array.flush()


def _matrices_of(array: NDArray[Any]) -> list[Tensor]:
    tensor = torch.from_numpy(array)
    return [tensor] if tensor.ndim == 2 else list(tensor.unbind())


def _reserve(path: Path) -> None:
    """Claim the file's blocks now: writing to a map on a full disk kills the process."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class _BandTask:
    """A band for a worker process: the inputs and the output are files."""

    plan: Plan
    inputs: tuple[Path, ...]
    output: Path
    band: tuple[int, int]
    num_threads: int | None
    tile: int | None


def _fill_by_engine(job: _Job, output: Path, engine: Engine) -> None:
    with tempfile.TemporaryDirectory(prefix="sestina-") as folder:
        inputs = []
        for name, rows in (("x1", job.x1), ("x2", job.x2)):
            if rows is not None:
                inputs.append(Path(folder, f"{name}.npy"))
                np.save(inputs[-1], rows.numpy())
        tasks = [
            _BandTask(
                plan=job.plan,
                inputs=tuple(inputs),
                output=output,
                band=band,
                num_threads=job.options.num_threads,
                tile=job.options.tile,
            )
            for band in job.bands(_ITEMS)
        ]
        engine.map(
            _fill_band_of_file, tasks, progress=job.options.progress, label="bands of kernel rows"
        )


def _fill_band_of_file(task: _BandTask) -> None:
    """Runs in a worker."""
    inputs = [torch.from_numpy(np.load(path)) for path in task.inputs]
    options = _Options(
        num_threads=task.num_threads, tile=task.tile, out=None, engine=None, progress=silent
    )
    packed = [native_tiles.pack(rows, options.threads) for rows in inputs]
    job = _Job(
        plan=task.plan,
        x1=inputs[0],
        x2=inputs[1] if len(inputs) > 1 else None,
        packed=None
        if task.plan.form == "recursion"
        else (packed[0], packed[1] if len(inputs) > 1 else None),
        options=options,
    )
    array = np.lib.format.open_memmap(task.output, mode="r+")
    with torch.no_grad():
        job.fill_band(_matrices_of(array), task.band)
    array.flush()


def _wants_gradients(network: FullyConnected, x1: Tensor, x2: Tensor | None) -> bool:
    if not all(_has_memory(rows) for rows in (x1, x2) if rows is not None):
        return True  # a function transform's stand-in, as in torch.func.jacfwd
    if not torch.is_grad_enabled():
        return False
    scales = (getattr(network, name) for name in _SCALES)
    tensors = [x1, *(value for value in (x2, *scales) if isinstance(value, Tensor))]
    return any(tensor.requires_grad for tensor in (*tensors, *network.activation.parameters()))


def _with_scales(
    network: FullyConnected, convert: Callable[[Tensor], Tensor | float]
) -> FullyConnected:
    """The network with its scales converted where they are tensors."""
    values = {name: getattr(network, name) for name in _SCALES}
    tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
    if not tensors:
        return network
    return network.replace(**{name: convert(value) for name, value in tensors.items()})


def _has_memory(tensor: Tensor) -> bool:
    try:
        tensor.data_ptr()
    except RuntimeError:
        return False
    return True


def _checked_options(
    *,
    num_threads: int | None = None,
    tile: int | None = None,
    out: str | Path | None = None,
    engine: Engine | None = None,
    progress: Progress = silent,
) -> _Options:
    given: dict[str, object] = {"num_threads": num_threads, "tile": tile}
    for name, value in given.items():
        if value is not None and not _is_count(value):
            raise InvalidValueError(
                name, value, expected="an integer of at least 1", remedy="leave it out, or pass 1"
            )
    return _Options(
        num_threads=num_threads,
        tile=tile,
        out=None if out is None else Path(out),
        engine=engine,
        progress=progress,
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _check_inputs(x1: Tensor, x2: Tensor | None) -> None:
    check_matrix("x1", x1, finite=False)
    if x2 is not None:
        check_matrix("x2", x2, num_columns=x1.shape[1], finite=False)
        check_matching("x1", x1, "x2", x2)
    for name, rows in (("x1", x1), ("x2", x2)):
        if rows is not None and rows.layout != torch.strided:
            raise InvalidValueError(
                name,
                f"a tensor of layout {rows.layout}",
                expected="a dense tensor",
                remedy=f"pass {name}.to_dense()",
            )


def _check_plain(options: _Options) -> None:
    for name, value in (("out", options.out), ("engine", options.engine)):
        if value is not None:
            raise InvalidValueError(
                name,
                value,
                expected="none where gradients are wanted",
                remedy="call it under torch.no_grad(), or leave it out",
            )


def _check_engine(engine: Engine | None, x1: Tensor) -> None:
    if engine is not None and x1.device.type != "cpu":
        raise InvalidValueError(
            "engine",
            f"given with inputs on {x1.device}",
            expected="inputs on the CPU, which worker processes compute on",
            remedy="pass x1.cpu(), or leave the engine out to compute on the device",
        )
