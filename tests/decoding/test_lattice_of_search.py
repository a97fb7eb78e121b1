"""A search's lattices, and confidences, against all paths of tokens where these are few enough."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from sestina.core.errors import InvalidValueError, NonFiniteError
from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, read_arpa
from tests.decoding import word_problems
from tests.decoding.word_problems import ARPA, every_path, exhaustive, realistic


def problem(seed, **options):
    rng, scores, spellings, silence, lexicon = word_problems.problem(seed)
    return scores, spellings, silence, lexicon, exhaustive(rng, silence, **options)


SECOND = """\\data\\
ngram 1=6
ngram 2=3
ngram 3=2

\\1-grams:
-1.0\t<unk>
-99\t<s>\t-0.1
-0.5\t</s>
-0.9\tv\t-0.3
-0.6\tw\t-0.2
-0.7\tx\t-0.5

\\2-grams:
-0.4\tx v\t-0.1
-0.1\tv v\t-0.6
-0.3\t<s> v\t-0.2

\\3-grams:
-0.05\t<s> v v
-0.2\tx v v

\\end\\
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    made = []
    for name, text in (("first", ARPA), ("second", SECOND)):
        (folder / name).write_text(text)
        made.append(read_arpa(folder / name))
    return made


def texts_and_scores(lattice):
    found = lattice.nbest(100_000)
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    texts = [tuple(one.text.split()) for one in found]
    assert len(set(texts)) == len(texts)
    return dict(zip(texts, scores, strict=True))


@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("merge", ["context", "history"])
@pytest.mark.parametrize("seed", range(40))
def test_without_a_beam_all_readings_are_there(seed, merge, log_add, models):
    scores, spellings, silence, lexicon, options = problem(
        seed, merge=merge, log_add=log_add, lm_weight=1.3
    )
    first, second = models
    expected = every_path(scores, spellings, silence, options, lambda w: sum(first.scores(w)))
    if not expected:  # no reading is complete: the best parts of words come back
        return
    lattice = Decoder(lexicon, first, options).lattice(scores, beam=1e9)
    assert texts_and_scores(lattice) == pytest.approx(expected, abs=1e-4)
    # Rescored, it is what a search with the other model finds.
    options = DecoderOptions(
        **{n: getattr(options, n) for n in options.__slots__} | {"lm_weight": 0.9}
    )
    expected = every_path(scores, spellings, silence, options, lambda w: sum(second.scores(w)))
    rescored = lattice.rescore(second, lm_weight=0.9)
    assert texts_and_scores(rescored) == pytest.approx(expected, abs=1e-4)
    best = rescored.nbest(1)[0]
    assert best.language_score == pytest.approx(sum(second.scores(best.text.split())), abs=1e-4)


@pytest.mark.parametrize("semantics", ["ctc", "flashlight"])
@pytest.mark.parametrize("seed", range(40))
def test_tokens_of_a_reading_are_those_it_scored_with(seed, semantics):
    scores, _, silence, lexicon, options = problem(seed, semantics=semantics)
    if semantics == "flashlight" and silence is None:
        return
    lattice = Decoder(lexicon, options=options).lattice(scores, beam=1e9)
    for one in lattice.nbest(50):
        ends = [*one.path[1:, 1], len(scores)]
        acoustic = 0.0
        for (token, start, _), end in zip(one.path, ends, strict=True):
            part = scores[max(start, 0) : end, token]
            acoustic += part.sum() + (options.sil_score * len(part) if token == silence else 0.0)
        assert one.acoustic_score == pytest.approx(acoustic, abs=1e-4)
        spoken = [t for t in one.tokens if t.text != options.silence]
        for word in one.words:
            assert {word.start, word.end} <= {t.start for t in spoken} | {t.end for t in one.tokens}


KINDS = {
    "transitions": {},
    "segments": {"criterion": "asg"},
    "model of tokens": {"lm_level": "token"},
    "skipped blanks": {"blank_skip_threshold": 0.4},
    "scores of tokens and letters": {"token_score": 0.3, "word_length_score": -0.2},
    "unknown words": {"unk_score": -0.5},
    "no look-ahead": {"smearing": "none"},
    "flashlight": {"semantics": "flashlight", "unk_score": -0.5},
}


