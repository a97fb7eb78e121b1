"""What a chapter of the tour writes on, and how it is kept on disk until the next page is made."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import sestina
from sestina.core.errors import FileFormatError, InvalidValueError
from sestina.core.files import atomic_write_text
from sestina.core.plots import save_figure
from sestina.core.progress import Progress, silent
from sestina.core.text import format_number, table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "PICTURE_SUFFIXES",
    "Block",
    "Chapter",
    "ChapterModule",
    "ChapterRecord",
    "Picture",
    "Table",
    "Text",
    "read_records",
]

PICTURE_SUFFIXES = (".png", ".svg")
"""What a picture's name may end in."""

_FORMAT = "sestina-tour-chapter"
_FORMAT_VERSION = 1
_RECORD_NAME = "chapter.json"


class ChapterModule(Protocol):
    """A file of `sestina/cli/chapters/`."""

    @property
    def TITLE(self) -> str:  # noqa: N802 - a module's constant
        """What the chapter shows, in a few words."""

    def run(self, book: Chapter, /) -> None:
        """Do the room's main job, and show it with the methods of `book`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table; numbers stand in it as they are shown."""

    headers: list[str]
    rows: list[list[str]]
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture in the chapter's folder."""

    file: str
    caption: str


Block = Text | Table | Picture
"""Whatever a chapter shows."""

_KINDS: dict[str, type[Block]] = {"text": Text, "table": Table, "picture": Picture}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChapterRecord:
    """A chapter that was run."""

    room: str
    title: str
    folder: Path
    """Where its pictures are."""
    sestina: str
    """The version that ran it."""
    date: str
    """When, in ISO 8601."""
    took_s: float
    quick: bool
    blocks: tuple[Block, ...]


@dataclass(slots=True, kw_only=True)
class Chapter:
    """What a chapter writes on: printed at once, and kept for the page."""

    room: str
    title: str
    folder: Path
    """A directory of the chapter's own, for pictures and files; empty when the chapter starts. It
    takes the place of the old one when the chapter has ended well."""
    quick: bool = False
    """Less is asked for: smaller input, the same steps."""
    progress: Progress = silent
    """For whatever takes longer than a second."""
    say: Callable[[str], None] = print
    """Where lines for people go."""
    blocks: list[Block] = field(default_factory=list)
    """What was shown up to now."""

    def text(self, paragraph: str) -> None:
        """Show a paragraph of plain text."""
        words = " ".join(paragraph.split())
        self.say(f"\n{words}")
        self.blocks.append(Text(text=words))

    def table(
        self, rows: Sequence[Sequence[object]], headers: Sequence[str], *, caption: str = ""
    ) -> None:
        """Show a table; floats are shown with four digits.

        Raises:
            ShapeError: if a row has not one cell for each header.
        """
        self.say("\n" + (f"{caption}\n" if caption else "") + table(rows, headers))
        cells = [[_cell(value) for value in row] for row in rows]
        self.blocks.append(Table(headers=list(headers), rows=cells, caption=caption))

    def picture(self, name: str, figure: Figure | None = None, *, caption: str) -> Path:
        """Show a picture on the page, and give where it is.

        Args:
            name: the file in `folder`, ending in .png or .svg.
            figure: drawn with `sestina.core.plots`; None if the file is already there.
            caption: what it shows; read out to those who can't see it.

        Raises:
            InvalidValueError: if the name has another ending, or there is no such file.
        """
        path = self.folder / name
        if figure is not None and path.suffix in PICTURE_SUFFIXES:
            save_figure(figure, path)
        if path.suffix not in PICTURE_SUFFIXES or Path(name).name != name or not path.is_file():
            raise InvalidValueError(
                "name",
                name,
                expected=f"a file in {self.folder} that ends in {' or '.join(PICTURE_SUFFIXES)}",
                remedy="write the file first, or pass the figure",
            )
        self.blocks.append(Picture(file=name, caption=caption))
        return path

    def write_record(self, *, took_s: float) -> None:
        """Keep what was shown, for the page and for later pages."""
        kinds = {cls: kind for kind, cls in _KINDS.items()}
        blocks = [{"kind": kinds[type(b)], **dataclasses.asdict(b)} for b in self.blocks]
        record = {
            "format": _FORMAT,
            "version": _FORMAT_VERSION,
            "room": self.room,
            "title": self.title,
            "sestina": sestina.__version__,
            "date": dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds"),
            "took_s": round(took_s, 1),
            "quick": self.quick,
            "blocks": blocks,
        }
        text = json.dumps(record, indent=1, ensure_ascii=False)
        atomic_write_text(self.folder / _RECORD_NAME, text + "\n")


def read_records(out: Path) -> list[ChapterRecord]:
    """Every chapter that was run into the directory `out`, by room.

    Raises:
        FileFormatError: if a record is damaged or of another version, or a picture is gone.
    """
    # Hidden folders are chapters that are being written, or were never finished.
    paths = [path for path in sorted(out.glob(f"*/{_RECORD_NAME}")) if path.parent.name[0] != "."]
    return [_read_record(path) for path in paths]


def _read_record(path: Path) -> ChapterRecord:
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = (facts.pop("format"), facts.pop("version"))
        blocks = tuple(_block(**block) for block in facts.pop("blocks"))
        record = ChapterRecord(**facts, blocks=blocks, folder=path.parent)
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise _damaged(path, f"no chapter: {type(error).__name__}: {error}") from error
    if found != (_FORMAT, _FORMAT_VERSION):
        raise _damaged(path, f"it is {found}, expected {(_FORMAT, _FORMAT_VERSION)}")
    for block in blocks:
        if isinstance(block, Picture) and not (
            Path(block.file).name == block.file and (path.parent / block.file).is_file()
        ):
            raise _damaged(path, f"its picture {block.file!r} is not there")
    return record


def _block(kind: str, **facts: Any) -> Block:
    return _KINDS[kind](**facts)


def _damaged(path: Path, reason: str) -> FileFormatError:
    room = path.parent.name
    remedy = f"delete {path.parent}, and run `sestina tour {room}` if you want it again"
    return FileFormatError(path, reason, remedy=remedy)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return format_number(value) if isinstance(value, float) else str(value)
