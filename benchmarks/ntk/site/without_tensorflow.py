"""Stand-ins for TensorFlow in the benchmarks' environment.

neural-tangents imports its face for TensorFlow users (`experimental.empirical_tf`) with everything
else, and that pulls TensorFlow, about 1.9 GB. `make bench` copies this file and its `.pth` into the
environment of the peers: there the three modules below exist, all their names exist, and calling
one of them fails. Nothing that is measured goes through them.
"""

from __future__ import annotations

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_ABSENT = ("tensorflow", "tf2jax", "jax.experimental.jax2tf")


class _Absent(ModuleType):
    """A module of which every attribute exists, as another absent module."""

    def __getattr__(self, name: str) -> _Absent:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Absent(f"{self.__name__}.{name}")

    def __call__(self, *args: object, **options: object) -> object:
        raise ImportError(f"{self.__name__} is a stand-in; install TensorFlow to use it")


class _Finder(MetaPathFinder, Loader):
    """Answers the imports of absent modules; asked before the real search."""

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> ModuleSpec | None:
        if any(fullname == name or fullname.startswith(name + ".") for name in _ABSENT):
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Absent(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""


sys.meta_path.insert(0, _Finder())
