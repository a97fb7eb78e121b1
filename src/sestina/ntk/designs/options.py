"""What can be asked of a design."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from sestina.core.errors import InvalidValueError, UnknownNameError
from sestina.core.registry import nearest_name
from sestina.ntk.pairs import Kind, check_kind

__all__ = ["DesignForm", "DesignOptions", "SignChoice", "check_count", "check_name"]

DesignForm = Literal["table", "hermite", "relu-sum", "sinusoid"]
"""How an activation is written."""
SignChoice = Literal["searched", "alternating"]
"""Where the signs of its series come from."""

_TABLE_DEGREE = 16_383
_HERMITE_DEGREE = 64
_MAX_DEGREE = 65_535
_MAX_HERMITE_DEGREE = 511


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignOptions:
    """What kind of network to design."""

    kind: Kind = "ntk"
    """Which kernel of the network is to be the target: "ntk" or "nngp"."""
    form: DesignForm = "table"
    """How the activation is written: "table" (accurate), "hermite" (a polynomial), "relu-sum" or
    "sinusoid" (few terms)."""
    degree: int | None = None
    """Highest degree of the series; default 16,383 for tables and 64 for polynomials."""
    terms: int | None = None
    """Terms of a "relu-sum" (default 8) or "sinusoid" (default 12), at most 32."""
    width: int = 16_384
    """The width to design for. Only where an exact kernel costs spread does it matter: bias² +
    variance/width is what signs, limits and fits minimise."""
    signs: SignChoice = "searched"
    """"searched", or "alternating" for + + − −."""

    def __post_init__(self) -> None:
        check_kind(self.kind)
        check_name("form", self.form, get_args(DesignForm))
        check_name("signs", self.signs, get_args(SignChoice))
        check_count("width", self.width, 1, 1 << 40)
        highest = _MAX_HERMITE_DEGREE if self.form == "hermite" else _MAX_DEGREE
        if self.degree is not None:
            check_count("degree", self.degree, 0, highest)
        if self.terms is not None:
            check_count("terms", self.terms, 1, 32)

    @property
    def num_degrees(self) -> int:
        """Coefficients asked of the kernel."""
        default = _HERMITE_DEGREE if self.form == "hermite" else _TABLE_DEGREE
        return (default if self.degree is None else self.degree) + 1


def check_name(name: str, value: str, known: tuple[str, ...]) -> None:
    """Refuses what is none of the known names.

    Raises:
        UnknownNameError: with the nearest of them.
    """
    if value not in known:
        nearest = nearest_name(str(value), known)
        raise UnknownNameError(
            name,
            value,
            expected=f"one of {', '.join(known)}",
            remedy=f"did you mean {nearest!r}?" if nearest else f"pass one of {', '.join(known)}",
        )


def check_count(name: str, value: object, lowest: int, highest: int) -> None:
    """Refuses what is no whole number of a range.

    Raises:
        InvalidValueError: naming the range.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        expected = f"a whole number from {lowest} to {highest}"
        raise InvalidValueError(name, value, expected=expected, remedy=f"pass {expected}")
