from __future__ import annotations

import time
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from sestina.core.errors import (
    CancelledError,
    InvalidValueError,
    NoReadingError,
    OptionError,
    ShapeError,
)
from sestina.core.options import options_from_toml, options_to_toml
from sestina.decoding import (
    BatchedLanguageModel,
    Decoder,
    DecoderOptions,
    Lexicon,
    Tokens,
    error_rate,
    read_arpa,
    samples,
)
from sestina.decoding.tuning import TuningOptions, tune

EMISSIONS = [np.full((3, 2), -1.0, dtype=np.float32)] * 64
WORDS = [f"w{n}" for n in range(50)]
REFERENCES = [" ".join(WORDS)] * 64


def made_up(options):
    """A decoder whose errors and time are known: best at lm_weight 2, and the wider the better."""
    wrong = min(50, round(10 * abs(options.lm_weight - 2) + 1000 / options.beam_size))

    def decode(emissions_tn):
        ends_ns = time.process_time_ns() + 1000 * options.beam_size
        while time.process_time_ns() < ends_ns:
            pass
        return [SimpleNamespace(text=" ".join(WORDS[wrong:]))]

    return SimpleNamespace(decode=decode)


def test_the_best_of_a_known_landscape_is_found():
    found = tune(made_up, EMISSIONS, REFERENCES, options=TuningOptions(trials=40))
    # The first setting has 20 errors of 50; a beam of 500, the widest that is drawn, 2 at best.
    assert found.chosen.word_error_rate <= 0.14
    assert abs(found.options.lm_weight - 2) < 0.4
    assert found.is_met
    assert len(found.trials) == 40
    assert found.trials[0].options == DecoderOptions()
    assert {trial.num_utterances for trial in found.trials} == {24, 32, 64}


def test_a_target_is_reached_by_the_fastest_that_does():
    goal = TuningOptions(trials=40, target_wer=40.0)
    found = tune(made_up, EMISSIONS, REFERENCES, options=goal)
    assert found.is_met
    assert found.chosen.word_error_rate <= 0.4
    assert all(
        trial.word_error_rate > 0.4
        for trial in found.whole
        if trial.us_per_frame < found.chosen.us_per_frame
    )
    # 20 errors of 50 are allowed: a beam of 1000 / 20.5 at the right weight.
    assert 48 <= found.options.beam_size < 70


def test_a_budget_is_kept_with_the_fewest_errors():
    # 1 µs for each hypothesis, three frames: 50 µs a frame are a beam of 150.
    found = tune(made_up, EMISSIONS, REFERENCES, options=TuningOptions(trials=40, time_budget=50))
    assert found.is_met
    assert found.chosen.us_per_frame <= 50
    assert found.options.beam_size <= 150
    assert found.chosen.word_error_rate == min(
        trial.word_error_rate for trial in found.whole if trial.us_per_frame <= 50
    )


def test_a_goal_out_of_reach_is_said_to_be():
    for goal in ({"time_budget": 0.01}, {"target_wer": 1.0, "time_budget": 8.0}):
        found = tune(made_up, EMISSIONS, REFERENCES, options=TuningOptions(trials=12, **goal))
        assert not found.is_met
        assert found.chosen in found.frontier


def test_the_frontier_is_what_nothing_beats():
    found = tune(made_up, EMISSIONS, REFERENCES, options=TuningOptions(trials=30))
    points = [(trial.us_per_frame, trial.word_error_rate) for trial in found.frontier]
    assert points == sorted(points, key=lambda point: -point[1])
    assert points == sorted(points)
    for trial in found.whole:
        assert any(
            best.us_per_frame <= trial.us_per_frame
            and best.word_error_rate <= trial.word_error_rate
            for best in found.frontier
        )
    assert found.chosen in found.frontier


def test_only_what_is_to_be_tuned_changes():
    start = DecoderOptions(word_score=1.25, beam_threshold=9.0, log_add=True)
    goal = TuningOptions(trials=15, tuned=("lm_weight",))
    found = tune(made_up, EMISSIONS, REFERENCES, options=goal, start=start)
    fixed = [name for name in DecoderOptions.__slots__ if name != "lm_weight"]
    for trial in found.trials:
        assert all(getattr(trial.options, name) == getattr(start, name) for name in fixed)
    nothing = TuningOptions(trials=15, tuned=())
    [only] = tune(made_up, EMISSIONS, REFERENCES, options=nothing, start=start).trials
    assert only.options == start


def test_the_draws_are_seeded():
    def drawn(seed):
        found = tune(made_up, EMISSIONS, REFERENCES, options=TuningOptions(trials=9, seed=seed))
        return [trial.options for trial in found.trials[:4]]

    assert drawn(1) == drawn(1) != drawn(2)


def test_few_utterances_are_never_parted():
    found = tune(made_up, EMISSIONS[:20], REFERENCES[:20], options=TuningOptions(trials=10))
    assert {trial.num_utterances for trial in found.trials} == {20}


@pytest.mark.parametrize("trials", range(1, 8))
def test_any_number_of_trials_will_do(trials):
    found = tune(made_up, EMISSIONS, REFERENCES, options=TuningOptions(trials=trials))
    assert 1 <= len(found.trials) <= trials
    assert found.chosen.num_utterances == 64


