"""Models written in Python, beside the same model in the compiled search."""

import gc
import pickle
import threading
import time
import weakref

import numpy as np
import pytest

from sestina.core.errors import InvalidValueError, NonFiniteError
from sestina.decoding import (
    BatchedLanguageModel,
    Decoder,
    DecoderOptions,
    Lexicon,
    StepwiseLanguageModel,
    Tokens,
    combine,
    read_arpa,
    samples,
)


class Bigrams(BatchedLanguageModel):
    """The conditional scores of a table, `<unk>` for what it lacks; the state is the last word."""

    def __init__(self, table):
        self.table = table

    def start(self):
        return "<s>"

    def score_batch(self, states, words):
        scores = [self.table[pair] for pair in zip(states, words, strict=True)]
        return np.array(scores, np.float32), words

    def __contains__(self, word):
        return ("<s>", word) in self.table


WORDS = ["ab", "ba", "abba", "b"]


def table_of(seed):
    rng = np.random.default_rng(seed)
    before, after = ["<s>", "<unk>", *WORDS], ["</s>", "<unk>", *WORDS]
    return {(one, other): -rng.uniform(0.1, 3) for one in before for other in after}


def arpa_of(table, path):
    """The same as a file in which every bigram has its own line."""
    words = sorted({word for pair in table for word in pair})
    unigrams = [f"-5\t{word}\t0" for word in words]
    bigrams = [f"{score:.7f}\t{one} {other}" for (one, other), score in table.items()]
    counts = f"ngram 1={len(unigrams)}\nngram 2={len(bigrams)}\n"
    sections = "\n".join(["\\1-grams:", *unigrams, "\n\\2-grams:", *bigrams])
    path.write_text(f"\\data\\\n{counts}\n{sections}\n\n\\end\\\n")
    return path


@pytest.fixture(scope="module")
def lexicon():
    tokens = Tokens(["-", "|", "a", "b"])
    return Lexicon.from_spellings({word: f"{' '.join(word)} |" for word in WORDS}, tokens)


def emissions_of(seed, num_frames=40):
    return np.log(np.random.default_rng(seed).dirichlet(np.full(4, 0.4), num_frames) + 1e-6)


def results(decoder, batch, **kwargs):
    return [
        [(one.text, round(one.score, 3)) for one in found]
        for found in decoder.decode_batch(batch, nbest=3, **kwargs)
    ]


@pytest.mark.parametrize("merge", ["context", "history"])
@pytest.mark.parametrize("log_add", [False, True])
def test_a_model_in_python_is_searched_as_the_compiled_one(merge, log_add, lexicon, tmp_path):
    table = table_of(0)
    options = DecoderOptions(lm_weight=1.3, word_score=0.5, merge=merge, log_add=log_add)
    batch = [emissions_of(seed) for seed in range(10)]
    compiled = read_arpa(arpa_of(table, tmp_path / "lm.arpa"))
    expected = results(Decoder(lexicon, compiled, options), batch)
    mine = Bigrams(table)
    assert results(Decoder(lexicon, mine, options), batch) == expected
    assert results(Decoder(lexicon, mine, options), batch, threads=3) == expected
    both = combine([(mine, 0.25), (compiled, 0.75)])
    assert results(Decoder(lexicon, both, options), batch, threads=2) == expected
    sentence = ["ab", "no", "abba"]
    assert mine.scores(sentence) == pytest.approx(compiled.scores(sentence))


class Node:
    def __init__(self):
        self.children = {}


class Stepwise:
    """In TorchAudio's way: a state keeps those after it, and words are numbers."""

    def __init__(self, table, lexicon):
        self.table, self.words = table, [*map(lexicon.word, range(len(lexicon))), "<unk>"]
        self.said, self.begun_with_nothing = {}, []

    def start(self, start_with_nothing):
        self.begun_with_nothing.append(start_with_nothing)
        root = Node()
        self.said[root] = "<s>"
        return root

    def score(self, state, index):
        word = self.words[index]
        if index not in state.children:
            state.children[index] = Node()
            self.said[state.children[index]] = word
        return state.children[index], self.table[self.said[state], word]

    def finish(self, state):
        return state, self.table[self.said[state], "</s>"]


