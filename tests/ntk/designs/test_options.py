"""Options of a design are checked when they are made."""

from __future__ import annotations

import pytest

from sestina.core.errors import InvalidValueError, UnknownNameError
from sestina.ntk.designs.options import DesignOptions


def test_defaults_work_and_depend_on_the_form():
    assert DesignOptions().num_degrees == 16_384
    assert DesignOptions(form="hermite").num_degrees == 65
    assert DesignOptions(degree=10).num_degrees == 11


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"kind": "nkt"}, UnknownNameError, "ntk"),
        ({"form": "relusum"}, UnknownNameError, "did you mean 'relu-sum'"),
        ({"signs": "random"}, UnknownNameError, "searched"),
        ({"degree": -1}, InvalidValueError, "from 0 to 65535"),
        ({"degree": 600, "form": "hermite"}, InvalidValueError, "from 0 to 511"),
        ({"degree": 3.0}, InvalidValueError, "whole number"),
        ({"degree": True}, InvalidValueError, "whole number"),
        ({"terms": 0}, InvalidValueError, "from 1 to 32"),
        ({"width": 0}, InvalidValueError, "from 1"),
    ],
)
def test_bad_options_are_refused(options, error, text):
    with pytest.raises(error, match=text):
        DesignOptions(**options)
