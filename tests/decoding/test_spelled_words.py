"""Pieces of words with a language model of words and no lexicon, or one that lacks some.

The oracle puts together the words of every path, and asks the model about each sentence.
"""

import itertools
import math

import numpy as np
import pytest

from sestina.core.errors import OptionError
from sestina.decoding import (
    BatchedLanguageModel,
    Decoder,
    DecoderOptions,
    Lexicon,
    Tokens,
    read_arpa,
)
from tests.decoding.forgetful import Forgetful
from tests.decoding.plain_search import collapsed
from tests.parity.pyctcdecode_problems import PIECES_ARPA

TOKENS = {
    "sentencepiece": ["-", "▁a", "▁b", "a", "b"],
    "wordpiece": ["-", "a", "b", "##a", "##b"],
}
KNOWN = {"a", "b", "ab", "bab", "baa"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "words.arpa"
    path.write_text(PIECES_ARPA)
    return read_arpa(path)


def words_of(names, style):
    """The words that these pieces make."""
    words = []
    for name in names:
        begins = name.startswith("▁") if style == "sentencepiece" else not name.startswith("##")
        text = name.removeprefix("▁").removeprefix("##")
        if begins or not words:
            words.append(text)
        else:
            words[-1] += text
    return words


class Case:
    """A decoder, emissions, and what all paths say."""

    def __init__(self, style, seed, vocabulary, lm, **options):
        rng = np.random.default_rng(seed)
        self.style, self.lm, self.names = style, lm, TOKENS[style]
        tokens = Tokens(self.names)
        self.known = KNOWN if lm is not None else set()
        if vocabulary == "lexicon":  # lacks some words that the model knows; has one that it lacks
            self.known = {"ab", "b", "aab"}
            begin = "▁" if style == "sentencepiece" else ""
            inside = "" if style == "sentencepiece" else "##"
            spellings = {
                word: " ".join([begin + word[0], *(inside + letter for letter in word[1:])])
                for word in self.known
            }
            tokens = Lexicon.from_spellings(spellings, tokens)
        self.options = DecoderOptions(
            beam_size=100_000,
            beam_threshold=1e9,
            open_vocabulary=True,
            silence="",
            word_score=0.4,
            unk_score=-0.9,
            lm_weight=1.3,
            **options,
        )
        self.decoder = Decoder(tokens, lm, self.options)
        self.scores = rng.normal(size=(5, len(self.names))).astype(np.float32)

    def added(self, words):
        """What words score besides the acoustics."""
        unknown = sum(word not in self.known for word in words)
        score = self.options.word_score * len(words) + self.options.unk_score * unknown
        return score + self.options.lm_weight * self.language(words)

    def language(self, words):
        if self.lm is None:
            return 0.0
        return sum(self.lm.scores(list(words)))

    def by_words(self):
        """The score of each sequence of words, however they are spelled."""
        found = {}
        add = np.logaddexp if self.options.log_add else max
        for path in itertools.product(range(len(self.names)), repeat=len(self.scores)):
            words = tuple(words_of([self.names[n] for n in collapsed(path)], self.style))
            score = sum(float(self.scores[t, n]) for t, n in enumerate(path)) + self.added(words)
            found[words] = add(found.get(words, -math.inf), score)
        return found


WITH_LM = [(style, vocabulary, True) for style in TOKENS for vocabulary in ("tokens", "lexicon")]
WITHOUT_LM = [("sentencepiece", "lexicon", False), ("wordpiece", "tokens", False)]


@pytest.mark.parametrize(("style", "vocabulary", "with_lm"), WITH_LM + WITHOUT_LM)
@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_all_sequences_of_words(style, vocabulary, with_lm, log_add, seed, model):
    lm = model if with_lm else None
    case = Case(style, seed, vocabulary, lm, log_add=log_add, merge="history")
    found = case.decoder.decode(case.scores, nbest=100_000)
    by_words = {tuple(word.text for word in one.words): one.score for one in found}
    assert len(by_words) == len(found)
    assert by_words == pytest.approx(case.by_words(), abs=1e-4)
    for one in found[:50]:
        words = [word.text for word in one.words]
        assert words == words_of([token.text for token in one.tokens], style)
        assert one.language_score == pytest.approx(case.language(words), abs=1e-4)
        if not log_add:
            rest = case.added(words) - case.options.lm_weight * case.language(words)
            parts = one.acoustic_score + case.options.lm_weight * one.language_score + rest
            assert one.score == pytest.approx(parts, abs=1e-4)


@pytest.mark.parametrize(("style", "vocabulary", "_"), WITH_LM)
@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_words_that_the_model_cannot_tell_apart_are_one(style, vocabulary, _, log_add, seed, model):
    case = Case(style, seed, vocabulary, model, log_add=log_add, merge="context")
    by_state = {}
    for words, score in case.by_words().items():
        walk = model.native.walk()
        state = walk.start(True)
        for word in words[:-1]:
            state = walk.step(state, word.encode())[1]
        by_state.setdefault((state, words[-1] if words else ""), []).append(score)
    add = np.logaddexp.reduce if log_add else max
    expected = sorted(map(add, by_state.values()), reverse=True)
    found = case.decoder.decode(case.scores, nbest=100_000)
    assert [one.score for one in found] == pytest.approx(expected, abs=1e-4)


def test_streams_and_confidences(model):
    decoder = Decoder(
        Tokens(TOKENS["sentencepiece"]),
        model,
        DecoderOptions(open_vocabulary=True, silence="", unk_score=-9.0, beam_size=20),
    )
    scores = 2 * np.random.default_rng(5).normal(size=(40, 5)).astype(np.float32)
    whole = decoder.decode(scores, confidence=True)[0]
    stream = decoder.stream()
    for frame in range(0, len(scores), 3):
        stream.step(scores[frame : frame + 3])
    assert stream.best()[0].text == whole.text
    assert stream.best()[0].score == whole.score
    assert len(whole.words) > 1
    assert all(0 < word.confidence <= 1 for word in whole.words)


@pytest.mark.parametrize("merge", ["history", "context"])
@pytest.mark.parametrize("seed", range(5))
def test_what_is_not_needed_any_more_is_forgotten(merge, seed, model):
    options = DecoderOptions(
        open_vocabulary=True, silence="", unk_score=-4.0, beam_size=12, merge=merge, log_add=True
    )
    tokens = Tokens(TOKENS["wordpiece"])
    scores = 2 * np.random.default_rng(seed).normal(size=(80, 5)).astype(np.float32)
    found = Decoder(tokens, model, options).decode(scores, nbest=5)
    assert Forgetful(tokens, model, options).decode(scores, nbest=5) == found


def test_hotwords_are_found_more_easily(model):
    case = Case("sentencepiece", 1, "tokens", model)
    plain = case.decoder.decode(case.scores)[0]
    assert "bb" not in plain.text.split()
    boosted = Decoder(case.decoder.tokens, model, case.options, hotwords={"bb": 20.0})
    best = boosted.decode(case.scores)[0]
    assert "bb" in best.text.split()
    words = [word.text for word in best.words]
    assert best.language_score == pytest.approx(case.language(words), abs=1e-3)
    assert best.hotword_score == pytest.approx(20.0 * words.count("bb"), abs=1e-3)


class Lengths(BatchedLanguageModel):
    """Long words are improbable."""

    fails = False

    def start(self):
        return None

    def score_batch(self, states, words):
        if self.fails:
            raise RuntimeError("out of order")
        return [-0.3 * len(word) for word in words], words


def test_a_model_of_ones_own_is_asked_from_all_threads():
    options = DecoderOptions(open_vocabulary=True, silence="", unk_score=-1.0, beam_size=20)
    lm = Lengths()
    decoder = Decoder(Tokens(TOKENS["wordpiece"]), lm, options)
    rng = np.random.default_rng(2)
    scores = np.full((12, 5), -9.0, np.float32)
    scores[np.arange(12), [1, 0, 2, 0, 3, 0, 1, 0, 2, 4, 0, 0]] = 0.0  # a, ba, a, bb
    scores = [scores + rng.normal(size=(12, 5)).astype(np.float32) / 9 for _ in range(12)]
    found = decoder.decode_batch(scores, threads=4)
    assert {one[0].text for one in found} == {"a ba a bb"}
    assert [one[0].score for one in found] == [decoder.decode(one)[0].score for one in scores]
    lm.fails = True
    with pytest.raises(RuntimeError, match="out of order"):
        decoder.decode_batch(scores, threads=4)
    lm.fails = False
    assert decoder.decode(scores[0])[0].text == "a ba a bb"


def test_what_cannot_be_is_refused(model):
    tokens = Tokens(TOKENS["sentencepiece"])
    options = DecoderOptions(open_vocabulary=True, silence="", unk_score=-1.0, lm_weight=0.0)
    with pytest.raises(OptionError, match="lm_weight is 0"):
        Decoder(tokens, model, options)
    letters = Tokens(["-", "a", "b"])
    with pytest.raises(OptionError, match=r"silence .*expected a token that ends words"):
        Decoder(letters, model, DecoderOptions(open_vocabulary=True, silence="", unk_score=-1.0))
