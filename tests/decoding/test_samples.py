"""The bundled samples are what they say, sound files are read right or refused, the model agrees
with the same network in torch.
"""

from __future__ import annotations

import gzip
import math
import struct
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recipes.speech.grammar import draw_splits, vocabulary
from sestina.core.errors import (
    DtypeError,
    FileFormatError,
    InvalidValueError,
    NonFiniteError,
    ShapeError,
    UnknownNameError,
)
from sestina.decoding.samples import (
    AcousticModel,
    acoustic_model,
    read_wav,
    recordings,
    resample,
    sample,
)
from sestina.decoding.samples.acoustic import TOKENS, log_mel

SPLITS = ("test", "tune")
# Half precision has 11 bits: its values are off by a part in 2048 at most.
HALF = 2.0**-11


def tone(rate_hz, tone_hz, seconds=0.5):
    return np.sin(2 * np.pi * tone_hz * np.arange(int(rate_hz * seconds)) / rate_hz)


def wav_bytes(samples, *, kind=1, bits=16, rate_hz=16_000, channels=1, data_size=None, extra=b""):
    """A WAV file written from the format's description; samples are raw bytes."""
    header = struct.pack(
        "<HHIIHH",
        *(kind, channels, rate_hz, rate_hz * channels * bits // 8, channels * bits // 8, bits),
    )
    size = len(samples) if data_size is None else data_size
    chunks = b"fmt " + struct.pack("<I", len(header + extra)) + header + extra
    chunks += b"LIST" + struct.pack("<I", 3) + b"abc\0"  # an odd chunk is padded
    chunks += b"data" + struct.pack("<I", size) + samples
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def encoded(wave, kind, bits):
    if kind == 3:
        return wave.astype(f"<f{bits // 8}").tobytes()
    if bits == 8:
        return np.round(wave * 127 + 128).astype("u1").tobytes()
    whole = np.round(wave * (2 ** (bits - 1) - 1)).astype("<i4")
    return whole.view("u1").reshape(-1, 4)[:, : bits // 8].tobytes()


def torch_emissions(weights, features):
    """The network written with torch's own layers, in float64."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    w = {name: torch.from_numpy(value).double() for name, value in weights.items()}

    def depthwise(x, taps, stride=1):
        channels, half = taps.shape[1], len(taps) // 2
        kernel = taps.T.unsqueeze(1)
        return functional.conv1d(x, kernel, stride=stride, padding=half, groups=channels)

    def normed(x, name):
        shift = w[f"{name}.norm.shift"]
        return functional.layer_norm(x.T, shift.shape, w[f"{name}.norm.scale"], shift)

    def mapped(x_tc, name):
        return (x_tc @ w[f"{name}.weight"] + w[f"{name}.bias"]).T

    rest = -len(features) % 4
    x = torch.from_numpy(np.pad(features, ((0, rest), (0, 0)))).double().T
    x = functional.conv1d(x, w["stem.weight"].permute(2, 1, 0), w["stem.bias"], 2, padding=2)
    x = mapped(depthwise(x.relu(), w["halve.taps"], stride=2).T, "halve")
    for block in range(sum(name.endswith(".norm.scale") for name in w) - 1):
        y = normed(depthwise(x, w[f"block{block}.taps"]), f"block{block}")
        y = mapped(y, f"block{block}.expand").relu().T
        x = x + mapped(y, f"block{block}.contract")
    scores = mapped(normed(x, "head"), "head").T.reshape(-1, len(TOKENS))
    return scores.log_softmax(1).numpy()[: math.ceil(len(features) / 2)]


def arpa_entries(path):
    entries = {}
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        fields = line.split("\t")
        if len(fields) >= 2:
            backoff = float(fields[2]) if len(fields) == 3 else 0.0
            entries[tuple(fields[1].split(" "))] = (float(fields[0]), backoff)
    return entries


def log10_probability(entries, word, history):
    if (*history, word) in entries:
        return entries[*history, word][0]
    backoff = entries[history][1] if history in entries else 0.0
    return backoff + log10_probability(entries, word, history[1:])


def test_samples_and_model_load_no_torch():
    code = (
        "import sys; from sestina.decoding import samples; samples.sample();"
        "samples.acoustic_model()(samples.read_wav(samples.recordings()[0].path));"
        "assert not {'torch', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("split", SPLITS)
def test_emissions_are_log_probabilities_of_the_tokens(split):
    bundled = sample(split)
    assert len(bundled.emissions) == len(bundled.references) == {"test": 100, "tune": 60}[split]
    assert bundled.tokens_path.read_text().split("\n") == [*TOKENS, ""]
    for emissions in bundled.emissions:
        assert emissions.dtype == np.float32
        assert emissions.shape[1] == len(TOKENS)
        # Rounded to half precision the largest, which decide the sum, are off by 1/2048 of a nat.
        np.testing.assert_allclose(np.exp(emissions).sum(axis=1), 1, atol=2 * HALF)


@pytest.mark.parametrize("split", SPLITS)
def test_references_fit_their_emissions_and_the_lexicon(split):
    bundled = sample(split)
    lexicon = dict(line.split(" ", 1) for line in bundled.lexicon_path.read_text().splitlines())
    assert list(lexicon) == vocabulary()
    assert all(spelling == f"{' '.join(word)} |" for word, spelling in lexicon.items())
    for emissions, text in zip(bundled.emissions, bundled.references, strict=True):
        assert set(text.split()) <= set(lexicon)
        repeats = sum(a == b for a, b in pairwise(text))
        assert len(emissions) >= len(text) + 1 + repeats, "CTC needs a frame for each token"


def test_no_sentence_is_in_two_sets():
    drawn = draw_splits(seed=0)
    assert sample("test").references == tuple(drawn.test)
    assert sample("tune").references == tuple(drawn.tune)
    sets = [set(drawn.test), set(drawn.tune), set(drawn.train)]
    assert len(set.union(*sets)) == sum(map(len, sets)) == 30_160


def test_the_language_model_gives_probabilities_that_add_up_to_one():
    entries = arpa_entries(sample().arpa_path)
    words = [word for (word, *more) in entries if not more and word != "<s>"]
    assert set(words) == {*vocabulary(), "<unk>", "</s>"}
    seen = [ngram[:-1] for ngram in entries if len(ngram) == 3][::2000]
    for history in [(), ("<s>",), ("<unk>",), ("dentist", "monday"), *seen]:
        total = sum(10 ** log10_probability(entries, word, history) for word in words)
        # Five decimals of a logarithm: 1.2e-5 of each probability.
        assert total == pytest.approx(1, abs=2e-5)


def test_every_backoff_of_the_language_model_has_its_shorter_ngrams():
    entries = arpa_entries(sample().arpa_path)
    longer = [ngram for ngram in entries if len(ngram) > 1]
    missing = [n for n in longer if n[:-1] not in entries or n[1:] not in entries]
    assert missing == []


def test_an_unknown_split_names_the_splits():
    with pytest.raises(UnknownNameError, match="test, tune"):
        sample("train")


@pytest.mark.parametrize("num_samples", [1, 159, 160, 161, 320, 4_000, 20_123])
def test_the_model_agrees_with_the_same_network_in_torch(num_samples):
    model = acoustic_model()
    waveform = np.random.default_rng(num_samples).standard_normal(num_samples)
    emissions = model(waveform)
    assert emissions.shape == (math.ceil(num_samples / 320), 29)
    # Float32 sums of 256 terms through 12 layers, against float64.
    expected = torch_emissions(model.weights, log_mel(waveform))
    np.testing.assert_allclose(emissions, expected, atol=2e-3)


def test_the_recordings_of_the_test_set_give_its_emissions():
    bundled = sample()
    model = acoustic_model()
    assert len(recordings()) == 3
    for recording in recordings():
        assert recording.path.stat().st_size <= 100_000
        emissions = model(read_wav(recording.path))
        stored = bundled.emissions[bundled.references.index(recording.text)]
        if "nois" in recording.path.name:
            # Half precision, and the same sums in another order on another processor.
            np.testing.assert_allclose(emissions, stored, rtol=2 * HALF, atol=5e-3)


def test_no_sound_has_no_frames_and_silence_has_finite_ones():
    model = acoustic_model()
    assert model(np.zeros(0)).shape == (0, 29)
    assert np.isfinite(model(np.zeros(16_000))).all()


def test_a_batch_is_its_waveforms_in_the_library_that_they_came_in():
    model = acoustic_model()
    waveforms = np.random.default_rng(1).standard_normal((3, 5_000)).astype(np.float32)
    emissions = model(waveforms)
    assert emissions.shape == (3, 16, 29)
    for one, own in zip(waveforms, emissions, strict=True):
        np.testing.assert_array_equal(model(one), own)
    tensors = model(torch.from_numpy(waveforms))
    assert isinstance(tensors, torch.Tensor)
    np.testing.assert_array_equal(tensors.numpy(), emissions)
    with pytest.raises(ShapeError, match=r"\(0, 9\)"):
        model(np.zeros((0, 9)))


@pytest.mark.parametrize("volume", [1e-35, 1e-3, 1e30])
def test_volume_does_not_matter(volume):
    waveform = np.random.default_rng(0).standard_normal(8_000)
    emissions = acoustic_model()(waveform)
    np.testing.assert_allclose(acoustic_model()(waveform * volume), emissions, atol=2e-3)


@pytest.mark.parametrize(
    ("waveform", "error", "text"),
    [
        (np.zeros(9, dtype=np.int16), DtypeError, "dtype int16.*32768"),
        (np.zeros(9, dtype=np.float16), DtypeError, "dtype float16"),
        (np.zeros((2, 9)), ShapeError, r"\(2, 9\).*average the channels"),
        (np.array([0, np.nan, np.inf]), NonFiniteError, "2 of 3 samples.*first at 1"),
        (np.array([1e300]), NonFiniteError, "1 of 1"),
    ],
)
def test_what_is_no_waveform_is_refused(waveform, error, text):
    # A batch of waveforms is something to the model.
    model = acoustic_model() if waveform.ndim == 1 else log_mel
    for function in (model, log_mel, lambda x: resample(x, 8_000)):
        with pytest.raises(error, match=text):
            function(waveform)


def test_features_do_not_depend_on_how_much_is_computed_at_once(monkeypatch):
    waveform = np.random.default_rng(0).standard_normal(9_999)
    whole = log_mel(waveform)
    assert whole.shape == (63, 64)
    np.testing.assert_allclose(whole.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(whole.std(axis=0), 1, atol=2e-2)
    monkeypatch.setattr("sestina.decoding.samples.acoustic._BLOCK_FRAMES", 7)
    np.testing.assert_allclose(log_mel(waveform), whole, atol=1e-4)


@pytest.mark.parametrize("kind", [np.arange(3), {"head.bias": np.zeros(3)}, b"", b"PK\3\4", b"?"])
def test_a_file_that_is_no_model_is_refused(tmp_path, kind):
    path = tmp_path / "model.npz"
    if isinstance(kind, bytes):
        path.write_bytes(kind)
    else:
        with path.open("wb") as file:
            np.savez(file, **kind) if isinstance(kind, dict) else np.save(file, kind)
    with pytest.raises(FileFormatError, match=r"model.npz: it.*recipes/speech.py"):
        AcousticModel.load(path)


@pytest.mark.parametrize(
    ("kind", "bits"), [(1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64)], ids=str
)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_encoding_is_read_to_its_precision(tmp_path, kind, bits, channels):
    wave = tone(16_000, 440)
    # The second channel is silent, so the average is half the tone.
    sides = np.stack([wave, np.zeros_like(wave)][:channels], axis=1).ravel()
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(encoded(sides, kind, bits), kind=kind, bits=bits, channels=channels))
    found = read_wav(path)
    assert found.dtype == np.float32
    tolerance = 2.0 ** (2 - bits) if kind == 1 and bits < 24 else 1e-6
    np.testing.assert_allclose(found, wave / channels, atol=tolerance)


def test_extensible_files_and_those_written_to_a_pipe_are_read(tmp_path):
    wave = tone(16_000, 440)
    path = tmp_path / "a.wav"
    guid = struct.pack("<HHIH", 22, 16, 0, 1) + bytes.fromhex("000000001000800000aa00389b71")
    for data in (
        wav_bytes(encoded(wave, 1, 16), kind=0xFFFE, extra=guid),
        wav_bytes(encoded(wave, 1, 16), data_size=0xFFFF_FFFF),
        wav_bytes(encoded(wave, 1, 16) + b"\1", data_size=0x7FFF_F000),
    ):
        path.write_bytes(data)
        np.testing.assert_allclose(read_wav(path), wave, atol=1e-4)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 44_101, 48_000, 96_000])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_a_tone_is_the_same_at_any_rate(rate_hz, share):
    tone_hz = share * min(rate_hz, 16_000) / 2
    found = resample(tone(rate_hz, tone_hz), rate_hz)
    assert found.size == 8_000 or rate_hz in {11_025, 44_101}
    expected = tone(16_000, tone_hz, seconds=1)[: found.size]
    np.testing.assert_allclose(found[200:-200], expected[200:-200], atol=0.01)


@pytest.mark.parametrize("rate_hz", [22_050, 44_100, 48_000])
def test_tones_that_would_come_back_as_others_are_filtered_out(rate_hz):
    for tone_hz in (8_000, 9_000, 10_900):
        assert np.abs(resample(tone(rate_hz, tone_hz), rate_hz))[200:-200].max() < 0.01


def test_resampling_in_blocks_is_the_same(monkeypatch):
    wave = tone(32_000, 1_000)
    whole = resample(wave, 32_000)
    monkeypatch.setattr("sestina.decoding.samples.audio._BLOCK_ROWS", 7)
    np.testing.assert_allclose(resample(wave, 32_000), whole, atol=1e-6)


@pytest.mark.parametrize("rate_hz", [-1, 0, 999, 768_001])
def test_a_rate_out_of_range_is_refused(rate_hz):
    with pytest.raises(InvalidValueError, match=f"rate_hz is {rate_hz}, expected 1000 to 768000"):
        resample(np.zeros(9), rate_hz)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "begins with b''"),
        (b"OggS" + bytes(40), "begins with b'OggS.*ffmpeg"),
        (wav_bytes(b"")[:12], "no chunk 'fmt '"),
        (wav_bytes(b""), "samples take 0 bytes, expected at least 2"),
        (wav_bytes(bytes(100))[:-1], "'data' at byte 48 is 100 bytes long, .* 99 that are left"),
        (wav_bytes(bytes(8), kind=85), "kind 85 with 16 bits"),
        (wav_bytes(bytes(8), bits=12), "kind 1 with 12 bits"),
        (wav_bytes(bytes(8), kind=3), "kind 3 with 16 bits"),
        (wav_bytes(bytes(8), channels=0), "0 channels at 16000 Hz"),
        (wav_bytes(bytes(8), rate_hz=0), "1 channels at 0 Hz"),
        (wav_bytes(struct.pack("<f", math.nan), kind=3, bits=32), "sample 0 is no finite"),
        (wav_bytes(struct.pack("<d", 1e300), kind=3, bits=64), "sample 0 is no finite"),
        (wav_bytes(b"").replace(b"data", b"else"), "no chunk 'data'"),
        (b"RIFF\4\0\0\0WAVEfmt \2\0\0\0\1\0", "'fmt ' has 2 bytes"),
    ],
)
def test_a_file_that_is_no_sound_is_refused(tmp_path, data, text):
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match=text) as caught:
        read_wav(path)
    assert caught.value.path == path


@pytest.mark.fuzz
@given(st.data())
def test_a_damaged_file_is_read_or_refused(tmp_path_factory, data):
    good = bytearray(wav_bytes(encoded(tone(22_050, 440, 0.01), 1, 16), rate_hz=22_050))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, 60))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.wav"
    path.write_bytes(good[: data.draw(st.integers(0, len(good)))])
    try:
        found = read_wav(path)
    except FileFormatError:
        return
    assert found.ndim == 1
    assert np.isfinite(found).all()
