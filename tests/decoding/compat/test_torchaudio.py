"""TorchAudio's names, checks and errors; what it returns is in tests/parity/test_torchaudio.py."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sestina.core.errors import NonFiniteError
from sestina.decoding import samples
from sestina.decoding.compat.flashlight.decoder import (
    CriterionType,
    LexiconDecoderOptions,
    ZeroLM,
)
from sestina.decoding.compat.flashlight.dictionary import (
    Dictionary,
    create_word_dict,
    load_words,
)
from sestina.decoding.compat.torchaudio import (
    CTCDecoder,
    CTCDecoderLM,
    CTCDecoderLMState,
    CTCHypothesis,
    ctc_decoder,
    download_pretrained_files,
)

TOKENS = ["-", "|", "a", "b"]
FRAMES = [[0.1, 0.1, 0.7, 0.1], [0.1, 0.1, 0.1, 0.7], [0.1, 0.7, 0.1, 0.1]]
EMISSIONS = torch.log(torch.tensor([FRAMES, FRAMES]))
# Rather "ab" than "ba", but not by much.
UNDECIDED = torch.log(
    torch.tensor([[[0.01, 0.01, 0.6, 0.38], [0.01, 0.01, 0.38, 0.6], [0.01, 0.97, 0.01, 0.01]]])
)


@pytest.fixture
def write(tmp_path):
    def written(text, name="file.txt"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return written


@pytest.fixture
def lexicon(write):
    return write("ab a b |\nba\tb a |\n", "lexicon.txt")


@pytest.fixture
def decoder(lexicon):
    return ctc_decoder(lexicon, TOKENS, nbest=2)


def test_a_hypothesis_has_tokens_words_score_and_timesteps(decoder):
    best = decoder(EMISSIONS)[0][0]
    assert isinstance(best, CTCHypothesis)
    tokens, words, score, timesteps = best
    assert tokens.dtype == torch.int64
    assert tokens.tolist() == [1, 2, 3, 1]  # the silence before the first frame, then a b |
    assert words == ["ab"]
    assert score == pytest.approx(3 * math.log(0.7), abs=1e-6)
    assert timesteps.dtype == torch.int32
    assert timesteps.tolist() == [0, 1, 2, 3]  # frames counted from 1; the end goes on with |


def test_its_attributes_are_torchaudios(decoder):
    assert isinstance(decoder, CTCDecoder)
    assert decoder.nbest == 2
    assert decoder.blank == 0
    assert decoder.tokens_dict.get_index("a") == 2
    assert decoder.word_dict.get_entry(decoder.word_dict.get_index("ab")) == "ab"
    assert decoder.word_dict.get_index("missing") == decoder.word_dict.get_index("<unk>")
    assert decoder.idxs_to_tokens(torch.LongTensor([2, 1])) == ["a", "|"]


def test_lengths_end_utterances(decoder):
    long, short = decoder(EMISSIONS, torch.tensor([3, 0]))
    assert long[0].words == ["ab"]
    # As Flashlight: no frame, one hypothesis, of the silences before and after.
    assert [one.words for one in short] == [[]]
    assert short[0].score == 0.0
    assert short[0].tokens.tolist() == [1]
    assert short[0].timesteps.tolist() == [0]


def test_emissions_that_are_no_numbers_are_refused_unless_they_are_padding(decoder):
    spoilt = EMISSIONS.clone()
    spoilt[1, 2, 3] = math.nan
    with pytest.raises(NonFiniteError, match=r"emissions\[1, 2, 3\] is nan, expected logarithms"):
        decoder(spoilt)
    first, second = decoder(spoilt, torch.tensor([3, 2]))
    assert (first[0].words, len(second)) == (["ab"], 1)
    decoder.decode_begin()
    with pytest.raises(NonFiniteError, match=r"emissions\[2, 3\] is nan"):
        decoder.decode_step(spoilt[1])
    decoder.decode_step(EMISSIONS[0])  # of the spoilt piece nothing was read
    decoder.decode_end()
    assert decoder.get_final_hypothesis()[0].words == ["ab"]
    spoilt[1, 2, 2] = math.inf
    with pytest.raises(NonFiniteError, match="is nan"):
        decoder(spoilt)
    spoilt[1, 2, 3] = -math.inf
    with pytest.raises(NonFiniteError, match="emissions is inf"):
        decoder(spoilt)


@pytest.mark.parametrize(
    ("emissions", "error", "message"),
    [
        (EMISSIONS.double(), ValueError, "emissions must be float32."),
        (EMISSIONS.double()[0], ValueError, "emissions must be float32."),
        (EMISSIONS.to("meta"), RuntimeError, "emissions must be a CPU tensor."),
        (EMISSIONS.transpose(1, 2), RuntimeError, "emissions must be contiguous."),
        (EMISSIONS[0], RuntimeError, "emissions must be 3D. Found torch.Size([3, 4])"),
    ],
)
def test_checks_come_in_torchaudios_order_with_its_errors(decoder, emissions, error, message):
    with pytest.raises(error) as caught:
        decoder(emissions)
    assert type(caught.value) is error
    assert str(caught.value) == message


def test_lengths_must_be_on_the_cpu_and_within_the_frames(decoder):
    with pytest.raises(RuntimeError, match=r"^lengths must be a CPU tensor\.$"):
        decoder(EMISSIONS, torch.tensor([3, 3], device="meta"))
    for lengths in ([3, 4], [-1, 3]):
        with pytest.raises(ValueError, match=r"lengths\[\d\] is .* expected 0 to 3"):
            decoder(EMISSIONS, torch.tensor(lengths))
    with pytest.raises(IndexError):
        decoder(EMISSIONS, torch.tensor([3]))
    assert decoder(EMISSIONS)[0][0].words == ["ab"]


@pytest.mark.parametrize(
    ("emissions", "error", "message"),
    [
        (EMISSIONS[0].double(), ValueError, "emissions must be float32."),
        (EMISSIONS[0].to("meta"), RuntimeError, "emissions must be a CPU tensor."),
        (EMISSIONS[0].T, RuntimeError, "emissions must be contiguous."),
        (EMISSIONS, RuntimeError, "emissions must be 2D. Found torch.Size([2, 3, 4])"),
    ],
)
def test_steps_are_checked_in_torchaudios_order_with_its_errors(decoder, emissions, error, message):
    decoder.decode_begin()
    with pytest.raises(error) as caught:
        decoder.decode_step(emissions)
    assert type(caught.value) is error
    assert str(caught.value) == message


def test_an_utterance_in_pieces_is_decoded_as_in_one(decoder):
    rng = np.random.default_rng(0)
    scores = torch.log_softmax(torch.from_numpy(rng.normal(size=(1, 40, 4)) * 3).float(), -1)
    expected = decoder(scores)[0]
    for sizes in ([40], [1] * 40, [0, 7, 33]):
        decoder.decode_begin()
        for piece in torch.split(scores[0], sizes):
            decoder.decode_step(piece)
        decoder.decode_end()
        found = decoder.get_final_hypothesis()
        assert len(found) == len(expected) == 2
        for one, other in zip(found, expected, strict=True):
            assert one.score == other.score
            assert one.words == other.words
            assert torch.equal(one.timesteps, other.timesteps)


def test_frames_after_the_end_are_an_error_and_the_next_utterance_works(decoder):
    decoder.decode_begin()
    decoder.decode_end()
    assert decoder.get_final_hypothesis()[0].words == []
    with pytest.raises(RuntimeError, match="call decode_begin"):
        decoder.decode_step(EMISSIONS[0])
    decoder.decode_begin()
    decoder.decode_step(EMISSIONS[0])
    decoder.decode_end()
    assert decoder.get_final_hypothesis()[0].words == ["ab"]


def test_results_do_not_depend_on_the_number_of_threads(decoder):
    rng = np.random.default_rng(1)
    scores = torch.log_softmax(torch.from_numpy(rng.normal(size=(9, 30, 4)) * 3).float(), -1)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 4):
            torch.set_num_threads(threads)
            found.append([[(h.words, h.score) for h in one] for one in decoder(scores)])
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]


def test_columns_beyond_the_tokens_change_nothing(decoder):
    wide = torch.cat([EMISSIONS, torch.full((2, 3, 70), -5.0)], dim=2).contiguous()
    assert decoder(wide)[0][0].words == ["ab"]


def test_emissions_with_gradients_are_read(decoder):
    assert decoder(EMISSIONS.clone().requires_grad_())[0][0].words == ["ab"]


def test_lm_dict_must_be_a_path_or_none(lexicon):
    with pytest.raises(ValueError, match=r"^lm_dict must be None or str type\.$"):
        ctc_decoder(lexicon, TOKENS, lm_dict=["ab"])


def test_lm_dict_numbers_the_words(lexicon, write):
    decoder = ctc_decoder(lexicon, TOKENS, lm_dict=write("<unk>\nba\nother\nab\n"))
    assert decoder.word_dict.get_index("ab") == 3
    assert decoder(EMISSIONS)[0][0].words == ["ab"]


def test_a_word_that_lm_dict_lacks_is_torchaudios_error(lexicon, write):
    with pytest.raises(ValueError, match=r"^Unknown entry in dictionary: 'ba'"):
        ctc_decoder(lexicon, TOKENS, lm_dict=write("<unk>\nab\n"))


@pytest.mark.parametrize(
    ("options", "missing"),
    [({"blank_token": "_"}, "_"), ({"sil_token": " "}, " ")],
)
def test_a_token_that_does_not_exist_is_torchaudios_error(lexicon, options, missing):
    with pytest.raises(ValueError) as caught:
        ctc_decoder(lexicon, TOKENS, **options)
    assert str(caught.value) == f"Unknown entry in dictionary: '{missing}'"


def test_bad_lines_of_a_lexicon_have_torchaudios_errors_and_their_place(write):
    path = write("ab a b |\nbad a x |\n")
    with pytest.raises(ValueError, match=r"^Unknown entry in dictionary: 'x'.*file\.txt:2"):
        ctc_decoder(path, TOKENS)
    path = write("ab a b |\nbad\n")
    with pytest.raises(RuntimeError, match=r"^\[loadWords\] Invalid line: bad.*file\.txt:2"):
        ctc_decoder(path, TOKENS)
    with pytest.raises(ValueError, match=r"text::loadWords - can't open file /none"):
        ctc_decoder("/none", TOKENS)


def test_files_that_do_not_exist_have_torchaudios_errors(lexicon):
    with pytest.raises(RuntimeError, match="Dictionary - cannot open file  /none"):
        ctc_decoder(lexicon, "/none")
    with pytest.raises(RuntimeError, match="/none"):
        ctc_decoder(lexicon, TOKENS, lm="/none")


def test_tokens_come_from_a_file_too(lexicon, write):
    decoder = ctc_decoder(lexicon, write("- <pad>\n|\n\na\nb\n"), blank_token="<pad>")
    assert decoder(EMISSIONS)[0][0].words == ["ab"]


def test_the_lexicon_may_spell_unk_without_effect(write):
    decoder = ctc_decoder(write("ab a b |\n<unk> b b |\n"), TOKENS)
    spoken = torch.log(torch.tensor([[FRAMES[1], [0.7, 0.1, 0.1, 0.1], FRAMES[1], FRAMES[2]]]))
    assert "<unk>" not in decoder(spoken)[0][0].words


def test_unknown_words_are_found_where_they_are_allowed(lexicon):
    decoder = ctc_decoder(lexicon, TOKENS, unk_score=-0.1)
    spoken = torch.log(torch.tensor([[FRAMES[0], FRAMES[2]]]))
    assert "<unk>" in decoder(spoken)[0][0].words


def test_the_tutorials_snippet_runs_on_the_bundled_set():
    # From sound to text as TorchAudio's tutorial goes, with the package's own files and model.
    files = download_pretrained_files("sestina-sample")
    beam_search_decoder = ctc_decoder(
        lexicon=files.lexicon,
        tokens=files.tokens,
        lm=files.lm,
        nbest=3,
        beam_size=1500,
        lm_weight=3.23,
        word_score=-0.26,
    )
    bundled = samples.sample()
    emission = torch.from_numpy(bundled.emissions[0])[None]
    beam_search_result = beam_search_decoder(emission)
    beam_search_transcript = " ".join(beam_search_result[0][0].words).strip()
    timesteps = beam_search_result[0][0].timesteps
    predicted_tokens = beam_search_decoder.idxs_to_tokens(beam_search_result[0][0].tokens)
    assert len(beam_search_result[0]) == 3
    assert beam_search_transcript.split() == "".join(predicted_tokens).replace("|", " ").split()
    assert len(predicted_tokens) == len(timesteps)
    said = set(bundled.references[0].split())
    assert len(said & set(beam_search_transcript.split())) >= len(said) / 2


def test_the_posts_snippet_runs_from_sound_to_text():
    # As the announcement of the decoder has it, but for the import and where the sound comes from.
    acoustic_model = samples.acoustic_model()
    sounds = [torch.from_numpy(samples.read_wav(one.path)) for one in samples.recordings()]
    waveforms = torch.nn.utils.rnn.pad_sequence(sounds, batch_first=True)
    files = download_pretrained_files("sestina-sample")
    decoder = ctc_decoder(lexicon=files.lexicon, tokens=files.tokens, lm=files.lm, nbest=3)

    emissions = acoustic_model(waveforms)  # (batch, frame, token)
    batch_hypotheses = decoder(emissions)
    batch_transcripts = [" ".join(hypotheses[0].words) for hypotheses in batch_hypotheses]
    batch_tokens = [decoder.idxs_to_tokens(hypotheses[0].tokens) for hypotheses in batch_hypotheses]

    texts = [one.text for one in samples.recordings()]
    said = [set(text.split()) for text in texts]
    found = [set(transcript.split()) for transcript in batch_transcripts]
    right = sum(len(a & b) for a, b in zip(said, found, strict=True))
    assert right >= sum(map(len, said)) / 2
    for transcript, tokens in zip(batch_transcripts, batch_tokens, strict=True):
        assert "".join(tokens).replace("|", " ").split() == transcript.split()


def test_without_a_lexicon_there_are_tokens_and_no_words():
    decoder = ctc_decoder(None, TOKENS, nbest=2)
    best, second = decoder(EMISSIONS)[0]
    assert decoder.word_dict is None
    assert (best.words, best.tokens.tolist()) == ([], [1, 2, 3, 1])
    assert best.score > second.score


def test_without_a_lexicon_a_model_from_a_file_scores_tokens(write):
    # TorchAudio numbers these in the order of a hash table, and scores each token as another one.
    words = {"<unk>": -9, "<s>": -9, "</s>": -1, "-": -9, "|": -1, "a": -1, "b": -3}
    lines = [f"{score}\t{word}" for word, score in words.items()]
    head = ["\\data\\", f"ngram 1={len(words)}", "", "\\1-grams:"]
    arpa = write("\n".join([*head, *lines, "", "\\end\\", ""]), "lm.arpa")
    decoder = ctc_decoder(None, TOKENS, lm=arpa, lm_weight=1.0)
    best = decoder(UNDECIDED)[0][0]
    assert best.tokens.tolist() == [1, 2, 1]  # b is not worth its place
    assert decoder.word_dict.get_index("<unk>") == len(TOKENS)


class Preferring(CTCDecoderLM):
    """Words of this number, and no others; as TorchAudio's tutorial writes its own."""

    def __init__(self, number):
        CTCDecoderLM.__init__(self)
        self.number = number
        self.asked = []

    def start(self, start_with_nothing):
        return CTCDecoderLMState()

    def score(self, state, usr_token_idx):
        self.asked.append(usr_token_idx)
        return state.child(usr_token_idx), 0.0 if usr_token_idx == self.number else -20.0

    def finish(self, state):
        return state, -0.5


