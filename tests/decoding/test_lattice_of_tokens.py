"""Lattices where words are read off tokens or spelled out, against all paths of tokens."""

import itertools
import math
import pickle
from dataclasses import dataclass

import numpy as np
import pytest

from sestina.core.errors import InvalidValueError
from sestina.decoding import (
    Decoder,
    DecoderOptions,
    Lexicon,
    StepwiseLanguageModel,
    Tokens,
    read_arpa,
)
from tests.decoding.forgetful import Forgetful

# Letters of which two make one text in two ways; and pieces with the same.
TOKENS = {
    "letters": ["-", "|", "a", "b", "ab"],
    "sentencepiece": ["-", "▁", "▁a", "b", "▁ab"],
    "wordpiece": ["-", "a", "##b", "ab", "##a"],
    "open": ["-", "|", "a", "b", "c"],
}
KINDS = list(TOKENS)
LEXICON = {"ab": "a b |", "a": "a |", "ba": "b a |", "aa": "a a |"}
WORDS = """\\data\\
ngram 1=7
ngram 2=5

\\1-grams:
-1.3\t<unk>\t-0.3
-99\t<s>\t-0.4
-0.9\t</s>
-0.5\ta\t-0.2
-0.8\tab\t-0.6
-1.1\tba
-0.7\taa\t-0.1

\\2-grams:
-0.2\ta ab
-0.3\t<s> ba
-0.7\tab </s>
-0.4\ta a
-0.6\t<unk> a

\\end\\
"""


def tokens_arpa(names):
    """A 2-gram model that tells some of these apart."""
    one, two = names[2], names[3]
    known = ["<unk>", "<s>", "</s>", *names[1:-1]]
    lines = ["\\data\\", f"ngram 1={len(known)}", "ngram 2=4", "", "\\1-grams:"]
    lines += [
        f"{-99 if word == '<s>' else -0.5 - 0.2 * k}\t{word}\t{-0.1 * k}"
        for k, word in enumerate(known)
    ]
    lines += ["", "\\2-grams:", f"-0.2\t{one} {two}", f"-0.3\t<s> {two}", f"-0.1\t{two} </s>"]
    return "\n".join([*lines, f"-0.4\t{two} {two}", "", "\\end\\", ""])


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    made = {}
    for kind, names in TOKENS.items():
        path = folder / f"{kind}.arpa"
        path.write_text(WORDS if kind == "open" else tokens_arpa(names))
        made[kind] = read_arpa(path)
    return made


@dataclass(frozen=True)
class Problem:
    kind: str
    scores: np.ndarray
    lexicon: dict
    options: DecoderOptions
    model: object

    @property
    def names(self):
        return TOKENS[self.kind]

    @property
    def decoder(self):
        tokens = Tokens(self.names)
        words = Lexicon.from_spellings(self.lexicon, tokens) if self.kind == "open" else tokens
        return Decoder(words, self.model, self.options)

    def words(self, tokens):
        """The words that these are, by their texts."""
        if self.kind == "sentencepiece":
            spaced = "".join(tokens).replace("▁", " ")
        elif self.kind == "wordpiece":
            spaced = "".join(t.removeprefix("##") if t[0] == "#" else f" {t}" for t in tokens)
        else:
            spaced = "".join(tokens).replace("|", " ")
        return tuple(spaced.split())

    def score(self, tokens, words):
        """What they score beside their emissions."""
        options = self.options
        own = options.token_score * len(tokens)
        said = tokens
        if self.kind == "open":
            own += options.word_score * len(words)
            own += options.unk_score * sum(word not in self.lexicon for word in words)
            said = [word if word in self.lexicon else "<unk>" for word in words]
        return own + options.lm_weight * sum(self.model.scores(said))

    def readings(self):
        """The score of each sequence of words, from all paths of tokens."""
        found, known = {}, {}
        separator = self.names.index(self.options.silence) if self.options.silence else None
        for path in itertools.product(range(len(self.names)), repeat=len(self.scores)):
            tokens = tuple(self.names[n] for n, _ in itertools.groupby(path) if n)
            if tokens not in known:
                words = self.words(tokens)
                known[tokens] = words, self.score(tokens, words)
            words, score = known[tokens]
            score += sum(float(self.scores[t, n]) for t, n in enumerate(path))
            score += self.options.sil_score * sum(n == separator for n in path)
            before = found.get(words, -math.inf)
            sums = self.options.log_add
            found[words] = np.logaddexp(before, score) if sums else max(before, score)
        return found


