"""Words of pieces that no lexicon spells: known by their texts, in whatever pieces they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sestina.decoding import _native
from sestina.decoding.language_models import LanguageModel, NgramModel, bytes_of
from sestina.decoding.lexicon import Lexicon
from sestina.decoding.options import DecoderOptions
from sestina.decoding.results import TimedText
from sestina.decoding.tokens import Tokens

__all__ = ["SpelledWords"]


@dataclass(frozen=True, slots=True, eq=False)
class SpelledWords:
    """What words of pieces score in one decoder, whose search is one of tokens."""

    vocabulary: Lexicon | Tokens
    """With the words that cost no `unk_score`; without a lexicon, those that the model knows."""
    lm: LanguageModel | None
    options: DecoderOptions
    weight: float
    """What the search multiplies the language model's scores with."""

    def model(
        self, base: _native.LanguageModel, search: _native.SearchOptions
    ) -> _native.SpelledModel:
        """The model of words as one of the pieces that spell them."""
        tokens, known = self.vocabulary, list[bytes]()
        if isinstance(tokens, Lexicon):
            known = [bytes_of(tokens.word(n)) for n in range(len(tokens))]
            tokens = tokens.tokens
        elif isinstance(self.lm, NgramModel):
            known = [bytes_of(word) for word in self.lm.words]
        return _native.SpelledModel(
            base,
            list(tokens),
            -1 if search.asg else search.blank,
            search.silence,
            known,
            isinstance(self.vocabulary, Lexicon),
            self.options.merge == "history" or self.lm is None,
            self.options.word_score / self.weight,
            self.options.unk_score / self.weight,
        )

    def parted(self, language: float, words: Sequence[TimedText]) -> float:
        """The language model's own score of these words, without what words cost besides.

        Args:
            language: the sum of both, not weighted.
            words: of the hypothesis.
        """
        if self.lm is None:
            return 0.0
        known = self.vocabulary if isinstance(self.vocabulary, Lexicon) else self.lm
        unknown = sum(word.text not in known for word in words)
        added = self.options.word_score * len(words) + self.options.unk_score * unknown
        return language - added / self.weight
