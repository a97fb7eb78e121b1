"""CTC search by brute force, and beam search with a dictionary of prefixes: slow and obvious."""

import itertools
import math

import numpy as np


def collapsed(path, blank=0):
    """CTC: repeats count once, then blanks fall out."""
    kept = [token for token, _ in itertools.groupby(path)]
    return tuple(token for token in kept if token != blank)


def every_path(scores, options, language, bonus=None):
    """The score of each sequence of tokens, from all paths."""
    found = {}
    for path in itertools.product(range(scores.shape[1]), repeat=len(scores)):
        tokens = collapsed(path)
        score = sum(float(scores[t, n]) for t, n in enumerate(path))
        score += sum(options.sil_score for n in path if n == bonus)
        score += options.lm_weight * language(tokens) + options.token_score * len(tokens)
        before = found.get(tokens, -math.inf)
        found[tokens] = np.logaddexp(before, score) if options.log_add else max(before, score)
    return found


class PlainSearch:
    """A beam of prefixes, each with the scores of its paths that end in a blank and in its token.

    `model` steps through states: model(state, token) -> (log10, state), and model(state, None)
    -> log10 of the end. Token 0 is the blank; `bonus` is the silence, or None.
    """

    def __init__(self, options, model, start, bonus=None):
        self.options, self.model, self.bonus = options, model, bonus
        # Prefix: (what tells it apart, last token, state) -> [blank, token] scores and paths.
        self.beam = {((), None, start): [(0.0, ()), (-math.inf, ())]}

    def key(self, prefix, token):
        known, _, state = prefix
        score, after = self.model(state, token)
        told = (*known, token) if self.options.merge == "history" else ()
        return (told, token, after), self.options.lm_weight * score

    def step(self, frame):
        options = self.options
        emission = [float(e) for e in frame]
        ranked = sorted(range(len(frame)), key=lambda n: -emission[n])
        tried = set(ranked[: options.beam_size_token])
        if self.bonus is not None:
            emission[self.bonus] += options.sil_score
        contributions = []  # (prefix, kind, score, path)
        for prefix, kinds in self.beam.items():
            for kind, (score, path) in enumerate(kinds):
                if score == -math.inf:
                    continue
                contributions.append((prefix, 0, score + emission[0], (*path, 0)))
                if kind == 1:
                    last = prefix[1]
                    contributions.append((prefix, 1, score + emission[last], (*path, last)))
                for n in tried - {0}:
                    if kind == 1 and n == prefix[1]:
                        continue
                    made, language = self.key(prefix, n)
                    own = score + emission[n] + language + options.token_score
                    contributions.append((made, 1, own, (*path, n)))
        self.beam = self.kept(contributions)

    def kept(self, contributions):
        options = self.options
        cut = max((score for *_, score, _ in contributions), default=0.0) - options.beam_threshold
        hypotheses = {}
        for prefix, kind, score, path in contributions:
            if score >= cut and score > -math.inf:
                hypotheses.setdefault((prefix, kind), []).append((score, path))
        merged = {key: self.merged(paths) for key, paths in hypotheses.items()}
        best = sorted(merged.items(), key=lambda item: -item[1][0])[: options.beam_size]
        beam = {}
        for (prefix, kind), hypothesis in best:
            beam.setdefault(prefix, [(-math.inf, ())] * 2)[kind] = hypothesis
        return beam

    def merged(self, paths):
        scores = [score for score, _ in paths]
        total = np.logaddexp.reduce(scores) if self.options.log_add else max(scores)
        return float(total), max(paths)[1]

    def rest(self, score):
        """A frame that is nothing but blank."""
        for prefix, kinds in self.beam.items():
            alive = [(own + score, (*path, 0)) for own, path in kinds if own > -math.inf]
            self.beam[prefix] = [self.merged(alive), (-math.inf, ())]

    def finish(self):
        """[(score, path)], best first."""
        ended = [
            (prefix, score + self.options.lm_weight * self.model(prefix[2], None), path)
            for prefix, kinds in self.beam.items()
            for score, path in kinds
            if score > -math.inf
        ]
        cut = max(score for _, score, _ in ended) - self.options.beam_threshold
        found = {}
        for prefix, score, path in ended:
            if score >= cut:
                known, _, state = prefix  # no future is left to tell last tokens apart
                found.setdefault((known, state), []).append((score, path))
        return sorted(map(self.merged, found.values()), key=lambda one: -one[0])
