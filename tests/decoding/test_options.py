import math

import numpy as np
import pytest

from sestina.core.errors import OptionError
from sestina.core.options import options_from_toml
from sestina.decoding import DecoderOptions


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("beam_size", 0),
        ("beam_size_token", 0),
        ("beam_threshold", -1.0),
        ("lm_weight", math.nan),
        ("word_score", math.inf),
        ("sil_score", -1e9),
        ("unk_score", math.inf),
    ],
)
def test_a_value_out_of_range_is_named(name, value):
    with pytest.raises(OptionError, match=f"{name} is {value}"):
        DecoderOptions(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("beam_size", 1.5, "an integer"),
        ("beam_size", True, "an integer"),
        ("beam_size_token", "3", "an integer or None"),
        ("word_score", "a", "a number"),
        ("log_add", 1, "True or False"),
        ("blank", None, "a text"),
        ("merge", "contexts", "'context' or 'history'; did you mean 'context'"),
        ("smearing", "sum", "'none' or 'max' or 'logadd'"),
        ("semantics", "exact", "'ctc' or 'flashlight'"),
    ],
)
def test_a_value_of_another_type_is_named(name, value, expected):
    with pytest.raises(OptionError, match=f"{name} is {value!r}, expected {expected}"):
        DecoderOptions(**{name: value})


def test_numbers_of_numpy_are_numbers():
    options = DecoderOptions(beam_size=np.int64(7), lm_weight=np.float32(0.5), word_score=1)
    assert options == DecoderOptions(beam_size=7, lm_weight=0.5, word_score=1.0)


def test_ctc_has_a_blank_that_is_not_the_silence():
    with pytest.raises(OptionError, match="blank is '', expected a token, with CTC"):
        DecoderOptions(blank="")
    with pytest.raises(OptionError, match="silence is '-', expected another token than the blank"):
        DecoderOptions(silence="-")
    assert DecoderOptions(blank="", criterion="asg").blank == ""


def test_a_file_of_options_gives_the_same_ones():
    read = options_from_toml(DecoderOptions, 'beam_size = 200\nmerge = "history"\nsilence = "_"')
    assert read == DecoderOptions(beam_size=200, merge="history", silence="_")
