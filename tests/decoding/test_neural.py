"""Neural language models, beside the same modules run over whole sequences."""

import math
import pickle

import numpy as np
import pytest
import torch

from sestina.core.errors import InvalidValueError
from sestina.decoding import (
    BatchedLanguageModel,
    Decoder,
    DecoderOptions,
    Lexicon,
    Tokens,
    combine,
)
from sestina.decoding.neural import HuggingFaceLanguageModel, TorchLanguageModel

WORDS = ["ab", "ba", "abba", "b"]
VOCABULARY = ["<s>", "</s>", "<unk>", *WORDS]


class Recurrent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        size = len(VOCABULARY)
        self.embed = torch.nn.Embedding(size, 8)
        self.cell = torch.nn.GRU(8, 8, batch_first=True)
        self.out = torch.nn.Linear(8, size)
        self.shapes = []

    def forward(self, ids_bt):
        self.shapes.append(tuple(ids_bt.shape))
        return 3 * self.out(self.cell(self.embed(ids_bt))[0])


@pytest.fixture
def module():
    torch.manual_seed(0)
    return Recurrent().eval()


@pytest.fixture(scope="module")
def lexicon():
    tokens = Tokens(["-", "|", "a", "b"])
    return Lexicon.from_spellings({word: f"{' '.join(word)} |" for word in WORDS}, tokens)


def batch_of(count, num_frames=30):
    rng = np.random.default_rng(0)
    return [np.log(rng.dirichlet(np.full(4, 0.4), num_frames) + 1e-6) for _ in range(count)]


@torch.inference_mode()
def whole_scores(logits_of, ids):
    """log10 of each id after those before it."""
    log_probs_tv = torch.log_softmax(logits_of(torch.tensor([ids]))[0].double(), -1)
    picked = log_probs_tv[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]
    return (picked / math.log(10)).tolist()


def test_scores_are_the_modules(module):
    lm = TorchLanguageModel(module, VOCABULARY)
    for words in (["ab", "b", "abba"], ["zzz", "ba"], []):
        ids = [VOCABULARY.index(w if w in VOCABULARY else "<unk>") for w in words]
        assert lm.scores(words) == pytest.approx(whole_scores(module, [0, *ids, 1]), abs=1e-5)
    assert "ab" in lm
    assert "zzz" not in lm


def test_a_state_of_two_ids_forgets_what_was_before(module):
    lm = TorchLanguageModel(module, VOCABULARY, context=2, end=None)
    found = lm.scores(["ab", "ba", "b"])
    expected = [
        *whole_scores(module, [0, VOCABULARY.index("ab")]),
        whole_scores(module, [0, *map(VOCABULARY.index, ["ab", "ba"])])[-1],
        whole_scores(module, [*map(VOCABULARY.index, ["ab", "ba", "b"])])[-1],
        0.0,
    ]
    assert found == pytest.approx(expected, abs=1e-5)


def test_a_word_that_the_module_has_no_id_for_scores_as_in_arpa_files_without_one(module):
    lm = TorchLanguageModel(module, ["<s>", "</s>", "x", *WORDS])
    assert lm.scores(["zzz", "ab"], end=False) == [-100.0, lm.scores(["ab"])[0]]


@pytest.mark.parametrize("merge", ["context", "history"])
def test_the_beam_is_a_batch_and_results_are_those_of_one_by_one(merge, module, lexicon):
    options = DecoderOptions(lm_weight=1.5, merge=merge)
    decoder = Decoder(lexicon, TorchLanguageModel(module, VOCABULARY), options)
    found = decoder.decode_batch(batch_of(4), nbest=3)
    assert max(size for size, _ in module.shapes) > 4
    alone = TorchLanguageModel(module, VOCABULARY, batch_size=1)
    expected = Decoder(lexicon, alone, options).decode_batch(batch_of(4), nbest=3)
    threaded = decoder.decode_batch(batch_of(4), nbest=3, threads=4)
    for results in (found, threaded):
        for one, other in zip(results, expected, strict=True):
            assert [h.text for h in one] == [h.text for h in other]
            assert [h.score for h in one] == pytest.approx([h.score for h in other], abs=1e-3)


def test_states_are_asked_once(module):
    lm = TorchLanguageModel(module, VOCABULARY)
    lm.scores(["ab", "b"])
    calls = len(module.shapes)
    lm.scores(["ab", "b"])
    assert len(module.shapes) == calls


def test_a_torch_model_crosses_to_other_processes(module):
    lm = TorchLanguageModel(module, VOCABULARY)
    assert pickle.loads(pickle.dumps(lm)).scores(["ab"]) == lm.scores(["ab"])


def test_what_does_not_fit_is_an_error(module):
    with pytest.raises(InvalidValueError, match="end is '<eos>', expected a word of the voc"):
        TorchLanguageModel(module, VOCABULARY, end="<eos>")
    with pytest.raises(InvalidValueError, match="expected a module in evaluation mode"):
        TorchLanguageModel(Recurrent(), VOCABULARY)
    with pytest.raises(InvalidValueError, match="context is 0, expected at least 1"):
        TorchLanguageModel(module, VOCABULARY, context=0)
    with pytest.raises(InvalidValueError, match=r"\(1, 1, 7\), expected logits of shape \(1, 1, 8"):
        TorchLanguageModel(module, [*VOCABULARY, "more"]).scores(["ab"])


# --- Hugging Face ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip("transformers", reason="transformers is not installed")


