"""Training as people do it: accumulation, checkpointing, several processes, models of a hub."""

import copy
import os

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from sestina.fuser import fuse
from sestina.fuser.optim import AdamW


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()


class Block(nn.Module):
    """A residual layer that recomputes itself in the backward pass if asked."""

    def __init__(self, width, *, again=False):
        super().__init__()
        self.norm, self.wide, self.narrow = (
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.Linear(2 * width, width),
        )
        self.again = again

    def inner(self, x):
        return x + self.narrow(functional.gelu(self.wide(self.norm(x))))

    def forward(self, x):
        return checkpoint(self.inner, x, use_reentrant=False) if self.again else self.inner(x)


def steps(model, compiled, count=3, accumulate=1):
    optimizer = AdamW(model.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(count):
        for _ in range(accumulate):
            loss = compiled(torch.randn(6, 32, generator=generator)).pow(2).mean()
            (loss / accumulate).backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize("again", [False, True], ids=["kept", "checkpointed"])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_three_steps_are_those_of_eager(again, accumulate):
    torch.manual_seed(0)
    model = nn.Sequential(Block(32, again=again), Block(32, again=again))
    other = copy.deepcopy(model)
    mine = steps(model, fuse(model), accumulate=accumulate)
    assert mine == pytest.approx(steps(other, other, accumulate=accumulate), rel=1e-4)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        # AdamW's first steps are signs of gradients: where one is nearly 0 they may differ.
        assert (p - q).abs().mean() < 1e-4


def test_checkpointed_dropout_draws_its_mask_again():
    def dropped(x):
        return functional.dropout(x, 0.5)

    made = fuse(lambda x: checkpoint(dropped, x, use_reentrant=False) * 2)
    leaf = torch.ones(32, 64, requires_grad=True)
    result = made(leaf)
    result.sum().backward()
    assert torch.equal(result == 0, leaf.grad == 0)


def _train_in_a_group(rank, port, found):
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=2)
    try:
        torch.set_num_threads(1)
        torch.manual_seed(0)
        model = nn.parallel.DistributedDataParallel(Block(32))
        compiled = fuse(model)
        for step in range(2):
            x = torch.randn(6, 32, generator=torch.Generator().manual_seed(10 * step + rank))
            compiled(x).pow(2).mean().backward()
        found[rank] = [p.grad.tolist() for p in model.parameters()]
    finally:
        dist.destroy_process_group()


@pytest.mark.filterwarnings("ignore")
def test_two_processes_agree_on_their_gradients(unused_port):
    with mp.Manager() as manager:
        found = manager.dict()
        mp.spawn(_train_in_a_group, (unused_port, found), nprocs=2)
        first, second = ([torch.tensor(gradient) for gradient in found[rank]] for rank in range(2))
    torch.manual_seed(0)
    model = Block(32)
    for step in range(2):
        for rank in range(2):
            x = torch.randn(6, 32, generator=torch.Generator().manual_seed(10 * step + rank))
            (model(x).pow(2).mean() / 2).backward()
    for mine, other, alone in zip(first, second, model.parameters(), strict=True):
        torch.testing.assert_close(mine, other)
        torch.testing.assert_close(mine, alone.grad, rtol=1e-4, atol=1e-6)


