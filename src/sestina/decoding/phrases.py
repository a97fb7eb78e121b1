"""Phrases that a search is to find more easily, and phrases that alone it may find.

Both are finite automata over the words of a lexicon, or over tokens where there is none, that ride
on the language model: see csrc/decoding/lm/phrases.hpp.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from sestina.core.errors import InvalidValueError, OptionError
from sestina.decoding import _native
from sestina.decoding.checks import check_kind
from sestina.decoding.options import LARGEST_SCORE
from sestina.decoding.tokens import Tokens

__all__ = ["Grammar", "allowing", "as_hotwords", "boosting", "spelled", "symbols_of", "words_of"]

Phrase = tuple[str, ...]

_WHITE_SPACE = re.compile(r"[ \t\n\r\f\v]+")
_MOST_STATES = 1 << 24


@dataclass(frozen=True, slots=True)
class Grammar:
    """A finite automaton of words: what a result may say, and nothing else.

    States are numbers from 0; a sentence starts in state 0 and must end in one of `final`.

    Example:
        >>> from sestina.decoding import Grammar
        >>> lights = Grammar([(0, "lights", 1), (1, "on", 2), (1, "off", 2)], final={2})
    """

    arcs: Sequence[tuple[int, str, int]]
    """(state, word, next state); at most one arc of a state for each word."""
    final: Collection[int]

    def __post_init__(self) -> None:
        """Checks the arcs and the states."""
        check_kind("arcs", self.arcs, Sequence, "a sequence of (state, word, next state)")
        check_kind("final", self.final, Collection, "a collection of states")
        for state in self.final:
            _check_state("final", state, state)
        seen = set()
        for arc in self.arcs:
            if not _is_arc(arc):
                raise InvalidValueError(
                    "arc",
                    arc,
                    expected="(state, word, next state), the word without white space",
                    remedy="give each word an arc of its own",
                )
            state, word, after = arc
            for end in (state, after):
                _check_state("arc", arc, end)
            if (state, word) in seen:
                raise InvalidValueError(
                    "arc",
                    arc,
                    expected=f"one arc of state {state} for {word!r}",
                    remedy="make the automaton deterministic",
                )
            seen.add((state, word))

    @classmethod
    def of_phrases(cls, phrases: Collection[str]) -> Grammar:
        """The one in which a result is exactly one of these phrases, words parted by spaces."""
        if isinstance(phrases, str) or not isinstance(phrases, Collection):
            raise InvalidValueError(
                "phrases", phrases, expected="several phrases", remedy="put them into a list"
            )
        arcs: dict[tuple[int, str], int] = {}
        final = set()
        for phrase in phrases:
            check_kind("phrase", phrase, str, "text")
            state = 0
            for word in words_of(phrase):
                state = arcs.setdefault((state, word), len(arcs) + 1)
            final.add(state)
        return cls([(state, word, after) for (state, word), after in arcs.items()], final)

    @property
    def words(self) -> list[str]:
        """Those that occur."""
        return list(dict.fromkeys(word for _, word, _ in self.arcs))

    @property
    def num_states(self) -> int:
        """One more than the highest state."""
        ends = [state for arc in self.arcs for state in (arc[0], arc[2])]
        return max([0, *ends, *self.final]) + 1


def _is_arc(arc: object) -> bool:
    match arc:
        case (_, str(word), _):
            return len(words_of(word)) == 1
    return False


def _check_state(name: str, shown: object, state: object) -> None:
    if not isinstance(state, int) or isinstance(state, bool) or not 0 <= state < _MOST_STATES:
        raise InvalidValueError(
            name,
            shown,
            expected=f"states from 0 to {_MOST_STATES - 1}",
            remedy="number them one after another",
        )


def words_of(phrase: str) -> list[str]:
    """The words of a phrase, parted as the words of a lexicon are: by white space of ASCII."""
    return [word for word in _WHITE_SPACE.split(phrase) if word]


def as_hotwords(given: Mapping[str, Any] | None) -> dict[str, float]:
    """Hotwords with their scores, checked.

    Raises:
        InvalidValueError: if they are no mapping of text.
        OptionError: if a score is no number, or two phrases are the same words.
    """
    check_kind("hotwords", given, Mapping | None, "a mapping of phrases to scores")
    known: dict[tuple[str, ...], str] = {}
    for phrase, score in (given or {}).items():
        check_kind("hotwords", phrase, str, "phrases of text")
        # Sums of these are kept in single precision, where infinity less infinity is no number.
        if not isinstance(score, Real) or not abs(float(score)) <= LARGEST_SCORE:
            raise OptionError(
                f"hotwords[{phrase!r}]",
                score,
                expected="a score from -1e6 to 1e6",
                remedy="start with 5, and double it until the phrase is found",
            )
        other = known.setdefault(tuple(words_of(phrase)), phrase)
        if other != phrase:
            raise OptionError(
                "hotwords", phrase, expected=f"other words than {other!r}", remedy="leave out one"
            )
    return dict(given or {})


def spelled(word: str, tokens: Tokens) -> Phrase:
    """A word's tokens: its letters, or the longest pieces that fit, one after another.

    Raises:
        InvalidValueError: if a letter is no token.
    """
    style = tokens.spelling
    text = f"▁{word}" if style == "sentencepiece" else word
    found: list[str] = []
    at = 0
    while at < len(text):
        prefix = "##" if style == "wordpiece" and at > 0 else ""
        longest = len(text) if style != "letters" else at + 1
        for end in range(longest, at, -1):
            if prefix + text[at:end] in tokens:
                found.append(prefix + text[at:end])
                at = end
                break
        else:
            raise InvalidValueError(
                f"a letter of {word!r}",
                text[at],
                expected="letters that are tokens",
                remedy="write it with the tokens' own letters, or add it to the lexicon",
            )
    return tuple(found)


def symbols_of(phrase: str, tokens: Tokens | None, separator: str) -> Phrase:
    """A hotword's words; or its tokens, if there are some, with the separator around each word.

    Raises:
        OptionError: if it has no words.
        InvalidValueError: if a letter is no token.
    """
    words = words_of(phrase)
    if not words:
        raise OptionError(
            "hotwords", phrase, expected="phrases of one word or more", remedy="leave it out"
        )
    if tokens is None:
        return tuple(words)
    ends = [separator] if separator else []
    symbols = list(ends)
    for word in words:
        symbols += [*spelled(word, tokens), *ends]
    return tuple(symbols)


@dataclass(slots=True)
class _Node:
    """Of the tree of phrases (Aho and Corasick, 1975)."""

    arcs: dict[str, int] = field(default_factory=dict)
    fail: int = -1
    reward: float = 0.0
    """Of the phrases that end here, or are suffixes of what does."""
    advance: float = 0.0
    """What is paid ahead for phrases that go on."""


def boosting(phrases: Mapping[Phrase, float], *, separator: str = "") -> _native.PhraseAutomaton:
    """Adds a phrase's score wherever it occurs, paid in shares as its symbols come.

    What was paid for a phrase that does not come about is taken back, so that a sequence's whole
    score is the sum of the scores of the phrases in it.

    Args:
        phrases: scores (log10, as the language model's) by sequences of symbols.
        separator: a symbol that is there before the first and after the last one unasked.

    Source: A. V. Aho and M. J. Corasick, Efficient string matching, CACM 18 (1975).
    """
    nodes = [_Node()]
    free = 1 if separator else 0  # nothing is paid for the separator that phrases begin with
    for phrase, score in phrases.items():
        at = 0
        for place, symbol in enumerate(phrase, start=1):
            if symbol not in nodes[at].arcs:
                nodes[at].arcs[symbol] = len(nodes)
                nodes.append(_Node())
            at = nodes[at].arcs[symbol]
            if place < len(phrase):
                share = score * max(place - free, 0) / (len(phrase) - free)
                nodes[at].advance = max(nodes[at].advance, share, key=abs)
        nodes[at].reward += score
    nodes = _breadth_first(nodes)
    for node in nodes:
        for symbol, child in node.arcs.items():
            fail = node.fail
            while fail >= 0 and symbol not in nodes[fail].arcs:
                fail = nodes[fail].fail
            nodes[child].fail = nodes[fail].arcs[symbol] if fail >= 0 else 0
            nodes[child].reward += nodes[nodes[child].fail].reward
    symbols = sorted({symbol for node in nodes for symbol in node.arcs})
    numbers = {symbol: k for k, symbol in enumerate(symbols)}
    arcs = [
        (at, numbers[symbol], nodes[child].reward + nodes[child].advance - node.advance, child)
        for at, node in enumerate(nodes)
        for symbol, child in node.arcs.items()
    ]
    fallbacks = [
        (node.fail, nodes[node.fail].advance - node.advance if node.fail >= 0 else 0.0)
        for node in nodes
    ]
    finals = [_last_reward(nodes, at, separator) - node.advance for at, node in enumerate(nodes)]
    start = nodes[0].arcs.get(separator, 0)
    return _native.PhraseAutomaton(symbols, arcs, fallbacks, finals, start, otherwise=True)


def _breadth_first(nodes: list[_Node]) -> list[_Node]:
    order, queue = [], deque([0])
    while queue:
        order.append(queue.popleft())
        queue.extend(nodes[order[-1]].arcs.values())
    places = {old: new for new, old in enumerate(order)}
    for node in nodes:
        node.arcs = {symbol: places[child] for symbol, child in node.arcs.items()}
    return [nodes[old] for old in order]


def _last_reward(nodes: list[_Node], at: int, separator: str) -> float:
    """Of the phrases that the separator after the last symbol ends."""
    while separator and at >= 0:
        if separator in nodes[at].arcs:
            return nodes[nodes[at].arcs[separator]].reward
        at = nodes[at].fail
    return 0.0


def allowing(
    grammar: Grammar, *, tokens: Tokens | None = None, separator: str = ""
) -> _native.PhraseAutomaton:
    """Forbids all that the grammar does not say.

    Args:
        grammar: of words.
        tokens: to spell the words with, if the automaton is to be one of tokens.
        separator: the token between words; may come before the first, after the last, and often.
    """
    steps: list[tuple[int, str, int]] = list(grammar.arcs)  # without a symbol: taken unasked
    final, count = set(grammar.final), grammar.num_states
    if tokens is not None:
        steps = [(state, separator, state) for state in range(count) if separator]
        for state, word, after in grammar.arcs:
            at = state
            for letter in spelled(word, tokens):
                steps.append((at, letter, count))
                at, count = count, count + 1
            steps.append((at, separator, after))
            if after in final:
                final.add(at)
    arcs, ends = _deterministic(steps, final)
    symbols = sorted({symbol for _, symbol in arcs})
    numbers = {symbol: k for k, symbol in enumerate(symbols)}
    return _native.PhraseAutomaton(
        symbols,
        [(state, numbers[symbol], 0.0, after) for (state, symbol), after in arcs.items()],
        [(-1, 0.0)] * len(ends),
        [0.0 if is_final else -math.inf for is_final in ends],
        0,
        otherwise=False,
    )


def _deterministic(
    steps: Sequence[tuple[int, str, int]], final: Collection[int]
) -> tuple[dict[tuple[int, str], int], list[bool]]:
    """The automaton of sets of states (Rabin and Scott, 1959): arcs, and which states are final."""
    by_state: dict[int, list[tuple[str, int]]] = {}
    for state, symbol, after in steps:
        by_state.setdefault(state, []).append((symbol, after))
    order = [_closed({0}, by_state)]
    numbers = {order[0]: 0}
    arcs: dict[tuple[int, str], int] = {}
    for number, states in enumerate(order):  # grows as it is walked
        reached: dict[str, set[int]] = {}
        for symbol, after in (step for state in states for step in by_state.get(state, ())):
            if symbol:
                reached.setdefault(symbol, set()).add(after)
        for symbol, targets in reached.items():
            target = _closed(targets, by_state)
            if target not in numbers:
                numbers[target] = len(order)
                order.append(target)
            arcs[number, symbol] = numbers[target]
    return arcs, [any(state in final for state in states) for states in order]


def _closed(states: set[int], by_state: Mapping[int, list[tuple[str, int]]]) -> frozenset[int]:
    """The states with those that steps without a symbol lead to."""
    waiting = list(states)
    while waiting:
        for symbol, after in by_state.get(waiting.pop(), ()):
            if not symbol and after not in states:
                states.add(after)
                waiting.append(after)
    return frozenset(states)
