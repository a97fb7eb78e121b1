from pathlib import Path

import pytest

from sestina.cli.destinations import check_destination
from sestina.core.errors import OptionError


def test_what_can_be_written_passes(tmp_path):
    check_destination("--out", None, example="a.txt")
    check_destination("--out", tmp_path / "new.txt", example="a.txt")
    check_destination("--out", Path("new.txt"), example="a.txt")


def test_what_cannot_is_refused_with_a_remedy(tmp_path):
    with pytest.raises(OptionError, match=rf"--out {tmp_path}/a\.txt"):
        check_destination("--out", tmp_path, example="a.txt")
    with pytest.raises(OptionError, match=rf"mkdir -p {tmp_path}/no"):
        check_destination("--plot", tmp_path / "no" / "b.png", example="a.png")