def test_a_language_model_of_ones_own_decides(lexicon):
    plain = ctc_decoder(lexicon, TOKENS)
    number = plain.word_dict.get_index("ba")
    decoder = ctc_decoder(lexicon, TOKENS, lm=Preferring(number), lm_weight=1.0)
    assert isinstance(decoder.lm, Preferring)
    assert plain(UNDECIDED)[0][0].words == ["ab"]
    best = decoder(UNDECIDED)[0][0]
    assert best.words == ["ba"]
    # Of b, a and |, and of the end of the sentence.
    assert best.score == pytest.approx(2 * math.log(0.38) + math.log(0.97) - 0.5, abs=1e-5)
    assert set(decoder.lm.asked) == {0, 1}


def test_a_language_model_of_ones_own_reads_tokens_without_a_lexicon():
    decoder = ctc_decoder(None, TOKENS, lm=Preferring(3), lm_weight=1.0)
    assert decoder(UNDECIDED)[0][0].tokens.tolist() == [1, 3, 1]


class Failing(Preferring):
    """Raises once, in the middle."""

    failures = 1

    def score(self, state, usr_token_idx):
        if state.children is not None and self.failures and len(self.asked) > 3:
            self.failures -= 1
            raise KeyError("mine")
        return super().score(state, usr_token_idx)