@pytest.fixture
def unused_port():
    import socket  # noqa: PLC0415

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
WIDE = {**SIZES, "intermediate_size": 64}
SMALL_T5 = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2}
ENDS = {"bos_token_id": 0, "eos_token_id": 1}
# A model of transformers, its configuration, and what that is given.
HUB = {
    "BERT": ("BertForMaskedLM", "BertConfig", {**WIDE, "vocab_size": 100}),
    "GPT-2": (
        "GPT2LMHeadModel",
        "GPT2Config",
        {"n_embd": 32, "n_layer": 2, "n_head": 2, "vocab_size": 100, "n_positions": 32, **ENDS},
    ),
    "Llama": ("LlamaForCausalLM", "LlamaConfig", {**WIDE, "vocab_size": 100, **ENDS}),
    "T5": (
        "T5ForConditionalGeneration",
        "T5Config",
        {**SMALL_T5, "vocab_size": 100, "decoder_start_token_id": 0},
    ),
    "ViT": ("ViTForImageClassification", "ViTConfig", {**WIDE, "image_size": 32, "patch_size": 8}),
    "ResNet": (
        "ResNetForImageClassification",
        "ResNetConfig",
        {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"},
    ),
    "ConvNeXt": (
        "ConvNextForImageClassification",
        "ConvNextConfig",
        {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2},
    ),
}


def hub_model(name):
    """A small model of random weights, and a batch."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    generator = torch.Generator().manual_seed(0)
    if name in {"ViT", "ResNet", "ConvNeXt"}:
        images = torch.randn(2, 3, 32, 32, generator=generator)
        batch = {"pixel_values": images, "labels": torch.tensor([0, 1])}
    else:
        tokens = torch.randint(0, 100, (2, 16), generator=generator)
        batch = {"input_ids": tokens, "labels": tokens}
    model, config, sizes = HUB[name]
    torch.manual_seed(0)
    return getattr(transformers, model)(getattr(transformers, config)(**sizes)), batch


def losses_of(model, call, batch, count=3):
    """The losses of so many steps."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    losses = []
    for _ in range(count):
        loss = call(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach())
    return torch.stack(losses)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", HUB)
def test_three_steps_of_a_model_are_those_of_eager(name):
    model, batch = hub_model(name)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for attribute in ("dropout_prob", "attention_dropout", "dropout"):
            if isinstance(getattr(module, attribute, None), float):
                setattr(module, attribute, 0.0)
    other = copy.deepcopy(model)
    losses = {}
    for label, one, call in (("ours", model, fuse(model)), ("eager", other, other)):
        one.train()
        losses[label] = losses_of(one, call, batch).tolist()
    assert losses["ours"] == pytest.approx(losses["eager"], rel=2e-4)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-3, atol=1e-4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["BERT", "GPT-2"])
def test_a_seed_repeats_the_steps_of_a_model_with_dropout_bit_for_bit(name):
    model, batch = hub_model(name)
    model.train()
    start = copy.deepcopy(model.state_dict())
    compiled = fuse(model)
    found = []
    for seed in (1, 1, 2):
        model.load_state_dict(start)
        torch.manual_seed(seed)
        losses = losses_of(model, compiled, batch)
        found.append([losses, *(p.detach().clone() for p in model.parameters())])
    first, again, other = found
    assert all(torch.equal(p, q) for p, q in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


@pytest.mark.filterwarnings("ignore")
def test_losses_under_dropout_are_distributed_as_eagers():
    model, batch = hub_model("GPT-2")
    model.train()
    compiled, count = fuse(model), 100
    sampled = {}
    for label, call in (("ours", compiled), ("eager", model)):
        torch.manual_seed(0)
        sampled[label] = torch.stack([call(**batch).loss.detach() for _ in range(count)]).double()
    ours, eager = sampled["ours"], sampled["eager"]
    # The means of so many are normal: 5 standard deviations apart once in two million.
    spread = ((ours.var() + eager.var()) / count).sqrt()
    assert (ours.mean() - eager.mean()).abs() < 5 * spread
    # The deviation of a normal sample's deviation is σ/√(2n), of the ratio of two σ/√n.
    assert (ours.std() / eager.std()).log().abs() < 5 / count**0.5


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_kept_share_is_distributed_as_bernoullis_is(share):
    rows, columns = 200, 512
    dropped = fuse(lambda x: functional.dropout(x, share) * 2)
    torch.manual_seed(0)
    mask = (dropped(torch.ones(rows, columns)) != 0).double()
    deviation = (share * (1 - share)) ** 0.5
    # Of all elements within 5 deviations; of each row and column squares of normal numbers.
    assert (mask.mean() - (1 - share)).abs() < 5 * deviation / (rows * columns) ** 0.5
    for dim, count, others in ((1, rows, columns), (0, columns, rows)):
        normal = (mask.mean(dim) - (1 - share)) * others**0.5 / deviation
        assert (normal.square().sum() - count).abs() < 5 * (2 * count) ** 0.5


@pytest.mark.filterwarnings("ignore")
def test_an_epoch_of_the_trainer(tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    pytest.importorskip("accelerate", reason="accelerate is not installed")
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    model = transformers.BertForSequenceClassification(
        transformers.BertConfig(**sizes, intermediate_size=64, vocab_size=50, num_labels=2)
    )
    words = torch.randint(1, 50, (64, 12), generator=torch.Generator().manual_seed(0))
    data = [{"input_ids": row, "labels": int(row[0] > 25)} for row in words]
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path),
        torch_compile=True,
        torch_compile_backend="nvprims_nvfuser",
        num_train_epochs=1,
        per_device_train_batch_size=16,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
    )
    trained = transformers.Trainer(model=model, args=arguments, train_dataset=data).train()
    assert trained.global_step == 4
    assert 0.4 < trained.training_loss < 1.0
