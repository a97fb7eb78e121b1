"""Sequence-to-sequence search against all sequences, one by one, and against a plain beam search."""

import itertools
import math
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sestina.core.errors import (
    DtypeError,
    InvalidValueError,
    NonFiniteError,
    OptionError,
    ShapeError,
    UnknownNameError,
)
from sestina.decoding import Lexicon, Seq2SeqDecoder, Seq2SeqOptions, Tokens, read_arpa

NAMES = "#abcdefgh"  # the first one is the end
EOS = 0


def scores_after(seed, width, tokens):
    """log p(token | tokens): of a model that remembers everything."""
    logits = 2 * np.random.default_rng([seed, *tokens]).normal(size=width)
    return (logits - np.log(np.exp(logits).sum())).astype(np.float32)


def updating(seed, width, *, memory=None):
    """A callback whose states are the tokens so far; with `memory`, it scores by the last of them."""

    def update(tokens, parents, states, step):
        assert step == 0 or len(states) == len(parents) == len(tokens)
        said = [
            () if state is None else (*state, token)
            for state, token in zip(states, tokens.tolist(), strict=True)
        ]
        rows = [scores_after(seed, width, one[-memory:] if memory else one) for one in said]
        return np.array(rows), said

    return update


def every_sequence(seed, width, max_length, *, memory=None):
    """Each sequence that ends, and its score."""
    pending = [((), 0.0)]
    while pending:
        tokens, score = pending.pop()
        row = scores_after(seed, width, tokens[-memory:] if memory else tokens)
        yield tokens, score + float(row[EOS])
        if len(tokens) + 1 < max_length:
            pending += [((*tokens, n), score + float(row[n])) for n in range(1, width)]


def readings(tokens, spellings):
    """Every way to read the tokens as words."""
    if not tokens:
        yield ()
        return
    for word, spelling in spellings:
        if tokens[: len(spelling)] == spelling:
            for rest in readings(tokens[len(spelling) :], spellings):
                yield (word, *rest)


def arpa(rng, words, path):
    """A random bigram model, read."""
    every = ["<unk>", "<s>", "</s>", *words]
    pairs = [
        pair for pair in itertools.product(["<s>", *words], ["</s>", *words]) if rng.random() < 0.5
    ]
    lines = ["\\data\\", f"ngram 1={len(every)}", f"ngram 2={len(pairs)}", "", "\\1-grams:"]
    lines += [f"{rng.uniform(-3, -0.1):.3f}\t{w}\t{rng.uniform(-1, 0):.3f}" for w in every]
    lines += ["", "\\2-grams:", *(f"{rng.uniform(-2, -0.1):.3f}\t{a} {b}" for a, b in pairs)]
    path.write_text("\n".join([*lines, "", "\\end\\", ""]))
    return read_arpa(path)


def problem(seed):
    """Spellings, some of them shared, and a width."""
    rng = np.random.default_rng(seed)
    width = int(rng.integers(3, 5))
    spellings = []
    for _ in range(int(rng.integers(1, 6))):
        spelling = tuple(int(n) for n in rng.integers(1, width, size=int(rng.integers(1, 4))))
        pair = (str(rng.choice(["v", "w", "x"])), spelling)
        spellings += [] if pair in spellings else [pair]
    tokens = Tokens(list(NAMES[:width]))
    lexicon = Lexicon.from_spellings(
        [(word, " ".join(NAMES[n] for n in spelling)) for word, spelling in spellings], tokens
    )
    return rng, width, spellings, lexicon


def exhaustive(rng, **others):
    return Seq2SeqOptions(
        beam_size=100_000,
        beam_threshold=1e9,
        token_score=float(rng.normal()),
        eos_score=float(rng.normal()),
        **others,
    )


