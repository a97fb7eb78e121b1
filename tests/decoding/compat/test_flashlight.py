"""Flashlight Text's names, and what goes wrong; its results are in tests/parity."""

from __future__ import annotations

import gzip
import json
import math
import pickle

import numpy as np
import pytest

from sestina.decoding.compat.flashlight.decoder import (
    CriterionType,
    DecodeResult,
    KenLM,
    LexiconDecoder,
    LexiconDecoderOptions,
    LexiconFreeDecoder,
    LexiconFreeDecoderOptions,
    LexiconFreeSeq2SeqDecoder,
    LexiconFreeSeq2SeqDecoderOptions,
    LexiconSeq2SeqDecoder,
    LexiconSeq2SeqDecoderOptions,
    LMState,
    SmearingMode,
    Trie,
    ZeroLM,
    create_emitting_model_state,
)
from sestina.decoding.compat.flashlight.dictionary import Dictionary

FRAMES = [[0.1, 0.1, 0.7, 0.1], [0.1, 0.1, 0.1, 0.7], [0.1, 0.7, 0.1, 0.1]]
SCORES = np.log(FRAMES, dtype=np.float32)  # blank, silence, a, b


def trie():
    made = Trie(4, 1)
    made.insert([2, 3, 1], 0, -1.0)
    made.insert([3, 1], 1, -0.5)
    made.smear(SmearingMode.MAX)
    return made


def options(**changed):
    given = {
        "beam_size": 50,
        "beam_size_token": 4,
        "beam_threshold": 50.0,
        "lm_weight": 2.0,
        "word_score": 0.0,
        "unk_score": -math.inf,
        "sil_score": 0.0,
        "log_add": False,
        "criterion_type": CriterionType.CTC,
    }
    return LexiconDecoderOptions(**given | changed)


def lexicon_decoder(transitions=(), **changed):
    return LexiconDecoder(options(**changed), trie(), ZeroLM(), 1, 0, 2, list(transitions), False)


def free_options(**changed):
    given = {
        "beam_size": 50,
        "beam_size_token": 4,
        "beam_threshold": 50.0,
        "lm_weight": 2.0,
        "sil_score": 0.0,
        "log_add": False,
        "criterion_type": CriterionType.CTC,
    }
    return LexiconFreeDecoderOptions(**given | changed)


def test_emissions_are_an_address_or_an_array():
    decoder = lexicon_decoder()
    expected = decoder.decode(SCORES.ctypes.data, 3, 4)
    for found in (decoder.decode(SCORES), decoder.decode(SCORES, 3, 4)):
        assert [one.tokens for one in found] == [one.tokens for one in expected]
    best = expected[0]
    assert (best.tokens, best.words) == ([1, 2, 3, 1, 1], [-1, -1, -1, 0, -1])
    assert best.score == best.emittingModelScore == pytest.approx(3 * math.log(0.7), abs=1e-6)
    assert best.lmScore == 0.0


@pytest.mark.parametrize(
    "given",
    [
        (SCORES.astype(np.float64),),
        (SCORES[0],),
        (SCORES, 4, 4),
        (SCORES, 3, 5),
        (0, 3, 4),
        (SCORES.ctypes.data, -1, 4),
        (SCORES.ctypes.data,),
        (np.full((3, 4), np.inf, np.float32),),
    ],
)
def test_emissions_that_cannot_be_read_are_errors_and_the_decoder_works_on(given):
    decoder = lexicon_decoder()
    with pytest.raises(ValueError):
        decoder.decode(*given)
    assert decoder.decode(SCORES)[0].words == [-1, -1, -1, 0, -1]


def test_no_frame_gives_one_hypothesis_and_no_number_none():
    for decoder in (
        lexicon_decoder(),
        LexiconFreeDecoder(free_options(), ZeroLM(), 1, 0, []),
    ):
        nothing = decoder.decode(SCORES[:0])
        assert [(one.score, one.tokens, one.words) for one in nothing] == [(0.0, [1, 1], [-1, -1])]
        assert decoder.decode(np.full((3, 4), np.nan, np.float32)) == []


