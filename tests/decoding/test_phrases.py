"""Automata of phrases against counting; with searches: test_decoder_modes.py."""

import math

import numpy as np
import pytest

from sestina.core.errors import InvalidValueError, OptionError
from sestina.decoding import (
    BatchedLanguageModel,
    Decoder,
    DecoderOptions,
    Grammar,
    Lexicon,
    Tokens,
)
from sestina.decoding.phrases import allowing, boosting, spelled


def count(phrase, symbols):
    starts = range(len(symbols) - len(phrase) + 1)
    return sum(tuple(symbols[at : at + len(phrase)]) == phrase for at in starts)


@pytest.mark.parametrize("seed", range(40))
def test_a_sequence_scores_what_its_phrases_do(seed):
    rng = np.random.default_rng(seed)
    phrases = {
        tuple(rng.choice(list("ab|"), size=rng.integers(1, 5))): float(rng.normal())
        for _ in range(rng.integers(1, 6))
    }
    symbols = list(rng.choice(list("ab|x"), size=30))
    expected = sum(score * count(phrase, symbols) for phrase, score in phrases.items())
    assert boosting(phrases).score(symbols) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("seed", range(10))
def test_a_separator_is_there_before_and_after(seed):
    rng = np.random.default_rng(seed)
    phrases = {("|", "a", "|"): 2.0, ("|", "a", "b", "|"): -1.0, ("|", "b", "|", "a", "|"): 4.0}
    symbols = list(rng.choice(list("ab|"), size=12))
    expected = sum(score * count(phrase, ["|", *symbols, "|"]) for phrase, score in phrases.items())
    automaton = boosting(phrases, separator="|")
    # What was paid ahead for the separator at the start is not taken back: it is worth nothing.
    assert automaton.score(symbols) == pytest.approx(expected, abs=1e-4)


def test_a_grammar_of_tokens_says_its_phrases_only():
    automaton = allowing(Grammar.of_phrases(["a", "ab b"]), tokens=Tokens("-|ab"), separator="|")
    assert [automaton.score(list(said)) for said in ("a", "|a|", "ab|b", "ab||b|")] == [0] * 4
    assert all(
        automaton.score(list(said)) == -math.inf for said in ("", "b", "ab", "a|b", "abb", "aa")
    )


def test_words_are_spelled_with_the_longest_pieces():
    assert spelled("abc", Tokens("-|abc")) == ("a", "b", "c")
    assert spelled("hello", Tokens(["<b>", "▁he", "▁hel", "lo", "l", "o"])) == ("▁hel", "lo")
    assert spelled("hello", Tokens(["<b>", "he", "##l", "##lo"])) == ("he", "##l", "##lo")
    with pytest.raises(InvalidValueError, match="letters that are tokens"):
        spelled("né", Tokens("-|abcn"))


def test_bad_input_is_named():
    with pytest.raises(InvalidValueError, match="one arc of state 0"):
        Grammar([(0, "a", 1), (0, "a", 2)], final={1})
    with pytest.raises(InvalidValueError, match="states from 0"):
        Grammar([(0, "a", -1)], final={1})
    for word in ("", "a b"):
        with pytest.raises(InvalidValueError, match="the word without white space"):
            Grammar([(0, word, 1)], final={1})
    with pytest.raises(InvalidValueError, match="phrases is 'ab', expected several"):
        Grammar.of_phrases("ab")
    tokens = Tokens("-|ab")
    lexicon = Lexicon.from_spellings({"ab": "a b |"}, tokens)
    with pytest.raises(OptionError, match="none beside a grammar"):
        Decoder(lexicon, hotwords={"ab": 1.0}, grammar=["ab"])
    with pytest.raises(OptionError, match="one word or more"):
        Decoder(lexicon, hotwords={" ": 1.0})
    with pytest.raises(InvalidValueError, match="letters that are tokens"):
        Decoder(lexicon, None, DecoderOptions(), hotwords={"xyz": 1.0})


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, 1e39, "5"])
@pytest.mark.parametrize("vocabulary", ["lexicon", "tokens"])
def test_scores_of_hotwords_are_numbers(score, vocabulary):
    tokens = Tokens("-|ab")
    lexicon = Lexicon.from_spellings({"ab": "a b |"}, tokens)
    with pytest.raises(OptionError, match=r"hotwords\['ab'\] is .* expected a score from"):
        Decoder(lexicon if vocabulary == "lexicon" else tokens, hotwords={"ab": score})


