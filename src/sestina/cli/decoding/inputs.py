"""What the commands read: utterances, what was said in them, and what they are decoded with."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import accumulate
from pathlib import Path
from tokenize import TokenError
from typing import Any, Literal
from zipfile import BadZipFile

import click
import numpy as np
from numpy.typing import NDArray

from sestina.cli.decoding.phrases import read_grammar, read_hotwords
from sestina.core.errors import (
    DtypeError,
    FileFormatError,
    InvalidValueError,
    OptionError,
    SestinaError,
)
from sestina.core.progress import Progress, tracked
from sestina.decoding import Decoder, DecoderOptions, LanguageModel, Lexicon, Tokens, read_lm
from sestina.decoding.emissions import as_emissions, as_lengths
from sestina.decoding.samples import acoustic_model, read_wav, sample

__all__ = [
    "HOTWORD_SCORE",
    "Knowledge",
    "Named",
    "Utterance",
    "all_are_sound",
    "check_kept",
    "read_knowledge",
    "read_references",
    "read_utterances",
    "unnormalised",
]

HOTWORD_SCORE = 6.0
"""Of hotwords that come without one."""

_SCORES = ("emissions", "log_probs", "logits")
# Half precision rounds a logarithm of -10 by up to 0.004; no frame of probabilities is further off.
_FAR = 0.05
_REFERENCES = ("references", "texts")
_AS_NPZ = "save it with numpy.savez(path, emissions=scores, lengths=frames_of_each)"
_MAGIC = (b"PK", b"\x93NUMPY")
_MAGIC_BYTES = 6
# What numpy and zipfile raise for damaged bytes; TokenError is of the header of an array.
_UNREADABLE = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, RuntimeError),
    *(SyntaxError, TypeError, ValueError, BadZipFile, TokenError, struct.error, zlib.error),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """What is decoded to one text."""

    name: str
    """The file's, with a number or an array's name if it holds several."""
    emissions_tn: NDArray[np.float32]
    reference: str | None = None
    """What was said, if the file tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The options that say what there is to know; each as on the command line."""

    tokens: Path | None = None
    lexicon: Path | None = None
    lm: Path | None = None
    load: Literal["memory", "mmap"] = "memory"
    transitions: Path | None = None
    hotword: Sequence[str] = ()
    hotwords: Path | None = None
    hotword_score: float = HOTWORD_SCORE
    grammar: Path | None = None

    @property
    def files(self) -> dict[str, Path | None]:
        """Those that are read, by option."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {f"--{n}": v for n, v in named.items() if isinstance(v, Path)}

    @classmethod
    def taken_from(cls, given: dict[str, Any]) -> Named:
        """Those among the arguments of a command, which has the others left."""
        return cls(**{field.name: given.pop(field.name) for field in fields(cls)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What the search is given beside emissions."""

    tokens: Tokens
    vocabulary: Lexicon | Tokens
    """What a decoder takes first: a lexicon, or the tokens where there is none."""
    lm: LanguageModel | None
    transitions: NDArray[Any] | None
    hotwords: Mapping[str, float]
    grammar: Sequence[str] | None
    """What alone may be said, if not all may."""
    is_bundled: bool
    """Whether lexicon and language model are those of the samples."""

    def decoder(self, options: DecoderOptions) -> Decoder:
        """A decoder that knows all this."""
        return Decoder(
            self.vocabulary,
            self.lm,
            options,
            transitions=self.transitions,
            hotwords=self.hotwords,
            grammar=self.grammar,
        )


def check_kept(option: str, path: Path | None, inputs: Mapping[str, Path | None]) -> None:
    """Refuses to write where something is read from, by whatever name or link.

    Args:
        option: that named the file to write.
        path: where to write; None for nowhere.
        inputs: what is read, by the name under which the command line knows it.

    Raises:
        OptionError: if the file is one of them.
    """
    if path is None or not path.exists():
        return
    for name, read in inputs.items():
        if read is not None and read.exists() and path.samefile(read):
            raise OptionError(
                option,
                str(path),
                expected=f"another file than {name}",
                remedy="choose another name",
            )


def all_are_sound(files: Sequence[Path]) -> bool:
    """Whether the bundled acoustic model hears every file."""
    return all(path.suffix.lower() == ".wav" for path in files)


def read_knowledge(named: Named, files: Sequence[Path]) -> Knowledge:
    """What the options name; of what is to be heard by the bundled model, its own by default.

    Raises:
        click.UsageError: if an option is missing.
        OptionError: for a hotword that is none.
        FileFormatError: if a file is damaged.
    """
    tokens, lexicon, lm = named.tokens, named.lexicon, named.lm
    bundled = sample()
    is_sound = all_are_sound(files)
    is_bundled = is_sound and lexicon is None and lm is None
    if is_bundled:
        lexicon, lm = bundled.lexicon_path, bundled.arpa_path
    if tokens is None:
        if not is_sound:
            raise click.UsageError(
                f"--tokens is missing: the file that names the columns of {files[0]}, in order"
            )
        tokens = bundled.tokens_path
    known = Tokens.read(tokens)
    return Knowledge(
        tokens=known,
        vocabulary=known if lexicon is None else Lexicon.read(lexicon, known),
        lm=None if lm is None else read_lm(lm, load=named.load),
        transitions=(None if named.transitions is None else _read_transitions(named.transitions)),
        hotwords=read_hotwords(named.hotword, named.hotwords, default_score=named.hotword_score),
        grammar=read_grammar(named.grammar),
        is_bundled=is_bundled,
    )


def read_utterances(
    files: Sequence[Path], tokens: Tokens, *, are_logits: bool, progress: Progress
) -> list[Utterance]:
    """The utterances of all files, in their order, each checked against the tokens.

    Args:
        files: .npz, .npy or .wav, as the help of `sestina decode` says.
        tokens: what the columns stand for.
        are_logits: whether the scores still need a log-softmax.
        progress: told before the first file and after each.

    Raises:
        FileFormatError: if a file can't be read as utterances with as many columns as tokens.
    """
    model = acoustic_model() if any(path.suffix.lower() == ".wav" for path in files) else None
    found: list[Utterance] = []
    for path in tracked(files, progress, "reading"):
        if path.suffix.lower() == ".wav" and model is not None:
            parts = [Utterance(name=str(path), emissions_tn=model(read_wav(path)))]
        else:
            parts = list(_scores_in(path))
        found += [_checked(path, part, tokens, are_logits=are_logits) for part in parts]
    return found


def read_references(path: Path, count: int) -> list[str]:
    """What was said, one utterance a line.

    Raises:
        FileFormatError: if it is no UTF-8, or has not so many lines.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FileFormatError(
            path, f"byte {error.start} is not UTF-8", remedy="save the texts as UTF-8"
        ) from error
    lines = text.removesuffix("\n").split("\n") if text or count else []
    if len(lines) != count:
        raise FileFormatError(
            path,
            f"it has {len(lines)} lines, expected {count}, one for each utterance",
            remedy="write what was said line by line, an empty one for silence",
        )
    return lines


def unnormalised(utterances: Sequence[Utterance]) -> float | None:
    """What the probabilities of a frame add up to, if that is far from 1 somewhere."""
    for one in utterances:
        totals_t = np.logaddexp.reduce(one.emissions_tn, axis=1)
        far = np.flatnonzero(np.abs(totals_t) > _FAR)
        if far.size:
            return float(np.exp(np.float64(totals_t[far[0]])))
    return None


def _read_transitions(path: Path) -> NDArray[Any]:
    transitions = _arrays_in(path).get("emissions")
    if transitions is None:
        raise FileFormatError(
            path, "it is an .npz file, expected one array", remedy="save it with numpy.save"
        )
    return transitions


def _check_magic(path: Path, begin: bytes) -> None:
    if not begin.startswith(_MAGIC):  # numpy would take it for a pickle, and propose to load that
        raise FileFormatError(
            path,
            f"it begins with {begin!r}, expected an .npz, .npy or .wav file of scores or sound",
            remedy=_AS_NPZ,
        )


def _arrays_in(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file by their names; that of an .npy file as `emissions`."""
    try:
        with path.open("rb") as file:
            _check_magic(path, file.read(_MAGIC_BYTES))
            file.seek(0)
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"emissions": loaded}
            return {name: loaded[name] for name in loaded.files}
    except FileFormatError:
        raise
    except _UNREADABLE as error:
        raise FileFormatError(
            path,
            f"no .npz, .npy or .wav file ({type(error).__name__}: {error}), expected scores or "
            "sound",
            remedy=_AS_NPZ,
        ) from error


def _scores_in(path: Path) -> Iterator[Utterance]:
    arrays = _arrays_in(path)
    references = next((_texts(arrays[name]) for name in _REFERENCES if name in arrays), None)
    utterances = list(_split(path, arrays))
    if references is not None and len(references) != len(utterances):
        raise FileFormatError(
            path,
            f"it has {len(references)} references, expected {len(utterances)}, one for each "
            "utterance",
            remedy="save as many as there are utterances, in their order",
        )
    for place, (name, emissions_tn) in enumerate(utterances):
        reference = None if references is None else references[place]
        yield Utterance(name=name, emissions_tn=emissions_tn, reference=reference)


def _split(path: Path, arrays: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Each utterance with its name."""
    known = next((name for name in _SCORES if name in arrays), None)
    if known is None:
        named = {
            name: array
            for name, array in arrays.items()
            if array.ndim == 2 and array.dtype.kind in "fiu"
        }
        if not named:
            held = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "nothing"
            raise FileFormatError(
                path, f"it holds {held}; expected an array `emissions`", remedy=_AS_NPZ
            )
        yield from ((f"{path}:{name}", array) for name, array in named.items())
        return
    scores, lengths = arrays[known], arrays.get("lengths")
    if scores.ndim == 2 and lengths is None:
        yield str(path), scores
        return
    if scores.ndim not in {2, 3}:
        raise FileFormatError(
            path,
            f"{known} has shape {scores.shape}, expected (frame, token) or (utterance, frame, "
            "token)",
            remedy=_AS_NPZ,
        )
    cut = (
        _concatenated(path, scores, lengths)
        if scores.ndim == 2 and lengths is not None
        else _padded(path, scores, lengths)
    )
    yield from ((f"{path}:{place}", one) for place, one in enumerate(cut))


def _padded(path: Path, scores: NDArray[Any], lengths: Any) -> list[NDArray[Any]]:
    try:
        frames = as_lengths(lengths, num_utterances=len(scores), num_frames=scores.shape[1])
    except (InvalidValueError, DtypeError) as error:
        raise FileFormatError(path, error.problem, remedy=error.remedy) from error
    return [one[:length] for one, length in zip(scores, frames, strict=True)]


def _concatenated(path: Path, scores: NDArray[Any], lengths: NDArray[Any]) -> list[NDArray[Any]]:
    # As `as_lengths` does, it takes no numbers of any type, and adds up what 64 bits do not hold.
    is_count = lengths.ndim == 1 and (lengths.dtype.kind in "iu" or not lengths.size)
    frames: list[int] = lengths.tolist() if is_count else []
    if not is_count or min(frames, default=0) < 0 or sum(frames) != len(scores):
        shown = f"{lengths.shape} numbers, in all {sum(frames)}" if is_count else lengths.dtype
        raise FileFormatError(
            path,
            f"lengths has {shown}, expected the frames of each utterance, in all {len(scores)}",
            remedy="count the frames of each utterance; drop `lengths` if there is one only",
        )
    ends = list(accumulate(frames))
    return [scores[end - length : end] for end, length in zip(ends, frames, strict=True)]


def _texts(array: NDArray[Any]) -> list[str]:
    return [str(text) for text in np.atleast_1d(array)]


def _checked(path: Path, part: Utterance, tokens: Tokens, *, are_logits: bool) -> Utterance:
    scores: NDArray[Any] = part.emissions_tn
    try:
        if are_logits:
            scores = _log_softmax(np.asarray(scores, dtype=np.float64))
        emissions_tn = as_emissions(scores, num_axes=2, num_tokens=len(tokens))
    except SestinaError as error:
        where = part.name.removeprefix(f"{path}:")
        place = "" if where == str(path) else f"utterance {where}: "
        is_dtype = isinstance(error, DtypeError)
        remedy = "if they are logits, add --logits" if is_dtype else error.remedy
        raise FileFormatError(path, f"{place}{error.problem}", remedy=remedy) from error
    return Utterance(name=part.name, emissions_tn=emissions_tn, reference=part.reference)


def _log_softmax(logits_tn: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # what is NaN is named later
        shifted_tn = logits_tn - logits_tn.max(axis=-1, keepdims=True, initial=-np.inf)
    normed: NDArray[np.float64] = shifted_tn - np.log(
        np.exp(shifted_tn).sum(axis=-1, keepdims=True)
    )
    return normed
