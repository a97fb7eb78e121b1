// What a decoder has computed from its lexicon and language model, as one block of bytes.
//
// Written to a file and mapped, it is in memory once for all processes that decode with it, and needs
// no reading. The block is of this machine's kind: it is a cache, to be made again elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "decoding/graph.hpp"

namespace sestina::decoding {

struct Packed {
  GraphParts graph;
  std::span<const std::int32_t> model_words;  // the model's id of each word, then of an unknown one
  // What phrases call each of these, see BiasedModel; empty without phrases.
  std::span<const std::int32_t> phrase_symbols;
  std::span<const float> transitions;  // token × token before it, or empty
};

std::vector<std::byte> pack(const Packed& parts);

// Views of a block, which must stay in place; its address must be a multiple of 8. One pass over all
// of it makes sure that no search can leave it: the model's ids are below `num_model_words`. Throws
// FormatError.
Packed unpack(std::span<const std::byte> block, std::int32_t num_model_words);

}  // namespace sestina::decoding
