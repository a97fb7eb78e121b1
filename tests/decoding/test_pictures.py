from __future__ import annotations

import numpy as np
import pytest

from sestina.core.plots import save_figure
from sestina.decoding import DecoderOptions, error_rate
from sestina.decoding.pictures import frontier_picture, tuning_picture
from sestina.decoding.tuning import Trial, Tuning, TuningOptions

pytest.importorskip("matplotlib")


def trial(us_per_frame, wrong):
    texts = ["x"] * wrong + ["a"] * (10 - wrong)
    return Trial(
        options=DecoderOptions(),
        errors=error_rate(["a"] * 10, texts),
        us_per_frame=us_per_frame,
        num_utterances=10,
    )


TRIALS = (trial(1.0, 6), trial(2.0, 3), trial(4.0, 5), trial(8.0, 1))


def labels_of(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_every_trial_the_frontier_and_the_choice_are_drawn():
    found = Tuning(
        trials=TRIALS, chosen=TRIALS[1], is_met=True, goal=TuningOptions(target_wer=35.0)
    )
    figure = tuning_picture(found)
    tried, chosen = figure.axes[0].collections
    np.testing.assert_allclose(tried.get_offsets(), [[1, 60], [2, 30], [4, 50], [8, 10]])
    np.testing.assert_allclose(chosen.get_offsets(), [[2, 30]])
    frontier, target = figure.axes[0].get_lines()
    np.testing.assert_allclose(frontier.get_xydata(), [[1, 60], [2, 30], [8, 10]])
    assert set(target.get_ydata()) == {35.0}
    assert labels_of(figure) == ["tried", "none is as fast and as good", "chosen", "target"]
    budget = Tuning(
        trials=TRIALS, chosen=TRIALS[1], is_met=True, goal=TuningOptions(time_budget=3.0)
    )
    assert labels_of(tuning_picture(budget))[-1] == "budget"


def test_each_decoder_has_a_line_from_fast_to_slow(tmp_path):
    figure = frontier_picture({"greedy": [(0.5, 0.6)], "beam": [(8.0, 0.1), (1.0, 0.4)]})
    lines = figure.axes[0].get_lines()
    np.testing.assert_allclose(lines[0].get_xydata(), [[0.5, 60]])
    np.testing.assert_allclose(lines[1].get_xydata(), [[1, 40], [8, 10]])
    assert labels_of(figure) == ["greedy", "beam"]
    assert save_figure(figure, tmp_path / "time.png").stat().st_size > 1000
