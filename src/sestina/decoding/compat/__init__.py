"""The names of other packages, so that code changes an import line and nothing else.

`sestina.decoding.compat.torchaudio` (needs torch), `sestina.decoding.compat.flashlight`,
`sestina.decoding.compat.pyctcdecode` and `sestina.decoding.compat.kenlm`; or call `install`, and
the import lines stay as they are:

>>> from sestina.decoding import compat
>>> names = compat.install()
>>> from flashlight.lib.text.dictionary import Dictionary
>>> compat.uninstall()
"""

from sestina.decoding.compat.aliases import install, uninstall

__all__ = ["install", "uninstall"]