def test_hotwords_are_a_mapping_of_texts():
    for given in (["ab"], {1: 1.0}):
        with pytest.raises(InvalidValueError, match="hotwords"):
            Decoder(Tokens("-|ab"), hotwords=given)


def test_a_hotword_that_the_lexicon_lacks_is_found():
    tokens = Tokens("-|abn")
    lexicon = Lexicon.from_spellings({"ab": "a b |"}, tokens)
    scores = np.full((4, 5), -4.0, dtype=np.float32)
    for frame, token in enumerate("nab|"):
        scores[frame, "-|abn".index(token)] = -0.1
    decoder = Decoder(lexicon, hotwords={"nab": 3.0})
    assert decoder.decode(scores)[0].text == "nab"
    assert "nab" not in decoder.vocabulary


def test_arcs_and_states_of_other_kinds_are_named():
    for state in (0.5, math.nan, True, 1 << 30):
        with pytest.raises(InvalidValueError, match="expected states from 0 to"):
            Grammar([(0, "a", state)], final={1})
        with pytest.raises(InvalidValueError, match=r"final is .*expected states from 0 to"):
            Grammar([(0, "a", 1)], final=[state])
    with pytest.raises(InvalidValueError, match="final is -1"):
        Grammar([(0, "a", 1)], final={-1})
    with pytest.raises(InvalidValueError, match=r"arcs is .*expected a sequence"):
        Grammar(((0, word, 1) for word in "ab"), final={1})
    with pytest.raises(InvalidValueError, match=r"arc is .*expected"):
        Grammar([(0, b"a", 1)], final={1})
    with pytest.raises(InvalidValueError, match="phrases is 5"):
        Grammar.of_phrases(5)
    with pytest.raises(InvalidValueError, match=r"phrase is b'ab'"):
        Grammar.of_phrases([b"ab"])


def test_words_are_parted_as_those_of_a_lexicon_are():
    tokens = Tokens([*"-|ab", "\u00a0"])
    lexicon = Lexicon.from_spellings({"a\u00a0b": "a \u00a0 b |", "a": "a |"}, tokens)
    emissions = sure("a\u00a0b|", tokens)
    assert Decoder(lexicon, grammar=["a\u00a0b"]).decode(emissions)[0].text == "a\u00a0b"
    best = Decoder(lexicon, hotwords={"a\u00a0b": 2.0}).decode(emissions)[0]
    assert best.hotword_score == pytest.approx(2)


def test_a_hotword_may_be_there_once():
    with pytest.raises(OptionError, match=r"hotwords is ab  a, expected other words than 'ab a'"):
        Decoder(Tokens("-|ab"), hotwords={"ab a": 3.0, "ab  a": 1.0})


def test_a_weight_that_cannot_carry_hotwords_is_named():
    tokens = Tokens("-|ab")
    lexicon = Lexicon.from_spellings({"ab": "a b |"}, tokens)
    with pytest.raises(OptionError, match="lm_weight is 1e-40, expected a weight that can carry"):
        Decoder(lexicon, UNIFORM, DecoderOptions(lm_weight=1e-40), hotwords={"ab": 1e6})


def test_words_of_an_open_vocabulary_end_in_its_silence_also_if_they_are_hotwords():
    options = DecoderOptions(open_vocabulary=True, unk_score=-1.0)
    tokens = Tokens("-|ab")
    for more in ({"hotwords": {"a": 6.0}}, {"grammar": ["a b", "ab"]}):
        decoder = Decoder(tokens, options=options, **more)
        assert decoder.decode(sure("ab|", tokens))[0].text == "ab"
        assert decoder.decode(sure("a|b|", tokens))[0].text == "a b"


def sure(text, tokens):
    return np.log([[1.0 if name == letter else 1e-6 for name in tokens] for letter in text])


class _Uniform(BatchedLanguageModel):
    def start(self):
        return ()

    def score_batch(self, states, words):
        return [-1.0] * len(words), states


UNIFORM = _Uniform()
