import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sestina.core.errors import NonFiniteError, OptionError, ShapeError
from sestina.decoding import Tokens
from sestina.decoding.best_path import greedy

TOKENS = Tokens(["-", "|", "a", "b"])


def emissions_of(path):
    return np.eye(len(TOKENS), dtype=np.float32)[list(path)]


@given(st.lists(st.integers(0, 3), max_size=12))
def test_repeats_count_once_and_blanks_fall_out(path):
    kept = [token for token, _ in itertools.groupby(path) if token != 0]
    words = "".join("-|ab"[token] for token in kept).split("|")
    assert greedy(emissions_of(path).reshape(-1, 4), TOKENS) == " ".join(filter(None, words))


def test_other_blanks_and_separators_are_taken():
    tokens = Tokens(["a", "▁", "<pad>"])
    assert (
        greedy(emissions_of([1, 0, 2, 0, 1, 0])[:, [0, 1, 2]], tokens, blank="<pad>", silence="▁")
        == "aa a"
    )
    assert greedy(emissions_of([1, 0])[:, [0, 1, 2]], tokens, blank="<pad>", silence="") == "▁a"


def test_bad_input_is_named():
    with pytest.raises(OptionError, match="blank is '<pad>'"):
        greedy(emissions_of([0]), TOKENS, blank="<pad>")
    with pytest.raises(ShapeError):
        greedy(np.zeros((3, 5), dtype=np.float32), TOKENS)
    with pytest.raises(NonFiniteError):
        greedy(np.full((1, 4), np.nan, dtype=np.float32), TOKENS)
