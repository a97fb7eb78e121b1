"""Where tensors live: the device that a name means on this machine."""

from __future__ import annotations

import torch

from sestina.core.errors import InvalidValueError

__all__ = ["resolve_device"]


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """The device of that name.

    Args:
        device: "auto" (CUDA if there is one, else the CPU), or any name PyTorch knows: "cpu",
            "cuda", "cuda:1", "mps".

    Raises:
        InvalidValueError: if the name is not a device's, or this machine has no such device;
            there is no silent fallback to the CPU.

    Example:
        >>> resolve_device("cpu")
        device(type='cpu')
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError:
        raise InvalidValueError(
            "device",
            device,
            expected="auto, cpu, cuda, cuda:<index> or another name that PyTorch knows",
            remedy="use auto, which takes CUDA if there is one",
        ) from None
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise InvalidValueError(
            "device",
            str(device),
            expected=f"one of the {torch.cuda.device_count()} CUDA devices of this machine",
            remedy="use auto or cpu, or see with `sestina doctor` why CUDA is not found",
        )
    return resolved
