"""Flashlight's own results, recorded beside the emissions, as its semantics must give them."""

import gzip
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, read_arpa


@pytest.fixture(scope="module")
def parts(shared_data):
    folder = shared_data / "decoding"
    tokens = Tokens.read(folder / "tokens.txt")
    return (
        folder,
        Lexicon.read(folder / "lexicon26k.txt", tokens),
        read_arpa(folder / "lm3small.arpa.gz"),
    )


def options_of(setting):
    return DecoderOptions(
        beam_size=setting["beam"],
        beam_threshold=setting.get("bt", 50.0),
        beam_size_token=setting.get("btok"),
        lm_weight=setting["lmw"],
        word_score=setting["ws"],
        log_add=setting.get("la", False),
        unk_score=setting.get("unk", -np.inf),
        sil_score=setting.get("sil", 0.0),
        merge="history",
        semantics="flashlight",
    )


def starts_with_ends(found, num_frames):
    """Where tokens start, counted as TorchAudio does: with a silence before and after the frames,
    and equal neighbours being one."""
    path = ["-"] * (num_frames + 2)
    path[0] = path[-1] = "|"
    for token in found.tokens:
        path[token.start + 1 : token.end + 1] = [token.text] * (token.end - token.start)
    return [t for t, token in enumerate(path) if token != "-" and (t == 0 or token != path[t - 1])]


@pytest.mark.parametrize("difficulty", ["easy", "hard"])
def test_words_scores_and_times_are_flashlights(parts, difficulty):
    folder, lexicon, model = parts
    data = np.load(folder / f"synth_{difficulty}_20utt.npz")
    ends = np.cumsum(data["lengths"])
    utterances = np.split(data["log_probs"].astype(np.float32), ends[:-1])
    with gzip.open(folder / f"expected_flashlight_synth_{difficulty}_20utt.json.gz") as file:
        recorded = json.load(file)
    compared = 0
    for setting, expected in recorded.items():
        decoder = Decoder(lexicon, model, options_of(json.loads(setting)))
        found = decoder.decode_batch(utterances, nbest=3)
        for scores, ours, theirs in zip(utterances, found, expected["hyps"], strict=True):
            for one, other in zip(ours, theirs, strict=False):
                assert [word.text for word in one.words] == other["words"]
                assert one.score == pytest.approx(other["score"], abs=1e-4)
                assert one.acoustic_score == pytest.approx(other["am"], abs=1e-4)
                assert one.language_score == pytest.approx(other["lm"], abs=1e-4)
                assert starts_with_ends(one, len(scores)) == other["timesteps"]
                compared += 1
    assert compared >= 250


TOKENS = "-|abcd"
PROBLEMS = json.loads(Path(__file__).with_name("flashlight_small.json").read_text())


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: str(problem["seed"]))
def test_small_problems_are_solved_as_flashlight_solves_them(problem, tmp_path):
    # The emissions as recipes/flashlight_oracle.py makes them.
    rng = np.random.Generator(np.random.PCG64(problem["seed"]))
    drawn = rng.integers(0, 1 << 20, (problem["num_frames"], len(TOKENS)))
    scores = (-drawn / 65536).astype(np.float32)
    path = tmp_path / "lm.arpa"
    path.write_text(problem["arpa"])
    lexicon = Lexicon.from_spellings(problem["spellings"], Tokens(list(TOKENS)))
    given = problem["options"]
    unknown = -np.inf if given["unk_score"] is None else given["unk_score"]
    options = DecoderOptions(
        **given | {"unk_score": unknown}, merge="history", semantics="flashlight"
    )
    found = Decoder(lexicon, read_arpa(path), options).decode(scores, nbest=3)
    expected = problem["found"]
    assert [one.score for one in found] == pytest.approx([o["score"] for o in expected], abs=1e-4)
    gaps = [a["score"] - b["score"] for a, b in itertools.pairwise(expected)]
    for place, (one, other) in enumerate(zip(found, expected, strict=True)):
        if any(abs(gap) < 1e-4 for gap in gaps[max(place - 1, 0) : place + 1]):
            continue  # equal scores: either may come first
        assert [word.text for word in one.words] == other["words"]
        raw = ["-"] * (len(scores) + 2)
        raw[0] = raw[-1] = "|"
        for token in one.tokens:
            raw[token.start + 1 : token.end + 1] = [token.text] * (token.end - token.start)
        assert "".join(raw) == other["path"]
