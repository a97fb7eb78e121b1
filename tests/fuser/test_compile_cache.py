import os

import pytest

from sestina.fuser.compile.cache import Cache, default_folder


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "kernels", capacity_bytes=1100)


def test_code_is_found_again_by_another_process(cache):
    cache.put("a" * 64, b"code")
    assert Cache(cache.folder).get("a" * 64) == b"code"
    assert cache.get("b" * 64) is None
    assert cache.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", [b"", b"x", b"sestina-kernel-1\n" + bytes(40)])
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


def test_the_longest_unused_goes_when_there_is_too_much(cache):
    for index, key in enumerate("abc"):
        cache.put(key * 64, bytes(300))
        os.utime(cache.folder / f"{key * 64}.kernel", (1000 + index, 1000 + index))
    cache.get("a" * 64)
    cache.put("d" * 64, bytes(300))
    assert cache.get("b" * 64) is None
    assert cache.get("a" * 64) is not None


def test_a_folder_that_others_can_write_to_is_not_used(cache, caplog):
    cache.folder.mkdir(mode=0o700)
    cache.put("a" * 64, b"code")
    cache.folder.chmod(0o777)
    assert cache.get("a" * 64) is None
    cache.put("b" * 64, b"code")
    assert caplog.text.count("not kept") == 1


def test_a_link_in_the_place_of_the_folder_is_not_followed(cache, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    cache.folder.symlink_to(tmp_path / "elsewhere")
    cache.put("a" * 64, b"code")
    assert list((tmp_path / "elsewhere").iterdir()) == []


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


def test_the_users_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "sestina" / "fuser"
