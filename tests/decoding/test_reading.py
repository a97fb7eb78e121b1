import gzip

import pytest

from sestina.core.errors import FileFormatError
from sestina.decoding.reading import Problem, naming_path, read_bytes


def test_a_problem_gets_its_path_and_line():
    with pytest.raises(FileFormatError, match=r"a.txt:7: wrong; mend it") as error:  # noqa: SIM117
        with naming_path("a.txt"):
            raise Problem(b"wrong", "mend it", 7)
    assert error.value.line == 7


def test_a_binary_file_has_no_line():
    with pytest.raises(FileFormatError, match=r"^a.bin: wrong; mend it") as error:  # noqa: SIM117
        with naming_path("a.bin"):
            raise Problem(b"wrong", "mend it", 0)
    assert error.value.line is None


def test_packed_files_are_unpacked_and_damage_is_an_error(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"content" * 100))
    assert read_bytes(path) == b"content" * 100
    damaged = bytearray(path.read_bytes())
    for cut in (damaged[:15], damaged[:12] + b"\xff\xff" + damaged[14:], b"no gzip"):
        path.write_bytes(cut)
        with pytest.raises(FileFormatError, match="gzip stream is damaged"):
            read_bytes(path)


def test_a_file_that_unpacks_without_end_is_refused(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"0" * 30_000_000))
    with pytest.raises(FileFormatError, match=r"bomb.gz: it unpacks to over .* bytes"):
        read_bytes(path)
