"""The chapter of `sestina.ntk`, run small: what it shows is what it computed."""

from __future__ import annotations

import json

import pytest
import torch

from sestina.cli.book import Chapter, Picture, Table, Text
from sestina.cli.chapters import ntk
from sestina.cli.tour import find_chapters, run_tour
from sestina.core.errors import UnknownNameError
from sestina.ntk.designs.inverse import Design


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    lines, steps = [], []
    book = Chapter(
        room="ntk",
        title=ntk.TITLE,
        folder=tmp_path_factory.mktemp("chapter"),
        quick=True,
        say=lines.append,
        progress=lambda done, total, label: steps.append((done, total, label)),
    )
    threads = torch.get_num_threads()
    ntk.run(book)
    assert torch.get_num_threads() == threads
    assert {label for _, _, label in steps} >= {"designing", "training ReLU, 4 hidden layers"}
    assert all(0 <= done <= total for done, total, _ in steps)
    return book


def test_the_design_is_kept_beside_its_pictures(book):
    names = {path.name for path in book.folder.iterdir()}
    assert names == {"design.json", "kernel.png", "activation.png", "network.png", "training.png"}
    made = Design.load(book.folder / "design.json")
    assert made.target.total == pytest.approx(5.07)
    assert {block.file for block in book.blocks if isinstance(block, Picture)} == names - {
        "design.json"
    }


def test_networks_stand_beside_what_their_kernels_predict(book):
    _, trained = [block for block in book.blocks if isinstance(block, Table)]
    rows = [dict(zip(trained.headers, row, strict=True)) for row in trained.rows]
    designed, deep, shallow = rows
    wide = "test loss, infinite width"
    assert float(designed[wide]) == pytest.approx(float(deep[wide]), abs=1e-4)
    assert float(shallow[wide]) > float(deep[wide])
    # 64·128 + 128·10 weights; and for ReLU the biases, or three more layers of 128 · 128 + 128.
    assert int(designed["parameters"]) == 9472
    assert int(shallow["parameters"]) == 9472 + 128
    assert int(deep["parameters"]) == 9600 + 3 * (128 * 128 + 128)
    for row in rows:
        # One-hot targets: predicting zero has a loss of 1.
        assert 0 < float(row["train loss"]) < 1
        assert float(row[wide]) == pytest.approx(float(row["test loss"]), abs=0.2)


def test_the_text_says_what_was_trained(book):
    texts = " ".join(block.text for block in book.blocks if isinstance(block, Text))
    assert "128 units per layer" in texts
    assert "150 handwritten digits" in texts
    assert "6 times the parameters" in texts


def test_the_tour_finds_the_chapter(tmp_path):
    assert "ntk" in find_chapters()
    with pytest.raises(UnknownNameError, match="room of the tour"):
        run_tour(find_chapters(), tmp_path, rooms=["nkt"])


def test_the_record_is_json(book, tmp_path):
    book.write_record(took_s=1.0)
    record = json.loads((book.folder / "chapter.json").read_text())
    assert record["title"] == ntk.TITLE
