import pytest

from sestina.core.errors import InvalidValueError
from sestina.fuser import measured
from sestina.fuser.compile import native
from sestina.fuser.compile.cache import Cache


def test_what_is_measured_is_measured_once(monkeypatch):
    calls = []

    def measure():
        calls.append(1)
        return [True, 0.5]

    assert measured.once("a test", measure) == [True, 0.5]
    monkeypatch.setattr(measured, "_in_memory", {})  # as in another process
    assert measured.once("a test", measure) == [True, 0.5]
    assert calls == [1]


def test_what_was_measured_is_listed_by_name_and_can_be_forgotten():
    calls = []

    def measure():
        calls.append(1)
        return len(calls)

    first = measured.once("products of a and b, 2 threads", measure)
    assert "products-of-a-and-b-2-threads" in [one.name for one in measured.kept()]
    assert measured.forget() >= 1
    assert measured.kept() == []
    assert measured.once("products of a and b, 2 threads", measure) == first + 1


def test_a_link_in_the_place_of_the_kernels_folder_is_not_followed(monkeypatch, tmp_path, caplog):
    (tmp_path / "elsewhere" / "costs").mkdir(parents=True, mode=0o700)
    (tmp_path / "kernels").symlink_to(tmp_path / "elsewhere")
    cache = Cache(tmp_path / "kernels")
    monkeypatch.setattr(native, "kernel_cache", lambda: cache)
    monkeypatch.setattr(measured, "_in_memory", {})
    for name in ("one", "two"):
        assert measured.once(name, lambda: 3) == 3
    assert list((tmp_path / "elsewhere" / "costs").iterdir()) == []
    assert caplog.text.count("not kept") == 1
    with pytest.raises(InvalidValueError, match="a link is not followed"):
        measured.kept()
