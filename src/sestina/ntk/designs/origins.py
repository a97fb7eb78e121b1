"""What a design was asked for, in words and numbers that a file can keep."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Origin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a design's target comes from, for people.

    Example:
        >>> Origin(text="nearest achievable to poly:0,-1", nearest_of="poly:0,-1", distance=1.0)
        Origin(text='nearest achievable to poly:0,-1', nearest_of='poly:0,-1', distance=1.0)
    """

    text: str
    """What reports and pictures call the target, e.g. the text of the command line."""
    nearest_of: str | None = None
    """The kernel asked for, if no network has it and the nearest one was designed; else None."""
    distance: float | None = None
    """The largest difference between the two on [−1, 1]; None if there is but one."""
