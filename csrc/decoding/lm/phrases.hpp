// A finite automaton over words (or tokens) with scores, and a language model that it biases: their
// scores add up. Phrases that are to be found more easily and phrases that alone are allowed are both
// such automata.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "decoding/lm/model.hpp"

namespace sestina::decoding {

class PhraseAutomaton {
 public:
  struct Arc {
    std::int32_t node;
    std::int32_t symbol;
    float score;  // log10, as those of the language model
    std::int32_t next;
  };
  // Where a node goes on with symbols that it has no arc for: to another node, which is asked
  // instead; -1 if it takes none. Node 0 takes them and stays, if that is so `otherwise`.
  struct Fallback {
    std::int32_t node;
    float score;
  };

  // Throws std::invalid_argument for numbers out of range and for fallbacks that go in circles.
  PhraseAutomaton(std::vector<std::string> symbols, const std::vector<Arc>& arcs,
            std::vector<Fallback> fallbacks, std::vector<float> finals, std::int32_t start,
            bool otherwise);

  static constexpr std::int32_t other = -1;  // all symbols that it has no name for
  static constexpr float forbidden = -std::numeric_limits<float>::infinity();

  std::int32_t find(std::string_view symbol) const;
  Step step(std::int32_t node, std::int32_t symbol) const;
  float finish(std::int32_t node) const { return finals_[static_cast<std::size_t>(node)]; }
  std::int32_t start() const noexcept { return start_; }
  // The most that a step can give, and one with a symbol that it has no name for.
  float highest_score() const noexcept { return highest_score_; }
  float highest_other() const noexcept { return highest_other_; }

 private:
  std::unordered_map<std::string, std::int32_t> symbols_;
  std::unordered_map<std::uint64_t, Step> arcs_;
  std::vector<Fallback> fallbacks_;
  std::vector<float> finals_;
  std::int32_t start_;
  bool otherwise_;
  float highest_score_ = 0.0F;
  float highest_other_ = 0.0F;
};

class BiasedModel final : public LanguageModel {
 public:
  // `base_ids` are the base's by the search's own numbers of its words (or tokens), `names` what
  // these are called; there may be an id more, for all others.
  BiasedModel(std::shared_ptr<const LanguageModel> base,
              std::shared_ptr<const PhraseAutomaton> phrases, std::vector<std::int32_t> base_ids,
              std::span<const std::string_view> names);
  // With the automaton's symbol of each word, PhraseAutomaton::other if it has none.
  BiasedModel(std::shared_ptr<const LanguageModel> base,
              std::shared_ptr<const PhraseAutomaton> phrases, std::vector<std::int32_t> base_ids,
              std::vector<std::int32_t> symbols);

  std::unique_ptr<Session> session() const override;
  std::unique_ptr<Session> look_ahead() const override;
  bool by_index() const noexcept override { return true; }
  std::int32_t word(std::string_view) const override { return 0; }
  float highest_score() const noexcept override;
  void highest_scores(std::span<const std::int32_t> words, std::span<float> highest) const override;

  const PhraseAutomaton& phrases() const noexcept { return *phrases_; }
  std::span<const std::int32_t> base_ids() const noexcept { return base_ids_; }
  std::span<const std::int32_t> symbols() const noexcept { return symbols_; }
  std::int32_t base_id(std::int32_t word) const { return base_ids_[static_cast<std::size_t>(word)]; }
  std::int32_t symbol(std::int32_t word) const { return symbols_[static_cast<std::size_t>(word)]; }

 private:
  std::shared_ptr<const LanguageModel> base_;
  std::shared_ptr<const PhraseAutomaton> phrases_;
  std::vector<std::int32_t> base_ids_;
  std::vector<std::int32_t> symbols_;  // the automaton's
};

}  // namespace sestina::decoding
