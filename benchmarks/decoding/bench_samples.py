"""How the bundled sentences are understood: by frames alone, with the lexicon, with the model."""

from __future__ import annotations

import itertools
from dataclasses import replace

from benchmarks.decoding.scoring import word_error_rate
from benchmarks.harness import Report, Value, main
from sestina.cli.decoding.transcribing import BUNDLED_OPTIONS
from sestina.core.options import options_from_mapping
from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, read_arpa, samples


def best_path(names: Tokens, frames: list[int]) -> str:
    """Repeats count once, then blanks fall out."""
    kept = [names[token] for token, _ in itertools.groupby(frames) if token != 0]
    return " ".join("".join(kept).replace("|", " ").split())


def bench(report: Report) -> None:
    """Word error rates of the 100 test sentences, in per cent."""
    bundled = samples.sample("test")
    tokens = Tokens.read(bundled.tokens_path)
    lexicon = Lexicon.read(bundled.lexicon_path, tokens)
    plain = DecoderOptions(log_add=True, beam_size=200)
    weighted = replace(plain, lm_weight=1.5, word_score=1.5)
    by_default = options_from_mapping(DecoderOptions, BUNDLED_OPTIONS)
    lm = read_arpa(bundled.arpa_path)
    inputs = list(bundled.emissions)
    found = {"best tokens": [best_path(tokens, one.argmax(axis=1).tolist()) for one in inputs]}
    settings = {"best tokens": "none"}
    for name, setting, decoder in (
        ("lexicon", "beam 200", Decoder(lexicon, options=plain)),
        ("lexicon and 3-gram", "beam 200, weights not tuned", Decoder(lexicon, lm, weighted)),
        ("sestina decode", "the command's for sound", Decoder(lexicon, lm, by_default)),
    ):
        settings[name] = setting
        found[name] = [one[0].text for one in decoder.decode_batch(inputs)]
    for name, texts in found.items():
        report.row(
            what=f"samples, {name}: word error rate",
            workload={"set": "test", "utterances": len(inputs), "settings": settings[name]},
            measured=Value(100 * word_error_rate(bundled.references, texts), unit="%"),
        )


if __name__ == "__main__":
    main(bench)
