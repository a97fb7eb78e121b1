"""What pyctcdecode 0.5.0 found in small problems, where no search has to leave anything out."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from sestina.decoding.compat.pyctcdecode import build_ctcdecoder
from tests.parity.pyctcdecode_problems import (
    LABELS,
    NUM_PROBLEMS,
    PIECES_ARPA,
    pieces_solved,
    solved,
)

RECORDED = json.loads(Path(__file__).with_name("pyctcdecode.json").read_text())
# Ours reads float32; the sums are of up to four frames.
TOLERANCE = 1e-4
# What theirs adds to many a reading whose best path ends in a space: the empty word after it, which
# is unknown (log10 of -10, and -10 of offset) and one word more.
EMPTY_WORD = 0.3 * math.log(10) * -20 + 0.7


def test_all_beams_without_a_model_are_the_same():
    decoder = build_ctcdecoder(LABELS)
    for number in range(NUM_PROBLEMS):
        theirs = RECORDED["free"][number]
        ours = solved(decoder, number)[: len(theirs)]
        assert [beam[0] for beam in ours] == [beam[0] for beam in theirs], number
        scores, expected = (np.array([beam[1:] for beam in beams]) for beams in (ours, theirs))
        np.testing.assert_allclose(scores, expected, atol=TOLERANCE, err_msg=str(number))


def test_with_a_model_scores_differ_by_the_empty_word_alone(shared_data):
    path = shared_data / "decoding" / "bugs_bunny_kenlm.arpa"
    decoder = build_ctcdecoder(LABELS, str(path), alpha=0.3, beta=0.7)
    same = different = 0
    for number in range(NUM_PROBLEMS):
        ours = {text: scores for text, *scores in solved(decoder, number)}
        for text, logit_score, lm_score in RECORDED["model"][number]:
            assert ours[text][0] == pytest.approx(logit_score, abs=TOLERANCE), (number, text)
            if ours[text][1] == pytest.approx(lm_score, abs=TOLERANCE):
                same += 1
            else:
                assert ours[text][1] + EMPTY_WORD == pytest.approx(lm_score, abs=TOLERANCE)
                different += 1
    assert same > 500
    assert different > 60  # the empty reading of each problem, at least


def test_all_beams_of_pieces_with_a_model_are_the_same_but_for_the_empty_word(tmp_path):
    path = tmp_path / "pieces.arpa"
    path.write_text(PIECES_ARPA)
    same = 0
    for number, theirs in enumerate(RECORDED["pieces"]):
        beams = pieces_solved(build_ctcdecoder, str(path), number)
        ours = {text: scores for text, *scores in beams}
        for text, *scores in theirs:
            if text:
                assert ours[text] == pytest.approx(scores, abs=TOLERANCE), (number, text)
                same += 1
        # The empty word makes the empty reading another there, by far the worse.
        assert beams[0][0] == theirs[0][0] or not beams[0][0]
    assert same > 1500
