"""Files for LibriSpeech, from a small server of our own."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from sestina.decoding.compat.torchaudio import download_pretrained_files
from sestina.decoding.compat.torchaudio.pretrained import PretrainedFiles

CONTENTS = {
    f"/{model}/{name}": f"{name} of {model}\n".encode() * 50
    for model in ("librispeech", "librispeech-3-gram")
    for name in ("lexicon.txt", "tokens.txt", "lm.bin")
}


class Server(HTTPServer):
    """Serves CONTENTS; `cut` bytes are held back once, and `asked` remembers the ranges."""

    cut = 0
    ranges = True
    shift = 0
    length = None
    kind = "application/octet-stream"
    asked: list


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        data = CONTENTS.get(self.path)
        if data is None:
            self.send_error(404)
            return
        asked = self.headers.get("Range") if self.server.ranges else None
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if asked and start >= len(data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(data)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = max(0, start - self.server.shift) if asked else 0
        body = data[start:]
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Type", self.server.kind)
        self.send_header("Content-Length", self.server.length or str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) - self.server.cut])
        self.server.cut = 0

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    server = Server(("127.0.0.1", 0), Handler)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("SESTINA_DECODER_ASSETS_URL", f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_files_are_fetched_once_and_their_digests_kept(server, tmp_path):
    files = download_pretrained_files("librispeech-3-gram", folder=tmp_path)
    place = tmp_path / "librispeech-3-gram"
    assert files == (
        str(place / "lexicon.txt"),
        str(place / "tokens.txt"),
        str(place / "lm.bin"),
    )
    assert files._fields == ("lexicon", "tokens", "lm")
    data = CONTENTS["/librispeech-3-gram/lm.bin"]
    assert (place / "lm.bin").read_bytes() == data
    assert (place / "lm.bin.sha256").read_text().strip() == hashlib.sha256(data).hexdigest()
    assert len(server.asked) == 3
    assert download_pretrained_files("librispeech-3-gram", folder=tmp_path) == files
    assert len(server.asked) == 3


def test_there_is_no_language_model_without_an_order(server, tmp_path, monkeypatch):
    monkeypatch.setenv("SESTINA_DECODER_ASSETS", str(tmp_path))
    files = download_pretrained_files("librispeech")
    assert isinstance(files, PretrainedFiles)
    assert files.lm is None
    assert files.tokens == str(tmp_path / "librispeech" / "tokens.txt")


def test_a_fetch_that_was_cut_off_goes_on_where_it_stopped(server, tmp_path):
    server.cut = 100
    with pytest.raises(RuntimeError, match=r"lexicon\.txt can't be fetched .*call again to go on"):
        download_pretrained_files("librispeech", folder=tmp_path)
    files = download_pretrained_files("librispeech", folder=tmp_path)
    data = CONTENTS["/librispeech/lexicon.txt"]
    assert server.asked[1] == ("/librispeech/lexicon.txt", f"bytes={len(data) - 100}-")
    assert (tmp_path / "librispeech" / "lexicon.txt").read_bytes() == data
    assert files.lexicon == str(tmp_path / "librispeech" / "lexicon.txt")


def test_a_server_without_ranges_is_read_from_the_start(server, tmp_path):
    server.cut, server.ranges = 100, False
    with pytest.raises(RuntimeError):
        download_pretrained_files("librispeech", folder=tmp_path)
    download_pretrained_files("librispeech", folder=tmp_path)
    found = (tmp_path / "librispeech" / "lexicon.txt").read_bytes()
    assert found == CONTENTS["/librispeech/lexicon.txt"]


def test_a_part_that_is_whole_already_is_taken(server, tmp_path):
    place = tmp_path / "librispeech"
    place.mkdir()
    data = CONTENTS["/librispeech/lexicon.txt"]
    (place / "lexicon.txt.part").write_bytes(data)
    download_pretrained_files("librispeech", folder=tmp_path)
    assert (place / "lexicon.txt").read_bytes() == data


def test_a_part_that_is_longer_than_the_file_is_no_part_of_it(server, tmp_path):
    place = tmp_path / "librispeech"
    place.mkdir()
    data = CONTENTS["/librispeech/lexicon.txt"]
    (place / "lexicon.txt.part").write_bytes(data + b"more")
    download_pretrained_files("librispeech", folder=tmp_path)
    assert (place / "lexicon.txt").read_bytes() == data


def test_another_range_than_the_one_asked_for_is_not_put_together(server, tmp_path):
    place = tmp_path / "librispeech"
    place.mkdir()
    data = CONTENTS["/librispeech/lexicon.txt"]
    (place / "lexicon.txt.part").write_bytes(data[:50])
    server.shift = 7
    with pytest.raises(RuntimeError, match=r"bytes from 50 were asked for, and bytes 43-"):
        download_pretrained_files("librispeech", folder=tmp_path)
    download_pretrained_files("librispeech", folder=tmp_path)
    assert (place / "lexicon.txt").read_bytes() == data


def test_a_length_that_is_no_number_is_none(server, tmp_path):
    server.length = "many"
    files = download_pretrained_files("librispeech", folder=tmp_path)
    assert Path(files.lexicon).read_bytes() == CONTENTS["/librispeech/lexicon.txt"]


def test_an_answer_that_is_no_http_is_an_error_that_names_the_files(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        monkeypatch.setenv("SESTINA_DECODER_ASSETS_URL", f"http://127.0.0.1:{port}")

        def answer():
            connection, _ = listening.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"220 mail.example ready\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(RuntimeError, match=r"ready\); fetch .*place them in"):
            download_pretrained_files("librispeech", folder=tmp_path)
        thread.join()


def test_a_file_that_differs_from_the_recorded_digest_is_refused(server, tmp_path):
    download_pretrained_files("librispeech", folder=tmp_path)
    place = tmp_path / "librispeech"
    (place / "tokens.txt").unlink()
    (place / "tokens.txt.sha256").write_text("0" * 64)
    with pytest.raises(ValueError, match=r"tokens\.txt has the SHA-256 digest .* expected 0000"):
        download_pretrained_files("librispeech", folder=tmp_path)
    assert not (place / "tokens.txt").exists()


def test_a_file_that_has_changed_since_it_was_fetched_is_refused(server, tmp_path):
    files = download_pretrained_files("librispeech", folder=tmp_path)
    record = Path(f"{files.tokens}.sha256")
    later = record.stat().st_mtime_ns + 10**9
    os.utime(files.tokens, ns=(later, later))
    assert download_pretrained_files("librispeech", folder=tmp_path) == files  # only touched
    Path(files.tokens).write_text("cut off")
    later = record.stat().st_mtime_ns + 10**9
    os.utime(files.tokens, ns=(later, later))
    with pytest.raises(ValueError, match=r"the SHA-256 digest .*delete it and call again"):
        download_pretrained_files("librispeech", folder=tmp_path)
    record.unlink()
    assert download_pretrained_files("librispeech", folder=tmp_path) == files


def test_a_page_of_a_login_is_no_file(server, tmp_path):
    server.kind = "text/html; charset=utf-8"
    with pytest.raises(RuntimeError, match=r"a page of HTML came.*place them in"):
        download_pretrained_files("librispeech", folder=tmp_path)
    assert not list(tmp_path.rglob("*.txt"))
    server.kind = "text/plain"
    download_pretrained_files("librispeech", folder=tmp_path)


def test_files_placed_by_hand_need_no_network(tmp_path, monkeypatch):
    monkeypatch.setenv("SESTINA_DECODER_ASSETS_URL", "http://127.0.0.1:9")  # the discard port
    place = tmp_path / "librispeech"
    place.mkdir()
    for name in ("lexicon.txt", "tokens.txt"):
        (place / name).write_text("placed")
    assert download_pretrained_files("librispeech", folder=tmp_path).lexicon == str(
        place / "lexicon.txt"
    )


def test_without_a_network_the_error_names_the_files_and_where_they_go(tmp_path, monkeypatch):
    monkeypatch.setenv("SESTINA_DECODER_ASSETS_URL", "http://127.0.0.1:9")
    with pytest.raises(RuntimeError) as caught:
        download_pretrained_files("librispeech-4-gram", folder=tmp_path)
    for part in (
        "lexicon.txt, tokens.txt, lm.bin",
        str(tmp_path / "librispeech-4-gram"),
        "SESTINA_DECODER_ASSETS",
    ):
        assert part in str(caught.value)


def test_files_that_torchaudio_has_fetched_are_found(tmp_path, monkeypatch):
    monkeypatch.delenv("SESTINA_DECODER_ASSETS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("SESTINA_DECODER_ASSETS_URL", "http://127.0.0.1:9")
    place = tmp_path / "hub" / "torchaudio" / "decoder-assets" / "librispeech"
    place.mkdir(parents=True)
    for name in ("lexicon.txt", "tokens.txt"):
        (place / name).write_text("theirs")
    assert download_pretrained_files("librispeech").tokens == str(place / "tokens.txt")


def test_an_unknown_model_is_a_value_error_that_names_the_known():
    with pytest.raises(
        ValueError, match=r"'librispeech-5-gram' is not supported.*'sestina-sample'"
    ):
        download_pretrained_files("librispeech-5-gram")


def test_the_bundled_sample_needs_no_network():
    files = download_pretrained_files("sestina-sample")
    assert all(Path(path).stat().st_size for path in files)
