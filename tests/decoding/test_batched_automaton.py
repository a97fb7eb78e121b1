"""The automaton of tensors against the compiled model that it was made of."""

import random

import pytest
import torch

from sestina.core.errors import InvalidValueError
from sestina.decoding import Tokens, read_arpa, read_lm
from sestina.decoding.batched import TokenAutomaton
from tests.decoding.token_model import NAMES, TOKENS, token_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return token_model(tmp_path_factory.mktemp("lm"))


@pytest.mark.parametrize("table", [False, True])
def test_every_walk_scores_as_the_compiled_model_does(model, table):
    automaton = TokenAutomaton(model, TOKENS, CPU, table=table)
    rng = random.Random(1)
    for _ in range(200):
        walk = [rng.randrange(len(NAMES)) for _ in range(rng.randrange(8))]
        state, scores = torch.tensor(automaton.start), []
        for token in walk:
            score, state = automaton.step(state, torch.tensor(token))
            scores.append(score.item())
        scores.append(automaton.ending[state].item())
        assert scores == pytest.approx(model.scores([NAMES[n] for n in walk]), abs=1e-6)


def test_a_table_holds_what_the_arcs_say(model):
    arcs = TokenAutomaton(model, TOKENS, CPU, table=False)
    table = TokenAutomaton(model, TOKENS, CPU, table=True)
    states = torch.arange(len(arcs.ending))[:, None]
    tokens = torch.arange(len(NAMES))[None, :]
    assert all(map(torch.equal, arcs.step(states, tokens), table.step(states, tokens)))


def test_without_a_model_nothing_scores():
    automaton = TokenAutomaton(None, TOKENS, CPU)
    score, state = automaton.step(torch.zeros(2, 1, dtype=torch.int64), torch.arange(5)[None])
    assert score.shape == state.shape == (2, 5)
    assert not score.any()
    assert not state.any()


def test_a_model_of_the_shared_data_scores_as_the_compiled_one_does(shared_data):
    model = read_arpa(shared_data / "decoding" / "lm3small.arpa.gz")
    names = ["<unk>", "the", "of", "and", "xyzzy", "time"]
    automaton = TokenAutomaton(model, Tokens(names), CPU)
    states = torch.randint(0, len(automaton.ending), (500, 1), generator=torch.manual_seed(1))
    scores, following = automaton.step(states, torch.arange(len(names))[None, :])
    for row, state in enumerate(states[:, 0].tolist()):
        for n, name in enumerate(names):
            expected = model.native.step(state, model.native.word(name.encode()))
            assert (scores[row, n].item(), following[row, n].item()) == pytest.approx(expected)


def test_a_unigram_model_needs_no_arcs(tmp_path):
    path = tmp_path / "one.arpa"
    path.write_text("\\data\\\nngram 1=2\n\n\\1-grams:\n-1.5\t</s>\n-0.5\ta\n\n\\end\\\n")
    automaton = TokenAutomaton(read_arpa(path), Tokens(["a", "b"]), CPU, table=False)
    score, state = automaton.step(torch.tensor([0, 0]), torch.tensor([0, 1]))
    assert score.tolist() == [-0.5, -100.0]
    assert automaton.ending[state].tolist() == [-1.5, -1.5]


def test_a_trie_of_kenlm_is_its_arpa_file(shared_data):
    folder = shared_data / "decoding"
    names = Tokens(["the", "of", "xyzzy"])
    tries, arpa = (
        TokenAutomaton(read_lm(folder / name), names, CPU)
        for name in ("lm3small.trie.bin", "lm3small.arpa.gz")
    )
    for walk in ([0, 1, 0], [2, 1, 0, 0], []):
        totals = []
        for automaton in (tries, arpa):
            state, total = torch.tensor(automaton.start), 0.0
            for token in walk:
                score, state = automaton.step(state, torch.tensor(token))
                total += score.item()
            totals.append(total + automaton.ending[state].item())
        assert totals[0] == pytest.approx(totals[1], abs=1e-4)


def test_what_is_no_model_of_ngrams_is_refused():
    with pytest.raises(InvalidValueError, match=r"lm is 'lm\.arpa'"):
        TokenAutomaton("lm.arpa", TOKENS, CPU)
