import itertools

import numpy as np
import pytest

from sestina.decoding import DecoderOptions
from sestina.decoding.settings import PRUNING, WEIGHTS, between, spread, thorough, varied

ALL = (*WEIGHTS, *PRUNING)
START = DecoderOptions(beam_size=33, unk_score=-1.5, silence="_")


def differing(one, other):
    return {name for name in DecoderOptions.__slots__ if getattr(one, name) != getattr(other, name)}


def test_drawn_settings_fill_the_ranges_and_leave_the_rest():
    drawn = spread(START, ALL, 64, num_tokens=29, seed=3)
    assert len(set(drawn)) == 64
    assert set().union(*(differing(START, one) for one in drawn)) == set(ALL)
    weights = sorted(one.lm_weight for one in drawn)
    # Evenly: random points would leave gaps of about 5 · log(64) / 64 = 0.32.
    assert (weights[0], weights[-1]) == (pytest.approx(0, abs=0.2), pytest.approx(5, abs=0.2))
    assert max(b - a for a, b in itertools.pairwise(weights)) < 0.25
    assert {one.log_add for one in drawn} == {False, True}
    assert 8 <= sum(one.merge == "history" for one in drawn) <= 24
    assert 8 <= sum(one.beam_size_token is None for one in drawn) <= 24
    assert all(one.beam_size_token is None or 2 <= one.beam_size_token < 29 for one in drawn)
    assert spread(START, ALL, 64, num_tokens=29, seed=3) == drawn
    assert spread(START, ALL, 64, num_tokens=29, seed=4) != drawn
    assert spread(START, (), 5, num_tokens=29, seed=0) == []


def test_a_thorough_search_changes_only_what_may_be_tuned():
    assert differing(thorough(START, ("beam_size",)), START) == {"beam_size"}
    assert thorough(START, ()) == START


def test_varied_settings_move_one_or_two_options_by_less_and_less():
    generator = np.random.default_rng(0)
    far = [varied(START, ALL, 29, generator, reach=1.0) for _ in range(200)]
    near = [varied(START, ALL, 29, generator, reach=0.1) for _ in range(200)]
    assert {len(differing(START, one)) for one in far} <= {0, 1, 2}
    assert set().union(*(differing(START, one) for one in far)) == set(ALL)
    spans = [np.std([one.word_score for one in some]) for some in (far, near)]
    assert spans[0] > 5 * spans[1] > 0
    assert all(
        differing(START, varied(START, ("beam_size",), 29, generator, reach=1.0)) <= {"beam_size"}
        for _ in range(20)
    )


def test_between_lies_between():
    generator = np.random.default_rng(0)
    one = DecoderOptions(beam_size=10, beam_threshold=5.0, lm_weight=1.0, beam_size_token=3)
    other = DecoderOptions(beam_size=100, beam_threshold=50.0, lm_weight=2.0, beam_size_token=9)
    made = [between(one, other, ALL, 29, generator) for _ in range(100)]
    assert all(10 <= each.beam_size <= 100 and 1 <= each.lm_weight <= 2 for each in made)
    assert all(3 <= each.beam_size_token <= 9 and each.log_add is False for each in made)
    # Beams are compared by ratio: half of the way is √(10 · 100).
    assert np.median([each.beam_size for each in made]) == pytest.approx(32, abs=12)


def test_one_token_is_a_vocabulary():
    assert spread(START, ALL, 4, num_tokens=1, seed=0)
    assert varied(START, ALL, 1, np.random.default_rng(0), reach=1.0)
