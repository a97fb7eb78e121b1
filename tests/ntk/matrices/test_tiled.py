"""Kernel matrices by every route against a slow evaluation, and what happens to bad input."""

from __future__ import annotations

import math
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sestina.core.engine import ProcessEngine, SerialEngine
from sestina.core.errors import (
    DivergentKernelError,
    DtypeError,
    InvalidValueError,
    NonFiniteError,
    ShapeError,
    UnknownNameError,
    WorkerError,
)
from sestina.ntk.architectures import FullyConnected
from sestina.ntk.matrices import torch_tiles
from sestina.ntk.matrices.tiled import kernel_matrices, kernel_matrix
from tests.ntk.oracles import LEVELS, exact_kernels, simd

RELU4 = FullyConnected(activation="relu", depth=4, sigma_w=2**0.5, sigma_b=0.1)
TOLERANCE = {torch.float32: 2e-6, torch.float64: 1e-12}

NETWORKS = {
    "one norm or any": RELU4,
    "homogeneous": FullyConnected(activation="relu", depth=3),
    "readout bias": FullyConnected(activation="abs", depth=2, readout_sigma_b=0.3),
    "almost linear": FullyConnected(
        activation={"name": "ab_relu", "a": 0.9, "b": 1.0}, depth=3, sigma_b=0.02
    ),
    "smooth": FullyConnected(activation="erf", depth=3, sigma_w=1.2, sigma_b=0.2),
    "standard": FullyConnected(
        activation="relu", depth=2, sigma_b=0.1, parametrisation="standard", width=32
    ),
}


