"""`cuda_ctc_decoder` on CPU tensors; on a GPU the search is the same."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from sestina.decoding.compat.torchaudio import (
    CUCTCDecoder,
    CUCTCHypothesis,
    cuda_ctc_decoder,
)

VOCABULARY = ["<blk>", "a", "b"]


def every_reading(log_prob):
    """The log probability of each sequence of tokens, over all paths."""
    readings = {}
    for path in itertools.product(range(log_prob.shape[1]), repeat=len(log_prob)):
        score = sum(float(frame[token]) for frame, token in zip(log_prob, path, strict=True))
        spelled = tuple(token for token, _ in itertools.groupby(path) if token)
        readings.setdefault(spelled, []).append(score)
    return {spelled: math.log(sum(map(math.exp, s))) for spelled, s in readings.items()}


@pytest.fixture
def log_prob():
    generator = torch.Generator().manual_seed(5)
    return torch.log_softmax(3 * torch.randn(2, 6, 3, generator=generator), -1)


def test_the_best_readings_and_their_scores_are_those_of_all_paths(log_prob):
    decoder = CUCTCDecoder(VOCABULARY, beam_size=10, nbest=3, blank_skip_threshold=1.0)
    decoder.beam_size = 200  # wide enough to lose nothing
    lengths = torch.tensor([6, 4], dtype=torch.int32)
    for found, scores, length in zip(decoder(log_prob, lengths), log_prob, lengths, strict=True):
        expected = every_reading(scores[:length])
        best = sorted(expected, key=expected.get, reverse=True)[:3]
        assert [tuple(one.tokens) for one in found] == best
        for one in found:
            assert isinstance(one, CUCTCHypothesis)
            assert one.words == [VOCABULARY[token] for token in one.tokens]
            assert one.score == pytest.approx(expected[tuple(one.tokens)], abs=1e-4)


def test_the_beam_is_no_wider_than_the_vocabulary():
    assert CUCTCDecoder(VOCABULARY, beam_size=10).beam_size == 3


def test_frames_with_a_probable_blank_are_not_searched():
    quiet = torch.tensor([0.97, 0.02, 0.01])
    spoken = torch.tensor([0.01, 0.98, 0.01])
    log_prob = torch.stack([spoken, quiet, spoken])[None].log()
    lengths = torch.tensor([3], dtype=torch.int32)
    assert cuda_ctc_decoder(VOCABULARY)(log_prob, lengths)[0][0].words == ["a", "a"]


def test_tokens_come_from_a_file(tmp_path):
    path = tmp_path / "units.txt"
    path.write_text("<blk> 0\na 1\nb 2\n")
    decoder = cuda_ctc_decoder(str(path), nbest=2, beam_size=3)
    assert decoder.vocab_list == VOCABULARY
    assert decoder.nbest == 2


def test_entries_may_be_the_same():
    decoder = cuda_ctc_decoder(["<blk>", "a", "a"])
    log_prob = torch.tensor([[[0.1, 0.1, 0.8], [0.1, 0.8, 0.1]]]).log()
    found = decoder(log_prob, torch.tensor([2], dtype=torch.int32))[0][0]
    assert (found.tokens, found.words) == ([2, 1], ["a", "a"])


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: CUCTCDecoder(VOCABULARY, blank_id=1), "blank_id must be 0"),
        (
            lambda: CUCTCDecoder(VOCABULARY, blank_skip_threshold=1.5),
            "blank_skip_threshold must be between 0 and 1",
        ),
        (
            lambda: CUCTCDecoder(VOCABULARY, cuda_stream="here"),
            "cuda_stream must be torch.cuda.Stream",
        ),
    ],
)
def test_arguments_that_it_cannot_use_are_assertion_errors(made, message):
    with pytest.raises(AssertionError) as caught:
        made()
    assert str(caught.value) == message


def test_tensors_of_other_kinds_are_assertion_errors(log_prob):
    decoder = cuda_ctc_decoder(VOCABULARY)
    lengths = torch.tensor([6, 4], dtype=torch.int32)
    for emissions, frames, message in (
        (log_prob, lengths.long(), "encoder_out_lens must be torch.int32"),
        (log_prob.double(), lengths, "log_prob must be torch.float32"),
        (log_prob.to("meta"), lengths, "inputs must be on the same device"),
        (log_prob.transpose(0, 1), lengths, "input tensors must be contiguous"),
    ):
        with pytest.raises(AssertionError) as caught:
            decoder(emissions, frames)
        assert str(caught.value) == message
    assert len(decoder(log_prob, lengths)) == 2
