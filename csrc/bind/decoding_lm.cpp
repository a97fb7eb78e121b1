// Language models of sestina.decoding._native.
#include "bind/decoding.hpp"

#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "decoding/lm/ngram.hpp"
#include "decoding/lm/none.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace sestina::decoding {

void bind_language_models(nb::module_& m) {
  nb::class_<LanguageModel>(m, "LanguageModel")
      .def("word", [](const LanguageModel& model, const nb::bytes& text) {
        return model.word({static_cast<const char*>(text.data()), text.size()});
      });
  nb::class_<NoModel, LanguageModel>(m, "NoModel").def(nb::init<>());

  nb::class_<NgramModel, LanguageModel>(m, "NgramModel")
      .def_static(
          "read_arpa",
          [](const nb::bytes& path) {
            const std::string name(static_cast<const char*>(path.data()), path.size());
            const nb::gil_scoped_release release;
            return NgramModel::read_arpa(name.c_str());
          },
          "path"_a)
      .def_static(
          "parse_arpa",
          [](const nb::bytes& text) {
            const std::string_view view(static_cast<const char*>(text.data()), text.size());
            const nb::gil_scoped_release release;
            return NgramModel::parse_arpa(view);
          },
          "text"_a)
      .def_prop_ro("order", &NgramModel::order)
      .def_prop_ro("counts",
                   [](const NgramModel& model) {
                     return std::vector<std::uint64_t>(model.counts().begin(),
                                                       model.counts().end());
                   })
      .def("start", &NgramModel::start, "sentence"_a)
      .def("step", [](const NgramModel& model, std::int32_t state, std::int32_t word) {
        if (state < 0 || static_cast<std::size_t>(state) >= model.num_states() || word < 0 ||
            word >= model.words().size()) {
          throw nb::index_error("no such state or word");
        }
        const Step step = model.step(static_cast<std::uint32_t>(state), word);
        return std::pair(step.score, step.state);
      });
}

}  // namespace sestina::decoding
