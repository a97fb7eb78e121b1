// Language models of sestina.decoding._native.
#include "bind/decoding.hpp"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <tuple>
#include <string_view>
#include <system_error>
#include <unordered_set>
#include <utility>
#include <vector>

#include "bind/python_model.hpp"
#include "decoding/lm/arpa.hpp"
#include "decoding/lm/cache.hpp"
#include "decoding/lm/combined.hpp"
#include "decoding/lm/kenlm.hpp"
#include "decoding/lm/ngram.hpp"
#include "decoding/lm/none.hpp"
#include "decoding/lm/phrases.hpp"
#include "decoding/lm/spelled_model.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace sestina::decoding {

namespace {

std::string_view view_of(const nb::bytes& text) {
  return {static_cast<const char*>(text.data()), text.size()};
}

// A session that others than searches use. A state that it did not give is an error rather than a
// read beyond a table.
class Walk {
 public:
  explicit Walk(std::shared_ptr<const LanguageModel> model)
      : model_(std::move(model)), session_(model_->session()) {}

  std::int32_t start(bool sentence) { return known(session_->start(sentence)); }
  std::pair<float, std::int32_t> step(std::int32_t state, const nb::bytes& word) {
    const std::string_view text = view_of(word);
    Step step{};
    {
      const nb::gil_scoped_release release;  // a session may wait for another thread's
      const Query query{checked(state), model_->word(text)};
      session_->score({&query, 1}, {&step, 1});
    }
    return {step.score, known(step.state)};
  }
  float finish(std::int32_t state) {
    checked(state);
    const nb::gil_scoped_release release;
    return session_->finish(state);
  }
  int matched(std::int32_t state, const nb::bytes& word) {
    return session_->matched({checked(state), model_->word(view_of(word))});
  }
  std::vector<std::int32_t> keep(std::vector<std::int32_t> states) {
    std::ranges::for_each(states, [&](std::int32_t state) { static_cast<void>(checked(state)); });
    session_->keep(states);
    states_ = {states.begin(), states.end()};
    return states;
  }

 private:
  std::int32_t known(std::int32_t state) {
    states_.insert(state);
    return state;
  }
  std::int32_t checked(std::int32_t state) const {
    if (!states_.contains(state)) {
      throw nb::index_error("no such state");
    }
    return state;
  }

