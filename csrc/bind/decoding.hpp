// The parts of sestina.decoding._native, one file each.
#pragma once

#include <nanobind/nanobind.h>

#include <utility>

#include "decoding/lexicon.hpp"

namespace sestina::decoding {

// A lexicon as Python holds it.
struct Lexicon {
  explicit Lexicon(Spellings given) : spellings(std::move(given)), trie(spellings) {}
  Spellings spellings;
  Trie trie;
};

void bind_compat(nanobind::module_& m);
void bind_language_models(nanobind::module_& m);
void bind_seq2seq(nanobind::module_& m);  // after Lexicon, Smearing and the language models

}  // namespace sestina::decoding