@pytest.mark.parametrize("score", [math.inf, math.nan, 1e39])
def test_a_language_model_that_gives_no_number_is_refused(lexicon, score):
    class Wrong(Preferring):
        def score(self, state, token_index):
            return state.child(token_index), score

    with pytest.raises(NonFiniteError, match="a score of the language model is"):
        ctc_decoder(lexicon, TOKENS, lm=Wrong(0), lm_dict=None)(UNDECIDED)


@pytest.mark.parametrize(
    ("name", "value"),
    [("beam_size", 0), ("beam_size", -1), ("lm_weight", math.nan), ("sil_score", math.inf)],
)
def test_options_that_no_search_can_work_with_are_refused(lexicon, name, value):
    with pytest.raises(ValueError, match=f"^{name} is {value}, expected "):
        ctc_decoder(lexicon, TOKENS, **{name: value})(UNDECIDED)


def test_what_a_language_model_raises_comes_out_and_the_decoder_works_on(lexicon):
    lm = Failing(0)
    decoder = ctc_decoder(lexicon, TOKENS, lm=lm, lm_weight=1.0)
    with pytest.raises(KeyError, match="mine"):
        decoder(EMISSIONS)
    assert lm.failures == 0
    assert decoder(EMISSIONS)[0][0].words == ["ab"]
    decoder.decode_begin()
    lm.failures = 1
    with pytest.raises(KeyError, match="mine"):
        decoder.decode_step(EMISSIONS[0])
    decoder.decode_begin()
    decoder.decode_step(EMISSIONS[0])
    decoder.decode_end()
    assert decoder.get_final_hypothesis()[0].words == ["ab"]


