"""flashlight-text 0.0.7's sequence-to-sequence decoders over `Talker`.

Keys of the workload: seeds (one `Talker` each), num_tokens, num_steps, beam_size,
beam_size_token, beam_threshold, lm_weight, word_score; with a lexicon also what
`flashlight_text.Decoder` loads from: tokens (the first one is the end, as a talker's), lexicon, lm.
"""

from __future__ import annotations

import numpy as np
from flashlight.lib.text.decoder import (
    LexiconFreeSeq2SeqDecoder,
    LexiconFreeSeq2SeqDecoderOptions,
    LexiconSeq2SeqDecoder,
    LexiconSeq2SeqDecoderOptions,
    ZeroLM,
    create_emitting_model_state,
)

from benchmarks.decoding.peers import flashlight_text
from benchmarks.decoding.talker import Talker

__all__ = ["free", "lexicon"]


def _run(workload, decoder_of):
    talkers = [
        Talker(workload["num_tokens"], num_steps=workload["num_steps"], seed=seed)
        for seed in workload["seeds"]
    ]
    state = create_emitting_model_state(None)
    said = {}

    def update(_emissions, _num_tokens, _frames, tokens, _places, _states, step):
        rows = said["by"].rows(np.array(tokens), step)
        return rows.tolist(), [state] * len(tokens)

    decoder = decoder_of(update)
    nothing = np.zeros(1, np.float32)

    def run():
        found = []
        for talker in talkers:
            said["by"] = talker
            decoder.decode_step(nothing.ctypes.data, 1, talker.num_tokens)
            path = [token for token in decoder.get_best_hypothesis(0).tokens if token > 0]
            found.append(path)
        return {"tokens": found}

    return run


def free(workload):
    """Without a lexicon or a language model."""
    names = ("beam_size", "beam_size_token", "beam_threshold")
    options = LexiconFreeSeq2SeqDecoderOptions(
        *(workload[name] for name in names),
        0.0,
        0.0,
        False,  # noqa: FBT003 - Flashlight's signature
    )
    lm = ZeroLM()
    length = 2 * workload["num_steps"]
    return _run(workload, lambda update: LexiconFreeSeq2SeqDecoder(options, lm, 0, update, length))


def lexicon(workload):
    """With a lexicon and a language model of words."""
    loaded = flashlight_text.Decoder(workload | {"blank": "-"})
    names = ("beam_size", "beam_size_token", "beam_threshold", "lm_weight", "word_score")
    options = LexiconSeq2SeqDecoderOptions(
        *(workload[name] for name in names),
        0.0,
        False,  # noqa: FBT003 - as above
    )
    length = 2 * workload["num_steps"]
    run = _run(
        workload,
        lambda update: LexiconSeq2SeqDecoder(
            options,
            loaded.trie,
            loaded.lm,
            0,
            update,
            length,
            False,  # noqa: FBT003 - as above
        ),
    )
    run.loaded = loaded  # Flashlight keeps pointers only
    return run
