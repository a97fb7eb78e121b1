"""Logits of real models: what is known of them, and searches of ours that must agree on them."""

import json

import numpy as np
import pytest

from sestina.decoding import (
    Decoder,
    DecoderOptions,
    Lexicon,
    Tokens,
    error_rate,
    greedy,
    read_lm,
)


@pytest.fixture(scope="module")
def speech(shared_data):
    """An utterance of LibriSpeech through a wav2vec model, with the greedy text known of it."""
    folder = shared_data / "decoding"
    about = json.loads((folder / "libri_logits.meta.json").read_text())
    quantised = np.load(folder / "libri_logits.npz")["logits"].astype(np.float32)
    logits = quantised * about.get("scale", 1.0)
    labels = about["labels"]
    tokens = Tokens([{" ": "|", "": "-"}.get(label, label) for label in labels])
    return folder, log_softmax(logits), tokens, about["greedy"]


def log_softmax(logits):
    logits = logits.astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


def test_the_greedy_text_of_speech_is_the_known_one(speech):
    _, emissions, tokens, text = speech
    assert greedy(emissions, tokens) == text


def test_speech_with_a_lexicon_and_a_model_is_nearly_the_greedy_text(speech):
    # It was said clearly, but a model of other texts has its own idea of some words.
    folder, emissions, tokens, text = speech
    known = Tokens.read(folder / "tokens.txt")
    lexicon = Lexicon.read(folder / "lexicon26k.txt", known)
    order = [tokens.index(token) for token in known]
    options = DecoderOptions(lm_weight=1.0, beam_size=200)
    decoder = Decoder(lexicon, read_lm(folder / "lm3small.trie.bin"), options)
    found = decoder.decode(emissions[:, order])[0]
    assert error_rate([text], [found.text]).rate < 0.25
    assert all(one.end <= two.start for one, two in zip(found.words, found.words[1:], strict=False))
    assert found.words[-1].end <= len(emissions)


def test_lines_of_handwriting_in_94_columns(shared_data):
    # More tokens than a mask has bits.
    file = np.load(shared_data / "decoding" / "htr_bentham.npz")
    letters = str(file["chars"]).replace(" ", "␣")
    tokens = Tokens([*letters, "-blank-"])
    naming = {"blank": "-blank-", "silence": "␣"}
    free = Decoder(tokens, options=DecoderOptions(log_add=True, **naming))
    wrong_greedy = wrong_search = 0
    for line in range(3):
        emissions, said = log_softmax(file[f"logits_{line}"]), str(file[f"gt_{line}"])
        found = free.decode(emissions)[0]
        assert found.score >= emissions.max(axis=1).sum(dtype=np.float64)  # of the best path alone
        wrong_search += error_rate([said], [found.text], unit="character").rate
        guessed = greedy(emissions, tokens, **naming)
        wrong_greedy += error_rate([said], [guessed], unit="character").rate
        # With its own words for a lexicon, each ended by a space, it can only be misheard in order.
        lexicon = Lexicon.from_spellings({w: " ".join(f"{w}␣") for w in said.split()}, tokens)
        ended = np.concatenate([emissions, np.full((1, 94), -20, np.float32)])
        ended[-1, tokens.index("␣")] = 0
        options = DecoderOptions(beam_size=500, beam_threshold=100, **naming)
        text = Decoder(lexicon, options=options).decode(ended)[0].text
        assert error_rate([said], [text]).rate <= 0.1
    assert wrong_search <= wrong_greedy
