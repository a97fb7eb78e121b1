"""Batches, threads and element types give every bit of what one float32 utterance gives."""

import itertools

import numpy as np
import pytest
import torch

from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, combine, read_arpa, samples
from tests.decoding.exported import Exported

BUNDLED = samples.sample()
TOKENS = Tokens.read(BUNDLED.tokens_path)
LEXICON = Lexicon.read(BUNDLED.lexicon_path, TOKENS)
MODEL = read_arpa(BUNDLED.arpa_path)
EMISSIONS = BUNDLED.emissions[:8]

DECODERS = {
    "lexicon": lambda: Decoder(LEXICON, MODEL),
    "sums": lambda: Decoder(LEXICON, MODEL, DecoderOptions(log_add=True)),
    "history": lambda: Decoder(LEXICON, MODEL, DecoderOptions(merge="history")),
    "flashlight": lambda: Decoder(
        LEXICON, MODEL, DecoderOptions(semantics="flashlight", merge="history", log_add=True)
    ),
    "free": lambda: Decoder(TOKENS),
    "open": lambda: Decoder(LEXICON, MODEL, DecoderOptions(open_vocabulary=True, unk_score=-4)),
    "hotwords": lambda: Decoder(LEXICON, MODEL, hotwords={"the sea": 3.0}),
    "several models": lambda: Decoder(LEXICON, combine([(MODEL, 0.5), (MODEL, 0.5)])),
}


def bits(utterances):
    return [
        [
            (one.score, one.acoustic_score, one.language_score, one.path.tobytes(), one.confidences)
            for one in hypotheses
        ]
        for hypotheses in utterances
    ]


@pytest.mark.parametrize("name", DECODERS)
def test_threads_give_every_bit_of_what_one_gives(name):
    decoder = DECODERS[name]()
    serial = bits(decoder.decode(one, nbest=3) for one in EMISSIONS)
    for threads in (1, 2, 5):
        assert bits(decoder.decode_batch(EMISSIONS, nbest=3, threads=threads)) == serial


@pytest.mark.parametrize("name", ["lexicon", "sums", "free"])
def test_confidences_do_not_depend_on_threads_either(name):
    decoder = DECODERS[name]()
    serial = bits(decoder.decode(one, confidence=True) for one in EMISSIONS[:3])
    assert bits(decoder.decode_batch(EMISSIONS[:3], threads=3, confidence=True)) == serial


@pytest.mark.parametrize(
    ("library", "dtype"),
    [
        pair
        for pair in itertools.product(
            ("numpy", "torch", "dlpack"), ("float16", "bfloat16", "float32", "float64")
        )
        if pair[0] == "torch" or pair[1] != "bfloat16"  # which NumPy does not have
    ],
)
def test_element_types_are_read_as_float32_would_be(library, dtype):
    lengths = [len(one) for one in EMISSIONS]
    padded = np.zeros((len(lengths), max(lengths), len(TOKENS)), np.float32)
    for one, emissions in zip(padded, EMISSIONS, strict=True):
        one[: len(emissions)] = emissions
    batch = torch.from_numpy(padded).to(getattr(torch, dtype))
    rounded = batch.float().numpy()
    given = {"torch": lambda: batch, "numpy": batch.numpy, "dlpack": lambda: Exported(batch)}
    decoder = DECODERS["sums"]()
    expected = bits(decoder.decode(one[:n]) for one, n in zip(rounded, lengths, strict=True))
    assert bits(decoder.decode_batch(given[library](), lengths, threads=2)) == expected
