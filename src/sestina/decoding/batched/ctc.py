"""CTC beam search over a batch of utterances, without a lexicon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sestina.core.errors import InvalidValueError, NoReadingError, OptionError
from sestina.decoding.batched.automaton import TokenAutomaton
from sestina.decoding.batched.beams import Beam, Links, Rules, advance, empty_beam
from sestina.decoding.batched.frames import Frames, check_numbers, checked_emissions, frames_of
from sestina.decoding.batched.paths import best_entries, trace
from sestina.decoding.checks import check_kind
from sestina.decoding.emissions import as_lengths
from sestina.decoding.language_models import LanguageModel
from sestina.decoding.options import DecoderOptions
from sestina.decoding.results import Hypothesis, Naming
from sestina.decoding.tokens import Tokens
from sestina.tensors import resolve_device

__all__ = ["BatchedDecoder"]

# What the options must be: this search has nothing else.
_ONLY = {
    "criterion": "ctc",
    "open_vocabulary": False,
    "semantics": "ctc",
    "word_score": 0.0,
    "word_length_score": 0.0,
}


class BatchedDecoder:
    """Turns emissions of many utterances into tokens at once; immutable.

    The same search as that of `Decoder` without a lexicon, as a fixed sequence of PyTorch kernels
    per frame: on a GPU all utterances and hypotheses advance together. Scores are float32,
    relative to the best hypothesis, so that they stay as fine over hours.

    Args:
        tokens: the columns of the emissions.
        lm: an n-gram model, of `read_lm`, whose words are the tokens; None for none.
        options: of the search. Look-ahead and unknown words do nothing here; skipping frames for
            their blanks needs emissions that are logarithms of probabilities.
        device: where the search runs and the emissions are: "auto" (CUDA if there is one), "cpu",
            "cuda:1" and so on.

    Raises:
        OptionError: if the options name a token that does not exist, or ask for Flashlight's
            semantics, the ASG criterion, an open vocabulary or scores of words, which this search
            has not.
        InvalidValueError: if `lm` is no n-gram model, or there is no such device.
        FileFormatError: if it is one of KenLM's hash tables, whose n-grams can't be listed.

    Example:
        >>> import torch
        >>> from sestina.decoding import Tokens
        >>> from sestina.decoding.batched import BatchedDecoder
        >>> decoder = BatchedDecoder(Tokens(["-", "|", "a", "b"]), device="cpu")
        >>> probabilities_btn = torch.tensor([[[.1, .1, .7, .1], [.1, .1, .1, .7]]])
        >>> best = decoder.decode(probabilities_btn.log())[0][0]
        >>> [(token.text, token.start, token.end) for token in best.tokens]
        [('a', 0, 1), ('b', 1, 2)]
    """

    def __init__(
        self,
        tokens: Tokens,
        lm: LanguageModel | None = None,
        options: DecoderOptions | None = None,
        *,
        device: str | torch.device = "auto",
    ) -> None:
        check_kind("tokens", tokens, Tokens, "Tokens; this search has no lexicon")
        self._tokens = tokens
        self._options = options or DecoderOptions()
        # A name like "cuda" means the current device; what is put there says which one that is.
        self._device = torch.empty(0, device=resolve_device(device)).device
        self._rules = self._rules_for(lm)
        self._bonus = None
        if self._options.silence:
            self._bonus = self._index("silence"), self._options.sil_score
        self._naming = Naming(
            tokens=tokens,
            word=tokens.__getitem__,
            blank=tokens[self._index("blank")],
            silence=tokens[self._index("silence")] if self._options.silence else "",
            spelling=tokens.spelling,
        )

    def _rules_for(self, lm: LanguageModel | None) -> Rules:
        options, num_tokens = self._options, len(self._tokens)
        for name, only in _ONLY.items():
            if getattr(options, name) != only:
                raise OptionError(
                    name,
                    getattr(options, name),
                    expected=f"{only!r}, as the batched search has nothing else",
                    remedy="use Decoder for it",
                )
        return Rules(
            automaton=TokenAutomaton(lm, self._tokens, self._device),
            blank=self._index("blank"),
            beam_size=options.beam_size,
            threshold=options.beam_threshold,
            lm_weight=options.lm_weight,
            log_add=options.log_add,
            # Without a model all contexts would be one.
            by_context=options.merge == "context" and lm is not None,
            tries_all=self._num_tried == num_tokens,
        )

    @property
    def _num_tried(self) -> int:
        return min(self._options.beam_size_token or len(self._tokens), len(self._tokens))

    def _index(self, option: str) -> int:
        spelling = getattr(self._options, option)
        if spelling not in self._tokens:
            raise OptionError(
                option,
                spelling,
                expected=f"one of {self._tokens}",
                remedy="name the model's own",
            )
        return self._tokens.index(spelling)

    @property
    def tokens(self) -> Tokens:
        """The columns of the emissions."""
        return self._tokens

    @property
    def options(self) -> DecoderOptions:
        """What the search was asked for."""
        return self._options

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self._device

    @torch.no_grad()
    def decode(
        self,
        emissions_btn: Tensor,
        lengths: Tensor | Sequence[int] | None = None,
        *,
        nbest: int = 1,
    ) -> list[list[Hypothesis]]:
        """The best readings of each utterance, best first.

        Args:
            emissions_btn: (utterance, frame, token) natural logarithms of probabilities, on the
                decoder's device; float16, bfloat16, float32 or float64.
            lengths: (utterance,) frames of each one; all frames if not given.
            nbest: how many readings of each at most.

        Raises:
            ShapeError, DtypeError, NonFiniteError: for emissions that can't be read.
            InvalidValueError: if they are on another device, a length is out of range, or an
                utterance has no reading with a probability above 0.
        """
        if nbest < 1:
            raise InvalidValueError(
                "nbest", nbest, expected="at least 1", remedy="ask for one or more"
            )
        emissions_btv = checked_emissions(
            emissions_btn, num_tokens=len(self._tokens), device=self._device
        )
        num_utterances, num_frames, _ = emissions_btv.shape
        counted = as_lengths(
            lengths.cpu() if isinstance(lengths, Tensor) else lengths,
            num_utterances=num_utterances,
            num_frames=num_frames,
        )
        lengths_b = torch.tensor(counted, device=self._device, dtype=torch.int64)
        check_numbers(emissions_btv, lengths_b)
        frames = frames_of(
            emissions_btv,
            lengths_b,
            blank=self._rules.blank,
            num_tried=self._num_tried,
            bonus=self._bonus,
            token_score=self._options.token_score,
            skip_above=self._options.blank_skip_threshold,
        )
        beam, links, offset_b = self._search(frames)
        best = best_entries(beam, self._rules, min(nbest, self._options.beam_size))
        searched_bmt, language_bm = trace(links, best.entry_bm, blank=self._rules.blank)
        path_bmt = frames.spread(searched_bmt, num_frames, blank=self._rules.blank)
        return self._read(
            _Found(
                score_bm=best.score_bm.double() + (offset_b + frames.last_rest_b)[:, None],
                acoustic_bm=_along(path_bmt, emissions_btv, lengths_b),
                language_bm=best.ending_bm + language_bm,
                path_bmt=path_bmt,
            ),
            counted,
        )

    def _search(self, frames: Frames) -> tuple[Beam, list[Links], Tensor]:
        """The last beam, the links of each frame, and what was taken from the scores."""
        num_utterances = len(frames.counts_b)
        beam = empty_beam(self._rules, num_utterances, self._device)
        offset_b = torch.zeros(num_utterances, dtype=torch.float64, device=self._device)
        all_links = []
        for frame in frames:
            beam, links, lowered_b = advance(beam, frame, self._rules)
            all_links.append(links)
            offset_b += lowered_b
        return beam, all_links, offset_b

    def _read(self, found: _Found, lengths: list[int]) -> list[list[Hypothesis]]:
        scores, acoustic, language, paths = (one.cpu().numpy() for one in found)
        result = []
        for b, length in enumerate(lengths):
            hypotheses = [
                Hypothesis(
                    score=float(scores[b, m]),
                    acoustic_score=float(acoustic[b, m]),
                    carried_score=float(language[b, m]),
                    path=_stretches(paths[b, m, :length], self._rules.blank),
                    num_frames=length,
                    naming=self._naming,
                )
                for m in range(scores.shape[1])
                if scores[b, m] > -np.inf
            ]
            if not hypotheses:
                raise NoReadingError(
                    f"emissions of utterance {b}",
                    f"{length} frames",
                    expected="scores that leave some reading a probability above 0",
                    remedy="look for frames of minus infinity, or widen the beam",
                )
            result.append(hypotheses)
        return result


class _Found(NamedTuple):
    score_bm: Tensor
    acoustic_bm: Tensor
    language_bm: Tensor
    path_bmt: Tensor


def _along(path_bmt: Tensor, emissions_btv: Tensor, lengths_b: Tensor) -> Tensor:
    """The sums of the emissions along paths, up to the lengths; float64."""
    spoken_bmtv = emissions_btv[:, None].expand(-1, path_bmt.shape[1], -1, -1)
    spoken_bmt = spoken_bmtv.gather(3, path_bmt[..., None])[..., 0].double()
    frames_t = torch.arange(path_bmt.shape[2], device=path_bmt.device)
    is_there_bt = frames_t < lengths_b[:, None]
    return spoken_bmt.masked_fill(~is_there_bt[:, None], 0.0).sum(2)


def _stretches(tokens_t: NDArray[np.int64], blank: int) -> NDArray[np.int32]:
    """The path of a `Hypothesis`: where each token and blank starts; none is a word's end."""
    starts = np.flatnonzero(np.diff(tokens_t, prepend=blank))
    rows = [(blank, -1, -1), *((tokens_t[start], start, -1) for start in starts)]
    return np.array(rows, dtype=np.int32)