def test_columns_may_be_more_or_fewer_than_the_tries_tokens():
    wide = np.concatenate([SCORES, np.full((3, 90), -4, np.float32)], axis=1)
    assert lexicon_decoder().decode(wide)[0].words == [-1, -1, -1, 0, -1]
    larger = Trie(100, 1)
    larger.insert([2, 3, 1], 0, 0.0)
    larger.insert([2, 70, 1], 1, 0.0)
    decoder = LexiconDecoder(options(), larger, ZeroLM(), 1, 0, 2, [], False)
    assert decoder.decode(SCORES)[0].words == [-1, -1, -1, 0, -1]


def test_asg_needs_its_transitions_and_sequence_models_other_decoders():
    asg = CriterionType.ASG
    with pytest.raises(ValueError, match="transitions is 3 scores, expected 16 for ASG"):
        lexicon_decoder([0.0] * 3, criterion_type=asg).decode(SCORES)
    with pytest.raises(ValueError, match="Seq2Seq"):
        lexicon_decoder(criterion_type=CriterionType.S2S).decode(SCORES)
    found = lexicon_decoder([0.0] * 16, criterion_type=asg).decode(SCORES)
    assert found[0].words == [-1, -1, -1, 0, -1]


def test_a_label_that_the_model_lacks_is_an_error(tmp_path):
    path = tmp_path / "lm.arpa"
    path.write_text("\\data\\\nngram 1=3\n\n\\1-grams:\n-1\t<unk>\n-1\t<s>\n-1\t</s>\n\n\\end\\\n")
    model = KenLM(str(path), Dictionary(["only"]))
    decoder = LexiconDecoder(options(), trie(), model, 1, 0, 0, [], False)
    with pytest.raises(RuntimeError, match="1 indices, expected one for each up to 1"):
        decoder.decode(SCORES)
    with pytest.raises(RuntimeError, match=r"\[KenLM\] Invalid user token index: 7"):
        model.score(model.start(False), 7)
    with pytest.raises(RuntimeError, match="none"):
        KenLM(str(tmp_path / "none"), Dictionary())


def test_a_tries_scores_are_seen_and_smeared():
    made = Trie(4, 0)
    node = made.insert([1, 2], 7, -1.5)
    made.insert([1, 2], 8, -2.0)
    made.insert([1], 9, -0.5)
    assert (node.idx, node.labels, node.scores, node.max_score) == (2, [7, 8], [-1.5, -2.0], 0.0)
    assert node.children == {}
    assert made.search([3]) is None
    made.smear(SmearingMode.MAX)
    both = math.log(math.exp(-1.5) + math.exp(-2.0))  # words of one node add up in any mode
    assert made.search([1, 2]).max_score == pytest.approx(both, abs=1e-6)
    assert made.search([1]).max_score == -0.5
    made.smear(SmearingMode.LOGADD)
    every = math.log(math.exp(both) + math.exp(-0.5))
    assert made.search([1]).max_score == pytest.approx(every, abs=1e-6)
    assert list(made.get_root().children) == [1]
    assert made.get_root().children[1].children[2].labels == [7, 8]


def test_scores_that_a_trie_was_given_are_looked_ahead_to():
    # Of two words through equal scores, a beam of one keeps that whose start promises more.
    def kept(scores):
        made = Trie(4, 1)
        made.insert([2, 1], 0, scores[0])
        made.insert([3, 1], 1, scores[1])
        made.smear(SmearingMode.MAX)
        decoder = LexiconDecoder(options(beam_size=1), made, ZeroLM(), 1, 0, 2, [], False)
        return decoder.decode(np.log([[0.1, 0.1, 0.4, 0.4], FRAMES[2]], dtype=np.float32))[0].words

    assert kept([-0.1, -0.2]) == [-1, -1, 0, -1]
    assert kept([-0.2, -0.1]) == [-1, -1, 1, -1]


def test_words_beyond_six_on_a_node_are_kept():
    made = Trie(4, 1)
    for label in range(9):
        made.insert([2, 1], label, 0.0)
    assert made.search([2, 1]).labels == list(range(9))


def test_tokens_beyond_a_trie_are_index_errors():
    made = Trie(4, 0)
    for failing in (lambda: made.insert([9], 1, 0.0), lambda: made.search([-1])):
        with pytest.raises(IndexError, match=r"\[Trie\] Invalid letter index: (9|-1)"):
            failing()


