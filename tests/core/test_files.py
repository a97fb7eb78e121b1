from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sestina.core.errors import InvalidValueError
from sestina.core.files import (
    atomic_directory,
    atomic_open,
    atomic_path,
    atomic_write_bytes,
    atomic_write_text,
    bytes_digest,
    file_digest,
)


class BrokenDiskError(Exception):
    pass


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_holds_what_was_written(tmp_path):
    atomic_write_text(tmp_path / "a.txt", "σ_w\r\nσ_b\n")
    assert (tmp_path / "a.txt").read_bytes() == "σ_w\r\nσ_b\n".encode()
    atomic_write_bytes(tmp_path / "a.txt", b"\x00\xff")
    assert (tmp_path / "a.txt").read_bytes() == b"\x00\xff"
    assert names_in(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("mode", ["w", "wb"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, mode):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with contextlib.suppress(BrokenDiskError), atomic_open(path, mode) as file:
        file.write("new" if mode == "w" else b"new")
        raise BrokenDiskError
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["a.txt"]


def test_the_old_file_stays_until_the_block_ends(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_open(path, "w") as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


KILLED_HALF_WAY = """
import os, signal, sys
from sestina.core.files import atomic_open
with atomic_open(sys.argv[1], "w") as file:
    file.write("new " * 100_000)
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_killed_half_way_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    done = subprocess.run([sys.executable, "-c", KILLED_HALF_WAY, path], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    hidden = [name for name in names_in(tmp_path) if name != "a.txt"]
    assert all(name.startswith(".a.txt.") and name.endswith(".partial") for name in hidden)
    atomic_write_text(path, "newest")
    assert path.read_text() == "newest"


def test_permissions_follow_the_old_file_or_the_umask(tmp_path):
    path = tmp_path / "a.txt"
    before = os.umask(0o027)
    try:
        atomic_write_text(path, "1")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o604)
    atomic_write_text(path, "2")
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "target.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("target.txt")
    atomic_write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "target.txt").read_text() == "new"


def test_a_missing_directory_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        atomic_write_text(tmp_path / "missing" / "a.txt", "1")


def test_a_directory_is_no_file_to_write(tmp_path):
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        atomic_write_text(tmp_path, "1")


def test_a_pipe_is_not_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with pytest.raises(InvalidValueError, match=rf"{name}', expected a regular file.*; choose"):
            atomic_write_text(tmp_path / name, "1")
    assert stat.S_ISFIFO((tmp_path / "link").stat().st_mode)
    assert names_in(tmp_path) == ["link", "pipe"]


def test_a_device_is_not_replaced_by_a_file(tmp_path):
    # One of its own: a defect here must not cost the machine its /dev/null.
    try:
        os.mknod(tmp_path / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")
    with pytest.raises(InvalidValueError, match=r"null', expected a regular file"):
        atomic_write_bytes(tmp_path / "null", b"1")
    assert stat.S_ISCHR((tmp_path / "null").stat().st_mode)


def test_a_socket_is_not_replaced_by_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind("socket")
        with pytest.raises(InvalidValueError, match="path is 'socket', expected a regular file"):
            atomic_write_text("socket", "1")


def test_the_pipe_behind_a_link_of_the_kernel_is_not_a_file(tmp_path):
    reading, writing = os.pipe()
    try:
        with pytest.raises(InvalidValueError, match="expected a regular file"):
            atomic_write_text(f"/dev/fd/{writing}", "1")
    finally:
        os.close(reading)
        os.close(writing)


def test_a_full_disk_is_told_with_the_file(tmp_path):
    path = tmp_path / "a.txt"
    with (
        pytest.raises(OSError, match=r"No space left.*a\.txt") as caught,
        atomic_path(path),
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        full.write(b"1")
    assert caught.value.filename == str(path)
    with pytest.raises(TimeoutError) as caught, atomic_path(path):
        raise TimeoutError(errno.ETIMEDOUT, "from elsewhere")
    assert caught.value.filename is None
    assert names_in(tmp_path) == []


def test_the_longest_name_works(tmp_path):
    path = tmp_path / ("σ" * 127)
    atomic_write_text(path, "1")
    assert path.read_text() == "1"


def test_a_writer_may_want_a_path(tmp_path):
    with atomic_path(tmp_path / "a.npy") as partial:
        array = np.lib.format.open_memmap(partial, "w+", np.float32, (3, 2))
        array[:] = 7
        array.flush()
        assert not (tmp_path / "a.npy").exists()
    assert np.load(tmp_path / "a.npy").sum() == 42
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "b.npy") as partial:
        partial.unlink()
    assert names_in(tmp_path) == ["a.npy"]


def test_a_directory_is_replaced_whole(tmp_path):
    for text in ("first", "second"):
        with atomic_directory(tmp_path / "out") as folder:
            (folder / "inner").mkdir()
            (folder / "inner" / text).write_text(text)
    assert names_in(tmp_path) == ["out"]
    assert names_in(tmp_path / "out" / "inner") == ["second"]


def test_a_failure_leaves_the_old_directory_and_nothing_else(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("old")
    with contextlib.suppress(BrokenDiskError), atomic_directory(tmp_path / "out") as folder:
        (folder / "new").write_text("new")
        raise BrokenDiskError
    assert names_in(tmp_path) == ["out"]
    assert names_in(tmp_path / "out") == ["old"]


def test_a_file_is_no_directory_to_replace(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(NotADirectoryError), atomic_directory(tmp_path / "out"):
        pass
    assert (tmp_path / "out").read_text() == "a file"


def test_digests_are_sha_256(tmp_path):
    # FIPS 180-2, appendix B.1.
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    Path(tmp_path, "abc").write_bytes(b"abc")
    assert bytes_digest(b"abc") == file_digest(tmp_path / "abc") == expected
