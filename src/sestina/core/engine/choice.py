"""From a number of workers to an engine."""

from __future__ import annotations

from sestina.core.engine.interface import Engine
from sestina.core.engine.processes import ProcessEngine
from sestina.core.engine.serial import SerialEngine
from sestina.core.machine import usable_cores

__all__ = ["make_engine"]


def make_engine(num_workers: int = 1) -> Engine:
    """The engine for that many workers.

    Args:
        num_workers: 1 works in this process, more in as many worker processes, 0 in one for each
            core that this process may use.

    Raises:
        InvalidValueError: if it is negative.
    """
    if num_workers == 1:
        return SerialEngine()
    return ProcessEngine(num_workers or usable_cores())
