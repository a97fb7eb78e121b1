"""The lexicon of Flashlight Text's decoders."""

from __future__ import annotations

from collections.abc import Sequence

from sestina.decoding import _native
from sestina.decoding.compat.flashlight.decoder.options import SmearingMode

__all__ = ["Trie", "TrieNode"]


class TrieNode:
    """A place in a `Trie`; shows the trie as it is when asked."""

    def __init__(self, trie: Trie, path: tuple[int, ...], root_idx: int) -> None:
        self._trie = trie
        self._path = path
        self._root_idx = root_idx

    def _contents(self) -> tuple[int, list[int], list[float], float, list[int]]:
        found = self._trie.native.find(list(self._path))
        assert found is not None  # paths only grow
        return self._trie.native.node(found)

    @property
    def idx(self) -> int:
        """The token that leads to it."""
        return self._path[-1] if self._path else self._root_idx

    @property
    def labels(self) -> list[int]:
        """The words that end here."""
        return self._contents()[1]

    @property
    def scores(self) -> list[float]:
        """Their scores."""
        return self._contents()[2]

    @property
    def max_score(self) -> float:
        """What the words from here on can score at best; 0 until the trie is smeared."""
        return self._contents()[3]

    @property
    def children(self) -> dict[int, TrieNode]:
        """By token."""
        return {
            token: TrieNode(self._trie, (*self._path, token), self._root_idx)
            for token in self._contents()[4]
        }


class Trie:
    """A prefix tree of spellings. Any number of words may share a spelling.

    Args:
        max_children: how many tokens there are.
        root_idx: the token of its root, as a rule the silence.

    Example:
        >>> trie = Trie(4, 1)
        >>> node = trie.insert([2, 3, 1], 0, -0.5)
        >>> trie.smear(SmearingMode.MAX)
        >>> trie.search([2]).max_score, trie.search([3]) is None
        (-0.5, True)
    """

    def __init__(self, max_children: int, root_idx: int) -> None:
        self._native = _native.ScoredTrie(max_children)
        self._root_idx = root_idx

    def insert(self, indices: Sequence[int], label: int, score: float) -> TrieNode:
        """Adds the spelling of a word.

        Raises:
            IndexError: if a token is none of `max_children`.
        """
        self._native.insert(list(indices), label, score)
        return TrieNode(self, tuple(indices), self._root_idx)

    def search(self, indices: Sequence[int]) -> TrieNode | None:
        """The node that those tokens lead to, or None.

        Raises:
            IndexError: if a token is none of `max_children`.
        """
        for token in indices:
            if not 0 <= token < self._native.num_tokens:
                raise IndexError(f"[Trie] Invalid letter index: {token}")
        if self._native.find(list(indices)) is None:
            return None
        return TrieNode(self, tuple(indices), self._root_idx)

    def get_root(self) -> TrieNode:
        """Where spellings begin."""
        return TrieNode(self, (), self._root_idx)

    def smear(self, smear_mode: SmearingMode) -> None:
        """Lets each node foresee the scores of the words below it."""
        if smear_mode is not SmearingMode.NONE:
            self._native.smear(getattr(_native.Smearing, smear_mode.name.lower()))

    @property
    def native(self) -> _native.ScoredTrie:
        """As the compiled search takes it."""
        return self._native
