// What a decoder asks a language model once, about all of its words or tokens.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "decoding/lexicon.hpp"
#include "decoding/lm/model.hpp"

namespace sestina::decoding {

// The model's ids of names, and of words with one more id for the word that stands for all others.
std::vector<std::int32_t> ids_in_model(const LanguageModel& model,
                                       std::span<const std::string_view> names);
std::vector<std::int32_t> ids_in_model(const LanguageModel& model, const Spellings& spellings);
// By id, the score (log10) at the start of a sentence, and what no score exceeds.
std::vector<float> first_scores(const LanguageModel& model, std::span<const std::int32_t> ids);
std::vector<float> highest_scores(const LanguageModel& model, std::span<const std::int32_t> ids);
// The first scores by entry of the tree's words.
std::vector<float> entry_scores(const LanguageModel& model, const Trie& trie,
                                std::span<const std::int32_t> ids);

}  // namespace sestina::decoding
