"""Expected values and messages are those of flashlight-text 0.0.7, as it gave them."""

import pytest

from sestina.decoding.compat.flashlight.dictionary import (
    Dictionary,
    create_word_dict,
    load_words,
    pack_replabels,
    unpack_replabels,
)


@pytest.fixture
def write(tmp_path):
    def written(text):
        path = tmp_path / "file.txt"
        path.write_bytes(text.encode())
        return str(path)

    return written


def entries_of(dictionary):
    return [dictionary.get_entry(index) for index in range(dictionary.index_size())]


def test_entries_on_one_line_share_an_index_and_empty_lines_count_for_nothing(write):
    found = Dictionary(write("- x\n\n  \na b\nc\n"))
    assert (found.entry_size(), found.index_size()) == (5, 3)
    assert entries_of(found) == ["-", "a", "c"]
    assert (found.get_index("b"), found.get_index("x")) == (1, 0)
    assert found.is_contiguous()
    assert not found.contains("q")


def test_lines_may_end_as_on_windows(write):
    assert entries_of(Dictionary(write("a\r\nb\r\n"))) == ["a", "b"]


def test_entries_come_from_a_list_by_any_of_its_names():
    assert Dictionary(["a", "b"]).get_index("b") == 1
    assert Dictionary(tkns=["a", "b"]).get_index("b") == 1
    assert Dictionary().index_size() == 0


@pytest.mark.parametrize(
    ("failing", "error", "message"),
    [
        (lambda: Dictionary(["a", "a"]), ValueError, "Duplicate entry in dictionary 'a'"),
        (lambda: Dictionary("/none"), RuntimeError, "Dictionary - cannot open file  /none"),
        (lambda: Dictionary(["a"]).get_index("q"), ValueError, "Unknown entry in dictionary: 'q'"),
        (lambda: Dictionary(["a"]).get_entry(9), ValueError, "Unknown index in dictionary '9'"),
        (lambda: Dictionary(["a"]).get_entry(-1), ValueError, "Unknown index in dictionary '-1'"),
        (
            lambda: Dictionary(["a"]).map_indices_to_entries([0, 9]),
            ValueError,
            "Unknown index in dictionary '9'",
        ),
        (
            lambda: Dictionary(["a"]).add_entry("a", 3),
            ValueError,
            "Duplicate entry name in dictionary 'a'",
        ),
        (
            lambda: create_word_dict({"a": [["a"]]}),
            ValueError,
            "Unknown entry in dictionary: '<unk>'",
        ),
        (lambda: load_words("/none"), ValueError, "text::loadWords - can't open file /none"),
        (
            lambda: pack_replabels([0, 0], Dictionary(["a"]), 1),
            ValueError,
            "Unknown entry in dictionary: '<1>'",
        ),
    ],
)
def test_errors_are_flashlights(failing, error, message):
    with pytest.raises(error) as caught:
        failing()
    assert type(caught.value) is error
    assert str(caught.value) == message


def test_an_entry_twice_in_a_file_is_an_error(write):
    with pytest.raises(ValueError, match="Duplicate entry name in dictionary 'a'"):
        Dictionary(write("a\nb a\n"))


def test_unknown_entries_have_the_default_index():
    found = Dictionary(["-", "a", "c"])
    found.set_default_index(2)
    assert found.map_entries_to_indices(["a", "q"]) == [1, 2]


def test_indices_may_be_given_and_skip_numbers():
    found = Dictionary()
    found.add_entry("a", 5)
    assert (found.is_contiguous(), found.index_size(), found.entry_size()) == (False, 1, 1)
    found.add_entry("b")
    assert found.get_index("b") == 1
    found.add_entry("z", 5)
    assert found.get_entry(5) == "a"


def test_words_have_several_spellings_and_unk_has_none(write):
    assert load_words(write("a a b |\nb\tb |\na b a |\n")) == {
        "a": [["a", "b", "|"], ["b", "a", "|"]],
        "b": [["b", "|"]],
        "<unk>": [],
    }
    assert load_words(write("")) == {"<unk>": []}
    assert load_words(write("<unk> a\n")) == {"<unk>": []}
    assert set(load_words(write("a a\nc c\nb b\n"), 2)) == {"a", "c", "<unk>"}


@pytest.mark.parametrize(("text", "line"), [("a a\nb\n", "b"), ("a a\n\nb b\n", "")])
def test_a_line_without_a_spelling_is_an_error(write, text, line):
    with pytest.raises(RuntimeError) as caught:
        load_words(write(text))
    assert str(caught.value) == f"[loadWords] Invalid line: {line}"


def test_a_dictionary_of_words_takes_what_it_lacks_for_unk(write):
    words = create_word_dict(load_words(write("zeta a b |\nb\tb |\n")))
    assert words.get_index("nope") == words.get_index("<unk>")
    assert sorted(entries_of(words)) == ["<unk>", "b", "zeta"]


REPEATS = Dictionary(["a", "b", "<1>", "<2>"])


@pytest.mark.parametrize(
    ("tokens", "most", "packed"),
    [
        ([0, 0, 0, 1], 2, [0, 3, 1]),
        ([0, 0, 0, 0, 0, 1, 1], 2, [0, 3, 0, 2, 1, 2]),
        ([0, 0], 0, [0, 0]),
        ([], 2, []),
    ],
)
def test_repetitions_are_packed_into_labels_and_back(tokens, most, packed):
    assert pack_replabels(tokens, REPEATS, most) == packed
    assert unpack_replabels(packed, REPEATS, most) == tokens


@pytest.mark.parametrize(
    ("packed", "tokens"), [([0, 3, 3, 1, 2, 2], [0, 0, 0, 1, 1]), ([3, 0], [0])]
)
def test_labels_that_follow_no_token_say_nothing(packed, tokens):
    assert unpack_replabels(packed, REPEATS, 2) == tokens
