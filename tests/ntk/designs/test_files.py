"""Design files: what is saved comes back, and whatever else is in a file is refused by name."""

from __future__ import annotations

import functools
import json
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sestina.core.errors import FileFormatError, InvalidValueError
from sestina.core.files import bytes_digest
from sestina.ntk.designs.inverse import Design, design
from sestina.ntk.designs.packing import pack
from sestina.ntk.kernels.dot_product import DotProductKernel

TARGET = DotProductKernel.from_coefficients([0.2, 0.5, 0.2, 0.1])


@functools.cache
def valid_text():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "design.json")
        design(TARGET, form="hermite", degree=3).save(path)
        return path.read_text()


def rewritten(text, change):
    """The file with a changed design and a checksum that fits it."""
    document = json.loads(text)
    change(document["design"])
    body = json.dumps(document["design"], sort_keys=True, separators=(",", ":"))
    document["sha256"] = bytes_digest(body.encode())
    return json.dumps(document)


@pytest.mark.parametrize("form", ["table", "hermite", "relu-sum", "sinusoid"])
def test_a_design_comes_back_with_all_that_it_declares(form, tmp_path):
    made = design(TARGET, "nngp", form)
    path = tmp_path / "design.json"
    made.save(path)
    again = Design.load(path)
    z = torch.linspace(-9, 9, 101, dtype=torch.float64)
    assert torch.equal(again.activation(z), made.activation(z))
    assert again.options == made.options
    assert (again.error, again.tail) == (made.error, made.tail)
    for name in ("coefficients", "series", "achieved_coefficients"):
        np.testing.assert_array_equal(getattr(again, name), getattr(made, name))
    c = np.linspace(-1, 1, 33)
    np.testing.assert_array_equal(again.sigma(c), made.sigma(c))
    np.testing.assert_allclose(again.target(c), made.target(c), atol=1e-12)
    assert again.width_for(0.1) == made.width_for(0.1)
    net, same = made.module(3, 1, 16, 5), again.module(3, 1, 16, 5)
    x = torch.randn(2, 3)
    with torch.no_grad():
        for one in (net, same):
            one.weights[1].mul_(2)
    assert torch.equal(net(x), same(x))
    # Saving what was loaded writes the same file.
    again.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_the_file_says_what_it_is():
    document = json.loads(valid_text())
    assert document["format"] == "sestina-ntk-design"
    assert document["version"] == 2
    assert document["design"]["activation"]["name"] == "hermite_series"


def test_a_failed_save_leaves_the_old_file(tmp_path):
    made = design(TARGET, form="hermite", degree=3)
    path = tmp_path / "design.json"
    path.write_text("old")
    broken = tmp_path / "absent" / "design.json"
    with pytest.raises(FileNotFoundError):
        made.save(broken)
    made.save(path)
    assert Design.load(path).tail == made.tail
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["design.json"]


def test_a_missing_file_is_the_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Design.load(tmp_path / "none.json")


def check_refused(tmp_path, text, match):
    path = tmp_path / "bad.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(FileFormatError, match=match) as caught:
        Design.load(path)
    assert caught.value.path == path
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda text: "", "JSON"),
        (lambda text: "[]", "format"),
        (lambda text: "{}", "format"),
        (lambda text: b"\xff\xfe", "UTF-8"),
        (lambda text: b"\x89PNG\r\n", "UTF-8"),
        (lambda text: text[: len(text) // 2], "JSON"),
        (lambda text: text.replace('"version": 2', '"version": 3'), "version 3"),
        (lambda text: text.replace('"tail": ', '"tail": 1'), "checksum"),
        (lambda text: text.replace('"tail": ', '"tail": NaN, "x": '), "NaN"),
        (lambda text: "[" * 100_000 + "]" * 100_000, "nested"),
        (lambda text: '{"a":' * 100_000, "nested"),
        (lambda text: '{"format": ' + "9" * 10_000 + "}", "expected"),
    ],
)
def test_damage_is_named(damage, match, tmp_path):
    check_refused(tmp_path, damage(valid_text()), match)


def test_a_huge_file_is_not_read(tmp_path):
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(200 << 20)
    with pytest.raises(FileFormatError, match="64 MiB"):
        Design.load(path)


