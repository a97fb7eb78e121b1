"""Small problems with a lexicon, all paths of them one by one, and larger ones that look real."""

import itertools
import math

import numpy as np

from sestina.decoding import DecoderOptions, Lexicon, Tokens
from tests.decoding.plain_search import collapsed

NAMES = "-|abcdefgh"


def readings(tokens, spellings, silence):
    """Every way to read the tokens as words, silence between them being free."""
    if not tokens:
        yield ()
        return
    if tokens[0] == silence:
        yield from readings(tokens[1:], spellings, silence)
    for word, spelling in spellings:
        if tokens[: len(spelling)] == spelling:
            for rest in readings(tokens[len(spelling) :], spellings, silence):
                yield (word, *rest)


def every_path(scores, spellings, silence, options, language=lambda _: 0.0):
    """The score of each sequence of words, from all paths of tokens."""
    found, known = {}, {}
    for path in itertools.product(range(scores.shape[1]), repeat=len(scores)):
        tokens = collapsed(path)
        if tokens not in known:
            known[tokens] = list(readings(tokens, spellings, silence))
        acoustic = sum(float(scores[t, n]) for t, n in enumerate(path))
        acoustic += options.sil_score * sum(n == silence for n in path)
        for words in known[tokens]:
            score = acoustic + options.word_score * len(words)
            score += options.lm_weight * language(words)
            before = found.get(words, -math.inf)
            found[words] = np.logaddexp(before, score) if options.log_add else max(before, score)
    return found


def problem(seed):
    """A generator, random scores, and a lexicon with or without a separator."""
    rng = np.random.default_rng(seed)
    width, silence = int(rng.integers(3, 6)), 1 if rng.random() < 0.5 else None
    scores = (2 * rng.normal(size=(int(rng.integers(1, 6)), width))).astype(np.float32)
    letters = [n for n in range(1, width) if n != silence]
    spellings = []
    for _ in range(int(rng.integers(1, 5))):
        spelling = tuple(int(n) for n in rng.choice(letters, size=int(rng.integers(1, 4))))
        spelling += (silence,) if silence and rng.random() < 0.5 else ()
        word = str(rng.choice(["v", "w", "x"]))
        if (word, spelling) not in spellings:
            spellings.append((word, spelling))
    tokens = Tokens(list(NAMES[:width]))
    lexicon = Lexicon.from_spellings(
        [(word, " ".join(NAMES[n] for n in spelling)) for word, spelling in spellings], tokens
    )
    return rng, scores, spellings, silence, lexicon


def exhaustive(rng, silence, **others):
    """Options that lose nothing, with weights of the generator's."""
    return DecoderOptions(
        beam_size=100_000,
        beam_threshold=1e9,
        word_score=float(rng.normal()),
        sil_score=float(rng.normal()) if silence else 0.0,
        silence="|" if silence else "",
        **others,
    )


def realistic(seed, num_words=300, num_frames=200, width=10):
    """Peaked scores over more frames than all paths could be tried for."""
    rng = np.random.default_rng(seed)
    tokens = Tokens(list(NAMES[:width]))
    words = {
        "".join(rng.choice(list(NAMES[2:width]), size=rng.integers(1, 6))) for _ in range(num_words)
    }
    lexicon = Lexicon.from_spellings({w: " ".join(w) + " |" for w in sorted(words)}, tokens)
    logits = rng.normal(size=(num_frames, width)) * 3
    scores = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return lexicon, scores.astype(np.float32)


# A trigram model of the words of `problem`.
ARPA = """\\data\\
ngram 1=6
ngram 2=4

\\1-grams:
-1.3\t<unk>
-99\t<s>\t-0.4
-0.9\t</s>
-0.5\tv\t-0.2
-0.8\tw\t-0.6
-1.1\tx

\\2-grams:
-0.2\tv w
-0.3\t<s> x
-0.7\tw </s>
-0.4\tv v

\\end\\
"""
