"""Language models of words with pyctcdecode's weights and files."""

from __future__ import annotations

import gzip
import json
import logging
import shutil
from bisect import bisect_left
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from sestina.core.errors import FileFormatError, InvalidValueError, OptionError
from sestina.decoding.compat.pyctcdecode.abstract_model import AbstractLanguageModel
from sestina.decoding.compat.pyctcdecode.checks import check_number, json_of, text_of
from sestina.decoding.compat.pyctcdecode.constants import AVG_TOKEN_LEN, LOG_BASE_CHANGE_FACTOR
from sestina.decoding.custom_models import BatchedLanguageModel
from sestina.decoding.language_models import NgramModel, read_lm

__all__ = [
    "LanguageModel",
    "MultiLanguageModel",
    "State",
    "Wrapped",
    "load_unigram_set_from_arpa",
    "names_no_words",
]

_ATTRIBUTES: Final = {
    "alpha": float,
    "beta": float,
    "unk_score_offset": float,
    "score_boundary": bool,
}
_ATTRIBUTES_FILE: Final = "attrs.json"
_UNIGRAMS_FILE: Final = "unigrams.txt"
_ENDINGS: Final = (".arpa", ".bin", ".binary", ".slm")  # the last one of `compile_lm`, not theirs
_GZIP_BEGIN: Final = b"\x1f\x8b"
_KENLM_BEGIN: Final = b"mmap lm "
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class State:
    """What a model remembers of what was said; it pickles."""

    words: tuple[str, ...]
    """The last ones, as many as the model's order asks for."""
    begin: bool
    """Whether a sentence began right before them."""


