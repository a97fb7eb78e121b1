"""Run a function over many items, here or in worker processes; the caller chooses, the code is one.

>>> from sestina.core.engine import make_engine
>>> with make_engine(num_workers=1) as engine:
...     engine.map(abs, [-1, 2, -3])
[1, 2, 3]

`map` gives the results in order and raises the first failure once all other items are finished;
`outcomes` gives results and failures side by side; `submit` starts one call and gives a handle to
it. See `sestina.core.engine.interface`.
"""

from sestina.core.engine.choice import make_engine
from sestina.core.engine.interface import Engine, Handle, Outcome, Status
from sestina.core.engine.processes import ProcessEngine
from sestina.core.engine.serial import SerialEngine

__all__ = [
    "Engine",
    "Handle",
    "Outcome",
    "ProcessEngine",
    "SerialEngine",
    "Status",
    "make_engine",
]