  std::shared_ptr<const LanguageModel> model_;
  std::unique_ptr<Session> session_;
  std::unordered_set<std::int32_t> states_;
};

// The words by number; empty ones if the file has no texts.
template <class Model>
nb::typed<nb::list, nb::bytes> texts_of(const Model& model) {
  nb::typed<nb::list, nb::bytes> texts;
  for (std::int32_t word = 0; word < model.num_words(); ++word) {
    const std::string_view text = model.word_text(word);
    texts.append(nb::bytes(text.data(), text.size()));
  }
  return texts;
}

void bind_made_of_others(nb::module_& m) {
  nb::class_<CombinedModel, LanguageModel>(m, "CombinedModel")
      .def(
          "__init__",
          [](CombinedModel* self,
             const std::vector<std::pair<std::shared_ptr<LanguageModel>, float>>& given) {
            std::vector<WeightedModel> parts;
            for (const auto& [model, weight] : given) {
              parts.push_back({model, weight});
            }
            new (self) CombinedModel(std::move(parts));
          },
          "parts"_a);
  nb::class_<SpelledModel, LanguageModel>(m, "SpelledModel")
      .def(
          "__init__",
          [](SpelledModel* self, std::shared_ptr<LanguageModel> base,
             const std::vector<std::string>& tokens, std::int32_t blank, std::int32_t separator,
             const std::vector<nb::bytes>& known, bool closed, bool by_history, float word_score,
             float unknown_score) {
            std::vector<std::string> words;
            for (const nb::bytes& word : known) {
              words.emplace_back(word.c_str(), word.size());
            }
            const nb::gil_scoped_release release;
            const std::vector<std::string_view> names(tokens.begin(), tokens.end());
            new (self) SpelledModel(
                std::move(base),
                Detokenizer(names, Detokenizer::style_of(names), blank, separator),
                std::move(words), closed, by_history, {word_score, unknown_score});
          },
          "base"_a, "tokens"_a, "blank"_a, "separator"_a, "known"_a, "closed"_a, "by_history"_a,
          "word_score"_a, "unknown_score"_a);
  nb::class_<PythonModel, LanguageModel>(m, "PythonModel")
      .def(nb::init<nb::object, bool, bool, float>(), "driver"_a, "by_index"_a, "by_identity"_a,
           "highest_score"_a);
}

// A view of a vector inside an object that Python owns.
template <class Owner, class T>
auto array_of(std::vector<T> Owner::* member) {
  return [member](const Owner& owner) {
    const std::vector<T>& values = owner.*member;
    return nb::ndarray<nb::numpy, const T, nb::ndim<1>>(values.data(), {values.size()},
                                                        nb::find(owner));
  };
}

void bind_phrases(nb::module_& m) {
  using Arc = std::tuple<std::int32_t, std::int32_t, float, std::int32_t>;
  nb::class_<PhraseAutomaton>(m, "PhraseAutomaton")
      .def(
          "__init__",
          [](PhraseAutomaton* self, std::vector<std::string> symbols, const std::vector<Arc>& arcs,
             const std::vector<std::pair<std::int32_t, float>>& fallbacks,
             std::vector<float> finals, std::int32_t start, bool otherwise) {
            std::vector<PhraseAutomaton::Arc> all;
            for (const auto& [node, symbol, score, next] : arcs) {
              all.push_back({node, symbol, score, next});
            }
            std::vector<PhraseAutomaton::Fallback> back;
            for (const auto& [node, score] : fallbacks) {
              back.push_back({node, score});
            }
            new (self) PhraseAutomaton(std::move(symbols), all, std::move(back), std::move(finals),
                                       start, otherwise);
          },
          "symbols"_a, "arcs"_a, "fallbacks"_a, "finals"_a, "start"_a, "otherwise"_a)
      .def("score", [](const PhraseAutomaton& automaton, const std::vector<std::string>& symbols) {
        std::int32_t node = automaton.start();
        float score = 0.0F;
        for (const std::string& symbol : symbols) {
          const Step step = automaton.step(node, automaton.find(symbol));
          score += step.score;
          node = step.state;
        }
        return score + automaton.finish(node);
      }, "symbols"_a, "Of a whole sequence.");
}

void bind_automaton(nb::module_& m) {
  using Automaton = NgramModel::Automaton;
  nb::class_<Automaton>(m, "Automaton")
      .def_prop_ro("backoffs", array_of(&Automaton::backoffs))
      .def_prop_ro("shorter", array_of(&Automaton::shorter))
      .def_prop_ro("unigram_scores", array_of(&Automaton::unigram_scores))
      .def_prop_ro("unigram_next", array_of(&Automaton::unigram_next))
      .def_prop_ro("arc_states", array_of(&Automaton::arc_states))
      .def_prop_ro("arc_words", array_of(&Automaton::arc_words))
      .def_prop_ro("arc_scores", array_of(&Automaton::arc_scores))
      .def_prop_ro("arc_next", array_of(&Automaton::arc_next));
}

template <class Model>
std::vector<std::uint64_t> counts_of(const Model& model) {
  return {model.counts().begin(), model.counts().end()};
}

void write_cache_to(const NgramModel& model, const char* path) {
  const auto fail = [] { throw std::system_error(errno, std::generic_category()); };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path, "wb"), std::fclose);
  if (!file) {
    fail();
  }
  write_cache(model, [&](std::span<const std::byte> piece) {
    if (std::fwrite(piece.data(), 1, piece.size(), file.get()) != piece.size()) {
      fail();
    }
  });
  if (std::fflush(file.get()) != 0) {
    fail();
  }
}

