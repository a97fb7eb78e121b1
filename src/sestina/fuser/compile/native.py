"""LLVM in this process: from a module's text to a function that can be called.

Needs no compiler on the machine. Threads are those of the OpenMP runtime that PyTorch brings, so
`torch.set_num_threads` holds for kernels too and there is one pool; where that runtime isn't found
kernels run in one thread.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import itertools
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, Self, TypeAlias
from weakref import WeakValueDictionary

import llvmlite
import llvmlite.binding as llvm
import torch

from sestina.fuser.compile.cache import Cache, default_folder
from sestina.fuser.render.entry import RUNTIME
from sestina.fuser.render.library import FEATURE, vector_symbols

__all__ = [
    "Machine",
    "Source",
    "Text",
    "assembly",
    "code_key",
    "compiled",
    "compiled_table",
    "kernel_cache",
    "machine",
    "num_threads",
]

_logger = logging.getLogger(__name__)
# Where a kernel's code is from: made now, kept on disk, or of a kernel alike in this process.
Origin: TypeAlias = Literal["compiled", "disk", "memory"]
_OPENMP = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")
_RUN = (*[ctypes.c_void_p] * 3, *[ctypes.c_int64] * 3, ctypes.c_int32)
_RUN_TABLE = (*[ctypes.c_void_p] * 3, ctypes.c_int64, ctypes.c_int32)


@dataclass(frozen=True, slots=True)
class Machine:
    """The CPU that is compiled for.

    Attributes:
        cpu: LLVM's name of it.
        features: names of its instruction sets; and `FEATURE`, as kernels that call the C library's
            functions of vectors are others than those that don't.
        openmp: addresses of the functions that run threads, or none.
    """

    cpu: str
    features: frozenset[str]
    openmp: tuple[int, ...]

    @property
    def is_parallel(self) -> bool:
        """Whether kernels can use more than one thread."""
        return bool(self.openmp)


@functools.cache
def machine() -> Machine:
    """This one."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    names = frozenset(name for name, is_there in features.items() if is_there)
    if _has_vector_functions(names):
        names |= {FEATURE}
    return Machine(llvm.get_host_cpu_name(), names, _openmp())


def num_threads() -> int:
    """Threads that a kernel may use now: those of PyTorch, but one in a process that was forked.

    The threads of OpenMP's pool do not live on in a child, and who waits for them waits forever.
    """
    is_serial = _is_child or not machine().is_parallel
    return 1 if is_serial else torch.get_num_threads()


class Source(Protocol):
    """A kernel as `sestina.fuser.render.kernel` gives it."""

    @property
    def source(self) -> str:
        """LLVM IR, written when it is first asked for."""

    @property
    def signature(self) -> str | None:
        """What the source follows from, if that is known."""


def compiled(source: Source, *, has_finish: bool) -> _Called:
    """A kernel as a function of the array of its arguments.

    Args:
        source: of its module.
        has_finish: whether there is something to do when all parts are done.

    Returns:
        A function of the array's address, the count, the chunk, the number of parts and that of
        threads. The kernel's code lives as long as it does. Its `origin` says where that is from.
    """
    kernel, origin = _native(source, has_finish=has_finish)
    return _Called(kernel, origin, _runtime().run, kernel.rows, kernel.finish)


def compiled_table(source: Source) -> _Called:
    """The same kernel for several sets of arguments, as a function of a table of work.

    It takes the address of an array of arguments, that of the table, how many items this has, and
    the threads. An item is four i64: where in the array its arguments begin, in bytes, first row,
    last row and part.
    """
    kernel, origin = _native(source, has_finish=False)
    return _Called(kernel, origin, _runtime().run_table, kernel.rows)


class _Called(functools.partial[None]):
    """A call of a kernel, which keeps the kernel's code in memory."""

    kernel: _Native
    origin: Origin

    def __new__(cls, kernel: _Native, origin: Origin, *call: Any) -> Self:
        made = super().__new__(cls, *call)
        made.kernel, made.origin = kernel, origin
        return made


class _Native:
    """A kernel's code in memory."""

    __slots__ = ("__weakref__", "finish", "rows", "tracker")

    def __init__(self, rows: int, finish: int, tracker: Any) -> None:
        self.rows, self.finish, self.tracker = rows, finish, tracker


@dataclass(frozen=True, slots=True)
class _Runtime:
    """What runs kernels, compiled."""

    run: Callable[..., None]
    run_table: Callable[..., None]
    tracker: Any


@functools.cache
def _runtime() -> _Runtime:
    with _lock:
        source = Text(RUNTIME)
        tracker, _ = _loaded(source, code_key(source), ("run", "run_table"))
    run: Any = ctypes.CFUNCTYPE(None, *_RUN)(tracker["run"])
    run_table: Any = ctypes.CFUNCTYPE(None, *_RUN_TABLE)(tracker["run_table"])
    return _Runtime(run, run_table, tracker)


@functools.cache
def kernel_cache() -> Cache:
    """Where this process keeps object code."""
    return Cache(default_folder())


# Layers of a model are alike, and so are their kernels: each is compiled and linked once.
_known: WeakValueDictionary[str, _Native] = WeakValueDictionary()
# LLVM's target machine and linker are for one thread at a time.
_lock = threading.RLock()
_is_child = False


def _in_child() -> None:
    global _is_child  # noqa: PLW0603 - a fact about the process
    _is_child = True
    _lock.release()


# Held while forking, so that a child never finds it taken by a thread that it doesn't have.
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_in_child)


