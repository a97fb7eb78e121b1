"""Decoders for worker processes: what is large lies in files that all of them map.

What a decoder computes from its lexicon and its language model is written to a folder once, under
its digest. A worker maps it read-only, so that it is in the machine's memory once, and reads no
lexicon. Where a file is missing, on another machine or in a folder that was emptied, the first
worker makes it again from the files that the decoder was made of.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from sestina.core.engine import ProcessEngine
from sestina.core.errors import FileFormatError
from sestina.core.files import atomic_write_bytes, bytes_digest, file_digest
from sestina.decoding import _native
from sestina.decoding.decoder import Decoder
from sestina.decoding.language_models import NgramModel, compile_lm, read_lm
from sestina.decoding.reading import naming_path
from sestina.decoding.sources import unchanged

__all__ = ["PackedDecoder", "default_cache", "open_packed", "pack"]

_HEAD_BYTES = 64

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedDecoder:
    """What a worker needs to have a decoder; small, and pickles."""

    decoder: bytes
    """Pickled, for where files are missing."""
    options: bytes
    """Pickled, of the compiled search."""
    folder: Path | None
    """Where the files are; None for the default one of the machine at hand."""
    graph: str | None
    """The file of what was computed, named by its digest; None if this decoder has none, and is
    made from the pickled one."""
    lm: tuple[Path, str] | str | None
    """The language model, if there is one: a file of the folder, named by the digest of what it was
    compiled from; or one that is mapped where it lies, and its digest."""


def default_cache() -> Path:
    """The folder of compiled files: `sestina/decoding` of the user's cache.

    Source: XDG Base Directory Specification, `$XDG_CACHE_HOME`, else `~/.cache`.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "sestina", "decoding")


def pack(decoder: Decoder, folder: Path | None = None) -> PackedDecoder:
    """Writes what workers map, where it is not there yet, and says how to open it.

    Raises:
        FileFormatError: if a file that the decoder was made of was written since.
        InvalidValueError: if the language model was not read from a file.
    """
    pickled = pickle.dumps(decoder, protocol=5)  # first of all, for it checks the files
    options = pickle.dumps(decoder.native.options, protocol=5)
    if not (isinstance(decoder.lm, NgramModel | None) and decoder.native.has_parts):
        _LOG.info("workers make this decoder anew: not all of it can be mapped")
        return PackedDecoder(decoder=pickled, options=options, folder=folder, graph=None, lm=None)
    where = default_cache() if folder is None else folder
    where.mkdir(parents=True, exist_ok=True)
    block = decoder.native.pack()
    graph = f"{bytes_digest(block)}.graph"
    if not _holds(where / graph):
        atomic_write_bytes(where / graph, block)
    lm = None if decoder.lm is None else _pack_lm(decoder.lm, where)
    return PackedDecoder(decoder=pickled, options=options, folder=folder, graph=graph, lm=lm)


@lru_cache(maxsize=2)  # a worker's next chunk is as a rule for the same decoder
def open_packed(packed: PackedDecoder) -> _native.Decoder:
    """The decoder, as the compiled search has it; the same one if it was opened shortly before.

    Raises:
        FileFormatError: if a file that it needs changed or is gone.
        WorkerError: if the process died that makes missing files.
    """
    if packed.graph is None:
        made: Decoder = pickle.loads(packed.decoder)  # noqa: S301  our own caller's
        return made.native
    folder = packed.folder or default_cache()
    names = [name for name in (packed.graph, packed.lm) if isinstance(name, str)]
    if not all((folder / name).exists() for name in names):
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / f"{packed.graph}.lock"):  # one worker makes them, the others wait
            if not all((folder / name).exists() for name in names):
                _make(packed.decoder, folder)
    model = _open_lm(packed.lm, folder)
    path = folder / packed.graph
    with path.open("rb") as file, naming_path(path):
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        block = np.frombuffer(mapped, dtype=np.uint8)
        return _native.Decoder(block, model, pickle.loads(packed.options))  # noqa: S301  as above


def _make(decoder: bytes, folder: Path) -> None:
    """Write the files of a pickled decoder."""
    # In a process of its own, with which the memory goes that reading a large model takes.
    with ProcessEngine(1) as engine:
        error = engine.submit(_unpickle_and_pack, decoder, folder).outcome().error
    if error is not None:
        raise error.__cause__ or error


def _unpickle_and_pack(decoder: bytes, folder: Path) -> None:
    pack(pickle.loads(decoder), folder)  # noqa: S301  our own caller's


def _pack_lm(lm: NgramModel, folder: Path) -> tuple[Path, str] | str:
    source = lm.source
    assert source is not None, "or it would not have been pickled"
    with source.path.open("rb") as file:
        if _native.file_kind(file.read(_HEAD_BYTES)) != "other":
            return source.path, source.digest()  # is mapped where it lies
    name = f"{source.digest()}.lm"
    try:
        read_lm(folder / name, load="mmap")
    except FileNotFoundError:
        compile_lm(lm, folder / name)
    except FileFormatError as error:
        _LOG.info("compiling anew: %s", error)  # that of another version, as a rule
        compile_lm(lm, folder / name)
    return name


def _open_lm(lm: tuple[Path, str] | str | None, folder: Path) -> _native.LanguageModel:
    match lm:
        case None:
            return _native.NoModel()
        case str():
            return read_lm(folder / lm, load="mmap").native
        case path, digest:
            return read_lm(unchanged(path, digest), load="mmap").native


def _holds(path: Path) -> bool:
    """Whether a file is there that has the digest in its name."""
    return path.exists() and file_digest(path) == path.stem


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield  # closing lets go of it, and so does a process that dies
