"""Benchmark workers: a piece of work in a pinned process of its own, told what to do line by line.

Only the standard library is imported here, since a worker may run in a peer's environment.

The parent starts `python -m benchmarks.workers <module>:<function>`. It writes one JSON object per
line and reads one back:

    {"do": "setup", "workload": {...}}    -> {"versions": {...}}
    {"do": "run", "repeats": 1}           -> {"process_s": ..., "wall_s": ..., "extra": {...}}
    {"do": "stop"}                        (no answer; the worker ends)

An exception answers {"error": "...", "traceback": "..."}. What the work prints goes to stderr.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

__all__ = [
    "ROOT",
    "Run",
    "Sample",
    "Worker",
    "WorkerFailedError",
    "bench_python",
    "main",
    "versions",
]

ROOT = Path(__file__).resolve().parent.parent
_REPORTED_VERSIONS = (
    "sestina",
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "jax",
    "jaxlib",
    "neural-tangents",
)

Extra = Mapping[str, Any]
Run = Callable[[], Extra | None]
"""One run of the work. It returns what else it measured (JSON), or None.

It must not return before the work is done: a peer that computes asynchronously blocks here.
"""


class WorkerFailedError(RuntimeError):
    """A worker's exception or death; the message carries its traceback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run: CPU seconds of the process (all its threads), wall seconds, and what it added."""

    process_s: float
    wall_s: float
    extra: Mapping[str, Any] = field(default_factory=dict)


class Worker:
    """A process that holds one prepared workload and runs it on request; use it in a `with`.

    Args:
        target: "package.module:function". The function takes the workload (a dict as JSON gives
            it), prepares everything that is not to be timed, and returns a `Run`.
        workload: numbers and strings that both sides of a comparison get.
        python: the interpreter, e.g. `bench_python("ntk")`; default this one.
        num_cores: cores that the process is pinned to, and the value of `OMP_NUM_THREADS` and kin.
        environment: further variables.

    Raises:
        WorkerFailedError: if the worker cannot start or its setup fails.
    """

    def __init__(
        self,
        target: str,
        workload: Mapping[str, Any],
        *,
        python: str | Path | None = None,
        num_cores: int = 1,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.target = target
        self._process = _start_pinned(
            [str(python or sys.executable), "-m", "benchmarks.workers", target],
            num_cores,
            _thread_limits(num_cores) | dict(environment or {}),
        )
        try:
            answer = self._ask({"do": "setup", "workload": dict(workload)})
        except WorkerFailedError:
            self.close()
            raise
        self.versions: dict[str, str] = answer["versions"]

    def run(self, *, repeats: int = 1) -> Sample:
        """Runs the work `repeats` times in a row and returns the mean (`extra` of the last)."""
        answer = self._ask({"do": "run", "repeats": repeats})
        return Sample(process_s=answer["process_s"], wall_s=answer["wall_s"], extra=answer["extra"])

    def close(self) -> None:
        """Ends the process."""
        stdin = _pipe(self._process.stdin)
        if self._process.poll() is None:
            try:
                stdin.write('{"do": "stop"}\n')
                stdin.flush()
                self._process.wait(timeout=10)
            except (BrokenPipeError, subprocess.TimeoutExpired):
                self._process.kill()
        self._process.wait()
        for pipe in (stdin, _pipe(self._process.stdout)):
            try:
                pipe.close()
            except BrokenPipeError:
                continue

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            _pipe(self._process.stdin).write(json.dumps(request) + "\n")
            _pipe(self._process.stdin).flush()
            line = _pipe(self._process.stdout).readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self._process.wait()
            msg = f"worker {self.target} ended with exit status {code} during {request['do']!r}"
            raise WorkerFailedError(msg)
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            msg = f"worker {self.target} failed: {answer['error']}\n{answer['traceback']}"
            raise WorkerFailedError(msg)
        return answer


def bench_python(room: str) -> Path:
    """The interpreter of a room's peers: that of `.venv-bench-<room>`, which `make bench` makes.

    `SESTINA_BENCH_PYTHON_<ROOM>` names another one.

    Raises:
        FileNotFoundError: if it does not exist, with the command that makes it.
    """
    named = os.environ.get(f"SESTINA_BENCH_PYTHON_{room.upper()}")
    python = Path(named) if named else ROOT / f".venv-bench-{room}" / "bin" / "python"
    if not python.exists():
        msg = f"{python} does not exist; make it with: make bench ROOM={room}"
        raise FileNotFoundError(msg)
    return python


def main(target: str) -> None:
    """The worker's side: answers requests until it is told to stop or its parent is gone."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the work prints must not reach the parent's parser
    module, _, function = target.partition(":")
    run: Run | None = None
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "stop":
            return
        try:
            if request["do"] == "setup":
                run = getattr(importlib.import_module(module), function)(request["workload"])
                answer: dict[str, Any] = {"versions": versions()}
            else:
                assert run is not None, "setup comes first"
                answer = _timed(run, request["repeats"])
        except Exception as error:  # noqa: BLE001 - whatever the work raises belongs to the parent
            answer = {"error": repr(error), "traceback": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _timed(run: Run, repeats: int) -> dict[str, Any]:
    extra: Extra | None = None
    wall, process = time.perf_counter(), time.process_time()
    for _ in range(repeats):
        extra = run()
    process, wall = time.process_time() - process, time.perf_counter() - wall
    return {"process_s": process / repeats, "wall_s": wall / repeats, "extra": dict(extra or {})}


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that rows name, where installed."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in _REPORTED_VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _start_pinned(
    command: list[str], num_cores: int, variables: dict[str, str]
) -> subprocess.Popen[str]:
    # Affinity is inherited, so this process takes it on while it starts the other: no code has to
    # run between fork and exec, and the child's libraries see the cores that they really have.
    usable = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, usable[-num_cores:])
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | variables,
        )
    finally:
        os.sched_setaffinity(0, usable)


def _thread_limits(num_cores: int) -> dict[str, str]:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    many = str(num_cores > 1).lower()
    xla = f"--xla_cpu_multi_thread_eigen={many} intra_op_parallelism_threads={num_cores}"
    return {name: str(num_cores) for name in names} | {"XLA_FLAGS": xla}


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None, "both pipes are asked for in Popen"
    return pipe


if __name__ == "__main__":
    main(sys.argv[1])
