import numpy as np
import pytest
import torch

from sestina.fuser.random import UNIFORM, philox, uniforms


def test_ten_rounds_of_zeros_are_the_published_words():
    # Random123, kat_vectors: philox4x32 10, counter and key 0.
    zeros = [np.zeros(1, dtype=np.uint64)] * 4
    words = [int(word[0]) for word in philox(zeros, (0, 0), rounds=10)]
    assert words == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


def test_ten_rounds_of_ones_are_the_published_words():
    ones = [np.full(1, 0xFFFFFFFF, dtype=np.uint64)] * 4
    words = [int(word[0]) for word in philox(ones, (0xFFFFFFFF, 0xFFFFFFFF), rounds=10)]
    assert words == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]


def test_numbers_are_uniform_in_the_unit_interval():
    made = uniforms(1234, (1000, 1000), 0)
    assert made.min() >= 0
    assert made.max() < 1
    # A mean of 10⁶ uniform numbers is within 5 of its standard deviations, 0.00029.
    assert abs(made.mean() - 0.5) < 5 * 0.00029
    counts, _ = np.histogram(made, bins=100, range=(0, 1))
    assert ((counts - 1e4) ** 2 / 1e4).sum() < 99 + 5 * np.sqrt(2 * 99)


def test_streams_and_seeds_differ_and_repeat():
    first = uniforms(5, (300,), 0)
    assert np.array_equal(first, uniforms(5, (300,), 0))
    assert not np.array_equal(first, uniforms(5, (300,), 1))
    assert not np.array_equal(first, uniforms(6, (300,), 0))
    assert abs(np.corrcoef(first, uniforms(5, (300,), 1))[0, 1]) < 0.25


@pytest.mark.parametrize("size", [0, 1, 15, 64, 65, 1000])
def test_the_operation_gives_what_the_formula_gives(size):
    made = UNIFORM(torch.tensor(-7), [size], 3)
    assert np.array_equal(made.numpy(), uniforms(-7, (size,), 3))
