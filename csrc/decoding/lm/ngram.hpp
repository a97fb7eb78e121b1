// An n-gram model compiled into an automaton.
//
// A state is a context, the last words that can still matter; 0 is the empty one. An arc (state,
// word) holds a score and the next state. Where a state has no arc for a word, the state's
// back-off weight is added and the state of the shorter context asked, in the end the empty one,
// which has an arc for every word. States are minimal: a context that nothing extends and whose
// weight is 1 has none of its own but that of its longest suffix that matters, so that equal
// futures are equal states.
//
// A step costs about one cache miss per order, and a batch of steps has them at the same time. 18
// bytes per n-gram and 8 per state. Immutable; any number of threads may use it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "decoding/lm/arcs.hpp"
#include "decoding/lm/memory.hpp"
#include "decoding/lm/model.hpp"
#include "decoding/lm/vocabulary.hpp"

namespace sestina::decoding {

class NgramModel final : public LanguageModel {
 public:
  static constexpr std::size_t highest_order = 8;

  struct Unigram {
    float score;
    std::uint32_t next;
  };
  struct Context {
    float backoff;
    std::uint32_t shorter;
  };
  // The automaton as flat arrays, for a search that runs elsewhere. A state's back-off state may
  // have a larger number than the state itself.
  struct Automaton {
    // By state.
    std::vector<float> backoffs;
    std::vector<std::int32_t> shorter;
    // By word: the arcs of the empty context.
    std::vector<float> unigram_scores;
    std::vector<std::int32_t> unigram_next;
    // All other arcs, in no order.
    std::vector<std::int32_t> arc_states;
    std::vector<std::int32_t> arc_words;
    std::vector<float> arc_scores;
    std::vector<std::int32_t> arc_next;
  };
  // All that a model consists of. The arrays may be a file's that can't be trusted: steps check
  // what they read from them, at no cost that can be measured. Whoever makes a model sees to it
  // that there is a word 0 and a state 0 and that states are below `ArcTable::states_per_bucket`
  // times buckets.
  struct Tables {
    std::vector<std::uint64_t> counts;  // of n-grams, by order; as the source said
    std::span<const Unigram> unigrams;  // by word; arcs of state 0
    std::span<const float> highest;     // by word: no step's score is above it
    std::span<const Context> contexts;  // by state; shorter ones have the sources' order
    ArcTable arcs;                      // of the other states
    Vocabulary words;
    std::uint32_t begin = 0;  // <s>
    std::uint32_t end = 0;    // </s>
  };

  // `owned` are the blocks in which the tables lie.
  NgramModel(Tables tables, std::vector<Block> owned);
  NgramModel(const NgramModel&) = delete;
  NgramModel& operator=(const NgramModel&) = delete;

  // Reads an ARPA file, or the text of one. Throws FormatError, and std::system_error if the file
  // can't be opened or read.
  static std::shared_ptr<NgramModel> read_arpa(const char* path);
  static std::shared_ptr<NgramModel> parse_arpa(std::string_view text);

  std::unique_ptr<Session> session() const override;
  std::int32_t word(std::string_view text) const override;
  float highest_score() const noexcept override { return highest_score_; }
  void highest_scores(std::span<const std::int32_t> words, std::span<float> highest) const override;

  int order() const noexcept { return static_cast<int>(tables_.counts.size()); }
  std::span<const std::uint64_t> counts() const noexcept { return tables_.counts; }
  const Vocabulary& words() const noexcept { return tables_.words; }
  std::int32_t num_words() const noexcept override { return tables_.words.size(); }
  std::string_view word_text(std::int32_t word) const noexcept { return tables_.words.text(word); }
  std::size_t num_states() const noexcept { return tables_.contexts.size(); }
  const Tables& tables() const noexcept { return tables_; }
  Automaton automaton() const;

  std::int32_t start(bool sentence) const noexcept;
  std::int32_t end_of_sentence() const noexcept { return static_cast<std::int32_t>(tables_.end); }
  // One step. The state must be this model's and the word below `num_words()`.
  Step step(std::int32_t state, std::int32_t word) const noexcept;
  // By state how many words its context has.
  std::vector<std::uint8_t> lengths() const;
  // How many words the longest n-gram of a step has; the lengths are those above.
  int matched(const Query& query, std::span<const std::uint8_t> lengths) const noexcept;
  // Many, which is the faster way. Spans of one length.
  void steps(std::span<const Query> queries, std::span<Step> steps) const noexcept;

 private:
  // A state that was read: whatever a hostile file holds there, it is one of the model's.
  std::uint32_t checked(std::uint32_t state) const noexcept {
    return state < tables_.contexts.size() ? state : 0;
  }

  Tables tables_;
  std::vector<Block> owned_;
  float highest_score_ = 0.0F;
};

}  // namespace sestina::decoding