@pytest.fixture(scope="module")
def tokenizer(transformers):
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token=None))
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=262,
        special_tokens=["<|end|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )
    made.train_from_iterator(["ab ba abba b", "ab abba"] * 5, trainer)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|end|>")


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def causal(request, transformers, tokenizer):
    torch.manual_seed(1)
    size = len(tokenizer)
    if request.param == "gpt2":
        config = transformers.GPT2Config(
            vocab_size=size, n_positions=40, n_embd=16, n_layer=2, n_head=2, initializer_range=0.5
        )
        return transformers.GPT2LMHeadModel(config).eval()
    config = transformers.LlamaConfig(
        vocab_size=size,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=40,
        initializer_range=0.5,
    )
    return transformers.LlamaForCausalLM(config).eval()


class Whole(BatchedLanguageModel):
    """The model run anew over everything that was said."""

    def __init__(self, model, tokenizer):
        self.model, self.tokenizer = model, tokenizer

    def start(self):
        return ()

    def score_batch(self, states, words):
        scores, after = [], []
        for state, word in zip(states, words, strict=True):
            ids = [0, *self.ids(state)]
            more = [0] if word == "</s>" else self.ids((*state, word))[len(ids) - 1 :]
            found = whole_scores(lambda ids_bt: self.model(ids_bt).logits, [*ids, *more])
            scores.append(sum(found[len(ids) - 1 :]))
            after.append((*state, word))
        return scores, after

    def ids(self, words):
        return self.tokenizer.encode(" ".join(words), add_special_tokens=False)


def test_a_causal_model_scores_words_by_their_tokens(causal, tokenizer):
    lm, whole = HuggingFaceLanguageModel(causal, tokenizer), Whole(causal, tokenizer)
    assert len(tokenizer.encode(" abba x", add_special_tokens=False)) > 2
    for words in (["ab", "b", "abba"], ["bab", "zzz", "ba", "a"], []):
        assert lm.scores(words) == pytest.approx(whole.scores(words), abs=1e-4)
    # Words of different lengths in one batch, after sentences of different lengths.
    start = lm.start()
    _, after = lm.score_batch([start, start], ["ab", "xyz"])
    _, longer = lm.score_batch(after[:1], ["ba"])
    states = [longer[0], start, after[1], after[0]]
    found = lm.score_batch(states, ["b", "ab", "abab", "a"])[0]
    said = [("ab", "ba"), (), ("xyz",), ("ab",)]
    assert found == pytest.approx(whole.score_batch(said, ["b", "ab", "abab", "a"])[0], abs=1e-4)


def test_searches_with_a_causal_model_are_those_without_its_cache(causal, tokenizer, lexicon):
    options = DecoderOptions(lm_weight=1.0, beam_size=10, merge="history")
    batch = batch_of(3, num_frames=20)
    lm = HuggingFaceLanguageModel(causal, tokenizer)
    expected = Decoder(lexicon, Whole(causal, tokenizer), options).decode_batch(batch)
    for threads in (1, 3):
        found = Decoder(lexicon, lm, options).decode_batch(batch, threads=threads)
        assert [one[0].text for one in found] == [one[0].text for one in expected]
        scores = [one[0].score for one in expected]
        assert [one[0].score for one in found] == pytest.approx(scores, abs=1e-3)
    both = combine([(lm, 0.5), (Whole(causal, tokenizer), 0.5)])
    assert Decoder(lexicon, both, options).decode(batch[0])[0].text == expected[0][0].text


def test_each_token_is_computed_once(causal, tokenizer):
    lm, computed = HuggingFaceLanguageModel(causal, tokenizer), []
    hook = causal.register_forward_pre_hook(
        lambda module, args, kwargs: computed.append(tuple(kwargs["input_ids"].shape)),
        with_kwargs=True,
    )
    words = ["ab", "b", "abba", "ab", "ba"]
    lm.scores(words)
    hook.remove()
    num_tokens = 1 + len(tokenizer.encode(" ".join(words), add_special_tokens=False))
    assert computed == [(1, 1)] * num_tokens


def test_words_are_spelled_as_the_model_would(causal, tokenizer):
    lm = HuggingFaceLanguageModel(causal, tokenizer)
    lower = HuggingFaceLanguageModel(causal, tokenizer, text_of=str.lower)
    assert lower.scores(["AB", "Ba"]) == lm.scores(["ab", "ba"])
    assert lm.scores(["<unk>", "ab"], end=False) == [-100.0, lm.scores(["ab"])[0]]


def test_ends_may_have_no_probability(causal, tokenizer):
    assert HuggingFaceLanguageModel(causal, tokenizer, end=-1).scores(["ab"])[-1] == 0.0


def test_a_causal_model_crosses_to_other_processes(causal, tokenizer):
    lm = HuggingFaceLanguageModel(causal, tokenizer)
    expected = lm.scores(["ab", "ba"])
    assert pickle.loads(pickle.dumps(lm)).scores(["ab", "ba"]) == pytest.approx(expected)


def test_a_causal_model_that_cannot_be_used_is_an_error(causal, tokenizer, transformers):
    with pytest.raises(InvalidValueError, match="at most the model's 40 tokens"):
        HuggingFaceLanguageModel(causal, tokenizer).scores(["ab"] * 41)
    bare = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer._tokenizer)
    with pytest.raises(InvalidValueError, match="begin is None, expected a token"):
        HuggingFaceLanguageModel(causal, bare)
    with pytest.raises(InvalidValueError, match="word is 'ab', expected one that has tokens"):
        HuggingFaceLanguageModel(causal, tokenizer, text_of=lambda word: "").scores(["ab"])