def random_rows(n: int, d: int, seed: int, *, one_norm: bool) -> Tensor:
    """Rows that include copies, opposites and near copies of each other, as room permits."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=generator, dtype=torch.float64)
    angles = 10 ** (4.5 * torch.rand(n, generator=generator, dtype=torch.float64) - 4)
    for row in range(n // 2, n):
        near = x[row - n // 2]
        x[row] = (1 if row % 3 else -1) * near + angles[row] * x[row] * near.norm() / d**0.5
        if row % 5 == 0:
            x[row] = near
    x = x / x.norm(dim=1, keepdim=True).clamp(min=1e-300) * d**0.5
    if not one_norm:
        x = x * torch.exp(torch.randn(n, 1, generator=generator, dtype=torch.float64))
    return x


def assert_close(found: tuple[Tensor, ...], network: FullyConnected, *inputs: Tensor) -> None:
    expected, scale = exact_kernels(network, *inputs)
    for kernel, value in enumerate(found):
        assert value.dtype == inputs[0].dtype
        error = (value.double() - expected[kernel]).abs() - TOLERANCE[value.dtype] * scale[kernel]
        assert error.numel() == 0 or error.max() <= 0


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", NETWORKS)
@settings(max_examples=15)
@given(
    n=st.sampled_from([0, 1, 2, 3, 15, 17, 49, 143, 145]),
    m=st.sampled_from([0, 1, 2, 16, 50, 150]),
    d=st.sampled_from([1, 2, 3, 30, 33, 100]),
    one_norm=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 1000),
)
def test_native_route_is_accurate_on_any_shape(
    level: str, name: str, n: int, m: int, d: int, one_norm: bool, dtype: torch.dtype, seed: int
) -> None:
    network = NETWORKS[name]
    x1 = random_rows(n, d, seed, one_norm=one_norm).to(dtype)
    x2 = random_rows(m, d, seed + 1, one_norm=one_norm).to(dtype)
    with simd(level):
        square = kernel_matrices(network, x1, num_threads=2)
        full = kernel_matrices(network, x1, x2, num_threads=1)
        again = kernel_matrices(network, x1, x1.clone())
    assert_close(square, network, x1)
    assert_close(full, network, x1, x2)
    assert_close(again, network, x1)
    for matrix in square:
        assert torch.equal(matrix, matrix.T)


@pytest.mark.parametrize("depth", [1, 2, 5, 10, 20])
@pytest.mark.parametrize("d", [3, 100, 784])
@pytest.mark.parametrize("one_norm", [True, False])
def test_float32_entries_are_accurate_at_every_cosine_and_depth(
    depth: int, d: int, one_norm: bool
) -> None:
    network = RELU4.replace(depth=depth)
    clusters = torch.randn(4, d, generator=torch.Generator().manual_seed(1)).double()
    x = random_rows(120, d, 7, one_norm=one_norm)
    x[:40] = clusters.repeat(10, 1) + 0.05 * x[:40]
    x = (x if not one_norm else x / x.norm(dim=1, keepdim=True) * d**0.5).float()
    assert_close(kernel_matrices(network, x), network, x)
    assert_close(kernel_matrices(network, x, x.clone()), network, x)


@pytest.mark.parametrize("depth", [1, 20])
def test_float32_diagonals_are_exact(depth: int) -> None:
    network = RELU4.replace(depth=depth)
    x = torch.randn(60, 3072, generator=torch.Generator().manual_seed(0))
    x = x / x.norm(dim=1, keepdim=True) * 3072**0.5
    expected, _ = exact_kernels(network, x)
    for kernel, matrix in enumerate(kernel_matrices(network, x)):
        ratio = matrix.diagonal().double() / expected[kernel].diagonal()
        assert (ratio - 1).abs().max() <= 1e-6


def test_pairs_one_part_in_a_hundred_million_apart_are_told_apart() -> None:
    # 1 − c = 1e-8 is a tenth of what one float32 cosine can resolve.
    angles = torch.tensor([0.0, (2e-8) ** 0.5, -((2e-8) ** 0.5), math.pi], dtype=torch.float64)
    x = torch.stack([torch.cos(angles), torch.sin(angles)], dim=1).float()
    for depth in (1, 20):
        network = RELU4.replace(depth=depth)
        assert_close(kernel_matrices(network, x), network, x)


@given(
    n=st.integers(0, 40),
    m=st.integers(0, 40),
    tile=st.integers(1, 50),
    name=st.sampled_from(sorted(NETWORKS)),
    one_norm=st.booleans(),
    seed=st.integers(0, 100),
)
@settings(max_examples=40)
def test_plain_torch_gives_the_same_as_the_native_kernel(
    n: int, m: int, tile: int, name: str, one_norm: bool, seed: int
) -> None:
    network = NETWORKS[name].at_input_width(4)
    x1 = random_rows(n, 4, seed, one_norm=one_norm)
    x2 = random_rows(m, 4, seed + 1, one_norm=one_norm)
    for second in (None, x2):
        fast = kernel_matrices(network, x1, second)
        slow = torch_tiles.differentiable(network, ("nngp", "ntk"), x1, second, tile)
        _, scale = exact_kernels(network, x1, second)
        for kernel in (0, 1):
            # The plain recursion takes cosines from float64 inner products: 1e-16 / θ.
            gap = (fast[kernel] - slow[kernel]).abs() - 1e-7 * scale[kernel]
            assert gap.numel() == 0 or gap.max() <= 0


@pytest.mark.parametrize("n", [1, 200, 300])
def test_results_do_not_depend_on_threads_bands_engine_or_file(n: int, tmp_path: Path) -> None:
    x = torch.randn(n, 5, generator=torch.Generator().manual_seed(n))
    for network in (RELU4, NETWORKS["homogeneous"]):
        for second in (None, x.flip(0)):
            plain = kernel_matrices(network, x, second)
            others = [
                kernel_matrices(network, x, second, num_threads=3),
                kernel_matrices(network, x, second, tile=1),
                kernel_matrices(network, x, second, out=tmp_path / "kernels.npy"),
                kernel_matrices(network, x, second, engine=SerialEngine(), tile=150),
            ]
            for other in others:
                assert all(map(torch.equal, plain, other))


def test_bands_are_computed_by_worker_processes(tmp_path: Path) -> None:
    x = torch.randn(300, 4, generator=torch.Generator().manual_seed(3))
    steps: list[tuple[int, int]] = []
    with ProcessEngine(2) as engine:
        for network in (RELU4, NETWORKS["smooth"]):  # one native, one in PyTorch
            found = kernel_matrices(
                network,
                x,
                out=tmp_path / "k.npy",
                engine=engine,
                progress=lambda done, total, _: steps.append((done, total)),
            )
            assert all(map(torch.equal, found, kernel_matrices(network, x)))
    assert steps[0][0] == 0
    assert steps[-1][0] == steps[-1][1] > 1


def test_progress_is_told_from_nothing_to_all() -> None:
    steps: list[tuple[int, int]] = []
    kernel_matrices(
        RELU4, torch.eye(500), tile=100, progress=lambda done, total, _: steps.append((done, total))
    )
    assert steps == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_file_holds_both_kernels_and_maps_do_not_write_back(tmp_path: Path) -> None:
    path = tmp_path / "kernels.npy"
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    kernels = kernel_matrices(RELU4, x, out=path)
    kernels.ntk.zero_()
    stored = np.load(path)
    assert stored.shape == (2, 20, 20)
    assert stored.dtype == np.float32
    expected = kernel_matrices(RELU4, x)
    assert np.array_equal(stored[0], expected.nngp)
    assert np.array_equal(stored[1], expected.ntk)


def test_one_kernel_alone_agrees_and_its_file_has_two_axes(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(7)
    for x in (torch.eye(4) * 2, torch.randn(9, 4, generator=generator)):
        both = kernel_matrices(RELU4, x)
        for kind, expected in zip(("nngp", "ntk"), both, strict=True):
            alone = kernel_matrix(RELU4, kind, x)
            # The NNGP alone needs a smaller zone of exact cosines: the last bit may differ.
            torch.testing.assert_close(alone, expected, rtol=2.4e-7, atol=0)
            path = tmp_path / f"{kind}.npy"
            assert torch.equal(kernel_matrix(RELU4, kind, x, out=path), alone)
            assert np.load(path).shape == (len(x), len(x))


def test_empty_matrices_have_files_too(tmp_path: Path) -> None:
    kernels = kernel_matrices(RELU4, torch.zeros(0, 3), torch.ones(4, 3), out=tmp_path / "k.npy")
    assert kernels.ntk.shape == (0, 4)
    assert np.load(tmp_path / "k.npy").shape == (2, 0, 4)


def test_failure_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "kernels.npy"
    path.write_bytes(b"before")

    def interrupt(done: int, total: int, label: str, /) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kernel_matrices(RELU4, torch.eye(500), tile=1, out=path, progress=interrupt)
    assert path.read_bytes() == b"before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["kernels.npy"]


def test_killed_process_leaves_nothing_under_the_final_name(tmp_path: Path) -> None:
    script = f"""
        import os, signal, torch
        from sestina.ntk.architectures import FullyConnected
        from sestina.ntk.matrices.tiled import kernel_matrices

        def kill(done, total, label):
            if done == 2:
                os.kill(os.getpid(), signal.SIGKILL)

        kernel_matrices(FullyConnected(activation="relu"), torch.eye(500), tile=1,
                        out={str(tmp_path / "kernels.npy")!r}, progress=kill)
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert ended.returncode == -9
    assert not (tmp_path / "kernels.npy").exists()


