"""The face of pyctcdecode, beside what pyctcdecode 0.5.0 found on the same input."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
import textwrap
import types
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import pytest

from sestina.core.errors import FileFormatError, NonFiniteError, OptionError, ShapeError
from sestina.decoding import read_lm
from sestina.decoding.compat import kenlm
from sestina.decoding.compat.pyctcdecode import (
    Alphabet,
    BeamSearchDecoderCTC,
    LanguageModel,
    build_ctcdecoder,
)
from sestina.decoding.compat.pyctcdecode import alphabet as alphabet_face
from sestina.decoding.compat.pyctcdecode.alphabet import verify_alphabet_coverage
from sestina.decoding.compat.pyctcdecode.language_model import (
    AbstractLanguageModel,
    MultiLanguageModel,
    load_unigram_set_from_arpa,
)

LABELS = [" ", "b", "g", "n", "s", "u", "y", ""]


def frames_of(labels, names=LABELS, p=0.8):
    """Probabilities that prefer these labels, one a frame."""
    found = np.full((len(labels), len(names)), (1 - p) / (len(names) - 1))
    found[np.arange(len(labels)), [names.index(label) for label in labels]] = p
    return found


BUNNIES = frames_of([*"bun", "", *"ny bun", "", *"ny"])


@pytest.fixture
def arpa(shared_data):
    return str(shared_data / "decoding" / "bugs_bunny_kenlm.arpa")


def test_without_a_model_the_beams_are_those_of_pyctcdecode():
    beams = build_ctcdecoder(LABELS).decode_beams(BUNNIES)
    found = [(beam.text, beam.text_frames, round(beam.logit_score, 3)) for beam in beams[:3]]
    assert found == [  # pyctcdecode 0.5.0's
        ("bunny bunny", [("bunny", (0, 6)), ("bunny", (7, 13))], -2.901),
        ("buny bunny", [("buny", (0, 6)), ("bunny", (7, 13))], -4.565),
        ("bunny buny", [("bunny", (0, 6)), ("buny", (7, 13))], -4.573),
    ]
    assert all(beam.lm_score == pytest.approx(beam.logit_score) for beam in beams)
    assert all(beam.last_lm_state is None for beam in beams)


def test_a_model_turns_bunny_bunny_into_bugs_bunny(arpa):
    beam = build_ctcdecoder(LABELS, arpa).decode_beams(BUNNIES)[0]
    assert beam.text == "bugs bunny"
    # pyctcdecode 0.5.0 has -10.956 and -7.956; its beam held less of the paths of this text.
    assert beam.lm_score == pytest.approx(-7.956, abs=0.01)
    assert beam.lm_score - beam.logit_score == pytest.approx(2 * 1.5, abs=1e-5)


def test_weights_change_through_reset_params_and_through_the_container(arpa):
    decoder = build_ctcdecoder(LABELS, arpa)
    decoder.reset_params(alpha=0.0, unk_score_offset=0.0)
    assert decoder.decode(BUNNIES) == "bunny bunny"
    BeamSearchDecoderCTC.model_container[decoder._model_key].alpha = 0.5
    assert decoder.decode(BUNNIES) == "bugs bunny"
    for wrong in ({"alpha": 1}, {"beta": "1"}, {"lm_score_boundary": 1.0}):
        with pytest.raises(ValueError, match="expected a"):
            decoder.reset_params(beta=2.0, **wrong) if "beta" not in wrong else (
                decoder.reset_params(**wrong)
            )
    assert decoder._language_model.beta == 1.5


def test_scores_are_the_sum_of_logits_words_and_hotwords(arpa):
    decoder = build_ctcdecoder(LABELS, arpa, alpha=0.7, beta=0.3, unk_score_offset=-2.0)
    text, _, _, logit, total = decoder.decode_beams(
        BUNNIES, hotwords=["bunny bun"], hotword_weight=20.0
    )[0]
    assert text == "bunny bunny"
    # ARPA: bunny after <s> -10, bunny after bunny 0 by backing off, </s> after bunny 0.
    assert total - logit == pytest.approx(0.7 * np.log(10) * -10 + 2 * 0.3 + 2 * 20.0, abs=1e-4)


def test_an_unknown_hotword_still_costs_what_unknown_words_do(arpa):
    decoder = build_ctcdecoder(LABELS, arpa, alpha=0.5, beta=0.0, unk_score_offset=-4.0)
    sung = frames_of([*"sung"], p=0.97)
    beam = decoder.decode_beams(sung, hotwords=["sung"], hotword_weight=60.0)[0]
    assert beam.text == "sung"
    # <unk> -10 and the offset -4, then </s> 0.
    assert beam.lm_score - beam.logit_score == pytest.approx(0.5 * np.log(10) * -14 + 60, abs=1e-4)
    assert beam.logit_score == pytest.approx(4 * np.log(0.97), abs=0.01)


def test_words_of_hotwords_count_whole_only():
    decoder = build_ctcdecoder(LABELS)
    beam = decoder.decode_beams(BUNNIES, hotwords=["bun", "qqq"], hotword_weight=2.0)[0]
    assert (beam.text, round(beam.lm_score, 3)) == ("bunny bunny", -2.901)


def test_the_state_of_one_half_leads_into_the_other(arpa):
    decoder = build_ctcdecoder(LABELS, arpa, lm_score_boundary=False)
    first = decoder.decode_beams(frames_of([*"bugs"]))[0]
    assert first.text == "bugs"
    state = pickle.loads(pickle.dumps(first.last_lm_state))
    second = decoder.decode_beams(frames_of([*"bun", "", *"ny"]), lm_start_state=state)[0]
    fresh = decoder.decode_beams(frames_of([*"bun", "", *"ny"]))[0]
    assert (second.text, fresh.text) == ("bunny", "bunny")
    # "bunny" after "bugs" and as a 1-gram are both 10^0 there.
    assert second.lm_score - second.logit_score == pytest.approx(1.5, abs=1e-5)
    assert state.words == ("bugs",)
    assert not state.begin


def test_without_unigrams_words_that_the_model_lacks_cost_the_offset(arpa):

    alphabet = Alphabet.build_alphabet(LABELS)
    lm = LanguageModel(read_lm(arpa), None, alpha=0.5, beta=0.0, unk_score_offset=-4.0)
    beams = BeamSearchDecoderCTC(alphabet, lm).decode_beams(
        frames_of([*"sung"], p=0.99), beam_prune_logp=-60.0
    )
    beam = next(beam for beam in beams if beam.text == "sung")
    assert beam.logit_score == pytest.approx(4 * np.log(0.99), abs=0.01)
    assert beam.lm_score - beam.logit_score == pytest.approx(0.5 * np.log(10) * -14, abs=1e-4)


def test_batches_are_their_parts_with_any_pool(arpa):
    decoder = build_ctcdecoder(LABELS, arpa)
    many = [BUNNIES, BUNNIES[:5], np.log(BUNNIES[5:])]
    with ThreadPool(2) as pool:
        assert decoder.decode_batch(pool, many) == [decoder.decode(one) for one in many]
        batched = decoder.decode_beams_batch(pool, many)
    single = [decoder.decode_beams(one) for one in many]
    assert [[tuple(beam) for beam in beams] for beams in batched] == [
        [(beam[0], *beam[2:]) for beam in beams] for beams in single
    ]
    assert decoder.decode_batch(None, []) == []


def test_probabilities_logarithms_and_logits_are_the_same_input():
    decoder = build_ctcdecoder(LABELS)
    best = decoder.decode_beams(BUNNIES)[0]
    for same in (np.log(BUNNIES), np.log(BUNNIES) + 3.0, BUNNIES.astype(np.float32)):
        found = decoder.decode_beams(same)[0]
        assert found.text == best.text
        assert found.logit_score == pytest.approx(best.logit_score, abs=1e-4)
    assert decoder.decode(np.zeros((0, 8))) == ""


def test_bad_input_is_an_error_and_leaves_the_decoder_usable():
    decoder = build_ctcdecoder(LABELS)
    for wrong in (np.zeros((3, 7)), np.zeros(8), np.zeros((1, 3, 8))):
        with pytest.raises(ShapeError, match="logits"):
            decoder.decode(wrong)
    with pytest.raises(NonFiniteError):
        decoder.decode(np.full((2, 8), np.nan))
    with pytest.raises(OptionError, match="beam_size"):
        decoder.decode(BUNNIES, beam_width=0)
    assert decoder.decode(BUNNIES) == "bunny bunny"


@pytest.mark.parametrize(
    ("labels", "expected", "is_bpe"),
    [
        (["a", "|", "_"], ["a", " ", ""], False),
        (["<pad>", "a", "|", "[UNK]"], ["", "a", " ", "⁇"], False),
        ([" ", "|", "a"], [" ", "|", "a", ""], False),
        (["", "_", " "], ["", "_", " "], False),
        (["[PAD]", "ab", "##c", "[UNK]"], ["", "▁ab", "c", "▁⁇▁"], True),
        (["▁ab", "c"], ["▁ab", "c", ""], True),
    ],
)
def test_labels_are_named_as_pyctcdecode_names_them(labels, expected, is_bpe):
    alphabet = Alphabet.build_alphabet(labels)
    assert (alphabet.labels, alphabet.is_bpe) == (expected, is_bpe)
    assert Alphabet.loads(alphabet.dumps()).labels == expected


def test_labels_that_do_not_fit_are_errors():
    for wrong in (["a", "a"], ["▁a", " "]):
        with pytest.raises(ValueError, match="labels"):
            Alphabet.build_alphabet(wrong)
    with pytest.raises(ValueError, match="alphabet"):
        Alphabet.loads(json.dumps({"labels": []}))


def test_unigrams_of_other_letters_are_warned_of(caplog, arpa):
    alphabet = Alphabet.build_alphabet([*"abcdefghij", " ", "_"])
    for words in (["abcdefghijkl"], [], ["ab"] * 9):  # 2 of 12 letters are foreign, or none
        verify_alphabet_coverage(alphabet, words)
    assert not caplog.records
    verify_alphabet_coverage(alphabet, ["abcdefghij", "klm"])
    assert "3 of the 13 letters" in caplog.text
    caplog.clear()
    build_ctcdecoder(["x", " ", "_"], arpa)
    assert "no labels: bgnsuy" in caplog.text


def test_pieces_make_words():
    decoder = build_ctcdecoder(["▁bu", "gs", "▁n", "<unk>", ""])
    names = decoder._alphabet.labels
    said = frames_of(["▁bu", "", "gs", "▁⁇▁", "gs", "▁n"], names, p=0.96)
    beam = decoder.decode_beams(said)[0]
    assert beam.text == "bugs ⁇ gs n"
    assert [word for word, _ in beam.text_frames] == ["bugs", "⁇", "gs", "n"]
    with pytest.raises(ValueError, match="hotwords"):
        decoder.decode(said, hotwords=["bugs"])


def test_a_label_for_spaces_is_not_needed():
    decoder = build_ctcdecoder(["a", "b", "_"])
    assert decoder.decode(frames_of([*"ab"], ["a", "b", ""])) == "ab"


def test_a_saved_decoder_loads_again(arpa, tmp_path):
    decoder = build_ctcdecoder(LABELS, arpa, alpha=0.4)
    decoder.save_to_dir(tmp_path)
    files = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert files == [
        "alphabet.json",
        "language_model/attrs.json",
        "language_model/bugs_bunny_kenlm.arpa",
        "language_model/unigrams.txt",
    ]
    again = BeamSearchDecoderCTC.load_from_dir(tmp_path)
    assert again.decode_beams(BUNNIES) == decoder.decode_beams(BUNNIES)
    assert again._language_model.alpha == 0.4
    paths = LanguageModel.parse_directory_contents(tmp_path / "language_model")
    saved = json.loads(Path(paths["json_attrs"]).read_text())
    assert saved == again._language_model.serializable_attrs
    assert tuple(saved) == LanguageModel.JSON_ATTRS
    assert {"bugs", "bunny"} <= set(Path(paths["unigrams"]).read_text().split())
    assert load_unigram_set_from_arpa(paths["kenlm"]) >= {"bugs", "bunny"}
    (tmp_path / "language_model" / "more.txt").touch()
    with pytest.raises(FileFormatError, match=r"more\.txt"):
        BeamSearchDecoderCTC.load_from_dir(tmp_path)
    (tmp_path / "alphabet.json").unlink()
    with pytest.raises(FileFormatError, match=r"alphabet\.json"):
        BeamSearchDecoderCTC.load_from_dir(tmp_path)


def test_what_is_no_number_is_refused_by_its_name(arpa):
    decoder = build_ctcdecoder(LABELS, arpa)
    for name in ("beam_prune_logp", "token_min_logp", "hotword_weight"):
        for wrong in (math.nan, "3"):
            with pytest.raises(OptionError, match=f"{name} is "):
                decoder.decode(BUNNIES, **{name: wrong})
    assert decoder.decode(BUNNIES, token_min_logp=-math.inf) == "bugs bunny"
    for name in ("alpha", "beta", "unk_score_offset"):
        with pytest.raises(OptionError, match=f"{name} is nan"):
            build_ctcdecoder(LABELS, arpa, **{name: math.nan})
        with pytest.raises(OptionError, match=f"{name} is nan"):
            decoder.reset_params(**{name: math.nan})


def test_public_constants_have_pyctcdecodes_values():
    # Of pyctcdecode 0.5.0, alphabet.py.
    assert (alphabet_face.BPE_TOKEN, alphabet_face.UNK_TOKEN, alphabet_face.UNK_BPE_TOKEN) == (
        "▁",
        "⁇",
        "▁⁇▁",
    )
    assert alphabet_face.SPECIAL_TOKEN_PTN.match("<s>")
    assert not alphabet_face.SPECIAL_TOKEN_PTN.match("<s>a")


def test_a_decoder_without_a_model_saves_its_alphabet_alone(tmp_path):
    build_ctcdecoder(LABELS).save_to_dir(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["alphabet.json"]
    assert BeamSearchDecoderCTC.load_from_dir(tmp_path).decode(BUNNIES) == "bunny bunny"


def test_hugging_faces_processor_takes_it_and_finds_it_in_a_folder_again(arpa, tmp_path):
    pytest.importorskip("transformers", reason="transformers is not installed")
    program = f"""
        import json
        import numpy as np
        from sestina.decoding import compat
        compat.install()
        from pyctcdecode import build_ctcdecoder
        from transformers import (
            Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ProcessorWithLM
        )
        labels = ["<pad>", "<s>", "</s>", "<unk>", "|", "b", "g", "n", "s", "u", "y"]
        with open("vocab.json", "w") as file:
            json.dump({{label: n for n, label in enumerate(labels)}}, file)
        tokenizer = Wav2Vec2CTCTokenizer("vocab.json")
        processor = Wav2Vec2ProcessorWithLM(
            Wav2Vec2FeatureExtractor(), tokenizer, build_ctcdecoder(labels, {arpa!r})
        )
        said = [*"bun", "<pad>", *"ny|bun", "<pad>", *"ny"]
        p = np.full((len(said), len(labels)), 0.02)
        p[np.arange(len(said)), [labels.index(label) for label in said]] = 0.8
        found = processor.decode(p, output_word_offsets=True)
        assert found.text == "bugs bunny", found
        assert [word["word"] for word in found.word_offsets] == ["bugs", "bunny"]
        assert processor.batch_decode(np.stack([p, p]), num_processes=1).text == ["bugs bunny"] * 2
        assert processor.decode(p, alpha=0.0, unk_score_offset=0.0).text == "bunny bunny"
        processor.decoder.reset_params(alpha=0.5, unk_score_offset=-10.0)
        processor.save_pretrained("saved")
        import os
        files = sorted(os.listdir("saved") + os.listdir("saved/language_model"))
        assert "alphabet.json" in files and "attrs.json" in files, files
        again = Wav2Vec2ProcessorWithLM.from_pretrained("saved")
        assert again.decoder is not processor.decoder
        assert type(again.decoder) is type(processor.decoder)
        assert again.decode(p, output_word_offsets=True) == processor.decode(
            p, output_word_offsets=True
        )
        assert again.batch_decode(np.stack([p, p]), num_processes=1).text == ["bugs bunny"] * 2
        assert again.decode(p, alpha=0.0, unk_score_offset=0.0).text == "bunny bunny"
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": ":".join(sys.path)},
    )


