"""The search against all paths, one by one, on problems small enough for that."""

import subprocess
import sys

import numpy as np
import pytest

from sestina.core.errors import InvalidValueError, NonFiniteError, OptionError, ShapeError
from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, read_arpa
from tests.decoding.word_problems import ARPA, every_path, exhaustive, problem, realistic


@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("seed", range(100))
def test_an_exhaustive_beam_finds_what_all_paths_give(seed, log_add):
    rng, scores, spellings, silence, lexicon = problem(seed)
    options = exhaustive(rng, silence, log_add=log_add, merge="history")
    expected = every_path(scores, spellings, silence, options)
    if not expected:  # no reading is complete: the best parts of words come back
        return
    found = Decoder(lexicon, options=options).decode(scores, nbest=100_000)
    texts = [tuple(word.text for word in one.words) for one in found]
    assert len(set(texts)) == len(texts)
    assert {t: one.score for t, one in zip(texts, found, strict=True)} == pytest.approx(
        expected, abs=1e-4
    )
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


@pytest.mark.parametrize("smearing", ["none", "max", "logadd"])
@pytest.mark.parametrize("merge", ["context", "history"])
@pytest.mark.parametrize("seed", range(100, 130))
def test_with_a_language_model_the_best_reading_is_the_best_of_all(seed, merge, smearing, tmp_path):
    path = tmp_path / "lm.arpa"
    path.write_text(ARPA)
    model = read_arpa(path)
    rng, scores, spellings, silence, lexicon = problem(seed)
    options = exhaustive(rng, silence, merge=merge, smearing=smearing, lm_weight=1.3)
    expected = every_path(scores, spellings, silence, options, lambda w: sum(model.scores(w)))
    if not expected:
        return
    best = Decoder(lexicon, model, options).decode(scores)[0]
    words = tuple(word.text for word in best.words)
    assert best.score == pytest.approx(max(expected.values()), abs=1e-4)
    assert expected[words] == pytest.approx(best.score, abs=1e-4)
    assert best.language_score == pytest.approx(sum(model.scores(words)), abs=1e-4)
    extras = options.word_score * len(words)
    silent = [t for t in best.tokens if t.text == "|"]
    extras += options.sil_score * sum(t.end - t.start for t in silent)
    assert best.score == pytest.approx(
        best.acoustic_score + 1.3 * best.language_score + extras, abs=1e-4
    )


def test_threads_give_what_one_gives():
    lexicon, _ = realistic(2)
    batch = np.stack([realistic(seed)[1] for seed in range(2, 12)])
    lengths = [200, 0, 1, 50, 199, 200, 7, 120, 30, 200]
    decoder = Decoder(lexicon, options=DecoderOptions(beam_size=20))
    one = decoder.decode_batch(batch, lengths, nbest=3)
    assert decoder.decode_batch(batch, lengths, nbest=3, threads=4) == one
    cut = [scores[:length] for scores, length in zip(batch, lengths, strict=True)]
    assert [decoder.decode(scores, nbest=3) for scores in cut] == one
    assert decoder.decode_batch(cut, nbest=3, threads=2) == one


def test_a_narrow_beam_is_never_better_and_a_wide_one_gets_there():
    lexicon, scores = realistic(3, num_frames=60)
    scores[-1] = np.where(np.arange(10) == 1, 0.0, -40.0)  # a separator: the last word is complete
    best = [
        Decoder(lexicon, options=DecoderOptions(beam_size=size)).decode(scores)[0]
        for size in (20, 50, 2000, 4000)
    ]
    assert {one.tokens[-1].text for one in best} == {"|"}
    found = [one.score for one in best]
    assert max(found) == found[-1] == found[-2] >= found[0]


def test_frames_of_tokens_and_words_are_where_they_were_said():
    lexicon = Lexicon.from_spellings({"ab": "a b |", "c": "c |"}, Tokens(list("-|abc")))
    said = "--aa-bb||-cc--|"
    scores = np.full((len(said), 5), -9.0, np.float32)
    scores[np.arange(len(said)), ["-|abc".index(c) for c in said]] = -0.1
    best = Decoder(lexicon).decode(scores)[0]
    assert [(w.text, w.start, w.end) for w in best.words] == [("ab", 2, 7), ("c", 10, 12)]
    assert [(t.text, t.start, t.end) for t in best.tokens] == [
        ("a", 2, 4),
        ("b", 5, 7),
        ("|", 7, 9),
        ("c", 10, 12),
        ("|", 14, 15),
    ]


def test_flashlight_departs_from_ctc_where_it_is_known_to():
    # Spelled without a separator, its "bee" needs no blank between the two e.
    lexicon = Lexicon.from_spellings({"bee": "b e e", "be": "b e"}, Tokens(list("-|be")))
    scores = np.full((3, 4), -9.0, np.float32)
    scores[[0, 1, 2], [2, 3, 3]] = -0.03
    texts = {
        semantics: Decoder(lexicon, options=DecoderOptions(semantics=semantics))
        .decode(scores)[0]
        .text
        for semantics in ("ctc", "flashlight")
    }
    assert texts == {"ctc": "be", "flashlight": "bee"}


def test_a_word_that_the_lexicon_lacks_is_unknown_where_that_is_allowed():
    lexicon = Lexicon.from_spellings({"ab": "a b |"}, Tokens(list("-|abc")))
    scores = np.full((3, 5), -9.0, np.float32)
    scores[[0, 1, 2], [2, 2, 1]] = -0.1
    options = DecoderOptions(unk_score=-1.0)
    assert Decoder(lexicon, options=options).decode(scores)[0].text == "<unk>"


