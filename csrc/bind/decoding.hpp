// The parts of sestina.decoding._native, one file each.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "decoding/lexicon.hpp"
#include "decoding/search.hpp"

namespace sestina::decoding {

// A lexicon as Python holds it.
struct Lexicon {
  explicit Lexicon(Spellings given) : spellings(std::move(given)), trie(spellings) {}
  Spellings spellings;
  Trie trie;
};

using Path = nanobind::ndarray<nanobind::numpy, std::int32_t, nanobind::ndim<2>>;
// Score, its acoustic and language parts, and (token, frame, word) rows.
using Found = nanobind::typed<nanobind::tuple, double, double, double, Path>;
using AllFound = nanobind::typed<nanobind::list, Found>;

AllFound found_all(const std::vector<Hypothesis>& hypotheses);

void bind_compat(nanobind::module_& m);
void bind_language_models(nanobind::module_& m);
void bind_lattices(nanobind::module_& m);
void bind_seq2seq(nanobind::module_& m);  // after Lexicon, Smearing and the language models

}  // namespace sestina::decoding
