"""The contract of every engine; what only worker processes can do is in `engine/`."""

from __future__ import annotations

import sys

import pytest

from sestina.core.engine import Engine, ProcessEngine, SerialEngine, Status, make_engine
from sestina.core.errors import InvalidValueError, MissingExtraError, ShapeError, WorkerError
from tests.core import engine_calls as calls


@pytest.fixture(
    scope="module",
    params=["serial", "processes", pytest.param("ray", marks=pytest.mark.xdist_group("ray"))],
)
def make(request):
    if request.param == "ray":
        address = request.getfixturevalue("ray_cluster")
        return lambda: make_engine(cluster=address)
    return {"serial": SerialEngine, "processes": lambda: ProcessEngine(2)}[request.param]


@pytest.fixture(scope="module")
def engine(make):
    with make() as opened:
        yield opened


def raise_shape_error(x):
    raise ShapeError("x", (x,), expected="(2,)", remedy="reshape it")


def test_map_gives_results_in_the_order_of_the_items(engine):
    assert engine.map(calls.square, range(20)) == [x * x for x in range(20)]


def test_map_takes_any_iterable_and_none_is_a_result(engine):
    assert engine.map(calls.nothing, (x for x in "ab")) == [None, None]


def test_map_of_nothing_is_nothing(engine):
    assert engine.map(calls.square, []) == []


def test_a_failed_item_leaves_the_others_their_results(engine):
    ended = engine.outcomes(calls.fail_on_odd, range(5))
    assert [outcome.status for outcome in ended] == ["done", "failed", "done", "failed", "done"]
    assert [outcome.value for outcome in ended] == [0, None, 2, None, 4]
    assert [outcome.index for outcome in ended] == [0, 1, 2, 3, 4]
    assert isinstance(ended[1].error, WorkerError)
    assert (ended[1].error.index, ended[1].error.signal) == (1, None)
    assert isinstance(ended[1].error.__cause__, ValueError)
    assert str(ended[1].error).startswith("item 1 failed: ValueError: 1 is odd; ")


def test_map_raises_the_first_failure_and_tells_of_the_others(engine):
    with pytest.raises(WorkerError, match=r"item 1 failed") as caught:
        engine.map(calls.fail_on_odd, range(6))
    assert "3 of 6 items failed, also: 3, 5" in caught.value.__notes__


def test_the_remedy_of_our_own_errors_is_kept(engine):
    (ended,) = engine.outcomes(raise_shape_error, [3])
    assert str(ended.error) == "item 0 failed: ShapeError: x is (3,), expected (2,); reshape it"
    assert ended.error.__cause__.value == (3,)


def test_leaving_the_program_fails_the_item_only(engine):
    (ended,) = engine.outcomes(calls.leave_program, [1])
    assert str(ended.error).startswith("item 0 failed: SystemExit: 3")


def test_an_exception_without_words_fails_its_item_with_its_name(engine):
    (ended,) = engine.outcomes(calls.raise_wordless, [1])
    assert str(ended.error).startswith("item 0 failed: WordlessError (whose text can't be had")
    assert ended.log == ""


def test_progress_counts_every_item_and_names_them(engine):
    seen = []
    engine.map(calls.square, range(3), progress=lambda *told: seen.append(told), label="squares")
    assert seen == [(done, 3, "squares") for done in range(4)]


def test_an_exception_of_progress_stops_the_work(engine):
    def stop(done, total, label):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.map(calls.square, range(50), progress=stop)
    assert engine.map(calls.square, [3]) == [9], "the engine works on"


def test_the_log_holds_what_the_function_printed_and_logged(engine, capfd):
    first, second = engine.outcomes(calls.speak, ["one", "two"])
    for outcome, text in ((first, "one"), (second, "two")):
        assert sorted(outcome.log.splitlines()) == [
            f"WARNING elsewhere: logged {text}",
            f"complained {text}",
            f"printed {text}",
        ]
    assert capfd.readouterr() == ("", "")


def test_submit_gives_a_handle_to_the_result(engine):
    handle = engine.submit(pow, 2, 10)
    assert handle.result(30) == 1024
    assert handle.status is Status.DONE
    assert handle.outcome().value == 1024
    assert not handle.cancel(), "what has ended can't be cancelled"


def test_submit_gives_a_handle_to_the_failure(engine):
    handle = engine.submit(calls.fail_on_odd, 7)
    with pytest.raises(WorkerError, match="7 is odd"):
        handle.result(30)
    assert handle.status is Status.FAILED


def test_the_log_of_a_handle_is_that_of_its_call(engine):
    handle = engine.submit(calls.speak, "three")
    handle.outcome(30)
    assert "printed three" in handle.log


def test_a_closed_engine_takes_no_calls(make):
    with make() as opened:
        pass
    for call in (opened.submit, opened.map):
        with pytest.raises(InvalidValueError, match="not closed"):
            call(calls.square, [1])
    opened.close()


@pytest.mark.parametrize(
    ("num_workers", "expected"), [(1, SerialEngine), (2, ProcessEngine), (0, ProcessEngine)]
)
def test_the_number_of_workers_chooses_the_engine(num_workers, expected):
    with make_engine(num_workers) as engine:
        assert isinstance(engine, expected)
        assert isinstance(engine, Engine)


def test_a_negative_number_of_workers_is_refused():
    with pytest.raises(InvalidValueError, match="num_workers is -1, expected a positive number"):
        make_engine(-1)


def test_a_cluster_needs_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"ray is not installed; .*sestina\[ray\]"):
        make_engine(cluster="auto")


def test_a_cluster_has_its_own_number_of_workers():
    with pytest.raises(InvalidValueError, match="num_workers is 2, expected none beside a cluster"):
        make_engine(2, cluster="auto")


def test_the_serial_engine_lets_ctrl_c_through():
    def interrupt(_):
        raise KeyboardInterrupt

    with SerialEngine() as engine, pytest.raises(KeyboardInterrupt):
        engine.map(interrupt, [1])
