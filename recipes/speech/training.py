"""The acoustic model as a torch module, and its training with CTC.

`sestina.decoding.samples.acoustic` is the same network in numpy. `exported` gives it its weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from sestina.decoding.samples.acoustic import FEATURES_PER_STEP, NUM_MELS, TOKENS

__all__ = [
    "AcousticNet",
    "Batch",
    "Features",
    "TrainOptions",
    "exported",
    "padded_batch",
    "spelled",
    "train",
]

Features = NDArray[np.float32]

_INDEX = {token: index for index, token in enumerate(TOKENS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """How the model is trained."""

    width: int = 256
    """Channels."""
    num_blocks: int = 6
    """Residual blocks."""
    expansion: int = 2
    """Channels inside a block, as a multiple of those outside."""
    num_taps: int = 11
    """Steps that a block looks at."""
    num_epochs: int = 26
    """Times that each sentence is heard, with new noise each time."""
    batch_size: int = 32
    """Sentences a step."""
    learning_rate: float = 2e-3
    """The highest, after the warm-up."""
    num_warmup_steps: int = 500
    """Steps until then."""
    weight_decay: float = 1e-2
    """Of AdamW."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Sentences of about one length."""

    features_bfm: Tensor
    """(batch, features, mel), zeros at the ends."""
    num_features: Tensor
    """(batch,), each sentence's."""
    targets: Tensor
    """The tokens of all sentences, one after the other."""
    target_lengths: Tensor
    """(batch,)."""

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        return Batch(
            features_bfm=self.features_bfm.to(device),
            num_features=self.num_features.to(device),
            targets=self.targets.to(device),
            target_lengths=self.target_lengths.to(device),
        )


class AcousticNet(nn.Module):
    """From features to scores of tokens; the axes are those of the model in numpy."""

    def __init__(self, options: TrainOptions) -> None:
        super().__init__()
        width, taps = options.width, options.num_taps
        self.stem = nn.Conv1d(NUM_MELS, width, 5, stride=2, padding=2)
        self.halve = _Depthwise(width, 5, stride=2)
        self.halve_map = nn.Linear(width, width)
        self.blocks = nn.ModuleList(
            _Block(width, taps, options.expansion) for _ in range(options.num_blocks)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 2 * len(TOKENS))

    def forward(self, x_bfm: Tensor, num_features: Tensor) -> Tensor:
        """(batch, features / 2, token) scores; what lies past a sentence's end is no score."""
        x_bcf = torch.relu(self.stem(x_bfm.transpose(1, 2)))
        num_steps = (num_features / FEATURES_PER_STEP).ceil()
        x_bcf = x_bcf * _mask(x_bcf.shape[2], 2 * num_steps)[:, None]
        x_btc = self.halve_map(self.halve(x_bcf.transpose(1, 2)))
        mask_bt1 = _mask(x_btc.shape[1], num_steps)[:, :, None]
        x_btc = x_btc * mask_bt1
        for block in self.blocks:
            x_btc = (x_btc + block(x_btc)) * mask_bt1
        return self.head(self.norm(x_btc)).unflatten(2, (2, -1)).flatten(1, 2)


