"""A decoder whose searches forget what they need not know any more in every frame."""

from sestina.decoding import Decoder


class Forgetful(Decoder):
    """Finds what another one finds."""

    def _native_options(self):
        made = super()._native_options()
        made.enough = 1
        return made
