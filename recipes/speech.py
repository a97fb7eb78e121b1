"""Makes `sestina.decoding.samples`: synthesised speech, a CTC model trained on it, its emissions.

    apt-get install espeak-ng                     # 1.51; Debian's package
    python recipes/speech.py --device cuda        # ten minutes; without a GPU, many hours

What is made, in this order; what is there already in the work folder is not made again:
sentences of the grammar in `speech/grammar.txt`; each read by eSpeak NG in one of many voices; the
acoustic model, trained on them with noise and reverberation that change with every hearing (a
checkpoint after each epoch); then the files of the package: the model's weights, the emissions of
the test and tune sentences in voices and an accent it never heard, the lexicon, the 3-gram model,
and three of the recordings. At the end it prints the error rate of the best token of each frame.

The speech is the output of eSpeak NG, a program under the GPL; its licence covers the program and
not what one has it read, so the recordings and the model are ours to give.
"""

from __future__ import annotations

import argparse
import os
import random
import time
import wave
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from speech.grammar import draw_splits, vocabulary
from speech.ngrams import estimate, write_arpa
from speech.synthesis import (
    TEST_ACCENTS,
    TEST_VOICES,
    TRAIN_ACCENTS,
    TRAIN_VOICES,
    make_noisy,
    speak,
)
from speech.training import (
    AcousticNet,
    Batch,
    Features,
    TrainOptions,
    exported,
    padded_batch,
    train,
)
from torch.utils.data import DataLoader, Dataset

from sestina.decoding.samples import AcousticModel
from sestina.decoding.samples.acoustic import TOKENS, log_mel

Waveform = NDArray[np.float32]

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "src" / "sestina" / "decoding" / "samples" / "data"

NUM_HEARD = 16_000
TRAIN_SNR_DB, TEST_SNR_DB = (-2.0, 25.0), (0.0, 15.0)
# What a sentence may be played faster or slower by, its pitch and formants with it: more speakers.
PLAYED = (0.9, 1.1)
CHUNK = 500
MAX_RECORDING_BYTES = 100_000
# Around the clean recording, as there is around the noisy ones.
QUIET_SAMPLES = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """Sentences and their sound, in 16 bits."""

    texts: list[str]
    sounds: list[NDArray[np.int16]]

    def waveform(self, index: int) -> Waveform:
        """One sentence's sound in [-1, 1]."""
        return self.sounds[index].astype(np.float32) / 32768


