"""The `sestina` command: one file per group of commands, each loaded when it is called.

`main.py` finds the groups, prints errors and decides the exit status; `options.py` makes command
line options of a dataclass; `output.py` prints tables, JSON and progress. Nothing else prints.
"""

__all__: list[str] = []
