from __future__ import annotations

import json

import pytest

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
