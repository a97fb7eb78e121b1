"""Flashlight Text's names: change `flashlight.lib.text` to `sestina.decoding.compat.flashlight`.

>>> from sestina.decoding.compat.flashlight.decoder import Trie
>>> from sestina.decoding.compat.flashlight.dictionary import Dictionary
"""

from sestina.decoding.compat.flashlight import decoder, dictionary

__all__ = ["decoder", "dictionary"]