@dataclass(frozen=True, slots=True)
class Text:
    """A source that is there already."""

    source: str
    signature: None = None


def _native(source: Source, *, has_finish: bool) -> tuple[_Native, Origin]:
    key = code_key(source)
    with _lock:
        kernel = _known.get(key)
        origin: Origin = "memory"
        if kernel is None:
            names = ("rows", "finish") if has_finish else ("rows",)
            tracker, origin = _loaded(source, key, names)
            finish = tracker["finish"] if has_finish else 0
            kernel = _known[key] = _Native(tracker["rows"], finish, tracker)
        return kernel, origin


def _loaded(source: Source, key: str, names: tuple[str, ...]) -> tuple[Any, Origin]:
    """A source's code in memory, as `_linked` gives it."""
    code, origin = _object_code(source, key)
    try:
        return _linked(code, names), origin
    except RuntimeError as error:
        if origin != "disk":
            raise
        kernel_cache().drop(key, f"no code that can be linked ({error})")
    code, origin = _object_code(source, key)
    return _linked(code, names), origin


def _object_code(source: Source, key: str) -> tuple[bytes, Origin]:
    code = kernel_cache().get(key)
    if code is not None:
        return code, "disk"
    code = _generated_code(source.source)
    kernel_cache().put(key, code)
    return code, "compiled"


def code_key(source: Source) -> str:
    """A digest of all that the code of a source depends on.

    Where it is known what the source follows from, that and what writes it stand for it. Comments,
    which say what graph it is of, don't count.
    """
    if source.signature is not None and _writer is not None:
        written = f"{_writer}\n{source.signature}"
    else:
        lines = source.source.splitlines()
        written = "\n".join([line for line in lines if not line.lstrip().startswith(";")])
    return hashlib.sha256(f"{_facts()}\n{written}".encode()).hexdigest()


@functools.cache
def _facts() -> str:
    """What code depends on besides its source."""
    this = machine()
    return repr((llvmlite.__version__, llvm.llvm_version_info, this.cpu, sorted(this.features)))


def _read_writer() -> str | None:
    """A digest of the modules that write sources; None where they can't be read."""
    room = Path(__file__).parent.parent
    try:
        files = [room / "random.py"]
        for folder in ("ir", "schedule", "render"):
            files += sorted((room / folder).glob("*.py"))
        return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()
    except OSError:
        return None


# Read with the modules themselves: those that replace them on disk later write other sources.
_writer = _read_writer()


def assembly(source: str) -> str:
    """The instructions that a module of LLVM IR becomes."""
    with _lock:
        text: str = _target_machine().emit_assembly(_optimized(source))
    return text


def _generated_code(source: str) -> bytes:
    code: bytes = _target_machine().emit_object(_optimized(source))
    return code


def _optimized(source: str) -> Any:
    target = _target_machine()
    module = llvm.parse_assembly(source)
    module.triple, module.data_layout = target.triple, str(target.target_data)
    # Vectors are explicit, values are made once, and what a loop doesn't change is made before it:
    # the whole pipeline of -O3 takes eight times as long and finds nothing that shows in the time.
    passes = llvm.create_new_module_pass_manager()
    passes.add_sroa_pass()
    passes.add_instruction_combine_pass()
    passes.add_simplify_cfg_pass()
    tuning = llvm.create_pipeline_tuning_options(speed_level=3)
    passes.run(module, llvm.create_pass_builder(target, tuning))
    return module


_numbers = itertools.count()


def _linked(code: bytes, names: tuple[str, ...]) -> Any:
    """The code in memory, which goes when this does; its functions' addresses by name."""
    library = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
    addresses = machine().openmp or (_address_of_abort(),) * len(_OPENMP)
    for symbol, address in zip(_OPENMP, addresses, strict=True):
        library.import_symbol(symbol, address)
    for name in names:
        library.export_symbol(name)
    return library.link(_jit(), f"sestina_{next(_numbers)}")


@functools.cache
def _jit() -> Any:
    return llvm.create_lljit_compiler(_target_machine())


@functools.cache
def _target_machine() -> Any:
    this = machine()
    flags = llvm.get_host_cpu_features()
    # Where there are 512 bits, one instruction for 16 lanes is faster than two.
    features = ",".join([flags.flatten(), "-prefer-256-bit"] if this.features else [])
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=this.cpu, features=features, opt=3, jit=True)


def _openmp() -> tuple[int, ...]:
    folder = Path(torch.__file__).parent / "lib"
    for path in (*folder.glob("libgomp*"), *folder.parent.parent.glob("torch.libs/libgomp*")):
        library = ctypes.CDLL(str(path))
        found = [ctypes.cast(getattr(library, symbol), ctypes.c_void_p).value for symbol in _OPENMP]
        return tuple(address for address in found if address is not None)
    _logger.warning("PyTorch brings no libgomp in %s: kernels run in one thread", folder)
    return ()


def _has_vector_functions(features: frozenset[str]) -> bool:
    """Whether the C library has them; then they are where kernels that are linked find them."""
    symbols = vector_symbols(features)
    if not symbols:
        return False
    try:
        library = ctypes.CDLL("libmvec.so.1", mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        missing = str(error)
    else:
        missing = ", ".join(sorted(name for name in symbols if not hasattr(library, name)))
    if missing:
        _logger.info("functions of the C library are called lane by lane: no %s", missing)
    return not missing


def _address_of_abort() -> int:
    """What is linked in the place of functions that one thread never calls."""
    return ctypes.cast(ctypes.CDLL(None).abort, ctypes.c_void_p).value or 0
