"""`cuda_ctc_decoder`: beam search for tokens alone, of a batch at once, on any device."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import torch

from sestina.decoding.batched import BatchedDecoder
from sestina.decoding.options import DecoderOptions
from sestina.decoding.results import Hypothesis
from sestina.decoding.tokens import Tokens

__all__ = ["CUCTCDecoder", "CUCTCHypothesis", "cuda_ctc_decoder"]

_BLANK = 0


class CUCTCHypothesis(NamedTuple):
    """One reading of an utterance."""

    tokens: list[int]
    """Indices, blanks and repetitions left out."""
    words: list[str]
    """The tokens' names."""
    score: float
    """log of the probability of all paths that were followed."""


class CUCTCDecoder:
    """Turns emissions into tokens; made by `cuda_ctc_decoder`.

    Args:
        vocab_list: the tokens, the blank first.
        blank_id: 0.
        beam_size: hypotheses kept after each frame, at most as many as there are tokens.
        nbest: how many are returned at most.
        blank_skip_threshold: frames whose blank is more probable are not searched.
        cuda_stream: the `torch.cuda.Stream` to work in; the current one if not given.

    Raises:
        AssertionError: for another blank, or a threshold that is no probability.
    """

    def __init__(
        self,
        vocab_list: Sequence[str],
        blank_id: int = 0,
        beam_size: int = 10,
        nbest: int = 1,
        blank_skip_threshold: float = 0.95,
        cuda_stream: torch.cuda.Stream | None = None,
    ) -> None:
        if cuda_stream is not None and not isinstance(cuda_stream, torch.cuda.Stream):
            raise AssertionError("cuda_stream must be torch.cuda.Stream")
        if blank_id != _BLANK:
            raise AssertionError("blank_id must be 0")
        if not 0 <= blank_skip_threshold <= 1:
            raise AssertionError("blank_skip_threshold must be between 0 and 1")
        self.blank_id = blank_id
        self.vocab_list = vocab_list
        self.nbest = nbest
        self.beam_size = min(beam_size, len(vocab_list))
        self.blank_skip_threshold = blank_skip_threshold
        self._stream = cuda_stream
        self._decoders: dict[torch.device, BatchedDecoder] = {}

    def __call__(
        self, log_prob: torch.Tensor, encoder_out_lens: torch.Tensor
    ) -> list[list[CUCTCHypothesis]]:
        """The best readings of each utterance, best first.

        Args:
            log_prob: (batch, frame, token) float32 logarithms of probabilities, on any device.
            encoder_out_lens: (batch,) int32 frames of each utterance, on the same device.

        Raises:
            AssertionError: for other types, or tensors that are not contiguous.
            ValueError: for emissions that are no numbers, or lengths beyond the frames.
        """
        if encoder_out_lens.dtype != torch.int32:
            raise AssertionError("encoder_out_lens must be torch.int32")
        if log_prob.dtype != torch.float32:
            raise AssertionError("log_prob must be torch.float32")
        if log_prob.device != encoder_out_lens.device:
            raise AssertionError("inputs must be on the same device")
        if not (log_prob.is_contiguous() and encoder_out_lens.is_contiguous()):
            raise AssertionError("input tensors must be contiguous")
        working = nullcontext() if self._stream is None else torch.cuda.stream(self._stream)
        with working:
            found = self._decoder(log_prob.device).decode(
                log_prob, encoder_out_lens, nbest=self.nbest
            )
        return [[self._hypothesis(one) for one in hypotheses] for hypotheses in found]

    def _decoder(self, device: torch.device) -> BatchedDecoder:
        if device not in self._decoders:
            # Named by number, since entries of a vocabulary may be the same.
            tokens = Tokens([str(index) for index in range(len(self.vocab_list))])
            options = DecoderOptions(
                beam_size=self.beam_size,
                beam_threshold=math.inf,
                log_add=True,
                merge="history",  # readings differ whatever a language model would say
                blank=str(_BLANK),
                silence="",
                blank_skip_threshold=self.blank_skip_threshold or sys.float_info.min,
            )
            self._decoders[device] = BatchedDecoder(tokens, options=options, device=device)
        return self._decoders[device]

    def _hypothesis(self, found: Hypothesis) -> CUCTCHypothesis:
        tokens = [token for token in found.path[:, 0].tolist() if token != _BLANK]
        return CUCTCHypothesis(
            tokens=tokens, words=[self.vocab_list[token] for token in tokens], score=found.score
        )


def cuda_ctc_decoder(
    tokens: str | list[str],
    nbest: int = 1,
    beam_size: int = 10,
    blank_skip_threshold: float = 0.95,
) -> CUCTCDecoder:
    """A beam search for tokens on a GPU, or on the CPU.

    Args:
        tokens: a file with a token a line, of which what comes first counts, or the tokens.
        nbest: how many hypotheses are returned at most.
        beam_size: hypotheses kept after each frame.
        blank_skip_threshold: frames whose blank is more probable than this are not searched.

    Raises:
        AssertionError: if the threshold is no probability.
    """
    if isinstance(tokens, str):
        lines = Path(tokens).read_text(encoding="utf-8").splitlines()
        tokens = [line.split()[0] for line in lines]
    return CUCTCDecoder(
        vocab_list=tokens,
        beam_size=beam_size,
        nbest=nbest,
        blank_skip_threshold=blank_skip_threshold,
    )
