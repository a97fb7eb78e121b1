"""Options that meet in one search, against all paths of problems small enough for that."""

import itertools
import math

import numpy as np
import pytest

from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, read_arpa

NAMES = "-|ab"
LEXICON = {"ab": "a b |", "a": "a |", "ba": "b a |", "aa": "a a |"}
SEEDS = range(3)
ARPA = """\\data\\
ngram 1=10
ngram 2=5

\\1-grams:
-1.3\t<unk>\t-0.3
-99\t<s>\t-0.4
-0.9\t</s>
-0.5\ta\t-0.2
-0.8\tab\t-0.6
-1.1\tb\t-0.1
-1.2\tba
-0.7\taa\t-0.5
-0.6\t|\t-0.3
-1.4\t-

\\2-grams:
-0.2\ta ab
-0.3\t<s> a
-0.7\tab </s>
-0.4\ta |
-0.3\t| b

\\end\\
"""


@pytest.fixture(scope="module")
def lm(tmp_path_factory):
    path = tmp_path_factory.mktemp("lm") / "lm.arpa"
    path.write_text(ARPA)
    return read_arpa(path)


def collapsed(path, criterion="ctc"):
    kept = tuple(token for token, _ in itertools.groupby(path))
    return kept if criterion == "asg" else tuple(n for n in kept if n != 0)


def readings(tokens, lexicon):
    """Words and the tokens of their spellings, silence between them being free."""
    if not tokens:
        yield (), ()
        return
    if tokens[0] == 1:
        yield from readings(tokens[1:], lexicon)
    for word, spelled in lexicon.items():
        spelling = tuple(NAMES.index(token) for token in spelled.split())
        if tokens[: len(spelling)] == spelling:
            for words, spoken in readings(tokens[len(spelling) :], lexicon):
                yield (word, *words), (*spelling, *spoken)


def spelled_out(tokens):
    """The words between silences, in the lexicon or not."""
    groups = "".join(NAMES[n] for n in tokens).split("|")
    return tuple(group for group in groups if group)


def every_path(scores, log_add, read, criterion="ctc", transitions=None, allowed=None):
    """By reading, the score of all paths; `read` gives readings of tokens with their scores."""
    found, known = {}, {}
    for path in itertools.product(range(scores.shape[1]), repeat=len(scores)):
        if allowed is not None and not allowed(path):
            continue
        tokens = collapsed(path, criterion)
        if tokens not in known:
            known[tokens] = list(read(tokens))
        acoustic = sum(float(scores[t, n]) for t, n in enumerate(path))
        if transitions is not None and criterion == "asg":
            acoustic += sum(float(transitions[b, a]) for a, b in itertools.pairwise(path))
        for key, own in known[tokens]:
            before = found.get(key, -math.inf)
            score = acoustic + own
            found[key] = np.logaddexp(before, score) if log_add else max(before, score)
    return {key: score for key, score in found.items() if score > -math.inf}


def options_of(log_add, **others):
    return DecoderOptions(
        **{"beam_size": 100_000, "beam_threshold": 1e9, "merge": "history"} | others,
        log_add=log_add,
    )


def check(decoder, scores, wanted):
    """The same readings with the same scores, each once."""
    if not wanted:
        return
    hypotheses = decoder.decode(scores, nbest=100_000)
    found = {tuple(word.text for word in one.words): one.score for one in hypotheses}
    assert len(found) == len(hypotheses)
    assert found == pytest.approx(wanted, abs=1e-4)


def occurrences(phrase, words):
    return sum(
        tuple(words[at : at + len(phrase)]) == phrase for at in range(len(words) - len(phrase) + 1)
    )


HOTWORDS = {"a": 1.5, "a b": 2.0, "a ab": -0.7, "b": -1.0}
PHRASES = ["ab", "a b", "b", "a ab", "abb"]


def said(words, lm):
    return 0.8 * sum(lm.scores(words))


def random_scores(seed, num_frames=5):
    return (2 * np.random.default_rng(seed).normal(size=(num_frames, 4))).astype(np.float32)


both = pytest.mark.parametrize("log_add", [False, True])
every_smearing = pytest.mark.parametrize("smearing", ["none", "max", "logadd"])
every_seed = pytest.mark.parametrize("seed", SEEDS)


