"""The automaton against a scorer of a few lines that looks n-grams up in a dict."""

import gzip
import itertools

import numpy as np
import pytest

from sestina.core.errors import FileFormatError, InvalidValueError
from sestina.decoding import read_arpa

WORDS = ["<unk>", "<s>", "</s>", "a", "b", "c", "d"]


def random_model(rng, order):
    """n-grams by words: log10 probability and back-off weight; each one's context is there."""
    grams = {(word,): (-rng.uniform(0.1, 3), -rng.uniform(0, 1)) for word in WORDS}
    for size in range(2, order + 1):
        contexts = [gram for gram in grams if len(gram) == size - 1]
        for context, word in itertools.product(contexts, WORDS):
            if rng.random() < 0.3:
                weight = 0.0 if rng.random() < 0.5 else -rng.uniform(0, 1)
                grams[*context, word] = (-rng.uniform(0.1, 3), weight)
    return grams


def arpa_text(grams, order, gap="\t", end="\n"):
    sizes = [[g for g in grams if len(g) == size] for size in range(1, order + 1)]
    lines = ["made here", "\\data\\", *(f"ngram {k + 1}={len(s)}" for k, s in enumerate(sizes)), ""]
    for k, section in enumerate(sizes):
        lines.append(f"\\{k + 1}-grams:")
        for gram in section:
            score, weight = grams[gram]
            last = k + 1 == order or weight == 0.0
            lines.append(gap.join([f"{score:.6f}", *gram, *([] if last else [f"{weight:.6f}"])]))
        lines.append("")
    return end.join([*lines, "\\end\\", ""])


def dict_scores(grams, order, words):
    """By the definition: the longest n-gram, and the weights of the contexts passed over."""
    history, scores = ["<s>"], []
    for given in [*words, "</s>"]:
        word = given if (given,) in grams else "<unk>"
        context = tuple(history[-(order - 1) :]) if order > 1 else ()
        score = 0.0
        while (*context, word) not in grams:
            score += grams[context][1] if context in grams else 0.0
            context = context[1:]
        scores.append(score + grams[*context, word][0])
        history.append(word)
    return scores


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_the_definition(order, seed, tmp_path):
    rng = np.random.default_rng([order, seed])
    grams = random_model(rng, order)
    path = tmp_path / "lm.arpa"
    gap, end = [("\t", "\n"), (" ", "\n"), ("\t", "\r\n"), ("  ", "\n")][seed]
    path.write_text(arpa_text(grams, order, gap, end), newline="")
    model = read_arpa(path)
    assert model.order == order
    assert sum(model.counts) == len(grams)
    for _ in range(50):
        words = list(rng.choice([*WORDS[3:], "zzz"], size=rng.integers(0, 9)))
        assert model.scores(words) == pytest.approx(dict_scores(grams, order, words), abs=1e-5)


def test_contexts_that_no_future_tells_apart_are_one_state(tmp_path):
    grams = {(word,): (-1.0, -0.5 if word in {"a", "<s>"} else 0.0) for word in WORDS}
    grams["a", "b"] = (-0.2, 0.0)
    path = tmp_path / "lm.arpa"
    path.write_text(arpa_text(grams, 2))
    model = read_arpa(path).native
    state = {word: model.step(0, model.word(word.encode()))[1] for word in WORDS}
    # Nothing starts with b, c or d and their weights are 1: after them it's as if nothing was said.
    assert state["b"] == state["c"] == state["d"] == 0
    assert state["a"] != 0
    assert model.step(state["a"], model.word(b"b"))[1] == 0


def test_a_packed_file_is_the_same_and_a_cut_one_an_error(tmp_path):
    grams = random_model(np.random.default_rng(0), 3)
    plain, packed = tmp_path / "lm.arpa", tmp_path / "lm.arpa.gz"
    plain.write_text(arpa_text(grams, 3))
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_arpa(packed).scores(["a", "b"]) == read_arpa(plain).scores(["a", "b"])
    packed.write_bytes(packed.read_bytes()[:-12])
    with pytest.raises(FileFormatError, match="gzip stream is damaged"):
        read_arpa(packed)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("\\data\\", "data"), "no line"),
        (("ngram 2=", "ngram 3="), r":3: the counts have"),
        (("ngram 2=1", "ngram 2=2"), r"there are 1 n-grams of order 2, expected the 2"),
        (("ngram 2=1", "ngram 2=0"), r"more n-grams of order 2 than the 0"),
        (("ngram 2=1", "ngram 2=99999999999"), r"bytes can't hold"),
        (("\\2-grams:", "\\3-grams:"), r"expected \\2-grams:"),
        (("-0.2\ta b", "-0.2\ta z"), r":13: .*has the word 'z', expected one of the unigrams"),
        (("-0.2\ta b", "nan\ta b"), r"the probability is 'nan', expected a number"),
        (("-0.2\ta b", "-inf\ta b"), r"the probability is '-inf', expected a number from"),
        (("-0.2\ta b", "-2e999\ta b"), r"the probability is '-2e999', expected a number from"),
        (("-0.2\ta b", "-0.2x\ta b"), r"the probability is '-0.2x', expected a number"),
        (("-0.2\ta b", "-0.2\ta b c d"), r"back-off weight is 'c'"),
        (("-0.2\ta b", "-0.2\ta b 0 d"), r"too many fields"),
        (("-0.2\ta b", "0.2\ta b"), r"the probability of the n-gram .* is above 1"),
        (("-1\tb", "-1\ta"), r":9: the word 'a' was there before"),
        (("\\end\\", ""), r"the file ends, expected n-grams or"),
    ],
)
def test_a_damaged_file_is_an_error_with_its_line(change, reason, tmp_path):
    text = (
        "\\data\\\n\nngram 1=4\nngram 2=1\n\n\\1-grams:\n-1\t<s>\n-1\t</s>\n-1\ta\t-0.1\n-1\tb\n\n"
        "\n\\2-grams:\n-0.2\ta b\n\n\\end\\\n"
    ).replace("\\data\\\n\n", "\\data\\\n")
    assert change[0] in text
    path = tmp_path / "lm.arpa"
    path.write_text(text)
    assert read_arpa(path).scores(["a", "b"], begin=False, end=False) == pytest.approx([-1, -0.2])
    path.write_text(text.replace(*change))
    with pytest.raises(FileFormatError, match=reason):
        read_arpa(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.arpa"):
        read_arpa(tmp_path / "none.arpa")


def test_a_word_that_is_no_text_is_an_error(tmp_path):
    path = tmp_path / "lm.arpa"
    path.write_text(arpa_text(random_model(np.random.default_rng(0), 2), 2))
    lm = read_arpa(path)
    with pytest.raises(InvalidValueError, match=r"\\ud800.*expected text"):
        lm.scores(["\ud800"])
    assert lm.scores(["\udcff"])[0] < 0  # a byte of a file that is no UTF-8 is one, though