def set_field(*path_and_value):
    *path, value = path_and_value

    def change(body):
        for name in path[:-1]:
            body = body[name]
        body[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda body: body.pop("tail"), "tail is missing"),
        (lambda body: body["error"].pop("rms"), "error.rms is missing"),
        (set_field("tail", "0.1"), "tail is '0.1'"),
        (set_field("tail", True), "tail is True"),
        (set_field("options", []), "options is"),
        (set_field("options", "kind", "gp"), "options.kind is 'gp'"),
        (set_field("options", "form", ["table"]), "options.form"),
        (set_field("options", "width", 0), "width is 0"),
        (set_field("options", "width", None), "options.width is None"),
        (set_field("options", "degree", 10**9), "degree"),
        (set_field("coefficients", "AAAA"), "coefficients"),
        (set_field("coefficients", pack(np.array([1.0, -0.5]))), "-0.5"),
        (set_field("series", pack(np.array([]))), "series"),
        (set_field("achieved_coefficients", pack(np.array([-1.0]))), "achieved"),
        (set_field("variance", "sigma", pack(np.array([1.0]))), "sigma"),
        (set_field("variance", "angles", pack(np.array([1.0, 1.0]))), "angle"),
        (set_field("variance", "rms", -1.0), "rms"),
        (set_field("variance", "variation", 0.0), "variation"),
        (set_field("activation", {"name": "relu"}), "ReLU"),
        (set_field("activation", {"name": "custom"}), "custom"),
        (set_field("activation", {"name": "no such"}), "no such"),
        (set_field("activation", {"name": "table", "limit": 1.0}), "values"),
        (set_field("activation", "os.system"), "os.system"),
        (set_field("activation", "name", "table"), "coefficients"),
        (set_field("activation", "coefficients", [[1.0]]), "coefficients"),
        (set_field("activation", "coefficients", {"a": 1}), "coefficients"),
        (set_field("activation", "limit", "wide"), "limit"),
    ],
)
def test_a_wrong_field_is_named_though_the_checksum_fits(change, match, tmp_path):
    check_refused(tmp_path, rewritten(valid_text(), change), match)


@settings(max_examples=150)
@given(data=st.data())
def test_any_damaged_byte_is_noticed(tmp_path_factory, data):
    raw = bytearray(valid_text().encode())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("fuzz") / "design.json"
    path.write_bytes(bytes(raw))
    try:
        loaded = Design.load(path)
    except FileFormatError:
        return
    # Only white space may change without being noticed.
    document = json.loads(valid_text())
    assert json.loads(bytes(raw)) == document
    assert loaded.tail == document["design"]["tail"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=150)
@given(data=st.data())
def test_any_value_in_any_field_is_used_or_refused(tmp_path_factory, data):
    document = json.loads(valid_text())
    places = [(name,) for name in document["design"]]
    for name in ("options", "error", "variance", "activation"):
        places += [(name, inner) for inner in document["design"][name]]
    place = data.draw(st.sampled_from(places))
    value = data.draw(JSON)
    path = tmp_path_factory.mktemp("fuzz") / "design.json"
    path.write_text(rewritten(valid_text(), set_field(*place, value)))
    try:
        loaded = Design.load(path)
    except FileFormatError:
        return
    assert math.isfinite(loaded.expected_error(100))
    loaded.summary()


@pytest.mark.parametrize("name", ["max", "rms", "sse", "sse_interior"])
def test_an_error_below_zero_is_refused(name, tmp_path):
    text = rewritten(valid_text(), set_field("error", name, -1e16))
    check_refused(tmp_path, text, f"error.{name} is -1e\\+16, expected a number of at least 0")


@pytest.mark.parametrize("rms", [0.0, 1e-300, 1e-160, 0.0102])
@pytest.mark.parametrize("spread", [0.0, 1e-200, 1.0, 1e6, 1e150, 1e300])
def test_the_width_of_any_file_is_found_or_refused(rms, spread, tmp_path):
    path = tmp_path / "design.json"
    text = rewritten(valid_text(), set_field("error", "rms", rms))
    path.write_text(rewritten(text, set_field("variance", "rms", spread)))
    loaded = Design.load(path)
    try:
        width = loaded.width_for(0.02, relative=True)
    except InvalidValueError:
        assert loaded.expected_error(1 << 60, relative=True) > 0.0199
    else:
        assert loaded.expected_error(width, relative=True) <= 0.02 * (1 + 1e-12)
        assert width == 1 or loaded.expected_error(width - 1, relative=True) > 0.02 * (1 - 1e-12)