def test_a_stepwise_model_takes_the_lexicons_numbers(lexicon, tmp_path):
    table = table_of(1)
    # Its states are whole histories.
    options = DecoderOptions(lm_weight=2.0, merge="history", unk_score=-3.0)
    batch = [emissions_of(seed) for seed in range(5)]
    compiled = read_arpa(arpa_of(table, tmp_path / "lm.arpa"))
    scorer = Stepwise(table, lexicon)
    decoder = Decoder(lexicon, StepwiseLanguageModel(scorer), options)
    assert results(decoder, batch) == results(Decoder(lexicon, compiled, options), batch)
    assert set(scorer.begun_with_nothing) == {False}
    bounded = StepwiseLanguageModel(scorer, highest_score=0.0)
    assert results(Decoder(lexicon, bounded, options), batch) == results(decoder, batch)


class EqualToAll:
    def __eq__(self, other):
        return True

    def __hash__(self):
        return 0


def test_states_of_a_stepwise_model_are_equal_only_if_they_are_one_object(lexicon):
    class Scorer:
        def start(self, start_with_nothing):
            return EqualToAll()

        def score(self, state, index):
            return EqualToAll(), -1.0

        def finish(self, state):
            return state, 0.0

    walk = StepwiseLanguageModel(Scorer()).native.walk()
    assert walk.start(True) != walk.start(True)


def test_a_stepwise_model_is_not_asked_for_texts(lexicon):
    model = StepwiseLanguageModel(Stepwise(table_of(0), lexicon))
    with pytest.raises(InvalidValueError, match="the model takes numbers"):
        model.scores(["ab"])


class Failing(Bigrams):
    def __init__(self, table):
        super().__init__(table)
        self.calls_left = 10**9

    def score_batch(self, states, words):
        self.calls_left -= 1
        if self.calls_left < 0:
            msg = "no more"
            raise LookupError(msg)
        return super().score_batch(states, words)


@pytest.mark.parametrize("threads", [1, 4])
def test_an_exception_comes_out_and_leaves_the_decoder_usable(threads, lexicon):
    model = Failing(table_of(2))
    decoder = Decoder(lexicon, model, DecoderOptions(smearing="none"))
    batch = [emissions_of(seed) for seed in range(8)]
    expected = results(decoder, batch)
    for calls in (0, 1, 5, 17):
        model.calls_left = calls
        with pytest.raises(LookupError, match="no more"):
            decoder.decode_batch(batch, threads=threads)
    model.calls_left = 10**9
    assert results(decoder, batch, threads=threads) == expected
    model.calls_left = 0
    with pytest.raises(LookupError, match="no more"):
        Decoder(lexicon, model)  # it asks for look-ahead


def test_a_stream_whose_model_raised_must_be_restarted(lexicon):
    model = Failing(table_of(2))
    decoder = Decoder(lexicon, model, DecoderOptions(smearing="none"))
    expected = decoder.decode(emissions_of(0))[0]
    stream = decoder.stream()
    model.calls_left = 2
    with pytest.raises(LookupError, match="no more"):
        stream.step(emissions_of(0))
    model.calls_left = 10**9
    for act in (stream.best, lambda: stream.step(emissions_of(0))):
        with pytest.raises(RuntimeError, match="restart it"):
            act()
    stream.restart()
    stream.step(emissions_of(0))
    assert (stream.best()[0].text, stream.best()[0].score) == (expected.text, expected.score)


def test_a_stream_whose_model_raised_at_its_end_goes_on(lexicon):
    model = Failing(table_of(2))
    options = DecoderOptions(smearing="none", open_vocabulary=True, unk_score=-1.0)
    stream = Decoder(lexicon, model, options).stream()
    stream.step(emissions_of(0)[:20])
    expected = [(one.text, one.score) for one in stream.best(nbest=5)]
    stream.restart()
    stream.step(emissions_of(0)[:20])
    model.calls_left = 0
    with pytest.raises(LookupError, match="no more"):
        stream.best()
    model.calls_left = 10**9
    assert [(one.text, one.score) for one in stream.best(nbest=5)] == expected


