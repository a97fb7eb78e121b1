"""The compatible faces under the names of the packages whose names they have.

After `install()`, `from torchaudio.models.decoder import ctc_decoder` and the like work where these
packages are not installed. One that is installed always goes first.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Final

__all__ = ["install", "uninstall"]

_FACES: Final = "sestina.decoding.compat"
_TARGETS: Final = {
    "flashlight.lib.text.decoder": f"{_FACES}.flashlight.decoder",
    "flashlight.lib.text.dictionary": f"{_FACES}.flashlight.dictionary",
    "kenlm": f"{_FACES}.kenlm",
    "pyctcdecode": f"{_FACES}.pyctcdecode",
    "torchaudio.models.decoder": f"{_FACES}.torchaudio",
}
# What a target cannot do without; where it is missing, the name stays unknown.
_NEEDS: Final = {"torchaudio.models.decoder": "torch"}
# Other packages ask for a version before they import one of these. TorchAudio is not among them:
# who asks for it wants the rest of it.
_VERSIONS: Final = {"flashlight-text": "0.0.7", "kenlm": "0.3.0", "pyctcdecode": "0.5.0"}
_MODULES: Final = {"flashlight-text": "flashlight.lib.text.decoder"}


def install() -> tuple[str, ...]:
    """Makes the faces importable under the old names, where no such package is installed.

    A face that needs what is not installed is left out, as that of TorchAudio without torch.

    Returns:
        The names that lead to a face now.
    """
    before = list(sys.meta_path)
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())  # last: a package that is installed is found before
    try:
        return tuple(name for name in _TARGETS if _is_served(name))
    except BaseException:  # a package above one of the names is there and fails when imported
        sys.meta_path[:] = before
        raise


def uninstall() -> None:
    """Undoes `install`; what was imported meanwhile is forgotten under the old names."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
    for name, module in list(sys.modules.items()):
        if isinstance(getattr(getattr(module, "__spec__", None), "loader", None), _Loader):
            del sys.modules[name]
            parent, _, child = name.rpartition(".")
            if vars(sys.modules.get(parent, sys)).get(child) is module:
                delattr(sys.modules[parent], child)


def _is_served(name: str) -> bool:
    try:
        found = find_spec(name)
    except ImportError:  # nobody has the package above it, or it lacks something itself
        return False
    return found is not None and isinstance(found.loader, _Loader)


def _target_of(name: str) -> str | None:
    """The module of ours behind an old name, if there is one."""
    for old, ours in _TARGETS.items():
        if name == old or name.startswith(f"{old}."):
            if old in _NEEDS and find_spec(_NEEDS[old]) is None:
                return None
            target = ours + name.removeprefix(old)
            try:
                return target if find_spec(target) is not None else None
            except ModuleNotFoundError:  # a module of ours that is no package
                return None
    return None


class _Finder(MetaPathFinder):
    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        ours = _target_of(fullname)
        above = any(
            old.startswith(f"{fullname}.") and _target_of(old) is not None for old in _TARGETS
        )
        if ours is None and not above:
            return None
        return ModuleSpec(fullname, _Loader(ours), is_package=True)

    def find_distributions(
        self, context: importlib.metadata.DistributionFinder.Context
    ) -> Iterator[importlib.metadata.Distribution]:
        for name, version in _VERSIONS.items():
            asked = context.name is None or context.name.lower().replace("_", "-") == name
            if asked and _is_served(_MODULES.get(name, name)):
                yield _Distribution(name, version)


class _Loader(Loader):
    """Fills a module with the names of the target, or with nothing for a package above one."""

    def __init__(self, target: str | None) -> None:
        self._target = target

    def exec_module(self, module: ModuleType) -> None:
        if self._target is None:
            return
        target = importlib.import_module(self._target)
        kept = {"__name__", "__spec__", "__loader__", "__package__", "__path__", "__file__"}
        vars(module).update({k: v for k, v in vars(target).items() if k not in kept})


class _Distribution(importlib.metadata.Distribution):
    def __init__(self, name: str, version: str) -> None:
        self._text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"

    def read_text(self, filename: str) -> str | None:
        return self._text if filename == "METADATA" else None

    def locate_file(self, path: object) -> importlib.metadata.PackagePath:
        raise FileNotFoundError(path)