def main() -> None:
    """Makes everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "speech", help="work folder")
    parser.add_argument("--out", type=Path, default=DATA, help="folder of the package's files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=TrainOptions().num_epochs)
    parser.add_argument("--heard", type=int, default=NUM_HEARD, help="sentences to train on")
    parser.add_argument("--device", type=torch.device, default="cpu", help="where to train")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for folder in (arguments.work, arguments.out):
        folder.mkdir(parents=True, exist_ok=True)

    sentences = draw_splits(arguments.seed)
    write_texts(arguments.out, sentences.train)
    heard = spoken(sentences.train[: arguments.heard], arguments.work / "train", arguments.seed)
    options = TrainOptions(num_epochs=arguments.epochs)
    checkpoint = arguments.work / "checkpoint.pt"
    net = trained(heard, checkpoint, options, arguments.seed, arguments.device)
    model = exported_model(net, arguments.out / "acoustic_model.npz")
    for name, texts in (("test", sentences.test), ("tune", sentences.tune)):
        folder = arguments.work / name
        unheard = spoken(texts, folder, arguments.seed, TEST_ACCENTS, TEST_VOICES)
        noisy = noisy_versions(unheard, arguments.seed)
        emissions = [model(waveform) for waveform in noisy]
        write_emissions(arguments.out / f"emissions_{name}.npz", emissions, unheard.texts)
        print(f"{name}: {summary(emissions, unheard.texts)}")
        if name == "test":
            write_recordings(arguments.out, unheard, noisy)


def write_texts(out: Path, sentences: list[str]) -> None:
    """The tokens, the lexicon and the language model."""
    (out / "tokens.txt").write_text("\n".join(TOKENS) + "\n", encoding="utf-8")
    lines = (f"{word} {' '.join(word)} |\n" for word in vocabulary())
    (out / "lexicon.txt").write_text("".join(lines), encoding="utf-8")
    write_arpa(out / "lm.arpa.gz", estimate(sentences, order=3, vocabulary=vocabulary()))


def spoken(
    texts: list[str],
    folder: Path,
    seed: int,
    accents: tuple[str, ...] = TRAIN_ACCENTS,
    voices: tuple[str, ...] = TRAIN_VOICES,
) -> Spoken:
    """The sentences read aloud, kept in the folder."""

    def read(index: int) -> Waveform:
        draw = random.Random(f"{seed} {folder.name} {index}")
        return speak(texts[index], draw, accents=accents, voices=voices)

    folder.mkdir(exist_ok=True)
    sounds: list[NDArray[np.int16]] = []
    for start in range(0, len(texts), CHUNK):
        path = folder / f"{start:06d}.npz"
        if not path.exists():
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                made = list(pool.map(read, range(start, min(start + CHUNK, len(texts)))))
            partial = folder / "partial.npz"
            samples = np.concatenate(made) * 32767
            np.savez(partial, samples=samples.astype(np.int16), lengths=list(map(len, made)))
            partial.replace(path)
            print(f"{folder.name}: {start + len(made)} of {len(texts)} sentences read", flush=True)
        with np.load(path) as arrays:
            sounds += np.split(arrays["samples"], arrays["lengths"].cumsum()[:-1])
    return Spoken(texts=texts, sounds=sounds)


def trained(
    heard: Spoken, checkpoint: Path, options: TrainOptions, seed: int, device: torch.device
) -> AcousticNet:
    """The network, trained on the sentences."""

    def epochs(epoch: int) -> Iterable[Batch]:
        batches = Epoch(heard, options.batch_size, (seed, epoch))
        # Noise costs more than the training on it, so all cores make it.
        return DataLoader(batches, batch_size=None, num_workers=(os.cpu_count() or 1) - 1)

    return train(
        options,
        epochs,
        num_steps=len(heard.texts) // options.batch_size * options.num_epochs,
        checkpoint=checkpoint,
        seed=seed,
        device=device,
    )


class Epoch(Dataset[Batch]):
    """Batches of all sentences, with noise of their own in each epoch."""

    def __init__(self, heard: Spoken, batch_size: int, seed: tuple[int, int]) -> None:
        self.heard = heard
        self.seed = seed
        rng = np.random.default_rng(seed)
        lengths = np.array([len(sound) for sound in heard.sounds])
        # Sentences of about one length go together, or much of a batch is padding.
        order = np.argsort(lengths * rng.uniform(0.9, 1.1, lengths.size))
        num_batches = lengths.size // batch_size
        batches = order[: num_batches * batch_size].reshape(num_batches, batch_size)
        self.batches = rng.permutation(batches)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> Batch:
        torch.set_num_threads(1)
        rng = np.random.default_rng((*self.seed, number))
        batch = self.batches[number]
        features = [augmented(self.heard, index, rng) for index in batch]
        return padded_batch(features, [self.heard.texts[index] for index in batch])


def augmented(heard: Spoken, index: int, rng: np.random.Generator) -> Features:
    """A training sentence's features, with noise and with bands and times masked out."""
    clean = heard.waveform(index)
    speed = rng.uniform(*PLAYED)
    clean = np.interp(np.arange(0, clean.size - 1, speed), np.arange(clean.size), clean)
    babble = [heard.waveform(other) for other in rng.integers(len(heard.texts), size=5)]
    noisy = make_noisy(clean.astype(np.float32), babble, rng, snr_db=TRAIN_SNR_DB)
    features_fm = log_mel(noisy)
    for _ in range(2):
        start, size = rng.integers(features_fm.shape[1]), rng.integers(8)
        features_fm[:, start : start + size] = 0
        start, size = rng.integers(len(features_fm)), rng.integers(12)
        features_fm[start : start + size] = 0
    return features_fm