def test_choices_are_numbered_as_in_flashlight():
    assert [int(one) for one in CriterionType] == [0, 1, 2]
    assert [int(one) for one in SmearingMode] == [0, 1, 2]
    assert (CriterionType.CTC.name, CriterionType(1)) == ("CTC", CriterionType.CTC)
    for choice in (*CriterionType, *SmearingMode):
        assert "abc"[choice] == "abc"[int(choice)]
        assert hash(choice) == hash(int(choice))
        assert choice != int(choice)
        assert pickle.loads(pickle.dumps(choice)) is choice


def test_options_can_be_changed_and_pickled():
    given = options()
    given.beam_size = 3
    assert pickle.loads(pickle.dumps(given)).beam_size == 3


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("beam_size", 5.5),
        ("beam_size", "5"),
        ("lm_weight", "2.0"),
        ("lm_weight", None),
        ("criterion_type", 1),
        ("criterion_type", SmearingMode.MAX),
    ],
)
def test_options_of_another_kind_are_type_errors_as_in_flashlight(name, wrong):
    with pytest.raises(TypeError, match=name):
        options(**{name: wrong})
    given = options()
    before = getattr(given, name)
    with pytest.raises(TypeError, match=name):
        setattr(given, name, wrong)
    assert getattr(given, name) == before
    with pytest.raises(AttributeError, match="beams"):
        given.beams = 3


def test_options_take_numbers_of_numpy_and_keep_pythons():
    given = options(beam_size=np.int64(5), lm_weight=1, log_add=1)
    assert [type(one) for one in (given.beam_size, given.lm_weight, given.log_add)] == [
        int,
        float,
        bool,
    ]


def test_a_lexicon_free_decoder_pickles():
    decoder = LexiconFreeDecoder(free_options(beam_size=7), ZeroLM(), 1, 0, [])
    again = pickle.loads(pickle.dumps(decoder))
    assert again.get_options() == free_options(beam_size=7)
    assert (again.get_sil_idx(), again.get_blank_idx(), again.get_transitions()) == (1, 0, [])
    assert again.decode(SCORES)[0].tokens == decoder.decode(SCORES)[0].tokens


def test_an_empty_result_has_no_score():
    result = DecodeResult(2)
    assert (result.tokens, result.words, result.score) == ([-1, -1], [-1, -1], 0.0)


def test_states_are_the_same_if_they_are_one_object():
    model = ZeroLM()
    start = model.start(False)
    after, score = model.score(start, 1)
    assert score == 0.0
    assert model.score(start, 1)[0] is after
    assert (after.compare(after), after.compare(start)) != (0, 0)
    assert start.children == {1: after}
    assert model.finish(after) == (after, 0.0)
    assert LMState().children == {}


def rows(count):
    return [[-1.0, -1.5, -2.0, -3.0]] * count


def states(count):
    return [create_emitting_model_state(k) for k in range(count)]


S2S_FREE = LexiconFreeSeq2SeqDecoderOptions(3, 4, 50.0, 1.0, 0.0, False)


def test_results_of_sequence_models_are_flush_right():
    # As flashlight-text 0.0.7 gives them for this model.
    def update(emissions, num_tokens, num_frames, last, places, before, step):
        assert (emissions, num_tokens, num_frames) == ("kept as it is", 4, 2)
        assert len(last) == len(places) == len(before)
        return [[-1.0, -1.5 * (step + 1), -2.0, -3.0]] * len(last), states(len(last))

    decoder = LexiconFreeSeq2SeqDecoder(S2S_FREE, ZeroLM(), 0, update, 4)
    assert decoder.get_best_hypothesis().tokens == []
    decoder.decode_step("kept as it is", 2, 4)
    found = decoder.get_all_final_hypothesis()
    assert [one.tokens[-2:] for one in found] == [[0, 0], [1, 0], [2, 0]]
    assert found[0].tokens == [-1, -1, -1, -1, -1, 0, 0]
    assert [one.score for one in found] == [-1.0, -2.5, -3.0]
    decoder.prune()
    assert decoder.get_best_hypothesis(1).tokens == found[0].tokens


