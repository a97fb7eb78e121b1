"""Sums of language models, beside the sums of their scores."""

import pickle

import numpy as np
import pytest

from sestina.core.errors import InvalidValueError
from sestina.decoding import (
    Decoder,
    DecoderOptions,
    Lexicon,
    StepwiseLanguageModel,
    Tokens,
    combine,
    compile_lm,
    read_arpa,
    read_lm,
)

ONE = (
    "\\data\\\nngram 1=6\nngram 2=4\nngram 3=2\n\n\\1-grams:\n-1.3\t<unk>\n-99\t<s>\t-0.4\n"
    "-0.9\t</s>\n-0.5\tab\t-0.2\n-0.8\tba\t-0.6\n-1.1\tabba\n\n\\2-grams:\n-0.2\tab ba\t-0.1\n"
    "-0.3\t<s> abba\n-0.7\tba </s>\n-0.4\tab ab\t-0.3\n\n\\3-grams:\n-0.1\tab ba </s>\n"
    "-0.2\tab ab ba\n\n\\end\\\n"
)
OTHER = (
    "\\data\\\nngram 1=5\nngram 2=2\n\n\\1-grams:\n-99\t<s>\t-0.1\n-1.9\t</s>\n-0.6\tb\t-0.5\n"
    "-0.7\tab\n-2.2\t<unk>\t-0.3\n\n\\2-grams:\n-0.4\tb ab\n-0.1\t<s> b\n\n\\end\\\n"
)
WORDS = ["ab", "ba", "abba", "b", "zzz"]


@pytest.fixture
def models(tmp_path):
    for name, text in (("one", ONE), ("other", OTHER)):
        (tmp_path / name).write_text(text)
    compile_lm(tmp_path / "other", tmp_path / "compiled")
    return read_arpa(tmp_path / "one"), read_lm(tmp_path / "compiled", load="mmap")


@pytest.fixture(scope="module")
def lexicon():
    tokens = Tokens(["-", "|", "a", "b", "z"])
    return Lexicon.from_spellings({word: f"{' '.join(word)} |" for word in WORDS}, tokens)


@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.3, 0.7), (1.5, -0.5)])
def test_scores_are_weighted_sums(weights, models):
    both = combine(zip(models, weights, strict=True))
    rng = np.random.default_rng(0)
    for begin in (True, False):
        for _ in range(50):
            words = list(rng.choice(WORDS, rng.integers(0, 7)))
            parts = [lm.scores(words, begin=begin) for lm in models]
            expected = weights[0] * np.array(parts[0]) + weights[1] * np.array(parts[1])
            assert both.scores(words, begin=begin) == pytest.approx(expected, abs=1e-5)
    assert "b" in both
    assert "abba" in both
    assert "zzz" not in both


def test_sums_of_sums(models):
    one, other = models
    nested = combine([(combine([(one, 0.5), (other, 2.0)]), 0.5), (one, 0.25)])
    flat = combine([(one, 0.5), (other, 1.0)])
    assert nested.scores(WORDS) == pytest.approx(flat.scores(WORDS), abs=1e-5)


def test_contexts_are_one_only_if_they_are_for_all_parts(models):
    one, other = models
    walk = combine([(one, 1.0), (other, 1.0)]).native.walk()
    after = {word: walk.step(walk.start(False), word.encode())[1] for word in WORDS}
    # Nothing follows abba or zzz in `one`, nor ab in `other`, but their unknown words' weights.
    assert after["abba"] == after["zzz"] != after["ab"]
    assert after["b"] not in {after["ab"], after["zzz"]}
    expected = [walk.finish(after[word]) for word in ("b", "ab")]
    kept = walk.keep([after["b"], after["ab"], after["b"]])
    assert kept[0] == kept[2]
    assert [walk.finish(state) for state in kept[:2]] == expected


@pytest.mark.parametrize("log_add", [False, True])
def test_a_model_split_in_two_is_searched_as_the_whole(log_add, models, lexicon):
    one, _ = models
    parts = combine([(one, 0.25), (one, 0.75)])
    options = DecoderOptions(lm_weight=1.7, word_score=0.3, log_add=log_add)
    rng = np.random.default_rng(1)
    batch = [np.log(rng.dirichlet(np.full(5, 0.3), 30) + 1e-6) for _ in range(20)]
    for whole, split in zip(
        Decoder(lexicon, one, options).decode_batch(batch, nbest=3),
        Decoder(lexicon, parts, options).decode_batch(batch, nbest=3, threads=2),
        strict=True,
    ):
        assert [found.text for found in split] == [found.text for found in whole]
        assert [found.score for found in split] == pytest.approx([found.score for found in whole])


def test_decoders_made_while_others_search_share_a_model(models, lexicon):
    both = combine([(models[0], 0.5), (models[1], 0.5)])
    emissions_tn = np.log(np.random.default_rng(2).dirichlet(np.full(5, 0.3), 30) + 1e-6)
    stream = Decoder(lexicon, both).stream()
    stream.step(emissions_tn[:15])
    others = Lexicon.from_spellings({f"z{'z' * k}": "z z |" for k in range(300)}, lexicon.tokens)
    Decoder(others, both)
    stream.step(emissions_tn[15:])
    assert stream.best()[0].text == Decoder(lexicon, both).decode(emissions_tn)[0].text


def test_sums_cross_to_other_processes(models):
    both = combine([(models[0], 0.5), (models[1], 0.5)])
    assert pickle.loads(pickle.dumps(both)).scores(WORDS) == both.scores(WORDS)


class Plain:
    def start(self, start_with_nothing):
        return None

    def score(self, state, index):
        return state, -float(index)

    def finish(self, state):
        return state, 0.0


def test_parts_that_take_numbers_add_up_too(lexicon):
    lm = StepwiseLanguageModel(Plain(), highest_score=0.0)
    both = combine([(lm, 0.5), (lm, 0.5)])
    emissions_tn = np.log(np.random.default_rng(3).dirichlet(np.full(5, 0.3), 30) + 1e-6)
    found, expected = (Decoder(lexicon, one).decode(emissions_tn)[0] for one in (both, lm))
    assert (found.text, found.score) == (expected.text, pytest.approx(expected.score))


def test_parts_that_do_not_fit_are_errors(models):
    one, _ = models
    with pytest.raises(InvalidValueError, match="at least one model"):
        combine([])
    with pytest.raises(InvalidValueError, match="weight is nan"):
        combine([(one, float("nan"))])
    with pytest.raises(InvalidValueError, match=r"lm is 'lm\.arpa', expected a LanguageModel"):
        combine([("lm.arpa", 1.0)])
    with pytest.raises(InvalidValueError, match="all of them to take words or all of them numbers"):
        combine([(one, 1.0), (StepwiseLanguageModel(Plain()), 1.0)])
