"""The graphs that rows are about, those of `sestina fuser bench`."""

from __future__ import annotations

from sestina.fuser.cases import CASES, Case

__all__ = ["CASES", "Case"]
