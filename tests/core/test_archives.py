"""Honest archives unpack; each known attack is refused and leaves nothing."""

from __future__ import annotations

import gzip
import io
import shutil
import stat
import struct
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sestina.core.archives import ArchiveLimits, extract_archive
from sestina.core.errors import FileFormatError, InvalidValueError

FILES = {"a.txt": b"first", "folder/b.bin": bytes(range(256)) * 40, "folder/deep/σ.txt": b""}


def make_zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return path


def make_tar(path, files, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def make_tar_of(path, **attributes):
    info = tarfile.TarInfo("member")
    for name, value in attributes.items():
        setattr(info, name, value)
    with tarfile.open(path, "w") as archive:
        archive.addfile(info)
    return path


def assert_refused(tmp_path, archive, text, **limits):
    with pytest.raises(FileFormatError, match=text) as caught:
        extract_archive(archive, tmp_path / "out", limits=ArchiveLimits(**limits))
    assert caught.value.path == archive
    assert sorted(p.name for p in tmp_path.iterdir()) == [archive.name], "nothing is left"


@pytest.mark.parametrize("mode", ["zip", "w", "w:gz", "w:bz2", "w:xz"])
def test_an_honest_archive_unpacks_whatever_its_name(tmp_path, mode):
    archive = tmp_path / "archive.bin"
    make_zip(archive, FILES) if mode == "zip" else make_tar(archive, FILES, mode)
    written = extract_archive(archive, tmp_path / "out")
    assert written == [tmp_path / "out" / name for name in FILES]
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == FILES


def test_directories_are_made_and_may_be_named_twice(tmp_path):
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as opened:
        for name in (".", "./empty", "empty"):
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE
            opened.addfile(info)
    assert extract_archive(archive, tmp_path / "out") == []
    assert (tmp_path / "out" / "empty").is_dir()


def test_permissions_are_not_taken_over(tmp_path):
    archive = tmp_path / "a.tar"
    info = tarfile.TarInfo("tool")
    info.mode = 0o6777
    with tarfile.open(archive, "w") as opened:
        opened.addfile(info)
    (path,) = extract_archive(archive, tmp_path / "out")
    assert stat.S_IMODE(path.stat().st_mode) & 0o7111 == 0


def test_what_was_there_is_replaced_only_by_a_whole_archive(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("old")
    damaged = make_zip(tmp_path / "a.zip", FILES)
    data = bytearray(damaged.read_bytes())
    data[data.index(b"b.bin") + 40] ^= 255  # within the second member
    damaged.write_bytes(data)
    with pytest.raises(FileFormatError, match="can't be read as"):
        extract_archive(damaged, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["old"]
    extract_archive(make_zip(tmp_path / "a.zip", FILES), tmp_path / "out")
    assert not (tmp_path / "out" / "old").exists()


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/evil", "C:evil", "a\\..\\..\\evil", "a/..", "x" * 300]
)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_path_that_leads_outside_is_refused(tmp_path, name, kind):
    make = make_zip if kind == "zip" else make_tar
    archive = make(tmp_path / "a", {"good": b"1", name: b"2"})
    assert_refused(tmp_path, archive, "leads outside|name of more than 255")
    assert not (tmp_path.parent / "evil").exists()


@pytest.mark.parametrize("name", ["a/" * 101 + "b", "/".join(["x" * 250] * 9)])
@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_members_nested_too_deep_are_refused(tmp_path, make, name):
    archive = make(tmp_path / "a", {"good": b"1", name: b"2"})
    assert_refused(tmp_path, archive, r"deeper than 100 directories, or .* more than 2048 bytes")


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_the_deepest_and_longest_path_allowed_unpacks(tmp_path, make):
    names = ["a/" * 99 + "b", "/".join(["x" * 255] * 8)]
    archive = make(tmp_path / "a", dict.fromkeys(names, b"1"))
    assert len(extract_archive(archive, tmp_path / "out")) == 2


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.SYMTYPE, "good"),
        (tarfile.LNKTYPE, "good"),
        (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""),
        (tarfile.FIFOTYPE, ""),
    ],
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind, target):
    archive = make_tar_of(tmp_path / "a.tar", type=kind, linkname=target)
    assert_refused(tmp_path, archive, "member 'member' is a link or a device")


def test_links_in_a_zip_are_refused(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    assert_refused(tmp_path, tmp_path / "a.zip", "is a link or a device")


def test_an_encrypted_zip_is_refused(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"a": b"1"})
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    assert_refused(tmp_path, archive, "is encrypted")


