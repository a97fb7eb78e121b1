"""Language models as the compiled searches take them."""

from __future__ import annotations

from sestina.decoding import _native
from sestina.decoding.compat.flashlight.decoder.kenlm import KenLM
from sestina.decoding.compat.flashlight.decoder.language_models import LM, ZeroLM
from sestina.decoding.custom_models import StepwiseLanguageModel

__all__ = ["model_of"]


def model_of(lm: LM, num_words: int) -> tuple[_native.LanguageModel, list[int], _native.Merge]:
    """A compiled model, its id of each of the user's words, and when hypotheses are the same.

    Flashlight takes them for the same if their states are the same object. Those of its own models
    are a tree of all words; what a model of the user's returns may be one object for several.
    """
    if isinstance(lm, KenLM):
        return lm.model.native, lm.ids, _native.Merge.history
    if isinstance(lm, ZeroLM):
        return _native.NoModel(), [0] * num_words, _native.Merge.history
    return StepwiseLanguageModel(lm).native, list(range(num_words)), _native.Merge.context
