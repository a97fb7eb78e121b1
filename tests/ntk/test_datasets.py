"""Tables: what is read, and what is refused with file, line and column."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sestina.core.errors import FileFormatError, InvalidValueError, SestinaError, UnknownNameError
from sestina.ntk.datasets import SHIPPED, Table, load_table, read_table, shipped_table


@pytest.fixture
def write(tmp_path):
    def written(text, *, encoding="utf-8"):
        path = tmp_path / "table.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path

    return written


GOOD = "length,width,kind\n1.5,2,a\n2.5,3,b\n3.5,4,a\n"


def test_headers_features_and_classes_are_read(write):
    table = read_table(write(GOOD))
    assert table.names == ("length", "width")
    assert table.target_name == "kind"
    assert table.features.tolist() == [[1.5, 2.0], [2.5, 3.0], [3.5, 4.0]]
    assert table.targets.tolist() == [0.0, 1.0, 0.0]
    assert (table.task, table.classes) == ("classification", ("a", "b"))
    assert table.outputs.tolist() == [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", " ", "   "])
def test_delimiters_are_found_out(write, delimiter):
    assert read_table(write(GOOD.replace(",", delimiter))).features.shape == (3, 2)


def test_other_characters_are_told(write):
    path = write(GOOD.replace(",", "#"))
    assert read_table(path, delimiter="#").features.shape == (3, 2)
    with pytest.raises(FileFormatError, match="pass delimiter="):
        read_table(path)
    with pytest.raises(InvalidValueError, match="one character"):
        read_table(path, delimiter="##")


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_line_ends_marks_quotes_and_blank_lines_are_taken(write, ending, encoding):
    text = '"a, b",c\n\n1,2\n"3", 4\n\n'
    table = read_table(write(text.replace("\n", ending), encoding=encoding))
    assert table.names == ("a, b",)
    assert table.targets.tolist() == [2.0, 4.0]


def test_without_a_header_columns_are_numbered(write):
    table = read_table(write("1,2,0.5\n3,4,0.7\n"))
    assert (table.names, table.target_name) == (("column_1", "column_2"), "column_3")
    assert table.task == "regression"
    assert table.outputs.tolist() == [[0.5], [0.7]]


def test_targets_are_named_or_counted(write):
    path = write("a,b,c\n1,2,3.5\n4,5,6.5\n")
    assert read_table(path, "a").targets.tolist() == [1.0, 4.0]
    assert read_table(path, 1).names == ("a", "c")
    assert read_table(path, -1).target_name == "c"
    with pytest.raises(InvalidValueError, match="did you mean 'b'"):
        read_table(path, "B")
    with pytest.raises(InvalidValueError, match="0 to 2"):
        read_table(path, 3)


def test_columns_can_be_dropped(write):
    path = write("id,a,b\nx1,1,2\nx2,3,4.5\n")
    assert read_table(path, drop=["id"]).names == ("a",)
    assert read_table(path, drop=[0]).names == ("a",)
    with pytest.raises(InvalidValueError, match="not dropped"):
        read_table(path, "b", drop=["b"])
    with pytest.raises(FileFormatError, match="1 columns"):
        read_table(path, drop=["id", "a"])


class TestTasks:
    def test_whole_numbers_that_repeat_are_classes(self, write):
        rows = "".join(f"{i}.5,{i % 3}\n" for i in range(12))
        assert read_table(write(rows)).classes == ("0", "1", "2")
        assert read_table(write(rows), task="regression").task == "regression"

    def test_whole_numbers_that_do_not_are_numbers(self, write):
        rows = "".join(f"{i}.5,{i * 7}\n" for i in range(12))
        assert read_table(write(rows)).task == "regression"
        repeated = write(rows + rows)
        assert read_table(repeated, task="classification").classes[:2] == ("0", "7")

    def test_one_number_written_twice_is_one_class(self, write):
        table = read_table(write("1,1\n2,1.0\n3,02\n4,2\n5,10\n6,10\n"), task="classification")
        assert table.classes == ("1", "2", "10")

    def test_text_that_means_missing_among_numbers_may_be_a_label(self, write):
        assert read_table(write("a,b\n1,none\n2,some\n3,none\n")).classes == ("none", "some")

    def test_a_target_must_vary_and_repeat(self, write):
        with pytest.raises(FileFormatError, match="'k' on every line"):
            read_table(write("a,b\n1,k\n2,k\n"))
        with pytest.raises(FileFormatError, match="'7' on every line"):
            read_table(write("a,b\n1,7\n2,7\n"), task="regression")
        with pytest.raises(FileFormatError, match="3 classes in 3 rows"):
            read_table(write("a,b\n1,x\n2,y\n3,z\n"))


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", None, "empty"),
        ("\n \n", None, "empty"),
        ("a,b\n", 1, "0 rows of data"),
        ("a,b\n1,2\n", 1, "1 rows of data"),
        ("1\n2\n3\n", 1, "1 columns"),
        ("a,b\n1,2\n1,2,3\n", 3, "3 fields, expected 2 as on line 1 (comma-separated)"),
        ("a,b\n1,2\n\n1\n", 4, "1 fields, expected 2"),
        ("a,a,b\n1,2,3\n4,5,6\n", 1, "the first is 'a'"),
        (",a,b\n0,2,3\n1,5,6\n", 1, "column 1 has no name"),
        ("a,b\nred,2\n3,4\n", 2, "text 'red' in column 'a'"),
        ("a,b\n1,2\n1_000,4\n", 3, "text '1_000' in column 'a'"),
        ("a,b\n1,2\n,4\n", 3, "'' in column 'a', expected a finite number"),
        ("a,b\n1,2\n,\n3,4\n", 3, "'' in column 'a'"),
        (";", 1, "1 rows of data"),
        ("a,b\n1,2\nNA,4\n", 3, "'NA' in column 'a'"),
        ("a,b\n1,2\nnan,4\n", 3, "'nan' in column 'a'"),
        ("a,b\n1,2\n-,4\n", 3, "'-' in column 'a'"),
        ("a,b\n1,2\n-inf,4\n", 3, "'-inf' in column 'a'"),
        ("a,b\n1,2\n1e999,4\n", 3, "'1e999' in column 'a'"),
        ("a,b\n1,2\n3,?\n", 3, "'?' in column 'b', expected a number or a label"),
        ("a,b\n1,2\n3,inf\n", 3, "'inf' in column 'b'"),
        ('a,b\n1,"2\n3,4\n', 3, "the comma-separated text is damaged"),
        ("a;b\n1,5;2\n3,5;4\n", 2, "text '1,5' in column 'a'"),
    ],
)
def test_damage_is_named_with_its_place(write, text, line, reason):
    path = write(text)
    with pytest.raises(FileFormatError) as caught:
        read_table(path)
    assert caught.value.line == line
    assert reason in caught.value.reason
    assert str(path) in str(caught.value)


def test_decimal_commas_get_their_own_remedy(write):
    with pytest.raises(FileFormatError, match="decimal point"):
        read_table(write("a;b\n1,5;2\n3,5;4\n"))


def test_what_is_not_text_is_refused(write):
    with pytest.raises(FileFormatError, match="byte 0xff at offset 0 is not UTF-8"):
        read_table(write(GOOD, encoding="utf-16"))
    with pytest.raises(FileFormatError, match="byte 0xe9") as caught:
        read_table(write("a,b\n1,caf\u00e9\n", encoding="latin-1"))
    assert caught.value.line == 2
    with pytest.raises(FileFormatError, match="zero byte"):
        read_table(write(b"a,b\n1,2\x00\n"))


def test_huge_fields_are_refused_briefly(write):
    with pytest.raises(FileFormatError, match="field larger than field limit") as caught:
        read_table(write("a,b\n1,2\n" + "9" * 200_000 + ",3\n"))
    assert len(str(caught.value)) < 400
    with pytest.raises(FileFormatError) as caught:
        read_table(write("a,b\n1,2\n" + "x" * 100_000 + ",3\n"))
    assert len(str(caught.value)) < 400


def test_missing_files_are_told_from_missing_names(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "absent.csv")
    with pytest.raises(UnknownNameError, match="did you mean 'iris'"):
        load_table("Iris")
    with pytest.raises(UnknownNameError, match="check the path"):
        load_table(tmp_path / "absent.csv")
    with pytest.raises(UnknownNameError):
        shipped_table("boston")


def test_sources_are_files_or_names(write):
    assert load_table(write(GOOD)).names == ("length", "width")
    assert load_table("wine").features.shape == (178, 13)
    with pytest.raises(InvalidValueError, match="has its own"):
        load_table("wine", "class")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_sets_are_whole(name):
    table = shipped_table(name)
    assert table.features.shape == (len(table.targets), len(table.names))
    assert np.isfinite(table.features).all()
    assert (table.task == "regression") == (name == "diabetes")
    assert table.outputs.shape == (len(table.targets), max(len(table.classes), 1))
    columns = table.standardised
    np.testing.assert_allclose(columns.mean(0), 0.0, atol=1e-12)
    deviations = columns.std(0)
    assert (np.isclose(deviations, 1.0) | (deviations == 0.0)).all()


def test_constant_features_become_zero():
    table = Table(
        features=np.array([[0.1, 1.0], [0.1, 2.0], [0.1, 4.0]]),
        targets=np.zeros(3),
        names=("a", "b"),
        target_name="c",
        task="regression",
    )
    assert table.standardised[:, 0].tolist() == [0.0, 0.0, 0.0]


numbers = st.floats(allow_nan=False, allow_infinity=False).map(repr)


@given(
    st.integers(2, 5).flatmap(
        lambda width: st.lists(st.lists(numbers, min_size=width, max_size=width), min_size=2)
    )
)
def test_whatever_numbers_are_written_are_read(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("tables") / "table.csv"
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    path.write_text(out.getvalue())
    expected = np.array(rows, dtype=np.float64)
    if (expected[:, -1] == expected[0, -1]).all():
        with pytest.raises(FileFormatError, match="every line"):
            read_table(path, task="regression")
    else:
        table = read_table(path, task="regression")
        np.testing.assert_array_equal(np.c_[table.features, table.targets], expected)


@pytest.mark.fuzz
@given(st.one_of(st.binary(max_size=200), st.text(alphabet='ab1.,;"\n\r\t |-?', max_size=80)))
def test_hostile_files_give_tables_or_named_errors(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("hostile") / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        table = read_table(path)
    except SestinaError:
        return
    assert np.isfinite(table.features).all()
    assert np.isfinite(table.targets).all()
    assert len(table.features) == len(table.targets) >= 2


def test_a_truth_value_is_no_column_number(write):
    path = write("a,b,y\n1,2,3\n4,5,7\n")
    with pytest.raises(InvalidValueError, match="target is True"):
        read_table(path, target=True)
    with pytest.raises(InvalidValueError, match="drop is False"):
        read_table(path, drop=[False])
