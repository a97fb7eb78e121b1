"""Many utterances over engines: the results of `decode`, in order, whatever happens to some."""

from __future__ import annotations

import itertools
import os
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from sestina.core.engine import ProcessEngine, SerialEngine, make_engine
from sestina.core.errors import (
    FileFormatError,
    InvalidValueError,
    NonFiniteError,
    NoReadingError,
    ShapeError,
    WorkerError,
)
from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, combine, read_lm
from sestina.decoding.bulk import decode_many

ARPA = """\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-1.0 <unk>
-0.7 </s>
-0.5 ab -0.3
-0.9 ba -0.2

\\2-grams:
-0.2 ab ba
-0.4 ba ab

\\end\\
"""


@pytest.fixture(scope="module", params=["serial", "processes"])
def engine(request):
    with {"serial": SerialEngine, "processes": lambda: ProcessEngine(2)}[request.param]() as opened:
        yield opened


@pytest.fixture(scope="module")
def processes():
    with ProcessEngine(2) as opened:
        yield opened


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("decoder")
    (made / "tokens.txt").write_text("-\n|\na\nb\n")
    (made / "lexicon.txt").write_text("ab a b |\nba b a |\n")
    (made / "lm.arpa").write_text(ARPA)
    return made


@pytest.fixture(scope="module")
def decoder(folder):
    lexicon = Lexicon.read(folder / "lexicon.txt", Tokens.read(folder / "tokens.txt"))
    return Decoder(lexicon, read_lm(folder / "lm.arpa"), DecoderOptions(beam_size=20))


@pytest.fixture(scope="module")
def cache(folder):
    return folder / "cache"


def emissions(num_frames, seed=0):
    return np.random.default_rng(seed).normal(size=(num_frames, 4)).astype(np.float32)


class Deadly(np.ndarray):
    """Ends the process that unpickles it."""

    def __reduce__(self):
        return os._exit, (3,)


def deadly():
    return emissions(5).view(Deadly)


@pytest.mark.parametrize("chunk_size", [1, 3, 100])
def test_results_are_those_of_decode_in_order(engine, decoder, cache, chunk_size):
    utterances = [emissions(length, length) for length in (*range(9), 40, 1)]
    expected = [decoder.decode(one, nbest=4) for one in utterances]
    found = decode_many(
        decoder, iter(utterances), engine=engine, nbest=4, chunk_size=chunk_size, cache=cache
    )
    for many, one in zip(found, expected, strict=True):
        assert many == one
        assert [hypothesis.text for hypothesis in many] == [hypothesis.text for hypothesis in one]
        assert [(hypothesis.acoustic_score, hypothesis.language_score) for hypothesis in many] == [
            (hypothesis.acoustic_score, hypothesis.language_score) for hypothesis in one
        ]


def test_utterances_are_arrays_or_files_of_them(engine, decoder, cache, tmp_path, monkeypatch):
    scores = [emissions(7, seed) for seed in range(6)]
    np.save(tmp_path / "0.npy", scores[0])
    np.savez(tmp_path / "1.npz", anything=scores[1])
    np.savez(tmp_path / "2.npz", some=scores[2], other=scores[3])
    monkeypatch.chdir(tmp_path)
    utterances = [
        tmp_path / "0.npy",
        "1.npz",
        ("2.npz", "some"),
        (tmp_path / "2.npz", "other"),
        scores[4].astype(np.float16),
        scores[5].tolist(),
    ]
    found = list(decode_many(decoder, utterances, engine=engine, cache=cache))
    scores[4] = scores[4].astype(np.float16)
    assert found == [decoder.decode(one) for one in scores]


def test_every_kind_of_search_crosses(processes, decoder, cache):
    lexicon, lm = decoder.vocabulary, decoder.lm
    transitions = np.random.default_rng(2).normal(size=(4, 4)).astype(np.float32)
    decoders = [
        Decoder(lexicon.tokens),
        Decoder(lexicon, combine([(lm, 0.5), (lm, 0.25)])),
        Decoder(lexicon, lm, DecoderOptions(word_length_score=0.7, token_score=-0.2)),
        Decoder(lexicon, lm, DecoderOptions(open_vocabulary=True, unk_score=-1)),
        Decoder(lexicon, lm, DecoderOptions(lm_level="token")),
        Decoder(lexicon, lm, DecoderOptions(blank_skip_threshold=0.9)),
        Decoder(lexicon, lm, DecoderOptions(criterion="asg"), transitions=transitions),
        Decoder(lexicon, lm, DecoderOptions(semantics="flashlight", merge="history")),
        Decoder(lexicon, lm, hotwords={"ba": 6.0}),
        Decoder(lexicon, grammar=["ab ab", "ba"]),
    ]
    scores = [emissions(12, seed) for seed in range(4)]
    for one in decoders:
        found = list(decode_many(one, scores, engine=processes, nbest=3, cache=cache))
        assert found == [one.decode(x, nbest=3) for x in scores]
        assert [[h.text for h in many] for many in found] == [
            [h.text for h in one.decode(x, nbest=3)] for x in scores
        ]


