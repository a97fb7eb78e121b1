import numpy as np
import pytest
import torch
from scipy.sparse.linalg import aslinearoperator, cg, eigsh
from torch import nn

from sestina.core.errors import InvalidValueError, ShapeError
from sestina.ntk.empirical import EmpiricalNTK, empirical_ntk, kernel_matrix
from sestina.ntk.nets import FullyConnectedNet


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def convolution():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(2, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(16, 3)).double()


@pytest.fixture(scope="module")
def matrices(request):
    module, x1, x2 = convolution(), normal(5, 2, 6), normal(4, 2, 6, seed=1)
    return (
        EmpiricalNTK(module, x1, x2),
        kernel_matrix(empirical_ntk(module, x1, x2)),
    )


def test_products_are_those_of_the_matrix(matrices):
    operator, matrix = matrices
    assert operator.shape == matrix.shape == (15, 12)
    columns, rows = normal(12, 3, seed=2), normal(15, 3, seed=3)
    torch.testing.assert_close(operator.matvec(columns[:, 0]), matrix @ columns[:, 0])
    torch.testing.assert_close(operator.matvec(columns[:, :1]), matrix @ columns[:, :1])
    torch.testing.assert_close(operator.matmat(columns), matrix @ columns)
    torch.testing.assert_close(operator @ columns, matrix @ columns)
    torch.testing.assert_close(operator.rmatvec(rows[:, 0]), matrix.T @ rows[:, 0])
    torch.testing.assert_close(operator.rmatmat(rows), matrix.T @ rows)
    assert operator.matmat(columns[:, :0]).shape == (15, 0)


def test_arrays_in_give_arrays_out(matrices):
    operator, matrix = matrices
    vector = normal(12, seed=4).numpy()
    result = operator @ vector
    assert isinstance(result, np.ndarray)
    assert result.dtype == operator.dtype == np.float64
    np.testing.assert_allclose(result, matrix.numpy() @ vector, rtol=1e-12)


def test_it_is_a_linear_operator_of_scipy(matrices):
    operator, matrix = matrices
    linear = aslinearoperator(operator)
    block = normal(12, 2, seed=5).numpy()
    np.testing.assert_allclose(linear @ block, matrix.numpy() @ block, rtol=1e-12)
    rows = normal(15, seed=6).numpy()
    np.testing.assert_allclose(linear.H @ rows, matrix.numpy().T @ rows, rtol=1e-12)


def test_conjugate_gradients_solve_with_a_ridge():
    module, x = convolution(), normal(6, 2, 6)
    y = normal(18, seed=7).numpy()
    operator = aslinearoperator(EmpiricalNTK(module, x))
    ridge = aslinearoperator(0.5 * np.eye(18))
    solution, flag = cg(operator + ridge, y, rtol=1e-10)
    matrix = kernel_matrix(empirical_ntk(module, x)).numpy()
    assert flag == 0
    np.testing.assert_allclose(solution, np.linalg.solve(matrix + 0.5 * np.eye(18), y), rtol=1e-6)


def test_the_largest_eigenvalue_needs_no_matrix():
    net = FullyConnectedNet(4, 2, 50, nn.ReLU(), depth=2, dtype=torch.float64)
    x = normal(20, 4)
    (largest,) = eigsh(EmpiricalNTK(net, x), k=1, return_eigenvectors=False)
    expected = torch.linalg.eigvalsh(kernel_matrix(empirical_ntk(net, x)))[-1]
    assert largest == pytest.approx(float(expected), rel=1e-8)


@pytest.mark.parametrize(
    "module",
    [
        convolution(),
        nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.Tanh(), nn.Linear(5, 3)).double(),
    ],
    ids=["contracted", "structured"],
)
def test_the_diagonal_needs_no_matrix(module):
    x = normal(7, 2, 6)
    matrix = kernel_matrix(empirical_ntk(module, x))
    torch.testing.assert_close(EmpiricalNTK(module, x).diag(), matrix.diagonal())
    small = EmpiricalNTK(module, x, max_bytes=1)
    torch.testing.assert_close(small.diag(), matrix.diagonal())


def test_little_memory_changes_no_product(matrices):
    _, matrix = matrices
    small = EmpiricalNTK(convolution(), normal(5, 2, 6), normal(4, 2, 6, seed=1), max_bytes=1)
    vector = normal(12, seed=8)
    torch.testing.assert_close(small @ vector, matrix @ vector)


def test_float32_products_are_close_to_those_in_float64():
    module, x = convolution(), normal(30, 2, 6)
    vector = normal(90, seed=9)
    exact = EmpiricalNTK(module, x) @ vector
    single = EmpiricalNTK(module.float(), x.float())
    assert single.dtype == np.float32
    result = single @ vector.float()
    assert result.dtype == torch.float32
    assert float((result - exact).abs().max() / exact.abs().max()) <= 1e-5


def test_products_follow_training():
    module, x = convolution(), normal(4, 2, 6)
    operator, vector = EmpiricalNTK(module, x), normal(12, seed=10)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(1.5)
    expected = kernel_matrix(empirical_ntk(module, x)) @ vector
    torch.testing.assert_close(operator @ vector, expected)


def test_a_diagonal_of_two_sets_is_refused(matrices):
    with pytest.raises(InvalidValueError, match=r"make EmpiricalNTK\(module, x1\)"):
        matrices[0].diag()


@pytest.mark.parametrize("shape", [(), (11,), (12, 1, 1), (4, 3)])
def test_vectors_of_another_length_are_refused(matrices, shape):
    with pytest.raises(ShapeError, match=r"expected \(12,\) or \(12, columns\)"):
        matrices[0].matvec(torch.zeros(shape))


def test_a_module_without_the_derivatives_names_the_other_method():
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval()
    operator = EmpiricalNTK(layer, normal(3, 2, 4, dtype=torch.float32))
    with pytest.raises(InvalidValueError, match='use empirical_ntk with method="contraction"'):
        operator @ torch.ones(24)
