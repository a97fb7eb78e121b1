// sestina.decoding._native: checks, releases the GIL, calls csrc/decoding.
#include "bind/decoding.hpp"
#include "bind/python_model.hpp"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/simd.hpp"
#include "decoding/decoder.hpp"
#include "decoding/errors.hpp"
#include "decoding/interruption.hpp"
#include "decoding/lattice.hpp"
#include "decoding/lexicon.hpp"
#include "decoding/lm/model.hpp"
#include "decoding/packed.hpp"
#include "decoding/tokens.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace sestina::decoding;

namespace {

using Scores = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Values = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Block = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

Found found(const Hypothesis& hypothesis) {
  const std::size_t rows = hypothesis.path.size();
  auto* const data = new std::int32_t[3 * rows];
  const nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<std::int32_t*>(p); });
  for (std::size_t k = 0; k < rows; ++k) {
    data[3 * k] = hypothesis.path[k].token;
    data[3 * k + 1] = hypothesis.path[k].frame;
    data[3 * k + 2] = hypothesis.path[k].word;
  }
  return Found(nb::make_tuple(hypothesis.score, hypothesis.acoustic, hypothesis.language,
                              Path(data, {rows, 3}, owner)));
}

std::vector<float> copy(const Values& values) {
  return {values.data(), values.data() + values.size()};
}

void check_width(const Scores& scores, std::int32_t num_tokens) {
  if (scores.shape(1) != static_cast<std::size_t>(num_tokens)) {
    throw std::invalid_argument("scores have " + std::to_string(scores.shape(1)) +
                                " columns, expected one for each of the " +
                                std::to_string(num_tokens) + " tokens; check the model's output");
  }
}

std::vector<Utterance> views_of(const std::vector<Scores>& utterances, std::int32_t num_tokens) {
  std::vector<Utterance> views;
  for (const Scores& scores : utterances) {
    check_width(scores, num_tokens);
    views.push_back({scores.data(), static_cast<std::ptrdiff_t>(scores.shape(0))});
  }
  return views;
}

// A search with what it refers to; for one thread at a time, which `Use` sees to.
struct Running {
  explicit Running(std::shared_ptr<const Decoder> given)
      : decoder(std::move(given)), search(decoder->search()) {}

  std::shared_ptr<const Decoder> decoder;
  std::unique_ptr<Search> search;
  std::atomic<bool> in_use{false};
  bool failed = false;  // within a step, so that what it holds is of no use
};

class Use {
 public:
  explicit Use(Running& running) : running_(running) {
    if (running.in_use.exchange(true)) {
      throw std::runtime_error(
          "the search is at work, in another thread or in the language model that it calls, "
          "expected one call at a time; "
          "make a stream for each thread");
    }
  }
  ~Use() { running_.in_use = false; }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

 private:
  Running& running_;
};

// Ctrl-C, which Python only notes while compiled code runs: looked for some ten times a second.
class Signals : public Interruption {
 public:
  void look() override {
    const auto now = std::chrono::steady_clock::now();
    if (now - looked_ < std::chrono::milliseconds(100)) {
      return;
    }
    looked_ = now;
    const nb::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) {
      throw nb::python_error();
    }
  }

 private:
  std::chrono::steady_clock::time_point looked_ = std::chrono::steady_clock::now();
};

// Python's threads go on, and work of this one can be interrupted.
class Released {
 public:
  Released() : interruptible_(signals_) {}

 private:
  Signals signals_;
  const Interruptible interruptible_;
  const nb::gil_scoped_release release_;
};

// A model's own code that searches does it in its thread; the result does not depend on it.
int allowed(int threads) noexcept { return is_calling_python() ? 1 : threads; }

void check_whole(const Running& running) {
  if (running.failed) {
    throw std::runtime_error(
        "the search ended in an error within a step, expected one that can go on; restart it");
  }
}

