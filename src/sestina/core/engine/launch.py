"""The life of one worker process, seen from the process that started it."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path

from sestina.core.engine.replies import Reply
from sestina.core.engine.worker import Surroundings

__all__ = ["WorkerProcess"]

# The path is set before anything of ours is imported: the caller may have changed its own. -P keeps
# modules of the current directory from standing in for the standard library's.
_BOOTSTRAP = """\
import sys
from multiprocessing.connection import Connection
link = Connection(int(sys.argv[1]))
sys.path[:] = link.recv()
from sestina.core.engine.worker import serve
serve(link)
"""
# The libraries that bring threads of their own; read when they are loaded.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_KEPT_LOG_BYTES = 1 << 20
# A process that something else keeps a copy of its socket for is noticed after this long.
_LOOK_S = 1.0
_PATIENCE_S = 5.0


class WorkerProcess:
    """A started worker. One thread calls it; `kill` and `read_log` are for any thread.

    Args:
        num_threads: what the numerical libraries may use in it; None leaves that to the
            environment.

    Raises:
        OSError: if no process can be started.
    """

    def __init__(self, *, num_threads: int | None = None) -> None:
        self.has_begun_call = False
        self._lock = threading.Lock()
        # A file without a name: it needs no cleaning up, and what was written survives the worker.
        self._last_log = ""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by bury()
        self._link, far_end = Pipe()
        environment = dict(os.environ)
        if num_threads is not None:
            environment.update(dict.fromkeys(_THREAD_VARIABLES, str(num_threads)))
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and text
                [sys.executable, "-P", "-c", _BOOTSTRAP, str(far_end.fileno())],
                pass_fds=[far_end.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env=environment,
                # Ctrl-C then reaches the caller alone, who decides, and kill() reaches whatever
                # the worker started.
                process_group=0,
            )
        except OSError:
            self._link.close()
            self._log.close()
            raise
        finally:
            far_end.close()

    def await_ready(self) -> None:
        """Tell the worker its surroundings, and wait until it takes calls.

        Raises:
            EOFError, OSError: if it ends before.
        """
        self._link.send(
            [str(Path(entry).absolute()) if entry == "" else entry for entry in sys.path]
        )
        main = sys.modules["__main__"]
        file = getattr(main, "__file__", None)
        self._link.send(
            Surroundings(
                argv=list(sys.argv),
                main_file=None if file is None else str(Path(file).absolute()),
                main_package=getattr(main, "__package__", None),
            )
        )
        self._receive()

    def call(self, payload: bytes) -> tuple[Reply, bytes]:
        """Run a pickled (function, args), and give how it ended and its pickled result.

        Raises:
            EOFError, OSError: if the worker ends before; `has_begun_call` tells whether the call
                may have done it.
        """
        self.has_begun_call = False
        self._clear_log()
        self._link.send_bytes(payload)
        self._receive()
        self.has_begun_call = True
        reply: Reply = pickle.loads(self._receive())  # noqa: S301 - from our own worker
        return reply, self._receive() if reply.has_value else b""

    def read_log(self) -> str:
        """The end of what the worker has printed and logged since its last call began."""
        with self._lock:
            if self._log.closed:
                return self._last_log
            return self._end_of_log()

    def kill(self) -> None:
        """End the worker and what it started, now."""
        with self._lock:
            self._kill_group()

    def bury(self) -> int:
        """Wait for the end of a worker that is ending, release everything, give its exit code.

        One that lingers is killed, and so is what it started. A negative code is the number of the
        signal that ended it.
        """
        self._link.close()
        deadline = time.monotonic() + _PATIENCE_S
        while not self._has_ended():
            if time.monotonic() > deadline:
                self.kill()
            time.sleep(0.005)
        with self._lock:
            self._kill_group()
            code = self._process.wait()
            if not self._log.closed:
                self._last_log = self._end_of_log()
                self._log.close()
        return code

    def _kill_group(self) -> None:
        # Only until it has been waited for: then its number may belong to another process.
        self._look()
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _has_ended(self) -> bool:
        with self._lock:
            return self._look()

    def _look(self) -> bool:
        """Whether it has ended. It is not waited for, so that its group keeps its number."""
        if self._process.returncode is None:
            how = os.WEXITED | os.WNOHANG | os.WNOWAIT
            try:
                return os.waitid(os.P_PID, self._process.pid, how) is not None
            except ChildProcessError:  # the program ignores SIGCHLD, or has waited itself
                self._process.poll()
        return True

    def _end_of_log(self) -> str:
        size = os.fstat(self._log.fileno()).st_size
        start = max(0, size - _KEPT_LOG_BYTES)
        data = os.pread(self._log.fileno(), _KEPT_LOG_BYTES, start)
        return data.decode("utf-8", errors="replace")

    def _clear_log(self) -> None:
        with self._lock:
            # The worker writes at the position that both share.
            os.lseek(self._log.fileno(), 0, os.SEEK_SET)
            os.ftruncate(self._log.fileno(), 0)

    def _receive(self) -> bytes:
        while not self._link.poll(_LOOK_S):
            if self._has_ended() and not self._link.poll(0):
                raise EOFError
        return self._link.recv_bytes()