def test_states_are_those_of_torchaudio():
    state = CTCDecoderLMState()
    child = state.child(3)
    assert state.child(3) is child
    assert isinstance(child, CTCDecoderLMState)
    assert state.children == {3: child}
    assert state.compare(state) == 0
    assert state.compare(child) == -child.compare(state) != 0


def test_methods_that_a_model_lacks_are_missed_by_name(lexicon):
    with pytest.raises(NotImplementedError):
        ctc_decoder(lexicon, TOKENS, lm=CTCDecoderLM())


def test_the_class_is_made_of_parts_as_there(lexicon):
    words = load_words(lexicon)
    made = CTCDecoder(
        nbest=2,
        lexicon=words,
        word_dict=create_word_dict(words),
        tokens_dict=Dictionary(TOKENS),
        lm=ZeroLM(),
        decoder_options=LexiconDecoderOptions(
            50, 4, 50, 2, 0, -math.inf, 0, False, CriterionType.CTC
        ),
        blank_token="-",
        sil_token="|",
        unk_word="<unk>",
    )
    expected = ctc_decoder(lexicon, TOKENS, nbest=2)(UNDECIDED)[0]
    assert [(one.words, one.score) for one in made(UNDECIDED)[0]] == [
        (one.words, one.score) for one in expected
    ]
