"""`ctc_decoder` and what it returns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sestina.core.errors import InvalidValueError, NonFiniteError
from sestina.decoding import _native
from sestina.decoding.compat.flashlight.decoder import (
    LM,
    CriterionType,
    KenLM,
    LexiconDecoder,
    LexiconDecoderOptions,
    LexiconFreeDecoder,
    LexiconFreeDecoderOptions,
    LMState,
    SmearingMode,
    Trie,
    ZeroLM,
)
from sestina.decoding.compat.flashlight.decoder.results import RawResult
from sestina.decoding.compat.flashlight.dictionary import Dictionary, create_word_dict
from sestina.decoding.compat.torchaudio.lexicon_file import read_lexicon, words_of

__all__ = ["CTCDecoder", "CTCDecoderLM", "CTCDecoderLMState", "CTCHypothesis", "ctc_decoder"]


class CTCHypothesis(NamedTuple):
    """One reading of an utterance."""

    tokens: torch.Tensor
    """(token,) int64 indices, with a silence before the first frame and one after the last."""
    words: list[str]
    """None without a lexicon."""
    score: float
    timesteps: torch.Tensor
    """(token,) int32; the frame in which each token starts, counted from 1, as 0 is that of the
    silence before the first one."""


class CTCDecoderLMState(LMState):
    """What a language model of yours remembers. States that are one object merge hypotheses."""


class CTCDecoderLM(LM):
    """A language model of yours: `start`, `score` and `finish`.

    Words are indices of the decoder's `word_dict`, or of its `tokens_dict` without a lexicon.
    Scores are log10 of probabilities, since `lm_weight` is made for these.
    """

    def start(self, start_with_nothing: bool) -> CTCDecoderLMState:
        """The state at the start of a sentence, or without any context."""
        raise NotImplementedError

    def score(self, state: LMState, usr_token_idx: int) -> tuple[LMState, float]:
        """The state after a word, and the word's score."""
        raise NotImplementedError

    def finish(self, state: LMState) -> tuple[LMState, float]:
        """The state after the sentence, and the score of its end."""
        raise NotImplementedError


