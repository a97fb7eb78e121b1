"""What the batched search takes and refuses, and that it neither waits nor changes shape."""

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from sestina.core.errors import (
    DtypeError,
    InvalidValueError,
    NonFiniteError,
    OptionError,
    ShapeError,
)
from sestina.decoding import DecoderOptions, Tokens
from sestina.decoding.batched import BatchedDecoder
from sestina.decoding.batched.beams import advance, empty_beam
from sestina.decoding.batched.frames import frames_of
from tests.decoding.token_model import TOKENS, token_model

SKIPPING = DecoderOptions(blank_skip_threshold=0.5)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def decoder():
    return BatchedDecoder(TOKENS, device="cpu")


def emissions(*shape, dtype=torch.float32):
    return torch.randn(*shape, 5, generator=torch.manual_seed(1)).log_softmax(-1).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_dtypes_are_read_as_the_float32_they_round_to(decoder, dtype):
    given = emissions(2, 9, dtype=dtype)
    assert decoder.decode(given) == decoder.decode(given.float())


def test_emissions_that_record_gradients_are_read_and_record_nothing(decoder):
    given = emissions(2, 9).requires_grad_()
    assert decoder.decode(given) == decoder.decode(given.detach())
    assert given.grad is None


def test_strides_do_not_matter(decoder):
    given = emissions(9, 2).transpose(0, 1)
    assert decoder.decode(given) == decoder.decode(given.contiguous())


def test_what_lies_beyond_the_lengths_does_not_matter(decoder):
    given = emissions(3, 9)
    lengths = torch.tensor([9, 4, 0], dtype=torch.int32)
    expected = decoder.decode(given, lengths)
    given[1, 4:], given[2] = torch.nan, -torch.inf
    assert decoder.decode(given, lengths) == expected
    skipping = BatchedDecoder(TOKENS, options=SKIPPING, device="cpu")
    assert skipping.decode(given, lengths) == skipping.decode(given.nan_to_num(0.0), lengths)


def test_no_utterances_and_no_frames_are_fine(decoder):
    assert decoder.decode(emissions(0, 4)) == []
    (best,), (other,) = decoder.decode(emissions(2, 0))
    assert best.tokens == other.tokens == ()
    assert best.score == 0.0
    skipping = BatchedDecoder(TOKENS, options=SKIPPING, device="cpu")
    assert skipping.decode(emissions(0, 4)) == []
    assert skipping.decode(emissions(1, 0))[0][0].score == 0.0


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (np.zeros((1, 2, 5), np.float32), InvalidValueError, "ndarray"),
        (torch.zeros(1, 2, 5, dtype=torch.int64), DtypeError, "torch.int64"),
        (torch.zeros(2, 5), ShapeError, r"\(2, 5\)"),
        (torch.zeros(1, 2, 4), ShapeError, "5 tokens"),
        (torch.zeros(1, 2, 5, device="meta"), InvalidValueError, "meta"),
        (torch.tensor([[[0.0, 0, 0, 0, 0], [0, 0, np.nan, 0, 0]]]), NonFiniteError, r"\[0, 1, 2\]"),
        (torch.full((1, 2, 5), torch.inf), NonFiniteError, "inf"),
        (torch.full((1, 2, 5), -torch.inf), InvalidValueError, "utterance 0"),
    ],
)
def test_emissions_that_cannot_be_read_are_named(decoder, given, error, text):
    with pytest.raises(error, match=text):
        decoder.decode(given)
    assert decoder.decode(emissions(1, 3))  # and the decoder is as it was


@pytest.mark.parametrize(
    ("lengths", "error"),
    [
        ([3], ShapeError),
        ([3, 5], InvalidValueError),
        ([-1, 3], InvalidValueError),
        (torch.tensor([1.0, 2.0]), DtypeError),
    ],
)
def test_lengths_that_do_not_fit_are_named(decoder, lengths, error):
    with pytest.raises(error, match="lengths"):
        decoder.decode(emissions(2, 4), lengths)


def test_wrong_options_are_named():
    with pytest.raises(OptionError, match="flashlight"):
        BatchedDecoder(TOKENS, options=DecoderOptions(semantics="flashlight"), device="cpu")
    with pytest.raises(OptionError, match="blank"):
        BatchedDecoder(TOKENS, options=DecoderOptions(blank="<b>"), device="cpu")
    with pytest.raises(OptionError, match="silence"):
        BatchedDecoder(Tokens(["-", "a"]), device="cpu")
    with pytest.raises(OptionError, match="criterion is 'asg'"):
        BatchedDecoder(TOKENS, options=DecoderOptions(criterion="asg"), device="cpu")
    with pytest.raises(InvalidValueError, match="lm"):
        BatchedDecoder(TOKENS, "lm.arpa", device="cpu")
    with pytest.raises(InvalidValueError, match="nbest"):
        BatchedDecoder(TOKENS, device="cpu").decode(emissions(1, 3), nbest=0)


# Of the eight, those in which any two go together: each takes seconds to compile.
@pytest.mark.parametrize(
    ("merge", "log_add", "beam_size_token"),
    [
        ("context", False, None),
        ("context", True, 3),
        ("history", False, 3),
        ("history", True, None),
    ],
)
def test_a_frame_looks_at_no_value_and_is_one_graph(tmp_path, merge, log_add, beam_size_token):
    options = DecoderOptions(
        beam_size=6, merge=merge, log_add=log_add, beam_size_token=beam_size_token
    )
    rules = BatchedDecoder(TOKENS, token_model(tmp_path), options, device="cpu")._rules
    frames = frames_of(
        emissions(2, 1),
        torch.tensor([1, 1]),
        blank=0,
        num_tried=beam_size_token or 5,
        bonus=None,
        token_score=0.0,
        skip_above=None,
    )
    frame, beam = next(iter(frames)), empty_beam(rules, 2, torch.device("cpu"))
    compiled = torch.compile(advance, backend="eager", fullgraph=True)
    expected, *_ = advance(beam, frame, rules)
    after, *_ = compiled(beam, frame, rules)
    assert all(map(torch.equal, after, expected))
    # A fake tensor has no values: what asks for one, as a GPU would have to wait for, raises.
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = type(beam)(*map(mode.from_tensor, beam))
        after, *_ = advance(fake, type(frame)(*map(mode.from_tensor, frame)), rules)
    assert [one.shape for one in after] == [one.shape for one in expected]
