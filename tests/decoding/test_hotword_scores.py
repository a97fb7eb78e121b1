"""The score of a hypothesis is the sum of its parts, in each kind of search."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, read_arpa

NAMES = "-|abc"
LEXICON = {"ab": "a b |", "a": "a |", "ba": "b a |", "aa": "a a |", "cab": "c a b |"}
HOTWORDS = {"ab": 1.5, "a ba": -2.0, "ab a": 0.7, "cab": 3.0}
KINDS = ("lexicon", "lexicon of tokens", "open", "free", "segments", "free segments")

scores = st.floats(-2, 2).map(lambda value: round(value, 3))


@pytest.fixture(scope="module")
def lm(tmp_path_factory):
    """A bigram model of words and tokens alike."""
    rng = np.random.default_rng(5)
    words = ("<unk>", "<s>", "</s>", *NAMES[1:], *(word for word in LEXICON if word != "a"))
    lines = ["\\data\\", f"ngram 1={len(words)}", "ngram 2=4", "", "\\1-grams:"]
    lines += [
        f"{-99.0 if word == '<s>' else -rng.uniform(0.5, 2):.4f}\t{word}\t-0.3" for word in words
    ]
    lines += ["", "\\2-grams:", "-0.3\t<s> a", "-0.4\ta b", "-0.2\ta ab", "-0.3\tab </s>"]
    path = tmp_path_factory.mktemp("lm") / "lm.arpa"
    path.write_text("\n".join([*lines, "", "\\end\\", ""]))
    return read_arpa(path)


def occurrences(phrase, symbols):
    starts = range(len(symbols) - len(phrase) + 1)
    return sum(tuple(symbols[at : at + len(phrase)]) == tuple(phrase) for at in starts)


def hotwords_said(hypothesis, by_word):
    words = [word.text for word in hypothesis.words]
    if by_word:
        return sum(s * occurrences(p.split(), words) for p, s in HOTWORDS.items())
    said = ["|", *spelled_of(hypothesis), "|"]
    return sum(
        score * occurrences(["|", *phrase.replace(" ", "|"), "|"], said)
        for phrase, score in HOTWORDS.items()
    )


def spelled_of(hypothesis):
    """What a language model of tokens is asked about: in a lexicon, words as they are spelled."""
    if hypothesis.naming.spelling == "none":
        return [token for word in hypothesis.words for token in LEXICON[word.text].split()]
    return [token.text for token in hypothesis.tokens]


def parts_of(hypothesis, options):
    """By name, what the equation in docs/decoding.md adds up."""
    words = hypothesis.words
    is_known = [word.text in LEXICON for word in words]
    has_lexicon = hypothesis.naming.spelling == "none"
    silence = sum(one.end - one.start for one in hypothesis.tokens if one.text == "|")
    parts = {
        "acoustic": hypothesis.acoustic_score,
        "language": options.lm_weight * hypothesis.language_score,
        "hotwords": hypothesis.hotword_score,
        "silence": options.sil_score * silence,
        "tokens": options.token_score * num_spoken(hypothesis),
    }
    if has_lexicon:
        letters = sum(len(word.text) for word in words if word.text in LEXICON)
        parts["words"] = options.word_score * len(words)
        parts["letters"] = options.word_length_score * letters
        parts["unknown"] = options.unk_score * is_known.count(False) if not all(is_known) else 0.0
    return parts


def num_spoken(hypothesis):
    """How many tokens count: in a lexicon, those of words, of which silence may be the last."""
    if hypothesis.naming.spelling != "none":
        return len(hypothesis.tokens)
    ends = {word.end for word in hypothesis.words}
    letters = [token for token in hypothesis.tokens if token.text != "|"]
    rows = [row for row in hypothesis.path.tolist() if row[0] == NAMES.index("|") and row[2] >= 0]
    return len(letters) + len(rows) if ends else 0


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_the_parts_add_up_to_the_score(kind, lm, data, seed):
    has_lm, has_hotwords = data.draw(st.booleans()), data.draw(st.booleans())
    rng = np.random.default_rng(seed)
    in_lexicon = not kind.startswith("free")
    emissions_tn = (2 * rng.normal(size=(rng.integers(1, 12), len(NAMES)))).astype(np.float32)
    is_asg = kind.endswith("segments")
    transitions = rng.normal(size=(5, 5)).astype(np.float32) if is_asg else None
    options = DecoderOptions(
        beam_size=data.draw(st.sampled_from([3, 30])),
        lm_weight=data.draw(st.floats(0.1, 3)),
        word_score=data.draw(scores) if in_lexicon else 0.0,
        sil_score=data.draw(scores),
        token_score=data.draw(scores),
        word_length_score=data.draw(scores) if in_lexicon else 0.0,
        unk_score=data.draw(scores) if kind == "open" else -math.inf,
        smearing=data.draw(st.sampled_from(["none", "max", "logadd"])),
        merge=data.draw(st.sampled_from(["context", "history"])),
        lm_level="token" if kind == "lexicon of tokens" else "word",
        criterion="asg" if is_asg else "ctc",
        open_vocabulary=kind == "open",
    )
    tokens = Tokens(NAMES)
    decoder = Decoder(
        Lexicon.from_spellings(LEXICON, tokens) if in_lexicon else tokens,
        lm if has_lm else None,
        options,
        transitions=transitions,
        hotwords=HOTWORDS if has_hotwords else None,
    )
    by_word = in_lexicon and options.lm_level == "word"
    found = decoder.decode(emissions_tn, nbest=5)
    stream = decoder.stream()
    for frame_tn in np.array_split(emissions_tn, 3):
        stream.step(frame_tn)
    found += stream.best(nbest=5)
    num_searched = len(found)
    if in_lexicon and kind != "open":
        found += decoder.lattice(emissions_tn).nbest(5)
    for place, one in enumerate(found):
        if in_lexicon and one.path[-1, 2] < 0 and not is_complete(one):
            continue
        parts = parts_of(one, options)
        if place >= num_searched:  # a lattice has these in the acoustic part
            del parts["silence"], parts["tokens"]
        assert sum(parts.values()) == pytest.approx(one.score, abs=2e-4)
        said = hotwords_said(one, by_word) if has_hotwords else 0.0
        assert one.hotword_score == pytest.approx(said, abs=2e-5)
        if not has_lm:
            assert one.language_score == 0.0
        else:
            words = [word.text if word.text in LEXICON else "<unk>" for word in one.words]
            asked = words if by_word else spelled_of(one)
            assert one.language_score == pytest.approx(sum(lm.scores(asked)), abs=2e-5)


def is_complete(hypothesis):
    """Whether no part of a word follows the last word."""
    spoken = [token for token in hypothesis.tokens if token.text != "|"]
    return bool(hypothesis.words) and spoken[-1].end <= hypothesis.words[-1].end
