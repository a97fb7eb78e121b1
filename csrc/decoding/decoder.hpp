// A decoder: everything a search needs, immutable, to be shared by any number of threads.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "decoding/graph.hpp"
#include "decoding/lm/model.hpp"
#include "decoding/packed.hpp"
#include "decoding/search.hpp"

namespace sestina::decoding {

// The scores of one utterance: frames × tokens, one after another.
struct Utterance {
  const float* scores;
  std::ptrdiff_t frames;
};

// The model's score (log10) of each of its words at the start of a sentence.
std::vector<float> first_scores(const LanguageModel& model, std::span<const std::int32_t> words);

class Decoder {
 public:
  Decoder(const Spellings& spellings, const Trie& trie,
          std::shared_ptr<const LanguageModel> model, Smearing smearing, std::int32_t num_tokens,
          const SearchOptions& options);
  // The same with a look-ahead that is given, by node, and the model's id of each word.
  Decoder(const Trie& trie, std::span<const float> smears,
          std::shared_ptr<const LanguageModel> model, std::vector<std::int32_t> model_words,
          std::int32_t num_tokens, const SearchOptions& options);
  // Of the `parts` of another one, which stay in place while this one is used.
  Decoder(const Packed& parts, std::shared_ptr<const LanguageModel> model,
          const SearchOptions& options);
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  std::unique_ptr<Search> search() const {
    return lexicon_search(graph_, *model_, model_words_, options_);
  }
  // The best hypotheses of each utterance, on up to `threads` threads; the result does not depend on
  // their number.
  std::vector<std::vector<Hypothesis>> decode(std::span<const Utterance> utterances,
                                              std::int32_t count, int threads) const;

  Packed parts() const noexcept { return {graph_.parts(), model_words_}; }
  std::int32_t num_tokens() const noexcept { return graph_.num_tokens(); }
  const SearchOptions& options() const noexcept { return options_; }

 private:
  std::shared_ptr<const LanguageModel> model_;
  std::vector<std::int32_t> own_model_words_;  // empty if they lie elsewhere
  std::span<const std::int32_t> model_words_;  // the model's id of each word, then of an unknown one
  LexiconGraph graph_;
  SearchOptions options_;
};

}  // namespace sestina::decoding
