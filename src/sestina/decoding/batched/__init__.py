"""Beam search for many utterances at once in plain PyTorch, on a GPU or on the CPU.

>>> import torch
>>> from sestina.decoding import Tokens
>>> from sestina.decoding.batched import BatchedDecoder
>>> decoder = BatchedDecoder(Tokens(["-", "|", "a", "b"]), device="cpu")
>>> emissions_btn = torch.tensor([[[.1, .1, .7, .1], [.1, .1, .1, .7]]]).log()
>>> [token.text for token in decoder.decode(emissions_btn)[0][0].tokens]
['a', 'b']
"""

from sestina.core.extras import naming_extra

with naming_extra("decoding-torch"):
    from sestina.decoding.batched.automaton import TokenAutomaton
    from sestina.decoding.batched.ctc import BatchedDecoder
    from sestina.decoding.batched.seq2seq import (
        BatchedSeq2SeqDecoder,
        BatchedSeq2SeqOptions,
        TokenSequence,
    )

__all__ = [
    "BatchedDecoder",
    "BatchedSeq2SeqDecoder",
    "BatchedSeq2SeqOptions",
    "TokenAutomaton",
    "TokenSequence",
]
