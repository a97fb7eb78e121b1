"""Automata of phrases against counting; with searches: test_decoder_modes.py."""

import math

import numpy as np
import pytest

from sestina.core.errors import InvalidValueError, OptionError
from sestina.decoding import Decoder, DecoderOptions, Grammar, Lexicon, Tokens
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
        with pytest.raises(InvalidValueError, match="one word, without white space"):
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
