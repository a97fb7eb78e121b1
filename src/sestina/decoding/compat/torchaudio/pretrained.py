"""The files that TorchAudio offers for LibriSpeech: fetched once, checked, and kept."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import Final, NamedTuple

from sestina.decoding import samples

__all__ = ["PretrainedFiles", "download_pretrained_files"]

_LOG = logging.getLogger(__name__)
_FOLDER_VARIABLE: Final = "SESTINA_DECODER_ASSETS"
_SOURCE_VARIABLE: Final = "SESTINA_DECODER_ASSETS_URL"
_SOURCE: Final = "https://download.pytorch.org/torchaudio/decoder-assets"
_FILES: Final = {
    "librispeech": ("lexicon.txt", "tokens.txt"),
    "librispeech-3-gram": ("lexicon.txt", "tokens.txt", "lm.bin"),
    "librispeech-4-gram": ("lexicon.txt", "tokens.txt", "lm.bin"),
}
_SAMPLE: Final = "sestina-sample"
_TIMEOUT_S: Final = 30.0
_BLOCK: Final = 1 << 20


class PretrainedFiles(NamedTuple):
    """Paths of what a decoder is made of."""

    lexicon: str
    tokens: str
    lm: str | None


def download_pretrained_files(model: str, *, folder: str | Path | None = None) -> PretrainedFiles:
    """The lexicon, tokens and language model of that name.

    Files that are there are not fetched again. A fetch that was cut off goes on where it stopped.
    The digest of a file is written beside it when it is first fetched, and compared when it is
    fetched again or has changed since.

    Args:
        model: "librispeech", "librispeech-3-gram" or "librispeech-4-gram"; or "sestina-sample", a
            small set that comes with the package.
        folder: where files are looked for, and put, in a folder named as the model. If not given,
            what the environment variable SESTINA_DECODER_ASSETS names, otherwise the place where
            TorchAudio keeps its own: `~/.cache/torch/hub/torchaudio/decoder-assets`.

    Raises:
        ValueError: if there is no such model, or a file differs from the one fetched before.
        RuntimeError: if a file can't be fetched; it names the files to place and where.
    """
    if model == _SAMPLE:
        bundled = samples.sample()
        return PretrainedFiles(
            lexicon=str(bundled.lexicon_path),
            tokens=str(bundled.tokens_path),
            lm=str(bundled.arpa_path),
        )
    if model not in _FILES:
        known = ", ".join(repr(name) for name in (*_FILES, _SAMPLE))
        raise ValueError(
            f"{model!r} is not supported, expected one of {known}; choose one of these"
        )
    place = Path(folder or os.environ.get(_FOLDER_VARIABLE) or _cache()) / model
    missing = [name for name in _FILES[model] if not (place / name).is_file()]
    for name in _FILES[model]:
        if name not in missing:
            _check_kept(place / name)
    source = os.environ.get(_SOURCE_VARIABLE, _SOURCE)
    for name in missing:
        try:
            _fetch(f"{source}/{model}/{name}", place / name)
        except (OSError, http.client.HTTPException) as error:  # of urllib, too
            raise RuntimeError(
                f"{source}/{model}/{name} can't be fetched ({str(error).strip()}); "
                f"fetch {', '.join(missing)} where there is a network and "
                f"place them in {place}, "
                f"or name another folder with {_FOLDER_VARIABLE}"
            ) from error
    paths = [str(place / name) for name in _FILES[model]]
    return PretrainedFiles(paths[0], paths[1], paths[2] if len(paths) > 2 else None)


def _cache() -> Path:
    """Where torch.hub keeps its files; what TorchAudio has fetched is found there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = Path(os.environ.get("TORCH_HOME") or cache / "torch")
    return home / "hub" / "torchaudio" / "decoder-assets"


def _fetch(url: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    start = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(  # noqa: S310  the scheme is ours or the user's own choice
        url, headers={"Range": f"bytes={start}-"} if start else {}
    )
    _LOG.info("fetching %s from byte %d", url, start)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310  as above
            resumed = answer.status == HTTPStatus.PARTIAL_CONTENT
            if resumed and not _range_of(answer).startswith(f"bytes {start}-"):
                partial.unlink()  # it would be of no use beside what came
                raise OSError(
                    f"bytes from {start} were asked for, and {_range_of(answer) or 'others'} came; "
                    "call again to start anew"
                )
            if answer.headers.get_content_type() == "text/html":
                raise OSError("a page of HTML came, not the file: is there a login in between?")
            length = answer.headers.get("Content-Length", "")
            expected = int(length) if length.isdecimal() else -1
            with partial.open("ab" if resumed else "wb") as file:
                while block := answer.read(_BLOCK):
                    file.write(block)
    except urllib.error.HTTPError as error:
        if not (start and error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
            raise
        if _range_of(error) != f"bytes */{start}":
            _LOG.info("%s is no part of %s: fetching anew", partial, url)
            partial.unlink()
            _fetch(url, path)
            return
        # The range begins where the file ends: all of it is here already.
        expected, resumed = 0, True
    size = partial.stat().st_size
    whole = expected + (start if resumed else 0)
    if expected >= 0 and size != whole:
        raise OSError(f"{size} of {whole} bytes came; call again to go on from there")
    _check_digest(partial, _record_of(path))
    partial.replace(path)


def _range_of(answer: http.client.HTTPResponse | urllib.error.HTTPError) -> str:
    """What came of a file, "" if the server does not say. Source: RFC 9110, section 14.4."""
    return str(answer.headers.get("Content-Range", ""))


def _check_kept(path: Path) -> None:
    """Compares a file with its digest if it has been written since that was."""
    record = _record_of(path)
    if record.exists() and path.stat().st_mtime_ns > record.stat().st_mtime_ns:
        digest, expected = _digest(path), record.read_text(encoding="ascii").strip()
        if digest != expected:
            raise ValueError(
                f"{path} has the SHA-256 digest {digest}, expected {expected} as it was fetched; "
                f"delete it and call again, or delete {record} if it is meant to be another"
            )
        os.utime(record)


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_digest(fetched: Path, record: Path) -> None:
    digest = _digest(fetched)
    if not record.exists():
        record.write_text(f"{digest}\n", encoding="ascii")
        return
    expected = record.read_text(encoding="ascii").strip()
    if digest != expected:
        fetched.unlink()
        raise ValueError(
            f"the file fetched as {record.with_suffix('')} has the SHA-256 digest {digest}, "
            f"expected {expected} as recorded in {record}; call again, or delete the record if the "
            "source has changed"
        )
