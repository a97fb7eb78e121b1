"""Kernels by name, as they are written on the command line.

relu:depth=4,sigma_w=sqrt(2),sigma_b=0.1   a network's kernel: activation, then its options
sin:amplitude=0.5,frequency=6              options of the activation stand beside the network's
poly:0,0,1,1                               Σ aₖ cᵏ by its coefficients
"""

from __future__ import annotations

import math
import re

from sestina.core.errors import OptionError, UnknownNameError
from sestina.core.registry import nearest_name
from sestina.ntk.activations.base import REGISTRY
from sestina.ntk.architectures import OPTIONS, FullyConnected
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.pairs import Kind

__all__ = ["parse_target"]

_SERIES = "poly"
_LISTS = (
    "coefficients",
    "positions",
    "weights",
    "values",
    "slopes",
    "amplitudes",
    "frequencies",
    "phases",
)
"""Options of activations that are lists of numbers."""
_FLAGS = {"true": True, "yes": True, "false": False, "no": False}
_ROOT = re.compile(r"sqrt\(?([0-9.]+)\)?")


def parse_target(text: str, kind: Kind = "ntk") -> DotProductKernel:
    """The kernel that a short text names.

    Args:
        text: see the examples at the top of this file.
        kind: which kernel of a network; without meaning for "poly".

    Raises:
        UnknownNameError: if no activation has that name.
        OptionError: if an option is unknown, ill-formed or missing.
        InvalidValueError: if a value is out of range.

    Example:
        >>> parse_target("relu:depth=4,sigma_w=sqrt(2),sigma_b=0.1").total.__round__(6)
        5.07
        >>> parse_target("poly:0,0,1,1")(0.5)
        0.375
        >>> parse_target("relu:dept=4")
        Traceback (most recent call last):
        sestina.core.errors.OptionError: option of relu is 'dept', expected one of depth, \
sigma_w, sigma_b, readout_sigma_w, readout_sigma_b, parametrisation, width, input_width, residual, \
layer_norm; did you mean 'depth'?
    """
    name, _, rest = text.strip().partition(":")
    if name == _SERIES:
        return DotProductKernel.from_coefficients(_coefficients(rest))
    if name not in REGISTRY:
        known = [_SERIES, *REGISTRY]
        nearest = nearest_name(name, known)
        raise UnknownNameError(
            "target",
            text,
            expected=f"{_SERIES}:a0,a1,… or an activation ({', '.join(REGISTRY)}) with options",
            remedy=f"did you mean {nearest!r}?"
            if nearest
            else "write e.g. relu:depth=4,sigma_w=1.4142",
        )
    activation_options: dict[str, object] = {"name": name}
    network_options: dict[str, object] = {}
    for option, value in _options(name, rest).items():
        (network_options if option in OPTIONS else activation_options)[option] = value
    return FullyConnected.from_spec(
        {"activation": activation_options, **network_options}
    ).dot_product(kind)


def _options(name: str, text: str) -> dict[str, object]:
    known = [*REGISTRY[name].arguments, *OPTIONS]
    options: dict[str, object] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        option, equals, value = (part.strip() for part in item.partition("="))
        if not equals:
            raise OptionError(
                f"option of {name}",
                item,
                expected="option=value",
                remedy=f"write e.g. {name}:depth=4,sigma_w=1.4142",
            )
        if option in _LISTS and option in known:
            raise OptionError(
                f"option of {name}",
                item,
                expected="options that are numbers; a list can't be written in one word",
                remedy=f"in Python: FullyConnected(activation={{'name': {name!r}, …}}), or write "
                "the kernel's own coefficients as poly:a0,a1,…",
            )
        if option not in known:
            nearest = nearest_name(option, known)
            raise OptionError(
                f"option of {name}",
                option,
                expected=f"one of {', '.join(known)}",
                remedy=f"did you mean {nearest!r}?" if nearest else "remove it",
            )
        if option in options:
            raise OptionError(
                f"option of {name}", item, expected="each option once", remedy="remove one of them"
            )
        options[option] = _value(option, value)
    return options


def _value(option: str, text: str) -> object:
    if option == "parametrisation":
        return text
    if text.lower() in _FLAGS:
        return _FLAGS[text.lower()]
    try:
        return int(text)
    except ValueError:
        return _number(option, text)


def _number(option: str, text: str, example: str | None = None) -> float:
    root = _ROOT.fullmatch(text)
    try:
        return math.sqrt(float(root[1])) if root else float(text)
    except ValueError:
        raise OptionError(
            option,
            text,
            expected="a number, sqrt(number), true or false"
            if example is None
            else "a number or sqrt(number)",
            remedy=f"write e.g. {example or f'{option}=1.4142'}",
        ) from None


def _coefficients(text: str) -> list[float]:
    parts = [part.strip() for part in text.split(",")]
    if parts == [""]:
        raise OptionError(
            "poly", text, expected="the coefficients a0,a1,…", remedy="write e.g. poly:0,0,1,1"
        )
    return [
        _number(f"poly coefficient {k}", part, "poly:0,0.5,1.4142") for k, part in enumerate(parts)
    ]
