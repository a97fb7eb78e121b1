"""Scores of an acoustic model, from whatever library made them, as the search reads them."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sestina.core.errors import DtypeError, InvalidValueError, NonFiniteError, ShapeError

__all__ = ["as_array", "as_emissions", "as_lengths", "as_transitions"]

# Memory that the processor reads: its own, and what CUDA and ROCm pinned for it.
# Source: DLPack, `DLDeviceType`.
_DLPACK_HOST = {1, 3, 11}


def as_emissions(
    emissions: Any, *, num_axes: int, num_tokens: int, name: str = "emissions"
) -> NDArray[np.float32]:
    """The scores as a contiguous float32 array, copied only where that is needed.

    Args:
        emissions: an array of NumPy, a tensor of torch, or anything with `__array__` or
            `__dlpack__`, on the CPU; float16, bfloat16, float32 or float64; natural logarithms.
        num_axes: 2 for (frame, token), 3 for (utterance, frame, token).
        num_tokens: the length of the last axis.
        name: what errors call it.

    Raises:
        DtypeError: if it does not hold floating-point numbers.
        ShapeError: if it has another shape.
        NonFiniteError: if it holds NaN or plus infinity (minus infinity is a probability of 0).
        InvalidValueError: if it is on another device, sparse or masked.
    """
    array = as_array(emissions, name=name)
    axes = {2: "(frame, token)", 3: "(utterance, frame, token)"}[num_axes]
    if array.ndim != num_axes or array.shape[-1] != num_tokens:
        raise ShapeError(
            name,
            array.shape,
            expected=f"{axes} with {num_tokens} tokens",
            remedy="check the model's output against the tokens; batches go to decode_batch",
        )
    _check_floating(array, name)
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite, and is named below
        result = np.ascontiguousarray(array, dtype=np.float32)
    # One pass that stops nowhere: the sum is NaN or +inf exactly if an entry is (a finite sum of
    # float64 can't overflow here).
    with np.errstate(invalid="ignore"):
        total = float(np.maximum(result, np.float32(-3e38)).sum(dtype=np.float64))
    if not np.isfinite(total):
        place = tuple(int(k) for k in np.argwhere(np.isnan(result) | (result == np.inf))[0])
        raise NonFiniteError(
            f"{name}{list(place)}",
            float(result[place]),
            expected="a number or minus infinity",
            remedy="look at what the model was given; masked frames belong beyond the lengths",
        )
    return result


def as_array(given: Any, *, name: str = "emissions") -> NDArray[Any]:
    """An array, a tensor of torch, or anything with `__array__` or `__dlpack__`, as NumPy has it.

    Raises:
        InvalidValueError: if it is on another device than the CPU, sparse or masked.
        DtypeError: if NumPy lacks its type of numbers.
    """
    if isinstance(given, np.ndarray):
        if np.ma.is_masked(given):  # what is masked would be read all the same
            raise InvalidValueError(
                name,
                "a masked array",
                expected="one without masked entries",
                remedy="cut off what is masked, or fill it with minus infinity",
            )
        return given
    if type(given).__module__.partition(".")[0] == "torch":
        return _of_tensor(given, name)
    if hasattr(given, "__dlpack__"):
        kind, _ = given.__dlpack_device__()
        if kind not in _DLPACK_HOST:
            shown = str(getattr(given, "device", f"DLPack's number {int(kind)}"))
            raise _elsewhere(name, shown)
        try:
            return np.from_dlpack(given)
        except (RuntimeError, BufferError):  # NumPy's words for a type that it lacks
            if (torch := sys.modules.get("torch")) is not None:
                return _of_tensor(torch.from_dlpack(given), name)
            raise DtypeError(
                name,
                getattr(given, "dtype", "unknown"),
                expected="a type that NumPy has, unless torch is there to read it",
                remedy="convert it to float32, or import torch, first",
            ) from None
    return np.asarray(given)


def _of_tensor(tensor: Any, name: str) -> NDArray[Any]:
    if tensor.device.type != "cpu":
        raise _elsewhere(name, str(tensor.device))
    layout = str(tensor.layout)
    if layout != "torch.strided":
        raise InvalidValueError(
            f"layout of {name}", layout, expected="torch.strided", remedy="call .to_dense() first"
        )
    # NumPy has no bfloat16, and refuses what records gradients. Other kinds of numbers stay what
    # they are, to be refused by those who want probabilities.
    plain = tensor.detach()
    return np.asarray((plain.float() if plain.is_floating_point() else plain).numpy(force=True))


def _elsewhere(name: str, device: str) -> InvalidValueError:
    return InvalidValueError(
        f"device of {name}", device, expected="the CPU", remedy="call .cpu() first"
    )


def _check_floating(array: NDArray[Any], name: str) -> None:
    if not np.issubdtype(array.dtype, np.floating):
        raise DtypeError(
            name,
            array.dtype,
            expected="floating-point numbers",
            remedy="pass the logarithms of the probabilities, e.g. log_softmax of the logits",
        )


def as_transitions(transitions: Any, num_tokens: int) -> NDArray[np.float32]:
    """(token, token before it) scores as a contiguous float32 array.

    Raises:
        DtypeError: if it does not hold real numbers.
        ShapeError: if it has another shape.
        NonFiniteError: if it holds NaN or plus infinity (minus infinity forbids).
        InvalidValueError: if it is on another device, sparse or masked.
    """
    array = as_array(transitions, name="transitions")
    if array.shape != (num_tokens, num_tokens):
        raise ShapeError(
            "transitions",
            array.shape,
            expected=f"({num_tokens}, {num_tokens}), a row for each token and a column for each "
            "token before it",
            remedy="check them against the tokens",
        )
    if not np.issubdtype(array.dtype, np.integer):  # whole numbers are numbers, here
        _check_floating(array, "transitions")
    array = np.ascontiguousarray(array, dtype=np.float32)
    if not np.all(array < np.inf):
        raise NonFiniteError(
            "transitions",
            "NaN or plus infinity",
            expected="natural logarithms below plus infinity",
            remedy="look at the model's parameters",
        )
    return array


def as_lengths(lengths: Any, *, num_utterances: int, num_frames: int) -> list[int]:
    """The number of frames of each utterance in a batch; all of them if `lengths` is None.

    Raises:
        ShapeError: if there isn't one for each utterance.
        DtypeError: if they are no integers.
        InvalidValueError: if one is negative or above the number of frames.
    """
    if lengths is None:
        return [num_frames] * num_utterances
    array = as_array(lengths, name="lengths")
    if array.shape != (num_utterances,):
        raise ShapeError(
            "lengths",
            array.shape,
            expected=f"({num_utterances},) integers, one for each utterance",
            remedy="pass the number of frames of each utterance",
        )
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise DtypeError(
            "lengths",
            array.dtype,
            expected="integers",
            remedy="pass the number of frames of each utterance",
        )
    values = [int(length) for length in array]
    for place, length in enumerate(values):
        if not 0 <= length <= num_frames:
            raise InvalidValueError(
                f"lengths[{place}]",
                length,
                expected=f"0 to {num_frames}, the frames there are",
                remedy="count frames of the model's output, not samples of sound",
            )
    return values
