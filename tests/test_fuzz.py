"""Hostile input to everything that reads: it is read, or refused with an error of the one tree.

Each test takes an input that is right, damages it, and lets nothing else happen than that. These
run briefly with the other tests, and for as long as one likes with `make fuzz`.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sestina.core.archives import extract_archive
from sestina.core.errors import FileFormatError, SestinaError
from sestina.core.options import options_from_toml, options_to_toml
from sestina.ntk.datasets import Table, read_table
from sestina.ntk.designs.files import write_document
from sestina.ntk.designs.inverse import Design, design
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.kernels.targets import parse_target

pytestmark = pytest.mark.fuzz

NAMES = st.one_of(
    st.sampled_from(["a", "b/c", "../up", "/abs", "a/../../up", "C:\\x", "a\\b", ".", "", "a/"]),
    st.text(min_size=1, max_size=20),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Every kind of field that options may have."""

    width: int = 1
    """A count."""
    scale: float = 1.0
    """A number."""
    name: str = "x"
    """A text."""
    form: Literal["table", "hermite"] = "table"
    """A choice."""
    signs: tuple[int, ...] = ()
    """A list."""
    out: Path | None = None
    """A file."""
    plot: bool = False
    """A switch."""


@st.composite
def damaged(draw, whole):
    """A few bytes of `whole` changed, removed, doubled or added."""
    data = bytearray(draw(whole))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from(["change", "cut", "insert", "repeat"]))
        if kind == "change" and data:
            data[place] = draw(st.integers(0, 255))
        elif kind == "cut":
            del data[place : place + draw(st.integers(1, 64))]
        elif kind == "insert":
            data[place:place] = draw(st.binary(max_size=16))
        else:
            data[place:place] = data[place : place + 64]
    return bytes(data)


@st.composite
def archives(draw):
    """A zip or tar archive of a few small files with names of any kind."""
    members = draw(st.lists(st.tuples(NAMES, st.binary(max_size=100)), max_size=4))
    file = io.BytesIO()
    if draw(st.booleans()):
        with zipfile.ZipFile(file, "w", draw(st.sampled_from([0, 8]))) as archive:
            for name in dict(members):
                archive.writestr(zipfile.ZipInfo(name), dict(members)[name])
        return file.getvalue()
    with tarfile.open(
        fileobj=file, mode=draw(st.sampled_from(["w", "w:gz", "w:bz2", "w:xz"]))
    ) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.type = draw(st.sampled_from([tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]))
            info.linkname = draw(NAMES)
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


@given(damaged(archives()))
def test_an_archive_is_unpacked_inside_its_folder_or_leaves_nothing(data):
    with tempfile.TemporaryDirectory() as folder:
        outer = Path(folder)
        (outer / "given").write_bytes(data)
        try:
            written = extract_archive(outer / "given", outer / "into")
        except SestinaError:
            assert sorted(path.name for path in outer.iterdir()) == ["given"]
        else:
            assert sorted(path.name for path in outer.iterdir()) == ["given", "into"]
            assert all(path.resolve().is_relative_to(outer.resolve() / "into") for path in written)
            assert not any(path.is_symlink() for path in (outer / "into").rglob("*"))


OPTIONS = st.builds(
    Options,
    width=st.integers(-(2**63), 2**63 - 1),
    scale=st.floats(allow_nan=False),
    name=st.text(st.characters(exclude_categories=["Cs"])),
    form=st.sampled_from(["table", "hermite"]),
    signs=st.lists(st.integers(-1, 1)).map(tuple),
    plot=st.booleans(),
)


@given(OPTIONS)
def test_options_come_back_from_toml_as_they_were(options):
    assert options_from_toml(Options, options_to_toml(options)) == options


@given(damaged(OPTIONS.map(lambda options: options_to_toml(options).encode())))
def test_toml_is_read_or_refused(data):
    try:
        found = options_from_toml(Options, data.decode(errors="replace"))
    except SestinaError:
        return
    assert isinstance(found, Options)


TARGETS = st.sampled_from(
    ["relu:depth=4,sigma_w=sqrt(2),sigma_b=0.1", "poly:0,0,1,1", "sin:amplitude=0.5,frequency=6"]
)


@given(damaged(TARGETS.map(str.encode)))
def test_a_target_on_the_command_line_is_a_kernel_or_refused(data):
    try:
        kernel = parse_target(data.decode(errors="replace"))
    except SestinaError:
        return
    assert isinstance(kernel, DotProductKernel)


TABLE = b"length,width,kind\n5.1,3.5,iris\n4.9,3.0,rose\n4.7,3.2,iris\n6.1,2.9,rose\n"


@given(damaged(st.just(TABLE)))
def test_a_csv_file_is_a_table_of_finite_numbers_or_refused(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        path.write_bytes(data)
        try:
            table = read_table(path)
        except SestinaError:
            return
    assert isinstance(table, Table)
    assert np.isfinite(table.features).all()
    assert np.isfinite(table.targets).all()


@pytest.fixture(scope="module")
def saved_design(tmp_path_factory):
    """A small design as its file has it."""
    path = tmp_path_factory.mktemp("design") / "design.json"
    design(DotProductKernel.from_coefficients([0.0, 0.5, 0.0, 0.5]), form="hermite").save(path)
    return path.read_bytes()


@given(data=st.data())
def test_a_damaged_design_file_is_refused(data, saved_design):
    found = data.draw(damaged(st.just(saved_design)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "design.json"
        path.write_bytes(found)
        try:
            loaded = Design.load(path)
        except FileFormatError:
            return
    # Only white space between the fields may change without notice.
    assert json.loads(found) == json.loads(saved_design)
    assert isinstance(loaded, Design)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(data=st.data())
def test_a_forged_design_file_is_loaded_or_refused(data, saved_design):
    """The checksum is right, and a field is not what it was: nothing but that may go wrong."""
    body = json.loads(saved_design)["design"]
    for _ in range(data.draw(st.integers(1, 2))):
        holder = body
        key = data.draw(st.sampled_from(sorted(holder)))
        while isinstance(holder[key], dict) and holder[key] and data.draw(st.booleans()):
            holder = holder[key]
            key = data.draw(st.sampled_from(sorted(holder)))
        if data.draw(st.booleans()):
            holder[key] = data.draw(JSON)
        else:
            del holder[key]
        if not body:
            break
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "design.json"
        write_document(path, body)
        try:
            loaded = Design.load(path)
        except FileFormatError:
            return
    assert isinstance(loaded, Design)
