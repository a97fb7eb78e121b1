// Lattices of sestina.decoding._native.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "bind/decoding.hpp"
#include "decoding/consensus.hpp"
#include "decoding/lattice.hpp"
#include "decoding/lm/model.hpp"
#include "decoding/open_vocabulary.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace sestina::decoding {

namespace {

template <typename T>
using Column = nb::ndarray<nb::numpy, T, nb::ndim<1>>;
template <typename T>
using Given = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
// (token, frame, word) of each stretch of a path.
using Rows = nb::ndarray<const std::int32_t, nb::shape<-1, 3>, nb::c_contig, nb::device::cpu>;
// Word (-1: none), posterior, and the frames between which it was said, on average.
using Said = std::tuple<std::int32_t, double, double, double>;

template <typename T>
Column<T> column(std::vector<T> values) {
  auto owned = std::make_unique<std::vector<T>>(std::move(values));
  std::vector<T>* const data = owned.get();
  nb::capsule owner(owned.release(),
                    [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return Column<T>(data->data(), {data->size()}, owner);
}

template <typename T, typename Of>
Column<T> column_of(const Lattice& lattice, const Of& of) {
  std::vector<T> values;
  values.reserve(lattice.arcs().size());
  for (const LatticeArc& arc : lattice.arcs()) {
    values.push_back(static_cast<T>(of(arc)));
  }
  return column(std::move(values));
}

Said said_of(const Candidate& one) {
  return {one.word, one.posterior, one.start, one.end};
}

std::unique_ptr<Lattice> make(const Given<std::int32_t>& frames, const Given<std::int32_t>& from,
                              const Given<std::int32_t>& to, const Given<std::int32_t>& words,
                              const Given<double>& acoustic, const Given<double>& language,
                              const Given<double>& bonus, double lm_weight, bool sums) {
  const std::size_t count = from.shape(0);
  for (const std::size_t other : {to.shape(0), words.shape(0), acoustic.shape(0),
                                  language.shape(0), bonus.shape(0)}) {
    if (other != count) {
      throw std::invalid_argument("the columns of arcs have " + std::to_string(count) + " and " +
                                  std::to_string(other) +
                                  " entries, expected one for each arc; pass equally many");
    }
  }
  std::vector<LatticeArc> arcs;
  for (std::size_t k = 0; k < count; ++k) {
    // A negative node becomes one that there is not, and is refused as such.
    LatticeArc arc{static_cast<std::uint32_t>(from(k)), static_cast<std::uint32_t>(to(k)), words(k),
                   0, 0, static_cast<float>(language(k)), acoustic(k), bonus(k)};
    if (arc.from < frames.shape(0) && arc.to < frames.shape(0)) {
      arc.start = frames(arc.from);
      arc.end = frames(arc.to);
    }
    arcs.push_back(arc);
  }
  return std::make_unique<Lattice>(
      std::vector<std::int32_t>(frames.data(), frames.data() + frames.shape(0)), std::move(arcs),
      lm_weight, sums);
}

}  // namespace

void bind_lattices(nb::module_& m) {
  nb::class_<Lattice>(m, "Lattice")
      .def_static("make", &make, "frames"_a.noconvert(), "sources"_a.noconvert(), "targets"_a.noconvert(),
                  "words"_a.noconvert(), "acoustic"_a.noconvert(), "language"_a.noconvert(),
                  "bonus"_a.noconvert(), "lm_weight"_a, "sums"_a)
      .def_prop_ro("num_nodes", &Lattice::num_nodes)
      .def_prop_ro("num_arcs", [](const Lattice& l) { return l.arcs().size(); })
      .def_prop_ro("lm_weight", &Lattice::lm_weight)
      .def("words", &Lattice::words)
      .def(
          "words_of",
          [](const Lattice& l, const Rows& path) {
            std::vector<Stretch> stretches;
            for (std::size_t k = 0; k < path.shape(0); ++k) {
              stretches.push_back({path(k, 0), path(k, 1), path(k, 2)});
            }
            return l.words_of(stretches);
          },
          "path"_a.noconvert())
      .def(
          "text",
          [](const Lattice& l, std::int32_t word) -> std::optional<nb::bytes> {
            const OpenVocabulary* const vocabulary = l.vocabulary();
            if (vocabulary == nullptr || !vocabulary->has(word)) {
              return std::nullopt;
            }
            const std::string_view text = vocabulary->text(word);
            return nb::bytes(text.data(), text.size());
          },
          "word"_a, "Of a word that no lexicon has; None of others.")
      .def("frames",
           [](const Lattice& l) {
             return column(std::vector<std::int32_t>(l.frames().begin(), l.frames().end()));
           })
      .def("arcs_source",
           [](const Lattice& l) {
             return column_of<std::int32_t>(l, [](const LatticeArc& arc) { return arc.from; });
           })
      .def("arcs_target",
           [](const Lattice& l) {
             return column_of<std::int32_t>(l, [](const LatticeArc& arc) { return arc.to; });
           })
      .def("arcs_word",
           [](const Lattice& l) {
             return column_of<std::int32_t>(l, [](const LatticeArc& arc) { return arc.word; });
           })
      .def("arcs_start",
           [](const Lattice& l) {
             return column_of<std::int32_t>(l, [](const LatticeArc& arc) { return arc.start; });
           })
      .def("arcs_end",
           [](const Lattice& l) {
             return column_of<std::int32_t>(l, [](const LatticeArc& arc) { return arc.end; });
           })
      .def("arcs_acoustic",
           [](const Lattice& l) {
             return column_of<double>(l, [](const LatticeArc& arc) { return arc.acoustic; });
           })
      .def("arcs_language",
           [](const Lattice& l) {
             return column_of<double>(l, [](const LatticeArc& arc) { return arc.language; });
           })
      .def("arcs_score",
           [](const Lattice& l) {
             return column_of<double>(l, [&](const LatticeArc& arc) { return l.score(arc); });
           })
      .def(
          "posteriors",
          [](const Lattice& l, double scale) { return column(l.posteriors(scale)); }, "scale"_a)
      .def(
          "nbest",
          [](const Lattice& l, std::size_t count) {
            std::vector<Hypothesis> found;
            {
              const nb::gil_scoped_release release;
              found = nbest(l, count);
            }
            return found_all(found);
          },
          "count"_a)
      .def(
          "confidences",
          [](const Lattice& l, const std::vector<std::int32_t>& words, double scale) {
            const nb::gil_scoped_release release;
            const Alignment alignment = align(l, words, scale);
            std::vector<double> result;
            for (std::size_t k = 0; k < words.size(); ++k) {
              result.push_back(candidate_of(alignment, k, words[k]).posterior);
            }
            return std::pair(result, alignment.expected_errors);
          },
          "words"_a, "scale"_a)
      .def(
          "consensus",
          [](const Lattice& l, double scale) {
            const nb::gil_scoped_release release;
            const Consensus found = consensus(l, scale);
            std::vector<Said> words;
            for (const Candidate& one : found.words) {
              words.push_back(said_of(one));
            }
            return std::pair(words, found.expected_errors);
          },
          "scale"_a)
      .def(
          "prune",
          [](const Lattice& l, double beam) {
            const nb::gil_scoped_release release;
            return std::make_unique<Lattice>(l.prune(beam));
          },
          "beam"_a)
      .def(
          "rescore",
          [](const Lattice& l, const LanguageModel& model,
             const std::vector<std::int32_t>& model_words, double lm_weight,
             std::size_t most_arcs) {
            const nb::gil_scoped_release release;
            return std::make_unique<Lattice>(
                l.rescore(model, model_words, lm_weight, most_arcs));
          },
          "model"_a, "model_words"_a, "lm_weight"_a, "most_arcs"_a);
}

}  // namespace sestina::decoding
