"""Each mode of the search against all paths, one by one, on problems small enough for that."""

import itertools
import math

import numpy as np
import pytest

from sestina.decoding import Decoder, DecoderOptions, Grammar, Lexicon, Tokens, read_arpa
from tests.decoding.forgetful import Forgetful
from tests.decoding.plain_search import PlainSearch

NAMES = "-|abc"
BLANK, SILENCE = 0, 1


def random_scores(rng, num_frames, num_tokens):
    return (2 * rng.normal(size=(num_frames, num_tokens))).astype(np.float32)


def exhaustive(**options):
    return DecoderOptions(beam_size=100_000, beam_threshold=1e9, smearing="none", **options)


def collapsed(path, criterion):
    kept = [token for token, _ in itertools.groupby(path)]
    return tuple(kept) if criterion == "asg" else tuple(n for n in kept if n != BLANK)


def acoustic(scores, path, options, transitions):
    """Of a path, with all that is counted per frame or per change."""
    total = sum(float(scores[t, n]) for t, n in enumerate(path))
    total += options.sil_score * sum(n == SILENCE for n in path)
    if transitions is not None and options.criterion == "asg":
        total += sum(float(transitions[n, before]) for before, n in itertools.pairwise(path))
    elif transitions is not None:
        said = collapsed(path, "ctc")
        total += sum(float(transitions[n, before]) for before, n in itertools.pairwise(said))
    return total


def add(found, key, score, options):
    before = found.get(key, -math.inf)
    found[key] = np.logaddexp(before, score) if options.log_add else max(before, score)


def every_path(scores, options, read, transitions=None):
    """By reading, the score of all paths; `read` gives the readings of tokens with their scores."""
    found, known = {}, {}
    for path in itertools.product(range(scores.shape[1]), repeat=len(scores)):
        tokens = collapsed(path, options.criterion)
        if tokens not in known:
            known[tokens] = list(read(tokens))
        for key, own in known[tokens]:
            add(found, key, acoustic(scores, path, options, transitions) + own, options)
    return {key: score for key, score in found.items() if score > -math.inf}


def compare(found, wanted):
    assert set(found) == set(wanted)
    for key, score in wanted.items():
        assert found[key] == pytest.approx(score, abs=1e-4)


def tokens_of(names, hypothesis):
    return tuple(names.index(token.text) for token in hypothesis.tokens)


@pytest.fixture
def token_lm(tmp_path):
    """A bigram model of the tokens."""
    rng = np.random.default_rng(5)
    words = ["<unk>", "<s>", "</s>", *NAMES[1:]]
    lines = ["\\data\\", f"ngram 1={len(words)}", "ngram 2=6", "", "\\1-grams:"]
    for word in words:
        score = -99.0 if word == "<s>" else -rng.uniform(0.5, 2)
        lines.append(f"{score:.4f}\t{word}\t{-rng.uniform(0, 1):.4f}")
    lines += ["", "\\2-grams:"]
    for pair in ("<s> a", "a b", "b a", "| a", "c </s>", "a |"):
        lines.append(f"{-rng.uniform(0.2, 1):.4f}\t{pair}")
    path = tmp_path / "tokens.arpa"
    path.write_text("\n".join([*lines, "", "\\end\\", ""]))
    return read_arpa(path)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("criterion", ["ctc", "asg"])
@pytest.mark.parametrize("with_lm", [False, True])
def test_without_a_lexicon(seed, log_add, criterion, with_lm, token_lm):
    rng = np.random.default_rng(seed)
    names = NAMES[: int(rng.integers(3, 6))]
    scores = random_scores(rng, int(rng.integers(1, 6)), len(names))
    transitions = None
    if criterion == "asg" or seed % 3 == 0:
        transitions = rng.normal(size=(len(names), len(names))).astype(np.float32)
        transitions[tuple(rng.integers(len(names), size=2))] = -np.inf
    options = exhaustive(
        log_add=log_add,
        criterion=criterion,
        merge="history",
        lm_weight=float(rng.normal()) if seed % 2 else 0.8,
        sil_score=float(rng.normal()),
        token_score=float(rng.normal()),
    )

    def read(tokens):
        own = options.token_score * len(tokens)
        if with_lm:
            own += options.lm_weight * sum(token_lm.scores([names[n] for n in tokens]))
        yield tokens, own

    decoder = Decoder(
        Tokens(names), token_lm if with_lm else None, options, transitions=transitions
    )
    found = {}
    for hypothesis in decoder.decode(scores, nbest=10_000):
        key = tokens_of(names, hypothesis)
        assert key not in found
        found[key] = hypothesis.score
    compare(found, every_path(scores, options, read, transitions))