@every_seed
@both
@every_smearing
@pytest.mark.parametrize("level", ["word", "token"])
def test_hotwords_and_a_model_at_either_level(seed, log_add, smearing, level, lm):
    scores = random_scores(seed)
    lexicon = {**LEXICON, "b": "b |"}

    def read(tokens):
        for words, spoken in readings(tokens, lexicon):
            own = sum(
                score * occurrences(tuple(phrase.split()), words)
                for phrase, score in HOTWORDS.items()
            )
            symbols = words if level == "word" else [NAMES[n] for n in spoken]
            yield words, own + said(symbols, lm)

    options = options_of(log_add, smearing=smearing, lm_weight=0.8, lm_level=level)
    vocabulary = Lexicon.from_spellings(lexicon, Tokens(NAMES))
    decoder = Decoder(vocabulary, lm, options, hotwords=HOTWORDS)
    check(decoder, scores, every_path(scores, log_add, read))


@every_seed
@both
@every_smearing
def test_a_grammar_and_a_model(seed, log_add, smearing, lm):
    scores = random_scores(seed)
    lexicon = {**LEXICON, "b": "b |", "abb": "a b b |"}

    def read(tokens):
        for words, _ in readings(tokens, lexicon):
            if " ".join(words) in PHRASES:
                yield words, said(words, lm)

    options = options_of(log_add, smearing=smearing, lm_weight=0.8)
    vocabulary = Lexicon.from_spellings(lexicon, Tokens(NAMES))
    decoder = Decoder(vocabulary, lm, options, grammar=PHRASES)
    check(decoder, scores, every_path(scores, log_add, read))


@every_seed
@both
@pytest.mark.parametrize("smearing", ["none", "max"])
@pytest.mark.parametrize("phrases", ["hotwords", "grammar"])
def test_phrases_in_an_open_vocabulary(seed, log_add, smearing, phrases, lm):
    scores = random_scores(seed)
    options = options_of(
        log_add, smearing=smearing, lm_weight=0.8, unk_score=-0.6, open_vocabulary=True
    )

    # Words of phrases that the lexicon lacks are added to it.
    listed = {*LEXICON, *" ".join(HOTWORDS if phrases == "hotwords" else PHRASES).split()}

    def read(tokens):
        words = spelled_out(tokens)
        own = options.unk_score * sum(word not in listed for word in words)
        own += said([word if word in listed else "<unk>" for word in words], lm)
        if phrases == "hotwords":
            own += sum(s * occurrences(tuple(p.split()), words) for p, s in HOTWORDS.items())
        elif " ".join(words) not in PHRASES:
            return
        yield words, own

    given = {"hotwords": HOTWORDS} if phrases == "hotwords" else {"grammar": PHRASES}
    decoder = Decoder(Lexicon.from_spellings(LEXICON, Tokens(NAMES)), lm, options, **given)
    check(decoder, scores, every_path(scores, log_add, read))


def state_of(lm, words):
    walk = lm.native.walk()
    state = walk.start(True)
    for word in words:
        _, state = walk.step(state, word.encode())
    return state


@every_seed
@every_smearing
@pytest.mark.parametrize("log_add", [True])
def test_equal_contexts_add_up(seed, smearing, log_add, lm):
    scores = random_scores(seed)
    wanted = every_path(
        scores, log_add, lambda tokens: ((w, said(w, lm)) for w, _ in readings(tokens, LEXICON))
    )
    groups = {}
    for words, score in wanted.items():
        groups.setdefault(state_of(lm, words), []).append(score)
    options = options_of(log_add, smearing=smearing, lm_weight=0.8, merge="context")
    decoder = Decoder(Lexicon.from_spellings(LEXICON, Tokens(NAMES)), lm, options)
    found = [one.score for one in decoder.decode(scores, nbest=100_000)]
    sums = sorted((np.logaddexp.reduce(group) for group in groups.values()), reverse=True)
    assert found == pytest.approx(sums, abs=1e-4)


@every_seed
@both
def test_the_best_in_an_open_vocabulary_with_merged_contexts(seed, log_add, lm):
    scores = random_scores(seed)
    options = options_of(
        log_add, lm_weight=0.8, unk_score=-0.6, open_vocabulary=True, merge="context"
    )

    def read(tokens):
        words = spelled_out(tokens)
        heard = [word if word in LEXICON else "<unk>" for word in words]
        own = options.unk_score * sum(word not in LEXICON for word in words)
        yield words, own + said(heard, lm)

    wanted = every_path(scores, log_add, read)
    groups = {}
    for words, score in wanted.items():
        heard = [word if word in LEXICON else "<unk>" for word in words]
        groups.setdefault(state_of(lm, heard), []).append(score)
    merged = np.logaddexp.reduce if log_add else max
    decoder = Decoder(Lexicon.from_spellings(LEXICON, Tokens(NAMES)), lm, options)
    best = decoder.decode(scores)[0]
    assert best.score == pytest.approx(max(map(merged, groups.values())), abs=1e-4)