def problem(seed, kind, models, *, most_frames=5, **options):
    rng = np.random.default_rng(seed)
    letters = kind in {"letters", "open"}
    if kind == "open":
        options = {"word_score": float(rng.normal()), "unk_score": float(rng.normal())} | options
        options["open_vocabulary"] = True
    return Problem(
        kind,
        (2 * rng.normal(size=(int(rng.integers(1, most_frames + 1)), 5))).astype(np.float32),
        {word: spelling for word, spelling in LEXICON.items() if rng.random() < 0.6},
        DecoderOptions(
            beam_size=100_000,
            beam_threshold=1e9,
            lm_weight=1.3,
            # In a lexicon the silence between words is no new token.
            token_score=float(rng.normal()) if kind != "open" else 0.0,
            sil_score=float(rng.normal()) if letters else 0.0,
            silence="|" if letters else "",
            **options,
        ),
        models[kind],
    )


@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("merge", ["context", "history"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(8))
def test_without_a_beam_all_readings_are_there(seed, kind, merge, log_add, models):
    one = problem(seed, kind, models, merge=merge, log_add=log_add)
    expected = one.readings()
    lattice = one.decoder.lattice(one.scores, beam=1e9, max_spellings=100_000)
    found = lattice.nbest(100_000)
    texts = [tuple(word.text for word in reading.words) for reading in found]
    assert len(set(texts)) == len(texts)
    scores = [reading.score for reading in found]
    assert scores == sorted(scores, reverse=True)
    assert dict(zip(texts, scores, strict=True)) == pytest.approx(expected, abs=1e-4)
    assert [reading.text for reading in found] == [" ".join(words) for words in texts]
    if log_add:
        check_shares(lattice, expected)


def check_shares(lattice, readings):
    """Of arcs: how often each word is said, if readings are as probable as they score."""
    total = np.logaddexp.reduce(list(readings.values()))
    expected, found = {}, {}
    for words, score in readings.items():
        for word in words:
            expected[word] = expected.get(word, 0.0) + math.exp(score - total)
    for arc, share in zip(lattice.arcs, lattice.posteriors(scale=1.0), strict=True):
        if arc["word"] >= 0:
            word = lattice.word(int(arc["word"]))
            found[word] = found.get(word, 0.0) + share
    assert found == pytest.approx(expected, abs=1e-5)


def distance(left, right):
    row = list(range(len(right) + 1))
    for i, word in enumerate(left, 1):
        before, row = row, [i]
        for j, other in enumerate(right, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (word != other)))
    return row[-1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(12))
