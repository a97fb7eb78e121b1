"""Word errors over time on LibriSpeech, ours beside the peers that are installed, one thread each.

    python -m benchmarks.decoding.librispeech CHECKPOINT LibriSpeech/dev-other \
        --lexicon lexicon.txt --lm lm.bin

CHECKPOINT is a folder with a CTC model of Hugging Face (wav2vec2-base-100h), the second one a part
of LibriSpeech as it is unpacked; lexicon and KenLM file are those of TorchAudio's
`librispeech-3-gram`. Emissions are made once (transformers, and soundfile for FLAC) and kept in the
work folder with each measured beam, so that a second call goes on. At the end: a table, for each
word error rate that a peer reaches the smallest beam of ours, and two pictures in the work folder.
Peers are those of `.venv-bench-decoding`; one that does not start is named and left out.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.decoding.emissions import Emissions
from benchmarks.decoding.scoring import word_error_rate
from benchmarks.harness import Resumable
from benchmarks.workers import ROOT, Worker, WorkerFailedError, bench_python
from sestina.core.plots import COLOURS, house_style, new_figure
from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, read_lm
from sestina.decoding.pictures import frontier_picture
from sestina.decoding.samples import read_wav, resample

__all__ = ["Measured", "ours", "smallest_beams", "utterances"]

# What TorchAudio's tutorial of its decoder sets for this model and set.
LM_WEIGHT, WORD_SCORE = 3.23, -0.26
BEAMS = (1, 5, 10, 20, 50, 100, 200, 500, 1000, 1500)
_LN_10 = 2.302585
# Below the log-probability of anything that a model says; float16 has it, and sums stay finite.
_NEVER = -60.0
_PEERS = {
    "flashlight": "benchmarks.decoding.peers.flashlight_text:lexicon",
    "pyctcdecode": "benchmarks.decoding.peers.pyctcdecode_beams:beams",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One decoder at one beam."""

    decoder: str
    beam: int
    us_per_frame: float
    """CPU microseconds."""
    wer_percent: float


def utterances(part: Path) -> Iterator[tuple[Path, str]]:
    """The sounds of a part of LibriSpeech and what is said, in the order of their names."""
    for transcripts in sorted(part.glob("*/*/*.trans.txt")):
        for line in transcripts.read_text(encoding="utf-8").splitlines():
            name, _, text = line.partition(" ")
            found = [transcripts.parent / f"{name}{ending}" for ending in (".flac", ".wav")]
            sounds = [path for path in found if path.exists()]
            if not sounds:
                raise FileNotFoundError(f"{found[0]}: named in {transcripts}, but not there")
            yield sounds[0], text


def waveform_of(path: Path) -> NDArray[np.float32]:
    """The sound at 16 kHz."""
    if path.suffix == ".wav":
        return read_wav(path)
    # By name, since only FLAC asks for it.
    samples, rate_hz = importlib.import_module("soundfile").read(
        path, dtype="float32", always_2d=True
    )
    return resample(samples.mean(axis=1), rate_hz)


