from __future__ import annotations

import io
import logging

from sestina.core.log import logging_to


def test_our_own_records_go_by_the_level_and_others_from_warning_on():
    lines = io.StringIO()
    with logging_to(lines, logging.INFO):
        logging.getLogger("sestina.ntk.matrices.tiled").debug("hidden")
        logging.getLogger("sestina.ntk.matrices.tiled").info("shown")
        logging.getLogger("matplotlib").info("hidden")
        logging.getLogger("matplotlib").warning("shown")
    assert lines.getvalue() == "INFO sestina.ntk.matrices.tiled: shown\nWARNING matplotlib: shown\n"


def test_afterwards_all_is_as_before():
    root, own = logging.getLogger(), logging.getLogger("sestina")
    before = (root.handlers[:], own.level)
    lines = io.StringIO()
    with logging_to(lines, logging.DEBUG), logging_to(io.StringIO(), logging.ERROR):
        pass
    own.warning("after")
    assert (root.handlers, own.level) == before
    assert lines.getvalue() == ""
