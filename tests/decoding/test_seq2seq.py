"""Sequence-to-sequence search against all sequences, one by one, and a plain beam search."""

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
from sestina.decoding import (
    BatchedLanguageModel,
    Lexicon,
    Seq2SeqDecoder,
    Seq2SeqOptions,
    Tokens,
)
from tests.decoding.seq2seq_oracles import (
    NAMES,
    arpa,
    every_sequence,
    exhaustive,
    named,
    plain_beam_search,
    problem,
    readings,
    scores_after,
    tree,
    updating,
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
    assert all(one.finished and "".join(one.words) == one.text for one in found)


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
        lm_level="token" if mode == "tokens" else "word",
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


@pytest.mark.parametrize(("with_lexicon", "log_add"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("seed", range(60))
def test_a_narrow_beam_finds_what_a_plain_search_finds(seed, with_lexicon, log_add, tmp_path):
    rng = np.random.default_rng(seed)
    width = int(rng.choice([5, 40, 300]))
    tokens = Tokens(["#", *(named(n) for n in range(1, width))])
    with_lm = rng.random() < 0.7
    # Without a language model the words must follow from the tokens, or scores are equal.
    spelled = {
        (*map(int, rng.integers(2, width, size=int(rng.integers(1, 4)))), *([] if with_lm else [1]))
        for _ in range(3 * width)
    }
    spellings = [(f"w{k}", one) for k, one in enumerate(sorted(spelled))] if with_lexicon else []
    known = [word for word, _ in spellings] or [named(n) for n in range(1, width)]
    lm = arpa(rng, known[:40], tmp_path / "lm.arpa") if with_lm else None
    options = Seq2SeqOptions(
        beam_size=int(rng.choice([1, 4, 16])),
        beam_size_token=rng.choice([None, 3, 20]),
        beam_threshold=float(rng.choice([2, 6, 50])),
        lm_weight=float(rng.choice([0.2, 0.6, -0.4])),
        word_score=float(rng.normal()) if with_lexicon else 0.0,
        token_score=float(rng.normal()),
        eos_score=float(rng.normal()),
        log_add=log_add,
        smearing="none",
    )
    lexicon = Lexicon.from_spellings([(w, " ".join(map(named, s))) for w, s in spellings], tokens)
    update = updating(seed, width)
    expected = plain_beam_search(update, 8, options, tree(spellings), lm)
    decoder = Seq2SeqDecoder(lexicon if with_lexicon else tokens, lm, options, eos="#")
    found = decoder.decode(update, max_length=8, nbest=100)
    assert [one.score for one in found] == pytest.approx([one.score for one in expected], abs=1e-4)
    assert [tuple(one.path[:, 0].tolist()) for one in found] == [one.tokens for one in expected]
    if with_lexicon:
        assert [one.words for one in found] == [one.words for one in expected]
    assert [one.finished for one in found] == [one.finished for one in expected]


@pytest.mark.parametrize("with_lexicon", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_the_model_is_asked_no_further_than_the_best_needs(seed, with_lexicon, tmp_path):
    rng, width, _, lexicon = problem(seed)
    lm = arpa(rng, [*"vwx", *NAMES[1:width]], tmp_path / "lm.arpa")
    options = Seq2SeqOptions(
        beam_size=200,
        word_score=float(rng.normal()) if with_lexicon else 0.0,
        token_score=float(rng.choice([-1, 0, 0.1])),
        eos_score=float(rng.normal()),
        lm_weight=float(rng.choice([0, 0.5, 2])),
        smearing=str(rng.choice(["none", "max", "logadd"])),
    )
    decoder = Seq2SeqDecoder(lexicon if with_lexicon else lexicon.tokens, lm, options, eos="#")
    calls = []

    def counted(*given):
        calls.append(given[3])
        return updating(seed, width)(*given)

    every = decoder.decode(counted, max_length=8, nbest=1000)
    for nbest in (1, 3):
        calls.clear()
        same(decoder.decode(counted, max_length=8, nbest=nbest), every[:nbest])


def test_what_is_settled_ends_the_search():
    calls = []
    rows = np.log(np.array([[0.1, 0.6, 0.3], [0.8, 0.1, 0.1]], np.float32))

    def update(tokens, parents, states, step):
        calls.append(step)
        return rows[[min(step, 1)] * len(tokens)], None

    # 0.6 · 0.8 is more than any other can become; without a lexicon, nothing adds up.
    for options in ({}, {"log_add": True}, {"token_score": -1.0}):
        calls.clear()
        assert free_decoder(3, **options).decode(update, max_length=30)[0].finished
        assert calls == [0, 1]
    # Longer ones may become better.
    for options in ({"token_score": 1.0}, {"length_penalty": 1.0}):
        calls.clear()
        free_decoder(3, **options).decode(update, max_length=30)
        assert len(calls) > 2


def free_decoder(width=4, **options):
    return Seq2SeqDecoder(Tokens(list(NAMES[:width])), options=Seq2SeqOptions(**options), eos="#")


def same(found, expected):
    assert [one.text for one in found] == [one.text for one in expected]
    assert [one.score for one in found] == [one.score for one in expected]


def test_a_batch_gives_each_utterance_its_own_result():
    decoder = free_decoder(beam_size=5)
    singles = [updating(seed, 4) for seed in range(6)]
    lengths = [1, 4, 9, 6, 2, 9]
    calls = []

    def update(tokens, parents, states, step, utterances):
        calls.append(len(tokens))
        assert step == len(calls) - 1
        assert utterances.tolist() == sorted(utterances)
        assert step > 0 or parents.tolist() == [-1] * 6
        assert step == 0 or all(0 <= row < calls[-2] for row in parents)
        rows, said = [], []
        for token, state, place in zip(tokens, states, utterances, strict=True):
            one, out = singles[place](np.array([token]), [0], [state], step)
            rows.append(one)
            said += out
        return np.concatenate(rows), said

    found = decoder.decode_batch(update, 6, max_length=lengths, nbest=3)
    assert len(calls) <= max(lengths)
    for one, single, length in zip(found, singles, lengths, strict=True):
        same(one, decoder.decode(single, max_length=length, nbest=3))
    assert decoder.decode_batch(update, 0, max_length=3) == []


def test_parents_are_enough_to_keep_states_elsewhere():
    kept = []

    def update(tokens, parents, states, step):
        assert states is None or step == 0
        kept[:] = [
            (*kept[row], token) if step else ()
            for row, token in zip(parents.tolist(), tokens.tolist(), strict=True)
        ]
        return np.array([scores_after(7, 4, said) for said in kept]), None

    decoder = free_decoder(beam_size=6)
    found = decoder.decode(update, max_length=7, nbest=6)
    same(found, decoder.decode(updating(7, 4), max_length=7, nbest=6))


class State:
    """What a model might remember."""


def test_states_go_once_no_hypothesis_needs_them():
    alive = weakref.WeakSet()

    def update(tokens, parents, states, step):
        assert len(alive) == len(set(states) - {None})
        made = [State() for _ in tokens]
        alive.update(made)
        rng = np.random.default_rng(step)
        return -rng.exponential(size=(len(tokens), 4)).astype(np.float32), made

    free_decoder(beam_size=8).decode(update, max_length=12)
    assert not alive


def test_the_start_is_what_the_model_is_given_first():
    seen = []

    def update(tokens, parents, states, step):
        seen.append(tokens.tolist())
        return np.zeros((len(tokens), 2), np.float32), None

    Seq2SeqDecoder(Tokens(["#", "a"]), eos="#", start="a").decode(update, max_length=1)
    Seq2SeqDecoder(Tokens(["#", "a"]), eos="#").decode(update, max_length=1)
    assert seen == [[1], [-1]]


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (["▁ab", "c", "▁", "d"], ("abc", "d")),
        (["ab", "##c", "d"], ("abc", "d")),
        (["##c", "d"], ("c", "d")),
        (["a", "b", "|", "d"], ("ab", "d")),
        (["a", "b", " ", "d"], ("ab", "d")),
        (["a", "b"], ("ab",)),
    ],
)
def test_tokens_make_words_without_a_lexicon(tokens, words):
    known = Tokens(["#", *tokens])
    rows = np.where(np.eye(len(known)), 0, -5.0)[[*range(1, len(known)), 0]]
    decoder = Seq2SeqDecoder(known, eos="#")
    best = decoder.decode(lambda last, *_: (rows[last.clip(0)], None), max_length=9)[0]
    assert (best.tokens, best.words, best.text) == (tuple(tokens), words, " ".join(words))


def test_a_sequence_without_an_end_comes_back_unfinished():
    rows = np.array([[-np.inf, -0.5, -1.0]], np.float32)
    decoder = free_decoder(3)
    best = decoder.decode(lambda tokens, *_: (rows.repeat(len(tokens), 0), None), max_length=4)
    assert (best[0].text, best[0].finished, best[0].score) == ("aaaa", False, -2.0)
    # Nothing at all is possible after the first token.
    dead = [rows, np.full((2, 3), -np.inf, np.float32)]
    best = decoder.decode(lambda *given: (dead[given[3]], None), max_length=4)
    assert (best[0].text, best[0].finished) == ("a", False)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_scores_of_other_widths_are_taken(dtype):
    update = updating(3, 4)

    def wider(*given):
        rows, states = update(*given)
        return np.asfortranarray(rows.astype(dtype)), states

    decoder = free_decoder()
    best, other = decoder.decode(update, max_length=5)[0], decoder.decode(wider, max_length=5)[0]
    assert best.text == other.text
    assert best.score == pytest.approx(other.score, abs=0.01)


def test_tensors_of_torch_are_taken():
    torch = pytest.importorskip("torch")
    update = updating(3, 4)

    def tensors(*given):
        rows, states = update(*given)
        return torch.from_numpy(rows).requires_grad_(), states

    decoder = free_decoder()
    same(decoder.decode(tensors, max_length=5), decoder.decode(update, max_length=5))


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (lambda rows, _: rows, InvalidValueError, "result of update in step 2 is 'ndarray'"),
        (lambda rows, s: (rows[:, :3], s), ShapeError, r"scores of step 2 is \(\d, 3\), expected"),
        (lambda rows, s: (rows[0], s), ShapeError, r"scores of step 2 is \(4,\), expected"),
        (lambda rows, s: (rows, s[1:]), ShapeError, r"states of step 2 is"),
        (lambda rows, s: (rows.astype(int), s), DtypeError, "scores of step 2 has dtype int64"),
        (
            lambda rows, s: (np.where(np.arange(4) == 1, np.nan, rows), s),
            NonFiniteError,
            r"scores of step 2\[0, 1\] is nan",
        ),
        (
            lambda rows, s: (np.where(np.arange(4) == 3, np.inf, rows), s),
            NonFiniteError,
            r"scores of step 2\[0, 3\] is inf",
        ),
        (lambda _, s: s.no_such_thing, AttributeError, "no_such_thing"),
    ],
)
def test_a_callback_that_fails_leaves_the_decoder_usable(returned, error, message):
    decoder, update = free_decoder(), updating(3, 4)
    before = decoder.decode(update, max_length=5, nbest=9)

    def failing(tokens, parents, states, step):
        rows, made = update(tokens, parents, states, step)
        return returned(rows, made) if step == 2 else (rows, made)

    with pytest.raises(error, match=message):
        decoder.decode(failing, max_length=5, nbest=9)
    same(decoder.decode(update, max_length=5, nbest=9), before)