def test_a_hypothesis_without_a_state_is_dropped():
    def update(_emissions, _tokens, _frames, last, _places, _before, step):
        kept = states(len(last))
        for row, token in enumerate(last):
            if step and token == 1:
                kept[row] = None
        return rows(len(last)), kept

    decoder = LexiconFreeSeq2SeqDecoder(S2S_FREE, ZeroLM(), 0, update, 4)
    decoder.decode_step(0, 0, 4)
    found = decoder.get_all_final_hypothesis()
    said = [[token for token in one.tokens if token >= 0] for one in found]
    assert all(1 not in tokens for tokens in said)


def test_what_an_update_function_does_wrong_is_an_error_and_the_decoder_works_on():
    wrong = [
        lambda last: (rows(len(last) + 1), states(len(last))),
        lambda last: (rows(len(last)), states(0)),
        lambda last: ([[math.nan] * 4] * len(last), states(len(last))),
        lambda last: last[99],
    ]
    answers = []

    def update(_emissions, _tokens, _frames, last, _places, _before, _step):
        return answers[0](last)

    decoder = LexiconFreeSeq2SeqDecoder(S2S_FREE, ZeroLM(), 0, update, 4)
    for answer, error in zip(wrong, [ValueError, ValueError, ValueError, IndexError], strict=True):
        answers[:] = [answer]
        with pytest.raises(error):
            decoder.decode_step(0, 0, 4)
        assert decoder.get_all_final_hypothesis() == []
    answers[:] = [lambda last: (rows(len(last)), states(len(last)))]
    decoder.decode_step(0, 0, 4)
    assert decoder.get_best_hypothesis().score == -1.0


def test_a_trie_and_a_model_are_taken_in_either_order():
    given = LexiconSeq2SeqDecoderOptions(3, 4, 50.0, 1.0, 0.0, 0.0, False)

    def update(_emissions, _tokens, _frames, last, _places, _before, _step):
        return rows(len(last)), states(len(last))

    for words, model in ((trie(), ZeroLM()), (ZeroLM(), trie())):
        decoder = LexiconSeq2SeqDecoder(given, words, model, 0, update, 5, False)
        decoder.decode_step(0, 0, 4)
        assert decoder.get_best_hypothesis().score == -1.0
    with pytest.raises(TypeError, match="expected a Trie and an LM"):
        LexiconSeq2SeqDecoder(given, trie(), trie(), 0, update, 5, False)


def program(root, name):
    """A script for Flashlight Text with nothing but its import lines changed."""
    source = (root / "recipes" / name).read_text(encoding="utf-8")
    changed = source.replace("flashlight.lib.text", "sestina.decoding.compat.flashlight")
    assert changed != source
    names = {"__name__": name}
    exec(compile(changed, name, "exec"), names)
    return names


def assert_as_recorded(found, expected):
    scores = [one[0] for one in expected]
    assert [one[0] for one in found] == pytest.approx(scores, abs=1e-4)
    for place, (one, other) in enumerate(zip(found, expected, strict=True)):
        near = [abs(scores[place] - score) < 1e-4 for score in scores]
        if sum(near) == 1:  # of equal scores either may come first
            assert one[1:] == other[1:]


def test_the_recipe_of_the_lexicon_decoders_oracle_runs_with_other_import_lines(root):
    names = program(root, "flashlight_oracle.py")
    recorded = json.loads((root / "tests" / "parity" / "flashlight_small.json").read_text())
    for problem in recorded[::10]:
        if problem["options"]["unk_score"] is None:
            problem["options"]["unk_score"] = -math.inf
        found = [[one["score"], one["words"], one["path"]] for one in names["solved"](problem)]
        expected = [[one["score"], one["words"], one["path"]] for one in problem["found"]]
        assert_as_recorded(found, expected)


def test_the_recipe_of_the_sequence_decoders_oracle_runs_with_other_import_lines(root):
    names = program(root, "flashlight_seq2seq_oracle.py")
    path = root / "tests" / "parity" / "flashlight_seq2seq.json.gz"
    for problem in json.loads(gzip.decompress(path.read_bytes())):
        for name, log_add, smearing, reads_tokens in names["settings"]():
            found = names["solved"](
                problem, log_add=log_add, smearing=smearing, reads_tokens=reads_tokens
            )
            expected = problem["found"][name]
            assert_as_recorded(
                [[one[0], *one[3:]] for one in found], [[one[0], *one[3:]] for one in expected]
            )
