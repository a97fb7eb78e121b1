from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sestina.cli.decoding.inputs import Utterance
from sestina.cli.decoding.transcripts import Asked, Spent, print_texts, print_transcripts, summary
from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, error_rate

TOKENS = Tokens(["-", "|", "a", "b"])
ASKED = Asked(nbest=2, threads=2, stream=False, chunk_frames=50, frame_ms=40.0, references=None)
EMISSIONS = np.log(np.eye(4, dtype=np.float32)[[2, 0, 3, 1]] * 0.9 + 0.025)
UTTERANCE = Utterance(name="one", emissions_tn=EMISSIONS, reference="ab")
LEXICON = Lexicon.from_spellings({"ab": "a b |", "b": "b |"}, TOKENS)
FOUND = Decoder(LEXICON, None, DecoderOptions(merge="history")).decode(EMISSIONS, nbest=2)


def test_one_reading_is_its_text_and_several_have_ranks(capsys):
    print_texts([UTTERANCE], [FOUND[:1]], replace(ASKED, nbest=1))
    assert capsys.readouterr().out == "ab\n"
    print_texts([UTTERANCE], [FOUND], ASKED)
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [(name, rank, text) for name, rank, _, text in rows] == [
        ("one", "1", "ab"),
        ("one", "2", "b"),
    ]
    assert float(rows[0][2]) == pytest.approx(FOUND[0].score, abs=5e-4)


def test_times_are_seconds(capsys):
    spent = Spent(search_s=0.02, sound_s=0.16, threads=2)
    print_transcripts([UTTERANCE], [FOUND], ASKED, spent, error_rate(["ab"], ["ab"]))
    facts = json.loads(capsys.readouterr().out)
    assert (facts["threads"], facts["word_error_rate"]) == (2, 0.0)
    assert facts["real_time_factor"] == pytest.approx(0.125)
    [one] = facts["utterances"]
    # a in frame 0, b in frame 2, of 40 ms each.
    assert one["hypotheses"][0]["words"] == [{"text": "ab", "start_s": 0.0, "end_s": 0.12}]


def test_the_line_says_how_fast_it_was():
    spent = Spent(search_s=0.02, sound_s=0.16, threads=2)
    assert summary([UTTERANCE], ASKED, spent, 1.5) == (
        "1 utterance, 0.2 s at 40 ms a frame: searched in 0.020 s on 2 threads; real-time factor "
        "0.12; loaded in 1.50 s"
    )
    stream = Asked(nbest=1, threads=2, stream=True, chunk_frames=50, frame_ms=20.0, references=None)
    spent = Spent(search_s=0.02, sound_s=0.0, longest_step_s=0.0123)
    line = summary([UTTERANCE, UTTERANCE], stream, spent, 0.0)
    assert "on 1 thread; real-time factor unknown; at most 12.3 ms for 1 s of sound" in line