def test_nothing_gives_nothing(engine, decoder, cache):
    assert list(decode_many(decoder, [], engine=engine, cache=cache)) == []


def test_an_engine_is_made_if_none_is_given(decoder, cache):
    scores = [emissions(6, seed) for seed in range(3)]
    assert list(decode_many(decoder, scores, cache=cache)) == [decoder.decode(x) for x in scores]


def test_utterances_are_taken_shortly_before_their_turn(engine, decoder, cache):
    taken = []

    def endless():
        for number in itertools.count():
            taken.append(number)
            yield emissions(3, number)

    found = decode_many(decoder, endless(), engine=engine, chunk_size=2, cache=cache)
    assert [next(found) for _ in range(5)] == [decoder.decode(emissions(3, k)) for k in range(5)]
    assert len(taken) <= 5 + 2 * 2 * 2
    found.close()


def test_the_first_failure_is_raised_in_its_turn_and_named(engine, decoder, cache, tmp_path):
    bad = tmp_path / "bad.npy"
    np.save(bad, np.zeros((3, 5), np.float32))
    utterances = [emissions(3), bad, emissions(4), emissions(2)[:, :3]]
    found = decode_many(decoder, utterances, engine=engine, cache=cache)
    assert next(found) == decoder.decode(utterances[0])
    with pytest.raises(WorkerError, match=r"item 1 failed: .*bad\.npy: ShapeError: emissions") as e:
        next(found)
    assert e.value.index == 1
    assert isinstance(e.value.__cause__, ShapeError)
    assert next(found, None) is None


def test_failures_are_told_and_the_others_decoded(engine, decoder, cache, tmp_path):
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "empty.npy").write_text("")
    np.save(tmp_path / "one.npy", emissions(3))
    np.savez(tmp_path / "two.npz", a=emissions(3), b=emissions(3))
    (tmp_path / "zip.npz").write_bytes((tmp_path / "two.npz").read_bytes()[:99])
    np.save(tmp_path / "objects.npy", np.array([print], dtype=object), allow_pickle=True)
    nan = np.full((3, 4), np.nan)
    utterances = [
        nan,
        emissions(5),
        tmp_path / "absent.npy",
        tmp_path / "text.npy",
        tmp_path / "empty.npy",
        tmp_path / "zip.npz",
        tmp_path / "two.npz",
        (tmp_path / "two.npz", "c"),
        (tmp_path / "one.npy", "c"),
        tmp_path / "objects.npy",
        np.full((3, 4), -np.inf),
        nan.tolist(),
        emissions(6),
    ]
    told = []
    found = list(
        decode_many(
            decoder,
            utterances,
            engine=engine,
            chunk_size=5,
            cache=cache,
            on_failure=told.append,
        )
    )
    good = {1, 12}
    assert [bool(one) for one in found] == [k in good for k in range(13)]
    assert [found[k] for k in good] == [decoder.decode(utterances[k]) for k in good]
    assert [failure.index for failure in told] == [k for k in range(13) if k not in good]
    kinds = [type(failure.__cause__) for failure in told]
    assert kinds == [
        NonFiniteError,
        FileNotFoundError,
        *[FileFormatError] * 7,
        NoReadingError,
        NonFiniteError,
    ]
    texts = [str(failure) for failure in told]
    assert "absent.npy" in texts[1]
    assert "its named arrays are a, b, expected one; pass a pair of the path" in texts[5]
    assert "its named arrays are a, b, expected 'c' among them" in texts[6]
    assert "probability above 0" in texts[9]


def test_who_takes_its_worker_along_is_named_and_the_others_are_saved(processes, decoder, cache):
    utterances = [emissions(4, seed) for seed in range(9)]
    utterances[5] = deadly()
    told = []
    found = list(
        decode_many(
            decoder,
            utterances,
            engine=processes,
            chunk_size=3,
            cache=cache,
            on_failure=told.append,
        )
    )
    assert [failure.index for failure in told] == [5]
    assert "ended with exit code 3" in str(told[0])
    utterances[5] = None
    assert found == [[] if x is None else decoder.decode(x) for x in utterances]


