"""Sound to words with a CTC checkpoint of Hugging Face that lies in a folder: what was said, when.

    pip install 'sestina[decoding-transformers]'
    python examples/wav2vec2.py wav2vec2-base-100h speech.wav --lexicon lexicon.txt --lm lm.arpa.gz

Takes what `AutoModelForCTC` takes (Wav2Vec2, HuBERT, WavLM, ...) and WAV files or folders of them.
The padding token is the CTC blank, the tokenizer's word delimiter the silence. Without a lexicon
the search is one of letters. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoFeatureExtractor, AutoModelForCTC, AutoTokenizer

from sestina.core.errors import SestinaError
from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, greedy, read_lm
from sestina.decoding.samples import read_wav

RATE_HZ = 16_000


class Checkpoint:
    """A model with its tokens: `blank` and `silence` are the names of two of them."""

    def __init__(self, folder: Path) -> None:
        # Not AutoProcessor: with a language model in the folder it asks for pyctcdecode.
        self._extractor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
        self._model = AutoModelForCTC.from_pretrained(folder, local_files_only=True).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        if self._extractor.sampling_rate != RATE_HZ:
            raise SystemExit(
                f"error: {folder} takes {self._extractor.sampling_rate} samples a second, expected "
                f"{RATE_HZ}, which read_wav gives; choose another checkpoint"
            )
        names: list[str] = tokenizer.convert_ids_to_tokens(range(self._model.config.vocab_size))
        self.blank: str = names[self._model.config.pad_token_id]
        # Some tokenizers keep the delimiter under that name, others have none.
        delimiter: str = getattr(tokenizer, "word_delimiter_token", None) or ""
        self.silence = delimiter if delimiter in names else ""
        self.tokens = Tokens([_spellings(name, names) for name in names])
        # <s>, <unk> and their like were never trained to mean a sound.
        special = set(tokenizer.all_special_tokens) - {self.blank, self.silence}
        self._special = [n for n, name in enumerate(names) if name in special]

    def emissions(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        """(frame, token) natural logarithms of the tokens' probabilities; `waveform` at 16 kHz."""
        inputs = self._extractor(waveform, sampling_rate=RATE_HZ, return_tensors="pt")
        with torch.inference_mode():
            emissions_tn = self._model(**inputs).logits[0].float().log_softmax(dim=1)
        scores_tn: NDArray[np.float32] = emissions_tn.numpy()
        scores_tn[:, self._special] = -np.inf
        return scores_tn


def _spellings(name: str, names: Sequence[str]) -> list[str]:
    """The token, and its other case, which lexicons may be written in."""
    others = {name.lower(), name.upper()} if len(name) == 1 else set()
    return [name, *(other for other in sorted(others) if other not in names)]


def sounds(paths: Sequence[Path]) -> Iterator[Path]:
    """The files, and those in the folders, however deep."""
    for path in paths:
        yield from sorted(path.rglob("*.wav")) if path.is_dir() else [path]


def decoder_of(checkpoint: Checkpoint, arguments: argparse.Namespace) -> Decoder:
    """The search that the command line asks for."""
    options: dict[str, Any] = {"blank": checkpoint.blank, "silence": checkpoint.silence}
    for name in ("beam_size", "lm_weight", "word_score"):
        options[name] = getattr(arguments, name)
    vocabulary: Tokens | Lexicon = checkpoint.tokens
    if arguments.lexicon:
        vocabulary = Lexicon.read(arguments.lexicon, checkpoint.tokens)
    lm = read_lm(arguments.lm) if arguments.lm else None
    return Decoder(vocabulary, lm, DecoderOptions(log_add=True, **options))


def main() -> None:
    """Prints each file's text, best tokens first, then what the search found, then its words."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", type=Path, help="folder with the model and its tokenizer")
    parser.add_argument("sounds", type=Path, nargs="+", help="WAV files, or folders of them")
    parser.add_argument("--lexicon", type=Path, help="lines of a word and its tokens")
    parser.add_argument("--lm", type=Path, help="ARPA or KenLM file; of tokens without a lexicon")
    parser.add_argument("--lm-weight", type=float, default=2.0)
    parser.add_argument("--word-score", type=float, default=0.0)
    parser.add_argument("--beam-size", type=int, default=100)
    arguments = parser.parse_args()
    if not (arguments.checkpoint / "config.json").is_file():
        parser.error(f"{arguments.checkpoint} has no config.json, expected a saved checkpoint")
    checkpoint = Checkpoint(arguments.checkpoint)
    decoder = decoder_of(checkpoint, arguments)
    for path in sounds(arguments.sounds):
        waveform = read_wav(path)
        emissions_tn = checkpoint.emissions(waveform)
        best = decoder.decode(emissions_tn)[0]
        quick = greedy(
            emissions_tn, checkpoint.tokens, blank=checkpoint.blank, silence=checkpoint.silence
        )
        print(path, f"best tokens: {quick}", f"search: {best.text}", sep="\n  ")
        frame_s = len(waveform) / len(emissions_tn) / RATE_HZ
        for word in best.words:
            print(f"  {word.start * frame_s:7.2f}–{word.end * frame_s:.2f} s  {word.text}")


if __name__ == "__main__":
    try:
        main()
    except (SestinaError, OSError) as error:
        raise SystemExit(f"error: {error}") from error
