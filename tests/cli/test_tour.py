"""The tour with chapters made up here: files, the page, failures, missing packages."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from sestina.cli.book import read_records
from sestina.cli.main import main
from sestina.cli.tour import find_chapters, run_tour
from sestina.core.errors import MissingExtraError, SestinaError, ShapeError, UnknownNameError
from sestina.core.registry import Registry


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def make_chapters(**runs):
    loaders = Registry("room of the tour")
    for room, run in runs.items():
        module = SimpleNamespace(TITLE=f"The {room}", run=run)
        loaders.add(room, run if getattr(run, "is_loader", False) else lambda module=module: module)
    return loaders


def show(text):
    def run(book):
        book.text(text + (" quickly" if book.quick else ""))
        (book.folder / "a.svg").write_text(f"<svg>{text}</svg>")
        book.picture("a.svg", caption=text)
        book.progress(1, 1, "showing")

    return run


def fail(book):
    (book.folder / "half.svg").write_text("half")
    raise ShapeError("x1", (3,), expected="two axes", remedy="pass x1[None, :]")


def missing():
    raise MissingExtraError("torch", extra="ntk")


missing.is_loader = True


def test_every_chapter_is_run_and_shown_on_one_page(tmp_path, capsys):
    page = run_tour(make_chapters(ntk=show("one"), rl=show("two")), tmp_path / "tour")
    assert page == tmp_path / "tour" / "index.html"
    text = page.read_text()
    assert text.index("<p>one</p>") < text.index("<p>two</p>")
    assert names_in(tmp_path / "tour") == ["index.html", "ntk", "rl"]
    assert names_in(tmp_path / "tour" / "ntk") == ["a.svg", "chapter.json"]
    assert capsys.readouterr() == ("ntk: The ntk\n\none\nrl: The rl\n\ntwo\n", "")


def test_one_chapter_again_keeps_the_others_on_the_page(tmp_path):
    run_tour(make_chapters(ntk=show("one"), rl=show("two")), tmp_path)
    run_tour(make_chapters(ntk=show("three"), rl=show("four")), tmp_path, rooms=["rl"])
    text = (tmp_path / "index.html").read_text()
    assert "<p>one</p>" in text
    assert "<p>four</p>" in text
    assert "three" not in text
    assert "<p>two</p>" not in text


def test_quick_is_passed_on(tmp_path):
    run_tour(make_chapters(ntk=show("one")), tmp_path, quick=True)
    (record,) = read_records(tmp_path)
    assert record.quick
    assert record.blocks[0].text == "one quickly"


def test_a_failed_chapter_leaves_its_old_pages_and_the_others_run(tmp_path):
    run_tour(make_chapters(ntk=show("old"), rl=show("two")), tmp_path)
    chapters = make_chapters(ntk=fail, rl=show("new"))
    with pytest.raises(SestinaError, match=r"chapter failed: ntk: x1 is \(3,\)") as caught:
        run_tour(chapters, tmp_path)
    assert caught.value.remedy == "pass x1[None, :]"
    assert isinstance(caught.value.__cause__, ShapeError)
    text = (tmp_path / "index.html").read_text()
    assert "<p>old</p>" in text
    assert "<p>new</p>" in text
    assert names_in(tmp_path) == ["index.html", "ntk", "rl"]
    assert names_in(tmp_path / "ntk") == ["a.svg", "chapter.json"]


def test_ctrl_c_leaves_everything_as_it_was(tmp_path):
    def interrupt(book):
        raise KeyboardInterrupt

    run_tour(make_chapters(ntk=show("old")), tmp_path)
    before = (tmp_path / "index.html").read_text()
    with pytest.raises(KeyboardInterrupt):
        run_tour(make_chapters(ntk=interrupt), tmp_path)
    assert (tmp_path / "index.html").read_text() == before
    assert names_in(tmp_path) == ["index.html", "ntk"]


def test_a_chapter_without_its_packages_is_left_out_and_said(tmp_path, capsys):
    run_tour(make_chapters(ntk=missing, rl=show("two")), tmp_path)
    assert capsys.readouterr().err == (
        "left out ntk: torch is not installed; install it with: pip install 'sestina[ntk]'\n"
    )
    assert [record.room for record in read_records(tmp_path)] == ["rl"]


@pytest.mark.parametrize("rooms", [["ntk"], []])
def test_no_chapter_for_want_of_packages_is_an_error(tmp_path, rooms):
    with pytest.raises(MissingExtraError):
        run_tour(make_chapters(ntk=missing), tmp_path, rooms=rooms)


def test_an_unknown_room_is_refused_before_anything_is_run(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'ntk'"):
        run_tour(make_chapters(ntk=show("one")), tmp_path / "tour", rooms=["ntk", "nkt"])
    assert not (tmp_path / "tour").exists()


def test_every_file_of_chapters_is_a_chapter():
    for room, load in ((room, find_chapters()[room]) for room in find_chapters()):
        module = load()
        assert module.TITLE, room
        assert callable(module.run)


def test_the_command_takes_rooms_and_a_directory(tmp_path, capsys):
    assert main(["tour", "nowhere", "--out", str(tmp_path / "tour")]) == 2
    assert "error: room of the tour is 'nowhere'" in capsys.readouterr().err
    assert not (tmp_path / "tour").exists()
