"""From a number of workers, or a cluster, to an engine."""

from __future__ import annotations

from sestina.core.engine.interface import Engine
from sestina.core.engine.processes import ProcessEngine
from sestina.core.engine.serial import SerialEngine
from sestina.core.errors import InvalidValueError
from sestina.core.machine import usable_cores

__all__ = ["make_engine"]


def make_engine(num_workers: int = 1, *, cluster: str | None = None) -> Engine:
    """The engine for that many workers, or of a cluster.

    Args:
        num_workers: 1 works in this process, more in as many worker processes, 0 in one for each
            core that this process may use.
        cluster: the address of a Ray cluster, or "auto" for the one that this machine belongs to;
            its cores decide how many calls run at once.

    Raises:
        InvalidValueError: if the number is negative, or given beside a cluster.
        MissingExtraError: if there is a cluster but Ray is not installed.
        ConnectionError: if there is no cluster at the address.
    """
    if cluster is not None:
        if num_workers != 1:
            raise InvalidValueError(
                "num_workers",
                num_workers,
                expected="none beside a cluster, which has its own",
                remedy="leave one of the two out",
            )
        from sestina.core.engine.ray import RayEngine  # noqa: PLC0415 - an optional extra

        return RayEngine(cluster)
    if num_workers == 1:
        return SerialEngine()
    return ProcessEngine(num_workers or usable_cores())
