"""Sequence search against all sequences, and against the search of Hugging Face's models."""

import itertools
import math

import numpy as np
import pytest
import torch

from sestina.core.errors import (
    DtypeError,
    InvalidValueError,
    NonFiniteError,
    OptionError,
    ShapeError,
)
from sestina.decoding.batched import (
    BatchedSeq2SeqDecoder,
    BatchedSeq2SeqOptions,
    TokenAutomaton,
)
from tests.decoding.token_model import NAMES, TOKENS, token_model

pytestmark = pytest.mark.usefixtures("one_thread")

END = 0


class History:
    """A model whose logits depend on the input and on all tokens so far, kept in its cache.

    It says something else after each history, so that a cache that is not reordered shows.
    """

    def __init__(self, num_tokens, seed):
        self.num_tokens, self.seed = num_tokens, seed

    def logits(self, row):
        rng = np.random.default_rng([self.seed, *row])
        return 2 * rng.normal(size=self.num_tokens)

    def step(self, token_r, cache):
        cache = torch.cat([cache, token_r[:, None]], dim=1)
        rows = [self.logits(row) for row in cache.tolist()]
        return torch.tensor(np.array(rows), dtype=torch.float32), cache

    def reorder(self, cache, row_r):
        return cache[row_r]


def every_sequence(model, first, options, language, ending):
    """The ranked score of each sequence that ends, or is as long as it may be."""
    found = {}

    def visit(tokens, total):
        logits = model.logits([*first, *tokens])
        scores = logits - np.logaddexp.reduce(logits)
        length = len(tokens) + 1
        ended = total + scores[END] + options.eos_score + options.lm_weight * ending(tokens)
        found[tokens, True] = ended / length**options.length_penalty
        for token in range(1, model.num_tokens):
            longer = (*tokens, token)
            score = total + scores[token]
            score += options.lm_weight * (language(longer) - language(tokens))
            if length == options.max_length:
                found[longer, False] = score / length**options.length_penalty
            else:
                visit(longer, score)

    visit((), 0.0)
    return found


@pytest.fixture(scope="module")
def model_of_tokens(tmp_path_factory):
    return token_model(tmp_path_factory.mktemp("lm"))


@pytest.mark.parametrize("seed", range(12))
def test_an_exhaustive_beam_finds_the_best_of_all_sequences(model_of_tokens, seed):
    rng = np.random.default_rng(seed)
    with_lm = bool(seed % 2)
    options = BatchedSeq2SeqOptions(
        beam_size=5**4,
        max_length=int(rng.integers(1, 5)),
        length_penalty=float(rng.choice([0.0, 0.7, 1.0])),
        eos_score=float(rng.choice([0.0, -1.0, 0.5])),
        lm_weight=0.8,
        early_stopping="never",
    )
    model = History(len(NAMES), seed)

    def language(tokens, *, end=False):
        if not with_lm:
            return 0.0
        return sum(model_of_tokens.scores([NAMES[n] for n in tokens], end=end))

    automaton = TokenAutomaton(model_of_tokens, TOKENS, torch.device("cpu")) if with_lm else None
    decoder = BatchedSeq2SeqDecoder(
        model.step, model.reorder, end=END, options=options, automaton=automaton
    )
    inputs = torch.tensor([[7], [8], [9]])
    found = decoder.decode(inputs, torch.tensor([1, 2, 1]), nbest=4)
    for first, sequences in zip([[7, 1], [8, 2], [9, 1]], found, strict=True):
        expected = every_sequence(
            model,
            first,
            options,
            language,
            lambda tokens: language(tokens, end=True) - language(tokens),
        )
        best = sorted(expected.values(), reverse=True)[:4]
        assert [one.score for one in sequences] == pytest.approx(best, abs=1e-4)
        for one in sequences:
            assert expected[one.tokens, one.finished] == pytest.approx(one.score, abs=1e-4)


def plain_beam(model, first, options):
    """Beam search with lists; ends when nothing under way could still be among the best."""
    size, power = options.beam_size, options.length_penalty
    running, finished = [(0.0, ())], []
    for length in range(1, options.max_length + 1):
        candidates = []
        for total, tokens in running:
            logits = model.logits([*first, *tokens])
            scores = logits - np.logaddexp.reduce(logits)
            candidates += [(total + s, (*tokens, n)) for n, s in enumerate(scores)]
        candidates = sorted(candidates, reverse=True)[: 2 * size]
        for score, tokens in candidates[:size]:
            if tokens[-1] == END or length == options.max_length:
                finished.append((score / length**power, tokens))
        finished = sorted(finished, reverse=True)[:size]
        running = [one for one in candidates if one[1][-1] != END][:size]
        if len(finished) == size:
            last = options.max_length if options.early_stopping == "never" else length
            if options.early_stopping is True or running[0][0] / last**power <= finished[-1][0]:
                break
    return finished


@pytest.mark.parametrize("early_stopping", [False, True, "never"])
@pytest.mark.parametrize("seed", range(8))
def test_a_narrow_beam_is_that_of_the_obvious_search(seed, early_stopping):
    rng = np.random.default_rng(100 + seed)
    options = BatchedSeq2SeqOptions(
        beam_size=int(rng.integers(1, 5)),
        max_length=int(rng.integers(1, 10)),
        length_penalty=float(rng.choice([0.5, 1.0, 2.0])),
        early_stopping=early_stopping,
    )
    model = History(4, seed)
    decoder = BatchedSeq2SeqDecoder(model.step, model.reorder, end=END, options=options)
    inputs = torch.arange(6)[:, None]
    found = decoder.decode(inputs, torch.ones(6, dtype=torch.int64), nbest=4)
    for one, sequences in enumerate(found):
        expected = plain_beam(model, [one, 1], options)[:4]
        assert [s.score for s in sequences] == pytest.approx([s for s, _ in expected], abs=1e-5)
        tokens = [(*s.tokens, END) if s.finished else s.tokens for s in sequences]
        assert tokens == [t for _, t in expected]
    # And each alone as in the batch.
    alone = [decoder.decode(inputs[k : k + 1], torch.tensor([1]), nbest=4)[0] for k in range(6)]
    assert alone == found


