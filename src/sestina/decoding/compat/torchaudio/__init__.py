"""TorchAudio's names: change `torchaudio.models.decoder` to `sestina.decoding.compat.torchaudio`.

>>> from sestina.decoding.compat.torchaudio import ctc_decoder, download_pretrained_files
"""

from sestina.decoding.compat.torchaudio.ctc import (
    CTCDecoder,
    CTCDecoderLM,
    CTCDecoderLMState,
    CTCHypothesis,
    ctc_decoder,
)

__all__ = ["CTCDecoder", "CTCDecoderLM", "CTCDecoderLMState", "CTCHypothesis", "ctc_decoder"]
