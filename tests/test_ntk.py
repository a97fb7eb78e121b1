"""Tests of the room's face: what it offers, and what it says where its extra is missing."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

from sestina import ntk


def test_names_are_sorted_and_there():
    assert list(ntk.__all__) == sorted(ntk.__all__)
    assert [name for name in ntk.__all__ if not hasattr(ntk, name)] == []


def test_no_module_shares_its_name_with_something_offered():
    # The import of one would hide the other.
    modules = {module.name for module in pkgutil.iter_modules(ntk.__path__)}
    assert modules & set(ntk.__all__) == set()


@pytest.mark.parametrize("package", ["torch", "scipy", "sklearn"])
def test_a_missing_package_is_named_with_the_extra(package):
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "try:\n    import sestina.ntk\n"
        "except ImportError as error:\n    print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == (
        f"MissingExtraError {package} is not installed; "
        "install it with: pip install 'sestina[ntk]'\n"
    )
