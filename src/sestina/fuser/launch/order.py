"""The order in which kernels are launched: several that are alike have one launch.

An optimizer's step is the same kernel for each parameter. Those that can run at the same time have
one launch with a table of work. They are brought together only where their results lie in memory
that is there already, or are small: elsewhere a tensor would be made long before it is needed.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from sestina.fuser.segment.groups import Group

__all__ = ["launches"]


def launches(groups: Sequence[Group], alike: Mapping[Group, str]) -> list[list[Group]]:
    """The groups, each after those that it waits for, in their order as far as that goes.

    Args:
        groups: in an order in which each finds what it reads.
        alike: for each that may be launched with others, what those others share with it.
    """
    place = {group: index for index, group in enumerate(groups)}
    waiting = {group: len(group.before) for group in groups}
    heap = [place[group] for group in groups if not group.before]
    heapq.heapify(heap)
    ready: dict[str, list[Group]] = {}
    for group in groups:
        if not group.before and group in alike:
            ready.setdefault(alike[group], []).append(group)
    done: set[Group] = set()
    found: list[list[Group]] = []
    while heap:
        group = groups[heapq.heappop(heap)]
        if group in done:
            continue
        together = ready.pop(alike[group]) if group in alike else [group]
        found.append(together)
        done.update(together)
        for user in (user for one in together for user in one.after):
            waiting[user] -= 1
            if not waiting[user]:
                heapq.heappush(heap, place[user])
                if user in alike:
                    ready.setdefault(alike[user], []).append(user)
    return found