void bind_ngrams(nb::module_& m) {
  nb::enum_<Loading>(m, "Loading").value("memory", Loading::memory).value("mmap", Loading::map);

  bind_automaton(m);
  nb::class_<NgramModel, LanguageModel>(m, "NgramModel")
      .def_static(
          "read_arpa",
          [](const nb::bytes& path) {
            const std::string name(view_of(path));
            const nb::gil_scoped_release release;
            return NgramModel::read_arpa(name.c_str());
          },
          "path"_a)
      .def_static(
          "read_cache",
          [](const nb::bytes& path, Loading loading) {
            const std::string name(view_of(path));
            const nb::gil_scoped_release release;
            return read_cache(name.c_str(), loading);
          },
          "path"_a, "loading"_a)
      .def(
          "write_cache",
          [](const NgramModel& model, const nb::bytes& path) {
            const std::string name(view_of(path));
            const nb::gil_scoped_release release;
            write_cache_to(model, name.c_str());
          },
          "path"_a)
      .def_prop_ro("order", &NgramModel::order)
      .def_prop_ro("counts", &counts_of<NgramModel>)
      .def("texts", &texts_of<NgramModel>)
      .def_prop_ro("end_of_sentence", &NgramModel::end_of_sentence)
      .def("automaton", &NgramModel::automaton, nb::call_guard<nb::gil_scoped_release>())
      .def("start", &NgramModel::start, "sentence"_a)
      .def("step", [](const NgramModel& model, std::int32_t state, std::int32_t word) {
        if (state < 0 || static_cast<std::size_t>(state) >= model.num_states() || word < 0 ||
            word >= model.num_words()) {
          throw nb::index_error("no such state or word");
        }
        const Step step = model.step(state, word);
        return std::pair(step.score, step.state);
      });

  nb::class_<KenlmModel, LanguageModel>(m, "KenlmModel")
      .def_static(
          "read",
          [](const nb::bytes& path, Loading loading) {
            const std::string name(view_of(path));
            const nb::gil_scoped_release release;
            return KenlmModel::load(name.c_str(), loading);
          },
          "path"_a, "loading"_a)
      .def("compile", &KenlmModel::compile, nb::call_guard<nb::gil_scoped_release>())
      .def_prop_ro("kind", &KenlmModel::kind)
      .def_prop_ro("order", &KenlmModel::order)
      .def_prop_ro("counts", &counts_of<KenlmModel>)
      .def("texts", &texts_of<KenlmModel>);

  nb::class_<ArpaReader>(m, "ArpaReader")
      .def(nb::init<>())
      .def(
          "push",
          [](ArpaReader& reader, const nb::bytes& piece) {
            const std::string_view view = view_of(piece);
            const nb::gil_scoped_release release;
            reader.push(view);
          },
          "piece"_a)
      .def("finish", &ArpaReader::finish, nb::call_guard<nb::gil_scoped_release>());

  m.def(
      "file_kind",
      [](const nb::bytes& head) {
        const auto bytes = std::as_bytes(std::span(view_of(head)));
        return KenlmModel::recognises(bytes) ? "kenlm" : is_cache(bytes) ? "cache" : "other";
      },
      "head"_a);
}

}  // namespace

void bind_language_models(nb::module_& m) {
  nb::register_exception_translator(
      [](const std::exception_ptr& caught, void*) {
        try {
          std::rethrow_exception(caught);
        } catch (const std::system_error& error) {
          errno = error.code().value();
          PyErr_SetFromErrno(PyExc_OSError);
        }
      },
      nullptr);

  nb::class_<LanguageModel>(m, "LanguageModel")
      .def("word", [](const LanguageModel& model, const nb::bytes& text) {
        return model.word(view_of(text));
      })
      .def_prop_ro("by_index", &LanguageModel::by_index)
      .def("walk", [](std::shared_ptr<const LanguageModel> model) {
        return std::make_unique<Walk>(std::move(model));
      });
  nb::class_<Walk>(m, "Walk")
      .def("start", &Walk::start, "sentence"_a)
      .def("step", &Walk::step, "state"_a, "word"_a)
      .def("finish", &Walk::finish, "state"_a)
      .def("matched", &Walk::matched, "state"_a, "word"_a)
      .def("keep", &Walk::keep, "states"_a);
  nb::class_<NoModel, LanguageModel>(m, "NoModel").def(nb::init<>());
  bind_ngrams(m);
  bind_made_of_others(m);
  bind_phrases(m);
}

}  // namespace sestina::decoding