def test_failing_worker_leaves_no_file(tmp_path: Path) -> None:
    class Breaking(SerialEngine):
        def outcomes(self, function, items, **how):  # type: ignore[no-untyped-def]
            return super().outcomes(_fail, items, **how)

    with pytest.raises(WorkerError):
        kernel_matrices(RELU4, torch.eye(9), out=tmp_path / "k.npy", engine=Breaking())
    assert not list(tmp_path.iterdir())


def _fail(item: object) -> None:
    raise ValueError(item)


@pytest.mark.parametrize("name", NETWORKS)
def test_any_strides_are_read_in_place(name: str) -> None:
    network = NETWORKS[name]
    base = torch.randn(60, 24, generator=torch.Generator().manual_seed(0))
    views = [base[::2, 4:12], base.T[3:20, ::3], base[5:30, ::3], base.flip(0)[:, :1]]
    views.append(base[:1].expand(7, 24))
    views.append(torch.view_as_complex(base.reshape(60, 12, 2)).conj().imag)
    for view in views:
        plain = view.contiguous()
        found = kernel_matrices(network, view)
        assert all(map(torch.equal, found, kernel_matrices(network, plain)))


def test_zero_rows_are_just_bias() -> None:
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]])
    assert_close(kernel_matrices(RELU4, x), RELU4, x)
    assert_close(kernel_matrices(RELU4, x[:1]), RELU4, x[:1])
    homogeneous = kernel_matrices(NETWORKS["homogeneous"], x)
    assert homogeneous.ntk[0].tolist() == [0.0, 0.0, 0.0]
    smooth = NETWORKS["smooth"]
    assert_close(kernel_matrices(smooth, x), smooth, x)


def test_denormal_and_huge_rows_have_their_angles() -> None:
    network = NETWORKS["homogeneous"]
    x = torch.tensor([[1e-42, 1e-42], [1e18, -1e18], [1e-30, 0.0], [3.0, 4.0]])
    expected, scale = exact_kernels(network, x)
    for kernel, matrix in enumerate(kernel_matrices(network, x)):
        # Below 1e-38 float32 has absolute precision only.
        error = (matrix.double() - expected[kernel]).abs()
        assert (error <= 2e-6 * scale[kernel] + 1e-44).all()


