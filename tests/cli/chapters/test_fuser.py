"""The chapter of `sestina.fuser`, run small: what it shows is what it measured."""

import re

import pytest
import torch

from sestina.cli.book import Chapter, Picture, Table, Text
from sestina.cli.chapters import fuser
from sestina.cli.tour import find_chapters


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    torch._dynamo.reset()
    book = Chapter(
        room="fuser",
        title=fuser.TITLE,
        folder=tmp_path_factory.mktemp("chapter"),
        quick=True,
        say=lambda line: None,
        progress=lambda done, total, label: None,
    )
    before = torch.get_num_threads()
    fuser.run(book)
    assert torch.get_num_threads() == before
    return book


def test_kernels_times_and_losses_are_shown(book):
    kernels, steps = [block for block in book.blocks if isinstance(block, Table)]
    assert len(kernels.rows) == 6
    assert [row[0] for row in steps.rows] == ["sestina", "eager"]
    losses = [[float(value) for value in row[2:]] for row in steps.rows]
    # Before the first update both are the same model; the masks differ.
    assert losses[0][0] == pytest.approx(losses[1][0], rel=0.02)
    assert all(last < first for first, last in losses)
    assert [block.file for block in book.blocks if isinstance(block, Picture)] == ["losses.png"]


def test_the_ratio_is_that_of_the_times(book):
    _, steps = [block for block in book.blocks if isinstance(block, Table)]
    (text,) = [b.text for b in book.blocks if isinstance(b, Text) and "times as long" in b.text]
    (said,) = re.findall(r"takes ([0-9.]+) times", text)
    # Each is rounded where it is shown, the ratio of times that were not yet.
    least, most = limits(said)
    (ours_least, ours_most), (theirs_least, theirs_most) = (limits(row[1]) for row in steps.rows)
    assert most >= theirs_least / ours_most
    assert least <= theirs_most / ours_least


def limits(shown):
    """The least and the largest number that are shown so."""
    half = 0.5 * 10.0 ** -len(shown.partition(".")[2])
    return float(shown) - half, float(shown) + half


def test_the_tour_finds_the_chapter():
    assert "fuser" in find_chapters()
