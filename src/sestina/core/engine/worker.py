"""The side of a worker process: it reads calls, runs them one by one, and writes how they ended.

A worker is a fresh interpreter (never a fork, which hangs once OpenMP has started). It imports the
main script of the program only when a call needs something that is defined there.
"""

from __future__ import annotations

import faulthandler
import importlib.machinery
import importlib.util
import io
import logging
import os
import pickle
import queue
import sys
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sestina.core.engine.replies import Reply, answer
from sestina.core.errors import InvalidValueError
from sestina.core.log import logging_to

__all__ = ["Surroundings", "is_importing_main", "serve"]

_IMPORTING_MAIN = threading.Event()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a worker takes over from the process that started it, besides its environment."""

    argv: list[str]
    main_file: str | None
    """The file of the main module; None in an interactive session."""
    main_package: str | None
    """Its package, if it was started with `python -m`."""


def is_importing_main() -> bool:
    """Whether this is a worker that is importing the main script just now.

    A script that starts an engine then lacks the guard `if __name__ == "__main__":`.
    """
    return _IMPORTING_MAIN.is_set()


def serve(link: Connection) -> None:
    """Run the calls that come over `link` until it is closed. The main function of a worker.

    Messages from there: `Surroundings`, then pickled (function, args). From here: b"ready" once,
    then for each call b"started", a pickled `Reply` and, if it has one, the pickled result.
    """
    surroundings: Surroundings = link.recv()
    sys.argv[:] = surroundings.argv
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    faulthandler.enable()
    calls: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    is_busy = threading.Event()
    threading.Thread(target=_receive, args=(link, calls, is_busy), daemon=True).start()
    link.send_bytes(b"ready")
    with logging_to(sys.stderr, logging.INFO):
        while (call := calls.get()) is not None:
            link.send_bytes(b"started")
            reply, value = _run(call, surroundings)
            sys.stdout.flush()
            sys.stderr.flush()
            is_busy.clear()
            link.send_bytes(pickle.dumps(reply, protocol=5))
            if reply.has_value:
                link.send_bytes(value)  # apart, for copying a large one takes memory


def _receive(
    link: Connection, calls: queue.SimpleQueue[bytes | None], is_busy: threading.Event
) -> None:
    """Bring calls to the main thread, and end the process when the other side is gone."""
    while True:
        try:
            call = link.recv_bytes()
        except (EOFError, OSError):
            if is_busy.is_set():
                os._exit(1)  # nobody waits for this call's result any more
            calls.put(None)
            return
        is_busy.set()
        calls.put(call)


def _run(call: bytes, surroundings: Surroundings) -> tuple[Reply, bytes]:
    def work() -> bytes:
        function, args = _Unpickler(io.BytesIO(call), surroundings).load()
        return pickle.dumps(function(*args), protocol=5)

    reply, value = answer(work)
    return reply, value or b""


class _Unpickler(pickle.Unpickler):  # noqa: S301 - reads what our own parent process sent
    """Finds what is defined in the main script by importing that script first."""

    def __init__(self, file: io.BytesIO, surroundings: Surroundings) -> None:
        super().__init__(file)
        self._surroundings = surroundings

    def find_class(self, module_name: str, name: str, /) -> Any:
        if module_name == "__main__" and sys.modules["__main__"].__name__ == "__main__":
            _import_main(self._surroundings, name)
        return super().find_class(module_name, name)


def _import_main(surroundings: Surroundings, name: str) -> None:
    """Import the main script as `__mp_main__`, the name that multiprocessing made customary."""
    path = surroundings.main_file
    if path is None or not Path(path).is_file():
        raise InvalidValueError(
            "function",
            f"__main__.{name}",
            expected="one that a worker process can import from a file",
            remedy="define it in a module or script, not in an interactive session",
        )
    loader = importlib.machinery.SourceFileLoader("__mp_main__", path)
    spec = importlib.util.spec_from_loader("__mp_main__", loader)
    assert spec is not None
    main = importlib.util.module_from_spec(spec)
    # As for a script that is run: relative imports go by the package alone.
    main.__spec__ = None
    main.__package__ = surroundings.main_package
    bootstrap = sys.modules["__main__"]
    sys.modules["__mp_main__"] = sys.modules["__main__"] = main
    _IMPORTING_MAIN.set()
    try:
        loader.exec_module(main)
    except BaseException:
        sys.modules["__mp_main__"] = sys.modules["__main__"] = bootstrap
        raise
    finally:
        _IMPORTING_MAIN.clear()