class Counting(AbstractLanguageModel):
    """Likes "bun" alone, and changes its mind through reset_params."""

    order = 2
    unigrams = ("bun", "bunny")
    worth = 30.0

    def get_start_state(self):
        return {"said": 0}

    def score_partial_token(self, partial_token):
        return 0.0

    def score(self, prev_state, word, is_last_word=False):
        score = self.worth if word == "bun" else 0.0
        return score + (1.0 if is_last_word else 0.0), {"said": prev_state["said"] + 1}

    def reset_params(self, **params):
        self.worth = params.get("alpha", self.worth)


def test_a_model_of_ones_own_decides_and_keeps_its_states():
    decoder = BeamSearchDecoderCTC(Alphabet.build_alphabet(LABELS), Counting())
    beam = decoder.decode_beams(BUNNIES, beam_prune_logp=-100.0)[0]
    assert beam.text.split()[-1] == "bun"
    gained = 30.0 * beam.text.split().count("bun") + 1.0
    assert beam.lm_score - beam.logit_score == pytest.approx(gained, abs=1e-4)
    said = len(beam.text.split())
    assert beam.last_lm_state == {"said": said}
    on = decoder.decode_beams(BUNNIES[:6], lm_start_state=beam.last_lm_state)[0]
    assert on.last_lm_state == {"said": said + len(on.text.split())}
    decoder.reset_params(alpha=0.0)
    assert decoder.decode(BUNNIES) == "bunny bunny"
    BeamSearchDecoderCTC.model_container[decoder._model_key].worth = 30.0
    assert decoder.decode(BUNNIES, beam_prune_logp=-100.0) == beam.text