def test_expected_errors_are_those_over_all_readings(seed, kind, models):
    """Exactly, where no node is shared by different words: the alignment's recursion is exact."""
    one = problem(seed, kind, models, merge="history", log_add=True)
    readings = one.readings()
    total = np.logaddexp.reduce(list(readings.values()))
    chances = {words: math.exp(score - total) for words, score in readings.items()}

    def risk(words):
        return sum(chance * distance(words, other) for other, chance in chances.items())

    lattice = one.decoder.lattice(one.scores, beam=1e9, max_spellings=100_000)
    agreed = lattice.mbr(scale=1.0)
    words = tuple(word.text for word in agreed.words)
    assert agreed.expected_errors == pytest.approx(risk(words), abs=1e-5)
    for reading in lattice.nbest(20):
        shares = lattice.confidences(reading, scale=1.0)
        said = tuple(word.text for word in reading.words)
        assert len(shares) == len(said)
        if len(said) == 1:  # nothing to align: all that has the word somewhere has it there
            assert shares[0] <= sum(p for other, p in chances.items() if said[0] in other) + 1e-6
            assert shares[0] >= chances[said] - 1e-6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_confidence_changes_nothing_else(seed, log_add, kind, models):
    one = problem(seed, kind, models, log_add=log_add)
    plain = one.decoder.decode(one.scores, nbest=10)
    sure = one.decoder.decode(one.scores, nbest=10, confidence=True)
    assert [(h.text, h.score, h.tokens) for h in sure] == [
        (h.text, h.score, h.tokens) for h in plain
    ]
    lattice = one.decoder.lattice(one.scores)
    for hypothesis in sure:
        assert tuple(word.confidence for word in hypothesis.words) == hypothesis.confidences
        assert lattice.confidences(hypothesis) == pytest.approx(hypothesis.confidences, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("merge", ["context", "history"])
@pytest.mark.parametrize("seed", range(8))
def test_tokens_and_parts_of_a_reading_are_those_it_scored_with(seed, merge, kind, models):
    one = problem(seed, kind, models, merge=merge)
    options, names = one.options, one.names
    for found in one.decoder.lattice(one.scores, beam=1e9, max_spellings=100_000).nbest(50):
        ends = [*found.path[1:, 1], len(one.scores)]
        acoustic = 0.0
        for (token, start, _), end in zip(found.path, ends, strict=True):
            part = one.scores[max(start, 0) : end, token]
            silent = options.silence and names[token] == options.silence
            acoustic += part.sum() + (options.sil_score * len(part) if silent else 0.0)
        tokens = tuple(token.text for token in found.tokens)
        words = one.words(tokens)
        assert words == tuple(word.text for word in found.words)
        assert found.acoustic_score == pytest.approx(
            acoustic + options.token_score * len(tokens), abs=1e-4
        )
        assert found.score == pytest.approx(acoustic + one.score(tokens, words), abs=1e-4)
        said = tokens
        if kind == "open":
            said = [word if word in one.lexicon else "<unk>" for word in words]
        assert found.language_score == pytest.approx(sum(one.model.scores(said)), abs=1e-4)


KINDS_OF_SEARCH = {
    "transitions": {},
    "segments": {"criterion": "asg"},
    "skipped blanks": {"blank_skip_threshold": 0.4},
    "no look-ahead": {"smearing": "none"},
    "flashlight": {"semantics": "flashlight"},
}


@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("searched", KINDS_OF_SEARCH)
@pytest.mark.parametrize("kind", ["letters", "open"])
@pytest.mark.parametrize("seed", range(8))
def test_a_lattice_has_what_its_search_finds(seed, kind, searched, log_add, models):
    """Where nothing is merged or pruned; words of the lexicon without separators, too."""
    if kind == "open" and searched == "flashlight":
        return
    one = problem(seed, kind, models, merge="history", log_add=log_add, **KINDS_OF_SEARCH[searched])
    scores = one.scores - np.log(np.exp(one.scores).sum(axis=1, keepdims=True))
    # Words that are written like what may be spelled out beside them.
    spellings = one.lexicon | {"ab": "a b", "abc": "a b c |", "cab": "c |", "c": "b b"}
    tokens = Tokens(one.names)
    transitions = None
    if searched in {"transitions", "segments"}:
        transitions = np.random.default_rng(seed).normal(size=(5, 5)).astype(np.float32)
    decoder = Decoder(
        Lexicon.from_spellings(spellings, tokens) if kind == "open" else tokens,
        one.model,
        one.options,
        transitions=transitions,
    )
    expected = {}
    for reading in decoder.decode(scores, nbest=100_000):
        before = expected.get(reading.text, -math.inf)
        score = np.logaddexp(before, reading.score) if log_add else max(before, reading.score)
        expected[reading.text] = score
    readings = decoder.lattice(scores, beam=1e9, max_spellings=100_000).nbest(100_000)
    found = {reading.text: reading.score for reading in readings}
    assert len(found) == len(readings)
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("kind", ["letters", "sentencepiece", "wordpiece"])
@pytest.mark.parametrize("seed", range(8))
def test_rescored_by_a_model_of_words_it_is_what_that_says(seed, kind, models):
    one = problem(seed, kind, models, log_add=True)
    other = Problem(kind, one.scores, {}, one.options, models["open"])
    expected = {}
    for words in one.readings():
        expected[words] = sum(models["open"].scores(words))
    lattice = one.decoder.lattice(one.scores, beam=1e9, max_spellings=100_000)
    rescored = lattice.rescore(models["open"], lm_weight=0.9)
    found = {tuple(h.text.split()): h for h in rescored.nbest(100_000)}
    assert {words: h.language_score for words, h in found.items()} == pytest.approx(
        expected, abs=1e-4
    )
    # With the weights of words alone, its scores are those of paths without a model of tokens.
    silent = Decoder(Tokens(other.names), None, one.options)
    plain = silent.lattice(one.scores, beam=1e9, max_spellings=100_000)
    wanted = {
        tuple(h.text.split()): h.score + 0.9 * expected[tuple(h.text.split())]
        for h in plain.nbest(100_000)
    }
    again = plain.rescore(models["open"], lm_weight=0.9).nbest(100_000)
    assert {tuple(h.text.split()): h.score for h in again} == pytest.approx(wanted, abs=1e-4)


def spoken(said, names, *, width=None):
    """Clear scores of tokens, a frame each."""
    scores = np.full((len(said), width or len(names)), -9.0, np.float32)
    scores[np.arange(len(said)), [names.index(token) for token in said]] = -0.1
    return scores


def test_times_of_words_are_those_of_their_tokens():
    names = list("-|abc")
    scores = spoken("--aa-bb||-cc--|-a-", names)
    lattice = Decoder(Tokens(names)).lattice(scores)
    found = lattice.mbr().words
    assert [(w.text, w.start, w.end) for w in found] == [("ab", 2, 7), ("c", 10, 12), ("a", 16, 17)]
    (best, *_) = lattice.nbest(1)
    assert [(w.text, w.start, w.end) for w in best.words] == [
        (w.text, w.start, w.end) for w in found
    ]
    assert lattice.num_frames == 18
    pieces = ["-", "▁a", "▁b", "b"]
    lattice = Decoder(Tokens(pieces), options=DecoderOptions(silence="")).lattice(
        spoken(["-", "▁a", "▁a", "-", "b", "▁b", "-", "▁a"], pieces)
    )
    found = lattice.mbr().words
    assert [(w.text, w.start, w.end) for w in found] == [("ab", 1, 5), ("b", 5, 6), ("a", 7, 8)]


def test_nothing_said_is_a_reading_without_words():
    lattice = Decoder(Tokens(list("-|a"))).lattice(np.zeros((0, 3), np.float32))
    assert [(one.text, one.tokens, one.score) for one in lattice.nbest(5)] == [("", (), 0.0)]
    assert lattice.mbr().words == ()


@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("merge", ["context", "history"])
def test_few_spellings_keep_the_best_reading(merge, log_add, models):
    for seed in range(20):
        one = problem(seed, "letters", models, merge=merge, log_add=log_add)
        few = one.decoder.lattice(one.scores, beam=1e9, max_spellings=1)
        all_of_them = one.decoder.lattice(one.scores, beam=1e9, max_spellings=100_000)
        if not log_add:
            assert few.nbest(1) == all_of_them.nbest(1)
        elif merge == "history":  # which tells all apart
            assert few.nbest(9) == all_of_them.nbest(9)
        assert few.num_arcs <= all_of_them.num_arcs


def long(seed, num_frames):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(num_frames, 5)) * 3
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