void bind_errors() {
  nb::register_exception_translator(
      [](const std::exception_ptr& caught, void*) {
        try {
          std::rethrow_exception(caught);
        } catch (const FormatError& error) {
          const nb::object type = nb::module_::import_("sestina.decoding.reading").attr("Problem");
          // Bytes, as a quoted piece of a file need not be text.
          const std::string reason = error.reason();
          const nb::object made =
              type(nb::bytes(reason.data(), reason.size()), error.remedy(), error.line());
          PyErr_SetObject(type.ptr(), made.ptr());
        } catch (const ScoreError& error) {
          const nb::object type =
              nb::module_::import_("sestina.core.errors").attr("NonFiniteError");
          const nb::object made =
              type("a score of the language model", error.score(),
                   "expected"_a = "a number or minus infinity",
                   "remedy"_a = "its file is damaged or its code is wrong: make it anew");
          PyErr_SetObject(type.ptr(), made.ptr());
        } catch (const sestina::UnknownSimdLevel& error) {
          const nb::object type = nb::module_::import_("sestina.core.errors").attr("UnknownNameError");
          const nb::object made = type("SESTINA_SIMD", error.name(),
                                       "expected"_a = "one of " + error.known() + " on this machine",
                                       "remedy"_a = "unset the variable to use the best");
          PyErr_SetObject(type.ptr(), made.ptr());
        }
      },
      nullptr);
}

void bind_lexicons(nb::module_& m) {
  nb::class_<TokenTable>(m, "TokenTable")
      .def(nb::init<std::vector<std::pair<std::string, std::int32_t>>, std::int32_t>(),
           "entries"_a, "count"_a)
      .def("find", &TokenTable::find, "spelling"_a)
      .def("nearest", &TokenTable::nearest, "spelling"_a);

  nb::class_<Lexicon>(m, "Lexicon")
      .def_static(
          "parse",
          [](const nb::bytes& text, const TokenTable& tokens) {
            const std::string_view view(static_cast<const char*>(text.data()), text.size());
            const nb::gil_scoped_release release;
            return std::make_unique<Lexicon>(Spellings::parse(view, tokens));
          },
          "text"_a, "tokens"_a)
      .def_prop_ro("num_words", [](const Lexicon& l) { return l.spellings.words().size(); })
      .def_prop_ro("num_spellings", [](const Lexicon& l) { return l.spellings.num_spellings(); })
      .def_prop_ro("num_nodes", [](const Lexicon& l) { return l.trie.num_nodes(); })
      .def("find", [](const Lexicon& l, const nb::bytes& word) {
        return l.spellings.words().find({static_cast<const char*>(word.data()), word.size()});
      })
      .def("spelling_with",
           [](const Lexicon& l, std::int32_t token) { return l.spellings.spelling_with(token); })
      .def_prop_ro("last_token", [](const Lexicon& l) { return l.spellings.last_token(); })
      .def("extended",
           [](const Lexicon& l, const Lexicon& more) {
             const nb::gil_scoped_release release;
             return std::make_unique<Lexicon>(l.spellings.extended(more.spellings));
           })
      .def("restricted",
           [](const Lexicon& l, const std::vector<std::int32_t>& words) {
             for (const std::int32_t word : words) {
               if (word < 0 || word >= l.spellings.words().size()) {
                 throw nb::index_error("no word has this id");
               }
             }
             const nb::gil_scoped_release release;
             return std::make_unique<Lexicon>(l.spellings.restricted(words));
           })
      .def("word",
           [](const Lexicon& l, std::int32_t id) {
             if (id < 0 || id >= l.spellings.words().size()) {
               throw nb::index_error("no word has this id");
             }
             const std::string_view text = l.spellings.words().text(id);
             return nb::bytes(text.data(), text.size());
           })
      .def("spelling", [](const Lexicon& l, std::size_t spelling) {
        if (spelling >= l.spellings.num_spellings()) {
          throw nb::index_error("no spelling has this number");
        }
        const auto tokens = l.spellings.tokens_of(spelling);
        return std::pair(l.spellings.word_of(spelling),
                         std::vector<std::int32_t>(tokens.begin(), tokens.end()));
      });
}