def test_a_model_of_ones_own_that_does_not_fit_is_an_error(tmp_path):
    alphabet = Alphabet.build_alphabet(LABELS)
    with pytest.raises(ValueError, match="AbstractLanguageModel"):
        BeamSearchDecoderCTC(alphabet, object())
    with pytest.raises(NotImplementedError, match="Counting"):
        BeamSearchDecoderCTC(alphabet, Counting()).save_to_dir(tmp_path)
    with pytest.raises(ValueError, match="language_models"):
        MultiLanguageModel([Counting()])


class Spelling(Counting):
    """Names no words, and tells all of them apart."""

    unigrams = ()

    def __init__(self):
        self.asked = set()

    def score(self, prev_state, word, is_last_word=False):
        self.asked.add(word)
        return super().score(prev_state, word, is_last_word)


def test_a_model_of_ones_own_without_unigrams_is_asked_for_all_words_as_they_are():
    lm = Spelling()
    decoder = BeamSearchDecoderCTC(Alphabet.build_alphabet(LABELS), lm)
    beams = decoder.decode_beams(BUNNIES, beam_prune_logp=-100.0)
    assert "<unk>" not in lm.asked
    assert {"bun", "bunny"} <= lm.asked
    assert beams[0].text.split().count("bun") == 2
    assert len({beam.text for beam in beams}) == len(beams)
    assert decoder.decode(BUNNIES, beam_prune_logp=-100.0) == beams[0].text
    for beam in beams[:20]:
        words = beam.text.split()
        gained = 30.0 * words.count("bun") + bool(words)
        assert beam.lm_score - beam.logit_score == pytest.approx(gained, abs=1e-3)
        assert beam.last_lm_state == {"said": len(words)}
        assert [word for word, _ in beam.text_frames] == words
    lm.worth = 0.0
    [hot, *_] = decoder.decode_beams(BUNNIES, hotwords=["bunny"], hotword_weight=3.0)
    assert hot.text == "bunny bunny"
    assert hot.lm_score - hot.logit_score == pytest.approx(7.0, abs=1e-4)
    [batch] = decoder.decode_beams_batch(None, [BUNNIES], hotwords=["bunny"], hotword_weight=3.0)
    assert batch[0] == hot.without_state()
    several = MultiLanguageModel([lm, Counting()])  # of which one tells all words apart
    assert not several.unigrams
    [best, *_] = BeamSearchDecoderCTC(decoder._alphabet, several).decode_beams(BUNNIES)
    assert (best.text, best.last_lm_state) == ("bun ny bun ny", [{"said": 4}] * 2)
    unspaced = BeamSearchDecoderCTC(Alphabet.build_alphabet(["b", "n", "u", "_"]), Spelling())
    assert unspaced.decode(frames_of([*"bun"], ["b", "n", "u", ""])) == "bun"


