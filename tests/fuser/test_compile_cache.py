import ctypes
import errno
import hashlib
import json
import os
import stat
import subprocess
import sys
import time

import pytest

from sestina.core.errors import InvalidValueError
from sestina.fuser.compile import cache as caching
from sestina.fuser.compile import native
from sestina.fuser.compile.cache import Cache, default_folder


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "kernels", capacity_bytes=1100)


def test_code_is_found_again_by_another_process(cache):
    cache.put("a" * 64, b"code")
    assert Cache(cache.folder).get("a" * 64) == b"code"
    assert cache.get("b" * 64) is None
    assert cache.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", [b"", b"x", b"sestina-kernel-2\n" + bytes(40)])
def test_a_damaged_file_is_dropped(cache, damage, caplog):
    cache.put("a" * 64, b"code")
    path = next(cache.folder.iterdir())
    path.write_bytes(damage)
    assert cache.get("a" * 64) is None
    assert "damaged" in caplog.text
    assert not path.exists()


def test_a_changed_byte_of_code_is_noticed(cache):
    cache.put("a" * 64, b"code")
    path = next(cache.folder.iterdir())
    path.write_bytes(path.read_bytes()[:-1] + b"X")
    assert cache.get("a" * 64) is None


def test_code_under_the_name_of_another_is_not_used(cache, caplog):
    cache.put("a" * 64, b"code")
    (path,) = cache.folder.iterdir()
    path.rename(cache.folder / f"{'b' * 64}.kernel")
    assert cache.get("b" * 64) is None
    assert "damaged" in caplog.text
    assert cache.kernels() == []


def test_a_file_of_the_former_format_is_made_anew(cache):
    cache.put("a" * 64, b"code")
    (path,) = cache.folder.iterdir()
    # The digest was of the code alone.
    path.write_bytes(b"sestina-kernel-1\n" + hashlib.sha256(b"code").digest() + b"code")
    assert cache.get("a" * 64) is None
    cache.put("a" * 64, b"code")
    assert cache.get("a" * 64) == b"code"


@pytest.mark.parametrize("wrong", ["another kernel", "no code"])
def test_code_that_cannot_be_linked_is_compiled_anew_once(cache, wrong, caplog, monkeypatch):
    cache.capacity_bytes = 1 << 20
    monkeypatch.setattr(native, "kernel_cache", lambda: cache)
    source = native.Text("define i64 @rows() {\n  ret i64 2\n}\n")
    code = native._generated_code(source.source.replace("rows", "others"))
    key = native.code_key(source)
    cache.put(key, code if wrong == "another kernel" else b"no code")
    origins = []
    for _ in range(2):
        made = native.compiled(source, has_finish=False)
        origins.append(made.origin)
        assert ctypes.CFUNCTYPE(ctypes.c_int64)(made.kernel.rows)() == 2
        del made  # and its code with it
    assert origins == ["compiled", "disk"]
    assert caplog.text.count("linked") == 1


def test_the_longest_unused_goes_when_there_is_too_much(cache):
    for index, key in enumerate("abc"):
        cache.put(key * 64, bytes(300))
        os.utime(cache.folder / f"{key * 64}.kernel", (1000 + index, 1000 + index))
    cache.get("a" * 64)
    cache.put("d" * 64, bytes(300))
    assert cache.get("b" * 64) is None
    assert cache.get("a" * 64) is not None


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
def test_a_folder_that_others_can_look_into_is_closed_to_them(cache, mode):
    cache.put("a" * 64, b"code")
    cache.folder.chmod(mode)
    assert cache.get("a" * 64) == b"code"
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_what_is_in_a_folder_that_others_can_write_to_is_not_used(cache, mode, caplog):
    cache.put("a" * 64, b"code")
    cache.folder.chmod(mode)
    assert cache.get("a" * 64) is None
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    assert caplog.text.count("could have changed") == 1
    cache.put("a" * 64, b"code")
    assert cache.get("a" * 64) == b"code"


