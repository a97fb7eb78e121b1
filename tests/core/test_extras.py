from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version

import pytest

import sestina
from sestina.core.errors import MissingExtraError
from sestina.core.extras import import_extra, naming_extra


def test_an_installed_module_is_imported():
    assert import_extra("json", extra="ntk") is json


def test_a_missing_package_is_named_with_the_command_that_installs_it():
    with pytest.raises(MissingExtraError) as caught:
        import_extra("no_such_package.part", extra="ntk")
    assert (caught.value.package, caught.value.extra) == ("no_such_package", "ntk")
    assert "pip install 'sestina[ntk]'" in str(caught.value)


def test_a_missing_module_of_our_own_is_no_missing_extra():
    with pytest.raises(ModuleNotFoundError) as caught:
        import_extra("sestina.no_such_room", extra="ntk")
    assert not isinstance(caught.value, MissingExtraError)


def test_other_errors_of_an_import_pass_through():
    with pytest.raises(ImportError, match="broken build"), naming_extra("ntk"):
        raise ImportError("broken build", name="torch")


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_loads_neither_rooms_nor_their_packages():
    heavy = "{'torch', 'numpy', 'scipy', 'sklearn', 'matplotlib', 'click', 'sestina.ntk'}"
    assert run(f"import sys, sestina; print({heavy} & set(sys.modules))") == "set()\n"
    assert "ntk" in run("import sestina; print(dir(sestina))")


def test_a_room_without_its_packages_names_the_extra():
    code = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, Absent())
import sestina
try:
    sestina.ntk
except sestina.core.errors.MissingExtraError as error:
    print(error.remedy)
"""
    assert run(code) == "install it with: pip install 'sestina[ntk]'\n"


def test_a_room_that_is_not_there_is_no_attribute():
    code = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == "sestina.ntk":
            raise ModuleNotFoundError("No module named 'sestina.ntk'", name="sestina.ntk")
sys.meta_path.insert(0, Absent())
import sestina
print(hasattr(sestina, "ntk"))
"""
    assert run(code) == "False\n"
    assert not hasattr(sestina, "no_such_room")


def test_the_version_is_that_of_the_installation():
    assert sestina.__version__ == version("sestina")


def test_a_tree_that_was_never_installed_has_a_version_too(root):
    code = f"import sys; sys.path.insert(0, {str(root / 'src')!r}); import sestina; "
    done = subprocess.run(
        [sys.executable, "-S", "-I", "-c", code + "print(sestina.__version__)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "0+source\n"