def test_rows_normalised_in_float32_count_as_one_norm() -> None:
    for d in (3, 100, 5000):
        x = torch.randn(50, d, generator=torch.Generator().manual_seed(d))
        x = x / x.norm(dim=1, keepdim=True) * d**0.5
        network = FullyConnected(activation="erf", depth=2, sigma_b=0.3)
        assert_close(kernel_matrices(network, x), network, x)


def test_layer_norm_networks_see_directions_only() -> None:
    network = FullyConnected(activation="erf", depth=3, layer_norm=True)
    x = torch.randn(30, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    near = kernel_matrices(network, x)
    far = kernel_matrices(network, x * torch.linspace(0.1, 9, 30)[:, None].double())
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(near, far, strict=True))
    assert_close(near, network, x)
    with pytest.raises(InvalidValueError, match=r"x1\[2\] is a zero row.*give the network biases"):
        kernel_matrices(network, torch.tensor([[1.0], [2.0], [0.0]]))


@pytest.mark.parametrize(
    "options", [{"residual": True}, {"residual": True, "layer_norm": True}, {"layer_norm": True}]
)
@pytest.mark.parametrize("one_norm", [True, False])
def test_residual_and_layer_norm_networks(options: dict[str, bool], one_norm: bool) -> None:
    network = FullyConnected(activation="gelu", depth=3, sigma_b=0.2, **options)
    x = random_rows(40, 6, 5, one_norm=one_norm)
    assert_close(kernel_matrices(network, x), network, x)
    assert_close(kernel_matrices(network, x.float()), network, x.float())


def test_nngp_of_a_jumping_activation_exists_and_its_ntk_does_not() -> None:
    network = FullyConnected(activation="sign", depth=2, sigma_b=0.2)
    x = random_rows(20, 4, 1, one_norm=False)[:10]
    x.requires_grad_()
    plain = kernel_matrix(network, "nngp", x)
    assert torch.allclose(plain, kernel_matrix(network, "nngp", x.detach()), atol=1e-12)
    for given_x in (x, x.detach()):
        with pytest.raises(DivergentKernelError, match="NNGP"):
            kernel_matrices(network, given_x)
        with pytest.raises(DivergentKernelError):
            kernel_matrix(network, "ntk", given_x)


# Gradients.


