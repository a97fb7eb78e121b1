"""Worker processes of whole programs: scripts, their main module, Ctrl-C, sudden death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PATIENCE_S = 60.0

GUARDED = """
import dataclasses, sys
from sestina.core.engine import ProcessEngine

@dataclasses.dataclass
class Point:
    x: int
    y: "int" = 0

def moved(point):
    return Point(point.x + 1, y=len(sys.argv))

if __name__ == "__main__":
    with ProcessEngine(2) as engine:
        result = engine.map(moved, [Point(1), Point(2)])
    assert all(type(point) is Point for point in result), result
    print(result)
"""

UNGUARDED = """
from sestina.core.engine import ProcessEngine

def double(x):
    return 2 * x

with ProcessEngine(1) as engine:
    print(engine.map(double, [1]))
"""

SLEEPING = """
import os, sys, time
from sestina.core.engine import ProcessEngine

def sleep(x):
    with open(f"{sys.argv[1]}/{x}", "w") as file:
        file.write(str(os.getpid()))
    time.sleep(60)

if __name__ == "__main__":
    with ProcessEngine(2) as engine:
        engine.map(sleep, range(4))
"""


def run(arguments, **options):
    return subprocess.run(
        [sys.executable, "-W", "error", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
        **options,
    )


@pytest.fixture
def script(tmp_path):
    def write(text, name="program.py"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_functions_and_classes_of_a_script_cross(script):
    done = run([script(GUARDED), "one argument"])
    assert (done.stdout, done.stderr) == ("[Point(x=2, y=2), Point(x=3, y=2)]\n", "")


def test_functions_of_a_script_without_suffix_cross(script):
    assert run([script(GUARDED, "program")]).stdout.startswith("[Point(x=2, y=1)")


def test_functions_of_a_module_that_is_run_cross(script, tmp_path):
    script("", "__init__.py")
    script("MORE = 1", "helper.py")
    script(GUARDED.replace("import dataclasses", "from .helper import MORE\nimport dataclasses"))
    done = run(["-m", f"{tmp_path.name}.program"], cwd=tmp_path.parent)
    assert (done.stdout, done.stderr) == ("[Point(x=2, y=1), Point(x=3, y=1)]\n", "")


def test_a_script_without_a_guard_is_told_so(script):
    done = run([script(UNGUARDED)])
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "WorkerError: item 0 failed: InvalidValueError: the main script is" in done.stderr
    assert 'if __name__ == "__main__":' in done.stderr, last


def test_functions_without_a_file_are_told_so():
    done = run(["-c", UNGUARDED])
    assert done.returncode == 1
    assert "function is '__main__.double', expected one that a worker" in done.stderr


def test_a_current_directory_with_names_of_the_standard_library_does_no_harm(script, tmp_path):
    for name in ("queue.py", "socket.py", "pickle.py"):
        script("raise SystemExit('not the one')", name)
    program = "from sestina.core.engine import ProcessEngine\n"
    program += "with ProcessEngine(1) as engine: print(engine.map(abs, [-1]))"
    done = run(["-P", "-c", program], cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("[1]\n", "")


def workers_of(folder, number):
    deadline = time.monotonic() + PATIENCE_S
    while True:
        texts = [path.read_text() for path in folder.iterdir() if path.name.isdecimal()]
        if len(texts) >= number and all(texts):
            return [int(text) for text in texts]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def assert_gone(process_ids):
    deadline = time.monotonic() + PATIENCE_S
    while alive := [pid for pid in process_ids if is_running(pid)]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.01)


def is_running(process_id):
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL])
def test_the_end_of_the_program_is_the_end_of_its_workers(script, tmp_path, by):
    program = subprocess.Popen(
        [sys.executable, str(script(SLEEPING)), str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    process_ids = workers_of(tmp_path, 2)
    os.killpg(program.pid, by)  # as a terminal does for Ctrl-C
    _, errors = program.communicate(timeout=PATIENCE_S)
    assert program.returncode == -by
    assert errors.count("Traceback") == (1 if by == signal.SIGINT else 0), errors
    assert_gone(process_ids)
    assert len([path for path in tmp_path.iterdir() if path.name.isdecimal()]) == 2
