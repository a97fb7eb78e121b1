"""Beam search for many utterances at once in plain PyTorch, on a GPU or on the CPU."""

from sestina.decoding.batched.automaton import TokenAutomaton

__all__ = ["TokenAutomaton"]