@pytest.mark.parametrize("early_stopping", [False, True, "never"])
@pytest.mark.parametrize("seed", range(4))
def test_a_model_of_hugging_face_says_what_its_own_search_finds(seed, early_stopping):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    config = transformers.GPT2Config(
        vocab_size=12,
        n_layer=1,
        n_head=2,
        n_embd=16,
        initializer_range=0.4,
        bos_token_id=1,
        eos_token_id=1,
        pad_token_id=0,
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    options = BatchedSeq2SeqOptions(
        beam_size=int(rng.integers(2, 6)),
        max_length=15,
        length_penalty=float(rng.choice([-0.5, 0.0, 1.0, 1.5])),
        early_stopping=early_stopping,
    )
    prompts = torch.randint(2, 12, (4, 5))

    def step(token_r, tokens_rt):  # without a cache of its own, which the example has
        tokens_rt = torch.cat([tokens_rt, token_r[:, None]], dim=1)
        return model(tokens_rt).logits[:, -1], tokens_rt

    decoder = BatchedSeq2SeqDecoder(step, lambda c, row: c[row], end=1, options=options)
    found = decoder.decode(prompts[:, :-1], prompts[:, -1], nbest=options.beam_size)
    theirs = model.generate(
        prompts,
        attention_mask=torch.ones_like(prompts),
        num_beams=options.beam_size,
        num_return_sequences=options.beam_size,
        max_new_tokens=15,
        length_penalty=options.length_penalty,
        early_stopping=early_stopping,
        do_sample=False,
        return_dict_in_generate=True,
        output_scores=True,
    )
    flat = list(itertools.chain(*found))
    assert [one.score for one in flat] == pytest.approx(theirs.sequences_scores.tolist(), abs=1e-5)
    for one, row in zip(flat, theirs.sequences[:, 5:].tolist(), strict=True):
        assert one.tokens == tuple(row[: row.index(1)] if 1 in row else row)


def constant(logits_rv):
    return lambda token_r, cache: (logits_rv, cache)


@pytest.mark.parametrize(
    ("logits", "error", "text"),
    [
        (torch.full((4, 3), math.nan), NonFiniteError, "step 1"),
        (torch.full((4, 3), -math.inf), NonFiniteError, "minus infinity"),
        (torch.zeros(3, 3), ShapeError, r"\(3, 3\).*4 rows"),
        (torch.zeros(4, 1, 3), ShapeError, "next token only"),
        (torch.zeros(4, 2), ShapeError, "more than 2 tokens"),
        (torch.zeros(4, 3, dtype=torch.int64), DtypeError, "logits"),
        (np.zeros((4, 3)), InvalidValueError, "ndarray"),
    ],
)
def test_logits_that_cannot_be_read_are_named(logits, error, text):
    options = BatchedSeq2SeqOptions(beam_size=2)
    decoder = BatchedSeq2SeqDecoder(
        constant(logits), lambda cache, row_r: cache, end=2, options=options
    )
    with pytest.raises(error, match=text):
        decoder.decode(None, torch.tensor([0, 1]))


def test_wrong_arguments_are_named(model_of_tokens):
    automaton = TokenAutomaton(model_of_tokens, TOKENS, torch.device("cpu"))
    step, reorder = constant(torch.zeros(5, 5)), lambda cache, row_r: cache
    with pytest.raises(InvalidValueError, match="end is -1"):
        BatchedSeq2SeqDecoder(step, reorder, end=-1)
    with pytest.raises(InvalidValueError, match=r"end is 5.*below 5"):
        BatchedSeq2SeqDecoder(step, reorder, end=5, automaton=automaton)
    decoder = BatchedSeq2SeqDecoder(step, reorder, end=0)
    with pytest.raises(DtypeError, match="start_b"):
        decoder.decode(None, torch.tensor([0.0]))
    with pytest.raises(ShapeError, match="start_b"):
        decoder.decode(None, torch.tensor([[0]]))
    with pytest.raises(InvalidValueError, match="nbest"):
        decoder.decode(None, torch.tensor([0]), nbest=0)
    assert decoder.decode(None, torch.empty(0, dtype=torch.int64)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"beam_size": 0},
        {"max_length": 0},
        {"early_stopping": "soon"},
        {"length_penalty": math.nan},
        {"eos_score": math.inf},
    ],
)
def test_options_out_of_their_range_are_named(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        BatchedSeq2SeqOptions(**wrong)


def test_errors_of_the_model_come_through_and_leave_the_decoder_usable():
    calls = []

    def step(token_r, cache):
        calls.append(cache)
        if len(calls) == 2:
            raise KeyError("mine")
        return torch.zeros(2, 3), cache

    options = BatchedSeq2SeqOptions(beam_size=2, max_length=3)
    decoder = BatchedSeq2SeqDecoder(step, lambda cache, row_r: cache, end=2, options=options)
    with pytest.raises(KeyError, match="mine"):
        decoder.decode(None, torch.tensor([0]))
    assert decoder.decode(None, torch.tensor([0]))
