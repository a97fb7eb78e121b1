from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

import click
import pytest

from sestina.cli.options import options_argument
from sestina.core.errors import OptionError


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaintOptions:
    num_layers: int = 2
    """Layers of paint."""
    fast: bool = False
    """Don't wait between layers."""
    kind: Literal["oil", "water"] = "oil"
    colour: Colour = Colour.RED
    shades: tuple[float, ...] = (0.5,)
    seed: int | None = None
    """Drawn if it is not given."""
    folder: Path = Path("out")

    def __post_init__(self):
        if self.num_layers < 1:
            raise OptionError("num_layers", self.num_layers, expected="1 or more", remedy="pass 2")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredOptions:
    path: Path
    """What to paint."""


@pytest.fixture
def paint():
    @click.command()
    @click.argument("subject")
    @options_argument(PaintOptions)
    def command(subject, options):
        return subject, options

    return lambda *arguments: command.main(["cat", *arguments], standalone_mode=False)


def test_nothing_given_is_the_defaults(paint):
    assert paint() == ("cat", PaintOptions())


def test_every_field_has_its_option(paint):
    _, options = paint(
        *("--num-layers", "3", "--fast", "--kind", "water", "--colour", "blue"),
        *("--shades", "0.1,0.2", "--seed", "7", "--folder", "somewhere"),
    )
    assert options == PaintOptions(
        num_layers=3,
        fast=True,
        kind="water",
        colour=Colour.BLUE,
        shades=(0.1, 0.2),
        seed=7,
        folder=Path("somewhere"),
    )


def test_the_command_line_goes_before_the_file_before_the_defaults(paint, tmp_path):
    path = tmp_path / "paint.toml"
    path.write_text('num_layers = 5\nfast = true\nkind = "water"\n')
    _, options = paint("--config", str(path), "--num-layers", "2", "--no-fast")
    assert options == PaintOptions(num_layers=2, fast=False, kind="water")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--num-layers", "two"], "'two' is not an integer; give an integer"),
        (["--kind", "oli"], "'oli' is not one of oil, water; did you mean 'oil'?"),
        (["--shades", "0.1;0.2"], "'0.1;0.2' is not a number"),
    ],
)
def test_a_wrong_value_is_a_wrong_command_line(paint, arguments, text):
    with pytest.raises(click.BadParameter) as caught:
        paint(*arguments)
    assert text in caught.value.format_message()
    assert arguments[0] in caught.value.format_message()


def test_ranges_are_checked_by_the_class(paint):
    with pytest.raises(OptionError, match="num_layers is 0, expected 1 or more"):
        paint("--num-layers", "0")


def test_the_file_is_checked_as_a_file(paint, tmp_path):
    path = tmp_path / "paint.toml"
    path.write_text("layers = 3")
    with pytest.raises(OptionError, match=r"layers in .*paint\.toml is 3"):
        paint("--config", str(path))
    with pytest.raises(FileNotFoundError):
        paint("--config", str(tmp_path / "none.toml"))


def test_a_required_option_may_come_from_either_side(tmp_path):
    @click.command()
    @options_argument(RequiredOptions, name="what")
    def command(what):
        return what

    path = tmp_path / "what.toml"
    path.write_text("path = 'cat.png'")
    for arguments in (["--path", "cat.png"], ["--config", str(path)]):
        assert command.main(arguments, standalone_mode=False).path == Path("cat.png")
    with pytest.raises(OptionError, match="path is 'missing'"):
        command.main([], standalone_mode=False)


def test_help_shows_docstrings_types_and_defaults():
    @click.command()
    @options_argument(PaintOptions)
    def command(options):
        pass

    text = " ".join(command.get_help(click.Context(command)).split())
    assert "--num-layers [int] Layers of paint. [default: 2]" in text
    assert "--fast / --no-fast Don't wait between layers. [default: no]" in text
    assert "--kind [oil|water] [default: oil]" in text
    assert "--shades [float,...] [default: 0.5]" in text
    assert "--seed [int] Drawn if it is not given. --folder [path]" in text
    assert "--config" in text


@pytest.fixture
def hang(tmp_path):
    """A command with options of its own beside those of a class, and a file for it."""

    @click.command()
    @click.option("--wall", "walls", multiple=True, required=True)
    @click.option("--out-file", type=click.Path(path_type=Path))
    @click.option("--frame", is_flag=True)
    @click.option("--seed", default=0)
    @click.option("--height", type=float)
    @options_argument(RequiredOptions)
    def command(**given):
        return given

    def run(text, *arguments):
        path = tmp_path / "hang.toml"
        path.write_text(text)
        return command.main(["--config", str(path), *arguments], standalone_mode=False)

    return run


def test_a_file_may_give_the_options_of_the_command_itself(hang):
    text = """
    wall = ["north", "south"]
    out_file = "a.json"
    frame = true
    seed = 3
    height = 2
    path = "cat.png"
    """
    assert hang(text) == {
        "walls": ("north", "south"),
        "out_file": Path("a.json"),
        "frame": True,
        "seed": 3,
        "height": 2.0,
        "options": RequiredOptions(path=Path("cat.png")),
    }
    given = hang(text, "--wall", "east", "--seed", "4", "--path", "dog.png")
    assert (given["walls"], given["seed"], given["height"]) == (("east",), 4, 2.0)
    assert given["options"].path == Path("dog.png")
    assert hang("wall = 'north'\npath = 'cat.png'")["walls"] == ("north",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("wal = 'north'", r"wal in .*hang\.toml is 'north'.*did you mean 'wall'\?"),
        ("walls = ['north']", r"walls in .*did you mean 'wall'\?"),
        ("pat = 'cat.png'", r"did you mean 'path'\?"),
        ("config = 'other.toml'", r"config in .*, expected an option of .*: path, wall, out_file"),
        ("path = 3", r"path in .*hang\.toml is 3, expected a path"),
        ("wall = [3]", r"wall in .* is \[3\], expected a text, or a list of these"),
        ("seed = 1.5", r"seed in .*hang\.toml is 1\.5, expected an integer"),
        ("seed = true", r"seed in .* is True, expected an integer"),
        ("frame = 1", r"frame in .* is 1, expected true or false"),
        ("height = 'tall'", r"height in .* is 'tall', expected a number"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_before_what_is_missing(hang, text, problem):
    with pytest.raises(OptionError, match=problem):
        hang(text)


def test_what_neither_side_gives_is_missing(hang):
    with pytest.raises(click.MissingParameter):
        hang("path = 'cat.png'")
    with pytest.raises(OptionError, match="path is 'missing'"):
        hang("wall = 'north'")
