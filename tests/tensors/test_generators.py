from __future__ import annotations

import pytest
import torch

from sestina.core.errors import InvalidValueError
from sestina.tensors import make_generator


@pytest.mark.parametrize("seed", [0, 7, 2**64 - 1])
def test_one_seed_gives_the_same_numbers(seed):
    first, second = (torch.randn(5, generator=make_generator(seed)) for _ in range(2))
    assert torch.equal(first, second)


def test_other_seeds_give_other_numbers():
    first, second = (torch.randn(5, generator=make_generator(seed)) for seed in (1, 2))
    assert not torch.equal(first, second)


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    torch.randn(5, generator=make_generator(3))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_generator_is_taken_as_it_is():
    generator = torch.Generator()
    assert make_generator(generator) is generator


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, True, None, "7"])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(InvalidValueError, match="expected an integer from 0"):
        make_generator(seed)