@pytest.mark.parametrize("activation", ["relu", "erf", {"name": "rectified_monomial", "degree": 2}])
def test_gradients_in_inputs_and_scales_are_exact(activation: object) -> None:
    generator = torch.Generator().manual_seed(0)
    x1 = torch.randn(3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    x2 = torch.randn(2, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    scales = [torch.tensor(s, dtype=torch.float64, requires_grad=True) for s in (1.2, 0.3)]

    def kernels(x1: Tensor, x2: Tensor, sigma_w: Tensor, sigma_b: Tensor) -> tuple[Tensor, ...]:
        network = FullyConnected(activation=activation, depth=2, sigma_w=sigma_w, sigma_b=sigma_b)
        return (*kernel_matrices(network, x1, x2), *kernel_matrices(network, x1))

    assert torch.autograd.gradcheck(kernels, (x1, x2, *scales))


def test_gradients_at_equal_and_opposite_inputs_are_finite() -> None:
    x = torch.tensor([[1.0, 2.0], [1.0, 2.0], [2.0, 4.0], [-1.0, -2.0], [0.0, 0.0]])
    x = torch.cat([x, x * 3]).double().requires_grad_()
    for second in (None, x.detach().clone()):
        kernels = kernel_matrices(RELU4, x, second)
        (gradient,) = torch.autograd.grad(sum(matrix.sum() for matrix in kernels), x)
        assert gradient.isfinite().all()


def test_gradients_in_float32_inputs_have_float32() -> None:
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    kernels = kernel_matrices(RELU4, x)
    assert kernels.ntk.dtype == torch.float32
    kernels.ntk.sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == torch.float32
    with torch.no_grad():
        assert not kernel_matrices(RELU4, x).ntk.requires_grad
    assert_close(tuple(k.detach() for k in kernels), RELU4, x)


def test_learned_scales_alone_ask_for_gradients() -> None:
    sigma_b = torch.tensor(0.2, requires_grad=True)
    kernels = kernel_matrices(RELU4.replace(sigma_b=sigma_b), torch.eye(3))
    assert kernels.nngp.requires_grad


def test_learned_scales_without_gradients_are_their_numbers() -> None:
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    scale = torch.tensor(0.7, requires_grad=True)  # float32: its square must not be rounded so
    with torch.no_grad():
        found = kernel_matrices(RELU4.replace(sigma_w=scale, sigma_b=scale), x)
    with_gradients = kernel_matrices(RELU4.replace(sigma_w=scale, sigma_b=scale), x)
    plain = RELU4.replace(sigma_w=scale.item(), sigma_b=scale.item())
    assert_close(found, plain, x)
    assert_close(tuple(k.detach() for k in with_gradients), plain, x)


# Forward mode makes PyTorch 2.13 script its own decompositions, which it has deprecated.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_function_transforms_see_a_differentiable_function() -> None:
    x = torch.randn(3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def ntk(x: Tensor) -> Tensor:
        return kernel_matrices(RELU4, x).ntk

    forward, backward = torch.func.jacfwd(ntk)(x), torch.func.jacrev(ntk)(x)
    assert torch.allclose(forward, backward, atol=1e-12)
    assert torch.func.hessian(ntk)(x).isfinite().all()


# Bad input.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nan_and_infinity_are_named_with_their_place(dtype: torch.dtype) -> None:
    good = torch.ones(4, 3, dtype=dtype)
    for bad_value in (math.nan, math.inf, -math.inf):
        bad = good.clone()
        bad[2, 1] = bad_value
        with pytest.raises(NonFiniteError, match=r"x1 is .* at \[2, 1\]"):
            kernel_matrices(RELU4, bad)
        with pytest.raises(NonFiniteError, match=r"x2 is .* at \[2, 1\]"):
            kernel_matrices(RELU4, good, bad)
        with pytest.raises(NonFiniteError, match=r"x1 is"):
            kernel_matrices(RELU4, bad.requires_grad_())


def test_wrong_shapes_and_dtypes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"x1 is \(3,\)"):
        kernel_matrices(RELU4, torch.ones(3))
    with pytest.raises(ShapeError, match="at least one column"):
        kernel_matrices(RELU4, torch.ones(3, 0))
    with pytest.raises(ShapeError, match=r"x2 is.*3 columns"):
        kernel_matrices(RELU4, torch.ones(2, 3), torch.ones(2, 4))
    with pytest.raises(DtypeError, match=r"x1 has dtype torch\.int64"):
        kernel_matrices(RELU4, torch.ones(2, 3, dtype=torch.int64))
    with pytest.raises(DtypeError, match=r"x2 has dtype torch\.float64"):
        kernel_matrices(RELU4, torch.ones(2, 3), torch.ones(2, 3).double())
    with pytest.raises(InvalidValueError, match="x1 is a value of type ndarray"):
        kernel_matrices(RELU4, np.ones((2, 3)))  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match=r"x1 is a tensor of layout.*to_dense"):
        kernel_matrices(RELU4, torch.eye(3).to_sparse())
    with pytest.raises(UnknownNameError, match="kind"):
        kernel_matrix(RELU4, "tangent", torch.ones(2, 3))  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "2"])
def test_options_out_of_range_are_refused(value: object) -> None:
    for name in ("num_threads", "tile"):
        with pytest.raises(InvalidValueError, match=name):
            kernel_matrices(RELU4, torch.ones(2, 3), **{name: value})


def test_values_beyond_the_dtype_are_refused() -> None:
    with pytest.raises(InvalidValueError, match=r"kernel of x1\[1\].*float64"):
        kernel_matrices(RELU4, torch.tensor([[1.0], [1e25]]))
    with pytest.raises(InvalidValueError, match=r"kernel of x2\[0\]"):
        kernel_matrices(
            RELU4, torch.ones(1, 1).double(), torch.full((1, 1), 1e200, dtype=torch.float64)
        )
    assert kernel_matrices(RELU4, torch.tensor([[1.0], [1e25]]).double()).ntk.isfinite().all()


def test_gradients_do_not_go_through_files_or_processes(tmp_path: Path) -> None:
    x = torch.ones(2, 2, requires_grad=True)
    with pytest.raises(InvalidValueError, match="no_grad"):
        kernel_matrices(RELU4, x, out=tmp_path / "k.npy")
    with pytest.raises(InvalidValueError, match="no_grad"):
        kernel_matrices(RELU4, x, engine=SerialEngine())


def test_missing_directory_is_reported_before_work(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        kernel_matrices(RELU4, torch.eye(3), out=tmp_path / "absent" / "k.npy")


def test_unknown_instruction_set_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESTINA_SIMD", "mmx")
    with pytest.raises(UnknownNameError, match=r"SESTINA_SIMD is 'mmx'.*portable"):
        kernel_matrices(RELU4, torch.eye(3))
