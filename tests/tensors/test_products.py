import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sestina.tensors import products
from sestina.tensors.products import product, takes_fast_route

SIZES = st.integers(0, 40)


def uniform(*shape, seed=0, dtype=torch.float32):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype) - 0.5


def rms_error(result, a, b):
    exact = a.double() @ b.double().T
    return float((result - exact).square().mean().sqrt() / exact.abs().max())


@given(SIZES, SIZES, SIZES, st.sampled_from([torch.float32, torch.float64]))
def test_product_of_any_shape_is_the_matrix_product(m, n, k, dtype):
    a, b = uniform(m, k, seed=1, dtype=dtype), uniform(n, k, seed=2, dtype=dtype)
    result = product(a, b)
    assert result.dtype == dtype
    torch.testing.assert_close(result, a @ b.T)


@pytest.mark.parametrize(
    ("m", "n", "k"), [(128, 128, 128), (300, 257, 1000), (2000, 33, 64), (100, 100, 10000)]
)
@pytest.mark.parametrize("offset", [0.0, 0.5], ids=["signed", "positive"])
def test_large_float32_products_err_about_as_little_as_those_of_torch(m, n, k, offset):
    a, b = uniform(m, k, seed=3) + offset, uniform(n, k, seed=4) + offset
    error = rms_error(product(a, b), a, b)
    assert error <= 3e-7
    # Longer blocks of the inner axis: measured 1 to 2.8 times, on 256 x 256 products.
    assert error <= 4 * rms_error(a @ b.T, a, b)


def test_operands_may_be_slices_and_transposes():
    a, b = uniform(400, 300, seed=5).T[:, ::2], uniform(300, 400, seed=6)[::2, 100:300]
    torch.testing.assert_close(product(a, b), a @ b.T)


def test_out_receives_the_product():
    a, b, out = uniform(200, 200, seed=7), uniform(300, 200, seed=8), torch.empty(300, 400)
    place = out[:200, :300]
    result = product(a, b, out=place)
    assert result.data_ptr() == out.data_ptr()
    torch.testing.assert_close(place, a @ b.T)


def test_the_same_operands_give_the_same_bits():
    a, b = uniform(300, 500, seed=9), uniform(200, 500, seed=10)
    assert torch.equal(product(a, b), product(a, b))


def test_gradients_flow_through_large_products():
    a, b = uniform(200, 200, seed=11).requires_grad_(), uniform(200, 200, seed=12)
    assert not takes_fast_route(a, b)
    product(a, b).sum().backward()
    torch.testing.assert_close(a.grad, b.sum(dim=0).expand(200, 200))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_only_float32_takes_the_fast_route(dtype):
    a = torch.zeros(300, 300, dtype=dtype)
    assert not takes_fast_route(a, a)


def test_small_products_stay_with_torch():
    assert not takes_fast_route(torch.zeros(20, 20), torch.zeros(20, 20))


def test_without_the_operator_torch_multiplies(monkeypatch):
    monkeypatch.setattr(products, "_onednn", lambda: None)
    a, b = uniform(200, 200, seed=13), uniform(200, 200, seed=14)
    assert not takes_fast_route(a, b)
    assert torch.equal(product(a, b), a @ b.T)