def test_a_folder_that_cannot_be_closed_is_not_used(cache, caplog, monkeypatch):
    cache.put("a" * 64, b"code")
    cache.folder.chmod(0o755)

    def refused(self, mode):
        raise PermissionError(errno.EPERM, "not permitted", str(self))

    # As of a file system that has no such modes.
    for change in (refused, lambda self, mode: None):
        monkeypatch.setattr(type(cache.folder), "chmod", change)
        another = Cache(cache.folder)
        assert another.get("a" * 64) is None
        another.put("b" * 64, b"code")
        assert another.kernels() == []
    assert caplog.text.count("not kept") == 2
    assert "not permitted" in caplog.text
    assert "can't be closed" in caplog.text


def test_files_are_the_users_alone_whatever_the_umask(cache):
    before = os.umask(0)
    try:
        cache.put("a" * 64, b"code")
    finally:
        os.umask(before)
    (path,) = cache.folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_others_can_write_to_is_not_used(cache, caplog):
    cache.put("a" * 64, b"code")
    (path,) = cache.folder.iterdir()
    path.chmod(0o666)
    assert cache.get("a" * 64) is None
    assert "only the user can write to" in caplog.text
    assert not path.exists()


def test_a_link_in_the_place_of_the_folder_is_not_followed(cache, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    cache.folder.symlink_to(tmp_path / "elsewhere")
    cache.put("a" * 64, b"code")
    cache.part("costs").put("a" * 64, b"code")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    for part in (cache, cache.part("costs")):
        with pytest.raises(InvalidValueError, match="a link is not followed"):
            part.check()


def test_a_folder_that_cannot_be_made_is_said_once(tmp_path, caplog):
    (tmp_path / "file").write_text("x")
    cache = Cache(tmp_path / "file" / "kernels")
    cache.put("a" * 64, b"code")
    cache.put("b" * 64, b"code")
    assert caplog.text.count("not kept") == 1
    assert cache.get("a" * 64) is None


def test_kernels_can_be_listed_and_cleared(cache):
    cache.put("a" * 64, b"code")
    cache.put("b" * 64, b"longer code")
    assert {kernel.name for kernel in cache.kernels()} == {"a" * 64, "b" * 64}
    assert cache.clear() == 2
    assert cache.kernels() == []


def test_what_cannot_be_removed_stays_and_is_said(cache, caplog):
    cache.put("b" * 64, b"code")
    folder = cache.folder / f"{'a' * 64}.kernel"
    folder.mkdir()
    assert [kernel.name for kernel in cache.kernels()] == ["b" * 64]
    assert cache.get("a" * 64) is None
    assert cache.clear() == 1
    assert cache.kernels() == []
    assert f"{folder} stays" in caplog.text


def test_a_part_is_listed_and_cleared_alone(cache):
    cache.put("a" * 64, b"code")
    part = cache.part("costs")
    part.put("b" * 64, b"code")
    assert [kernel.name for kernel in cache.kernels()] == ["a" * 64]
    assert cache.clear() == 1
    assert [kernel.name for kernel in part.kernels()] == ["b" * 64]
    assert part.folder.stat().st_mode & 0o777 == 0o700


def test_the_users_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "sestina" / "fuser"


@pytest.mark.parametrize("value", ["", "cache", "./cache", "~/cache"])
def test_a_relative_path_in_the_environment_is_ignored(monkeypatch, tmp_path, value):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert default_folder() == tmp_path / ".cache" / "sestina" / "fuser"


HOMELESS = """
import json, logging, os, pwd, torch
os.environ.pop("HOME", None)
os.environ.pop("XDG_CACHE_HOME", None)
def nobody(uid):
    raise KeyError(uid)
pwd.getpwuid = nobody
from sestina.core.errors import InvalidValueError
from sestina.fuser import fuse, measured
from sestina.fuser.compile import native
said = []
handler = logging.Handler()
handler.emit = lambda record: said.append(record.getMessage())
logging.getLogger("sestina").addHandler(handler)
logging.getLogger("sestina").setLevel(logging.WARNING)
results = [float(fuse(lambda x: (x * k).exp().sum())(torch.zeros(3, 5))) for k in (1, 2)]
results.append(measured.once("a test", lambda: 0.5))
try:
    native.kernel_cache().check()
except InvalidValueError as error:
    results.append(error.remedy)
print(json.dumps([results, said]))
"""


def test_a_user_without_a_home_compiles_and_is_told_once(tmp_path):
    command = [sys.executable, "-c", HOMELESS]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    results, said = json.loads(done.stdout)
    assert results[:3] == [15.0, 15.0, 0.5]
    assert "set HOME" in results[3]
    assert len(said) == 1
    assert "kernels are not kept on disk: the user has no home" in said[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT], ids=errno.errorcode.get
)
def test_a_disk_that_takes_nothing_is_said_once(cache, caplog, monkeypatch, code):
    def full(path, mode):
        raise OSError(code, os.strerror(code), str(path))

    cache.put("a" * 64, b"code")
    monkeypatch.setattr(caching, "atomic_open", full)
    for key in "bc":
        cache.put(key * 64, b"code")
        assert cache.get(key * 64) is None
    assert caplog.text.count("not kept") == 1
    assert os.strerror(code) in caplog.text
    assert cache.get("a" * 64) == b"code"


