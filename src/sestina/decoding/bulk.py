"""Many utterances, decoded by the workers of an engine.

Not in the face of `sestina.decoding`, for the engines take longer to import than all of the rest.

    utterances ── chunks ──▶ engine.submit ──▶ worker: maps the decoder's files, decodes ──┐
    hypotheses ◀── in order, named by the caller's decoder ◀── numbers and paths of tokens ┘

Workers share the files of `sestina.decoding.packed`, and send back numbers only: no word crosses.
"""

from __future__ import annotations

import zipfile
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sestina.core.engine import Engine, Handle, ProcessEngine, SerialEngine
from sestina.core.engine.interface import failed
from sestina.core.errors import FileFormatError, InvalidValueError, SestinaError, WorkerError
from sestina.core.progress import Progress, silent
from sestina.decoding import _native
from sestina.decoding.decoder import Decoder
from sestina.decoding.emissions import as_emissions
from sestina.decoding.packed import PackedDecoder, open_packed, pack
from sestina.decoding.results import Hypothesis

__all__ = ["decode_many"]

_MOST = 2**31 - 1  # of hypotheses, as the compiled search counts

# What crosses to a worker: scores, or the file of them and the name of the array in it, or what
# kept them from being sent.
_Sent: TypeAlias = "NDArray[Any] | tuple[Path, str | None] | SestinaError"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What a worker found in an utterance."""

    num_frames: int
    hypotheses: list[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _NoDecoder:
    """A worker could not open the decoder, which is no utterance's doing."""

    error: Exception


_Results: TypeAlias = "list[_Found | Exception] | _NoDecoder"


def decode_many(
    decoder: Decoder,
    utterances: Iterable[Any],
    *,
    engine: Engine | None = None,
    nbest: int = 1,
    chunk_size: int = 16,
    cache: str | Path | None = None,
    on_failure: Callable[[WorkerError], None] | None = None,
    progress: Progress = silent,
) -> Iterator[list[Hypothesis]]:
    """The best readings of each utterance, in the order of the utterances, as `decode` finds them.

    Utterances are taken only a little before their turn, so that there may be any number of them.
    Leaving the iteration early cancels what is not finished.

    Args:
        decoder: made of files, for only paths and digests cross to the workers.
        utterances: of each one (frame, token) natural logarithms, see `as_emissions`; or a `.npy`
            file of them; or an `.npz` file that holds nothing else; or a pair of an `.npz` file
            and the name of the array in it. Workers read the files.
        engine: whose workers decode; processes on all cores if not given, for this call alone.
        nbest: how many readings of each at most.
        chunk_size: how many utterances a worker gets at a time.
        cache: the folder of what workers map, see `sestina.decoding.packed`; that of the user if
            not given. It may be emptied at any time when nothing is decoded.
        on_failure: told of each utterance that failed, whose list of readings is then empty.
            Without it the first failure is raised, in its turn.
        progress: told how many utterances are done, from the caller's thread.

    Raises:
        WorkerError: for an utterance that failed; its `index` is that of the utterance.
        InvalidValueError: if a number is below 1, or the language model was not read from a file.
        FileFormatError: if a file that the decoder was made of changed or is gone.

    Example:
        >>> from sestina.core.engine import SerialEngine
        >>> from sestina.decoding import Decoder, Lexicon, Tokens
        >>> from sestina.decoding.bulk import decode_many
        >>> decoder = Decoder(Lexicon.from_spellings({"a": "a"}, Tokens(["-", "|", "a"])))
        >>> frames = np.log([[.1, .1, .8], [.8, .1, .1], [.1, .1, .8]])
        >>> with SerialEngine() as engine:
        ...     [best.text for best, in decode_many(decoder, [frames[:1], frames], engine=engine)]
        ['a', 'a a']
    """
    for name, value in (("nbest", nbest), ("chunk_size", chunk_size)):
        if value < 1:
            raise InvalidValueError(
                name, value, expected="at least 1", remedy="ask for one or more"
            )
    function: Callable[[list[_Sent]], _Results]
    if isinstance(engine, SerialEngine):
        function = partial(_decode_chunk, decoder.native, nbest)
    else:
        packed = pack(decoder, None if cache is None else Path(cache).absolute())
        function = partial(_decode_packed, packed, nbest)
    total = len(utterances) if isinstance(utterances, Sized) else 0
    results = _results(engine, function, _chunks(decoder, utterances, chunk_size))
    return _hypotheses(decoder, results, on_failure, progress, total)


def _hypotheses(
    decoder: Decoder,
    results: Generator[tuple[_Sent, _Found | Exception]],
    on_failure: Callable[[WorkerError], None] | None,
    progress: Progress,
    total: int,
) -> Iterator[list[Hypothesis]]:
    """The results with the names of the caller's decoder."""
    with closing(results):
        progress(0, total, "utterances")
        for index, (sent, result) in enumerate(results):
            hypotheses = _named(decoder, result)
            if isinstance(hypotheses, Exception):
                failure = _failure(index, sent, hypotheses)
                if on_failure is None:
                    raise failure
                on_failure(failure)
                hypotheses = []
            progress(index + 1, total, "utterances")
            yield hypotheses