LEXICON = {"ab": "a b |", "a": "a |", "ba": "b a |", "aa": "a a |"}


def readings(tokens, lexicon):
    """Every way to read the tokens as words, silence between them being free."""
    if not tokens:
        yield (), ()
        return
    if tokens[0] == SILENCE:
        yield from readings(tokens[1:], lexicon)
    for word, spelled in lexicon.items():
        spelling = tuple(NAMES.index(token) for token in spelled.split())
        if tokens[: len(spelling)] == spelling:
            for words, spoken in readings(tokens[len(spelling) :], lexicon):
                yield (word, *words), (*spelling, *spoken)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("criterion", ["ctc", "asg"])
@pytest.mark.parametrize("level", ["word", "token"])
def test_in_a_lexicon(seed, log_add, criterion, level, token_lm):
    """Segments, and models of tokens."""
    rng = np.random.default_rng(seed)
    scores = random_scores(rng, 5, 4)
    transitions = None
    if criterion == "asg":
        transitions = rng.normal(size=(4, 4)).astype(np.float32)
    options = exhaustive(
        log_add=log_add,
        criterion=criterion,
        lm_level=level,
        merge="history",
        lm_weight=0.8,
        word_score=float(rng.normal()),
        word_length_score=float(rng.normal()),
        sil_score=float(rng.normal()),
    )
    lexicon = {word: spelled for word, spelled in LEXICON.items() if rng.random() < 0.8}

    def read(tokens):
        for words, spoken in readings(tokens, lexicon):
            own = options.word_score * len(words)
            own += options.word_length_score * sum(map(len, words))
            said = words if level == "word" else [NAMES[n] for n in spoken]
            yield words, own + options.lm_weight * sum(token_lm.scores(said))

    decoder = Decoder(
        Lexicon.from_spellings(lexicon, Tokens(NAMES[:4])),
        token_lm,
        options,
        transitions=transitions,
    )
    wanted = every_path(scores, options, read, transitions)
    # Of the unfinished words there is nothing to compare.
    found = {}
    for hypothesis in decoder.decode(scores, nbest=10_000) if wanted else []:
        key = tuple(word.text for word in hypothesis.words)
        assert key not in found
        found[key] = hypothesis.score
    compare(found, wanted)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("smearing", ["none", "max"])
def test_words_that_the_lexicon_lacks_are_spelled_out(seed, log_add, smearing, token_lm):
    rng = np.random.default_rng(seed)
    names = NAMES[: int(rng.integers(3, 6))]
    scores = random_scores(rng, 5 if len(names) < 5 else 4, len(names))
    options = DecoderOptions(
        beam_size=100_000,
        beam_threshold=1e9,
        smearing=smearing,
        log_add=log_add,
        merge="history",
        lm_weight=0.8,
        word_score=float(rng.normal()),
        unk_score=float(rng.normal()),
        open_vocabulary=True,
    )
    lexicon = {
        word: spelled
        for word, spelled in LEXICON.items()
        if rng.random() < 0.6 and set(spelled.split()) <= set(names)
    }

    def read(tokens):
        groups = "".join(names[n] for n in tokens).split("|")
        words = tuple(group for group in groups if group)
        own = options.word_score * len(words)
        own += options.unk_score * sum(word not in lexicon for word in words)
        said = [word if word in lexicon else "<unk>" for word in words]
        yield words, own + options.lm_weight * sum(token_lm.scores(said))

    decoder = Decoder(Lexicon.from_spellings(lexicon, Tokens(names)), token_lm, options)
    found = {}
    for hypothesis in decoder.decode(scores, nbest=10_000):
        key = tuple(word.text for word in hypothesis.words)
        assert key not in found
        found[key] = hypothesis.score
    compare(found, every_path(scores, options, read))


