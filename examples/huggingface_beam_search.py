"""Beam search over a Hugging Face model, beside the model's own `generate(num_beams=k)`.

Two small models with random weights, one that reads an input with an encoder and one that goes on
with a prompt, each for a batch: the sequences found are the same, and so are their scores. Nothing
is downloaded; with your own checkpoint, put `from_pretrained` in place of the configurations.

    pip install 'sestina[decoding-transformers]'
    python examples/huggingface_beam_search.py
"""

from __future__ import annotations

from inspect import signature
from typing import Any

import torch
from torch import Tensor
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    DynamicCache,
    EncoderDecoderCache,
    GPT2Config,
    GPT2LMHeadModel,
)

from sestina.decoding.batched import BatchedSeq2SeqDecoder, BatchedSeq2SeqOptions

PAD, END, NUM_TOKENS = 0, 1, 12
OPTIONS = BatchedSeq2SeqOptions(beam_size=4, max_length=20, length_penalty=0.8)
# What models call the keys and values of the tokens before, which has changed with 5.x.
PAST = "cache" if "cache" in signature(GPT2LMHeadModel.forward).parameters else "past_key_values"
GENERATE = {
    "num_beams": OPTIONS.beam_size,
    "num_return_sequences": OPTIONS.beam_size,
    "max_new_tokens": OPTIONS.max_length,
    "length_penalty": OPTIONS.length_penalty,
    "early_stopping": False,
    "do_sample": False,
    "eos_token_id": END,
    "pad_token_id": PAD,
    "return_dict_in_generate": True,
    "output_scores": True,
}


def main() -> None:
    """Compares both models with their own search."""
    torch.manual_seed(0)
    reader = BartForConditionalGeneration(
        BartConfig(
            vocab_size=NUM_TOKENS,
            d_model=32,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=64,
            decoder_ffn_dim=64,
            init_std=0.3,
            bos_token_id=END,
            eos_token_id=END,
            pad_token_id=PAD,
            decoder_start_token_id=PAD,
            forced_eos_token_id=None,
        )
    )
    writer = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=NUM_TOKENS,
            n_layer=2,
            n_head=2,
            n_embd=32,
            initializer_range=0.3,
            bos_token_id=END,
            eos_token_id=END,
        )
    )
    reader.eval()
    writer.eval()
    inputs_bt = torch.randint(2, NUM_TOKENS, (3, 7))
    compare("encoder and decoder", decode_encoded(reader, inputs_bt), reader, inputs_bt)
    compare("decoder alone", continue_prompts(writer, inputs_bt), writer, inputs_bt)


def decode_encoded(model: Any, inputs_bt: Tensor) -> list[Any]:
    """The sequences of a model with an encoder; what it remembers: the encoded input, the past."""

    def step(token_r: Tensor, cache: Any) -> tuple[Tensor, Any]:
        encoded_rtd, past = cache
        output = model(
            decoder_input_ids=token_r[:, None],
            encoder_outputs=(encoded_rtd,),
            **{PAST: past},  # which it extends in place
        )
        return output.logits[:, -1], cache

    def reorder(cache: Any, row_r: Tensor) -> Any:
        encoded_rtd, past = cache
        past.reorder_cache(row_r)
        return encoded_rtd[row_r], past

    past = EncoderDecoderCache(DynamicCache(), DynamicCache())
    with torch.no_grad():
        encoded_btd = model.get_encoder()(inputs_bt).last_hidden_state
    decoder = BatchedSeq2SeqDecoder(step, reorder, end=END, options=OPTIONS)
    start_b = torch.full((len(inputs_bt),), model.config.decoder_start_token_id)
    return decoder.decode((encoded_btd, past), start_b, nbest=OPTIONS.beam_size)


def continue_prompts(model: Any, prompts_bt: Tensor) -> list[Any]:
    """The sequences that follow prompts of one length, read into the past but for their last."""

    def step(token_r: Tensor, past: Any) -> tuple[Tensor, Any]:
        return model(token_r[:, None], **{PAST: past}).logits[:, -1], past

    def reorder(past: Any, row_r: Tensor) -> Any:
        past.reorder_cache(row_r)
        return past

    past = DynamicCache()
    with torch.no_grad():
        model(prompts_bt[:, :-1], **{PAST: past})
    decoder = BatchedSeq2SeqDecoder(step, reorder, end=END, options=OPTIONS)
    return decoder.decode(past, prompts_bt[:, -1], nbest=OPTIONS.beam_size)


def compare(name: str, found: list[Any], model: Any, inputs_bt: Tensor) -> None:
    """Prints how many sequences are those of `generate`, and how far the scores are apart."""
    theirs = model.generate(inputs_bt, **GENERATE)
    prompt_length = 1 if model.config.is_encoder_decoder else inputs_bt.shape[1]
    flat = [sequence for one in found for sequence in one]
    same, furthest = 0, 0.0
    for mine, row, score in zip(flat, theirs.sequences, theirs.sequences_scores, strict=True):
        given = row[prompt_length:].tolist()
        end = given.index(END) if END in given else OPTIONS.max_length
        same += mine.tokens == tuple(given[:end])
        furthest = max(furthest, abs(mine.score - float(score)))
    lengths = [len(sequence.tokens) for sequence in flat]
    print(
        f"{name}: {same} of {len(flat)} sequences of {min(lengths)} to {max(lengths)} tokens are "
        f"those of generate, scores at most {furthest:.1g} apart"
    )


if __name__ == "__main__":
    main()
