"""The batched searches find on a GPU what they find on the CPU. Skipped without one."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sestina.decoding import DecoderOptions
from sestina.decoding.batched import (
    BatchedDecoder,
    BatchedSeq2SeqDecoder,
    BatchedSeq2SeqOptions,
)
from sestina.decoding.compat.torchaudio import cuda_ctc_decoder
from tests.decoding.token_model import NAMES, TOKENS, token_model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

CUDA = torch.device("cuda")
LENGTHS = torch.tensor([40, 17, 0, 33], dtype=torch.int32)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return token_model(tmp_path_factory.mktemp("lm"))


def emissions(num_tokens, seed):
    rng = np.random.default_rng(seed)
    scores = torch.from_numpy(3 * rng.normal(size=(len(LENGTHS), 40, num_tokens)))
    return scores.log_softmax(2).float()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("skip", [None, 0.8])
@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("with_model", [False, True])
def test_ctc(model, with_model, log_add, skip, seed):
    options = DecoderOptions(beam_size=20, log_add=log_add, lm_weight=0.7, sil_score=-0.3)
    options = replace(options, blank_skip_threshold=skip)
    scores = emissions(len(NAMES), seed)

    def found(device):
        decoder = BatchedDecoder(TOKENS, model if with_model else None, options, device=device)
        return decoder.decode(scores.to(device), LENGTHS, nbest=3)

    for on_cpu, on_gpu in zip(found("cpu"), found(CUDA), strict=True):
        assert [one.score for one in on_gpu] == pytest.approx(
            [one.score for one in on_cpu], abs=2e-4
        )
        assert on_gpu[0].text == on_cpu[0].text
        assert on_gpu[0].path.tolist() == on_cpu[0].path.tolist()


def test_torchaudios_face_works_in_its_stream():
    names = ["-", *(str(n) for n in range(99))]
    scores = emissions(len(names), 7)
    on_cpu = cuda_ctc_decoder(names, nbest=2)(scores, LENGTHS)
    decoder = cuda_ctc_decoder(names, nbest=2)
    decoder._stream = torch.cuda.Stream()
    on_gpu = decoder(scores.to(CUDA), LENGTHS.to(CUDA))
    for ours, theirs in zip(on_gpu, on_cpu, strict=True):
        assert [one.tokens for one in ours] == [one.tokens for one in theirs]
        assert [one.score for one in ours] == pytest.approx([one.score for one in theirs], abs=2e-4)


class Table:
    """A model that is a table of logits by the last two tokens; its cache holds all tokens."""

    def __init__(self, device):
        table = np.random.default_rng(0).normal(size=(9, 9, 9))
        self.table = torch.from_numpy(table).float().to(device)

    def step(self, token_r, cache):
        cache = torch.cat([cache, token_r[:, None]], dim=1)
        return self.table[cache[:, -2], cache[:, -1]], cache

    def reorder(self, cache, row_r):
        return cache[row_r]


def test_sequence_to_sequence():
    options = BatchedSeq2SeqOptions(beam_size=6, max_length=25, length_penalty=0.9)

    def found(device):
        model = Table(device)
        decoder = BatchedSeq2SeqDecoder(model.step, model.reorder, end=0, options=options)
        inputs = torch.tensor([[1], [2], [3]], device=device)
        return decoder.decode(inputs, torch.tensor([4, 5, 6], device=device), nbest=3)

    for on_cpu, on_gpu in zip(found("cpu"), found(CUDA), strict=True):
        assert [one.score for one in on_gpu] == pytest.approx(
            [one.score for one in on_cpu], abs=1e-4
        )
        assert on_gpu[0].tokens == on_cpu[0].tokens