@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(15))
def test_a_lattice_has_what_its_search_finds(seed, kind, log_add, models):
    """Where nothing is merged or pruned, which the search's own tests hold against all paths."""
    scores, _, silence, lexicon, options = problem(
        seed, merge="history", log_add=log_add, lm_weight=0.7, **KINDS[kind]
    )
    if kind == "flashlight" and silence is None:
        return
    scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
    size = len(lexicon.tokens)
    transitions = None
    if kind in {"transitions", "segments"}:
        transitions = np.random.default_rng(seed).normal(size=(size, size)).astype(np.float32)
    decoder = Decoder(lexicon, models[0], options, transitions=transitions)
    searched = decoder.decode(scores, nbest=100_000)
    expected = {}
    for one in searched:
        # A model of tokens tells spellings of one word apart.
        before = expected.get(one.text, -math.inf)
        expected[one.text] = np.logaddexp(before, one.score) if log_add else max(before, one.score)
    found = {one.text: one.score for one in decoder.lattice(scores, beam=1e9).nbest(100_000)}
    if kind != "model of tokens":
        assert found == pytest.approx(expected, abs=1e-4)
    elif log_add:  # the search takes words of the same tokens for one; the lattice does not
        total = np.logaddexp.reduce(list(found.values()))
        assert total == pytest.approx(np.logaddexp.reduce([one.score for one in searched]))
    else:
        assert {text: found[text] for text in expected} == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("semantics", ["ctc", "flashlight"])
@pytest.mark.parametrize("seed", range(5))
def test_the_best_of_the_lattice_is_what_the_search_finds(seed, semantics):
    lexicon, scores = realistic(seed)
    decoder = Decoder(lexicon, options=DecoderOptions(semantics=semantics))
    found, (best, *_) = decoder.lattice(scores).best, decoder.decode(scores, confidence=True)
    assert found.words == best.words
    assert found.tokens == best.tokens
    assert found.score == pytest.approx(best.score, abs=1e-6)
    assert found.language_score == pytest.approx(best.language_score, abs=1e-5)
    assert all(0 <= word.confidence <= 1 for word in best.words)


def test_times_of_arcs_are_those_of_their_words():
    lexicon = Lexicon.from_spellings({"ab": "a b |", "c": "c |"}, Tokens(list("-|abc")))
    said = "--aa-bb||-cc--|"
    scores = np.full((len(said), 5), -9.0, np.float32)
    scores[np.arange(len(said)), ["-|abc".index(c) for c in said]] = -0.1
    lattice = Decoder(lexicon).lattice(scores, beam=1.0)
    arcs = lattice.arcs
    assert [lattice.word(arc["word"]) for arc in arcs if arc["word"] >= 0] == ["ab", "c"]
    assert arcs[["start", "end"]].tolist() == [(2, 7), (10, 12), (15, 15)]
    assert lattice.frames.tolist() == [0, 8, 15, 15]
    assert lattice.num_frames == 15
    assert repr(lattice) == "Lattice(4 nodes, 3 arcs, 15 frames)"
    found = lattice.mbr()
    assert [(w.text, w.start, w.end) for w in found.words] == [("ab", 2, 7), ("c", 10, 12)]
    assert [word.confidence for word in found.words] == pytest.approx([1, 1])
    assert found.expected_errors == pytest.approx(0, abs=1e-9)


def test_confidence_is_high_where_the_scores_are_clear_and_low_where_they_are_not():
    lexicon = Lexicon.from_spellings({"a": "a |", "b": "b |"}, Tokens(list("-|ab")))
    scores = np.full((4, 4), -20.0)
    scores[[0, 1, 3], [2, 1, 1]] = 0.0
    scores[2, 2:] = np.log([0.52, 0.48])
    best = Decoder(lexicon).decode(scores, confidence=True)[0]
    assert best.text == "a a"
    clear, unclear = (word.confidence for word in best.words)
    assert clear > 0.98
    assert 0.48 < unclear < 0.52
    assert best.confidences == (clear, unclear)
    assert Decoder(lexicon).decode(scores)[0].words[0].confidence is None