def test_the_mean_of_several_models_counts(arpa):
    alphabet = Alphabet.build_alphabet(LABELS)
    lm = LanguageModel(kenlm.Model(arpa), ["bugs", "bunny"], alpha=0.5, beta=1.5)
    twice = BeamSearchDecoderCTC(alphabet, MultiLanguageModel([lm, lm])).decode_beams(BUNNIES)[0]
    once = BeamSearchDecoderCTC(alphabet, lm).decode_beams(BUNNIES)[0]
    assert twice.text == once.text == "bugs bunny"
    assert twice.lm_score - twice.logit_score == pytest.approx(
        once.lm_score - once.logit_score, abs=1e-4
    )
    assert twice.last_lm_state == [once.last_lm_state] * 2


def test_a_binary_model_without_unigrams_knows_its_own_words(shared_data):
    path = str(shared_data / "decoding" / "lm3small.trie.bin")
    names = [" ", *"abcdefghijklmnopqrstuvwxyz'", ""]
    decoder = build_ctcdecoder(names, path, alpha=0.5, beta=0.0)
    beam = decoder.decode_beams(frames_of([*"the man"], names, p=0.9))[0]
    assert beam.text == "the man"
    # KenLM's log10 of "the man", its end included.
    assert beam.lm_score - beam.logit_score == pytest.approx(
        0.5 * np.log(10) * -4.1108198, abs=1e-3
    )
    assert beam.logit_score == pytest.approx(7 * np.log(0.9), abs=0.05)


