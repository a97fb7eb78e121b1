"""A neural language model in the search, beside the n-gram: the bundled test sentences.

The neural one is a small recurrent net, trained here for seconds on the sentences that the bundled
3-gram was estimated from (recipes/speech). Its states are batched over the beam, and with more
threads over utterances, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.decoding.scoring import word_error_rate
from benchmarks.harness import Report, Worker, alternate, main
from sestina.decoding import (
    Decoder,
    DecoderOptions,
    LanguageModel,
    Lexicon,
    Tokens,
    read_arpa,
    samples,
)

OPTIONS: dict[str, Any] = {"lm_weight": 1.5, "word_score": 1.5, "log_add": True, "beam_size": 50}
BEGIN, END = "<s>", "</s>"
UNITS, BATCH_SIZE, NUM_STEPS = 128, 64, 1500


def recurrent() -> Callable[[], LanguageModel]:
    """Makes models of the net, trained with a seed, that remember nothing of each other."""
    import torch  # noqa: PLC0415  the n-gram's worker needs none
    from torch import nn  # noqa: PLC0415

    from recipes.speech.grammar import draw_splits  # noqa: PLC0415
    from sestina.decoding.neural import TorchLanguageModel  # noqa: PLC0415

    class Net(nn.Module):
        def __init__(self, num_words: int) -> None:
            super().__init__()
            self.embedding = nn.Embedding(num_words, UNITS)
            self.cell = nn.GRU(UNITS, UNITS, batch_first=True)
            self.output = nn.Linear(UNITS, num_words)

        def forward(self, ids_bt: torch.Tensor) -> torch.Tensor:
            logits_btv: torch.Tensor = self.output(self.cell(self.embedding(ids_bt))[0])
            return logits_btv

    torch.manual_seed(0)
    torch.set_num_threads(1)
    sentences = [[BEGIN, *text.split(), END] for text in draw_splits(0).train]
    vocabulary = sorted({word for sentence in sentences for word in sentence})
    ids = {word: number for number, word in enumerate(vocabulary)}
    encoded = [torch.tensor([ids[word] for word in sentence]) for sentence in sentences]
    net = Net(len(vocabulary))
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(NUM_STEPS):
        drawn = [encoded[k] for k in torch.randint(len(encoded), (BATCH_SIZE,))]
        batch_bt = nn.utils.rnn.pad_sequence(drawn, batch_first=True, padding_value=-1)
        logits_btv = net(batch_bt[:, :-1].clamp(min=0))
        loss = nn.functional.cross_entropy(
            logits_btv.flatten(0, 1), batch_bt[:, 1:].flatten(), ignore_index=-1
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    net.eval()
    return lambda: TorchLanguageModel(net, vocabulary, begin=BEGIN, end=END)


def decoded(workload: Mapping[str, Any]) -> Callable[[], dict[str, Any]]:
    """The test sentences decoded with one of the two."""
    bundled = samples.sample("test")
    lexicon = Lexicon.read(bundled.lexicon_path, Tokens.read(bundled.tokens_path))
    arpa = read_arpa(bundled.arpa_path)
    made = recurrent() if workload["model"] == "recurrent" else lambda: arpa
    inputs = list(bundled.emissions)

    def run() -> dict[str, Any]:
        # Anew each time: a neural model remembers what it was asked last.
        decoder = Decoder(lexicon, made(), DecoderOptions(**OPTIONS))
        found = decoder.decode_batch(inputs, threads=workload["threads"])
        return {"texts": [one[0].text for one in found]}

    return run


def bench(report: Report) -> None:
    """CPU time of all sentences; in the notes the word error rates, in per cent."""
    references = samples.sample("test").references
    for threads in (1, 16):
        target = "benchmarks.decoding.bench_neural:decoded"
        with (
            Worker(target, {"model": "recurrent", "threads": threads}) as neural,
            Worker(target, {"model": "3-gram", "threads": threads}) as ngram,
        ):
            texts = {"recurrent": neural.run().extra["texts"], "3-gram": ngram.run().extra["texts"]}
            measured = alternate(neural, ngram, pairs=3, warmup=0)
        report.row(
            what=f"search, recurrent language model beside the 3-gram, {threads} threads",
            workload=OPTIONS | {"set": "samples, test", "threads": threads},
            measured=measured,
            notes={
                f"word error rate, {name}, %": round(100 * word_error_rate(references, found), 2)
                for name, found in texts.items()
            },
        )


if __name__ == "__main__":
    main(bench)
