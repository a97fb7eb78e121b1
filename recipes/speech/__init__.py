"""The parts of `recipes/speech.py`: grammar, n-grams, synthesis, noise and training."""