class LanguageModel(AbstractLanguageModel):
    """An n-gram model, the words that count as known, and the weights of both.

    Args:
        kenlm_model: what `read_lm` gives, or an object whose `path` is that of a model's file, as
            `kenlm.Model` has it.
        unigrams: the words that are known; those that the model lacks are left out.
        alpha: what natural logarithms of the model's probabilities are multiplied with.
        beta: added for each word.
        unk_score_offset: added, in log10, to the score of a word that is not known.
        score_boundary: whether a result is a sentence, with its begin and its end.

    Raises:
        OptionError: if a weight is no finite number.
    """

    JSON_ATTRS: ClassVar[tuple[str, ...]] = tuple(_ATTRIBUTES)
    """The weights, by the names under which they are saved."""

    def __init__(
        self,
        kenlm_model: Any,
        unigrams: Collection[str] | None = None,
        alpha: float = 0.5,
        beta: float = 1.5,
        unk_score_offset: float = -10.0,
        score_boundary: bool = True,
    ) -> None:
        self._model = _read(kenlm_model)
        if unigrams is None:
            _logger.warning("without unigrams all words that the model knows count as known")
        self._unigrams = frozenset(word for word in unigrams or () if word in self._model)
        self._words: frozenset[str] | None = None  # when it is first needed
        self._sorted: list[str] | None = None  # the unigrams, when it is first needed
        for name, value in {
            "alpha": alpha,
            "beta": beta,
            "unk_score_offset": unk_score_offset,
        }.items():
            check_number(name, value)
        self.alpha = alpha
        self.beta = beta
        self.unk_score_offset = unk_score_offset
        self.score_boundary = score_boundary

    @property
    def order(self) -> int:
        """The longest n-gram it knows."""
        return self._model.order

    @property
    def serializable_attrs(self) -> dict[str, Any]:
        """The weights, as they are saved."""
        return {name: getattr(self, name) for name in self.JSON_ATTRS}

    @property
    def model(self) -> NgramModel:
        """The n-grams."""
        return self._model

    @property
    def unigrams(self) -> frozenset[str]:
        """The words that are known; if there are none, all that the model knows."""
        return self._unigrams

    @property
    def words(self) -> frozenset[str]:
        """The unigrams, or all that the model knows; none if it has no texts of its words."""
        if self._words is None:
            self._words = self._unigrams or self._model.words
        return self._words

    def is_known(self, word: str) -> bool:
        """Whether a word costs no `unk_score_offset`."""
        return word in (self._unigrams or self._model)

    def get_start_state(self) -> State:
        """The state before the first word."""
        return State((), self.score_boundary)

    def score(
        self, prev_state: State, word: str, is_last_word: bool = False
    ) -> tuple[float, State]:
        """What a word is worth after a state, and the state after it.

        Args:
            prev_state: what `get_start_state` or this method returned.
            word: the next one.
            is_last_word: whether the end of the sentence counts, where boundaries do.
        """
        said = [*prev_state.words, word]
        ends = is_last_word and self.score_boundary
        scores = self._model.scores(said, begin=prev_state.begin, end=ends)
        log10 = sum(scores[len(prev_state.words) :])
        log10 += 0.0 if self.is_known(word) else self.unk_score_offset
        return self.alpha * LOG_BASE_CHANGE_FACTOR * log10 + self.beta, self.after(
            prev_state, [word]
        )

    def score_partial_token(self, partial_token: str) -> float:
        """What an unfinished word costs that begins no unigram, more if it is long."""
        if self._sorted is None:
            self._sorted = sorted(self._unigrams)
        place = bisect_left(self._sorted, partial_token)
        if self._sorted[place : place + 1] and self._sorted[place].startswith(partial_token):
            return 0.0
        return self.unk_score_offset * max(1.0, len(partial_token) / AVG_TOKEN_LEN)

    def after(self, state: State, words: Sequence[str]) -> State:
        """The state after these words."""
        said = (*state.words, *words)
        kept = said[max(len(said) - self.order + 1, 0) :]
        return State(kept, state.begin and len(kept) == len(said))

    def total(self, state: State, words: Sequence[str]) -> float:
        """Alpha and beta times what these words, all that follow `state`, are worth."""
        log10 = sum(self._scores(state, words))
        log10 += self.unk_score_offset * sum(not self.is_known(word) for word in words)
        return self.alpha * LOG_BASE_CHANGE_FACTOR * log10 + self.beta * len(words)

    def _scores(self, state: State, words: Sequence[str]) -> list[float]:
        said = [*state.words, *words]
        scores = self._model.scores(said, begin=state.begin, end=self.score_boundary)
        return scores[len(state.words) :]

    def reset_params(self, **params: Any) -> None:
        """Changes alpha, beta, unk_score_offset or score_boundary; None leaves one as it is.

        Raises:
            InvalidValueError: if one is no float or not finite, or score_boundary no bool; then
                all stay.
        """
        given = {name: params[name] for name in _ATTRIBUTES if params.get(name) is not None}
        for name, value in given.items():
            if not isinstance(value, _ATTRIBUTES[name]):
                raise InvalidValueError(
                    name, value, expected=f"a {_ATTRIBUTES[name].__name__}", remedy="convert it"
                )
            check_number(name, value)
        for name, value in given.items():
            setattr(self, name, value)

    def save_to_dir(self, filepath: str | Path, unigram_encoding: str | None = None) -> None:
        """Writes the weights and unigrams, and copies the model's file, into a directory.

        A file packed by gzip is unpacked, and one with another ending than `load_from_dir` takes,
        here or there, gets one.

        Raises:
            InvalidValueError: if the model was not read from a file.
        """
        source = self._model.source
        if source is None:
            raise InvalidValueError(
                "lm", self._model, expected="a model of a file", remedy="read one with read_lm"
            )
        folder = Path(filepath)
        (folder / _ATTRIBUTES_FILE).write_text(json.dumps(self.serializable_attrs))
        lines = "".join(f"{word}\n" for word in sorted(self._unigrams))
        (folder / _UNIGRAMS_FILE).write_text(lines, encoding=unigram_encoding or "utf-8")
        _copy_model(source.path, folder)

    @staticmethod
    def parse_directory_contents(filepath: str | Path) -> dict[str, str]:
        """The paths of `json_attrs`, `unigrams` and `kenlm`, the model's file.

        Raises:
            FileFormatError: if the files are others.
        """
        folder = Path(filepath)
        found = {file.name for file in folder.iterdir() if not file.name.startswith((".", "__"))}
        models = found - {_ATTRIBUTES_FILE, _UNIGRAMS_FILE}
        if len(found) != 3 or len(models) != 1:
            raise FileFormatError(
                folder,
                f"it has {sorted(found)}, expected a model, {_ATTRIBUTES_FILE}, {_UNIGRAMS_FILE}",
                remedy="save the decoder anew",
            )
        name = models.pop()
        if Path(name).suffix not in _ENDINGS:
            raise FileFormatError(
                folder / name, f"expected a name in {', '.join(_ENDINGS)}", remedy="rename it"
            )
        return {
            "json_attrs": str(folder / _ATTRIBUTES_FILE),
            "unigrams": str(folder / _UNIGRAMS_FILE),
            "kenlm": str(folder / name),
        }

    @classmethod
    def load_from_dir(
        cls, filepath: str | Path, unigram_encoding: str | None = None
    ) -> LanguageModel:
        """What `save_to_dir`, here or there, has written.

        Raises:
            FileFormatError: if the files are others, or the weights.
        """
        paths = cls.parse_directory_contents(filepath)
        attributes = json_of(paths["json_attrs"])
        if not isinstance(attributes, dict) or set(attributes) != set(_ATTRIBUTES):
            raise FileFormatError(
                paths["json_attrs"],
                f"it has {sorted(attributes) if isinstance(attributes, dict) else attributes!r}, "
                f"expected {sorted(_ATTRIBUTES)}",
                remedy="save the decoder anew",
            )
        text = text_of(paths["unigrams"], unigram_encoding)
        model = read_lm(paths["kenlm"])
        try:
            return cls(model, text.splitlines(), **attributes)
        except OptionError as error:
            raise FileFormatError(
                paths["json_attrs"], error.problem, remedy="save the decoder anew"
            ) from error


