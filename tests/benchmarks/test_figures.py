"""Medians, ratios with their bounds, and targets."""

from __future__ import annotations

import statistics

import pytest

from benchmarks.figures import Geomean, Pairs, Runs, Value, at_least, at_most
from benchmarks.workers import Sample


def samples(seconds):
    return tuple(Sample(process_s=s, wall_s=10 * s) for s in seconds)


OURS = (1.0, 1.1, 0.9, 1.0, 1.2)
PEER = (2.0, 2.2, 1.8, 2.0, 2.4)


def test_the_ratio_is_of_medians_and_a_constant_factor_has_bounds_without_width():
    pairs = Pairs(ours=samples(OURS), peer=samples(PEER), clock="process")
    ours, peer, ratio = pairs.figures()
    assert ours.median == statistics.median(OURS)
    assert peer is not None
    assert peer.median == statistics.median(PEER)
    assert ratio is not None
    assert ratio.median == ratio.low == ratio.high == 2.0


def test_the_bounds_hold_the_ratio_between_them_when_pairs_differ():
    pairs = Pairs(ours=samples(OURS), peer=samples(reversed(PEER)), clock="process")
    ratio = pairs.figures()[2]
    assert ratio is not None
    assert ratio.low < ratio.median < ratio.high


def test_the_wall_clock_is_another_column():
    assert Runs(ours=samples(OURS), clock="wall").figures()[0].median == 10.0


def test_a_single_run_has_its_value_as_spread():
    assert Runs(ours=samples([3.0]), clock="process").figures()[0].spread == (3.0, 3.0)


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (at_most(1.0), True),
        (at_most(0.99), False),
        (at_least(2.0, of="ratio"), True),
        (at_least(2.1, of="ratio_low"), False),
        (at_least(2.0, of="ratio_high"), True),
    ],
)
def test_a_target_is_of_ours_or_of_the_ratio(target, met):
    ours, _, ratio = Pairs(ours=samples(OURS), peer=samples(PEER), clock="process").figures()
    assert target.is_met(ours, ratio) is met


def test_a_target_of_a_ratio_without_a_peer_is_refused():
    ours, _, ratio = Value(1.0).figures()
    with pytest.raises(ValueError, match="has no peer"):
        at_least(2.0, of="ratio").is_met(ours, ratio)


def pairs_of(factor):
    return Pairs(ours=samples(OURS), peer=samples([factor * s for s in OURS]), clock="process")


def test_a_geometric_mean_is_of_cases_and_its_ratio_that_of_the_means():
    ours, peer, ratio = Geomean(((pairs_of(2.0),), (pairs_of(8.0),))).figures()
    assert peer is not None
    assert ratio is not None
    assert ratio.median == pytest.approx(4.0)
    assert (ratio.low, ratio.high) == pytest.approx((4.0, 4.0))
    assert peer.median / ours.median == pytest.approx(4.0)
    assert ours.runs == 2 * len(OURS)


def test_of_several_peers_a_geometric_mean_counts_the_fastest():
    ratio = Geomean(((pairs_of(3.0), pairs_of(2.0)), (pairs_of(2.0), pairs_of(9.0)))).figures()[2]
    assert ratio is not None
    assert ratio.median == pytest.approx(2.0)