def _named(decoder: Decoder, result: _Found | Exception) -> list[Hypothesis] | Exception:
    if isinstance(result, Exception):
        return result
    try:
        return decoder._read(result.hypotheses, result.num_frames, "emissions")  # noqa: SLF001
    except InvalidValueError as error:
        return error


def _results(
    given: Engine | None,
    function: Callable[[list[_Sent]], _Results],
    chunks: Iterator[list[_Sent]],
) -> Generator[tuple[_Sent, _Found | Exception]]:
    """Each utterance and what was found in it; whoever closes this cancels the rest."""
    with nullcontext(given) if given is not None else ProcessEngine() as engine:
        waiting: deque[tuple[list[_Sent], Handle[_Results]]] = deque()
        try:
            while True:
                # Two for each worker: one at work, and one that waits so that none is idle.
                for chunk in islice(chunks, 2 * engine.num_workers - len(waiting)):
                    waiting.append((chunk, engine.submit(function, chunk)))
                if not waiting:
                    return
                chunk, handle = waiting[0]
                results = _results_of(engine, function, chunk, handle)
                waiting.popleft()
                yield from zip(chunk, results, strict=True)
        finally:
            for _, handle in waiting:
                handle.cancel()


def _results_of(
    engine: Engine,
    function: Callable[[list[_Sent]], _Results],
    chunk: list[_Sent],
    handle: Handle[_Results],
) -> list[_Found | Exception]:
    outcome = handle.outcome()
    if isinstance(outcome.error, WorkerError):
        if len(chunk) == 1:
            return [outcome.error]
        # One of them took the worker with it: each by itself, to know which, and save the others.
        singly = [(one, engine.submit(function, [one])) for one in chunk]
        return [_results_of(engine, function, [one], again)[0] for one, again in singly]
    results = outcome.get()
    if isinstance(results, _NoDecoder):
        raise results.error
    return results


def _chunks(decoder: Decoder, utterances: Iterable[Any], chunk_size: int) -> Iterator[list[_Sent]]:
    num_tokens = len(decoder.tokens)
    taken = iter(utterances)
    while chunk := [_to_send(one, num_tokens) for one in islice(taken, chunk_size)]:
        yield chunk


def _to_send(utterance: Any, num_tokens: int) -> _Sent:
    match utterance:
        case str() | Path():
            return Path(utterance).absolute(), None
        case (str() | Path() as path, str() as name):
            return Path(path).absolute(), name
        case np.ndarray():
            return utterance  # as it is, for half precision crosses in half the time
    try:
        return as_emissions(utterance, num_axes=2, num_tokens=num_tokens)
    except SestinaError as error:
        return error


def _failure(index: int, sent: _Sent, error: Exception) -> WorkerError:
    # An engine's own counts chunks.
    known = error if isinstance(error, WorkerError) else failed(index, error)
    reason = known.reason
    if isinstance(sent, tuple) and str(sent[0]) not in reason:
        reason = f"{sent[0]}: {reason}"
    failure = WorkerError(index, reason, signal=known.signal, remedy=known.remedy)
    failure.__cause__ = known.__cause__
    for note in getattr(known, "__notes__", []):
        failure.add_note(note)
    return failure


def _decode_packed(packed: PackedDecoder, nbest: int, chunk: list[_Sent]) -> _Results:
    """What a worker runs."""
    try:
        native = open_packed(packed)
    except (SestinaError, OSError) as error:
        return _NoDecoder(error=error)
    return _decode_chunk(native, nbest, chunk)


def _decode_chunk(
    native: _native.Decoder, nbest: int, chunk: list[_Sent]
) -> list[_Found | Exception]:
    read = [_read(sent, native.num_tokens) for sent in chunk]
    emissions = [one for one in read if isinstance(one, np.ndarray)]
    found = iter(native.decode(emissions, min(nbest, _MOST), 1))  # one search for all of them
    return [
        one if isinstance(one, Exception) else _Found(num_frames=len(one), hypotheses=next(found))
        for one in read
    ]


def _read(sent: _Sent, num_tokens: int) -> NDArray[np.float32] | Exception:
    if isinstance(sent, SestinaError):
        return sent
    try:
        scores = sent if isinstance(sent, np.ndarray) else _load(*sent)
        return as_emissions(scores, num_axes=2, num_tokens=num_tokens)
    except (SestinaError, OSError) as error:
        return error


def _load(path: Path, name: str | None) -> NDArray[Any]:
    """The array of a file.

    Raises:
        FileFormatError: if it isn't one, or there are several and none is named.
    """
    try:
        with path.open("rb") as file:  # numpy does not close what it can't read
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                names = []
                if name is None:
                    return loaded
            else:
                names = loaded.files
            if name is None and len(names) == 1:
                name = names[0]
            if name in names:
                return np.asarray(loaded[name])
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise FileFormatError(
            path,
            f"it holds no array that can be read ({error})",
            remedy="write it with numpy.save or numpy.savez",
        ) from error
    raise FileFormatError(
        path,
        f"its named arrays are {', '.join(names) or '(none)'}, "
        + ("expected one" if name is None else f"expected {name!r} among them"),
        remedy="pass a pair of the path and the name of an array",
    )
