"""Decoders for worker processes: what is large lies in files that all of them map.

What a decoder computes from its lexicon and its language model is written to a folder once, under
its digest. A worker maps it read-only, so that it is in the machine's memory once, and reads no
lexicon. Where a file is missing, on another machine or in a folder that was emptied, the first
worker makes it again from the files that the decoder was made of.
"""

from __future__ import annotations

import fcntl
import io
import logging
import mmap
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

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
    recipe: bytes
    """Pickled with its n-gram models by their files, see `_Pickler`: the options of the compiled
    search, the model and what makes its phrases, for `graph`; or the decoder, if there is none."""
    graph: str | None
    """The file of what was computed, named by its digest, for what consists of nothing else."""
    files: tuple[str, ...]
    """All files of the folder that are needed."""
    folder: Path | None
    """Where they are; None for the default one of the machine at hand."""


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
    where = default_cache() if folder is None else folder
    where.mkdir(parents=True, exist_ok=True)
    recipe, graph = io.BytesIO(), None
    pickler = _Pickler(recipe, where)
    # Models but those of n-grams may number words as they meet them.
    if isinstance(decoder.lm, NgramModel | None) and decoder.native.has_parts:
        graph = _pack_graph(decoder, where)
        pickler.dump((decoder.native.options, decoder.lm, decoder.make_phrases))
    else:
        _LOG.info("each worker makes this decoder anew: only its n-gram models can be mapped")
        pickler.dump(decoder)
    return PackedDecoder(
        decoder=pickled,
        recipe=recipe.getvalue(),
        graph=graph,
        files=(*pickler.files, *([] if graph is None else [graph])),
        folder=folder,
    )


@lru_cache(maxsize=2)  # a worker's next chunk is as a rule for the same decoder
def open_packed(packed: PackedDecoder) -> _native.Decoder:
    """The decoder, as the compiled search has it; the same one if it was opened shortly before.

    Raises:
        FileFormatError: if a file that it needs changed or is gone.
        WorkerError: if the process died that makes missing files.
    """
    folder = packed.folder or default_cache()
    if not all((folder / name).exists() for name in packed.files):
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / f"{packed.files[-1]}.lock"):  # one worker makes them, others wait
            if not all((folder / name).exists() for name in packed.files):
                _make(packed.decoder, folder)
    made = _Unpickler(io.BytesIO(packed.recipe), folder).load()
    if packed.graph is None:
        decoder: Decoder = made
        return decoder.native
    options, lm, make_phrases = made
    model = _native.NoModel() if lm is None else lm.native
    path = folder / packed.graph
    with path.open("rb") as file, naming_path(path):
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        phrases = None if make_phrases is None else make_phrases()
        return _native.Decoder(np.frombuffer(mapped, dtype=np.uint8), model, options, phrases)


class _Pickler(pickle.Pickler):
    """Writes an n-gram model as the name of its file, compiled in the folder if it is of text."""

    def __init__(self, file: io.BytesIO, folder: Path) -> None:
        super().__init__(file, protocol=5)
        self.files: list[str] = []
        self._folder = folder

    def persistent_id(self, part: Any) -> tuple[Path, str] | str | None:
        if not isinstance(part, NgramModel):
            return None
        packed = _pack_lm(part, self._folder)
        if isinstance(packed, str):
            self.files.append(packed)
        return packed


class _Unpickler(pickle.Unpickler):  # noqa: S301  reads what our own caller sent
    """Maps those files."""

    def __init__(self, file: io.BytesIO, folder: Path) -> None:
        super().__init__(file)
        self._folder = folder

    def persistent_load(self, packed: tuple[Path, str] | str) -> NgramModel:
        if isinstance(packed, str):
            return read_lm(self._folder / packed, load="mmap")
        return read_lm(unchanged(*packed), load="mmap")


def _make(decoder: bytes, folder: Path) -> None:
    """Write the files of a pickled decoder."""
    # In a process of its own, with which the memory goes that reading a large model takes.
    with ProcessEngine(1) as engine:
        error = engine.submit(_unpickle_and_pack, decoder, folder).outcome().error
    if error is not None:
        raise error.__cause__ or error


def _unpickle_and_pack(decoder: bytes, folder: Path) -> None:
    pack(pickle.loads(decoder), folder)  # noqa: S301  our own caller's


def _pack_graph(decoder: Decoder, folder: Path) -> str:
    block = decoder.native.pack()
    name = f"{bytes_digest(block)}.graph"
    if not _holds(folder / name):
        atomic_write_bytes(folder / name, block)
    return name


def _pack_lm(lm: NgramModel, folder: Path) -> tuple[Path, str] | str:
    """A file of the folder, or one that is mapped where it lies, and its digest."""
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


def _holds(path: Path) -> bool:
    """Whether a file is there that has the digest in its name."""
    return path.exists() and file_digest(path) == path.stem


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield  # closing lets go of it, and so does a process that dies