def test_more_than_64_tokens_are_searched_without_masks():
    names = ["-", "|", *(f"t{n}" for n in range(98))]
    lexicon = Lexicon.from_spellings(
        {f"w{n}": f"t{n} t{(7 * n) % 98} |" for n in range(98)}, Tokens(names)
    )
    rng = np.random.default_rng(0)
    scores = np.full((40, 100), -12.0, np.float32)
    said = []
    for place in range(10):
        word = int(rng.integers(0, 98))
        said.append(f"w{word}")
        parts = [f"t{word}", "-" if 7 * word % 98 == word else f"t{7 * word % 98}"]
        spoken = [*parts, f"t{7 * word % 98}", "|"]
        scores[4 * place + np.arange(4), [names.index(part) for part in spoken]] = -0.01
    assert Decoder(lexicon).decode(scores)[0].text == " ".join(said)


def test_no_frames_have_no_words():
    lexicon, _ = realistic(0)
    best = Decoder(lexicon).decode(np.zeros((0, 10), np.float32))[0]
    assert (best.text, best.tokens, best.score) == ("", (), 0.0)


def test_bad_input_is_an_error_and_the_decoder_goes_on():
    lexicon, scores = realistic(4)
    decoder = Decoder(lexicon)
    before = decoder.decode(scores)
    bad = scores.copy()
    bad[3, 2] = np.nan
    with pytest.raises(NonFiniteError, match=r"emissions\[3, 2\] is nan"):
        decoder.decode(bad)
    with pytest.raises(ShapeError):
        decoder.decode(scores[:, :5])
    bad[3] = -np.inf
    with pytest.raises(InvalidValueError, match="200 frames, expected scores that leave"):
        decoder.decode(bad)
    with pytest.raises(InvalidValueError, match="nbest is 0"):
        decoder.decode(scores, nbest=0)
    with pytest.raises(OptionError, match="blank is '#', expected one of"):
        Decoder(lexicon, options=DecoderOptions(blank="#"))
    assert decoder.decode(scores) == before


def test_what_lies_beyond_the_lengths_is_not_looked_at():
    lexicon, scores = realistic(4)
    batch = np.stack([scores, scores])
    batch[1, 50:] = np.nan
    decoder = Decoder(lexicon)
    found = decoder.decode_batch(batch, [len(scores), 50])
    assert found == [decoder.decode(scores), decoder.decode(scores[:50])]
    with pytest.raises(NonFiniteError, match=r"emissions\[1\]\[50, 0\] is nan"):
        decoder.decode_batch(batch)
    with pytest.raises(ShapeError, match=r"expected \(utterance, frame, token\)"):
        decoder.decode_batch(scores)


def test_lengths_of_a_sequence_are_refused_rather_than_forgotten():
    lexicon, scores = realistic(4)
    with pytest.raises(InvalidValueError, match="none for a sequence"):
        Decoder(lexicon).decode_batch([scores, scores], [10, 20])


def test_numbers_beyond_all_bounds_ask_for_all_there_is():
    lexicon, scores = realistic(5, num_frames=20)
    every = Decoder(lexicon).decode(scores, nbest=1000)
    huge = DecoderOptions(beam_size_token=10**12)
    assert Decoder(lexicon, options=huge).decode(scores, nbest=10**12) == every
    assert Decoder(lexicon).decode_batch([scores], nbest=1000, threads=10**12) == [every]
    assert Decoder(lexicon).decode_batch([], threads=2) == []


def test_an_empty_lexicon_says_nothing():
    lexicon = Lexicon.from_spellings({}, Tokens(list("-|a")))
    assert Decoder(lexicon).decode(np.zeros((4, 3), np.float32))[0].text == ""


def test_what_is_no_language_model_is_named():
    lexicon, _ = realistic(5)
    with pytest.raises(InvalidValueError, match=r"lm is 'lm.arpa', expected a LanguageModel"):
        Decoder(lexicon, "lm.arpa")


def test_arguments_of_another_kind_are_named():
    lexicon, scores = realistic(4)
    for given, match in (
        ((["a"],), "vocabulary is .* expected a Lexicon or Tokens"),
        ((lexicon, None, {"beam_size": 3}), "options is .* expected DecoderOptions"),
    ):
        with pytest.raises(InvalidValueError, match=match):
            Decoder(*given)
    for count in (2.5, "3", None):
        with pytest.raises(InvalidValueError, match=r"nbest is .* expected an integer"):
            Decoder(lexicon).decode(scores, nbest=count)


def test_decoding_loads_no_torch():
    code = (
        "import sys, numpy as np; from sestina.decoding import *;"
        "lexicon = Lexicon.from_spellings({'a': 'a |'}, Tokens(['-', '|', 'a']));"
        "Decoder(lexicon).decode(np.zeros((5, 3), np.float32));"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_model_of_words_without_a_lexicon_is_warned_of(tmp_path):
    path = tmp_path / "words.arpa"
    path.write_text(
        "\\data\\\nngram 1=4\n\n\\1-grams:\n-1 <unk>\n-99 <s>\n-1 </s>\n-1 ab\n\n\\end\\\n"
    )
    with pytest.warns(
        UserWarning, match="knows 0 of 3 tokens; without a lexicon it is asked about"
    ):
        Decoder(Tokens(list("-|ab")), read_arpa(path))