def exported_model(net: AcousticNet, path: Path) -> AcousticModel:
    """The model in numpy with the network's weights in half precision, after a comparison."""
    weights = exported(net)
    waveform = np.random.default_rng(0).standard_normal(20_123, dtype=np.float32)
    with torch.no_grad():
        batch = padded_batch([log_mel(waveform)], ["a"])
        scores = net(batch.features_bfm, batch.num_features)[0].log_softmax(1).numpy()
    emissions = AcousticModel(weights)(waveform)
    np.testing.assert_allclose(emissions, scores[: len(emissions)], atol=1e-3)
    np.savez_compressed(path, **{name: value.astype(np.float16) for name, value in weights.items()})
    return AcousticModel.load(path)


def noisy_versions(unheard: Spoken, seed: int) -> list[Waveform]:
    """Each sentence with noise, in the 16 bits that a recording would have."""
    rng = np.random.default_rng((seed, len(unheard.texts)))
    waveforms = [unheard.waveform(index) for index in range(len(unheard.texts))]
    babble = [
        [waveforms[other] for other in rng.integers(len(waveforms), size=5)] for _ in waveforms
    ]
    noisy = (
        make_noisy(clean, others, rng, snr_db=TEST_SNR_DB)
        for clean, others in zip(waveforms, babble, strict=True)
    )
    return [np.round(waveform * 32767).astype(np.float32) / 32768 for waveform in noisy]


def write_emissions(path: Path, emissions: list[NDArray[np.float32]], texts: list[str]) -> None:
    """All utterances one after the other, in half precision."""
    np.savez_compressed(
        path,
        log_probs=np.concatenate(emissions).astype(np.float16),
        lengths=np.array([len(frames) for frames in emissions], dtype=np.int32),
        references=np.array(texts),
    )


def write_recordings(out: Path, unheard: Spoken, noisy: list[Waveform]) -> None:
    """Three long sentences that fit: the first as eSpeak NG read it, two as in the test set."""
    fitting = [
        i for i, waveform in enumerate(noisy) if 2 * waveform.size < MAX_RECORDING_BYTES - 44
    ]
    longest = sorted(fitting, key=lambda index: -len(unheard.texts[index].split()))[:3]
    lines = []
    for number, index in enumerate(longest):
        waveform = noisy[index] if number else np.pad(unheard.waveform(index), QUIET_SAMPLES)
        name = f"{('clean', 'noisy', 'noisier')[number]}.wav"
        with wave.open(str(out / name), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes(np.round(waveform * 32768).astype("<i2").tobytes())
        lines.append(f"{name}\t{unheard.texts[index]}\n")
    (out / "recordings.txt").write_text("".join(lines), encoding="utf-8")


def summary(emissions: list[NDArray[np.float32]], texts: list[str]) -> str:
    """The error rates of the best token of each frame, blanks and repeats removed."""
    found = [best_path(frames) for frames in emissions]
    words = [(a.split(), b.split()) for a, b in zip(found, texts, strict=True)]
    word_errors = sum(num_edits(a, b) for a, b in words) / sum(len(b) for _, b in words)
    letters = list(zip(found, texts, strict=True))
    letter_errors = sum(num_edits(a, b) for a, b in letters) / sum(len(b) for _, b in letters)
    return f"{word_errors:.1%} of words and {letter_errors:.1%} of letters wrong without a lexicon"


def best_path(emissions: NDArray[np.float32]) -> str:
    """The best token of each frame, as text."""
    best = emissions.argmax(axis=1)
    kept = [TOKENS[i] for i, before in zip(best, [0, *best], strict=False) if i not in {0, before}]
    return " ".join("".join(kept).replace("|", " ").split())


def num_edits(found: str | list[str], truth: str | list[str]) -> int:
    """Insertions, deletions and substitutions from one to the other, at the least."""
    row = list(range(len(truth) + 1))
    for i, a in enumerate(found, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(truth, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


if __name__ == "__main__":
    began = time.process_time()
    main()
    print(f"{(time.process_time() - began) / 60:.0f} minutes of CPU time")
