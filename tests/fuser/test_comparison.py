import pytest
import torch

from sestina.fuser import comparison
from sestina.fuser.cases import Case, Transformer
from sestina.fuser.comparison import TRAINING, Timing, compare, prepared

TINY = {
    "tiny": Case(lambda x: torch.softmax(x, -1), lambda: [torch.randn(8, 16, requires_grad=True)])
}


@pytest.fixture(autouse=True)
def _tiny_sizes(monkeypatch):
    torch._dynamo.reset()
    monkeypatch.setattr(comparison, "CASES", TINY)
    for name, size in {"_VOCABULARY": 32, "_WIDTH": 16, "_LENGTH": 8, "_BATCH": 2}.items():
        monkeypatch.setattr(comparison, name, size)
    monkeypatch.setattr(comparison, "_LAYERS", 1)


def test_ways_are_timed_beside_eager():
    done = []
    timings = compare(
        ["tiny"], ["eager", "sestina"], rounds=4, progress=lambda *told: done.append(told)
    )
    assert [(t.case, t.way) for t in timings] == [("tiny", "eager"), ("tiny", "sestina")]
    assert all(isinstance(t, Timing) and 0 < t.low <= t.wall <= t.high for t in timings)
    assert timings[0].gain == 1
    assert done


def test_one_round_is_its_own_spread():
    (timing,) = compare(["tiny"], ["eager"], rounds=1)
    assert timing.low == timing.wall == timing.high


@pytest.mark.parametrize("way", ["eager", "sestina"])
def test_a_training_step_runs(way):
    run = prepared(TRAINING, way)
    run()
    run()


def test_the_transformer_learns():
    torch.manual_seed(0)
    model = Transformer(16, 16, 8, heads=2, layers=1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    tokens = torch.arange(9).expand(2, 9)
    losses = []
    for _ in range(30):
        loss = model(tokens[:, :-1], tokens[:, 1:])
        losses.append(float(loss.detach()))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < losses[0] / 2
