import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sestina.core.errors import InvalidValueError, ShapeError
from sestina.ntk.empirical.layout import Storage, check_axes, kernel_matrix, spans

SMALL = st.integers(1, 5)


@given(SMALL, SMALL, SMALL)
def test_the_matrix_has_samples_outside_and_outputs_inside(n, m, o):
    theta = torch.arange(n * m * o * o).reshape(n, m, o, o)
    matrix = kernel_matrix(theta)
    assert matrix.shape == (n * o, m * o)
    for i in range(n):
        for j in range(m):
            assert torch.equal(matrix[i * o : (i + 1) * o, j * o : (j + 1) * o], theta[i, j])


def test_the_matrix_of_a_stored_kernel_is_a_view():
    storage = Storage(3, 4, 2, "full", like=torch.empty(0))
    assert kernel_matrix(storage.result()).data_ptr() == storage.tensor.data_ptr()


@pytest.mark.parametrize("shape", [(3, 3), (3, 3, 2), (3, 3, 2, 4)])
def test_a_kernel_without_two_output_axes_has_no_such_matrix(shape):
    with pytest.raises(ShapeError, match=r"expected a shape \(n, m, o, o\)"):
        kernel_matrix(torch.zeros(shape))


@pytest.mark.parametrize("num_samples", [1, 3, 800])
@pytest.mark.parametrize("axes", ["full", "diagonal", "trace"])
def test_mirroring_completes_a_symmetric_kernel(num_samples, axes):
    generator = torch.Generator().manual_seed(0)
    factor = torch.randn(num_samples * 2, 3, generator=generator)
    whole = (factor @ factor.T).view(num_samples, 2, num_samples, 2)
    storage = Storage(num_samples, num_samples, 2, axes, like=factor)
    expected = {
        "full": whole.permute(0, 2, 1, 3),
        "diagonal": whole.diagonal(dim1=1, dim2=3),
        "trace": whole.diagonal(dim1=1, dim2=3).sum(-1),
    }[axes]
    storage.result().copy_(expected)
    below = torch.ones(num_samples, num_samples).tril(-1).bool()
    storage.result()[below] = float("nan")
    storage.mirror()
    result = storage.result()
    torch.testing.assert_close(result, expected)
    twin = result.permute(1, 0, 3, 2) if axes == "full" else result.transpose(0, 1)
    assert torch.equal(result, twin)


@given(st.integers(0, 50), st.integers(1, 9), st.integers(0, 50))
def test_spans_cover_everything_once(total, size, start):
    covered = [i for span in spans(total, size, start=start) for i in range(span.start, span.stop)]
    assert covered == list(range(start, total))


def test_unknown_axes_are_refused():
    with pytest.raises(InvalidValueError, match="axes is 'both', expected one of full, diagonal"):
        check_axes("both")
