"""What the tests of the engines run; worker processes import this file, so it imports little."""

# ruff: noqa: T201 - what calls print is captured, and tested

from __future__ import annotations

import functools
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from sestina.core.engine import ProcessEngine

NOTE = ["as imported"]


def square(x):
    return x * x


def nothing(_):
    return None


def fail_on_odd(x):
    if x % 2:
        message = f"{x} is odd"
        raise ValueError(message)
    return x


def speak(text):
    print(f"printed {text}")
    print(f"complained {text}", file=sys.stderr)
    logging.getLogger("elsewhere").warning("logged %s", text)


def leave_program(_):
    sys.exit(3)


def die_on(fatal, x, *, by=signal.SIGKILL):
    print(f"working on {x}", flush=True)
    if x == fatal:
        os.kill(os.getpid(), by)
    return x


def end_at_once(code):
    os._exit(code)


def die_later(delay_s):
    threading.Timer(delay_s, end_at_once, [0]).start()
    return os.getpid()


class TwoArgumentError(Exception):
    """Pickles, but doesn't unpickle: its constructor wants two arguments and gets one."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


class WithLockError(Exception):
    """Doesn't pickle."""

    def __init__(self):
        super().__init__("holds a lock")
        self.lock = threading.Lock()


def raise_two(_):
    raise TwoArgumentError(1, 2)


def raise_lock(_):
    raise WithLockError


def give_lock(_):
    return threading.Lock()


class UnreadableResult:
    """Pickles, but raises when it is read."""

    def __reduce__(self):
        return (fail_on_odd, (1,))


def give_unreadable(_):
    return UnreadableResult()


def leave():
    sys.exit(5)


class ResultThatLeaves:
    """Pickles, but ends the program where it is read."""

    def __reduce__(self):
        return (leave, ())


def give_result_that_leaves(_):
    return ResultThatLeaves()


class ItemThatLeaves:
    """Ends the program where it is pickled."""

    def __reduce__(self):
        leave()


class LeavesHereError(Exception):
    """Crosses as an exception that ends the program where it is read outside a worker."""

    def __reduce__(self):
        return (leave_unless, (os.getpid(),))


def leave_unless(process_id):
    if os.getpid() != process_id:
        leave()
    return LeavesHereError()


def raise_leaves_here(_):
    raise LeavesHereError


class WordlessError(Exception):
    """Can't be told in words."""

    def __str__(self):
        raise WordlessError


def raise_wordless(_):
    raise WordlessError


def zeros(num_bytes):
    return bytes(num_bytes)


def length(data):
    return len(data)


def process_id(_=None):
    return os.getpid()


def touch_and_sleep(path, seconds=60.0):
    Path(path).write_text(str(os.getpid()))
    time.sleep(seconds)


def speak_and_sleep(text):
    print(text)
    time.sleep(60)


def start_child_and_sleep(path):
    child = subprocess.Popen(["sleep", "60"])
    Path(path).write_text(str(child.pid))
    time.sleep(60)


def start_child_and_end(path, by):
    child = subprocess.Popen(["sleep", "60"])
    Path(path).write_text(str(child.pid))
    if by:
        os.kill(os.getpid(), by)


def note(_):
    return NOTE


def threads_allowed(_):
    return os.environ.get("OMP_NUM_THREADS")


def main_module(_):
    return sys.modules["__main__"].__name__


def map_in_new_engine(items):
    with ProcessEngine(2) as engine:
        return engine.map(square, items)


def die_in_new_engine(items):
    with ProcessEngine(1) as engine:
        ended = engine.outcomes(functools.partial(die_on, 1), items)
    return [str(outcome.status) for outcome in ended]