def occurrences(phrase, symbols):
    return sum(
        tuple(symbols[at : at + len(phrase)]) == phrase
        for at in range(len(symbols) - len(phrase) + 1)
    )


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("smearing", ["none", "max"])
@pytest.mark.parametrize("with_lm", [False, True])
def test_hotwords_in_a_lexicon_count_where_they_are_said(
    seed, log_add, smearing, with_lm, token_lm
):
    rng = np.random.default_rng(seed)
    scores = random_scores(rng, 6, 4)
    options = DecoderOptions(
        beam_size=100_000, beam_threshold=1e9, smearing=smearing, log_add=log_add, merge="history"
    )
    lexicon = {"ab": "a b |", "a": "a |", "ba": "b a |"}
    hotwords = {"a": 1.5, "a b": 2.0, "a ab": float(rng.normal()), "ab a a": 4.0, "b": -1.0}

    def read(tokens):
        for words, _ in readings(tokens, {**lexicon, "b": "b |"}):
            own = sum(
                score * occurrences(tuple(phrase.split()), words)
                for phrase, score in hotwords.items()
            )
            if with_lm:
                own += options.lm_weight * sum(token_lm.scores(words))
            yield words, own

    decoder = Decoder(
        Lexicon.from_spellings(lexicon, Tokens(NAMES[:4])),
        token_lm if with_lm else None,
        options,
        hotwords=hotwords,
    )
    found = {}
    for hypothesis in decoder.decode(scores, nbest=10_000):
        key = tuple(word.text for word in hypothesis.words)
        assert key not in found
        found[key] = hypothesis.score
    compare(found, every_path(scores, options, read))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("log_add", [False, True])
def test_hotwords_without_a_lexicon_count_between_silences(seed, log_add):
    rng = np.random.default_rng(seed)
    scores = random_scores(rng, 5, 4)
    options = exhaustive(log_add=log_add, merge="history")
    hotwords = {"a": 1.5, "ab": 2.0, "a b": float(rng.normal())}

    def read(tokens):
        symbols = ["|", *(NAMES[n] for n in tokens), "|"]
        yield (
            tokens,
            sum(
                score * occurrences(tuple(f"|{phrase.replace(' ', '|')}|"), symbols)
                for phrase, score in hotwords.items()
            ),
        )

    decoder = Decoder(Tokens(NAMES[:4]), None, options, hotwords=hotwords)
    found = {
        tokens_of(NAMES[:4], hypothesis): hypothesis.score
        for hypothesis in decoder.decode(scores, nbest=10_000)
    }
    compare(found, every_path(scores, options, read))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("in_lexicon", [False, True])
def test_a_grammar_leaves_what_it_says_and_nothing_else(seed, log_add, in_lexicon):
    rng = np.random.default_rng(seed)
    scores = random_scores(rng, 5, 4)
    options = exhaustive(log_add=log_add, merge="history")
    phrases = ["ab", "a b", "b", "abb"]

    def read(tokens):
        said = " ".join("".join(NAMES[n] for n in tokens).replace("|", " ").split())
        if said in phrases:
            yield said, 0.0

    vocabulary = Tokens(NAMES[:4])
    if in_lexicon:
        vocabulary = Lexicon.from_spellings({"ab": "a b |", "zz": "a a |"}, vocabulary)

        def read(tokens):  # with a silence after each word, as its spelling has it
            for words, _ in readings(
                tokens, {"ab": "a b |", "a": "a |", "b": "b |", "abb": "a b b |"}
            ):
                if " ".join(words) in phrases:
                    yield " ".join(words), 0.0

    decoder = Decoder(vocabulary, None, options, grammar=phrases)
    found = {}
    for hypothesis in decoder.decode(scores, nbest=10_000):
        add(found, hypothesis.text, hypothesis.score, options)
    compare(found, every_path(scores, options, read))