@pytest.mark.parametrize("log_add", [False, True])
def test_a_search_that_forgets_has_the_same_lattice(log_add, models):
    """A spelling that was forgotten and comes back gets another number, and stays one word."""
    names = TOKENS["open"]
    options = DecoderOptions(
        beam_size=30, open_vocabulary=True, unk_score=0.0, word_score=1.0, log_add=log_add
    )
    lexicon = Lexicon.from_spellings(LEXICON, Tokens(names))
    decoder = Decoder(lexicon, models["open"], options)
    forgetful = Forgetful(lexicon, models["open"], options)
    for seed in range(3):
        scores = long(seed, 100)
        wanted, found = (one.lattice(scores, beam=6) for one in (decoder, forgetful))
        assert found.mbr().words == wanted.mbr().words
        said, expected = (
            [
                (*arc[["source", "target", "start", "end"]], one.word(arc["word"]))
                for arc in one.arcs
                if arc["word"] >= 0
            ]
            for one in (found, wanted)
        )
        assert said == expected
        assert len({text for *_, text in said}) == len(set(found.arcs["word"].tolist()) - {-1})


def test_confidence_is_high_where_the_scores_are_clear_and_low_where_they_are_not():
    names = list("-|ab")
    scores = np.full((4, 4), -20.0)
    scores[[0, 1, 3], [2, 1, 1]] = 0.0
    scores[2, 2:] = np.log([0.52, 0.48])
    for decoder in (
        Decoder(Tokens(names)),
        Decoder(Tokens(names), options=DecoderOptions(open_vocabulary=True, unk_score=-1.0)),
    ):
        best = decoder.decode(scores, confidence=True)[0]
        assert best.text == "a a"
        clear, unclear = (word.confidence for word in best.words)
        assert clear > 0.98
        assert 0.45 < unclear < 0.55
        again = pickle.loads(pickle.dumps(best))
        assert again.words == best.words


