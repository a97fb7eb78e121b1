from __future__ import annotations

import struct
import subprocess
import sys

import pytest

from sestina.core.errors import InvalidValueError
from sestina.core.plots import COLOURS, house_style, new_figure, new_figures, save_figure

matplotlib = pytest.importorskip("matplotlib")


def draw():
    with house_style():
        figure, axes = new_figure()
        axes.plot([-1, 0, 1], [0, 1, 4], label="target")
        axes.set(title="K(c)", xlabel="c")
        axes.legend()
    return figure


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG\r\n"), (".svg", b"<?xml"), (".pdf", b"%PDF")]
)
def test_the_same_figure_gives_the_same_bytes(tmp_path, suffix, start):
    paths = [save_figure(draw(), tmp_path / f"{name}{suffix}") for name in "ab"]
    first, second = (path.read_bytes() for path in paths)
    assert first.startswith(start)
    assert first == second
    assert matplotlib.__version__.encode() not in first


def test_a_picture_has_the_size_that_was_asked_for(tmp_path):
    figure, axes = new_figures(3, num_rows=2, width_inch=2, height_inch=1)
    assert len(axes) == 6
    data = save_figure(figure, tmp_path / "a.png").read_bytes()
    assert struct.unpack(">II", data[16:24]) == (3 * 2 * 144, 2 * 1 * 144)


def test_lines_have_the_house_colours():
    with house_style():
        _, axes = new_figure()
        lines = [axes.plot([0, 1], [0, k])[0] for k in range(len(COLOURS))]
    assert tuple(line.get_color() for line in lines) == COLOURS


def test_settings_are_as_before_afterwards():
    before = dict(matplotlib.rcParams)
    draw()
    assert dict(matplotlib.rcParams) == before


def test_no_window_system_is_asked_for(tmp_path):
    code = (
        "import sys; from sestina.core.plots import new_figure, save_figure;"
        "assert 'matplotlib' not in sys.modules, 'imported too early';"
        f"save_figure(new_figure()[0], {str(tmp_path / 'a.png')!r});"
        "assert 'matplotlib.pyplot' not in sys.modules, 'pyplot'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["kernel.gif", "kernel"])
def test_another_format_is_refused(tmp_path, name):
    with pytest.raises(InvalidValueError, match=r"call it kernel\.png"):
        save_figure(draw(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_old_picture(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("old")

    class BrokenFigure:
        def savefig(self, target, **_):
            target.write_text("half")
            raise OSError(28, "no space left")

    with pytest.raises(OSError, match="no space left"):
        save_figure(BrokenFigure(), path)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]