def test_a_binary_model_without_texts_is_asked_for_words_by_theirs(shared_data, tmp_path):
    whole = shared_data / "decoding" / "lm3small.trie.bin"
    data = bytearray(whole.read_bytes())
    assert data[100] == 1  # whether KenLM has written the words' texts behind the n-grams
    data[100] = 0
    (tmp_path / "lm.bin").write_bytes(data)
    names = [" ", *"abcdefghijklmnopqrstuvwxyz'", ""]
    for weights in ({"alpha": 0.5, "beta": 1.0}, {"alpha": 0.5, "lm_score_boundary": False}):
        found = []
        for path in (whole, tmp_path / "lm.bin"):
            decoder = build_ctcdecoder(names, str(path), **weights)
            said = frames_of([*"the man"], names, p=0.9)
            found.append(decoder.decode_beams(said, hotwords=["man"], hotword_weight=2.0)[0])
        known, asked = found
        assert asked.text == known.text == "the man"
        assert asked.last_lm_state == known.last_lm_state
        assert asked.text_frames == known.text_frames
        assert asked[3:] == pytest.approx(known[3:], abs=1e-3)


def test_the_hub_is_asked_where_its_package_is_and_else_named(monkeypatch, tmp_path):
    build_ctcdecoder(LABELS).save_to_dir(tmp_path)
    asked = []
    hub = types.ModuleType("huggingface_hub")
    hub.snapshot_download = lambda *args, **more: asked.append((args, more)) or str(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    found = BeamSearchDecoderCTC.load_from_hf_hub("some/one", cache_dir="here", revision="v1")
    assert found.decode(BUNNIES) == "bunny bunny"
    assert asked == [(("some/one",), {"cache_dir": "here", "revision": "v1"})]
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"alphabet\.json.*language_model.*load_from_dir"):
        BeamSearchDecoderCTC.load_from_hf_hub("some/one")