class _Depthwise(nn.Module):
    # As a convolution of an image one pixel high: five times as fast as Conv1d on a CPU.
    def __init__(self, width: int, num_taps: int, *, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.taps = nn.Parameter(torch.empty(width, 1, 1, num_taps).uniform_(-1, 1) / num_taps**0.5)

    def forward(self, x_btc: Tensor) -> Tensor:
        x_bc1t = x_btc.transpose(1, 2).unsqueeze(2)
        padding = (0, self.taps.shape[3] // 2)
        y = functional.conv2d(
            x_bc1t, self.taps, stride=self.stride, padding=padding, groups=len(self.taps)
        )
        return y.squeeze(2).transpose(1, 2)


class _Block(nn.Module):
    def __init__(self, width: int, num_taps: int, expansion: int) -> None:
        super().__init__()
        self.depthwise = _Depthwise(width, num_taps)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, expansion * width)
        self.contract = nn.Linear(expansion * width, width)

    def forward(self, x_btc: Tensor) -> Tensor:
        return self.contract(torch.relu(self.expand(self.norm(self.depthwise(x_btc)))))


def train(
    options: TrainOptions,
    epochs: Callable[[int], Iterable[Batch]],
    *,
    num_steps: int,
    checkpoint: Path,
    seed: int,
    device: torch.device,
) -> AcousticNet:
    """The trained network; goes on from the checkpoint, which is written after each epoch.

    Args:
        options: how.
        epochs: gives an epoch's batches.
        num_steps: batches in all.
        checkpoint: the file.
        seed: of the first weights.
        device: where it is trained; the network comes back to the CPU.
    """
    torch.manual_seed(seed)
    net = AcousticNet(options).to(device)
    optimiser = torch.optim.AdamW(
        net.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: _share_of_rate(step, options.num_warmup_steps, num_steps)
    )
    parts = {"net": net, "optimiser": optimiser, "schedule": schedule}
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True, map_location=device)
        first = state["num_epochs"]
        for name, part in parts.items():
            part.load_state_dict(state[name])
    for epoch in range(first, options.num_epochs):
        losses = []
        for batch in epochs(epoch):
            loss = _loss(net, batch.to(device))
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            losses.append(loss.detach())
        mean = torch.stack(losses).mean()
        print(f"epoch {epoch + 1} of {options.num_epochs}: loss {mean:.3f} a letter", flush=True)
        saved = {name: part.state_dict() for name, part in parts.items()}
        partial = checkpoint.with_suffix(".partial")
        torch.save(saved | {"num_epochs": epoch + 1}, partial)
        partial.replace(checkpoint)
    return net.cpu().eval()


def exported(net: AcousticNet) -> dict[str, NDArray[np.float32]]:
    """The weights under the names that the model in numpy looks for."""

    def linear(name: str, layer: nn.Linear) -> dict[str, Tensor]:
        return {f"{name}.weight": layer.weight.T, f"{name}.bias": layer.bias}

    def norm(name: str, layer: nn.LayerNorm) -> dict[str, Tensor]:
        return {f"{name}.norm.scale": layer.weight, f"{name}.norm.shift": layer.bias}

    weights = {"stem.weight": net.stem.weight.permute(2, 1, 0), "stem.bias": net.stem.bias}
    weights["halve.taps"] = net.halve.taps[:, 0, 0].T
    weights |= linear("halve", net.halve_map)
    for index, block in enumerate(net.blocks):
        weights[f"block{index}.taps"] = block.depthwise.taps[:, 0, 0].T
        weights |= norm(f"block{index}", block.norm)
        weights |= linear(f"block{index}.expand", block.expand)
        weights |= linear(f"block{index}.contract", block.contract)
    weights |= norm("head", net.norm) | linear("head", net.head)
    return {name: value.detach().numpy() for name, value in weights.items()}


def padded_batch(features: list[Features], sentences: list[str]) -> Batch:
    """The sentences with their features filled up to whole steps of the longest."""
    num_features = torch.tensor([len(each) for each in features])
    longest = -(-int(num_features.max()) // FEATURES_PER_STEP) * FEATURES_PER_STEP
    padded = np.stack([np.pad(each, ((0, longest - len(each)), (0, 0))) for each in features])
    targets = [spelled(sentence) for sentence in sentences]
    return Batch(
        features_bfm=torch.from_numpy(padded),
        num_features=num_features,
        targets=torch.tensor([token for target in targets for token in target]),
        target_lengths=torch.tensor([len(target) for target in targets]),
    )


def spelled(sentence: str) -> list[int]:
    """The sentence's tokens: letters, each word ended by "|"."""
    return [_INDEX[token] for token in sentence.replace(" ", "|") + "|"]


def _loss(net: AcousticNet, batch: Batch) -> Tensor:
    scores_btn = net(batch.features_bfm, batch.num_features)
    return functional.ctc_loss(
        scores_btn.log_softmax(2).transpose(0, 1),
        batch.targets,
        (batch.num_features + 1) // 2,
        batch.target_lengths,
        zero_infinity=True,
    )


def _mask(size: int, ends_b: Tensor) -> Tensor:
    return (torch.arange(size, device=ends_b.device) < ends_b[:, None]).float()


def _share_of_rate(step: int, num_warmup: int, num_steps: int) -> float:
    if step < num_warmup:
        return (step + 1) / num_warmup
    return 0.5 + 0.5 * math.cos(math.pi * min(1.0, (step - num_warmup) / (num_steps - num_warmup)))
