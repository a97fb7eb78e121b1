"""pyctcdecode's defaults, by the names under which others import them."""

import math
from typing import Final

__all__ = [
    "AVG_TOKEN_LEN",
    "DEFAULT_ALPHA",
    "DEFAULT_BEAM_WIDTH",
    "DEFAULT_BETA",
    "DEFAULT_HOTWORD_WEIGHT",
    "DEFAULT_MIN_TOKEN_LOGP",
    "DEFAULT_PRUNE_BEAMS",
    "DEFAULT_PRUNE_LOGP",
    "DEFAULT_SCORE_LM_BOUNDARY",
    "DEFAULT_UNK_LOGP_OFFSET",
    "LOG_BASE_CHANGE_FACTOR",
    "MIN_TOKEN_CLIP_P",
]

DEFAULT_ALPHA: Final = 0.5
DEFAULT_BETA: Final = 1.5
DEFAULT_UNK_LOGP_OFFSET: Final = -10.0
DEFAULT_BEAM_WIDTH: Final = 100
DEFAULT_HOTWORD_WEIGHT: Final = 10.0
DEFAULT_PRUNE_LOGP: Final = -10.0
DEFAULT_PRUNE_BEAMS: Final = False
DEFAULT_MIN_TOKEN_LOGP: Final = -5.0
DEFAULT_SCORE_LM_BOUNDARY: Final = True
AVG_TOKEN_LEN: Final = 6  # letters, from which on an unknown word costs more
MIN_TOKEN_CLIP_P: Final = 1e-15
LOG_BASE_CHANGE_FACTOR: Final = math.log(10.0)  # from log10 to natural logarithms
