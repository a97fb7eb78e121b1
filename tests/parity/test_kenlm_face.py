"""The face of KenLM's Python module, beside KenLM itself where that is there."""

import json
import subprocess

import pytest

from sestina.decoding.compat import kenlm

TOLERANCE = 1e-5  # as in test_kenlm.py
MODELS = ("bugs_bunny_kenlm.arpa", "lm3small.trie.bin", "lm3small.qtrie.bin", "lm3small.arpa")

# Runs with KenLM's module and with ours.
ASK = """
def asked(kenlm, path, sentences):
    model = kenlm.Model(path)
    answers = [model.order, [word in model for word in ("the", "zzzz", "<unk>", "<s>", "</s>")]]
    null = kenlm.State()
    numbers = {}
    for text in sentences:
        answers.append(model.perplexity(text))
        for bos in (True, False):
            for eos in (True, False):
                answers.append(model.score(text, bos=bos, eos=eos))
                answers.append([list(one) for one in model.full_scores(text, bos, eos)])
            before = kenlm.State()
            (model.BeginSentenceWrite if bos else model.NullContextWrite)(before)
            answers.append([before == null, before != null, before == before])
            for word in text.split():
                after, again = kenlm.State(), kenlm.State()
                found = model.BaseFullScore(before, word, after)
                score = model.BaseScore(before, word, again)
                number = numbers.setdefault(after, len(numbers))
                same = [hash(after) == hash(again), after == again, number]
                answers.append([found.log_prob, found.ngram_length, found.oov, score, *same])
                before = after
    return answers
"""


@pytest.mark.parametrize("name", MODELS)
def test_every_answer_is_kenlms(name, shared_data, root, tmp_path):
    python = root / ".venv-bench-decoding" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no {python}, which has KenLM")
    path = shared_data / "decoding" / name
    if name.endswith(".arpa") and not path.exists():
        import gzip  # noqa: PLC0415  this one model only

        path = tmp_path / name
        path.write_bytes(gzip.decompress((shared_data / "decoding" / f"{name}.gz").read_bytes()))
    recorded = json.loads((root / "tests/parity/kenlm_scores.json").read_text())
    sentences = [*recorded["sentences"][:60], "", "the </s>", "zzzz zzzz", "the\tof\n the"]
    program = f"{ASK}\nimport json, kenlm, sys\nask = json.load(sys.stdin)\n" + (
        "print(json.dumps(asked(kenlm, *ask)))"
    )
    theirs = subprocess.run(
        [python, "-c", program],
        input=json.dumps([str(path), sentences]),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    scope = {}
    exec(ASK, scope)  # the same lines
    ours = scope["asked"](kenlm, str(path), sentences)
    flat, expected = flattened(ours), flattened(json.loads(theirs))
    assert len(flat) == len(expected)
    assert [type(one) for one in flat] == [type(one) for one in expected]
    for number, (one, other) in enumerate(zip(flat, expected, strict=True)):
        if isinstance(one, float):
            # Perplexities are powers, up to millions.
            assert one == pytest.approx(other, abs=TOLERANCE, rel=TOLERANCE), number
        else:
            assert one == other, number


def flattened(answers):
    if isinstance(answers, list | tuple):
        return [one for answer in answers for one in flattened(answer)]
    return [answers]
