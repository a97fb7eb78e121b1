"""The same bits each time, and from kernels for any number of threads."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from sestina.fuser import fuse
from tests.fuser.captured import program


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def batch_norm(x, w, _):
    normalise = torch.ops.aten._native_batch_norm_legit_functional.default
    made = normalise(x.reshape(20, 30, 7, 100), w[:30], w[:30], w[:30], w[:30], True, 0.1, 1e-5)
    return functional.relu(made[0]), made[3], made[4]


def centred(x, w, _):
    return functional.layer_norm(x, (300,), w)


def gradient_of(function):
    def gradients(x, w, p):
        return torch.func.grad(lambda *given: function(*given).pow(2).sum(), (0, 1))(x, w, p)

    return gradients


KERNELS = {
    "sums of columns": lambda x, w, _: ((x * w).sum(0), x.mean(0), x.amax(0), x.var(0)),
    "sums of all": lambda x, w, _: ((x * w).sum(), x.mean(), x.std()),
    "sums of rows": lambda x, w, _: ((x * w).sum(1), x.logsumexp(1)),
    "softmax of columns": lambda x, w, _: (x * w).softmax(0),
    "cross entropy": lambda x, w, p: functional.cross_entropy(x * w, p),
    "gradient of cross entropy": gradient_of(lambda x, w, p: functional.cross_entropy(x * w, p)),
    "normalisation": centred,
    "gradient of a normalisation": gradient_of(centred),
    "normalisation of batches": batch_norm,
    "gradient of a normalisation of batches": gradient_of(
        lambda x, w, _: functional.batch_norm(
            x.reshape(20, 30, 700), None, None, w[:30], w[:30], training=True
        )
    ),
    "rows of a table": lambda x, w, p: functional.embedding(p, x) * w,
}


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_give_the_same_bits_for_any_number_of_threads(name):
    generator = torch.Generator().manual_seed(5)
    x, w = torch.randn(1400, 300, generator=generator), torch.randn(300, generator=generator)
    places = torch.arange(1400) * 7 % 300
    made = program(KERNELS[name], x, w, places, allow_aten=True)
    assert made.kernels
    found = []
    for threads in (1, 2, 3, 2):
        torch.set_num_threads(threads)
        found.append(made.run([x, w, places]))
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_what_scatters_call_for_is_the_same_for_any_number_of_threads():
    table, index = torch.randn(50, 64), torch.arange(6000) * 7 % 50
    made = fuse(lambda table: functional.embedding(index, table).pow(2).sum())

    def gradient():
        leaf = table.clone().requires_grad_()
        made(leaf).backward()
        return leaf.grad

    found = []
    for threads in (1, 2, 2):
        torch.set_num_threads(threads)
        found.append(gradient())
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[1], found[2])


class Layer(nn.Module):
    """A layer of BERT."""

    def __init__(self, width):
        super().__init__()
        self.attention = nn.MultiheadAttention(width, 4, dropout=0.1, batch_first=True)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x):
        x = self.first(x + self.dropout(self.attention(x, x, x, need_weights=False)[0]))
        return self.second(x + self.dropout(self.narrow(functional.gelu(self.wide(x)))))


class Transformer(nn.Module):
    """Words to words."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(50, 32)
        self.layers = nn.Sequential(Layer(32), Layer(32), nn.Linear(32, 50))

    def forward(self, x):
        return self.layers(self.words(x)).flatten(0, 1)


def convolutions():
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(1)),
        *(nn.Flatten(), nn.Dropout(0.1), nn.Linear(32, 10)),
    )


MODELS = {
    "transformer": (Transformer, torch.arange(8 * 32).reshape(8, 32) * 7 % 50),
    "convolutions": (convolutions, torch.linspace(-1, 1, 8 * 3 * 24 * 24).reshape(8, 3, 24, 24)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", MODELS)
def test_training_repeats_itself_bit_by_bit(name, threads):
    torch.set_num_threads(threads)
    build, given = MODELS[name]
    torch.manual_seed(0)
    first = build()
    compiled, found = fuse(first), []
    start = copy.deepcopy(first.state_dict())
    for _ in range(2):
        first.load_state_dict(start)
        torch.manual_seed(1)
        optimizer = torch.optim.AdamW(first.parameters(), lr=0.01)
        losses = []
        for _ in range(3):
            made = compiled(given)
            loss = functional.cross_entropy(made, torch.arange(made.shape[0]) % 10)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.detach())
        found.append([*losses, *(value.clone() for value in first.state_dict().values())])
    assert found[0][0] != found[0][2]
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
