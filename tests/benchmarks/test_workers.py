"""Workers: pinned processes that answer line by line, and say what went wrong."""

from __future__ import annotations

import os
import sys

import pytest

from benchmarks.harness import alternate, repeat
from benchmarks.workers import ROOT, Worker, WorkerFailedError, bench_python

THIS = "tests.benchmarks.test_workers"


def adds(workload):
    """A workload of this very file: the worker imports it by name."""
    print("goes to stderr, not into the answers")  # noqa: T201 - that is the point

    def run():
        return {"sum": sum(range(workload["n"])), "cores": len(os.sched_getaffinity(0))}

    return run


def breaks(workload):
    def run():
        msg = f"cannot do {workload['n']}"
        raise ValueError(msg)

    return run


def dies(workload):
    def run():
        os._exit(workload["n"])

    return run


def test_a_worker_runs_its_workload_on_the_cores_it_was_given():
    before = os.sched_getaffinity(0)
    with Worker(f"{THIS}:adds", {"n": 5}, num_cores=1) as worker:
        sample = worker.run(repeats=3)
        assert worker.versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert sample.extra == {"sum": 10, "cores": 1}
    assert sample.process_s >= 0
    assert sample.wall_s > 0
    assert os.sched_getaffinity(0) == before


def test_alternating_gives_as_many_samples_of_both():
    with Worker(f"{THIS}:adds", {"n": 5}) as ours, Worker(f"{THIS}:adds", {"n": 6}) as peer:
        pairs = alternate(ours, peer, pairs=3)
        runs = repeat(ours, runs=2)
    assert [sample.extra["sum"] for sample in pairs.ours] == [10, 10, 10]
    assert [sample.extra["sum"] for sample in pairs.peer] == [15, 15, 15]
    assert len(runs.ours) == 2


def test_an_exception_of_the_work_reaches_the_parent_with_its_traceback():
    with (
        Worker(f"{THIS}:breaks", {"n": 7}) as worker,
        pytest.raises(WorkerFailedError, match=r"(?s)cannot do 7.*Traceback"),
    ):
        worker.run()


def test_a_dead_worker_is_named_with_its_exit_status():
    with (
        Worker(f"{THIS}:dies", {"n": 3}) as worker,
        pytest.raises(WorkerFailedError, match="exit status 3"),
    ):
        worker.run()


def test_a_target_that_does_not_exist_is_an_error_of_the_setup():
    with pytest.raises(WorkerFailedError, match="nothing"):
        Worker(f"{THIS}:nothing", {})


def test_a_missing_environment_of_peers_names_the_command_that_makes_it(monkeypatch):
    with pytest.raises(FileNotFoundError, match="make bench ROOM=nowhere"):
        bench_python("nowhere")
    monkeypatch.setenv("SESTINA_BENCH_PYTHON_NOWHERE", sys.executable)
    assert str(bench_python("nowhere")) == sys.executable
    assert ROOT.joinpath("benchmarks", "workers.py").is_file()
