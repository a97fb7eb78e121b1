"""KenLM's own scores and states, recorded and live, as its files must give them here."""

import json
import subprocess

import pytest

from sestina.decoding import compile_lm, read_lm

KINDS = ("probing", "trie", "qtrie4", "qtrie8", "atrie", "qatrie4", "qatrie8")
MODELS = ("bugs_bunny_kenlm", "lm3small", "lm3")
# Sums of a few float32 in another order; KenLM's own kinds differ by as much.
TOLERANCE = 1e-5


def check(model, sentences, answers):
    """Scores are equal, and contexts that are one state for KenLM are one for us."""
    walk = model.native.walk()
    ours = {}
    for sentence, answer in zip(sentences, answers, strict=True):
        state, scores = walk.start(True), []
        for word, theirs in zip(sentence.split(), answer["states"], strict=True):
            score, state = walk.step(state, word.encode())
            scores.append(score)
            assert ours.setdefault(theirs, state) == state, sentence
        scores.append(walk.finish(state))
        assert scores == pytest.approx(answer["scores"], abs=TOLERANCE), sentence


@pytest.fixture(scope="module")
def recorded(root):
    return json.loads((root / "tests/parity/kenlm_scores.json").read_text())


@pytest.mark.parametrize("load", ["memory", "mmap"])
@pytest.mark.parametrize(
    "name", ["bugs_bunny_kenlm.arpa", "lm3small.trie.bin", "lm3small.qtrie.bin"]
)
def test_recorded_scores(name, load, shared_data, recorded):
    model = read_lm(shared_data / "decoding" / name, load=load)
    check(model, recorded["sentences"], recorded["models"][name])


def test_recorded_scores_of_the_arpa_file_and_of_what_is_compiled(shared_data, recorded, tmp_path):
    folder = shared_data / "decoding"
    sources = {
        "lm3small.arpa.gz": "lm3small.trie.bin",
        "lm3small.trie.bin": "lm3small.trie.bin",
        "lm3small.qtrie.bin": "lm3small.qtrie.bin",
    }
    for source, expected in sources.items():
        compile_lm(folder / source, tmp_path / "lm.cache")
        for load in ("memory", "mmap"):
            model = read_lm(tmp_path / "lm.cache", load=load)
            check(model, recorded["sentences"], recorded["models"][expected])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MODELS)
def test_live_scores_of_every_kind(name, kind, root, recorded, tmp_path):
    path = root / "build" / "kenlm-oracle" / name / f"{kind}.bin"
    python = root / ".venv-bench-decoding" / "bin" / "python"
    if not path.exists() or not python.exists():
        pytest.skip(f"no {path}, made by recipes/kenlm_oracle.sh, or no {python}")
    answer = subprocess.run(
        [python, root / "recipes" / "kenlm_scores.py", "--ask", path],
        input="\n".join(recorded["sentences"]),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for load in ("memory", "mmap"):
        check(read_lm(path, load=load), recorded["sentences"], json.loads(answer))
    if kind != "probing":
        compile_lm(path, tmp_path / "lm.cache")
        check(read_lm(tmp_path / "lm.cache"), recorded["sentences"], json.loads(answer))