def test_a_grammar_may_go_in_circles():
    tokens = Tokens("-|ab")
    grammar = Grammar([(0, "a", 1), (1, "b", 0)], final={0})
    scores = np.full((8, 4), -5.0, dtype=np.float32)
    for frame, token in enumerate("a|b|a|bb"):
        scores[frame, "-|ab".index(token)] = 0.0
    for vocabulary in (tokens, Lexicon.from_spellings({"a": "a", "b": "b"}, tokens)):
        assert Decoder(vocabulary, grammar=grammar).decode(scores)[0].text == "a b a b"


def test_pieces_make_words():
    names = ["<b>", "▁he", "llo", "▁world", "▁"]
    scores = np.full((5, 5), -9.0, dtype=np.float32)
    for frame, token in enumerate([1, 2, 0, 3, 0]):
        scores[frame, token] = 0.0
    best = Decoder(Tokens(names), None, DecoderOptions(blank="<b>", silence="")).decode(scores)[0]
    assert [(word.text, word.start, word.end) for word in best.words] == [
        ("hello", 0, 2),
        ("world", 3, 4),
    ]
    names = ["<b>", "he", "##llo", "world", "##s"]
    best = Decoder(Tokens(names), None, DecoderOptions(blank="<b>", silence="")).decode(scores)[0]
    assert best.text == "hello world"


@pytest.mark.parametrize("merge", ["history", "context"])
@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("vocabulary", ["lexicon", "free", "open", "hotwords", "segments"])
def test_what_is_forgotten_on_the_way_is_not_missed(vocabulary, log_add, merge, token_lm):
    """Searches that forget at every frame find what those do that never do."""
    rng = np.random.default_rng(3)
    tokens = Tokens(NAMES)
    lexicon = Lexicon.from_spellings({**LEXICON, "cab": "c a b |", "bc": "b c |"}, tokens)
    options = DecoderOptions(
        beam_size=30,
        log_add=log_add,
        merge=merge,
        unk_score=-2.0,
        open_vocabulary=vocabulary == "open",
        criterion="asg" if vocabulary == "segments" else "ctc",
    )
    lm = read_arpa(token_lm.source.path)
    decoders = [
        make(
            tokens if vocabulary == "free" else lexicon,
            lm,
            options,
            hotwords={"ab a": 2.0, "ca": 1.0} if vocabulary == "hotwords" else None,
        )
        for make in (Decoder, Forgetful)
    ]
    for _ in range(5):
        scores = random_scores(rng, 60, len(NAMES))
        never, often = (decoder.decode(scores, nbest=20) for decoder in decoders)
        assert [one.text for one in never] == [one.text for one in often]
        assert [one.tokens for one in never] == [one.tokens for one in often]
        for name in ("score", "acoustic_score", "language_score"):
            assert [getattr(one, name) for one in often] == pytest.approx(
                [getattr(one, name) for one in never], abs=1e-6
            )


@pytest.mark.parametrize("semantics", ["ctc", "flashlight"])
def test_of_tokens_with_equal_scores_no_more_are_tried_than_is_said(semantics):
    scores = np.array([[-9.0, -9.0, -1.0, -1.0, -1.0, -1.0]], dtype=np.float32)
    options = DecoderOptions(beam_size=50, beam_size_token=2, semantics=semantics, merge="history")
    found = Decoder(Tokens(list("-|abcd")), options=options).decode(scores, nbest=50)
    assert len([one for one in found if one.text]) == 2


@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("allowed", [3, 100])  # few are kept in a heap
@pytest.mark.parametrize("seed", range(4))
def test_the_best_tokens_of_a_large_vocabulary_are_tried(allowed, log_add, seed):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(12, 150)).astype(np.float32)
    options = DecoderOptions(
        beam_size=20,
        beam_size_token=allowed,
        beam_threshold=50.0,
        log_add=log_add,
        merge="history",
        silence="",
    )
    plain = PlainSearch(options, lambda _, token: 0.0 if token is None else (0.0, 0), 0)
    for frame in scores:
        plain.step(frame)
    tokens = Tokens(["-", *(f"t{n}" for n in range(149))])
    found = Decoder(tokens, options=options).decode(scores, nbest=5)
    assert [one.score for one in found] == pytest.approx(
        [score for score, _ in plain.finish()[:5]], abs=1e-3
    )
