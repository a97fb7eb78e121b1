"""The names of pyctcdecode 0.5.0, over the compiled search.

Example:
    >>> import numpy as np
    >>> from sestina.decoding.compat.pyctcdecode import build_ctcdecoder
    >>> decoder = build_ctcdecoder([" ", "a", "b", ""])
    >>> decoder.decode(np.log([[.1, .7, .1, .1], [.7, .1, .1, .1], [.1, .1, .7, .1]]))
    'a b'

What differs is listed in docs/decoding.md.
"""

from sestina.decoding.compat.pyctcdecode.alphabet import Alphabet
from sestina.decoding.compat.pyctcdecode.decoder import BeamSearchDecoderCTC, build_ctcdecoder
from sestina.decoding.compat.pyctcdecode.language_model import LanguageModel

__all__ = ["Alphabet", "BeamSearchDecoderCTC", "LanguageModel", "build_ctcdecoder"]
