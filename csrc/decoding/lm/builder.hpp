// Compiles n-grams, given in ascending order, into an automaton.
//
// A context gets a state only when something makes it matter: a weight of its own, or the first
// n-gram that extends it. Until the end an arc without one names its longest suffix instead,
// whether that has a state yet or not. N-grams are handled in batches, each step of the work for
// all of a batch, so that their cache misses come at the same time: half the time that one by one
// takes.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "decoding/lm/ngram.hpp"

namespace sestina::decoding {

class NgramBuilder {
 public:
  // `counts` are the n-grams to come, by order. Memory is taken for `expected` arcs at first, and
  // for more when more come: a file may lie about its counts. Throws FormatError if there are more
  // than a model can have.
  //
  // With `marked`, a weight of -0.0 says that an n-gram does not matter as a context, as it does in
  // KenLM's files. What they have that extends it all the same counts only for longer contexts that
  // end in it.
  NgramBuilder(std::vector<std::uint64_t> counts, std::uint64_t expected, bool marked = false);

  // The next word; <unk> has id 0 wherever it comes. `line` is where the n-gram stands, for
  // errors, or 0. Throws FormatError if it was there before.
  void add_word(std::string_view text, float score, float backoff, long line);
  // An n-gram of two words or more, whose ids are known; after all shorter ones. Throws FormatError
  // if this one, or one of the same batch, was there before or its context was not.
  void add(std::span<const std::uint32_t> words, float score, float backoff, long line);
  // Nothing can be added afterwards.
  std::shared_ptr<NgramModel> finish();

  Vocabulary words() const noexcept { return words_.view(); }

 private:
  // Where an arc goes, while models are built: a state, or (if the n-gram has none yet) the arc or
  // the word that is its longest suffix.
  using Target = std::uint32_t;
  enum class Kind : std::uint32_t { arc = 2, word = 3 };  // 0 and 1: a state
  struct Pending {
    std::array<std::uint32_t, NgramModel::highest_order> words;
    float score;
    float backoff;
    long line;
    std::uint32_t context;  // state of all words but the last
    std::uint32_t suffix;   // state of all words but the first and the last
  };

  static Target target(Kind kind, std::uint32_t value) noexcept {
    return (static_cast<std::uint32_t>(kind) << 30) | value;
  }
  static bool is_state(Target target) noexcept { return target >> 31 == 0; }
  static std::uint32_t place_number(ArcTable::Place place) noexcept {
    return place.bucket * ArcBucket::size + place.index;
  }

  std::span<ArcBucket> buckets() noexcept;
  std::uint32_t& next_of(std::uint32_t place) noexcept;
  void prefetch(std::uint32_t state, std::uint32_t word) const noexcept;
  std::uint32_t state_of(Target target) noexcept;
  bool matters(float backoff) const noexcept;
  std::uint32_t new_state(float backoff, Target shorter, std::size_t length);
  std::uint32_t extended_state(Target shorter, std::size_t length);
  void flush();
  void make_room(std::uint64_t arcs, std::uint64_t states);
  void find_contexts();
  void insert(const Pending& ngram);
  void grow(std::uint64_t buckets);
  void resolve();
  std::vector<float> highest_scores() const;
  [[noreturn]] void fail(const Pending& ngram, const std::string& reason,
                         const std::string& remedy) const;

  std::vector<std::uint64_t> counts_;
  bool marked_;
  VocabularyBuilder words_;
  std::vector<NgramModel::Unigram> unigrams_;  // next: the word's own state, or 0
  std::vector<NgramModel::Context> contexts_;  // shorter: a target
  std::vector<bool> passed_;  // by state: only back-off leads there (none if not marked)
  Block arcs_;
  ArcTable table_;  // of these arcs; next: a target
  std::uint64_t num_arcs_ = 0;
  std::uint64_t most_arcs_ = 0;  // by the counts
  bool unknown_given_ = false;
  std::size_t order_ = 0;  // of the pending n-grams
  std::vector<Pending> pending_;
  std::vector<std::vector<float>> highest_;  // by order and word
  std::array<float, NgramModel::highest_order> highest_backoff_{};  // by order
};

}  // namespace sestina::decoding
