"""`sestina decode FILES` as people call it."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from sestina.cli.decoding.transcribing import BUNDLED_OPTIONS
from sestina.cli.main import main
from sestina.core.options import options_from_mapping
from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, read_arpa
from sestina.decoding.samples import acoustic_model, read_wav, recordings, sample

BUNDLED = sample()
TEN = list(BUNDLED.emissions[:10])
KNOWLEDGE = (
    *("--tokens", BUNDLED.tokens_path),
    *("--lexicon", BUNDLED.lexicon_path),
    *("--lm", BUNDLED.arpa_path),
)


@pytest.fixture(autouse=True)
def ten_utterances(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("ten.npz", emissions=np.concatenate(TEN), lengths=[len(one) for one in TEN])
    np.savez(
        "said.npz",
        emissions=np.concatenate(TEN),
        lengths=[len(one) for one in TEN],
        references=np.array(BUNDLED.references[:10]),
    )


@pytest.fixture
def run(capsys):
    def call(*arguments):
        status = main(["decode", *(str(argument) for argument in arguments)])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


@pytest.fixture(scope="module")
def decoder_of():
    tokens = Tokens.read(BUNDLED.tokens_path)
    lexicon, lm = Lexicon.read(BUNDLED.lexicon_path, tokens), read_arpa(BUNDLED.arpa_path)
    return lambda **options: Decoder(lexicon, lm, DecoderOptions(**options))


def test_each_utterance_is_a_line_of_text(run, decoder_of):
    status, out, err = run("ten.npz", *KNOWLEDGE)
    assert status == 0
    assert out.splitlines() == [decoder_of().decode(one)[0].text for one in TEN]
    frames = sum(map(len, TEN))
    assert f"10 utterances, {frames / 50:.1f} s at 20 ms a frame: searched in" in err
    assert re.search(r"on 1 thread; real-time factor 0\.0\d+; loaded in", err)
    assert "word error rate" not in err


def test_options_go_to_the_search_whatever_the_threads(run, decoder_of):
    given = ("--beam-size", 20, "--lm-weight", 1.5, "--log-add")
    expected = [decoder_of(beam_size=20, lm_weight=1.5, log_add=True).decode(one)[0] for one in TEN]
    for threads in (1, 2):
        status, out, err = run("ten.npz", *KNOWLEDGE, *given, "--threads", threads)
        assert (status, out.splitlines()) == (0, [one.text for one in expected])
        assert f"on {threads} thread" in err


def test_a_file_of_options_gives_way_to_the_line(run, decoder_of, tmp_path):
    (tmp_path / "best.toml").write_text("beam_size = 20\nlm_weight = 9.0\n")
    status, out, _ = run("ten.npz", *KNOWLEDGE, "--config", "best.toml", "--lm-weight", 1.5)
    expected = [decoder_of(beam_size=20, lm_weight=1.5).decode(one)[0].text for one in TEN]
    assert (status, out.splitlines()) == (0, expected)
    (tmp_path / "best.toml").write_text("beamsize = 20\n")
    status, out, err = run("ten.npz", *KNOWLEDGE, "--config", "best.toml")
    assert (status, out) == (2, "")
    assert "did you mean 'beam_size'?" in err


def test_several_readings_are_numbered(run, decoder_of):
    status, out, _ = run("ten.npz", *KNOWLEDGE, "--nbest", 3)
    assert status == 0
    rows = [line.split("\t") for line in out.splitlines()]
    expected = [
        [f"ten.npz:{place}", str(rank), f"{one.score:.3f}", one.text]
        for place, emissions in enumerate(TEN)
        for rank, one in enumerate(decoder_of().decode(emissions, nbest=3), 1)
    ]
    assert rows == expected


def test_json_has_words_with_their_times(run, decoder_of):
    status, out, _ = run("said.npz", *KNOWLEDGE, "--json", "--nbest", 2, "--frame-ms", 10)
    assert status == 0
    facts = json.loads(out)
    assert (facts["format"], facts["version"]) == ("sestina-decode", 1)
    assert facts["sound_s"] == pytest.approx(sum(map(len, TEN)) / 100)
    assert facts["real_time_factor"] == pytest.approx(facts["search_s"] / facts["sound_s"])
    assert 0 < facts["word_error_rate"] < 1
    assert len(facts["utterances"]) == 10
    one = facts["utterances"][3]
    assert (one["name"], one["frames"]) == ("said.npz:3", len(TEN[3]))
    assert one["reference"] == BUNDLED.references[3]
    best, second = decoder_of().decode(TEN[3], nbest=2)
    assert [each["text"] for each in one["hypotheses"]] == [best.text, second.text]
    assert one["hypotheses"][0]["score"] == best.score
    assert one["hypotheses"][0]["words"] == [
        {"text": word.text, "start_s": word.start / 100, "end_s": word.end / 100}
        for word in best.words
    ]


def test_words_come_with_times_and_confidence(run, decoder_of):
    one = decoder_of().decode(TEN[3], confidence=True)[0]
    np.savez("one.npz", emissions=TEN[3])
    status, out, _ = run("one.npz", *KNOWLEDGE, "--words", "--confidence")
    assert (status, [line.split("\t") for line in out.splitlines()]) == (
        0,
        [
            [
                *("one.npz", f"{word.start / 50:.3f}", f"{word.end / 50:.3f}"),
                *(word.text, f"{word.confidence:.2f}"),
            ]
            for word in one.words
        ],
    )
    status, out, _ = run("one.npz", *KNOWLEDGE, "--confidence")
    assert out == " ".join(f"{word.text} ({word.confidence:.2f})" for word in one.words) + "\n"
    status, out, _ = run("one.npz", *KNOWLEDGE, "--confidence", "--json")
    [shown] = json.loads(out)["utterances"][0]["hypotheses"]
    assert [word["confidence"] for word in shown["words"]] == [w.confidence for w in one.words]
    status, out, err = run("one.npz", *KNOWLEDGE, "--confidence", "--stream")
    assert (status, out) == (2, "")
    assert "--confidence is 'on', expected whole utterances" in err


def test_hotwords_are_found_and_shown_in_the_score(run, tmp_path):
    np.savez("one.npz", emissions=TEN[3])
    before = run("one.npz", *KNOWLEDGE)[1].split()
    assert "sestina" not in before
    (tmp_path / "hotwords.txt").write_text("sestina\nthe sea:2\n")
    for given in (("--hotword", "sestina:80"), ("--hotwords", "hotwords.txt", *SCORED)):
        status, out, _ = run("one.npz", *KNOWLEDGE, *given, "--json")
        [shown] = json.loads(out)["utterances"][0]["hypotheses"]
        said = [word["text"] for word in shown["words"]]
        assert (status, "sestina" in said) == (0, True)
        assert shown["hotword_score"] == pytest.approx(80.0 * said.count("sestina"), abs=1e-3)


SCORED = ("--hotword-score", 80)


def test_a_grammar_leaves_nothing_else(run, tmp_path):
    said = BUNDLED.references[3]
    (tmp_path / "grammar.txt").write_text(f"{said}\n{BUNDLED.references[4]}\n")
    np.savez("one.npz", emissions=TEN[3])
    # Look-ahead would fill the beam with parts of words that the grammar does not lead to.
    given = ("--grammar", "grammar.txt", "--smearing", "none")
    assert run("one.npz", *KNOWLEDGE, *given)[:2] == (0, f"{said}\n")


def test_a_model_is_mapped_where_that_is_asked_for(run):
    assert run("compile-lm", BUNDLED.arpa_path, "-o", "lm.slm")[0] == 0
    whole = run("ten.npz", *KNOWLEDGE)[1]
    mapped = run("ten.npz", *KNOWLEDGE[:-1], "lm.slm", "--load", "mmap")
    assert mapped[:2] == (0, whole)
    status, out, err = run("ten.npz", *KNOWLEDGE, "--load", "disk")
    assert (status, out) == (2, "")
    assert "'disk' is not one of 'memory', 'mmap'" in err


def test_a_stream_ends_with_the_same_texts_and_shows_how_it_got_there(run):
    whole = run("ten.npz", *KNOWLEDGE)[1]
    status, out, err = run("ten.npz", *KNOWLEDGE, "--stream", "--chunk-frames", 25)
    assert (status, out) == (0, whole)
    heard = re.findall(r"^ten\.npz:0 (\d+\.\d+) s: (.*)$", err, re.MULTILINE)
    times = [float(seconds) for seconds, _ in heard]
    assert times == sorted(set(times))
    final = whole.splitlines()[0]
    assert re.sub(r"[\[\]]", "", heard[-1][1]) == final
    settled = [text.partition("[")[0].strip() for _, text in heard]
    assert all(final.startswith(text) for text in settled)
    assert any(settled)
    assert "ms for 0.5 s of sound" in err


def test_what_was_said_is_compared(run, tmp_path):
    (tmp_path / "said.txt").write_text("\n".join(BUNDLED.references[:10]) + "\n")
    of_file, of_lines = (
        run("said.npz", *KNOWLEDGE),
        run("ten.npz", *KNOWLEDGE, "--references", "said.txt"),
    )
    shown = [err.splitlines()[-1] for _, _, err in (of_file, of_lines)]
    assert shown[0] == shown[1]
    assert re.fullmatch(r"word error rate \d+\.\d+ % \(.* words\)", shown[0])


def test_sound_becomes_text_with_nothing_else_given(run, decoder_of):
    path = recordings()[2].path
    status, out, err = run(path)
    expected = decoder_of(**BUNDLED_OPTIONS).decode(acoustic_model()(read_wav(path)))[0].text
    assert (status, out) == (0, expected + "\n")
    assert expected == recordings()[2].text
    assert "1 utterance, 2.8 s" in err
    # What is asked for goes before what suits the bundled model.
    asked = {**BUNDLED_OPTIONS, "word_score": -20.0, "beam_size": 3}
    status, out, _ = run(path, "--word-score", -20, "--beam-size", 3)
    other = decoder_of(**asked).decode(acoustic_model()(read_wav(path)))[0].text
    assert (status, out) == (0, other + "\n")
    assert other != expected


def test_without_a_lexicon_tokens_are_searched(run):
    decoder = Decoder(Tokens.read(BUNDLED.tokens_path), None, DecoderOptions(beam_size=10))
    status, out, _ = run("ten.npz", "--tokens", BUNDLED.tokens_path, "--beam-size", 10)
    assert (status, out.splitlines()) == (0, [decoder.decode(one)[0].text for one in TEN])


def test_the_bundled_options_are_options():
    assert options_from_mapping(DecoderOptions, BUNDLED_OPTIONS).log_add


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("missing.npz", *KNOWLEDGE), 1, "missing.npz: No such file or directory; check the path"),
        (("missing.wav",), 1, "missing.wav: No such file or directory"),
        (("ten.npz",), 2, "--tokens is missing"),
        (("ten.npz", *KNOWLEDGE, "--blank", "<pad>"), 2, "blank is '<pad>', expected one of"),
        (("ten.npz", *KNOWLEDGE, "--beam-size", "0"), 2, "beam_size is 0, expected 1 to"),
        (("ten.npz", *KNOWLEDGE, "--beam-size", "x"), 2, "'x' is not an integer"),
        (("ten.npz", *KNOWLEDGE, "--nbest", "0"), 2, "see 'sestina decode --help'"),
        (("ten.npz", *KNOWLEDGE, "--frame-ms", "nan"), 2, "'nan' is not in the range 0.001<=x<=6"),
        (("ten.npz", *KNOWLEDGE, "--frame-ms", "inf"), 2, "inf is not in the range"),
        (("ten.npz", *KNOWLEDGE, "--frame-ms", "1e308"), 2, "1e+308 is not in the range"),
        (("ten.npz", *KNOWLEDGE, "--frame-ms", "0"), 2, "0.0 is not in the range"),
        (("ten.npz", *KNOWLEDGE, "--references", "ten.npz"), 1, "is not UTF-8"),
        (("ten.npz", "--tokens", BUNDLED.tokens_path, "--lexicon", "ten.npz"), 1, "ten.npz"),
    ],
)
def test_bad_input_ends_with_one_line(run, arguments, status, message):
    found, out, err = run(*arguments)
    assert (found, out) == (status, "")
    assert err.startswith("error: ")
    assert message in err
    assert len(err.splitlines()) == 1


def test_the_utterance_without_a_reading_is_named(run):
    silent = np.full_like(TEN[0], -np.inf)
    np.savez("some.npz", good=TEN[1], bad=silent)
    for how in ((), ("--stream",)):
        status, out, err = run("some.npz", *KNOWLEDGE, *how)
        assert (status, out) == (1, "")
        assert "some.npz:bad" in err
        assert "minus infinity" in err


def test_logits_are_suspected_and_taken(run):
    logits = TEN[0] * 2 + 5
    np.savez("logits.npz", logits=logits)
    status, _, err = run("logits.npz", *KNOWLEDGE)
    assert status == 0
    assert "note: in some frame the probabilities add up to" in err
    status, _, err = run("logits.npz", *KNOWLEDGE, "--logits")
    assert (status, "note:" in err) == (0, False)
    np.savez("whole.npz", logits=logits.astype(np.int16))
    status, _, err = run("whole.npz", *KNOWLEDGE)
    assert (status, "if they are logits, add --logits" in err) == (1, True)


def test_sound_becomes_text_without_torch():
    code = (
        "import sys; from sestina.cli.main import main; status = main(sys.argv[1:]);"
        "sys.exit(9 if {'torch', 'matplotlib'} & set(sys.modules) else status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "decode", str(recordings()[2].path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, recordings()[2].text + "\n")


def test_the_threads_shown_are_those_that_searched(run):
    status, out, err = run("ten.npz", *KNOWLEDGE, "--threads", 10**20, "--json")
    assert (status, json.loads(out)["threads"]) == (0, 10)
    assert "on 10 threads;" in err


def test_nothing_is_no_utterance(run):
    np.savez("none.npz", emissions=TEN[0][:0], lengths=np.zeros(0, np.int64))
    for how in ((), ("--stream",), ("--words",)):
        status, out, err = run("none.npz", *KNOWLEDGE, *how)
        assert (status, out) == (0, "")
        assert "0 utterances, 0.0 s" in err
    assert json.loads(run("none.npz", *KNOWLEDGE, "--json")[1])["utterances"] == []


def test_words_names_and_texts_that_are_no_utf8_are_json(tmp_path):
    said = np.log(np.eye(3, dtype=np.float32)[[2, 1]] * 0.9 + 0.03)
    np.savez("e.npz", emissions=said, references=np.array(["a\ud800b"]))
    (tmp_path / "e.npz").rename(tmp_path / "\udcff.npz")
    (tmp_path / "tokens.txt").write_text("-\n|\na\n")
    (tmp_path / "lexicon.txt").write_bytes(b"caf\xff a |\n")
    line = ("decode", b"\xff.npz", "--tokens", "tokens.txt", "--lexicon", "lexicon.txt", "--json")
    done = subprocess.run(
        [sys.executable, "-c", "from sestina.cli.main import main; main()", *line],
        capture_output=True,
        check=True,
    )
    [one] = json.loads(done.stdout.decode("utf-8", errors="strict"))["utterances"]
    assert (one["name"], one["reference"]) == ("\udcff.npz", "a\ud800b")
    assert one["hypotheses"][0]["text"] == "caf\udcff"