@pytest.mark.xdist_group("ray")
def test_a_cluster_of_machines_decodes(ray_cluster, decoder, tmp_path):
    utterances = [emissions(4, seed) for seed in range(30)]
    utterances[7] = deadly()
    told = []
    with make_engine(cluster=ray_cluster) as engine:
        found = decode_many(
            decoder,
            utterances,
            engine=engine,
            chunk_size=3,
            cache=tmp_path / "cache",
            on_failure=told.append,
        )
        shutil.rmtree(tmp_path / "cache")  # as on a machine that has none
        found = list(found)
    assert [failure.index for failure in told] == [7]
    assert "its worker process died" in str(told[0])
    utterances[7] = None
    assert found == [[] if x is None else decoder.decode(x) for x in utterances]


def test_progress_counts_and_can_stop(engine, decoder, cache):
    seen = []
    scores = [emissions(3)] * 4
    list(
        decode_many(
            decoder, scores, engine=engine, cache=cache, progress=lambda *told: seen.append(told)
        )
    )
    assert seen == [(done, 4, "utterances") for done in range(5)]
    list(
        decode_many(
            decoder,
            iter(scores),
            engine=engine,
            cache=cache,
            progress=lambda *told: seen.append(told),
        )
    )
    assert {total for _, total, _ in seen[5:]} == {0}, "a generator's length is not known"

    def stop(done, total, label):
        if done == 2:
            raise KeyError

    with pytest.raises(KeyError):
        list(decode_many(decoder, scores, engine=engine, cache=cache, progress=stop))
    assert list(decode_many(decoder, scores[:1], engine=engine, cache=cache)), "it works on"


def test_leaving_early_cancels_what_is_not_finished(decoder, cache, tmp_path):
    slow = np.zeros((400_000, 4), np.float32)
    with ProcessEngine(1) as engine:
        found = decode_many(
            decoder, [emissions(3), slow, slow, slow], engine=engine, chunk_size=1, cache=cache
        )
        next(found)
        found.close()
        assert list(decode_many(decoder, [emissions(3)], engine=engine, cache=cache))


@pytest.mark.parametrize("name", ["nbest", "chunk_size"])
def test_numbers_are_checked_at_once(engine, decoder, cache, name):
    with pytest.raises(InvalidValueError, match=f"{name} is 0, expected at least 1"):
        decode_many(decoder, [], engine=engine, cache=cache, **{name: 0})


def test_a_decoder_that_a_worker_cannot_open_is_no_utterances_failure(decoder, tmp_path):
    cache = tmp_path / "cache"
    told = []
    with ProcessEngine(1) as engine:
        found = decode_many(
            decoder, [emissions(3)], engine=engine, cache=cache, on_failure=told.append
        )
        for path in cache.glob("*.graph"):
            path.write_bytes(b"damaged")
        with pytest.raises(FileFormatError, match="delete it"):
            next(found)
    assert told == []


def private_mib(worker):
    """What a process has in memory that no other has a share in."""
    text = Path(f"/proc/{worker}/smaps_rollup").read_text()
    return sum(
        int(re.search(rf"Private_{kind}: +(\d+) kB", text)[1]) / 1024 for kind in ("Clean", "Dirty")
    )


@pytest.mark.parametrize("hotwords", [{}, {"london bridge": 4.0, "sestina": 6.0}])
def test_workers_share_a_large_model_and_lexicon(shared_data, cache, hotwords):
    if not Path("/proc/self/smaps_rollup").exists():
        pytest.skip("the system does not say what memory is private")
    data = shared_data / "decoding"
    tokens = Tokens.read(data / "tokens.txt")
    lexicon = Lexicon.read(data / "bench" / "lexicon200k.txt.gz", tokens)
    lm = read_lm(data / "bench" / "lm3.arpa.gz")
    decoder = Decoder(lexicon, lm, DecoderOptions(beam_size=200), hotwords=hotwords)
    with np.load(data / "synth_hard_20utt.npz") as file:
        ends = np.cumsum(file["lengths"])[:-1]
        utterances = np.split(file["log_probs"].astype(np.float32), ends)
    expected = [decoder.decode(one) for one in utterances]
    with ProcessEngine(2) as engine:
        found = decode_many(decoder, utterances, engine=engine, chunk_size=2, cache=cache)
        assert list(found) == expected
        # Both have been at work, for none had a second chunk before the other had one.
        workers = {handle.result() for handle in [engine.submit(os.getpid) for _ in range(100)]}
        private = [private_mib(worker) for worker in workers]
    # Of which Python and NumPy take 16 (measured); the model has 67 and the lexicon 17.
    assert max(private) <= 30
    assert len(pickle.dumps(decoder)) < 2000
