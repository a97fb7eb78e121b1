"""TorchAudio's names: change `torchaudio.models.decoder` to `sestina.decoding.compat.torchaudio`.

>>> from sestina.decoding.compat.torchaudio import ctc_decoder, download_pretrained_files
>>> files = download_pretrained_files("sestina-sample")
>>> decoder = ctc_decoder(files.lexicon, files.tokens, files.lm)
>>> decoder.idxs_to_tokens([decoder.tokens_dict.get_index("a")])
['a']
"""

from sestina.core.extras import naming_extra

with naming_extra("decoding-torch"):
    from sestina.decoding.compat.torchaudio.ctc import (
        CTCDecoder,
        CTCDecoderLM,
        CTCDecoderLMState,
        CTCHypothesis,
        ctc_decoder,
    )
    from sestina.decoding.compat.torchaudio.cuda import (
        CUCTCDecoder,
        CUCTCHypothesis,
        cuda_ctc_decoder,
    )
from sestina.decoding.compat.torchaudio.pretrained import download_pretrained_files

__all__ = [
    "CTCDecoder",
    "CTCDecoderLM",
    "CTCDecoderLMState",
    "CTCHypothesis",
    "CUCTCDecoder",
    "CUCTCHypothesis",
    "ctc_decoder",
    "cuda_ctc_decoder",
    "download_pretrained_files",
]
