"""The options of a search as the compiled code takes them."""

from __future__ import annotations

import math

from sestina.core.errors import InvalidValueError, OptionError
from sestina.decoding import _native
from sestina.decoding.lexicon import Lexicon
from sestina.decoding.options import DecoderOptions
from sestina.decoding.tokens import Tokens

__all__ = ["search_options"]

_SAME = (
    "beam_size",
    "beam_threshold",
    "word_score",
    "unk_score",
    "sil_score",
    "token_score",
    "log_add",
)


def search_options(
    options: DecoderOptions,
    tokens: Tokens,
    lexicon: Lexicon | None,
    *,
    has_lm: bool,
    lm_weight: float,
    spells_pieces: bool,
) -> _native.SearchOptions:
    """What a decoder's search is told.

    Args:
        options: of the decoder.
        tokens: the columns of the emissions.
        lexicon: of the search, if it has one.
        has_lm: whether there is a language model.
        lm_weight: what its scores, and what rides on them, are multiplied with.
        spells_pieces: whether words of pieces are known by their texts.

    Raises:
        OptionError: if a token that the options name does not exist, or they ask for what a search
            of this kind does not know.
    """
    made = _native.SearchOptions()
    for name in _SAME:
        setattr(made, name, getattr(options, name))
    made.lm_weight = lm_weight
    made.beam_size_token = min(options.beam_size_token or 0, len(tokens))
    # Without a model all contexts would be one. A model of pieces knows its histories itself.
    merges = options.merge if has_lm else "history"
    merges = "context" if spells_pieces else merges
    made.merge = getattr(_native.Merge, merges)
    # But without a lexicon either, lattices of few whole texts would say little.
    recorded = options.merge if lexicon is None else merges
    made.recorded_merge = getattr(_native.Merge, recorded)
    made.flashlight = options.semantics == "flashlight"
    made.asg = options.criterion == "asg"
    made.token_lm = lexicon is None or options.lm_level == "token"
    made.open = options.open_vocabulary and not spells_pieces
    if made.open and not options.silence:
        raise OptionError(
            "silence",
            "",
            expected="a token that ends words, in an open vocabulary of letters",
            remedy="name it, or have a lexicon hold all words",
        )
    if options.blank_skip_threshold is not None:
        made.blank_skip = math.log(options.blank_skip_threshold)
    if not made.asg:
        made.blank = _index_of("blank", options.blank, tokens, "")
    if options.silence:
        remedy = '; pieces of words need none: silence=""'
        made.silence = _index_of("silence", options.silence, tokens, remedy)
    if lexicon is not None:
        known = lexicon.index(options.unk_word)
        if known is None or options.open_vocabulary:  # those spelled out have their own number
            known = len(lexicon)
        made.unk_word = known
        if not made.asg and not made.flashlight:
            _refuse_blank(lexicon, made.blank)
    elif not spells_pieces:
        _refuse_word_scores(options)
    return made


def _index_of(name: str, spelling: str, tokens: Tokens, remedy: str) -> int:
    if spelling not in tokens:
        raise OptionError(
            name,
            spelling,
            expected=f"one of {tokens}",
            remedy=f"name the model's own{remedy}",
        )
    return tokens.index(spelling)


def _refuse_blank(lexicon: Lexicon, blank: int) -> None:
    number = lexicon.native.spelling_with(blank)
    if number >= 0:
        word, spelling = lexicon.native.spelling(number)
        raise InvalidValueError(
            f"the spelling of {lexicon.word(word)!r}",
            " ".join(lexicon.tokens[token] for token in spelling),
            expected="tokens that are said, without the blank",
            remedy="leave it out there, or name another blank",
        )


def _refuse_word_scores(options: DecoderOptions) -> None:
    for name in ("word_score", "word_length_score"):
        if score := getattr(options, name):
            raise OptionError(
                name,
                score,
                expected="0 without a lexicon, where the search knows no words",
                remedy="use token_score, or an open vocabulary",
            )