@pytest.mark.parametrize("with_lm", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_without_a_lexicon_an_exhaustive_beam_finds_every_sequence(seed, with_lm, tmp_path):
    rng = np.random.default_rng(seed)
    width, max_length = int(rng.integers(2, 5)), int(rng.integers(1, 6))
    tokens = Tokens(list(NAMES[:width]))
    lm = arpa(rng, NAMES[1:width], tmp_path / "lm.arpa") if with_lm else None
    options = exhaustive(rng, length_penalty=float(rng.choice([0, 0.7, -0.5])))
    expected = {}
    for said, score in every_sequence(seed, width, max_length):
        total = score + options.token_score * len(said) + options.eos_score
        total += options.lm_weight * sum(lm.scores([NAMES[n] for n in said])) if lm else 0.0
        expected["".join(NAMES[n] for n in said)] = (
            total / (len(said) + 1) ** options.length_penalty
        )
    decoder = Seq2SeqDecoder(tokens, lm, options, eos="#")
    found = decoder.decode(updating(seed, width), max_length=max_length, nbest=100_000)
    assert {one.text: one.score for one in found} == pytest.approx(expected, abs=1e-4)
    assert len(found) == len(expected)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert all(one.finished and one.words == () for one in found)


@pytest.mark.parametrize("mode", ["no lm", "words", "tokens"])
@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_with_a_lexicon_an_exhaustive_beam_finds_all_words(seed, log_add, mode, tmp_path):
    rng, width, spellings, lexicon = problem(seed)
    max_length = int(rng.integers(1, 7))
    names = {"words": ["v", "w", "x"], "tokens": NAMES[1:width]}.get(mode)
    lm = arpa(rng, names, tmp_path / "lm.arpa") if names else None
    options = exhaustive(
        rng,
        log_add=log_add,
        word_score=float(rng.normal()),
        token_lm=mode == "tokens",
        smearing=str(rng.choice(["none", "max", "logadd"])),
    )
    expected = {}
    for said, score in every_sequence(seed, width, max_length):
        for words in readings(said, spellings):
            total = score + options.token_score * len(said) + options.eos_score
            total += options.word_score * len(words)
            read = words if mode == "words" else [NAMES[n] for n in said]
            total += options.lm_weight * sum(lm.scores(read)) if lm else 0.0
            before = expected.get(words, -math.inf)
            expected[words] = np.logaddexp(before, total) if log_add else max(before, total)
    decoder = Seq2SeqDecoder(lexicon, lm, options, eos="#")
    found = decoder.decode(updating(seed, width), max_length=max_length, nbest=100_000)
    assert {one.words: one.score for one in found} == pytest.approx(expected, abs=1e-4)
    assert len(found) == len(expected)
    assert all(one.finished and one.text == " ".join(one.words) for one in found)


@pytest.mark.parametrize("merge", ["history", "context"])
@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_merging_is_exact_where_the_model_remembers_one_token(seed, log_add, merge, tmp_path):
    rng, width, spellings, lexicon = problem(seed)
    lm = arpa(rng, ["v", "w", "x"], tmp_path / "lm.arpa")
    options = exhaustive(rng, log_add=log_add, merge=merge, word_score=float(rng.normal()))
    expected = {}
    for said, score in every_sequence(seed, width, 6, memory=1):
        for words in readings(said, spellings):
            total = score + options.token_score * len(said) + options.eos_score
            total += options.word_score * len(words) + options.lm_weight * sum(lm.scores(words))
            before = expected.get(words, -math.inf)
            expected[words] = np.logaddexp(before, total) if log_add else max(before, total)
    found = Seq2SeqDecoder(lexicon, lm, options, eos="#").decode(
        updating(seed, width, memory=1), max_length=6, nbest=100_000
    )
    if merge == "history":
        assert {one.words: one.score for one in found} == pytest.approx(expected, abs=1e-4)
    elif not log_add:  # the best one is right, others may have been merged with better ones
        assert found[0].score == pytest.approx(max(expected.values()), abs=1e-4)
    else:  # sums go to the better ones, and nothing is lost
        total = np.logaddexp.reduce([one.score for one in found])
        assert total == pytest.approx(np.logaddexp.reduce(list(expected.values())), abs=1e-4)


def plain_beam_search(update, max_length, width, options, spellings, lm):
    """The search as its definition has it: every candidate is made, scored, sorted."""
    # (score, tokens, words, position in the tree as a tuple, finished, state)
    beam = [(0.0, (), (), (), False, None)]
    for step in range(max_length):
        going = [one for one in beam if not one[4]]
        if not going:
            break
        last = np.array([one[1][-1] if one[1] else -1 for one in going], np.int32)
        rows, states = update(last, np.zeros(len(going)), [one[5] for one in going], step)
        made = [one for one in beam if one[4]]
        for (score, tokens, words, inside, _, _), row, state in zip(
            going, rows, states, strict=True
        ):
            best = sorted(range(width), key=lambda n, row=row: (-row[n], n))
            for n in best[: options.beam_size_token or width]:
                here = score + float(row[n])
                if n == EOS:
                    if not inside:
                        here += options.eos_score
                        if lm:
                            read = words if spellings else [named(k) for k in tokens]
                            here += options.lm_weight * lm.scores(read)[-1]
                        made.append((here, (*tokens, n), words, (), True, state))
                    continue
                here += options.token_score
                if not spellings:
                    if lm:
                        read = [named(k) for k in (*tokens, n)]
                        here += options.lm_weight * lm.scores(read, end=False)[-1]
                    made.append((here, (*tokens, n), (), (), False, state))
                    continue
                node = (*inside, n)
                if any(s[: len(node)] == node and len(s) > len(node) for _, s in spellings):
                    made.append((here, (*tokens, n), words, node, False, state))
                for word, spelling in spellings:
                    if spelling == node:
                        more = options.word_score
                        if lm:
                            more += options.lm_weight * lm.scores([*words, word], end=False)[-1]
                        made.append((here + more, (*tokens, n), (*words, word), (), False, state))
        if not made:
            break
        best = max(one[0] for one in made)
        made = [one for one in made if one[0] >= best - options.beam_threshold]
        made.sort(key=lambda one: -one[0])
        places, kept = set(), []
        for one in made:
            place = one[2] if one[4] and spellings else one[1:5]
            if place not in places:
                kept.append(one)
            places.add(place)
        beam = kept[: options.beam_size]
    return [one for one in beam if one[4]] or beam


def named(token):
    return f"t{token}"


@pytest.mark.parametrize("with_lexicon", [False, True])
@pytest.mark.parametrize("seed", range(60))
def test_a_narrow_beam_finds_what_a_plain_search_finds(seed, with_lexicon, tmp_path):
    rng = np.random.default_rng(seed)
    width = int(rng.choice([5, 40, 300]))
    tokens = Tokens(["#", *(named(n) for n in range(1, width))])
    spellings = {
        tuple(int(n) for n in rng.integers(1, width, size=int(rng.integers(1, 4)))): f"w{k}"
        for k in range(3 * width)
    }
    spellings = [(word, spelling) for spelling, word in spellings.items()] if with_lexicon else []
    known = [word for word, _ in spellings] or [named(n) for n in range(1, min(width, 60))]
    # A large part of the pairs would be slow to write; some will do.
    lm = arpa(rng, known[:40], tmp_path / "lm.arpa") if rng.random() < 0.7 else None
    options = Seq2SeqOptions(
        beam_size=int(rng.choice([1, 4, 16])),
        beam_size_token=rng.choice([None, 3, 20]),
        beam_threshold=float(rng.choice([2, 6, 50])),
        lm_weight=float(rng.choice([0.0, 0.6, -0.4])),
        word_score=float(rng.normal()) if with_lexicon else 0.0,
        token_score=float(rng.normal()),
        eos_score=float(rng.normal()),
        smearing="none",
    )
    vocabulary = (
        Lexicon.from_spellings([(w, " ".join(map(named, s))) for w, s in spellings], tokens)
        if with_lexicon
        else tokens
    )
    update = updating(seed, width)
    expected = plain_beam_search(update, 8, width, options, spellings, lm)
    found = Seq2SeqDecoder(vocabulary, lm, options, eos="#").decode(update, max_length=8, nbest=100)
    assert [one.score for one in found] == pytest.approx([one[0] for one in expected], abs=1e-4)
    assert [tuple(one.path[:, 0].tolist()) for one in found] == [one[1] for one in expected]
    if lm and options.lm_weight:  # else words of the same tokens score the same
        assert [one.words for one in found] == [one[2] for one in expected]
    assert [one.finished for one in found] == [one[4] for one in expected]
