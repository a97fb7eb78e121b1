"""The C++ extension's edge: what it refuses, and that it never converts."""

from __future__ import annotations

import numpy as np
import pytest

from sestina.ntk import _native
from sestina.ntk.architectures import FullyConnected
from sestina.ntk.matrices.rectifiers import angle_polynomials
from sestina.ntk.matrices.tables import KernelTable

EMPTY = np.zeros(0)


def pack(matrix, level="portable"):
    if matrix.dtype == np.float32:
        return _native.pack_floats(matrix, level, 1)
    return _native.pack_doubles(matrix, level, 1)


def table_arguments(dtype=np.float32, **changes):
    """Arguments of `fill_from_table` for two rows, a table of zeros."""
    terms = _native.table_degree(dtype is np.float64) + 1
    arguments = {
        "left": pack(np.eye(2, dtype=dtype)),
        "right": None,
        "first": np.ones((2, 2), dtype),
        "second": None,
        "coefficients": np.zeros((1, terms, 2, 16), dtype),
        "placement": np.asarray([[256.0, 256.0], [0.0, 0.0], [0.0, 0.0]]),
        "graded": False,
        "first_scale": 1.0,
        "near": (0.9, -0.9),
        "left_scale": EMPTY,
        "right_scale": EMPTY,
        "band": (0, 2),
        "threads": 1,
    }
    return arguments | changes


def rectifier_arguments(**changes):
    degree = _native.angle_degree(False)
    arguments = {
        "left": pack(np.eye(2, dtype=np.float32)),
        "right": None,
        "nngp": np.zeros((2, 2), np.float32),
        "ntk": None,
        "slopes": (0.0, 1.0),
        "layers": np.asarray([[1.0, 0.0, 0.5, 1.0, 0.0]] * 2),
        "scale": 1.0,
        "polynomials": angle_polynomials(degree).astype(np.float32),
        "near": (0.9, -0.9),
        "band": (0, 2),
        "threads": 1,
    }
    return arguments | changes


def test_plain_arguments_are_accepted():
    arguments = table_arguments()
    _native.fill_from_table(**arguments)
    assert (arguments["first"] == 0).all()
    _native.fill_rectifier(**rectifier_arguments())


@pytest.mark.parametrize("dtype", [np.float16, np.int64, np.complex64, np.dtype(">f4")])
def test_other_element_types_are_never_converted(dtype):
    matrix = np.ones((2, 2)).astype(dtype)
    for function in (_native.pack_floats, _native.pack_doubles):
        with pytest.raises(TypeError):
            function(matrix, "portable", 1)


def test_float32_and_float64_do_not_mix():
    with pytest.raises(TypeError):
        _native.pack_floats(np.ones((2, 2)), "portable", 1)
    with pytest.raises(TypeError):
        _native.fill_from_table(**table_arguments(first=np.ones((2, 2))))
    with pytest.raises(TypeError):
        _native.fill_from_table(**table_arguments(left=pack(np.eye(2))))


def test_read_only_and_strided_outputs_are_refused():
    frozen = np.ones((2, 2), np.float32)
    frozen.flags.writeable = False
    with pytest.raises(TypeError):
        _native.fill_from_table(**table_arguments(first=frozen))
    with pytest.raises(ValueError, match="contiguous rows"):
        _native.fill_from_table(**table_arguments(first=np.ones((2, 4), np.float32)[:, ::2]))


def test_rows_of_an_output_may_be_apart():
    wide = np.full((2, 5), 7, np.float32)
    _native.fill_from_table(**table_arguments(first=wide[:, 1:3]))
    assert wide.tolist() == [[7, 0, 0, 7, 7]] * 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"first": np.ones((2, 3), np.float32)}, r"shape \(2, 3\), expected \(2, 2\)"),
        ({"band": (0, 3)}, "band is 0..3"),
        ({"band": (1, 2)}, "band is 1..2"),
        ({"band": (-144, 2)}, "band is -144..2"),
        ({"coefficients": np.zeros((1, 3, 2, 16), np.float32)}, "3 terms"),
        ({"coefficients": np.zeros((2, 6, 2, 16), np.float32)}, "for 2 kernels"),
        ({"coefficients": np.zeros((1, 6, 1, 16), np.float32)}, "expected 6"),
        ({"placement": np.zeros((2, 2))}, "table_degree"),
        ({"left_scale": np.ones(2)}, "scales of 2 and 0 rows"),
        ({"left_scale": np.ones(3), "right_scale": np.ones(2)}, "scales of 3 and 2 rows"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        _native.fill_from_table(**table_arguments(**changes))


def test_rows_of_other_lengths_are_refused():
    # Packed here: what parametrises a test lives until the interpreter is gone.
    with pytest.raises(ValueError, match="rows of 2 and 3 columns"):
        _native.fill_from_table(**table_arguments(right=pack(np.eye(3, dtype=np.float32))))


@pytest.mark.parametrize(
    "changes",
    [
        {"layers": np.zeros((2, 4))},
        {"layers": np.zeros((1, 5))},
        {"polynomials": np.zeros((2, 3), np.float32)},
        {"polynomials": np.zeros((1, 8), np.float32)},
    ],
)
def test_rectifiers_that_do_not_fit_are_refused(changes):
    with pytest.raises(ValueError, match="see the stub"):
        _native.fill_rectifier(**rectifier_arguments(**changes))


def test_unknown_level_is_refused():
    with pytest.raises(ValueError, match="simd level is 'mmx'"):
        pack(np.eye(2), "mmx")


def test_rows_packed_for_two_levels_do_not_mix():
    levels = _native.simd_levels()
    if len(levels) == 1:
        pytest.skip("this processor has the portable level only")
    other = pack(np.eye(2, dtype=np.float32), levels[-1])
    with pytest.raises(ValueError, match="packed for one simd level"):
        _native.fill_from_table(**table_arguments(right=other))


def test_norms_outlive_their_rows():
    norms = pack(np.asarray([[3.0, 4.0], [0.0, 0.0]])).norms
    assert norms.tolist() == [5.0, 0.0]
    assert pack(np.ones((0, 3))).shape == (0, 3)


def test_best_level_is_the_last_of_all():
    assert _native.simd_levels()[0] == "portable"
    assert _native.simd_levels()[-1] == _native.simd_level()


def test_python_and_cpp_agree_on_the_degree_of_tables():
    for precision in ("float32", "float64"):
        table = KernelTable.build(FullyConnected(activation="relu"), precision=precision)
        assert table.coefficients.shape[1] == _native.table_degree(precision == "float64") + 1


@pytest.mark.parametrize("threads", [1, 2])
def test_fresh_matrices_own_their_memory(threads):
    for new, dtype in (
        (_native.new_float_matrices, np.float32),
        (_native.new_double_matrices, np.float64),
    ):
        first, second = new(2, 700, 800, threads)
        assert first.shape == second.shape == (700, 800)
        assert first.dtype == dtype
        first[:], second[:] = 1, 2
        view = second[3:]
        del second
        (other,) = new(1, 700, 800, threads)
        other[:] = 3
        assert (view == 2).all()
        assert (first == 1).all()
    assert _native.new_float_matrices(1, 0, 5, threads)[0].shape == (0, 5)


def test_impossible_matrices_raise():
    with pytest.raises(MemoryError):
        _native.new_double_matrices(1, 1 << 40, 1 << 10, 1)