def test_a_path_that_comes_twice_is_refused(tmp_path):
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as opened:
        for name in ("a", "./a"):
            opened.addfile(tarfile.TarInfo(name))
    assert_refused(tmp_path, archive, "'a' is there twice")


def test_a_file_that_is_also_a_directory_is_refused(tmp_path):
    archive = make_tar(tmp_path / "a.tar", {"a": b"1", "a/b": b"2"})
    assert_refused(tmp_path, archive, "'a' is both a file and a directory")
    archive = make_tar(tmp_path / "a.tar", {".": b"1"})
    assert_refused(tmp_path, archive, r"a file member is named '\.'")


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_limits_are_kept(tmp_path, make):
    archive = make(tmp_path / "a", {"a": bytes(600), "b": bytes(600)})
    extract_archive(archive, tmp_path / "out", limits=ArchiveLimits(total_bytes=1200))
    shutil.rmtree(tmp_path / "out")
    assert_refused(tmp_path, archive, "goes over the limit", total_bytes=1199)
    assert_refused(tmp_path, archive, "goes over the limit of 599 bytes", file_bytes=599)
    assert_refused(tmp_path, archive, "more than 1 members", num_members=1)


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_a_bomb_is_refused(tmp_path, make):
    archive = make(tmp_path / "a", {"zeros": bytes(40 << 20)})
    assert archive.stat().st_size < 100_000
    assert_refused(tmp_path, archive, "goes over the limit")


def test_a_zip_that_lies_about_its_size_is_refused(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"a": bytes(5000)})
    data = bytearray(archive.read_bytes())
    for start, offset in ((data.index(b"PK\x03\x04"), 22), (data.index(b"PK\x01\x02"), 24)):
        data[start + offset : start + offset + 4] = struct.pack("<I", 10)
    archive.write_bytes(data)
    with pytest.raises(FileFormatError):
        extract_archive(archive, tmp_path / "out", limits=ArchiveLimits(file_bytes=100))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_tar_with_a_giant_header_is_refused_before_it_is_read(tmp_path, kind):
    info = tarfile.TarInfo("header")
    info.type = kind
    info.size = 1 << 30
    archive = tmp_path / "a.tar.gz"
    with gzip.open(archive, "wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
    assert_refused(tmp_path, archive, "has a header of 1073741824 bytes")


def test_a_tar_that_claims_a_giant_member_is_refused_before_it_is_read(tmp_path):
    info = tarfile.TarInfo("a")
    info.size = 1 << 40
    (tmp_path / "a.tar").write_bytes(info.tobuf() + bytes(10_240))
    assert_refused(tmp_path, tmp_path / "a.tar", "goes over the limit")


@pytest.mark.parametrize("data", [b"", b"no archive at all", b"PK\x03\x04", b"\x1f\x8b\x08"])
def test_what_is_no_archive_is_told_so(tmp_path, data):
    (tmp_path / "a").write_bytes(data)
    assert_refused(tmp_path, tmp_path / "a", "can't be read as a zip or tar archive")


def test_a_missing_archive_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        extract_archive(tmp_path / "none.zip", tmp_path / "out")


def test_limits_must_be_positive():
    with pytest.raises(InvalidValueError, match="ratio is 0, expected a positive limit"):
        ArchiveLimits(ratio=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ratio", "x"),
        ("ratio", float("nan")),
        ("num_members", 1.5),
        ("num_members", True),
        ("total_bytes", "4"),
        ("file_bytes", 1e9),
    ],
)
def test_limits_must_be_numbers(name, value):
    with pytest.raises(InvalidValueError, match=f"{name} is .*, expected a positive limit, an? "):
        ArchiveLimits(**{name: value})


@pytest.mark.parametrize("ratio", [float("inf"), 1e308, 10**400])
def test_the_ratio_may_be_no_limit(tmp_path, ratio):
    archive = make_zip(tmp_path / "a.zip", {"zeros": bytes(40 << 20)})
    extract_archive(archive, tmp_path / "out", limits=ArchiveLimits(ratio=ratio))


@pytest.mark.fuzz
@pytest.mark.parametrize("make", [make_zip, make_tar])
@given(data=st.data())
def test_damage_is_an_error_of_the_format_or_nothing(tmp_path_factory, make, data):
    tmp_path = tmp_path_factory.mktemp("damaged")
    archive = make(tmp_path / "a", FILES)
    content = bytearray(archive.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    archive.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        extract_archive(archive, tmp_path / "out")
    except FileFormatError:
        assert [path.name for path in tmp_path.iterdir()] == ["a"]
