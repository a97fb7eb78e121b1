import math

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


def test_a_file_of_options_gives_the_same_ones():
    read = options_from_toml(DecoderOptions, 'beam_size = 200\nmerge = "history"\nsilence = "_"')
    assert read == DecoderOptions(beam_size=200, merge="history", silence="_")