def test_bad_input_is_an_error_and_all_goes_on(models):
    decoder = Decoder(Tokens(TOKENS["letters"]), models["letters"])
    scores = long(1, 20)
    lattice = decoder.lattice(scores)
    before = lattice.nbest(3)
    for count in (0, -3):
        with pytest.raises(InvalidValueError, match="max_spellings is"):
            decoder.lattice(scores, max_spellings=count)
    with pytest.raises(InvalidValueError, match="beam is nan"):
        decoder.lattice(scores, beam=math.nan)
    bad = scores.copy()
    bad[3] = -np.inf
    with pytest.raises(InvalidValueError, match="20 frames, expected scores that leave"):
        decoder.lattice(bad)
    with pytest.raises(InvalidValueError, match="20 frames, expected scores that leave"):
        decoder.decode(bad, confidence=True)
    by_number = StepwiseLanguageModel(Counting())
    with pytest.raises(InvalidValueError, match="knows words by their texts"):
        lattice.rescore(by_number)
    assert lattice.nbest(3) == before


class Counting:
    """A model in the way of TorchAudio's."""

    def start(self, start_with_nothing):
        return ()

    def score(self, state, token_index):
        return (*state, token_index), -1.0

    def finish(self, state):
        return state, -float(len(state))


def test_a_model_that_knows_numbers_gets_those_of_the_lexicon(models):
    names = TOKENS["open"]
    lexicon = Lexicon.from_spellings(LEXICON, Tokens(names))
    options = DecoderOptions(open_vocabulary=True, unk_score=-1.0, word_score=1.0)
    lattice = Decoder(lexicon, models["open"], options).lattice(long(3, 30), beam=4.0)
    seen = Counting()
    numbers = set()
    seen.finish = lambda state: (numbers.update(state), (state, -1.0))[1]
    lattice.rescore(StepwiseLanguageModel(seen))
    assert len(lexicon) in numbers
    assert max(numbers) == len(lexicon)


def test_the_scale_of_scores_is_that_of_what_made_them(models):
    names = TOKENS["letters"]
    scores = long(2, 20)
    lattice = Decoder(Tokens(names)).lattice(scores)
    assert lattice.posterior_scale == 0.85
    assert lattice.prune(2.0).posterior_scale == 0.85
    assert lattice.rescore(models["open"]).posterior_scale == 0.35
    assert Decoder(Tokens(names), models["letters"]).lattice(scores).posterior_scale == 0.35
    assert lattice.posteriors().tolist() == lattice.posteriors(scale=0.85).tolist()


def test_a_scale_beyond_all_reason_is_refused():
    lattice = Decoder(Tokens(TOKENS["letters"])).lattice(long(2, 20))
    with pytest.raises(InvalidValueError, match=r"scale is 1e\+308, expected a number from 0 to"):
        lattice.posteriors(scale=1e308)
