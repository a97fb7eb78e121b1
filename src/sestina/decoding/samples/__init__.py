"""Something real to decode: emissions, a lexicon, a language model, sound, and a model that hears.

>>> from sestina.decoding import samples
>>> bundled = samples.sample()
>>> bundled.emissions[0].shape[1], bundled.frame_duration_s
(29, 0.02)
>>> emissions = samples.acoustic_model()(samples.read_wav(samples.recordings()[0].path))
>>> emissions.shape[1]
29

All of it was made by `recipes/speech.py` from speech that eSpeak NG synthesised: sentences of a
grammar with 1,219 words, in voices and noise that the model was not trained on.
"""

from sestina.decoding.samples.acoustic import AcousticModel
from sestina.decoding.samples.audio import read_wav, resample
from sestina.decoding.samples.sets import Recording, Sample, acoustic_model, recordings, sample

__all__ = [
    "AcousticModel",
    "Recording",
    "Sample",
    "acoustic_model",
    "read_wav",
    "recordings",
    "resample",
    "sample",
]
