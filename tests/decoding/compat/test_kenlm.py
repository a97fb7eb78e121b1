"""The face of KenLM's module; tests/parity/test_kenlm_face.py compares it with KenLM."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from sestina.decoding import compile_lm
from sestina.decoding.compat import kenlm
from sestina.decoding.compat.pyctcdecode import LanguageModel

ARPA = r"""
\data\
ngram 1=5
ngram 2=3
ngram 3=1

\1-grams:
-2.0	<unk>
-99	<s>	-0.5
-1.0	</s>
-1.0	a	-0.25
-1.5	b	0

\2-grams:
-0.5	<s> a	-0.125
-0.75	a b
-0.25	b </s>

\3-grams:
-0.0625	<s> a b

\end\
"""


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "small.arpa"
    path.write_text(ARPA)
    return kenlm.Model(str(path))


def test_scores_are_those_of_the_file(model):
    assert list(model.full_scores("a b")) == [
        (-0.5, 2, False),
        (-0.0625, 3, False),
        (-0.25, 2, False),
    ]
    assert model.score("a b") == -0.8125
    assert model.score("a b", eos=False) == -0.5625
    assert model.score("a b", bos=False, eos=False) == -1.75
    assert model.perplexity("a b") == pytest.approx(10 ** (0.8125 / 3))
    # Unknown after "<s> a": -0.125 and -0.25 of back-off, -2.
    assert list(model.full_scores("a c", eos=False))[1] == (-2.375, 1, True)
    assert [w in model for w in ("a", b"a", "c", "<unk>")] == [True, True, False, False]
    assert model.score("") == -1.5
    assert model.order == 3


def test_lengths_of_n_grams_are_the_same_of_a_compiled_file(model, tmp_path):
    compile_lm(model.path.decode(), tmp_path / "lm.cache")
    again = kenlm.Model(str(tmp_path / "lm.cache"))
    for text in ("a b", "b a", "a a b b", "c a b"):
        assert list(again.full_scores(text)) == list(model.full_scores(text))


def test_states_lead_on_compare_and_copy(model):
    before, after, other = kenlm.State(), kenlm.State(), kenlm.State()
    assert before == after
    assert hash(before) == hash(after)
    model.BeginSentenceWrite(before)
    assert before != after
    assert model.BaseScore(before, "a", after) == -0.5
    found = model.BaseFullScore(after, "b", other)
    assert (found.log_prob, found.ngram_length, found.oov) == (-0.0625, 3, False)
    assert repr(found) == "FullScoreReturn(-0.0625, 3, False)"
    assert copy.copy(after) == copy.deepcopy(after) == after != other
    assert model.BaseScore(after, "b", after) == -0.0625  # in place
    assert after == other
    model.NullContextWrite(after)
    assert after == kenlm.State()
    assert min([other, before, after]) == after


def test_another_models_state_is_an_error_and_leaves_the_model_usable(model):
    other, state = kenlm.Model(model.path), kenlm.State()
    other.BeginSentenceWrite(state)
    with pytest.raises(ValueError, match="in_state"):
        model.BaseScore(state, "a", kenlm.State())
    with pytest.raises(TypeError, match="str or bytes"):
        model.score(3)
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(state)
    other.NullContextWrite(state)  # the empty one is everybody's
    assert model.BaseScore(state, "a", state) == -1.0


def test_files_that_do_not_read_are_os_errors(model, tmp_path):
    with pytest.raises(OSError, match="nope"):
        kenlm.Model(str(tmp_path / "nope"))
    damaged = tmp_path / "damaged.arpa"
    damaged.write_text(ARPA.replace("ngram 2=3", "ngram 2=4"))
    with pytest.raises(OSError, match=r"damaged\.arpa"):
        kenlm.Model(str(damaged))


def test_a_model_pickles_and_is_named_after_its_file(model):
    again = pickle.loads(pickle.dumps(model))
    assert again.score("a b") == model.score("a b")
    assert repr(again) == "<Model from b'small.arpa'>"
    assert kenlm.LanguageModel is kenlm.Model


def test_a_config_says_how_to_load(model):
    config = kenlm.Config()
    assert (config.load_method, config.arpa_complain, config.show_progress) == (2, 0, True)
    config.load_method = kenlm.LoadMethod.LAZY
    assert kenlm.Model(model.path.decode(), config).score("a b") == -0.8125


def test_threads_share_a_model(model):
    expected = list(model.full_scores("a b a c b a"))
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda _: list(model.full_scores("a b a c b a")), range(200))
    assert all(one == expected for one in found)


def test_pyctcdecodes_face_takes_it(model):
    assert LanguageModel(model, ["a", "b"]).order == 3
