"""A seeded synthesiser of emissions as a CTC recogniser gives them, of texts that are known.

    options = EmissionOptions(difficulty="hard", seed=1)
    emissions = synthesise(["a sentence", "and another"], options)
    emissions.save("set.npz")

Every token has a run of frames, mostly one long, with gaps of blanks between the runs; it is louder
than anything else there unless it is *in trouble*: then a token that sounds like it, or the blank,
or a spurious token beside it comes near or wins. Trouble comes in stretches. Separators last
longer. What the frames hold besides is background.

Lengths of runs and gaps, the background and how loud a token is beside its frames were counted in
the one real utterance of the shared data (371 frames, 29 tokens). The shares of trouble were set to
greedy word error rates of 41.6, 27.9 and 16.9 % on the tune set, and the margins so that decoding
with a language model takes hard emissions to about a fifth of that, with its best weight near 3.
What came out (tune set; "shared" are the data's own synthetic sets):

                                        real   hard    mid   easy   shared hard  shared easy
    frames with p(blank) > .95           .45    .50    .51    .52       .55          .55
    ... > .99                            .43    .46    .48    .49       .45          .46
    ... > .999                           .39    .33    .38    .42       .31          .32
    frames where the blank is likeliest  .49    .54    .54    .53       .65          .64
    mean log-probability of rank 2     -10.9   -7.2   -8.2   -9.2      -5.9         -6.0
    ... of rank 8                      -16.5  -13.2  -14.7  -16.3     -11.3        -11.4
    ... of rank 29                     -23.8  -19.4  -21.7  -24.0     -15.0        -15.0
    tokens within 12 of the best, mean   2.2    7.5    5.1    3.6      13.0         12.6
    frames per character, spaces too     3.5    3.5    3.5    3.5       3.4          3.4
    greedy word error rate, %              0   41.8   28.1   17.1      41.6         16.9
    greedy character error rate, %         0   10.4    6.6    3.6      15.9          5.6
    errors of Flashlight, beam 50, threshold 12, 8 tokens, sums, weights 1.5 and 1.5, %:
                                               15.4    8.7    3.8      15.9          3.8

The truth lies further below the best than in the shared sets (median of the places where it does,
hard: 5.0 against 2.5) but in fewer places (9 of 100 characters against 14): the texts' words are
longer and easier to guess. So thresholds below 15 cost more errors here than there, and the best
weight of the model is larger (3.5 against 1.5).

Only NumPy is imported here: the peers' environment reads the sets as well.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ALIKE",
    "Alphabet",
    "Difficulty",
    "EmissionOptions",
    "Emissions",
    "greedy",
    "synthesise",
]

# Suffixes: t frame (of all utterances, one after another), n token, k token of the text.

Difficulty = Literal["easy", "mid", "hard"]
Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

# Share of tokens in trouble, and sharpness: what the real utterance's logits are multiplied by.
_DIFFICULTIES: dict[str, tuple[float, float]] = {
    "easy": (0.0805, 1.0),
    "mid": (0.1812, 0.9),
    "hard": (0.3922, 0.8),
}

# Counted in the real utterance: lengths of runs and of the gaps before them, as probabilities.
_LETTER_RUNS = np.array([0, 0.915, 0.085])
_LETTER_GAPS = np.array([0.485, 0.435, 0.015, 0.05, 0.015])
_SEPARATOR_RUNS = np.array([0, 0.05, 0.14, 0.25, 0.14, 0.14, 0.1, 0.09, 0.09])
_SEPARATOR_GAPS = np.array([0.3, 0.14, 0.1, 0.2, 0.06, 0.1, 0.05, *[0.05 / 13] * 13])

_ALIKE = (
    "ae ai ao au ei eo iy eu ou ow uw ui ay ey oa bp dt gk ck cs sz fv mn lr jg qk xs xk wv th td "
    "dg nd ng hc kh pf vb rw rn ie ue '| 'e 's |e |s |h h e d t"
)
ALIKE = tuple(_ALIKE.split())
"""Sounds that recognisers take for one another, once each; a single one is lost to the blank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmissionOptions:
    """What is synthesised, apart from the text."""

    difficulty: Difficulty = "hard"
    """How often tokens are in trouble, and how sharp the rest is."""
    seed: int = 0
    frames_per_token: float = 3.5
    """Mean over an utterance, silence left and right included."""
    trouble: float | None = None
    """Share of tokens in trouble; default that of the difficulty."""
    stretch_tokens: float = 6.0
    """How many tokens a good or bad stretch lasts."""
    stretch_spread: float = 1.6
    """Spread (standard deviation of the logarithm) of the share along an utterance."""
    speaker_spread: float = 0.5
    """The same between utterances."""
    margin_mean: float = -0.5
    """Mean of a rival's logit less that of the token in trouble, on each of its frames."""
    margin_spread: float = 6.5
    """Standard deviation of the same."""
    any_rival: float = 0.3
    """Share of rivals that sound like nothing of the kind."""

    def __post_init__(self) -> None:
        if self.difficulty not in _DIFFICULTIES:
            msg = f"difficulty {self.difficulty!r}: expected one of {', '.join(_DIFFICULTIES)}"
            raise ValueError(msg)
        if self.frames_per_token < 2:
            msg = f"frames_per_token {self.frames_per_token}: expected at least 2; runs need 1.8"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alphabet:
    """The tokens of emissions, and what each is mistaken for.

    Args:
        tokens: their names, in the order of the columns.
        blank: index of the CTC blank.
        separator: index of the token between words, None where the tokens carry it (▁).
        rivals: for each token the tokens that it is mistaken for; the blank may be one.
        spellings: the tokens of each word; None: its letters.
    """

    tokens: tuple[str, ...]
    blank: int
    separator: int | None
    rivals: tuple[tuple[int, ...], ...]
    spellings: dict[str, tuple[int, ...]] | None = None

    @classmethod
    def letters(
        cls, tokens: Sequence[str] = ("-", "|", "'", *"abcdefghijklmnopqrstuvwxyz")
    ) -> Alphabet:
        """Letters, the apostrophe and "|" between words, as LibriSpeech's recognisers have them."""
        index = {token: n for n, token in enumerate(tokens)}
        rivals: list[set[int]] = [set() for _ in tokens]
        for pair in ALIKE:
            left, right = index[pair[0]], index[pair[1:] or "-"]
            rivals[left].add(right)
            rivals[right].add(left)
        return cls(
            tokens=tuple(tokens),
            blank=index["-"],
            separator=index["|"],
            rivals=tuple(tuple(sorted(found)) for found in rivals),
        )

    def encode(self, text: str) -> list[int]:
        """The text's tokens, with a separator after each word where there is one.

        Raises:
            KeyError: if a word cannot be spelled.
        """
        index = {token: n for n, token in enumerate(self.tokens)}
        encoded: list[int] = []
        for word in text.split():
            encoded += self.spellings[word] if self.spellings else [index[c] for c in word]
            encoded += [] if self.separator is None else [self.separator]
        return encoded

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of a sequence of tokens."""
        joined = "".join(self.tokens[n] for n in tokens if n != self.blank)
        return " ".join(joined.replace("|", " ").replace("▁", " ").split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Emissions:
    """A set of utterances: log-probabilities, texts, and where each token was put."""

    log_probs_tn: NDArray[np.float16]
    """Natural logs, (frames of all utterances, tokens)."""
    lengths: Ints
    """Frames of each utterance."""
    texts: tuple[str, ...]
    tokens_k: Ints
    """The tokens of all texts, one after another; empty in sets that do not tell."""
    frames_k: Ints
    """The first frame of each token, within its utterance."""
    runs_k: Ints
    """How many frames it has."""
    token_counts: Ints
    """Tokens of each utterance."""
    made_with: str = "{}"
    """The options, as JSON."""

    def __len__(self) -> int:
        """The number of utterances."""
        return len(self.lengths)

    def log_probs(self, utterance: int) -> Floats:
        """(frames, tokens) of one utterance, float32, as float16 rounded it."""
        end = int(self.lengths[: utterance + 1].sum())
        return self.log_probs_tn[end - int(self.lengths[utterance]) : end].astype(np.float32)

    def spikes(self, utterance: int) -> tuple[Ints, Ints, Ints]:
        """Tokens, their first frames and their run lengths: the truth for token times."""
        end = int(self.token_counts[: utterance + 1].sum())
        part = slice(end - int(self.token_counts[utterance]), end)
        return self.tokens_k[part], self.frames_k[part], self.runs_k[part]

    def save(self, path: str | Path) -> None:
        """Writes one .npz of arrays without pickles."""
        arrays: dict[str, Any] = asdict(self) | {"texts": np.array(self.texts)}
        np.savez_compressed(path, **arrays)

    @classmethod
    def load(cls, path: str | Path) -> Emissions:
        """Reads a set; files with log_probs, lengths and texts alone will do."""
        with np.load(path, allow_pickle=False) as file:
            none = np.zeros(0, np.int32)
            return cls(
                log_probs_tn=file["log_probs_tn" if "log_probs_tn" in file else "log_probs"],
                lengths=file["lengths"],
                texts=tuple(str(text) for text in file["texts"]),
                tokens_k=file.get("tokens_k", none),
                frames_k=file.get("frames_k", none),
                runs_k=file.get("runs_k", none),
                token_counts=file.get("token_counts", np.zeros(len(file["lengths"]), np.int32)),
                made_with=str(file.get("made_with", "{}")),
            )


def synthesise(
    texts: Sequence[str], options: EmissionOptions, alphabet: Alphabet | None = None
) -> Emissions:
    """Emissions of the texts; the same arguments give the same emissions, text by text.

    Args:
        texts: words with single spaces between them.
        options: difficulty, seed and the rest.
        alphabet: default `Alphabet.letters()`.
    """
    alphabet = alphabet or Alphabet.letters()
    made = [
        _utterance(
            alphabet.encode(text), alphabet, options, np.random.default_rng([options.seed, n])
        )
        for n, text in enumerate(texts)
    ]
    tokens, frames, runs, log_probs = zip(*made, strict=True)
    return Emissions(
        log_probs_tn=np.concatenate(log_probs),
        lengths=np.array([len(part) for part in log_probs], np.int32),
        texts=tuple(texts),
        tokens_k=np.concatenate(tokens),
        frames_k=np.concatenate(frames),
        runs_k=np.concatenate(runs),
        token_counts=np.array([len(part) for part in tokens], np.int32),
        made_with=json.dumps(asdict(options)),
    )


def greedy(log_probs_tn: Floats, alphabet: Alphabet) -> str:
    """The text of the likeliest token of each frame."""
    best = log_probs_tn.argmax(axis=1)
    return alphabet.decode([int(token) for token, _ in itertools.groupby(best)])


def _utterance(
    encoded: list[int], alphabet: Alphabet, options: EmissionOptions, rng: np.random.Generator
) -> tuple[Ints, Ints, Ints, NDArray[np.float16]]:
    tokens_k = np.array(encoded, np.int32)
    frames_k, runs_k, num_frames = _lay_out(tokens_k, alphabet, options, rng)
    sharpness = _DIFFICULTIES[options.difficulty][1]
    logits_tn = sharpness * (
        rng.normal(-18.9, 3.2, (num_frames, 1))
        + rng.normal(0, 2.55, (num_frames, len(alphabet.tokens)))
    )
    logits_tn[:, alphabet.blank] = 0
    trouble_k = _trouble(len(tokens_k), options, rng)
    for k, token in enumerate(encoded):
        frames = np.arange(frames_k[k], frames_k[k] + runs_k[k])
        _say(logits_tn, token, frames, alphabet, sharpness, rng)
        if rng.random() < trouble_k[k]:
            margin = rng.normal(options.margin_mean, options.margin_spread)
            rivals = _rivals(token, alphabet, options, rng)
            _disturb(logits_tn, rivals, frames, margin, alphabet.blank, rng)
    top_t1 = logits_tn.max(axis=1, keepdims=True)
    sums_t1 = np.exp(logits_tn - top_t1).sum(axis=1, keepdims=True)
    return tokens_k, frames_k, runs_k, (logits_tn - top_t1 - np.log(sums_t1)).astype(np.float16)


def _lay_out(
    tokens_k: Ints, alphabet: Alphabet, options: EmissionOptions, rng: np.random.Generator
) -> tuple[Ints, Ints, int]:
    """First frames and run lengths of the tokens, and the number of frames."""
    num_tokens = len(tokens_k)
    separates_k = tokens_k == (-1 if alphabet.separator is None else alphabet.separator)
    runs_k = np.where(
        separates_k,
        rng.choice(len(_SEPARATOR_RUNS), num_tokens, p=_SEPARATOR_RUNS),
        rng.choice(len(_LETTER_RUNS), num_tokens, p=_LETTER_RUNS / _LETTER_RUNS.sum()),
    )
    gaps_k = np.where(
        separates_k,
        rng.choice(len(_SEPARATOR_GAPS), num_tokens, p=_SEPARATOR_GAPS),
        rng.choice(len(_LETTER_GAPS), num_tokens, p=_LETTER_GAPS / _LETTER_GAPS.sum()),
    )
    before, after = rng.integers(12, 30), rng.integers(8, 20)
    wanted = options.frames_per_token * num_tokens - before - after - runs_k.sum()
    stretched_k = gaps_k * max(0.2, wanted / max(1, gaps_k.sum()))
    gaps_k = np.floor(stretched_k + rng.random(num_tokens)).astype(int)
    # Two of the same token in a row are one, unless a blank stands between them.
    again_k = np.concatenate([[False], tokens_k[1:] == tokens_k[:-1]])
    gaps_k = np.maximum(gaps_k, again_k)
    if num_tokens:
        gaps_k[0] = before
    ends_k = np.cumsum(gaps_k + runs_k)
    num_frames = int(ends_k[-1] if num_tokens else before) + int(after)
    return (ends_k - runs_k).astype(np.int32), runs_k.astype(np.int32), num_frames


def _trouble(
    num_tokens: int, options: EmissionOptions, rng: np.random.Generator
) -> NDArray[np.float64]:
    """The probability of trouble of each token: speakers differ, and so do stretches."""
    share = options.trouble
    if share is None:
        share = _DIFFICULTIES[options.difficulty][0]
    walk_k = np.empty(num_tokens)
    keep = float(np.exp(-1 / options.stretch_tokens))
    level = rng.normal()
    speaker = options.speaker_spread * rng.normal()
    for k in range(num_tokens):
        level = keep * level + (1 - keep**2) ** 0.5 * rng.normal()  # its variance stays 1
        walk_k[k] = options.stretch_spread * level
    # exp of a normal variable has the mean exp(variance / 2).
    variance = options.stretch_spread**2 + options.speaker_spread**2
    return np.minimum(0.9, share * np.exp(speaker + walk_k - variance / 2))


def _say(
    logits_tn: NDArray[np.float64],
    token: int,
    frames: NDArray[np.int64],
    alphabet: Alphabet,
    sharpness: float,
    rng: np.random.Generator,
) -> None:
    """Puts a token, clearly, on its frames; it is heard a little before and after."""
    blank = alphabet.blank
    logits_tn[frames, blank] = np.minimum(-1, sharpness * rng.normal(-11.5, 4.5, len(frames)))
    logits_tn[frames, token] = 0
    for beside in (frames[0] - 1, frames[-1] + 1):
        if 0 <= beside < len(logits_tn):
            heard = min(-0.5, sharpness * rng.normal(-8.6, 3.3))
            logits_tn[beside, token] = max(logits_tn[beside, token], heard)
    rivals = [rival for rival in alphabet.rivals[token] if rival != blank]
    if rivals:
        heard_n = sharpness * rng.normal(-13, 3, (len(frames), len(rivals)))
        place = np.ix_(frames, np.array(rivals))
        logits_tn[place] = np.maximum(logits_tn[place], np.minimum(-2, heard_n))


def _rivals(
    token: int, alphabet: Alphabet, options: EmissionOptions, rng: np.random.Generator
) -> list[int]:
    """One to three tokens that the token is mistaken for, the closest first; the blank is none."""
    alike = [rival for rival in alphabet.rivals[token] if rival != alphabet.blank]
    rng.shuffle(alike)
    others = [
        n for n in rng.integers(0, len(alphabet.tokens), 3) if n not in {token, alphabet.blank}
    ]
    if rng.random() < options.any_rival:
        alike = others + alike
    return (alike or others)[: rng.integers(1, 4)]


def _disturb(
    logits_tn: NDArray[np.float64],
    rivals: list[int],
    frames: NDArray[np.int64],
    margin: float,
    blank: int,
    rng: np.random.Generator,
) -> None:
    """A rival or the blank on the token's frames, or a spurious token after them.

    Their logit is `margin`; the token's and the undisturbed blank's are 0.
    """
    kind = rng.random()
    after = int(frames[-1]) + 1
    if kind < 0.18 and after < len(logits_tn) and logits_tn[after, blank] == 0:
        logits_tn[after, rivals[:1]] = margin
        return
    if kind < 0.35:
        rivals = [blank, *rivals]
    jitter_t = rng.normal(0, 0.5, len(frames))
    for place, rival in enumerate(rivals):
        below = rng.exponential(2.5) if place else 0.0
        logits_tn[frames, rival] = np.maximum(logits_tn[frames, rival], margin - below + jitter_t)