class Moody(BatchedLanguageModel):
    """Scores by the length of what was said; raises when it is told to."""

    def __init__(self):
        self.patience = 1000

    def start(self):
        return 0

    def score_batch(self, states, words):
        self.patience -= 1
        if self.patience < 0:
            raise RuntimeError("enough")
        return [-0.1 * (state + 1) for state in states], [state + 1 for state in states]


def test_a_language_model_that_raises_leaves_the_decoder_usable():
    lm, update = Moody(), updating(2, 4)
    decoder = Seq2SeqDecoder(Tokens(list(NAMES[:4])), lm, eos="#")
    best = decoder.decode(update, max_length=5)[0]
    # As many scores as tokens, the end included.
    assert best.language_score == pytest.approx(-0.1 * sum(range(1, len(best.path) + 1)), abs=1e-5)
    lm.patience = 1
    with pytest.raises(RuntimeError, match="enough"):
        decoder.decode(update, max_length=5)
    lm.patience = 1000
    same(decoder.decode(update, max_length=5), [best])


def test_bad_arguments_are_named():
    tokens, update = Tokens(list("#ab")), updating(0, 3)
    with pytest.raises(UnknownNameError, match="'</s>'"):
        Seq2SeqDecoder(tokens, eos="</s>")
    with pytest.raises(UnknownNameError, match="'<s>'"):
        Seq2SeqDecoder(tokens, eos="#", start="<s>")
    with pytest.raises(InvalidValueError, match=r"lm is 'lm.arpa', expected a LanguageModel"):
        Seq2SeqDecoder(tokens, "lm.arpa", eos="#")
    with pytest.raises(OptionError, match=r"word_score is 1\.0, expected 0 where"):
        Seq2SeqDecoder(tokens, options=Seq2SeqOptions(word_score=1.0), eos="#")
    with pytest.raises(InvalidValueError, match="'w' is spelled with '#'"):
        Seq2SeqDecoder(Lexicon.from_spellings({"v": "a", "w": "a # b"}, tokens), eos="#")
    decoder = Seq2SeqDecoder(tokens, eos="#")
    with pytest.raises(InvalidValueError, match="max_length is 0, expected at least 1"):
        decoder.decode(update, max_length=0)
    for length in (2.5, None):
        with pytest.raises(InvalidValueError, match=r"max_length is .* an integer"):
            decoder.decode(update, max_length=length)
    with pytest.raises(InvalidValueError, match=r"options is .* expected Seq2SeqOptions"):
        Seq2SeqDecoder(tokens, options={"beam_size": 3}, eos="#")
    with pytest.raises(InvalidValueError, match="nbest is 0, expected at least 1"):
        decoder.decode(update, max_length=3, nbest=0)
    with pytest.raises(ShapeError, match=r"max_length is \(2,\), expected one number, or one for"):
        decoder.decode_batch(update, 3, max_length=[3, 4])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("beam_size", 0),
        ("beam_size_token", 0),
        ("beam_threshold", -1.0),
        ("lm_weight", math.nan),
        ("eos_score", math.inf),
        ("length_penalty", 11.0),
    ],
)
def test_options_out_of_range_are_errors(name, value):
    with pytest.raises(OptionError, match=name):
        Seq2SeqOptions(**{name: value})


def test_an_empty_lexicon_says_nothing():
    lexicon = Lexicon.from_spellings({}, Tokens(list("#a")))
    best = Seq2SeqDecoder(lexicon, eos="#").decode(updating(1, 2), max_length=3)
    assert [(one.words, one.tokens, one.finished) for one in best] == [((), (), True)]


def test_threads_may_share_a_decoder():
    _, width, _, lexicon = problem(5)
    decoder = Seq2SeqDecoder(lexicon, eos="#")
    expected = [decoder.decode(updating(seed, width), max_length=8) for seed in range(20)]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda k: decoder.decode(updating(k, width), max_length=8), range(20))
    for one, other in zip(found, expected, strict=True):
        same(one, other)


def test_it_loads_no_torch():
    code = (
        "import sys, numpy as np; from sestina.decoding import *;"
        "decoder = Seq2SeqDecoder(Tokens(['#', 'a']), eos='#');"
        "decoder.decode(lambda tokens, *_: (np.zeros((len(tokens), 2)), None), max_length=3);"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
