// A decoder: everything a search needs, immutable, to be shared by any number of threads.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "decoding/detokenizer.hpp"
#include "decoding/graph.hpp"
#include "decoding/lattice.hpp"
#include "decoding/lm/phrases.hpp"
#include "decoding/lm/model.hpp"
#include "decoding/packed.hpp"
#include "decoding/search.hpp"

namespace sestina::decoding {

// The scores of one utterance: frames × tokens, one after another.
struct Utterance {
  const float* scores;
  std::ptrdiff_t frames;
};

// How the confidence of words is found: all readings within `beam` of the best one are as probable
// as exp(scale · score).
struct Posteriors {
  double beam;
  double scale;
  std::size_t most_texts;  // see LatticeOptions
};

class Decoder {
 public:
  // In a lexicon, which an open vocabulary needs as long as this lasts. `transitions` (token × token
  // before it) and `bonuses` (by word) are natural logarithms, or empty. A model of tokens knows these
  // by their names. `phrases` is none, or biases the model.
  Decoder(const Spellings& spellings, const Trie& trie,
          std::shared_ptr<const LanguageModel> model,
          std::span<const std::string_view> token_names, Smearing smearing,
          const SearchOptions& options, std::vector<float> transitions,
          std::span<const float> bonuses, std::shared_ptr<const PhraseAutomaton> phrases);
  // Without one.
  Decoder(std::shared_ptr<const LanguageModel> model,
          std::span<const std::string_view> token_names, const SearchOptions& options,
          std::vector<float> transitions, std::shared_ptr<const PhraseAutomaton> phrases);
  // The same with the model's id of each token.
  Decoder(std::shared_ptr<const LanguageModel> model, std::vector<std::int32_t> model_symbols,
          std::int32_t num_tokens, const SearchOptions& options, std::vector<float> transitions);
  // In a lexicon with a look-ahead that is given, by node, and the model's id of each word or token.
  Decoder(const Trie& trie, std::span<const float> smears,
          std::shared_ptr<const LanguageModel> model, std::vector<std::int32_t> model_symbols,
          std::int32_t num_tokens, const SearchOptions& options, std::vector<float> transitions);
  // Of the `parts` of another one, which stay in place while this one is used, and the phrases that
  // it had.
  Decoder(const Packed& parts, std::shared_ptr<const LanguageModel> model,
          const SearchOptions& options, std::shared_ptr<const PhraseAutomaton> phrases);
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  // For streams, which keep it.
  std::unique_ptr<Search> search() const { return search(options_); }
  // The best hypotheses of each utterance, on up to `threads` threads; the result does not depend on
  // their number. Their words come with confidences if these are given.
  std::vector<std::vector<Hypothesis>> decode(std::span<const Utterance> utterances,
                                              std::int32_t count, int threads,
                                              const Posteriors* confidences = nullptr) const;
  // All that the search kept and that scores within `beam` of the best; nothing if no path leads to
  // the end. For `most_texts` see LatticeOptions.
  std::optional<Lattice> lattice(const Utterance& utterance, double beam,
                                 std::size_t most_texts) const;

  // Whether it consists of what `parts` gives, the model, the options and the phrases.
  bool has_parts() const noexcept { return graph_ && !options_.token_lm; }
  Packed parts() const noexcept {
    if (biased_) {
      return {graph_->parts(), biased_->base_ids(), biased_->symbols(), transitions_};
    }
    return {graph_->parts(), model_symbols_, {}, transitions_};
  }
  std::int32_t num_tokens() const noexcept { return num_tokens_; }
  const SearchOptions& options() const noexcept { return options_; }

 private:
  void set_model(std::shared_ptr<const LanguageModel> model,
                 std::shared_ptr<const PhraseAutomaton> phrases,
                 std::span<const std::string_view> names);
  void bias(std::shared_ptr<const BiasedModel> model);
  std::unique_ptr<Search> borrow() const;
  void give_back(std::unique_ptr<Search> search) const;
  std::unique_ptr<Search> search(const SearchOptions& options) const {
    return make_search({graph_ ? &*graph_ : nullptr, num_tokens_, *model_, model_symbols_,
                        transitions_},
                       options);
  }
  std::unique_ptr<Search> recording_search() const;
  Lattice lattice_of(Search& search, double beam, std::size_t most_texts) const;

  std::shared_ptr<const LanguageModel> model_;
  std::vector<std::int32_t> own_model_symbols_;  // empty if they lie elsewhere
  // The model's id of each word, then of an unknown one; or of each token.
  std::span<const std::int32_t> model_symbols_;
  std::optional<LexiconGraph> graph_;
  std::int32_t num_tokens_;
  std::vector<float> transitions_;
  SearchOptions options_;
  std::shared_ptr<const BiasedModel> biased_;  // the model, if phrases bias it
  // Of words that no lexicon has, and what the lexicon has: for lattices.
  std::shared_ptr<const Detokenizer> detokenizer_;
  const WordTable* words_ = nullptr;
  // Searches between two utterances: their memory is at hand, where new one would cost page faults.
  mutable std::mutex idle_lock_;
  mutable std::vector<std::unique_ptr<Search>> idle_;
};

}  // namespace sestina::decoding
