"""What a design's file keeps of the target, and numbers in it that no float64 holds."""

import functools
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest

from sestina.core.errors import FileFormatError
from sestina.core.files import bytes_digest
from sestina.ntk.architectures import FullyConnected
from sestina.ntk.designs.inverse import Design, design
from sestina.ntk.designs.packing import pack
from sestina.ntk.kernels.dot_product import DotProductKernel

DEEP = FullyConnected(activation="relu", depth=4, sigma_w=2**0.5, sigma_b=0.1)
SERIES = DotProductKernel.from_coefficients([0.2, 0.5, 0.2, 0.1])
HUGE = 10**400


def saved(kernel, **options):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "design.json")
        design(kernel, **options).save(path)
        return json.loads(path.read_text())


@functools.cache
def document_of(form):
    return json.dumps(saved(SERIES, form=form))


def load(document, tmp_path):
    body = json.dumps(document["design"], sort_keys=True, separators=(",", ":"))
    document["sha256"] = bytes_digest(body.encode())
    path = tmp_path / "design.json"
    path.write_text(json.dumps(document))
    return Design.load(path)


def test_a_networks_kernel_is_still_the_target_after_loading(tmp_path):
    made = design(DEEP.dot_product("ntk"))
    made.save(tmp_path / "design.json")
    again = Design.load(tmp_path / "design.json")
    c = np.linspace(-1, 1, 101)
    np.testing.assert_array_equal(again.target(c), made.target(c))
    for accuracy in (0.01, 0.02, 0.05):
        width = made.width_for(accuracy, relative=True)
        assert again.width_for(accuracy, relative=True) == width


def test_a_mixture_of_many_kernels_comes_back(tmp_path):
    kernel = SERIES
    for depth in range(1, 17):
        kernel = kernel + FullyConnected(activation="relu", depth=depth).dot_product("ntk") * 0.1
    design(kernel, form="hermite").save(tmp_path / "design.json")
    assert Design.load(tmp_path / "design.json").target(0.3) == kernel(0.3)


def test_a_python_function_becomes_its_series(tmp_path):
    made = design(DotProductKernel(lambda c: np.exp(c - 1)))
    made.save(tmp_path / "design.json")
    again = Design.load(tmp_path / "design.json")
    assert again.target(0.5) == pytest.approx(made.target(0.5), abs=1e-12)


def test_version_1_is_read(tmp_path):
    document = json.loads(document_of("hermite"))
    document["version"] = 1
    for name in ("target", "origin", "inputs"):
        del document["design"][name]
    again = load(document, tmp_path)
    assert (again.origin, again.inputs) == (None, None)
    assert again.target(0.5) == pytest.approx(SERIES(0.5), abs=1e-12)


@pytest.mark.parametrize(
    ("target", "match"),
    [
        ({"form": "series", "coefficients": [5.0]}, r"K\(1\) = 5"),
        ({"form": "no such"}, "no such"),
        ({"form": "sum", "left": 5, "right": 5}, "target|not"),
        ({"form": "network", "kind": "ntk", "network": [1]}, "target|network"),
        ({"form": "network", "kind": "ntk", "network": {"depth": 10**9}}, "depth"),
        ({"form": "series", "coefficients": [HUGE]}, "large"),
    ],
)
def test_a_target_that_is_not_that_of_the_coefficients_is_refused(target, match, tmp_path):
    document = json.loads(document_of("hermite"))
    document["design"]["target"] = target
    with pytest.raises(FileFormatError, match=match):
        load(document, tmp_path)


@pytest.mark.parametrize(
    ("form", "path", "value"),
    [
        ("table", ("beyond",), HUGE),
        ("table", ("tail",), HUGE),
        ("table", ("tail",), -HUGE),
        ("table", ("error", "rms"), HUGE),
        ("table", ("variance", "rms"), HUGE),
        ("table", ("activation", "limit"), HUGE),
        ("table", ("activation", "limit"), 1e-300),
        ("table", ("activation", "values"), [HUGE, 1]),
        ("table", ("activation",), {"name": "polynomial", "coefficients": 5}),
        ("relu-sum", ("activation", "offset"), HUGE),
        ("relu-sum", ("activation", "slope"), 1e300),
        ("relu-sum", ("activation", "positions"), [HUGE] * 8),
        ("sinusoid", ("activation", "amplitudes"), pack(np.full(12, 1e300))),
        ("sinusoid", ("activation", "frequencies"), pack(np.full(12, 1e300))),
        ("hermite", ("activation", "coefficients"), pack(np.full(4, 1e308))),
        ("hermite", ("origin",), {"text": 5}),
        ("hermite", ("origin",), {"text": "a", "nearest_of": "b", "distance": HUGE}),
        ("hermite", ("inputs",), {"form": "radial", "bias": HUGE}),
    ],
)
def test_numbers_beyond_float64_are_refused_though_the_checksum_fits(form, path, value, tmp_path):
    document = json.loads(document_of(form))
    part = document["design"]
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    with pytest.raises(FileFormatError):
        load(document, tmp_path)
