"""What every room stands on: errors, options, files, engines, tables, plots. No torch here.

Each module is imported by its own name, so that using one loads no other:

>>> from sestina.core.text import table
>>> print(table([["relu", 4]], headers=["activation", "depth"]))
activation  depth
----------  -----
relu            4
"""

__all__: list[str] = []
