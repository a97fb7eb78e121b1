"""The code in README and docs runs, and prints what stands there.

Per page, in order and in one temporary folder: ```python blocks share one namespace; a ```text
block straight after one is what it prints (`...` stands for anything); in ```sh blocks, `sestina`
commands run, `make` targets exist, and the other commands are known ones. A block after the comment
`<!-- not run: reason -->` is left alone.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md")),
    *(path for path in sorted((ROOT / "docs").rglob("*.md")) if "_build" not in path.parts),
]
# Commands of a set-up, which this very process is the result of; tours have a target of their own.
KNOWN_COMMANDS = {"cd", "git", "pip", "python", "python3", ".venv/bin/pip", ".venv/bin/python"}
BLOCK = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
MATCHING = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int
    follows: bool
    """Whether nothing but blank lines lies between it and the block before."""


def blocks_of(text):
    blocks, end = [], 0
    for match in BLOCK.finditer(text):
        before = text[end : match.start()].strip()
        if not before.endswith("-->") or "<!-- not run:" not in before.rsplit("\n", 1)[-1]:
            line = text[: match.start()].count("\n") + 2
            follows = before == "" and end > 0
            blocks.append(Block(match[1], match[2], line, follows))
        end = match.end()
    return blocks


def run_python_block(block, page, namespace):
    """What the block prints; its line numbers are those of the page, for tracebacks."""
    if block.text.startswith(">>>"):
        test = doctest.DocTestParser().get_doctest(
            block.text, namespace, page.name, str(page), block.line - 1
        )
        runner = doctest.DocTestRunner(optionflags=MATCHING)
        report = io.StringIO()
        runner.run(test, out=report.write, clear_globs=False)
        assert runner.summarize(verbose=False).failed == 0, report.getvalue()
        namespace.update(test.globs)
        return ""
    printed = io.StringIO()
    code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
    with contextlib.redirect_stdout(printed):
        exec(code, namespace)
    return printed.getvalue()


def run_shell_line(line, folder):
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        del words[0]
    if not words:
        return ""
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        asked = [word for word in words[1:] if "=" not in word]
        assert set(asked) <= set(targets), f"no such target: {line}"
        for variable in (word for word in shlex.split(line) if word.startswith("ONLY=")):
            benches = {path.stem for path in (ROOT / "benchmarks").glob("*/bench_*.py")}
            assert variable.removeprefix("ONLY=") in benches, f"no such bench: {line}"
        return ""
    if words[0] != "sestina" or words[1:2] == ["tour"]:
        assert words[0] in KNOWN_COMMANDS | {"sestina"}, f"a command that no test knows: {line}"
        return ""
    program = "from sestina.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *words[1:]],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    return done.stdout


def run_page(page, folder):
    namespace = {"__name__": "__page__"}
    printed = ""
    for block in blocks_of(page.read_text()):
        if block.language == "python":
            printed = run_python_block(block, page, namespace)
        elif block.language in {"sh", "bash", "console", "shell"}:
            whole = block.text.replace("\\\n", " ")
            lines = [line.removeprefix("$ ") for line in whole.splitlines()]
            printed = "".join(run_shell_line(line, folder) for line in lines)
        elif block.language == "text" and block.follows:
            same = doctest.OutputChecker().check_output(block.text, printed, MATCHING)
            assert same, f"{page.name}:{block.line} says\n{block.text}\nbut it prints\n{printed}"


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_the_code_of_a_page_runs_and_prints_what_it_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(page, tmp_path)


def write_page(folder, *parts):
    page = folder / "page.md"
    page.write_text("\n".join(parts))
    return page


def test_output_that_differs_from_what_the_page_says_fails(tmp_path):
    page = write_page(tmp_path, "```python", "print(2)", "```", "", "```text", "3", "```", "")
    with pytest.raises(AssertionError, match="but it prints"):
        run_page(page, tmp_path)


def test_a_block_marked_as_not_run_is_left_alone(tmp_path):
    run_page(
        write_page(tmp_path, "<!-- not run: no GPU -->", "```python", "1 / 0", "```", ""), tmp_path
    )
    with pytest.raises(ZeroDivisionError):
        run_page(write_page(tmp_path, "```python", "1 / 0", "```", ""), tmp_path)


def test_an_unknown_target_or_command_fails(tmp_path):
    for line in ("make coffee", "brew coffee", "make bench ROOM=ntk ONLY=coffee"):
        with pytest.raises(AssertionError, match="coffee"):
            run_page(write_page(tmp_path, "```sh", line, "```", ""), tmp_path)


def test_the_readme_gives_the_two_commands():
    readme = (ROOT / "README.md").read_text()
    assert "make tour" in readme
    assert "make test" in readme