def test_a_damaged_file_that_cannot_be_removed_is_passed_over(cache, monkeypatch):
    cache.put("a" * 64, b"code")
    path = next(cache.folder.iterdir())
    path.write_bytes(b"x")

    def refused(self, missing_ok=False):
        raise PermissionError(errno.EACCES, "no", str(self))

    with monkeypatch.context() as patch:
        patch.setattr(type(path), "unlink", refused)
        assert cache.get("a" * 64) is None
    cache.put("a" * 64, b"code")
    assert cache.get("a" * 64) == b"code"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_not_used(cache, caplog):
    cache.put("a" * 64, b"code")
    os.chown(cache.folder, 12345, 12345)
    assert cache.get("a" * 64) is None
    assert caplog.text.count("not kept") == 1
    with pytest.raises(InvalidValueError, match="it belongs to user 12345"):
        cache.check()


def test_what_a_killed_process_was_writing_is_no_kernel_and_goes(cache):
    cache.put("a" * 64, b"code")
    old, new = (cache.folder / f".{'b' * 64}.kernel.{name}.partial" for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"half of it")
    os.utime(old, (1000, 1000))
    assert [kernel.name for kernel in cache.kernels()] == ["a" * 64]
    Cache(cache.folder).put("c" * 64, b"code")
    assert not old.exists()
    assert new.exists()  # its process may be alive


def test_a_process_that_is_killed_while_it_writes_harms_nobody(tmp_path):
    folder = tmp_path / "kernels"
    code = (
        "import sys; from pathlib import Path; from sestina.fuser.compile.cache import Cache\n"
        "cache, number = Cache(Path(sys.argv[1])), 0\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    cache.put(f'{number % 4:064d}', bytes([number % 4]) * 100_000)\n"
        "    number += 1\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)
    process.kill()
    process.communicate()
    cache = Cache(folder)
    assert cache.kernels()
    for kernel in cache.kernels():
        assert cache.get(kernel.name) == bytes([int(kernel.name)]) * 100_000


TRAINED = """
import json, sys, torch
from pathlib import Path
from sestina.fuser import fuse
from sestina.fuser.compile import native
from sestina.fuser.compile.cache import Cache

cache, made = Cache(Path(sys.argv[1])), []
native.kernel_cache = lambda: cache
generated = native._generated_code
native._generated_code = lambda source: made.append(source) or generated(source)
x = torch.linspace(-3, 3, 600).reshape(20, 30).requires_grad_()
result = fuse(lambda x: torch.nn.functional.gelu(x.softmax(-1) * 9).pow(2).sum())(x)
result.backward()
print(json.dumps([len(made), float(result.detach()), x.grad.sum(0).tolist()]))
"""


def trained(folder):
    return subprocess.Popen(
        [sys.executable, "-c", TRAINED, str(folder)], stdout=subprocess.PIPE, text=True
    )


def said(process):
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return json.loads(output)


def test_processes_that_compile_at_once_share_a_cache(tmp_path):
    folder = tmp_path / "kernels"
    first, second = (said(process) for process in [trained(folder), trained(folder)])
    assert first[1:] == second[1:]
    cached = Cache(folder).kernels()
    for kernel, damage in zip(cached, [b"", b"cut off", bytes(90)], strict=False):
        (folder / f"{kernel.name}.kernel").write_bytes(damage)
    third = said(trained(folder))
    assert third[1:] == first[1:]
    assert third[0] == min(3, len(cached))  # what was damaged, and nothing else
    assert [kernel.name for kernel in Cache(folder).kernels() if kernel.size_bytes < 100] == []
