"""Small seeded problems for Flashlight Text's decoders, and how its users solve them.

`recipes/flashlight_faces_oracle.py` solves them with flashlight-text and records the results;
`test_flashlight_faces.py` solves them in the same lines with the compatible faces. Everything is
drawn by `random.Random(seed).random()`, whose stream Python promises to keep.
"""

from __future__ import annotations

import itertools
import math
import random
import zlib
from array import array
from types import SimpleNamespace

TOKENS = "-|abcd"
NUM_PROBLEMS = 200
NUM_STREAMED = 50
NUM_KEPT = 3  # hypotheses of each
FAMILIES = tuple(
    itertools.product(("lexicon",), ("CTC", "ASG"), ("NONE", "MAX", "LOGADD"), (False, True))
) + tuple(itertools.product(("free",), ("CTC", "ASG"), ("NONE",), (False, True)))
"""Decoder, criterion, smearing, and whether hypotheses that merge add up."""


class Drawing:
    """Choices from one stream of numbers."""

    def __init__(self, seed):
        self._random = random.Random(seed).random

    def number(self, low, high):
        return low + (high - low) * self._random()

    def integer(self, low, high):
        return low + int((high - low) * self._random())

    def one_of(self, choices):
        return choices[self.integer(0, len(choices))]


def problem_of(family, seed):
    """A lexicon, a language model, options and emissions."""
    kind, criterion, smearing, log_add = family
    draw = Drawing(f"{kind} {criterion} {smearing} {log_add} {seed}")
    # Without a language model of words nothing tells these apart but their spellings: then these
    # say where a word ends, and no two are the same, or most scores would be equal.
    has_model = draw.number(0, 1) < 0.8
    token_lm = kind == "free" or draw.number(0, 1) < 0.2
    tells_words = has_model and not token_lm
    spellings = []
    for number in range(draw.integer(2, 9)):
        letters = [draw.one_of(TOKENS[2:]) for _ in range(draw.integer(1, 5))]
        separator = ["|"] if not tells_words or draw.number(0, 1) < 2 / 3 else []
        if criterion == "ASG":
            # Nothing parts a token from itself: with doubled letters, or words without a
            # separator, one path would spell several things.
            letters, separator = [letter for letter, _ in itertools.groupby(letters)], ["|"]
        spellings.append((f"w{number % 6}", (*letters, *separator)))
    if tells_words:
        spellings = list(dict.fromkeys(spellings))
    else:
        spellings = [(word, spelling) for spelling, word in {s: w for w, s in spellings}.items()]
    words = sorted({word for word, _ in spellings})
    num_frames = draw.integer(1, 30)
    return SimpleNamespace(
        kind=kind,
        criterion=criterion,
        smearing=smearing,
        log_add=log_add,
        spellings=spellings,
        words=words,
        token_lm=token_lm,
        arpa=arpa_of(draw, list(TOKENS) if token_lm else words) if has_model else None,
        # A model that is written in Python, instead of the file.
        own_seed=draw.integer(0, 1 << 20) if draw.number(0, 1) < 0.15 else None,
        beam_size=draw.one_of([3, 10, 50]),
        beam_size_token=draw.one_of([2, 4, 6]),
        beam_threshold=draw.one_of([4.0, 8.0, 50.0]),
        lm_weight=draw.one_of([0.5, 1.5, 2.0]),
        word_score=draw.one_of([-0.5, 0.0, 1.5]),
        unk_score=draw.one_of([-math.inf, -math.inf, -3.0]) if tells_words else -math.inf,
        sil_score=draw.one_of([-0.25, 0.0, 0.25]),
        transitions=(
            [-draw.integer(0, 1 << 18) / 65536 for _ in range(len(TOKENS) ** 2)]
            if criterion == "ASG"
            else []
        ),
        num_frames=num_frames,
        # Fractions of a power of two, so that no rounding differs and hardly ever two sums are
        # equal.
        emissions=array(
            "f", (-draw.integer(0, 1 << 20) / 65536 for _ in range(num_frames * len(TOKENS)))
        ),
    )


def arpa_of(draw, words):
    """A random bigram model with every unigram and some bigrams."""
    every = ["<unk>", "<s>", "</s>", *words]
    pairs = [
        pair
        for pair in itertools.product(["<s>", *words], ["</s>", *words])
        if draw.number(0, 1) < 0.4
    ]
    lines = ["\\data\\", f"ngram 1={len(every)}", f"ngram 2={len(pairs)}", "", "\\1-grams:"]
    lines += [f"{draw.number(-3, -0.1):.4f}\t{word}\t{draw.number(-1, 0):.4f}" for word in every]
    lines += ["", "\\2-grams:", *(f"{draw.number(-3, -0.1):.4f}\t{a} {b}" for a, b in pairs)]
    return "\n".join([*lines, "", "\\end\\", ""])