def test_confidence_changes_nothing_else_nor_do_threads():
    lexicon, _ = realistic(2)
    batch = np.stack([realistic(seed)[1] for seed in range(2, 8)])
    decoder = Decoder(lexicon, options=DecoderOptions(beam_size=20, log_add=True))
    plain = decoder.decode_batch(batch, nbest=3)
    sure = decoder.decode_batch(batch, nbest=3, confidence=True)
    assert decoder.decode_batch(list(batch), nbest=3, threads=3, confidence=True) == sure
    for one, other in zip(itertools.chain(*plain), itertools.chain(*sure), strict=True):
        assert (one.score, one.text, one.tokens) == (other.score, other.text, other.tokens)
        assert len(other.confidences) == len(other.words)


def test_no_frames_have_one_reading_without_words():
    lexicon, _ = realistic(0)
    lattice = Decoder(lexicon).lattice(np.zeros((0, 10), np.float32))
    assert [(one.text, one.tokens, one.score) for one in lattice.nbest(5)] == [("", (), 0.0)]
    assert lattice.mbr().words == ()
    assert lattice.posteriors().tolist() == [1.0]


def test_a_word_that_has_not_ended_is_left_out():
    lexicon = Lexicon.from_spellings({"abc": "a b c |"}, Tokens(list("-|abc")))
    scores = np.full((2, 5), -9.0, np.float32)
    scores[[0, 1], [2, 3]] = -0.1
    options = DecoderOptions(beam_threshold=5)  # silence instead is out of reach
    lattice = Decoder(lexicon, options=options).lattice(scores)
    assert lattice.best.text == Decoder(lexicon, options=options).decode(scores)[0].text == ""
    assert [t.text for t in lattice.best.tokens] == ["a", "b"]


def test_bad_input_is_an_error_and_all_goes_on(models):
    lexicon, scores = realistic(4)
    decoder = Decoder(lexicon)
    lattice = decoder.lattice(scores)
    before = lattice.nbest(3)
    bad = scores.copy()
    bad[3] = -np.inf
    with pytest.raises(InvalidValueError, match="200 frames, expected scores that leave"):
        decoder.lattice(bad)
    with pytest.raises(InvalidValueError, match="200 frames, expected scores that leave"):
        decoder.decode(bad, confidence=True)
    bad[3, 2] = np.nan
    with pytest.raises(NonFiniteError, match=r"emissions\[3, 2\] is nan"):
        decoder.lattice(bad)
    for beam in (-1.0, math.nan):
        with pytest.raises(InvalidValueError, match="beam is"):
            decoder.lattice(scores, beam=beam)
        with pytest.raises(InvalidValueError, match="beam is"):
            lattice.prune(beam)
    for scale in (-1.0, math.inf, math.nan):
        for use in (lattice.posteriors, lattice.mbr):
            with pytest.raises(InvalidValueError, match="scale is"):
                use(scale=scale)
        with pytest.raises(InvalidValueError, match="scale is"):
            lattice.confidences(before[0], scale=scale)
    with pytest.raises(InvalidValueError, match="count is 0"):
        lattice.nbest(0)
    with pytest.raises(InvalidValueError, match=r"lm is 'lm.arpa', expected a LanguageModel"):
        lattice.rescore("lm.arpa")
    with pytest.raises(InvalidValueError, match="lm_weight is nan"):
        lattice.rescore(models[0], lm_weight=math.nan)
    assert lattice.nbest(3) == before
    assert decoder.lattice(scores).nbest(3) == before


def test_readings_of_other_tokens_are_refused():
    small = Decoder(Tokens(["-", "|", "a", "b", "ab"])).lattice(np.zeros((6, 5)))
    many = Tokens(["-", "|", *(chr(0x4E00 + number) for number in range(2000))])
    scores = np.full((3, len(many)), -20.0)
    scores[:, -1] = 0
    foreign = Decoder(many).decode(scores)[0]
    for hypothesis in (foreign, replace(foreign, path=np.zeros((2, 2), np.int32))):
        with pytest.raises(InvalidValueError, match="one of a decoder with these 5 tokens"):
            small.confidences(hypothesis)
    with pytest.raises(InvalidValueError, match="hypothesis is 'a'"):
        small.confidences("a")
    with pytest.raises(ValueError, match=r"token 1000000, expected one of its decoder's tokens"):
        small._native.words_of(np.full((1, 3), 1_000_000, np.int32))
