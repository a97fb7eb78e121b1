from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sestina.core.errors import InvalidValueError, OptionError, ShapeError
from sestina.decoding.error_rates import align, compare, error_rate

WORDS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=6).map(" ".join)
PAIRS = st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=8).filter(
    lambda pairs: any(reference for reference, _ in pairs)
)


def every_alignment(reference, text):
    """(substitutions, deletions, insertions) of each way to align them, by brute force."""
    if not reference or not text:
        return {(0, len(reference), len(text))}
    found = {
        (s + (reference[0] != text[0]), d, i)
        for s, d, i in every_alignment(reference[1:], text[1:])
    }
    found |= {(s, d + 1, i) for s, d, i in every_alignment(reference[1:], text)}
    return found | {(s, d, i + 1) for s, d, i in every_alignment(reference, text[1:])}


def best_counts(reference, text):
    """Fewest errors, then most words right, which is fewest substitutions."""
    ways = every_alignment(reference.split(), text.split())
    return min(ways, key=lambda counts: (sum(counts), counts[0]))


@given(PAIRS)
def test_counts_are_those_of_the_best_of_all_alignments(pairs):
    references, texts = zip(*pairs, strict=True)
    errors = error_rate(references, texts)
    counts = zip(errors.substitutions_u, errors.deletions_u, errors.insertions_u, strict=True)
    assert [tuple(map(int, c)) for c in counts] == [best_counts(*pair) for pair in pairs]
    assert errors.errors == sum(sum(best_counts(*pair)) for pair in pairs)


@given(WORDS, WORDS)
def test_an_alignment_has_both_texts_and_the_counts_of_the_best(reference, text):
    found = align(reference, text)
    assert [word for word, _ in found.pairs if word is not None] == reference.split()
    assert [word for _, word in found.pairs if word is not None] == text.split()
    assert (None, None) not in found.pairs
    assert (found.substitutions, found.deletions, found.insertions) == best_counts(reference, text)
    assert found.errors == sum(best_counts(reference, text))


@given(WORDS, WORDS, WORDS)
def test_errors_are_a_metric(a, b, c):
    assert (align(a, b).errors == 0) == (a == b)
    assert align(a, b).errors == align(b, a).errors
    assert align(a, c).errors <= align(a, b).errors + align(b, c).errors


def test_the_alignment_is_printed_one_below_the_other():
    shown = str(align("she can not swim", "she canot swim now"))
    assert shown.splitlines() == [
        "she can   not swim *",
        "she canot *   swim now",
        "    S     D        I",
    ]
    assert str(align("", "")) == ""
    # Of a wide character the next column knows.
    assert str(align("核 b", "a b")).splitlines() == ["核 b", "a  b", "S"]


def test_characters_count_white_space_as_one_space():
    errors = error_rate(["ab  cd"], [" abc d"], unit="character")
    assert (errors.errors, int(errors.lengths_u[0])) == (2, 5)
    assert align("ab c", "abc", unit="character").pairs[2] == (" ", None)


def test_the_rate_is_of_the_whole_set_and_may_exceed_one():
    # 1 error of 3 words and 3 of 1: not the mean of 1/3 and 3.
    errors = error_rate(["a b c", "d"], ["a b", "e f g"])
    assert errors.rate == 1.0
    assert str(errors) == "100.00 % (1 substitutions, 1 deletions, 2 insertions; 4 words)"
    assert error_rate(["a"], ["b c d"]).rate == 3.0


def test_the_interval_is_the_binomial_one_where_errors_are_independent():
    # 400 sentences of one word, a quarter wrong: standard deviation √(¼·¾/400) = .02165.
    texts = ["x" if n % 4 == 0 else "a" for n in range(400)]
    errors = error_rate(["a"] * 400, texts)
    low, high = errors.interval(draws=4000)
    assert low == pytest.approx(0.25 - 1.96 * 0.02165, abs=0.005)
    assert high == pytest.approx(0.25 + 1.96 * 0.02165, abs=0.005)
    assert errors.interval(seed=1) == errors.interval(seed=1)
    narrow = errors.interval(level=0.5)
    assert low < narrow[0] < narrow[1] < high


def test_pairs_tell_systems_apart_whose_intervals_overlap():
    rng = np.random.default_rng(0)
    hard = rng.random(300) < 0.4
    slightly = rng.random(300) < 0.03
    first = error_rate(["a"] * 300, ["x" if bad else "a" for bad in hard])
    second = error_rate(["a"] * 300, ["x" if bad else "a" for bad in hard | slightly])
    assert first.interval()[1] > second.interval()[0]
    found = compare(first, second)
    assert found.difference == first.rate - second.rate < 0
    assert found.low <= found.difference <= found.high < 0
    assert found.share_lower > 0.99
    assert compare(second, first).share_lower < 0.01
    assert compare(first, first).share_lower == 0.5


def test_ten_thousand_sentences_take_seconds_at_most():
    rng = np.random.default_rng(0)
    said = [" ".join(map(str, rng.integers(0, 1000, rng.integers(1, 40)))) for _ in range(10_000)]
    heard = [text.replace("7", "8") for text in said]
    started_s = time.process_time()
    error_rate(said, heard).interval()
    error_rate(said, heard, unit="character")
    assert time.process_time() - started_s < 30


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ShapeError, match="texts is 1, expected 2, one for each reference"):
        error_rate(["a", "b"], ["a"])
    with pytest.raises(InvalidValueError, match="2 texts without a word"):
        error_rate(["", " "], ["a", "b"])
    with pytest.raises(InvalidValueError, match="0 texts without a word"):
        error_rate([], [])
    with pytest.raises(OptionError, match="unit is 'letter'"):
        error_rate(["a"], ["a"], unit="letter")
    one, two = error_rate(["a"], ["b"]), error_rate(["a b"], ["b"])
    with pytest.raises(ShapeError, match="same references"):
        compare(one, two)
    with pytest.raises(OptionError, match="level is 95"):
        one.interval(level=95)
    with pytest.raises(OptionError, match="draws is 0"):
        one.interval(draws=0)


def test_a_single_text_is_not_taken_for_its_letters():
    with pytest.raises(InvalidValueError, match="references is 'a', expected several texts"):
        error_rate("a", "b")
    with pytest.raises(InvalidValueError, match="texts is 'b', expected several texts"):
        error_rate(["a"], "b")


def test_what_is_no_text_is_named():
    for references, texts, name in ((["a"], [None], "texts"), ([b"a"], ["a"], "references")):
        with pytest.raises(InvalidValueError, match=rf"{name}\[0\] is .*, expected a text"):
            error_rate(references, texts)
    with pytest.raises(InvalidValueError, match="text is None, expected a text"):
        align("a", None)


@pytest.mark.parametrize(
    ("name", "value"),
    [("seed", -1), ("seed", 0.5), ("draws", 10**12), ("draws", 2.5), ("level", "0.95")],
)
def test_draws_out_of_range_are_named(name, value):
    errors = error_rate(["a b"], ["a"])
    with pytest.raises(InvalidValueError, match=f"{name} is "):
        errors.interval(**{name: value})
    with pytest.raises(InvalidValueError, match=f"{name} is "):
        compare(errors, errors, **{name: value})