def test_progress_is_told_and_may_cancel():
    steps = []

    def told(done, total, label):
        steps.append((done, total, label))

    tune(made_up, EMISSIONS, REFERENCES, options=TuningOptions(trials=6), progress=told)
    assert steps[0] == (0, 6, "trying settings")
    assert steps[-1] == (6, 6, "trying settings")
    assert [done for done, _, _ in steps] == sorted(done for done, _, _ in steps)

    def cancel(done, total, label):
        raise CancelledError(f"at {done}", remedy="start again")

    with pytest.raises(CancelledError):
        tune(made_up, EMISSIONS, REFERENCES, progress=cancel)


def test_a_beam_that_finds_nothing_is_all_errors():
    def never(options):
        def decode(emissions_tn):
            raise NoReadingError("emissions", "3 frames", expected="a reading", remedy="widen")

        return SimpleNamespace(decode=decode)

    found = tune(never, EMISSIONS, REFERENCES, options=TuningOptions(trials=3))
    assert found.chosen.word_error_rate == 1


@pytest.mark.parametrize(
    ("score", "problem"), [(0.5, "0.5, expected .* at most 0"), (np.nan, "nan")]
)
def test_a_language_model_s_own_mistake_is_no_error_of_words(score, problem):
    class Mistaken(BatchedLanguageModel):
        def start(self):
            return None

        def score_batch(self, states, words):
            return [score] * len(words), states

    lexicon = Lexicon.from_spellings({"ab": "a b |"}, Tokens(["-", "|", "a", "b"]))
    emissions_tn = np.log(np.eye(4)[[2, 3, 1]] + 0.01)
    make = partial(Decoder, lexicon, Mistaken())
    with pytest.raises(InvalidValueError, match=f"the result of score_batch is {problem}"):
        tune(make, [emissions_tn], ["ab"], options=TuningOptions(trials=3))


def test_a_beam_that_leaves_nothing_is_all_errors_in_a_decoder_too():
    lexicon = Lexicon.from_spellings({"ab": "a b |"}, Tokens(["-", "|", "a", "b"]))
    silent_tn = np.full((3, 4), -np.inf)
    make = partial(Decoder, lexicon, None)
    found = tune(make, [silent_tn], ["ab"], options=TuningOptions(trials=2))
    assert found.chosen.word_error_rate == 1


def test_one_utterance_with_words_will_do_wherever_it_is():
    said = [""] * 119
    for place in (0, 60, 119):
        references = [*said[:place], REFERENCES[0], *said[place:]]
        found = tune(made_up, EMISSIONS[:1] * 120, references, options=TuningOptions(trials=9))
        assert {trial.num_utterances for trial in found.trials} == {30, 60, 120}


def test_what_cannot_be_tuned_on_is_refused():
    with pytest.raises(ShapeError, match="references is 63, expected 64"):
        tune(made_up, EMISSIONS, REFERENCES[:63])
    with pytest.raises(InvalidValueError, match=r"references\[1\] is None, expected a text"):
        tune(made_up, EMISSIONS, [REFERENCES[0], None] * 32)
    with pytest.raises(InvalidValueError, match="options is 5, expected TuningOptions"):
        tune(made_up, EMISSIONS, REFERENCES, options=5)
    with pytest.raises(InvalidValueError, match=r"start is 'best\.toml', expected DecoderO"):
        tune(made_up, EMISSIONS, REFERENCES, start="best.toml")
    with pytest.raises(InvalidValueError, match="64 texts without a word"):
        tune(made_up, EMISSIONS, [""] * 64)
    with pytest.raises(InvalidValueError, match="without a frame"):
        tune(made_up, [EMISSIONS[0][:0]], ["a"])
    with pytest.raises(InvalidValueError, match="without a frame"):
        tune(made_up, [], [])
    with pytest.raises(ShapeError, match=r"emissions is \(3, 3\)"):
        tune(made_up, [EMISSIONS[0], np.zeros((3, 3), dtype=np.float32)], ["a", "b"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("target_wer", -1.0),
        ("time_budget", float("nan")),
        ("trials", 0),
        ("trials", 1.5),
        ("seed", "0"),
        ("target_wer", "12"),
        ("seed", -1),
        ("tuned", ("beamsize",)),
    ],
)
def test_goals_out_of_range_are_named(name, value):
    with pytest.raises(OptionError, match=name):
        TuningOptions(**{name: value})


def test_the_bundled_speech_is_understood_better_after_tuning():
    bundled, test = samples.sample("tune"), samples.sample("test")
    tokens = Tokens.read(bundled.tokens_path)
    make = partial(
        Decoder, Lexicon.read(bundled.lexicon_path, tokens), read_arpa(bundled.arpa_path)
    )
    found = tune(
        make,
        bundled.emissions[:32],
        bundled.references[:32],
        options=TuningOptions(trials=12, time_budget=20),
    )
    written = options_from_toml(DecoderOptions, options_to_toml(found.options))
    assert written == found.options

    def wer(options):
        decoder = make(options)
        texts = [decoder.decode(one)[0].text for one in test.emissions]
        return error_rate(test.references, texts).rate

    # 10.2 % at the defaults, 8.4 % tuned.
    assert wer(found.options) < wer(DecoderOptions()) - 0.008


def test_a_search_without_words_has_no_score_of_words_tuned():
    tokens = Tokens(list("-|ab"))
    rng = np.random.default_rng(0)
    emissions = [np.log(rng.dirichlet(np.ones(4), size=9)) for _ in range(4)]
    made = partial(Decoder, tokens, None)
    found = tune(made, emissions, ["ab"] * 4, options=TuningOptions(trials=4))
    assert {trial.options.word_score for trial in found.trials} == {0.0}
    assert "word_score" not in found.goal.tuned