def own_model(decoding, dictionary, seed):
    """A bigram model with the methods that Flashlight asks for."""

    class Bigrams(decoding.LM):
        def __init__(self):
            super().__init__()
            self.last = {}  # Flashlight keeps no reference to the states' Python side, either

        def start(self, _nothing):
            return self.entered(decoding.LMState(), "<s>")

        def score(self, state, index):
            entry = dictionary.get_entry(index)
            return self.entered(state.child(index), entry), self.bigram(state, entry)

        def finish(self, state):
            return state, self.bigram(state, "</s>")

        def entered(self, state, entry):
            self.last[state] = entry
            return state

        def bigram(self, state, entry):
            said = f"{seed} {self.last[state]} {entry}"
            return -(zlib.crc32(said.encode()) & 0xFFFF) / 32768

    return Bigrams()


def decoder_of(problem, decoding, dictionaries, arpa_path):
    """The decoder and what its results are read with, made from the names of either package."""
    tokens = dictionaries.Dictionary(list(TOKENS))
    words = dictionaries.create_word_dict(
        {word: [] for word in (*problem.words, "<unk>")}  # what load_words would give
    )
    if problem.arpa is None:
        model = decoding.ZeroLM()
    elif problem.own_seed is not None:
        model = own_model(decoding, tokens if problem.token_lm else words, problem.own_seed)
    else:
        arpa_path.write_text(problem.arpa)
        model = decoding.KenLM(str(arpa_path), tokens if problem.token_lm else words)
    criterion = getattr(decoding.CriterionType, problem.criterion)
    blank = tokens.get_index("-") if problem.criterion == "CTC" else -1
    silence = tokens.get_index("|")
    if problem.kind == "free":
        options = decoding.LexiconFreeDecoderOptions(
            beam_size=problem.beam_size,
            beam_size_token=problem.beam_size_token,
            beam_threshold=problem.beam_threshold,
            lm_weight=problem.lm_weight,
            sil_score=problem.sil_score,
            log_add=problem.log_add,
            criterion_type=criterion,
        )
        free = decoding.LexiconFreeDecoder(options, model, silence, blank, problem.transitions)
        return free, words, (model,)
    trie = decoding.Trie(tokens.index_size(), silence)
    start = model.start(False)
    for word, spelling in problem.spellings:
        index = words.get_index(word)
        score = 0.0 if problem.token_lm else model.score(start, index)[1]
        trie.insert(tokens.map_entries_to_indices(spelling), index, score)
    trie.smear(getattr(decoding.SmearingMode, problem.smearing))
    options = decoding.LexiconDecoderOptions(
        beam_size=problem.beam_size,
        beam_size_token=problem.beam_size_token,
        beam_threshold=problem.beam_threshold,
        lm_weight=problem.lm_weight,
        word_score=problem.word_score,
        unk_score=problem.unk_score,
        sil_score=problem.sil_score,
        log_add=problem.log_add,
        criterion_type=criterion,
    )
    decoder = decoding.LexiconDecoder(
        options,
        trie,
        model,
        silence,
        blank,
        words.get_index("<unk>"),
        problem.transitions,
        problem.token_lm,
    )
    # Flashlight keeps no reference to these two.
    return decoder, words, (trie, model)


def shown(result, words):
    """Score, its acoustic and language parts, words and path of one result."""
    said = " ".join(words.get_entry(word) for word in result.words if word >= 0)
    path = "".join(TOKENS[token] for token in result.tokens)
    scores = (result.score, result.emittingModelScore, result.lmScore)
    return [*(round(score, 6) for score in scores), said, path]


def solved(problem, decoding, dictionaries, arpa_path):
    """The best hypotheses, best first."""
    decoder, words, _kept = decoder_of(problem, decoding, dictionaries, arpa_path)
    address, _ = problem.emissions.buffer_info()
    results = decoder.decode(address, problem.num_frames, len(TOKENS))
    return [shown(result, words) for result in results[:NUM_KEPT]]


def streamed(problem, decoding, dictionaries, arpa_path):
    """What is shown while the frames come in pieces, and after them."""
    decoder, words, _kept = decoder_of(problem, decoding, dictionaries, arpa_path)
    draw = Drawing(f"pieces of {problem.num_frames} {problem.beam_size} {problem.words}")
    address, _ = problem.emissions.buffer_info()
    seen = []
    decoder.decode_begin()
    at = 0
    while at < problem.num_frames:
        count = min(draw.integer(1, 5), problem.num_frames - at)
        decoder.decode_step(address + 4 * at * len(TOKENS), count, len(TOKENS))
        at += count
        look_back = draw.one_of([0, 0, 1, 3])
        best = decoder.get_best_hypothesis(look_back)
        said = [words.get_entry(word) if word >= 0 else "" for word in best.words]
        seen.append(["".join(TOKENS[token] for token in best.tokens), said])
        if draw.number(0, 1) < 0.4:
            decoder.prune(look_back)
            seen.append(len(decoder.get_all_final_hypothesis()))
    decoder.decode_end()
    return [seen, [shown(one, words) for one in decoder.get_all_final_hypothesis()[:NUM_KEPT]]]
