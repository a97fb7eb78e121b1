"""The tour as one HTML file: pictures inside, no script, nothing fetched, light or dark."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path

from sestina.cli.book import ChapterRecord, Picture, Table, Text

__all__ = ["render_page"]

_MEDIA_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}

_STYLE = """
:root { color-scheme: light dark; --ink: #1f2933; --faint: #66707c; --line: #d5dae1;
        --page: #fbfbfa; --card: #ffffff; --link: #2f5d9b; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7eb; --faint: #9aa5b1; --line: #3b4554; --page: #161a20; --card: #1e242c;
          --link: #8fb7ea; } }
body { margin: 0 auto; max-width: 56rem; padding: 2rem 1.25rem 4rem; color: var(--ink);
       background: var(--page); font: 16px/1.55 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.9rem; } h2 { margin: 3rem 0 0; font-size: 1.35rem; }
a { color: var(--link); } nav ul { padding-left: 1.1rem; }
.facts, figcaption, caption { color: var(--faint); font-size: .875rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 1.25rem 0; font-variant-numeric: tabular-nums; }
caption { padding-bottom: .4rem; text-align: left; }
th, td { padding: .35rem 1rem .35rem 0; border-bottom: 1px solid var(--line); text-align: left;
         vertical-align: top; }
th { font-weight: 600; } .number { text-align: right; }
figure { margin: 1.5rem 0; padding: 1rem; background: var(--card); border: 1px solid var(--line);
         border-radius: 8px; }
/* The pictures are drawn on white. */
img { display: block; max-width: 100%; margin: 0 auto .75rem; background: #fff;
      border-radius: 4px; }
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>sestina tour</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>sestina tour</h1>
<p class="facts">The main job of each room, run on this machine.</p>
<nav><ul>
{links}
</ul></nav>
</header>
<main>
{sections}
</main>
</body>
</html>
"""


def render_page(records: Sequence[ChapterRecord]) -> str:
    """The HTML of a page with these chapters, in their order; reads their pictures."""
    links = [
        f'<li><a href="#{_escaped(record.room)}">{_escaped(record.title)}</a> '
        f"({_escaped(record.room)})</li>"
        for record in records
    ]
    sections = [_section(record) for record in records]
    return _PAGE.format(style=_STYLE, links="\n".join(links), sections="\n".join(sections))


def _section(record: ChapterRecord) -> str:
    quick = ", quick" if record.quick else ""
    facts = f"{record.room}, sestina {record.sestina}, {record.date}, {record.took_s} s{quick}"
    parts = [
        f'<section id="{_escaped(record.room)}">',
        f"<h2>{_escaped(record.title)}</h2>",
        f'<p class="facts">{_escaped(facts)}</p>',
    ]
    for block in record.blocks:
        match block:
            case Text(text=text):
                parts.append(f"<p>{_escaped(text)}</p>")
            case Table():
                parts.append(_table(block))
            case Picture(file=name, caption=caption):
                parts.append(_figure(record.folder / name, caption))
    return "\n".join([*parts, "</section>"])


def _table(block: Table) -> str:
    columns = range(len(block.headers))
    numeric = [bool(block.rows) and all(_is_number(row[i]) for row in block.rows) for i in columns]
    head = "".join(_cell("th", text, numeric[i]) for i, text in enumerate(block.headers))
    body = "\n".join(
        "<tr>" + "".join(_cell("td", text, numeric[i]) for i, text in enumerate(row)) + "</tr>"
        for row in block.rows
    )
    caption = f"<caption>{_escaped(block.caption)}</caption>" if block.caption else ""
    return (
        f'<div class="scroll"><table>{caption}\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _cell(tag: str, text: str, is_number: bool) -> str:  # noqa: FBT001
    kind = ' class="number"' if is_number else ""
    return f"<{tag}{kind}>{_escaped(text)}</{tag}>"


def _figure(path: Path, caption: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    source = f"data:{_MEDIA_TYPES[path.suffix]};base64,{data}"
    words = _escaped(caption)
    return f'<figure><img src="{source}" alt="{words}"><figcaption>{words}</figcaption></figure>'


def _is_number(text: str) -> bool:
    try:
        float(text or 0)
    except ValueError:
        return False
    return True


def _escaped(text: object) -> str:
    return html.escape(str(text), quote=True)