@every_seed
@both
def test_transitions_within_words(seed, log_add):
    scores = random_scores(seed)
    rng = np.random.default_rng(seed)
    transitions = rng.normal(size=(4, 4)).astype(np.float32)
    transitions[tuple(rng.integers(4, size=2))] = -np.inf

    def read(tokens):
        for words, _ in readings(tokens, LEXICON):
            spelled = [[NAMES.index(c) for c in LEXICON[word].split()] for word in words]
            yield (
                words,
                sum(
                    float(transitions[b, a]) for one in spelled for a, b in itertools.pairwise(one)
                ),
            )

    vocabulary = Lexicon.from_spellings(LEXICON, Tokens(NAMES))
    decoder = Decoder(vocabulary, None, options_of(log_add), transitions=transitions)
    check(decoder, scores, every_path(scores, log_add, read))


@every_seed
@both
def test_more_than_64_tokens_and_a_model(seed, log_add, lm):
    scores = random_scores(seed)
    wide = np.full((len(scores), 74), -np.inf, np.float32)
    wide[:, :4] = scores
    tokens = Tokens([*NAMES, *(f"x{n}" for n in range(70))])
    decoder = Decoder(
        Lexicon.from_spellings(LEXICON, tokens), lm, options_of(log_add, lm_weight=0.8)
    )
    wanted = every_path(
        scores, log_add, lambda found: ((w, said(w, lm)) for w, _ in readings(found, LEXICON))
    )
    check(decoder, wide, wanted)


@every_seed
@both
def test_frames_that_are_skipped_are_taken_for_blanks(seed, log_add, lm):
    scores = 2 * random_scores(seed)
    scores -= np.logaddexp.reduce(scores, axis=1, keepdims=True)
    blank = scores[:, 0] > math.log(0.3)
    wanted = every_path(
        scores,
        log_add,
        lambda tokens: ((w, said(w, lm)) for w, _ in readings(tokens, LEXICON)),
        allowed=lambda path: all(n == 0 for n, skipped in zip(path, blank, strict=True) if skipped),
    )
    options = options_of(log_add, lm_weight=0.8, blank_skip_threshold=0.3)
    decoder = Decoder(Lexicon.from_spellings(LEXICON, Tokens(NAMES)), lm, options)
    check(decoder, scores, wanted)


@every_seed
@both
def test_segments_in_an_open_vocabulary(seed, log_add, lm):
    scores = random_scores(seed)
    transitions = np.random.default_rng(seed).normal(size=(4, 4)).astype(np.float32)
    options = options_of(
        log_add, criterion="asg", lm_weight=0.8, unk_score=-0.6, open_vocabulary=True
    )
    lexicon = {word: spelled for word, spelled in LEXICON.items() if word != "aa"}

    def read(tokens):
        words = spelled_out(tokens)
        own = options.unk_score * sum(word not in lexicon for word in words)
        yield words, own + said([word if word in lexicon else "<unk>" for word in words], lm)

    vocabulary = Lexicon.from_spellings(lexicon, Tokens(NAMES))
    decoder = Decoder(vocabulary, lm, options, transitions=transitions)
    check(decoder, scores, every_path(scores, log_add, read, "asg", transitions))


@every_seed
@both
def test_hotwords_and_a_model_of_tokens_without_a_lexicon(seed, log_add, lm):
    scores = random_scores(seed)
    hotwords = {"a": 1.5, "ab": 2.0, "a b": -0.7}

    def read(tokens):
        symbols = ["|", *(NAMES[n] for n in tokens), "|"]
        own = sum(
            score * occurrences(tuple(f"|{phrase.replace(' ', '|')}|"), symbols)
            for phrase, score in hotwords.items()
        )
        yield tokens, own + said([NAMES[n] for n in tokens], lm)

    decoder = Decoder(Tokens(NAMES), lm, options_of(log_add, lm_weight=0.8), hotwords=hotwords)
    hypotheses = decoder.decode(scores, nbest=100_000)
    found = {tuple(NAMES.index(t.text) for t in one.tokens): one.score for one in hypotheses}
    assert len(found) == len(hypotheses)
    assert found == pytest.approx(every_path(scores, log_add, read), abs=1e-4)
