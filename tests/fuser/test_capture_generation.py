"""Text made token by token, with caches of keys and values that grow or are written to."""

import pytest
import torch

transformers = pytest.importorskip("transformers", reason="transformers is not installed")

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "vocab_size": 100,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
LENGTH = 24


@pytest.fixture
def model(fresh_compiler):
    torch.manual_seed(0)
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES)).eval()


def compiled(model, **how):
    return torch.compile(model, backend="sestina", **how)


def generated(model, call, prompt, cache):
    """Tokens, each the likeliest after those before it, and the scores they were chosen by."""
    given, place, scores = prompt, torch.arange(prompt.shape[1]), []
    tokens = [prompt]
    with torch.no_grad():
        for _ in range(6):
            made = call(input_ids=given, cache=cache, cache_position=place, use_cache=True)
            scores.append(made.logits[:, -1])
            given = scores[-1].argmax(-1, keepdim=True)
            tokens.append(given)
            place = place[-1:] + 1
    return torch.cat(tokens, 1), torch.stack(scores)


def static_cache(model):
    return transformers.StaticCache(config=model.config, max_cache_len=LENGTH)


@pytest.mark.parametrize("kind", ["grows", "is written to"])
def test_tokens_are_eagers_with_a_cache_that(kind, model):
    make = transformers.DynamicCache if kind == "grows" else lambda: static_cache(model)
    prompt = torch.tensor([[3, 14, 15, 92, 65], [35, 89, 79, 32, 38]])
    call = compiled(model, dynamic=kind == "grows" or None)
    caches = make(), make()
    ours = generated(model, call, prompt, caches[0])
    eager = generated(model, model, prompt, caches[1])
    torch.testing.assert_close(ours[1], eager[1])
    assert torch.equal(ours[0], eager[0])
    for mine, other in zip(caches[0].layers, caches[1].layers, strict=True):
        torch.testing.assert_close(mine.keys, other.keys)
        torch.testing.assert_close(mine.values, other.values)


def test_generate_is_eagers(model):
    prompt = torch.tensor([[3, 14, 15, 92, 65]])
    how = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 1}
    expected = model.generate(prompt, **how)
    model.forward = compiled(model.forward, dynamic=True)
    assert torch.equal(model.generate(prompt, **how), expected)