class CTCDecoder:
    """Turns emissions into words; made by `ctc_decoder`.

    Attributes:
        nbest: how many hypotheses it returns at most.
        word_dict: the words' indices, or None without a lexicon and a model from a file.
        tokens_dict: the tokens' indices.
        blank: the blank's index.
        decoder: the search.
        lm: the language model.
    """

    def __init__(
        self,
        nbest: int,
        lexicon: Mapping[str, Sequence[Sequence[str]]] | _native.Lexicon | None,
        word_dict: Dictionary | None,
        tokens_dict: Dictionary,
        lm: LM,
        decoder_options: LexiconDecoderOptions | LexiconFreeDecoderOptions,
        blank_token: str,
        sil_token: str,
        unk_word: str,
    ) -> None:
        self.nbest = nbest
        self.word_dict = word_dict
        self.tokens_dict = tokens_dict
        self.blank = tokens_dict.get_index(blank_token)
        silence = tokens_dict.get_index(sil_token)
        self.decoder: LexiconDecoder | LexiconFreeDecoder
        if isinstance(decoder_options, LexiconDecoderOptions):
            if not lexicon or word_dict is None:
                raise ValueError("lexicon is empty, expected one word or more; pass one, or None")
            self.decoder = LexiconDecoder(
                options=decoder_options,
                trie=_trie(tokens_dict, word_dict, lexicon, lm, silence),
                lm=lm,
                sil_token_idx=silence,
                blank_token_idx=self.blank,
                unk_token_idx=word_dict.get_index(unk_word),
                transitions=[],
                is_token_lm=False,
            )
        else:
            self.decoder = LexiconFreeDecoder(
                options=decoder_options,
                lm=lm,
                sil_token_idx=silence,
                blank_token_idx=self.blank,
                transitions=[],
            )
        self.lm = lm

    def __call__(
        self, emissions: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> list[list[CTCHypothesis]]:
        """The best readings of each utterance, best first; none if no path has a score.

        Utterances are decoded on `torch.get_num_threads()` threads.

        Args:
            emissions: (batch, frame, token) float32 logarithms of probabilities, on the CPU.
            lengths: (batch,) frames of each utterance; all of them if not given.

        Raises:
            ValueError: if the emissions are not float32, a length is not within the frames, or NaN
                or plus infinity is within the lengths.
            RuntimeError: if they are not on the CPU, not contiguous or not 3-D.
        """
        self._check(emissions, num_axes=3)
        if lengths is not None and not lengths.is_cpu:
            raise RuntimeError("lengths must be a CPU tensor.")
        scores_btn = emissions.detach().numpy()
        num_frames = scores_btn.shape[1]
        utterances = []
        for place, scores_tn in enumerate(scores_btn):
            length = num_frames if lengths is None else int(lengths[place])
            if not 0 <= length <= num_frames:
                raise InvalidValueError(
                    f"lengths[{place}]",
                    length,
                    expected=f"0 to {num_frames}, the frames there are",
                    remedy="count frames of the model's output, not samples of sound",
                )
            utterances.append(scores_tn[:length])
            _check_numbers(utterances[-1], f"{place}, ")
        found = self.decoder.decode_many(
            utterances, nbest=self.nbest, threads=torch.get_num_threads()
        )
        return [self._hypotheses(results) for results in found]

    def decode_begin(self) -> None:
        """Starts an utterance that comes in pieces."""
        self.decoder.decode_begin()

    def decode_step(self, emissions: torch.FloatTensor) -> None:
        """Reads on.

        Args:
            emissions: (frame, token) float32 logarithms of probabilities, on the CPU.

        Raises:
            ValueError: if they are not float32, or hold NaN or plus infinity.
            RuntimeError: if they are not on the CPU, not contiguous or not 2-D.
        """
        self._check(emissions, num_axes=2)
        scores_tn = emissions.detach().numpy()
        _check_numbers(scores_tn)
        self.decoder.decode_step(scores_tn)

    def decode_end(self) -> None:
        """Ends the utterance."""
        self.decoder.decode_end()

    def get_final_hypothesis(self) -> list[CTCHypothesis]:
        """The best readings of the utterance that came in pieces."""
        return self._hypotheses(self.decoder.raw_results(self.nbest))

    def idxs_to_tokens(self, idxs: torch.LongTensor) -> list[str]:
        """The tokens of these indices."""
        return [self.tokens_dict.get_entry(int(index)) for index in idxs]

    @staticmethod
    def _check(emissions: torch.Tensor, *, num_axes: int) -> None:
        if emissions.dtype != torch.float32:
            raise ValueError("emissions must be float32.")
        if not emissions.is_cpu:
            raise RuntimeError("emissions must be a CPU tensor.")
        if not emissions.is_contiguous():
            raise RuntimeError("emissions must be contiguous.")
        if emissions.ndim != num_axes:
            raise RuntimeError(f"emissions must be {num_axes}D. Found {emissions.shape}")

    def _hypotheses(self, results: Sequence[RawResult]) -> list[CTCHypothesis]:
        return [self._hypothesis(*result) for result in results]

    def _hypothesis(
        self, score: float, _acoustic: float, _language: float, frames: NDArray[np.int32]
    ) -> CTCHypothesis:
        tokens, words = frames
        ended = words[words >= 0].tolist()
        starts = tokens != self.blank
        starts[1:] &= tokens[1:] != tokens[:-1]
        return CTCHypothesis(
            tokens=torch.from_numpy(tokens[starts].astype(np.int64)),
            words=self.word_dict.map_indices_to_entries(ended) if self.word_dict else [],
            score=score,
            timesteps=torch.from_numpy(np.flatnonzero(starts).astype(np.int32)),
        )


def _check_numbers(scores_tn: NDArray[np.float32], utterance: str = "") -> None:
    """Refuses NaN, of which Flashlight's search would silently drop the paths."""
    with np.errstate(invalid="ignore"):  # opposite infinities make NaN, too: the second look tells
        total = scores_tn.sum(dtype=np.float64)
    found = np.argwhere(np.isnan(scores_tn)) if np.isnan(total) else np.empty((0, 2), np.int64)
    if len(found):
        frame, token = found[0].tolist()
        raise NonFiniteError(
            f"emissions[{utterance}{frame}, {token}]",
            math.nan,
            expected="logarithms of probabilities",
            remedy="look at what the model was given; masked frames belong beyond the lengths",
        )


def _trie(
    tokens_dict: Dictionary,
    word_dict: Dictionary,
    lexicon: Mapping[str, Sequence[Sequence[str]]] | _native.Lexicon,
    lm: LM,
    silence: int,
) -> Trie:
    """The spellings, each with its word's score at the start of a sentence."""
    trie = Trie(tokens_dict.index_size(), silence)
    if isinstance(lexicon, _native.Lexicon):
        words = words_of(lexicon)
        labels = [-1 if word == _UNKNOWN else word_dict.get_index(word) for word in words]
        scores = _first_scores(lm, labels)
        trie.native.insert_lexicon(lexicon, np.array(labels, np.int32), scores)
    else:
        labels = word_dict.map_entries_to_indices(lexicon)
        scores = _first_scores(lm, labels)
        for label, score, spellings in zip(labels, scores, lexicon.values(), strict=True):
            for spelling in spellings:
                trie.insert(tokens_dict.map_entries_to_indices(spelling), label, float(score))
    trie.smear(SmearingMode.MAX)
    return trie


_UNKNOWN = "<unk>"


def _first_scores(lm: LM, labels: Sequence[int]) -> NDArray[np.float32]:
    if isinstance(lm, ZeroLM):
        return np.zeros(len(labels), np.float32)
    if isinstance(lm, KenLM):
        ids = [lm.ids[label] if label >= 0 else 0 for label in labels]
        return np.array(_native.first_scores(lm.model.native, ids), np.float32)
    start = lm.start(False)
    scores = [lm.score(start, label)[1] if label >= 0 else 0.0 for label in labels]
    with np.errstate(over="ignore"):  # what single precision lacks is infinite, and refused as that
        return np.array(scores, np.float32)


def ctc_decoder(
    lexicon: str | None,
    tokens: str | list[str],
    lm: str | CTCDecoderLM | None = None,
    lm_dict: str | None = None,
    nbest: int = 1,
    beam_size: int = 50,
    beam_size_token: int | None = None,
    beam_threshold: float = 50,
    lm_weight: float = 2,
    word_score: float = 0,
    unk_score: float = -math.inf,
    sil_score: float = 0,
    log_add: bool = False,
    blank_token: str = "-",
    sil_token: str = "|",
    unk_word: str = "<unk>",
) -> CTCDecoder:
    """A beam search for words with a lexicon, or for tokens without one.

    Args:
        lexicon: a file of lines `WORD token token …`, or None.
        tokens: a file with a token a line, in the order of the emissions' columns, or the tokens.
        lm: an n-gram model's file (ARPA, or KenLM's), a language model of yours, or None.
        lm_dict: a file with a word a line, which numbers the words for the language model.
        nbest: how many hypotheses are returned at most.
        beam_size: hypotheses kept after each frame.
        beam_size_token: tokens tried in each frame; all if not given.
        beam_threshold: how far below the best one of its frame a hypothesis may score.
        lm_weight: what the language model's scores are multiplied with.
        word_score: added for each word.
        unk_score: added for a word that the lexicon lacks.
        sil_score: added for each frame of silence.
        log_add: whether the paths of a hypothesis add up; else the best one counts.
        blank_token: CTC's blank.
        sil_token: the token between words.
        unk_word: what stands for words that the lexicon lacks.

    Raises:
        ValueError: if `lm_dict` is no path, or a token or word is unknown.
        RuntimeError: if a file can't be read.
    """
    if lm_dict is not None and type(lm_dict) is not str:
        raise ValueError("lm_dict must be None or str type.")
    tokens_dict = Dictionary(tokens)
    beam_size_token = beam_size_token or tokens_dict.index_size()
    spellings = read_lexicon(lexicon, tokens_dict) if lexicon else None
    shared: dict[str, Any] = {
        "beam_size": beam_size,
        "beam_size_token": beam_size_token,
        "beam_threshold": beam_threshold,
        "lm_weight": lm_weight,
        "sil_score": sil_score,
        "log_add": log_add,
        "criterion_type": CriterionType.CTC,
    }
    options: LexiconDecoderOptions | LexiconFreeDecoderOptions = (
        LexiconFreeDecoderOptions(**shared)
        if spellings is None
        else LexiconDecoderOptions(word_score=word_score, unk_score=unk_score, **shared)
    )
    word_dict = _word_dict(spellings, lm, lm_dict, tokens_dict, unk_word)
    if isinstance(lm, str):
        # There is a dictionary of something whenever there is a model from a file.
        model: LM = KenLM(lm, word_dict or tokens_dict)
    else:
        model = ZeroLM() if lm is None else lm
    return CTCDecoder(
        nbest=nbest,
        lexicon=spellings,
        word_dict=word_dict,
        tokens_dict=tokens_dict,
        lm=model,
        decoder_options=options,
        blank_token=blank_token,
        sil_token=sil_token,
        unk_word=unk_word,
    )


def _word_dict(
    lexicon: _native.Lexicon | None,
    lm: str | CTCDecoderLM | None,
    lm_dict: str | None,
    tokens_dict: Dictionary,
    unk_word: str,
) -> Dictionary | None:
    if lm_dict is not None:
        return Dictionary(lm_dict)
    if lexicon is not None:
        words = (word for word in words_of(lexicon) if word != _UNKNOWN)
        return create_word_dict(dict.fromkeys((*words, _UNKNOWN), ()))
    if isinstance(lm, str):
        names = tokens_dict.map_indices_to_entries(range(tokens_dict.index_size()))
        return create_word_dict(dict.fromkeys((*names, unk_word), ()))
    return None
