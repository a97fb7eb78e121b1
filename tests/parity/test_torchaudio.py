"""Flashlight's own results, as TorchAudio shows them, from its compatible face."""

import gzip
import json
import math

import numpy as np
import pytest
import torch

from sestina.decoding.compat.torchaudio import ctc_decoder


@pytest.mark.parametrize("difficulty", ["easy", "hard"])
def test_words_tokens_timesteps_and_scores_are_torchaudios(shared_data, difficulty, tmp_path):
    folder = shared_data / "decoding"
    arpa = tmp_path / "lm.arpa"
    arpa.write_bytes(gzip.decompress((folder / "lm3small.arpa.gz").read_bytes()))
    data = np.load(folder / f"synth_{difficulty}_20utt.npz")
    lengths = torch.from_numpy(data["lengths"].astype(np.int32))
    utterances = np.split(data["log_probs"].astype(np.float32), np.cumsum(data["lengths"])[:-1])
    emissions = torch.nn.utils.rnn.pad_sequence(
        [torch.from_numpy(one) for one in utterances], batch_first=True
    )
    with gzip.open(folder / f"expected_flashlight_synth_{difficulty}_20utt.json.gz") as file:
        recorded = json.load(file)
    compared = 0
    for setting, expected in recorded.items():
        given = json.loads(setting)
        decoder = ctc_decoder(
            lexicon=str(folder / "lexicon26k.txt"),
            tokens=str(folder / "tokens.txt"),
            lm=str(arpa),
            nbest=3,
            beam_size=given["beam"],
            beam_size_token=given.get("btok"),
            beam_threshold=given.get("bt", 50),
            lm_weight=given["lmw"],
            word_score=given["ws"],
            unk_score=given.get("unk", -math.inf),
            sil_score=given.get("sil", 0),
            log_add=given.get("la", False),
        )
        found = decoder(emissions, lengths)
        for ours, theirs in zip(found, expected["hyps"], strict=True):
            for one, other in zip(ours, theirs, strict=False):
                assert one.words == other["words"]
                assert one.score == pytest.approx(other["score"], abs=1e-4)
                assert one.timesteps.tolist() == other["timesteps"]
                assert one.tokens.tolist() == other["tokens"]
                compared += 1
    assert compared >= 250