void bind_options(nb::module_& m) {
  nb::enum_<Merge>(m, "Merge").value("history", Merge::history).value("context", Merge::context);
  nb::enum_<Smearing>(m, "Smearing")
      .value("none", Smearing::none)
      .value("max", Smearing::max)
      .value("logadd", Smearing::logadd);
  nb::class_<SearchOptions>(m, "SearchOptions")
      .def(nb::init<>())
      .def_rw("beam_size", &SearchOptions::beam_size)
      .def_rw("beam_size_token", &SearchOptions::beam_size_token)
      .def_rw("beam_threshold", &SearchOptions::beam_threshold)
      .def_rw("lm_weight", &SearchOptions::lm_weight)
      .def_rw("word_score", &SearchOptions::word_score)
      .def_rw("unk_score", &SearchOptions::unk_score)
      .def_rw("sil_score", &SearchOptions::sil_score)
      .def_rw("log_add", &SearchOptions::log_add)
      .def_rw("merge", &SearchOptions::merge)
      .def_rw("recorded_merge", &SearchOptions::recorded_merge)
      .def_rw("flashlight", &SearchOptions::flashlight)
      .def_rw("blank", &SearchOptions::blank)
      .def_rw("silence", &SearchOptions::silence)
      .def_rw("unk_word", &SearchOptions::unk_word)
      .def_rw("token_score", &SearchOptions::token_score)
      .def_rw("blank_skip", &SearchOptions::blank_skip)
      .def_rw("asg", &SearchOptions::asg)
      .def_rw("token_lm", &SearchOptions::token_lm)
      .def_rw("open", &SearchOptions::open)
      .def_rw("enough", &SearchOptions::enough)
      // All of it, fields that are yet to come included; for processes of the same build.
      .def("__getstate__",
           [](const SearchOptions& options) {
             static_assert(std::is_trivially_copyable_v<SearchOptions>);
             return nb::bytes(&options, sizeof options);
           })
      .def("__setstate__", [](SearchOptions* self, const nb::bytes& state) {
        if (state.size() != sizeof(SearchOptions)) {
          throw std::invalid_argument("the options are those of another version of sestina");
        }
        new (self) SearchOptions();
        std::memcpy(self, state.data(), sizeof *self);
      });
}

void bind_decoders(nb::module_& m) {
  nb::class_<Decoder>(m, "Decoder")
      .def(
          "__init__",
          [](Decoder* self, const Lexicon& lexicon, std::shared_ptr<LanguageModel> model,
             const std::vector<std::string>& tokens, Smearing smearing,
             const SearchOptions& options, const Values& transitions, const Values& bonuses,
             std::shared_ptr<PhraseAutomaton> phrases) {
            const nb::gil_scoped_release release;
            const std::vector<std::string_view> names(tokens.begin(), tokens.end());
            new (self) Decoder(lexicon.spellings, lexicon.trie, std::move(model), names, smearing,
                               options, copy(transitions), copy(bonuses), std::move(phrases));
          },
          nb::keep_alive<1, 2>(), "lexicon"_a, "model"_a, "tokens"_a, "smearing"_a, "options"_a,
          "transitions"_a, "bonuses"_a, "phrases"_a.none())
      .def(
          "__init__",
          [](Decoder* self, std::shared_ptr<LanguageModel> model,
             const std::vector<std::string>& tokens, const SearchOptions& options,
             const Values& transitions, std::shared_ptr<PhraseAutomaton> phrases) {
            const nb::gil_scoped_release release;
            const std::vector<std::string_view> names(tokens.begin(), tokens.end());
            new (self) Decoder(std::move(model), names, options, copy(transitions),
                               std::move(phrases));
          },
          "model"_a, "tokens"_a, "options"_a, "transitions"_a, "phrases"_a.none())
      .def(
          "__init__",
          [](Decoder* self, const Block& packed, std::shared_ptr<LanguageModel> model,
             const SearchOptions& options, std::shared_ptr<PhraseAutomaton> phrases) {
            const nb::gil_scoped_release release;
            const auto block = std::as_bytes(std::span(packed.data(), packed.size()));
            const Packed parts = unpack(block, model->num_words());
            new (self) Decoder(parts, std::move(model), options, std::move(phrases));
          },
          nb::keep_alive<1, 2>(), "packed"_a, "model"_a, "options"_a, "phrases"_a.none())
      .def_prop_ro("has_parts", &Decoder::has_parts)
      .def("pack",
           [](const Decoder& decoder) {
             if (!decoder.has_parts()) {
               throw std::invalid_argument("the decoder can't be packed");
             }
             const std::vector<std::byte> block = pack(decoder.parts());
             return nb::bytes(block.data(), block.size());
           })
      .def_prop_ro("num_tokens", &Decoder::num_tokens)
      .def_prop_ro("options", [](const Decoder& decoder) { return decoder.options(); })
      .def(
          "decode",
          [](const Decoder& decoder, const std::vector<Scores>& utterances, std::int32_t count,
             int threads) {
            const std::vector<Utterance> views = views_of(utterances, decoder.num_tokens());
            std::vector<std::vector<Hypothesis>> results;
            {
              const Released released;
              results = decoder.decode(views, count, allowed(threads));
            }
            nb::typed<nb::list, AllFound> lists;
            for (const auto& hypotheses : results) {
              lists.append(found_all(hypotheses));
            }
            return lists;
          },
          "utterances"_a, "count"_a, "threads"_a)
      .def(
          "decode_with_confidences",
          [](const Decoder& decoder, const std::vector<Scores>& utterances, std::int32_t count,
             int threads, double beam, double scale, std::size_t most_texts) {
            const std::vector<Utterance> views = views_of(utterances, decoder.num_tokens());
            std::vector<std::vector<Hypothesis>> results;
            {
              const Released released;
              const Posteriors posteriors{beam, scale, most_texts};
              results = decoder.decode(views, count, allowed(threads), &posteriors);
            }
            using Sure = nb::typed<nb::tuple, Found, std::vector<double>>;
            nb::typed<nb::list, nb::typed<nb::list, Sure>> lists;
            for (const auto& hypotheses : results) {
              nb::list list;
              for (const Hypothesis& hypothesis : hypotheses) {
                list.append(nb::make_tuple(found(hypothesis), hypothesis.confidences));
              }
              lists.append(list);
            }
            return lists;
          },
          "utterances"_a, "count"_a, "threads"_a, "beam"_a, "scale"_a, "most_texts"_a)
      .def(
          "lattice",
          [](const Decoder& decoder, const Scores& scores, double beam, std::size_t most_texts) {
            check_width(scores, decoder.num_tokens());
            const Released released;
            return decoder.lattice({scores.data(), static_cast<std::ptrdiff_t>(scores.shape(0))},
                                   beam, most_texts);
          },
          "scores"_a, "beam"_a, "most_texts"_a, "None if no path leads to the end.")
      .def("search", [](std::shared_ptr<Decoder> decoder) {
        return std::make_unique<Running>(std::move(decoder));
      });
}

