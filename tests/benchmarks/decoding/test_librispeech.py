"""LibriSpeech's folders are read as they are unpacked; beams are compared at equal word errors."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.decoding.librispeech import Measured, draw, smallest_beams, utterances, waveform_of
from sestina.decoding import samples


@pytest.fixture
def part(tmp_path):
    for speaker, chapter, texts in (("7", "2", ["A B", "C"]), ("116", "9", ["IT'S D"])):
        folder = tmp_path / "dev-other" / speaker / chapter
        folder.mkdir(parents=True)
        names = [f"{speaker}-{chapter}-{n:04d}" for n in range(len(texts))]
        lines = (f"{name} {text}\n" for name, text in zip(names, texts, strict=True))
        (folder / f"{speaker}-{chapter}.trans.txt").write_text("".join(lines))
        for name in names:
            (folder / f"{name}.flac").touch()
    return tmp_path / "dev-other"


def test_utterances_come_with_what_is_said_in_the_order_of_their_names(part):
    found = [(path.name, text) for path, text in utterances(part)]
    assert found == [
        ("116-9-0000.flac", "IT'S D"),
        ("7-2-0000.flac", "A B"),
        ("7-2-0001.flac", "C"),
    ]


def test_a_sound_that_is_not_there_is_named(part):
    (part / "7" / "2" / "7-2-0001.flac").unlink()
    with pytest.raises(FileNotFoundError, match=r"7-2-0001\.flac: named in .*7-2\.trans\.txt"):
        list(utterances(part))


def test_flac_and_wav_give_the_same_sound(tmp_path):
    soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed")
    path = samples.recordings()[0].path
    soundfile.write(tmp_path / "same.flac", waveform_of(path), 16_000)
    np.testing.assert_allclose(waveform_of(tmp_path / "same.flac"), waveform_of(path), atol=2**-15)


def row(decoder, beam, wer_percent):
    return Measured(decoder=decoder, beam=beam, us_per_frame=beam / 10, wer_percent=wer_percent)


def test_the_smallest_beam_that_errs_no_more_is_found():
    own = [row("sestina", 50, 8.0), row("sestina", 5, 10.0), row("sestina", 20, 8.0)]
    peers = [row("flashlight", 50, 10.0), row("flashlight", 100, 9.0), row("flashlight", 500, 7.9)]
    found = [(peer.beam, own and own.beam) for peer, own in smallest_beams([*own, *peers])]
    assert found == [(50, 5), (100, 20), (500, None)]


def test_both_pictures_are_drawn(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    draw([row("sestina", 5, 9.0), row("sestina", 50, 8.0), row("flashlight", 50, 9.0)], tmp_path)
    for name in ("time.png", "beams.png"):
        assert (tmp_path / name).read_bytes()[:4] == b"\x89PNG"
