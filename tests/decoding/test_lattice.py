"""Lattices against all their paths, where these are few enough."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sestina.core.errors import InvalidValueError
from sestina.decoding import Lattice, Tokens, _native
from sestina.decoding.results import Naming

WORDS = "vwxyz"
NAMING = Naming(tokens=Tokens(["-", "|"]), word=WORDS.__getitem__, blank="-", silence="|")


def native(arcs, num_nodes, *, lm_weight=1.0, sums=False):
    """A lattice of (source, target, word, acoustic, language) without tokens; a frame per node."""
    columns = list(zip(*arcs, strict=True)) or [()] * 5
    return _native.Lattice.make(
        np.arange(num_nodes, dtype=np.int32),
        *(np.array(column, np.int32) for column in columns[:3]),
        *(np.array(column, np.float64) for column in columns[3:]),
        np.zeros(len(arcs)),
        lm_weight,
        sums,
    )


@st.composite
def graphs(draw):
    """Random arcs between up to 7 nodes, every node on some path."""
    num_nodes = draw(st.integers(2, 7))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    last = num_nodes - 1
    # A chain keeps every node on a path; the other arcs make it a lattice.
    ends = [(n, n + 1) for n in range(last)]
    for _ in range(int(rng.integers(0, 9))):
        source = int(rng.integers(0, last))
        ends.append((source, int(rng.integers(source + 1, num_nodes))))
    arcs = [
        (
            *(source, target, -1 if target == last else int(rng.integers(0, 3))),
            *(2 * float(rng.normal()), float(np.float32(rng.normal()))),
        )
        for source, target in ends
    ]
    return arcs, num_nodes


def every_path(arcs, num_nodes, lm_weight=1.0):
    """(arcs, words, score) of each path."""
    made = [((), (), 0.0, 0)]
    while made:
        taken, words, score, node = made.pop()
        if node == num_nodes - 1:
            yield taken, words, score
        for k, (source, target, word, acoustic, language) in enumerate(arcs):
            if source == node:
                more = (*words, word) if word >= 0 else words
                gain = acoustic + lm_weight * language
                made.append(((*taken, k), more, score + gain, target))


def every_reading(arcs, num_nodes, *, sums):
    found = {}
    for _, words, score in every_path(arcs, num_nodes):
        before = found.get(words, -math.inf)
        found[words] = np.logaddexp(before, score) if sums else max(before, score)
    return found


def edits(left, right):
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            best = min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
            diagonal, row[j] = row[j], best
    return row[-1]


def expected_errors(words, arcs, num_nodes, scale):
    return errors_by(arcs, num_nodes, scale)(words)


def errors_by(arcs, num_nodes, scale):
    """What `expected_errors` gives, for many words of one graph."""
    total_of = {}
    for _, other, score in every_path(arcs, num_nodes):
        total_of[tuple(other)] = total_of.get(tuple(other), 0.0) + math.exp(scale * score)
    total = sum(total_of.values())
    return lambda words: sum(w * edits(words, other) for other, w in total_of.items()) / total


def by_words(found):
    return {tuple(one.path[:, 2].tolist()): one.score for one in found}


@pytest.mark.parametrize("sums", [False, True])
@given(graph=graphs())
def test_the_best_readings_are_those_of_all_paths(sums, graph):
    expected = every_reading(*graph, sums=sums)
    lattice = Lattice(native(*graph, sums=sums), NAMING)
    found = lattice.nbest(10_000)
    assert len({one.text for one in found}) == len(found)
    assert by_words(found) == pytest.approx(expected, abs=1e-9)
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    for count in (1, 2, 5):
        assert [one.score for one in lattice.nbest(count)] == scores[:count]


@given(graph=graphs(), scale=st.floats(0, 2))
def test_posteriors_are_shares_of_all_paths_and_sum_to_one_over_any_cut(graph, scale):
    arcs, num_nodes = graph
    lattice = Lattice(native(arcs, num_nodes), NAMING)
    posteriors = lattice.posteriors(scale=scale)
    records = lattice.arcs
    for cut in range(num_nodes - 1):
        crossing = (records["source"] <= cut) & (records["target"] > cut)
        assert posteriors[crossing].sum() == pytest.approx(1, abs=1e-9)
    paths = list(every_path(arcs, num_nodes))
    weights = np.exp(scale * np.array([score for _, _, score in paths]))
    shares = dict.fromkeys(range(len(arcs)), 0.0)
    for (taken, _, _), weight in zip(paths, weights / weights.sum(), strict=True):
        for k in taken:
            shares[k] += weight
    assert sorted(posteriors) == pytest.approx(sorted(shares.values()), abs=1e-9)


@given(graph=graphs(), beam=st.floats(0, 10))
def test_pruning_keeps_the_arcs_of_paths_near_the_best(graph, beam):
    arcs, num_nodes = graph
    paths = list(every_path(arcs, num_nodes))
    best = max(score for _, _, score in paths)
    kept = {k for taken, _, score in paths for k in taken if score >= best - beam}
    pruned = Lattice(native(arcs, num_nodes), NAMING).prune(beam)
    assert pruned.num_arcs == len(kept)
    assert sorted(pruned.arcs["acoustic"]) == sorted(arcs[k][3] for k in kept)
    assert pruned.nbest(1)[0].score == pytest.approx(best)


@given(graph=graphs(), scale=st.floats(0.05, 2))
def test_the_expected_errors_are_never_below_those_of_all_paths(graph, scale):
    lattice = native(*graph)
    words, errors = lattice.consensus(scale)
    true = expected_errors(tuple(word for word, *_ in words), *graph, scale)
    assert errors >= true - 1e-9
    best = lattice.nbest(1)[0][3][:, 2].tolist()
    _, errors_of_best = lattice.confidences(best, scale)
    assert errors <= errors_of_best + 1e-9
    assert errors_of_best >= expected_errors(tuple(best), *graph, scale) - 1e-9


def random_lists(rng, *, num_readings):
    """A lattice in which readings share nothing: the recursion is exact there."""
    arcs, node = [], 1
    lengths = rng.integers(1, 5, num_readings)
    last = 1 + int(lengths.sum())
    for length in lengths:
        source, score = 0, float(rng.normal())
        for _ in range(length):
            arcs.append((source, node, int(rng.integers(0, 3)), score, 0.0))
            source, score, node = node, 0.0, node + 1
        arcs.append((source, last, -1, 0.0, 0.0))
    return arcs, last + 1


@pytest.mark.parametrize("seed", range(30))
def test_errors_of_a_list_of_readings_are_exact(seed):
    arcs, num_nodes = random_lists(np.random.default_rng(seed), num_readings=6)
    lattice = native(arcs, num_nodes)
    for words in itertools.product(range(3), repeat=3):
        _, errors = lattice.confidences(list(words), 0.7)
        assert errors == pytest.approx(expected_errors(words, arcs, num_nodes, 0.7), abs=1e-9)


def test_the_consensus_has_fewer_errors_than_the_best_reading_and_mostly_the_fewest():
    """On 200 lists of readings; the fewest are found by trying all sequences of up to 4 words."""
    rng = np.random.default_rng(5)
    all_words = [w for n in range(5) for w in itertools.product(range(3), repeat=n)]
    better, fewest, total_best, total = 0, 0, 0.0, 0.0
    for _ in range(200):
        graph = random_lists(rng, num_readings=5)
        lattice = native(*graph)
        words, errors = lattice.consensus(1.0)
        expected = errors_by(*graph, 1.0)
        of_best = expected(tuple(lattice.nbest(1)[0][3][:, 2].tolist()))
        assert errors <= of_best + 1e-9
        better += errors < of_best - 1e-9
        fewest += errors <= min(map(expected, all_words)) + 1e-9
        total_best, total = total_best + of_best, total + errors
        assert len(words) <= 8
    assert better >= 40, (better, fewest, total_best, total)
    assert fewest >= 140, (better, fewest, total_best, total)
    assert total < 0.96 * total_best


def test_confidence_is_the_share_of_readings_with_the_word_at_its_place():
    # v w (weight 3), v x (weight 2), x (weight 1); all over 6.
    arcs = [
        *((0, 1, 0, math.log(3), 0.0), (1, 2, 1, 0.0, 0.0), (2, 6, -1, 0.0, 0.0)),
        *((0, 3, 0, math.log(2), 0.0), (3, 4, 2, 0.0, 0.0), (4, 6, -1, 0.0, 0.0)),
        *((0, 5, 2, 0.0, 0.0), (5, 6, -1, 0.0, 0.0)),
    ]
    lattice = Lattice(native(arcs, 7), NAMING)
    best = lattice.nbest(1)[0]
    assert best.text == "v w"
    assert lattice.confidences(best, scale=1.0) == pytest.approx((5 / 6, 3 / 6))
    found = lattice.mbr(scale=1.0)
    assert found.text in {"v w", "v x"}  # as likely: three of six readings end in x
    assert found.expected_errors == pytest.approx(4 / 6)
    assert found.words[0].confidence == pytest.approx(5 / 6)
    # With all readings alike, x is at the second place of two of three.
    assert lattice.mbr(scale=0.0).text == "v x"


def test_dead_ends_are_dropped():
    arcs = [(0, 1, 0, 0.0, 0.0), (1, 4, -1, 0.0, 0.0), (0, 2, 1, 9.0, 0.0), (3, 4, -1, 9.0, 0.0)]
    lattice = Lattice(native(arcs, 5), NAMING)
    assert (lattice.num_nodes, lattice.num_arcs) == (3, 2)
    assert [one.text for one in lattice.nbest(9)] == ["v"]


@pytest.mark.parametrize(
    ("arcs", "message"),
    [
        ([(1, 0, 0, 0.0, 0.0)], r"from node 1 to 0, expected a higher one"),
        ([(-1, 1, 0, 0.0, 0.0)], r"expected a higher one of the 3 nodes"),
        ([(0, 9, 0, 0.0, 0.0)], r"from node 0 to 9, expected a higher one of the 3 nodes"),
        ([(0, 1, -1, 0.0, 0.0)], r"has word -1, expected a word, or -1 exactly on arcs into"),
        ([(0, 2, 0, 0.0, 0.0)], r"has word 0, expected a word, or -1"),
        ([(0, 2, -1, math.nan, 0.0)], r"scores -?nan, expected a finite number"),
        ([(0, 1, 0, 0.0, 0.0)], r"no path leads from the first to the last of the 3 nodes"),
        ([], r"no path leads"),
    ],
)
def test_what_is_no_lattice_is_refused(arcs, message):
    with pytest.raises(ValueError, match=message):
        native(arcs, 3)


def test_work_without_end_is_refused():
    # 2^60 readings that all score the same: the sums show no difference, so all must be tried.
    arcs = [(n, n + 1, word, 0.0, 0.0) for n in range(60) for word in range(2)]
    arcs.append((60, 61, -1, 0.0, 0.0))
    lattice = Lattice(native(arcs, 62, sums=True), NAMING)
    with pytest.raises(InvalidValueError, match=r"less work \(the best 1 readings take over"):
        lattice.nbest(1)
    assert lattice.mbr(scale=1.0).expected_errors <= 30 + 1e-6
