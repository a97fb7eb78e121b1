// The sequence-to-sequence search of sestina.decoding._native.
#include "decoding/seq2seq.hpp"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bind/decoding.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace sestina::decoding {

namespace {

using Scores = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Numbers = nb::ndarray<nb::numpy, std::int32_t, nb::ndim<1>>;
using Path = nb::ndarray<nb::numpy, std::int32_t, nb::ndim<2>>;
// Score, its acoustic and language parts, whether it is finished, and (token, word) rows.
using Found = nb::typed<nb::tuple, double, double, double, bool, Path>;

std::pair<std::int32_t*, nb::capsule> owned(std::size_t count) {
  auto* const data = new std::int32_t[count];
  return {data, nb::capsule(data, [](void* p) noexcept { delete[] static_cast<std::int32_t*>(p); })};
}

Numbers copied(std::span<const std::int32_t> numbers) {
  const auto [data, owner] = owned(numbers.size());
  std::copy(numbers.begin(), numbers.end(), data);
  return Numbers(data, {numbers.size()}, owner);
}

// A search with the decoder that it refers to; it never leaves the call that made it, so that no two
// threads meet in it.
struct Running {
  explicit Running(std::shared_ptr<const Seq2SeqDecoder> given)
      : decoder(std::move(given)), search(*decoder) {}

  std::shared_ptr<const Seq2SeqDecoder> decoder;
  Seq2SeqSearch search;
};

// Row and column of the first score that is NaN or plus infinity, if there is one.
std::optional<std::pair<std::ptrdiff_t, std::ptrdiff_t>> step(Running& running,
                                                              const Scores& scores) {
  const auto num_tokens = static_cast<std::size_t>(running.decoder->num_tokens());
  const std::size_t rows = running.search.tokens().size();
  if (scores.shape(0) != rows || scores.shape(1) != num_tokens) {
    throw std::invalid_argument(
        "scores have shape (" + std::to_string(scores.shape(0)) + ", " +
        std::to_string(scores.shape(1)) + "), expected (" + std::to_string(rows) + ", " +
        std::to_string(num_tokens) + "); score each hypothesis that goes on");
  }
  std::ptrdiff_t place = 0;
  {
    const nb::gil_scoped_release release;
    place = running.search.step(scores.data());
  }
  if (place == Seq2SeqSearch::fine) {
    return std::nullopt;
  }
  const auto width = static_cast<std::ptrdiff_t>(num_tokens);
  return std::pair(place / width, place % width);
}

nb::typed<nb::list, Found> finish(const Running& running, std::int32_t count) {
  nb::typed<nb::list, Found> result;
  for (const Seq2SeqHypothesis& hypothesis : running.search.finish(count)) {
    const std::size_t rows = hypothesis.path.size();
    const auto [data, owner] = owned(2 * rows);
    for (std::size_t k = 0; k < rows; ++k) {
      data[2 * k] = hypothesis.path[k].token;
      data[2 * k + 1] = hypothesis.path[k].word;
    }
    result.append(nb::make_tuple(hypothesis.score, hypothesis.acoustic, hypothesis.language,
                                 hypothesis.finished, Path(data, {rows, 2}, owner)));
  }
  return result;
}

}  // namespace

void bind_seq2seq(nb::module_& m) {
  nb::enum_<Joining>(m, "Joining")
      .value("tokens", Joining::tokens)
      .value("history", Joining::history)
      .value("context", Joining::context);
  nb::class_<Seq2SeqOptions>(m, "Seq2SeqOptions")
      .def(nb::init<>())
      .def_rw("beam_size", &Seq2SeqOptions::beam_size)
      .def_rw("beam_size_token", &Seq2SeqOptions::beam_size_token)
      .def_rw("beam_threshold", &Seq2SeqOptions::beam_threshold)
      .def_rw("lm_weight", &Seq2SeqOptions::lm_weight)
      .def_rw("word_score", &Seq2SeqOptions::word_score)
      .def_rw("token_score", &Seq2SeqOptions::token_score)
      .def_rw("eos_score", &Seq2SeqOptions::eos_score)
      .def_rw("length_penalty", &Seq2SeqOptions::length_penalty)
      .def_rw("log_add", &Seq2SeqOptions::log_add)
      .def_rw("joining", &Seq2SeqOptions::joining)
      .def_rw("token_lm", &Seq2SeqOptions::token_lm)
      .def_rw("flashlight", &Seq2SeqOptions::flashlight)
      .def_rw("eos", &Seq2SeqOptions::eos);

  nb::class_<Seq2SeqDecoder>(m, "Seq2SeqDecoder")
      .def(
          "__init__",
          [](Seq2SeqDecoder* self, const Lexicon* lexicon, const std::vector<std::string>& tokens,
             std::shared_ptr<LanguageModel> model, Smearing smearing,
             const Seq2SeqOptions& options) {
            const nb::gil_scoped_release release;
            const std::vector<std::string_view> names(tokens.begin(), tokens.end());
            if (lexicon == nullptr) {
              new (self) Seq2SeqDecoder(names, std::move(model), options);
            } else {
              new (self) Seq2SeqDecoder(lexicon->spellings, lexicon->trie, names, std::move(model),
                                        smearing, options);
            }
          },
          "lexicon"_a.none(), "tokens"_a, "model"_a, "smearing"_a, "options"_a)
      .def("search", [](std::shared_ptr<Seq2SeqDecoder> decoder) {
        return std::make_unique<Running>(std::move(decoder));
      });

  // The first word with a spelling that contains the token, or -1.
  m.def(
      "word_spelled_with",
      [](const Lexicon& lexicon, std::int32_t token) {
        for (std::size_t k = 0; k < lexicon.spellings.num_spellings(); ++k) {
          const std::span<const std::int32_t> tokens = lexicon.spellings.tokens_of(k);
          if (std::find(tokens.begin(), tokens.end(), token) != tokens.end()) {
            return lexicon.spellings.word_of(k);
          }
        }
        return -1;
      },
      "lexicon"_a, "token"_a);

  nb::class_<Running>(m, "Seq2SeqSearch")
      .def("rows",
           [](const Running& running) {
             return std::pair(copied(running.search.tokens()), copied(running.search.parents()));
           })
      .def("step", &step, "scores"_a)
      .def(
          "settled",
          [](const Running& running, std::int32_t count, std::int32_t max_length) {
            return running.search.settled(count, max_length);
          },
          "count"_a, "max_length"_a)
      .def("finish", &finish, "count"_a);
}

}  // namespace sestina::decoding
