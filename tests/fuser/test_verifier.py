"""Each rule of the verifier, by a graph, a plan or a kernel that breaks it."""

import dataclasses

import pytest
import torch
from torch._dynamo.exc import BackendCompilerFailed

from sestina.fuser.ir.nodes import Builder, Graph
from sestina.fuser.pipeline import stages
from sestina.fuser.schedule.kernel import schedule
from sestina.fuser.segment.groups import segment
from sestina.fuser.verifier import Broken, verify_graph, verify_kernel, verify_segments
from tests.fuser.captured import lowered

FLOAT, WHOLE = torch.float32, torch.int64


def refused(made, message):
    """Whether the graph that gives this node is refused, for a reason."""
    with pytest.raises(Broken, match=message):
        verify_graph(Graph(_inputs(made), [made], [None]))


def _inputs(made):
    nodes = Graph([], [made], [None]).nodes
    found = [node for node in nodes if node.kind == "input"]
    return sorted(found, key=lambda node: node.attributes["index"])


@pytest.fixture
def b():
    return Builder()


def given(b, index, *shape, dtype=FLOAT):
    return b.make("input", (), shape, dtype, index=index)


def test_operands_of_another_shape_dtype_or_number(b):
    x, y = given(b, 0, 4, 5), given(b, 1, 5, 4)
    refused(b.make("add", (x, y), (4, 5), FLOAT), "another shape")
    refused(b.make("add", (x,), (4, 5), FLOAT), "not 2 operands")
    refused(b.make("exp", (given(b, 0, 4, dtype=WHOLE),), (4,), WHOLE), "not computed in")
    refused(b.make("mul", (x, given(b, 1, 4, 5, dtype=WHOLE)), (4, 5), WHOLE), "not computed in")
    refused(b.make("lt", (x, x), (4, 5), FLOAT), "as a result of torch.bool")
    refused(b.make("where", (x, x, x), (4, 5), FLOAT), "no bool")
    refused(b.make("convert", (x,), (4, 5), torch.complex64), "kernels don't have")


def test_views_that_show_what_is_not_there(b):
    x = given(b, 0, 4, 5)
    refused(b.make("expand", (x,), (8, 5), FLOAT), "no such view")
    refused(b.make("permute", (x,), (4, 5), FLOAT, order=(1, 0)), "no such view")
    refused(b.make("reshape", (x,), (21,), FLOAT), "no such view")
    refused(b.make("slice", (x,), (4, 3), FLOAT, dim=1, start=3, step=1), "no such view")
    refused(b.make("slice", (x,), (4, 5), FLOAT, dim=1, start=3, step=-1), "no such view")
    refused(b.make("reshape", (x,), (20,), WHOLE), "another dtype")


def test_sums_scans_and_lookups(b):
    x = given(b, 0, 4, 5)
    floats, places = given(b, 1, 4, 5), given(b, 1, 4, 5, dtype=WHOLE)
    refused(b.make("reduce", (x,), (4,), FLOAT, how="mean", dims=(1,)), "no known way")
    refused(b.make("scan", (x,), (5, 4), FLOAT, how="sum", dim=0), "another shape")
    refused(b.make("take", (x, floats), (4, 5), FLOAT, dim=1), "no int64")
    refused(b.make("take", (x, places), (3, 5), FLOAT, dim=1), "other shapes")
    turned = b.reshape(b.permute(x, (1, 0)), (20,))
    index = given(b, 1, 3, dtype=WHOLE)
    refused(b.make("take", (turned, index), (3,), FLOAT, dim=0), "no strides")


def test_an_input_that_is_no_argument(b):
    x = given(b, 0, 4)
    with pytest.raises(Broken, match="none of the arguments"):
        verify_graph(Graph([given(b, 0, 4)], [x], [None]))


GATHERED = torch.ones(8, 8), torch.zeros(3, 8, dtype=WHOLE)


def planned(function, *arguments):
    graph = lowered(function, *arguments).graph
    return graph, segment(graph)


TWO = lambda x: (x @ x).exp() + 1  # noqa: E731


def test_plans_that_lose_repeat_or_turn_kernels_around():
    graph, segments = planned(TWO, torch.ones(8, 8))
    verify_segments(graph, segments)
    product, kernel = segments.groups
    for groups, message in (
        ([kernel, product], "has not run"),
        ([product, kernel, kernel], "two kernels"),
    ):
        with pytest.raises(Broken, match=message):
            verify_segments(graph, dataclasses.replace(segments, groups=groups))
    with pytest.raises(Broken, match="not stored"):
        verify_segments(graph, dataclasses.replace(segments, stored=set()))


def test_what_is_read_elsewhere_has_to_be_complete():
    graph, segments = planned(lambda x, i: x.cumsum(0).gather(0, i) + 1, *GATHERED)
    first, second = segments.groups
    first.nodes += second.nodes
    with pytest.raises(Broken, match="of its own kernel"):
        verify_segments(graph, dataclasses.replace(segments, groups=[first]))


def normalised(x):
    return (x - x.mean(-1, keepdim=True)).exp()


def scheduled(function, *arguments):
    _, segments = planned(function, *arguments)
    (group,) = segments.groups
    return schedule(group, segments.stored)


def test_kernels_that_use_what_is_not_there():
    kernel = scheduled(normalised, torch.ones(8, 40))
    verify_kernel(kernel)
    first, second = kernel.passes
    for passes, message in (
        ((second, first), "not complete"),
        ((second,), "sums over a row"),
        ((first, first, second), "sums over a row"),
    ):
        with pytest.raises(Broken, match=message):
            verify_kernel(dataclasses.replace(kernel, passes=passes))
    with pytest.raises(Broken, match="isn't given"):
        verify_kernel(dataclasses.replace(kernel, bases=()))
    with pytest.raises(Broken, match="differs from column to column"):
        verify_kernel(dataclasses.replace(kernel, row_roots=second.roots))
    rows = dataclasses.replace(kernel.loops, rows=())
    with pytest.raises(Broken, match="loops that are not of"):
        verify_kernel(dataclasses.replace(kernel, loops=rows))
    twice = dataclasses.replace(kernel.loops, columns=kernel.loops.rows)
    with pytest.raises(Broken, match="runs twice"):
        verify_kernel(dataclasses.replace(kernel, loops=twice))


def test_a_scatter_is_not_repeated_for_each_column():
    index = torch.zeros(8, dtype=WHOLE)
    _, segments = planned(lambda x, i: torch.zeros(3).index_add(0, i, x), torch.ones(8), index)
    _, group = segments.groups
    kernel = schedule(group, segments.stored)
    verify_kernel(kernel)
    columns = scheduled(normalised, torch.ones(8, 40)).loops.vector
    loops = dataclasses.replace(kernel.loops, columns=(*kernel.loops.columns, columns))
    with pytest.raises(Broken, match="repeated for each column"):
        verify_kernel(dataclasses.replace(kernel, loops=loops))


def test_stages_are_verified(monkeypatch):
    def refuse(_graph):
        raise Broken("a mistake")

    monkeypatch.setattr("sestina.fuser.pipeline.verify_graph", refuse)
    with pytest.raises(BackendCompilerFailed, match="a mistake"):
        stages(lambda x: x.exp() + 1, torch.ones(8))
