"""All sequences, one by one, and a plain beam search: what a search has to find."""

import itertools
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sestina.decoding import (
    Lexicon,
    Seq2SeqOptions,
    Tokens,
    read_arpa,
)

NAMES = "#abcdefgh"  # the first one is the end
EOS = 0


def scores_after(seed, width, tokens):
    """log p(token | tokens): of a model that remembers everything."""
    logits = 2 * np.random.default_rng([seed, *tokens]).normal(size=width)
    return (logits - np.log(np.exp(logits).sum())).astype(np.float32)


def updating(seed, width, *, memory=None):
    """A callback whose states are the tokens so far; it scores by the last `memory` of them."""

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


@dataclass
class Plain:
    """A hypothesis of the search below."""

    score: float
    tokens: tuple[int, ...] = ()
    words: tuple[str, ...] = ()
    inside: tuple[int, ...] = ()  # the word at hand, so far
    finished: bool = False
    state: Any = None


@dataclass
class Place:
    """Where a spelling leads to, and whether it ends there."""

    words: list[str] = field(default_factory=list)
    leaf: bool = True


def tree(spellings):
    """The place of each beginning of a spelling."""
    places = {}
    for word, spelling in spellings:
        for k in range(1, len(spelling) + 1):
            places.setdefault(spelling[:k], Place()).leaf &= k == len(spelling)
        places[spelling].words.append(word)
    return places


def grown(one, token, gain, state, options, spellings, lm):
    """What a hypothesis becomes with one token more."""
    tokens, score = (*one.tokens, token), one.score + gain
    read = one.words if spellings else [named(n) for n in one.tokens]

    def language(*more, end):
        return options.lm_weight * lm.scores([*read, *more], end=end)[-1] if lm else 0.0

    if token == EOS:
        if not one.inside:
            score += options.eos_score + language(end=True)
            yield Plain(score, tokens, one.words, (), finished=True)
        return
    score += options.token_score
    if not spellings:
        yield Plain(score + language(named(token), end=False), tokens, state=state)
        return
    inside = (*one.inside, token)
    if inside in spellings and not spellings[inside].leaf:
        yield Plain(score, tokens, one.words, inside, state=state)
    for word in spellings[inside].words if inside in spellings else ():
        more = options.word_score + language(word, end=False)
        yield Plain(score + more, tokens, (*one.words, word), state=state)


def plain_beam_search(update, max_length, options, spellings, lm):
    """The search as its definition has it: every candidate is made, scored, sorted."""
    beam = [Plain(0.0)]
    for step in range(max_length):
        going = [one for one in beam if not one.finished]
        if not going:
            break
        last = np.array([one.tokens[-1] if one.tokens else -1 for one in going], np.int32)
        rows, states = update(last, np.zeros(len(going)), [one.state for one in going], step)
        made = [one for one in beam if one.finished]
        for one, row, state in zip(going, rows, states, strict=True):
            best = np.argsort(-row, kind="stable")[: options.beam_size_token or len(row)].tolist()
            for token in best:
                made += grown(one, token, float(row[token]), state, options, spellings, lm)
        if not made:
            break
        highest = max(one.score for one in made)
        made = [one for one in made if one.score >= highest - options.beam_threshold]
        kept = {}
        for one in sorted(made, key=lambda one: -one.score):
            by_words = one.finished and spellings
            place = one.words if by_words else (one.tokens, one.words, one.inside)
            best = kept.setdefault(place, one)
            if options.log_add and one is not best:
                kept[place] = replace(best, score=np.logaddexp(best.score, one.score))
        beam = sorted(kept.values(), key=lambda one: -one.score)[: options.beam_size]
    return [one for one in beam if one.finished] or beam


def named(token):
    return f"t{token}"