def test_a_stream_whose_model_raised_at_the_start_must_be_restarted(lexicon):
    class Starting(Bigrams):
        fails = False

        def start(self):
            if self.fails:
                msg = "not yet"
                raise LookupError(msg)
            return "<s>"

    model = Starting(table_of(2))
    stream = Decoder(lexicon, model).stream()
    stream.step(emissions_of(0))
    expected = stream.best()[0].text
    model.fails = True
    with pytest.raises(LookupError, match="not yet"):
        stream.restart()
    model.fails = False
    with pytest.raises(RuntimeError, match="restart it"):
        stream.step(emissions_of(0))
    stream.restart()
    stream.step(emissions_of(0))
    assert stream.best()[0].text == expected


@pytest.mark.parametrize("threads", [1, 3])
def test_a_model_may_search_with_itself(threads, lexicon):
    class Searching(Bigrams):
        decoder = None
        found = ()

        def score_batch(self, states, words):
            decoder, self.decoder = self.decoder, None
            if decoder is not None:
                self.found = results(decoder, [emissions_of(1)] * 4, threads=threads)
            return super().score_batch(states, words)

    model = Searching(table_of(2))
    decoder = Decoder(lexicon, model)
    expected = results(decoder, [emissions_of(1)] * 4)
    model.decoder = decoder
    assert results(decoder, [emissions_of(1)] * 4, threads=threads) == expected
    assert model.found == expected


def test_a_model_that_goes_on_with_the_stream_that_asks_it_is_told_so(lexicon):
    class Meddling(Bigrams):
        stream = None

        def score_batch(self, states, words):
            if self.stream is not None:
                self.stream.restart()
            return super().score_batch(states, words)

    model = Meddling(table_of(2))
    stream = model.stream = Decoder(lexicon, model, DecoderOptions(smearing="none")).stream()
    with pytest.raises(RuntimeError, match="or in the language model that it calls"):
        stream.step(emissions_of(0))
    model.stream = None


@pytest.mark.parametrize("smearing", ["max", "logadd"])
def test_words_that_cannot_begin_a_sentence_are_found_later(smearing, lexicon):
    table = table_of(3)
    for word in ("ab", "abba"):  # all that begin with their letter
        table["<s>", word] = -np.inf
    wide = {"beam_size": 2000, "beam_threshold": 1e4}
    for seed in range(10):
        found, expected = (
            Decoder(lexicon, Bigrams(table), DecoderOptions(smearing=one, **wide)).decode(
                emissions_of(seed, 25)
            )[0]
            for one in (smearing, "none")
        )
        assert found.text == expected.text
        assert found.score == pytest.approx(expected.score, abs=1e-3)


def test_a_score_of_plus_infinity_is_named_before_it_is_searched_with(lexicon):
    class Endless:
        def start(self, start_with_nothing):
            return 0

        def score(self, state, index):
            return 0, np.inf

        def finish(self, state):
            return 0, 0.0

    model = StepwiseLanguageModel(Endless())
    for options in (DecoderOptions(), DecoderOptions(smearing="none")):
        with pytest.raises(NonFiniteError, match="a score of the language model is inf"):
            Decoder(lexicon, model, options).decode(emissions_of(0))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "None, expected a pair of scores and states"),
        ([[0.0], ["x"]], "expected a pair"),
        (([], []), "expected 1 states"),
        (([0.0, 0.0], ["x"]), "expected 1 scores"),
        ((0.0, ["x"]), "expected 1 scores"),
        (([float("nan")], ["x"]), "nan, expected scores of at most 0"),
        (([0.5], ["x"]), "0.5, expected scores of at most 0"),
    ],
)
def test_an_answer_that_makes_no_sense_is_an_error(answer, reason):
    class Wrong(Bigrams):
        def score_batch(self, states, words):
            return answer

    with pytest.raises(InvalidValueError, match=f"the result of score_batch is .*{reason}"):
        Wrong({}).scores(["ab"], end=False)


def test_a_state_that_cannot_be_hashed_is_an_error():
    class Wrong(Bigrams):
        def score_batch(self, states, words):
            return [-1.0] * len(words), [[] for _ in words]

    with pytest.raises(TypeError, match="unhashable"):
        Wrong(table_of(0)).scores(["ab"])


def test_a_batched_model_scores_whole_sentences_only():
    with pytest.raises(InvalidValueError, match="begin is False, expected True"):
        Bigrams(table_of(0)).scores(["ab"], begin=False)


