"""Small models of transformers, random weights: what a step or a prediction costs on one core."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from torch import nn

__all__ = ["MODELS", "VISION", "built", "seeing"]

# Typed for each model by itself; as they are used here that says nothing.
_hub: Any = transformers
_VOCABULARY = 8192
_BATCH, _LENGTH, _TARGET = 8, 128, 32
_SIZES = {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4}


def _tokens(length: int) -> torch.Tensor:
    return torch.randint(0, _VOCABULARY, (_BATCH, length))


def _bert() -> tuple[nn.Module, dict[str, Any]]:
    config = _hub.BertConfig(**_SIZES, intermediate_size=1024, vocab_size=_VOCABULARY)
    tokens = _tokens(_LENGTH)
    return _hub.BertForMaskedLM(config), {"input_ids": tokens, "labels": tokens}


def _gpt2() -> tuple[nn.Module, dict[str, Any]]:
    config = _hub.GPT2Config(
        n_embd=256,
        n_layer=4,
        n_head=4,
        vocab_size=_VOCABULARY,
        n_positions=256,
        bos_token_id=0,
        eos_token_id=0,
    )
    tokens = _tokens(_LENGTH)
    return _hub.GPT2LMHeadModel(config), {"input_ids": tokens, "labels": tokens}


def _t5() -> tuple[nn.Module, dict[str, Any]]:
    config = _hub.T5Config(
        d_model=256,
        d_kv=64,
        d_ff=1024,
        num_layers=4,
        num_decoder_layers=4,
        num_heads=4,
        vocab_size=_VOCABULARY,
        decoder_start_token_id=0,
    )
    model = _hub.T5ForConditionalGeneration(config)
    return model, {"input_ids": _tokens(_LENGTH), "labels": _tokens(_TARGET)}


def _resnet() -> tuple[nn.Module, dict[str, Any]]:
    config = _hub.ResNetConfig(
        embedding_size=64,
        hidden_sizes=[64, 128, 256, 512],
        depths=[2, 2, 2, 2],
        layer_type="basic",
        num_labels=100,
    )
    return _hub.ResNetForImageClassification(config), _images()


def _convnext() -> tuple[nn.Module, dict[str, Any]]:
    config = _hub.ConvNextConfig(
        hidden_sizes=[48, 96, 192, 384], depths=[2, 2, 2, 2], num_labels=100
    )
    return _hub.ConvNextForImageClassification(config), _images()


def _vit() -> tuple[nn.Module, dict[str, Any]]:
    config = _hub.ViTConfig(
        **_SIZES, intermediate_size=1024, image_size=112, patch_size=16, num_labels=100
    )
    return _hub.ViTForImageClassification(config), _images()


def _images() -> dict[str, Any]:
    labels = torch.randint(0, 100, (_BATCH,))
    return {"pixel_values": torch.randn(_BATCH, 3, 112, 112), "labels": labels}


MODELS = {"BERT": _bert, "GPT-2": _gpt2, "T5": _t5, "ResNet": _resnet, "ConvNeXt": _convnext}
VISION = {"ResNet": _resnet, "ConvNeXt": _convnext, "ViT": _vit}


def built(name: str) -> tuple[nn.Module, dict[str, Any]]:
    """A model in training mode, dropout as it comes, and a batch for it."""
    torch.manual_seed(0)
    model, batch = MODELS[name]()
    model.train()
    return model, batch


def seeing(name: str) -> tuple[nn.Module, torch.Tensor]:
    """A model of images that is to predict, and a batch of them."""
    torch.manual_seed(0)
    model, batch = VISION[name]()
    model.eval()
    return model, batch["pixel_values"]
