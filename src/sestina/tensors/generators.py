"""Randomness is an argument: from a seed to a generator, the same on every run."""

from __future__ import annotations

import torch

from sestina.core.errors import InvalidValueError

__all__ = ["make_generator"]


def make_generator(
    seed: int | torch.Generator, device: str | torch.device = "cpu"
) -> torch.Generator:
    """A generator of random numbers started from `seed`; one that is given is given back.

    Args:
        seed: 0 to 2⁶⁴ − 1, or a generator, which is used from where it stands.
        device: where the numbers will be drawn; drawing on the CPU and moving the result gives the
            same numbers on every machine.

    Raises:
        InvalidValueError: if the seed is out of range or no integer.

    Example:
        >>> first, again = make_generator(7), make_generator(7)
        >>> torch.equal(torch.rand(3, generator=first), torch.rand(3, generator=again))
        True
    """
    if isinstance(seed, torch.Generator):
        return seed
    given: object = seed
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given < 2**64:
        raise InvalidValueError(
            "seed",
            seed,
            expected="an integer from 0 to 2**64 - 1, or a torch.Generator",
            remedy="pass e.g. seed=0",
        )
    return torch.Generator(device).manual_seed(given)