void bind_searches(nb::module_& m) {
  nb::class_<Running>(m, "Search")
      .def("begin", [](Running& running) {
             const Use use(running);
             running.failed = true;
             running.search->begin();
             running.failed = false;
           })
      .def(
          "step",
          [](Running& running, const Scores& scores) {
            check_width(scores, running.decoder->num_tokens());
            const Use use(running);
            check_whole(running);
            running.failed = true;
            {
              const Released released;
              running.search->step(scores.data(), static_cast<std::ptrdiff_t>(scores.shape(0)));
            }
            running.failed = false;
          },
          "scores"_a)
      .def(
          "finish",
          [](Running& running, std::int32_t count) {
            const Use use(running);
            check_whole(running);
            std::vector<Hypothesis> hypotheses;
            {
              const nb::gil_scoped_release release;
              hypotheses = running.search->finish(count);
            }
            return found_all(hypotheses);
          },
          "count"_a)
      .def(
          "beam",
          [](Running& running, std::int32_t count) {
            const Use use(running);
            return found_all(running.search->beam(count));
          },
          "count"_a)
      .def("settled",
           [](Running& running) {
             const Use use(running);
             return running.search->settled();
           })
      .def(
          "forget",
          [](Running& running, std::size_t stretches) {
            const Use use(running);
            check_whole(running);
            running.search->forget(stretches);
          },
          "stretches"_a)
      .def_prop_ro("frames", [](const Running& running) { return running.search->frames(); });
}

}  // namespace

namespace sestina::decoding {

AllFound found_all(const std::vector<Hypothesis>& hypotheses) {
  AllFound result;
  for (const Hypothesis& hypothesis : hypotheses) {
    result.append(found(hypothesis));
  }
  return result;
}

}  // namespace sestina::decoding

NB_MODULE(_native, m) {
  // A script's own language model refers to the script's globals, and so to the decoder that holds
  // it: a circle that only ends with the process, when nanobind would call it a leak.
  nb::set_leak_warnings(false);

  bind_errors();
  bind_lexicons(m);
  bind_language_models(m);
  bind_lattices(m);
  bind_options(m);
  bind_decoders(m);
  bind_searches(m);
  bind_compat(m);
  bind_seq2seq(m);
}
