import sys

import numpy as np
import pytest

from sestina.core.errors import DtypeError, InvalidValueError, NonFiniteError, ShapeError
from sestina.decoding.emissions import as_emissions, as_lengths, as_transitions
from tests.decoding.exported import Exported


def read(emissions, num_axes=2):
    return as_emissions(emissions, num_axes=num_axes, num_tokens=3)


def test_contiguous_float32_is_not_copied():
    scores = np.zeros((4, 3), np.float32)
    assert np.shares_memory(read(scores), scores)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_other_precisions_and_strides_are_read(dtype):
    scores = np.arange(24, dtype=dtype).reshape(3, 8).T[::2]
    result = read(scores)
    assert result.dtype == np.float32
    assert result.flags.c_contiguous
    assert result.tolist() == scores.tolist()


def test_tensors_are_read_with_gradients_and_in_every_precision():
    torch = pytest.importorskip("torch")
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        scores = torch.arange(6, dtype=dtype).reshape(2, 3).requires_grad_()
        assert read(scores).tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(InvalidValueError, match="device of emissions is 'meta', expected the CPU"):
        read(torch.zeros(2, 3, device="meta"))


@pytest.mark.parametrize("dtype", ["int64", "bool", "complex64"])
def test_tensors_of_other_numbers_are_no_scores(dtype):
    torch = pytest.importorskip("torch")
    with pytest.raises(DtypeError, match=f"emissions has dtype {dtype}, expected floating"):
        read(torch.zeros(2, 3, dtype=getattr(torch, dtype)))


def test_what_is_sparse_or_masked_is_not_filled_silently():
    torch = pytest.importorskip("torch")
    with pytest.raises(InvalidValueError, match=r"layout of emissions is 'torch.sparse_coo'"):
        read(torch.zeros(2, 3).to_sparse())
    zeros = np.zeros((2, 3), np.float32)
    with pytest.raises(InvalidValueError, match="without masked entries"):
        read(np.ma.masked_array(zeros, mask=[[0, 0, 1], [0, 0, 0]]))
    assert read(np.ma.masked_array(zeros)).tolist() == zeros.tolist()


def test_dlpack_of_another_device_is_named_before_it_is_asked():
    class Elsewhere:
        def __dlpack__(self, **kwargs):
            raise AssertionError("asked for")

        def __dlpack_device__(self):
            return 2, 0  # CUDA

    with pytest.raises(InvalidValueError, match=r"DLPack's number 2.* expected the CPU"):
        read(Elsewhere())


def test_any_array_that_speaks_dlpack_is_read():
    assert read(Exported(np.ones((1, 3), np.float32))).tolist() == [[1, 1, 1]]


def test_a_probability_of_zero_is_no_error():
    assert read(np.full((2, 3), -np.inf, np.float32)).tolist() == [[-np.inf] * 3] * 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_score_is_shown_with_its_place(bad):
    scores = np.zeros((5, 3), np.float32)
    scores[0, 0] = -np.inf
    scores[3, 1] = bad
    with pytest.raises(NonFiniteError, match=rf"emissions\[3, 1\] is {bad}"):
        read(scores)


def test_what_float32_cannot_hold_is_an_error():
    with pytest.raises(NonFiniteError, match=r"emissions\[1, 2\] is inf"):
        read(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1e39]]))


@pytest.mark.parametrize("shape", [(3,), (2, 4), (1, 2, 3)])
def test_another_shape_is_an_error(shape):
    with pytest.raises(ShapeError, match=r"expected \(frame, token\) with 3 tokens"):
        read(np.zeros(shape, np.float32))


def test_integers_are_no_scores():
    with pytest.raises(DtypeError, match="emissions has dtype int64, expected floating"):
        read(np.zeros((2, 3), np.int64))


def test_no_frames_are_fine():
    assert read(np.zeros((0, 3), np.float32)).shape == (0, 3)


def test_lengths_are_counted_and_checked():
    assert as_lengths(None, num_utterances=2, num_frames=7) == [7, 7]
    assert as_lengths(np.array([0, 7]), num_utterances=2, num_frames=7) == [0, 7]
    with pytest.raises(InvalidValueError, match=r"lengths\[1\] is 8, expected 0 to 7"):
        as_lengths([0, 8], num_utterances=2, num_frames=7)
    with pytest.raises(ShapeError, match="one for each utterance"):
        as_lengths([1, 2, 3], num_utterances=2, num_frames=7)
    with pytest.raises(DtypeError, match="lengths has dtype float64, expected integers"):
        as_lengths([1.0, 2.0], num_utterances=2, num_frames=7)
    assert as_lengths([], num_utterances=0, num_frames=7) == []


def test_transitions_are_real_numbers():
    assert as_transitions(np.zeros((2, 2), int), 2).dtype == np.float32
    with pytest.raises(DtypeError, match="transitions has dtype complex128"):
        as_transitions(np.zeros((2, 2), complex), 2)


def test_what_only_torch_can_read_is_read_by_it_where_it_is_there():
    torch = pytest.importorskip("torch")
    scores = torch.tensor([[-1.5, -0.25, 0.0]], dtype=torch.bfloat16)
    assert read(Exported(scores)).tolist() == [[-1.5, -0.25, 0.0]]


def test_a_type_that_numpy_lacks_is_named_where_no_torch_can_read_it(monkeypatch):
    torch = pytest.importorskip("torch")
    scores = Exported(torch.zeros(4, 3, dtype=torch.bfloat16))
    monkeypatch.delitem(sys.modules, "torch")
    with pytest.raises(DtypeError, match=r"emissions has dtype .*, or import torch"):
        read(scores)