class MultiLanguageModel(AbstractLanguageModel):
    """Several models, of which the mean counts.

    Args:
        language_models: two or more.

    Raises:
        InvalidValueError: if there are less.
    """

    def __init__(self, language_models: Sequence[AbstractLanguageModel]) -> None:
        if len(language_models) < 2:
            raise InvalidValueError(
                "language_models",
                language_models,
                expected="two models or more",
                remedy="pass a single one to the decoder itself",
            )
        self._language_models = list(language_models)

    @property
    def order(self) -> int:
        """The longest n-gram that one of them knows."""
        return max(lm.order for lm in self._language_models)

    @property
    def unigrams(self) -> frozenset[str]:
        """The words that one of them tells apart; none if one names none, but tells all apart."""
        named = [
            lm.words if isinstance(lm, LanguageModel) else frozenset(lm.unigrams)
            for lm in self._language_models
        ]
        return frozenset[str]().union(*named) if all(named) else frozenset()

    def get_start_state(self) -> list[Any]:
        """Each one's state before the first word."""
        return [lm.get_start_state() for lm in self._language_models]

    def score_partial_token(self, partial_token: str) -> float:
        """What an unfinished word costs on average."""
        costs = [lm.score_partial_token(partial_token) for lm in self._language_models]
        return sum(costs) / len(costs)

    def score(
        self, prev_state: list[Any], word: str, is_last_word: bool = False
    ) -> tuple[float, list[Any]]:
        """What a word is worth on average, and each one's state after it."""
        found = [
            lm.score(state, word, is_last_word=is_last_word)
            for lm, state in zip(self._language_models, prev_state, strict=True)
        ]
        return sum(score for score, _ in found) / len(found), [state for _, state in found]


class Wrapped(BatchedLanguageModel):
    """The model from any state on, with or without ends of sentences, unknown words priced in.

    The compiled search asks the n-grams themselves where none of this is needed.
    """

    def __init__(self, lm: LanguageModel, state: State, *, price_unknown: bool) -> None:
        self._walk = lm.model.native.walk()
        self._lm = lm
        self._start = self._walk.start(state.begin)
        for word in state.words:
            self._start = self._walk.step(self._start, _bytes_of(word))[1]
        self._ends = lm.score_boundary
        self._offset = lm.unk_score_offset if price_unknown else 0.0
        self.highest_score = max(self._offset, 0.0)

    def start(self) -> int:
        """Where the state that it was made with leads."""
        return self._start

    def score_batch(
        self, states: list[Any], words: list[str]
    ) -> tuple[Sequence[float], Sequence[Hashable]]:
        """Word by word."""
        scores, after = [], []
        for state, word in zip(states, words, strict=True):
            score, following = self._walk.step(state, _bytes_of(word))
            scores.append(score + (0.0 if self._lm.is_known(word) else self._offset))
            after.append(following)
        return scores, after

    def finish_batch(self, states: list[Any]) -> list[float]:
        """The end of the sentence, where that counts."""
        return [self._walk.finish(state) if self._ends else 0.0 for state in states]

    def __contains__(self, word: str) -> bool:
        """Whether the n-grams know it."""
        return word in self._lm.model


def names_no_words(lm: AbstractLanguageModel | None) -> bool:
    """Whether a model is to be asked for any word by its text, as no list tells which there are."""
    return lm is not None and not (lm.words if isinstance(lm, LanguageModel) else lm.unigrams)


def load_unigram_set_from_arpa(arpa_path: str | Path) -> set[str]:
    """The 1-grams of an ARPA file.

    Raises:
        FileFormatError: if there are none.
    """
    words = set()
    with Path(arpa_path).open(encoding="utf-8", errors="surrogateescape") as lines:
        within = False
        for line in lines:
            text = line.strip()
            if text.startswith("\\"):
                if within:
                    break
                within = text == "\\1-grams:"
            elif within and text:
                words.add(text.split()[1])
    if not words:
        raise FileFormatError(arpa_path, "it has no 1-grams", remedy="pass unigrams")
    return words


def _copy_model(path: Path, folder: Path) -> None:
    with path.open("rb") as file:
        begin = file.read(len(_KENLM_BEGIN))
    is_packed = begin.startswith(_GZIP_BEGIN)
    name = path.stem if is_packed else path.name
    if Path(name).suffix not in _ENDINGS:
        name += ".binary" if begin == _KENLM_BEGIN else ".arpa"
    if not is_packed:
        shutil.copy2(path, folder / name)
        return
    with gzip.open(path) as packed, (folder / name).open("wb") as file:
        shutil.copyfileobj(packed, file)


def _read(model: Any) -> NgramModel:
    if isinstance(model, NgramModel):
        return model
    path = getattr(model, "path", None)
    if not isinstance(path, str | bytes):
        raise InvalidValueError(
            "kenlm_model", model, expected="a model of a file", remedy="read one with read_lm"
        )
    return read_lm(path.decode() if isinstance(path, bytes) else path)


def _bytes_of(word: str) -> bytes:
    return word.encode(errors="surrogateescape")
