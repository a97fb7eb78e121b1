"""`build_ctcdecoder` and `BeamSearchDecoderCTC`, of which each call asks a `Decoder`."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, MutableMapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final
from weakref import WeakValueDictionary

from numpy.typing import ArrayLike

from sestina.core.errors import FileFormatError, InvalidValueError
from sestina.decoding import language_models
from sestina.decoding.compat.pyctcdecode.abstract_model import UNKNOWN, AbstractLanguageModel, Asked
from sestina.decoding.compat.pyctcdecode.alphabet import (
    BLANK,
    Alphabet,
    lexicon_of,
    read_alphabet,
    silence_of,
    spelled_in,
    token_names,
    verify_alphabet_coverage,
)
from sestina.decoding.compat.pyctcdecode.beams import (
    OutputBeam,
    OutputBeamMPSafe,
    merged,
    words_of_pieces,
)
from sestina.decoding.compat.pyctcdecode.checks import check_number
from sestina.decoding.compat.pyctcdecode.constants import (
    DEFAULT_ALPHA,
    DEFAULT_BEAM_WIDTH,
    DEFAULT_BETA,
    DEFAULT_HOTWORD_WEIGHT,
    DEFAULT_MIN_TOKEN_LOGP,
    DEFAULT_PRUNE_LOGP,
    DEFAULT_UNK_LOGP_OFFSET,
    LOG_BASE_CHANGE_FACTOR,
)
from sestina.decoding.compat.pyctcdecode.hub import fetched
from sestina.decoding.compat.pyctcdecode.language_model import (
    LanguageModel,
    State,
    Wrapped,
    load_unigram_set_from_arpa,
    names_no_words,
)
from sestina.decoding.compat.pyctcdecode.logits import log_probabilities, with_columns
from sestina.decoding.decoder import Decoder
from sestina.decoding.lexicon import Lexicon
from sestina.decoding.options import DecoderOptions
from sestina.decoding.results import Hypothesis
from sestina.decoding.tokens import Tokens

__all__ = ["BeamSearchDecoderCTC", "build_ctcdecoder"]

_ALPHABET_FILE: Final = "alphabet.json"
_MODEL_FOLDER: Final = "language_model"
_MOST_DECODERS: Final = 8  # kept ready, of which each has other weights or hotwords


class BeamSearchDecoderCTC:
    """Turns logits into text.

    Args:
        alphabet: the columns of the logits.
        language_model: of words, or None. One that is no `LanguageModel` is asked in Python, word
            by word.

    Raises:
        InvalidValueError: if the model is no `AbstractLanguageModel`, or the alphabet is one of
            pieces of words, which takes no model of one's own.
    """

    model_container: ClassVar[MutableMapping[bytes, AbstractLanguageModel]] = WeakValueDictionary()
    """The models by their decoders' keys, through which Hugging Face changes weights."""

    def __init__(
        self, alphabet: Alphabet, language_model: AbstractLanguageModel | None = None
    ) -> None:
        if not isinstance(language_model, AbstractLanguageModel | None):
            raise InvalidValueError(
                "language_model",
                language_model,
                expected="an AbstractLanguageModel or None",
                remedy="pass a LanguageModel of it, or derive its class from AbstractLanguageModel",
            )
        if alphabet.is_bpe and not isinstance(language_model, LanguageModel | None):
            raise InvalidValueError(
                "language_model",
                language_model,
                expected="a LanguageModel beside pieces of words",
                remedy="make one of a file",
            )
        self._alphabet = alphabet
        self._lm = language_model
        self._model_key = os.urandom(16)
        if language_model is not None:
            self.model_container[self._model_key] = language_model
        self._by_text = not alphabet.is_bpe and names_no_words(language_model)
        self._tokens = Tokens(token_names(alphabet, as_pieces=self._by_text))
        self._blank = self._tokens[alphabet.labels.index(BLANK)]
        self._silence = "" if alphabet.is_bpe else silence_of(alphabet, self._tokens)
        self._known: Lexicon | None = None  # made when it is first needed
        self._decoders: dict[tuple[Any, ...], Decoder] = {}

    @property
    def _language_model(self) -> AbstractLanguageModel | None:
        return self._lm

    def reset_params(
        self,
        alpha: float | None = None,
        beta: float | None = None,
        unk_score_offset: float | None = None,
        lm_score_boundary: bool | None = None,
    ) -> None:
        """Changes the weights of the language model, if there is one.

        Raises:
            InvalidValueError: if one is no float, or lm_score_boundary no bool.
        """
        given = {
            "alpha": alpha,
            "beta": beta,
            "unk_score_offset": unk_score_offset,
            "score_boundary": lm_score_boundary,
        }
        if self._lm is not None:
            self._lm.reset_params(**{k: v for k, v in given.items() if v is not None})

    @classmethod
    def clear_class_models(cls) -> None:
        """Forgets all keys; decoders keep their models."""
        BeamSearchDecoderCTC.model_container.clear()

    def cleanup(self) -> None:
        """Forgets the model's key; the model goes with its decoder."""
        BeamSearchDecoderCTC.model_container.pop(self._model_key, None)

    def decode(
        self,
        logits: ArrayLike,
        beam_width: int = DEFAULT_BEAM_WIDTH,
        beam_prune_logp: float = DEFAULT_PRUNE_LOGP,
        token_min_logp: float = DEFAULT_MIN_TOKEN_LOGP,
        hotwords: Iterable[str] | None = None,
        hotword_weight: float = DEFAULT_HOTWORD_WEIGHT,
        lm_start_state: Any = None,
    ) -> str:
        """The best text; see `decode_beams`, which is asked with `prune_history=True`."""
        found = self._found(
            [logits],
            beam_width=beam_width,
            beam_prune_logp=beam_prune_logp,
            token_min_logp=token_min_logp,
            prune_history=True,
            hotwords=hotwords,
            hotword_weight=hotword_weight,
            lm_start_state=lm_start_state,
            most=1,
        )
        return found[0][0].text

    def decode_beams(
        self,
        logits: ArrayLike,
        beam_width: int = DEFAULT_BEAM_WIDTH,
        beam_prune_logp: float = DEFAULT_PRUNE_LOGP,
        token_min_logp: float = DEFAULT_MIN_TOKEN_LOGP,
        prune_history: bool = False,
        hotwords: Iterable[str] | None = None,
        hotword_weight: float = DEFAULT_HOTWORD_WEIGHT,
        lm_start_state: Any = None,
    ) -> list[OutputBeam]:
        """The best readings of one utterance, best first.

        Args:
            logits: (frame, label): probabilities if the rows add up to 1, else logits or their
                logarithms.
            beam_width: how many readings are kept.
            beam_prune_logp: how far below the best one a reading may score, below 0.
            token_min_logp: labels below are no part of a frame, unless they are its best.
            prune_history: whether readings that the model can't tell apart any more become one.
            hotwords: words worth more; phrases count word by word.
            hotword_weight: how much, as natural logarithm.
            lm_start_state: what was said before: `last_lm_state` of a reading.

        Raises:
            ShapeError: if the logits are not (frame, label).
            OptionError: for options out of their range.
            NonFiniteError: for logits that are no numbers.
        """
        return self._found(
            [logits],
            beam_width=beam_width,
            beam_prune_logp=beam_prune_logp,
            token_min_logp=token_min_logp,
            prune_history=prune_history,
            hotwords=hotwords,
            hotword_weight=hotword_weight,
            lm_start_state=lm_start_state,
        )[0]

    def decode_batch(
        self,
        pool: Any,
        logits_list: Iterable[ArrayLike],
        beam_width: int = DEFAULT_BEAM_WIDTH,
        beam_prune_logp: float = DEFAULT_PRUNE_LOGP,
        token_min_logp: float = DEFAULT_MIN_TOKEN_LOGP,
        hotwords: Iterable[str] | None = None,
        hotword_weight: float = DEFAULT_HOTWORD_WEIGHT,
    ) -> list[str]:
        """The best text of each; threads do the work, as many as the pool has processes."""
        found = self._found(
            logits_list,
            beam_width=beam_width,
            beam_prune_logp=beam_prune_logp,
            token_min_logp=token_min_logp,
            prune_history=True,
            hotwords=hotwords,
            hotword_weight=hotword_weight,
            most=1,
            threads=_size(pool),
        )
        return [beams[0].text for beams in found]

    def decode_beams_batch(
        self,
        pool: Any,
        logits_list: Iterable[ArrayLike],
        beam_width: int = DEFAULT_BEAM_WIDTH,
        beam_prune_logp: float = DEFAULT_PRUNE_LOGP,
        token_min_logp: float = DEFAULT_MIN_TOKEN_LOGP,
        prune_history: bool = False,
        hotwords: Iterable[str] | None = None,
        hotword_weight: float = DEFAULT_HOTWORD_WEIGHT,
    ) -> list[list[OutputBeamMPSafe]]:
        """The readings of each; threads do the work, as many as the pool has processes."""
        found = self._found(
            logits_list,
            beam_width=beam_width,
            beam_prune_logp=beam_prune_logp,
            token_min_logp=token_min_logp,
            prune_history=prune_history,
            hotwords=hotwords,
            hotword_weight=hotword_weight,
            threads=_size(pool),
        )
        return [[beam.without_state() for beam in beams] for beams in found]

    def save_to_dir(self, filepath: str | Path) -> None:
        """Writes `alphabet.json` and the folder `language_model` into a directory, as theirs does.

        Raises:
            FileExistsError: if the folder is there.
        """
        (Path(filepath) / _ALPHABET_FILE).write_text(self._alphabet.dumps())
        if self._lm is not None:
            folder = Path(filepath) / _MODEL_FOLDER
            folder.mkdir()
            self._lm.save_to_dir(folder)

    @staticmethod
    def parse_directory_contents(filepath: str | Path) -> dict[str, str | None]:
        """The paths of `alphabet` and `language_model`, the latter None if there is none.

        Raises:
            FileFormatError: if there is no alphabet, or something else than a model beside it.
        """
        folder = Path(filepath)
        found = {file.name for file in folder.iterdir() if not file.name.startswith((".", "__"))}
        others = found - {_ALPHABET_FILE}
        if _ALPHABET_FILE not in found or (others and _MODEL_FOLDER not in others):
            raise FileFormatError(
                folder,
                f"it has {sorted(found)}, expected {_ALPHABET_FILE} and maybe {_MODEL_FOLDER}",
                remedy="save the decoder anew",
            )
        model = str(folder / _MODEL_FOLDER) if others else None
        return {"alphabet": str(folder / _ALPHABET_FILE), "language_model": model}

    @classmethod
    def load_from_dir(
        cls, filepath: str | Path, unigram_encoding: str | None = None
    ) -> BeamSearchDecoderCTC:
        """What `save_to_dir`, here or there, has written.

        Raises:
            FileFormatError: if files are missing or others than expected.
        """
        paths = cls.parse_directory_contents(filepath)
        alphabet = read_alphabet(str(paths["alphabet"]))
        folder = paths["language_model"]
        lm = None if folder is None else LanguageModel.load_from_dir(folder, unigram_encoding)
        return cls(alphabet, lm)

    @classmethod
    def load_from_hf_hub(
        cls, model_id: str, cache_dir: str | Path | None = None, **kwargs: Any
    ) -> BeamSearchDecoderCTC:
        """A decoder from Hugging Face's hub, which needs the package huggingface_hub.

        Args:
            model_id: the name of a repository that holds what `save_to_dir` writes.
            cache_dir: where files are kept; `~/.cache/pyctcdecode` if not given.
            kwargs: more of what `huggingface_hub.snapshot_download` takes, as `revision`.

        Raises:
            ImportError: if huggingface_hub is not installed; the message says which files to place
                where instead.
            FileFormatError: if the repository holds something else.
        """
        return cls.load_from_dir(fetched(model_id, cache_dir, **kwargs))

    def _found(
        self,
        logits_list: Iterable[ArrayLike],
        *,
        beam_width: int,
        beam_prune_logp: float,
        token_min_logp: float,
        prune_history: bool,
        hotwords: Iterable[str] | None,
        hotword_weight: float,
        lm_start_state: Any = None,
        most: int | None = None,
        threads: int = 1,
    ) -> list[list[OutputBeam]]:
        check_number("beam_prune_logp", beam_prune_logp, finite=False)
        check_number("hotword_weight", hotword_weight)
        num_labels, num_tokens = len(self._alphabet.labels), len(self._tokens)
        emissions = [
            with_columns(log_probabilities(logits, num_labels, token_min_logp), num_tokens)
            for logits in logits_list
        ]
        start: Any = lm_start_state
        if start is None and self._lm is not None:
            start = self._lm.get_start_state()
        words = {word for phrase in hotwords or () for word in phrase.split()}
        if words and self._alphabet.is_bpe:
            raise InvalidValueError(
                "hotwords",
                sorted(words),
                expected="none with pieces of words",
                remedy="use sestina.decoding.Decoder, whose hotwords are spelled with pieces",
            )
        can_be = (word for word in sorted(words) if spelled_in(word, self._tokens))
        worth = dict.fromkeys(can_be, float(hotword_weight))
        options = self._options(beam_width, beam_prune_logp, prune_history=prune_history)
        decoder = self._decoder(options, worth, start)
        nbest = beam_width if self._by_text else most or beam_width
        found = decoder.decode_batch(emissions, nbest=nbest, threads=threads)
        beams = [[self._beam(one, start, worth) for one in hypotheses] for hypotheses in found]
        return [merged(each) for each in beams] if self._by_text else beams

    def _options(
        self, beam_width: int, beam_prune_logp: float, *, prune_history: bool
    ) -> DecoderOptions:
        lm = self._lm
        weight, beta, offset = 1.0, 0.0, 0.0
        if isinstance(lm, LanguageModel) and not self._by_text:
            weight, beta = lm.alpha * LOG_BASE_CHANGE_FACTOR, lm.beta
            # Without texts of its words the model itself prices what it does not know.
            offset = lm.unk_score_offset if lm.words else 0.0
        elif lm is not None:
            weight = LOG_BASE_CHANGE_FACTOR  # its scores have their weights
        return DecoderOptions(
            beam_size=beam_width,
            beam_threshold=-beam_prune_logp,
            lm_weight=weight,
            word_score=beta,
            unk_score=weight * offset,
            open_vocabulary=not self._alphabet.is_bpe or lm is not None,
            log_add=True,
            # To a model of one's own all unknown words are one, which must not add up.
            merge="context" if prune_history and isinstance(lm, LanguageModel) else "history",
            blank=self._blank,
            silence=self._silence,
        )

    def _decoder(self, options: DecoderOptions, worth: dict[str, float], start: Any) -> Decoder:
        lm = self._lm
        if not isinstance(lm, LanguageModel | None):
            return self._made(options, worth, start)  # its states need not be keys
        weights = (lm.alpha, lm.beta, lm.unk_score_offset, lm.score_boundary) if lm else ()
        key = (options, tuple(worth.items()), start, weights)
        found = self._decoders.get(key)
        if found is None:
            if len(self._decoders) >= _MOST_DECODERS:
                self._decoders.clear()
            found = self._decoders[key] = self._made(options, worth, start)
        return found

    def _made(self, options: DecoderOptions, worth: dict[str, float], start: Any) -> Decoder:
        lm = self._lm
        if self._alphabet.is_bpe and lm is None:
            return Decoder(self._tokens, None, options)
        if self._by_text and lm is not None:
            return Decoder(self._tokens, Asked(lm, start, worth), options)
        if self._known is None:
            words: Iterable[str] = ()
            if lm is not None:
                words = lm.words if isinstance(lm, LanguageModel) else lm.unigrams
            self._known = lexicon_of(words, self._tokens, self._silence)
        known: Lexicon | Tokens = self._known
        if not len(self._known):
            # A decoder would spell its hotwords itself, but an empty lexicon tells not how words
            # end, as pieces do.
            known = self._tokens
            if not self._alphabet.is_bpe:
                known = lexicon_of(worth, self._tokens, self._silence)
        if not isinstance(lm, LanguageModel | None):
            return Decoder(known, Asked(lm, start), options, hotwords=worth)
        if lm is None or lm.alpha == 0.0:
            return Decoder(known, None, options, hotwords=worth)
        if lm.words:
            # Hotwords are in the decoder's lexicon, so what unknown ones cost is theirs to bear.
            worth = {
                word: weight if lm.is_known(word) else weight + options.unk_score
                for word, weight in worth.items()
            }
        plain = lm.words and lm.score_boundary and start == State((), begin=True)
        model: language_models.LanguageModel = (
            lm.model if plain else Wrapped(lm, start, price_unknown=not lm.words)
        )
        return Decoder(known, model, options, hotwords=worth)

    def _beam(self, hypothesis: Hypothesis, start: Any, worth: dict[str, float]) -> OutputBeam:
        if self._alphabet.is_bpe:
            frames = words_of_pieces(hypothesis)
        else:
            frames = [(word.text, (word.start, word.end)) for word in hypothesis.words]
        words = [word for word, _ in frames]
        gained = sum(worth.get(word, 0.0) for word in words)
        after = None
        if isinstance(self._lm, LanguageModel):
            gained += self._lm.total(start, words)
            after = self._lm.after(start, words)
        elif self._lm is not None:
            after = start
            apart = {*words} if self._by_text else self._known or ()
            asked = [word if word in apart or word in worth else UNKNOWN for word in words]
            for number, word in enumerate(asked, 1):
                score, after = self._lm.score(after, word, is_last_word=number == len(words))
                gained += score
        score = hypothesis.score
        return OutputBeam(" ".join(words), after, frames, score - gained, score)