def cached_emissions(arguments: argparse.Namespace) -> Path:
    """The set as the peers read it, tokens.txt beside it; made now if it is not there."""
    cased = _case_of(arguments.lexicon)
    said = list(islice(utterances(arguments.part), arguments.utterances))
    if not said:
        raise FileNotFoundError(f"{arguments.part}/*/*/*.trans.txt: no transcripts there")
    named = [str(arguments.checkpoint.resolve()), cased("a"), *(str(path) for path, _ in said)]
    key = hashlib.sha256("\n".join(named).encode()).hexdigest()[:12]
    path: Path = arguments.work / key / "emissions.npz"
    if path.exists():
        return path
    # By name, since it imports transformers, which kept emissions do without.
    checkpoint = importlib.import_module("examples.wav2vec2").Checkpoint(arguments.checkpoint)
    standard = {checkpoint.blank: "-", checkpoint.silence: "|"}
    names = [standard.get(name) or cased(name) for name in checkpoint.tokens]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name("tokens.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    parts = []
    for done, (sound, _) in enumerate(said, 1):
        parts.append(checkpoint.emissions(waveform_of(sound)).clip(min=_NEVER).astype(np.float16))
        if not done % 100 or done == len(said):
            print(f"emissions of {done} of {len(said)} utterances", file=sys.stderr)
    partial = path.with_name("partial.npz")
    np.savez_compressed(
        partial,
        log_probs=np.concatenate(parts),
        lengths=np.array([len(frames) for frames in parts], dtype=np.int32),
        texts=np.array([cased(text) for _, text in said]),
    )
    partial.replace(path)
    return path


def _case_of(lexicon: Path) -> Callable[[str], str]:
    """What makes letters those of the lexicon."""
    with lexicon.open(encoding="utf-8") as file:
        first = "".join(islice(file, 1000))
    return str.upper if first.isupper() else str.lower


def ours(workload: dict[str, Any]) -> Callable[[], dict[str, list[str]]]:
    """The worker's side of our search, with the keys of `peers/flashlight_text.py`."""
    lexicon = Lexicon.read(workload["lexicon"], Tokens.read(workload["tokens"]))
    options = DecoderOptions(
        log_add=True,
        **{name: workload[name] for name in ("beam_size", "lm_weight", "word_score")},
    )
    decoder = Decoder(lexicon, read_lm(workload["lm"], load="memory"), options)
    emissions = Emissions.load(workload["set"])
    inputs = [emissions.log_probs(n) for n in range(len(emissions))]
    return lambda: {"texts": [decoder.decode(one)[0].text for one in inputs]}


def measured(
    name: str, beam: int, workload: dict[str, Any], emissions: Emissions
) -> dict[str, float]:
    """CPU time and errors of one decoder at one beam."""
    target, python = "benchmarks.decoding.librispeech:ours", None
    if name in _PEERS:
        target, python = _PEERS[name], bench_python("decoding")
    with Worker(target, workload | {"beam_size": beam, "beam_width": beam}, python=python) as side:
        run = side.run()
    return {
        "us_per_frame": 1e6 * run.process_s / int(emissions.lengths.sum()),
        "wer_percent": 100 * word_error_rate(emissions.texts, run.extra["texts"]),
    }


def swept(arguments: argparse.Namespace, path: Path) -> list[Measured]:
    """All beams of all decoders that start."""
    workload = {
        "set": str(path),
        "tokens": str(path.with_name("tokens.txt")),
        "lexicon": str(arguments.lexicon.resolve()),
        "lm": str(arguments.lm.resolve()),
        "lm_weight": arguments.lm_weight,
        "word_score": arguments.word_score,
        "alpha": arguments.lm_weight / _LN_10,
        "beta": arguments.word_score,
    }
    emissions = Emissions.load(path)
    kept = Resumable("sweep", workload, folder=path.parent)
    rows = []
    for name in ("sestina", *_PEERS):
        for beam in arguments.beams:
            try:
                found = kept.get(
                    f"{name} {beam}", partial(measured, name, beam, workload, emissions)
                )
            except (WorkerFailedError, FileNotFoundError) as error:
                if name not in _PEERS:
                    raise
                reason = str(error).strip().splitlines()[-1]
                print(f"{name} is not measured: {reason}", file=sys.stderr)
                break
            rows.append(Measured(decoder=name, beam=beam, **found))
    return rows


def smallest_beams(rows: Sequence[Measured]) -> list[tuple[Measured, Measured | None]]:
    """Each row of a peer, and ours with the smallest beam that errs no more, if one does."""
    own = sorted((row for row in rows if row.decoder == "sestina"), key=lambda row: row.beam)
    return [
        (peer, next((row for row in own if row.wer_percent <= peer.wer_percent), None))
        for peer in rows
        if peer.decoder != "sestina"
    ]


def draw(rows: Sequence[Measured], folder: Path) -> None:
    """time.png and beams.png: word errors over time, and over the beam."""
    names = list(dict.fromkeys(row.decoder for row in rows))
    curves = {
        name: [(row.us_per_frame, row.wer_percent / 100) for row in rows if row.decoder == name]
        for name in names
    }
    frontier_picture(curves).savefig(folder / "time.png")
    with house_style():
        figure, axes = new_figure(width_inch=6.4, height_inch=4.0)
        for name, colour in zip(names, COLOURS, strict=False):
            own = [row for row in rows if row.decoder == name]
            beams, errors = [row.beam for row in own], [row.wer_percent for row in own]
            axes.plot(beams, errors, marker="o", color=colour, label=name)
        axes.set(xscale="log", xlabel="beam", ylabel="word error rate, %", title="Errors by beam")
        axes.legend()
        figure.savefig(folder / "beams.png")


def main() -> None:
    """Makes the emissions, sweeps, prints and draws."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", type=Path, help="folder of the acoustic model")
    parser.add_argument("part", type=Path, help="folder such as LibriSpeech/dev-other")
    parser.add_argument("--lexicon", type=Path, required=True)
    parser.add_argument("--lm", type=Path, required=True, help="a file of KenLM, or ARPA")
    parser.add_argument("--lm-weight", type=float, default=LM_WEIGHT)
    parser.add_argument("--word-score", type=float, default=WORD_SCORE)
    parser.add_argument("--beams", type=int, nargs="+", default=BEAMS)
    parser.add_argument("--utterances", type=int, help="how many of the part; default all")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "decoding" / "librispeech")
    arguments = parser.parse_args()
    path = cached_emissions(arguments)
    rows = swept(arguments, path)
    print("decoder      beam  µs a frame   WER, %")
    for row in rows:
        print(f"{row.decoder:11} {row.beam:5} {row.us_per_frame:11.2f} {row.wer_percent:8.2f}")
    for peer, own in smallest_beams(rows):
        reached = (
            f"ours with beam {own.beam}, {peer.us_per_frame / own.us_per_frame:.1f} times as fast"
            if own
            else "not reached by ours"
        )
        print(f"{peer.decoder}, beam {peer.beam}, {peer.wer_percent:.2f} %: {reached}")
    draw(rows, path.parent)
    print(f"pictures: {path.parent}/time.png and beams.png")


if __name__ == "__main__":
    main()