def test_threads_that_wait_are_answered_together(lexicon):
    class Slow(Bigrams):
        sizes = ()
        at_work = threading.Lock()

        def score_batch(self, states, words):
            assert self.at_work.acquire(blocking=False), "two calls at a time"
            time.sleep(0.002)
            self.sizes = (*self.sizes, len(words))
            self.at_work.release()
            return super().score_batch(states, words)

    model = Slow(table_of(3))
    decoder = Decoder(lexicon, model, DecoderOptions(smearing="none"))
    batch = [emissions_of(seed) for seed in range(16)]
    expected, alone = results(decoder, batch), model.sizes
    model.sizes = ()
    assert results(decoder, batch, threads=8) == expected
    assert sum(model.sizes) == sum(alone)
    assert len(model.sizes) < 0.6 * len(alone)


def test_nothing_is_kept_when_all_is_done(lexicon):
    living = weakref.WeakSet()

    class State:
        def __init__(self, word):
            self.word = word
            living.add(self)

        def __eq__(self, other):
            return self.word == other.word

        def __hash__(self):
            return hash(self.word)

    class Counted(Bigrams):
        def start(self):
            return State("<s>")

        def score_batch(self, states, words):
            return super().score_batch([s.word for s in states], words)[0], list(map(State, words))

    model = Counted(table_of(4))
    decoder = Decoder(lexicon, model)
    for threads in (1, 3):
        decoder.decode_batch([emissions_of(seed) for seed in range(6)], threads=threads)
        gc.collect()
        # A search that waits for the next utterance may have started already.
        assert len(living) <= 3
        assert {state.word for state in living} <= {"<s>"}
    gone = weakref.ref(model)
    del model, decoder
    gc.collect()
    assert gone() is None
    assert not living


def test_states_that_are_not_kept_are_forgotten_and_the_others_renamed():
    walk = Bigrams(table_of(5)).native.walk()
    start = walk.start(True)
    after = {word: walk.step(start, word.encode())[1] for word in WORDS}
    expected = [walk.finish(after[word]) for word in ("abba", "ba")]
    kept = walk.keep([after["abba"], after["ba"], after["abba"]])
    assert kept[0] == kept[2] != kept[1]
    assert [walk.finish(state) for state in kept[:2]] == expected
    assert max(kept) < len(after)


def test_models_that_pickle_cross_to_other_processes(lexicon):
    model = pickle.loads(pickle.dumps(Bigrams(table_of(6))))
    assert model.scores(["ab"]) == Bigrams(table_of(6)).scores(["ab"])
    stepwise = StepwiseLanguageModel(Plain(), highest_score=-0.5)
    assert isinstance(pickle.loads(pickle.dumps(stepwise)).scorer, Plain)


class Plain:
    def start(self, start_with_nothing):
        return self

    def score(self, state, index):
        return self, -1.0

    def finish(self, state):
        return self, 0.0


def test_the_sample_with_its_model_in_python():
    bundled = samples.sample()
    lm = read_arpa(bundled.arpa_path)

    class Wrapped(BatchedLanguageModel):
        def start(self):
            return ()

        def score_batch(self, states, words):
            after = [(*state, word)[-2:] for state, word in zip(states, words, strict=True)]
            scores = []
            for state, word in zip(states, words, strict=True):
                begin = len(state) < 2
                scores.append(lm.scores([*state, word], begin=begin, end=False)[-1])
            return scores, after

        def __contains__(self, word):
            return word in lm

    tokens = Tokens.read(bundled.tokens_path)
    lexicon = Lexicon.read(bundled.lexicon_path, tokens)
    options = DecoderOptions(lm_weight=1.5, word_score=1.5, log_add=True, beam_size=20)
    emissions_tn = samples.acoustic_model()(samples.read_wav(samples.recordings()[2].path))
    expected = Decoder(lexicon, lm, options).decode(emissions_tn)[0]
    found = Decoder(lexicon, Wrapped(), options).decode(emissions_tn)[0]
    assert found.text == expected.text
    assert found.score == pytest.approx(expected.score, abs=1e-3)


def test_scores_that_are_no_numbers_are_named_also_outside_a_search():
    class Broken(BatchedLanguageModel):
        def start(self):
            return ()

        def score_batch(self, states, words):
            return [float("nan")] * len(words), states

    with pytest.raises((NonFiniteError, InvalidValueError), match="nan"):
        Broken().scores(["a"])