def build_ctcdecoder(
    labels: Sequence[str],
    kenlm_model_path: str | None = None,
    unigrams: Collection[str] | None = None,
    alpha: float = DEFAULT_ALPHA,
    beta: float = DEFAULT_BETA,
    unk_score_offset: float = DEFAULT_UNK_LOGP_OFFSET,
    lm_score_boundary: bool = True,
) -> BeamSearchDecoderCTC:
    """A decoder of a model's labels, with the language model of a file.

    Args:
        labels: as `Alphabet.build_alphabet` takes them.
        kenlm_model_path: an ARPA file, KenLM's binary one, or none.
        unigrams: the words that are known; those of an ARPA file if not given.
        alpha: weight of the model.
        beta: added for each word.
        unk_score_offset: added, in log10, to the score of a word that is not known.
        lm_score_boundary: whether a result is a sentence, with its begin and its end.

    Raises:
        InvalidValueError: for labels that don't fit.
        FileFormatError: if the model's file can't be read.
    """
    alphabet = Alphabet.build_alphabet(labels)
    if kenlm_model_path is None:
        return BeamSearchDecoderCTC(alphabet)
    if unigrams is None and str(kenlm_model_path).endswith(".arpa"):
        unigrams = load_unigram_set_from_arpa(kenlm_model_path)
    if unigrams is not None:
        verify_alphabet_coverage(alphabet, unigrams)
    lm = LanguageModel(
        language_models.read_lm(kenlm_model_path),
        unigrams,
        alpha=alpha,
        beta=beta,
        unk_score_offset=unk_score_offset,
        score_boundary=lm_score_boundary,
    )
    return BeamSearchDecoderCTC(alphabet, lm)


def _size(pool: Any) -> int:
    return max(getattr(pool, "_processes", 1), 1)
