// An n-gram model compiled into an automaton.
//
// A state is a context: the n-gram of the last words, 0 the empty one. An arc (state, word) holds the
// score and the next state; where there is none, the state's back-off weight is added and the state
// of the shorter context asked. All arcs but those of the empty context lie in one open-addressing
// table of 16-byte slots, so that a step costs about one cache miss per back-off level, and a batch
// of steps fetches ahead. A context that no n-gram extends and whose back-off weight is 1 is replaced
// by the shorter one, so that equal futures have equal states. Immutable once built.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "decoding/lm/model.hpp"
#include "decoding/words.hpp"

namespace sestina::decoding {

class NgramModel final : public LanguageModel {
 public:
  // Reads the text of an ARPA file. `release` is called with the offset up to which the text is no
  // longer needed, now and then. Throws FormatError.
  static std::shared_ptr<NgramModel> parse_arpa(std::string_view text,
                                                void (*release)(std::string_view) = nullptr);
  // The same from a file, which is mapped and let go as it is read. Throws FormatError, and
  // std::system_error if it can't be opened.
  static std::shared_ptr<NgramModel> read_arpa(const char* path);

  std::unique_ptr<Session> session() const override;
  std::int32_t word(std::string_view text) const override;
  float highest_score() const noexcept override { return highest_score_; }
  void highest_scores(std::span<const std::int32_t> words, std::span<float> highest) const override;

  int order() const noexcept { return static_cast<int>(counts_.size()); }
  std::span<const std::uint64_t> counts() const noexcept { return counts_; }
  const WordTable& words() const noexcept { return words_; }

  std::int32_t start(bool sentence) const noexcept {
    return sentence ? static_cast<std::int32_t>(unigrams_[static_cast<std::size_t>(begin_)].next)
                    : 0;
  }
  Step step(std::uint32_t state, std::int32_t word) const noexcept;
  void prefetch(std::uint32_t state, std::int32_t word) const noexcept {
    __builtin_prefetch(&arcs_[slot_of(state, static_cast<std::uint32_t>(word))]);
  }
  std::size_t num_states() const noexcept { return contexts_.size(); }
  std::int32_t end_of_sentence() const noexcept { return end_; }

 private:
  friend class ArpaReader;

  struct Arc {
    std::uint32_t state;  // `no_state` where the slot is free
    std::uint32_t word;
    float score;
    std::uint32_t next;
  };
  struct Unigram {
    float score;
    std::uint32_t next;
  };
  struct Context {
    float backoff;
    std::uint32_t shorter;
  };
  static constexpr std::uint32_t no_state = ~std::uint32_t{0};

  std::size_t slot_of(std::uint32_t state, std::uint32_t word) const noexcept {
    const std::uint64_t key = (std::uint64_t{state} << 32) | word;
    // The upper half of a product is the better mixed one; the table has fewer than 2^32 slots.
    return static_cast<std::size_t>((((key * 0x9E3779B97F4A7C15ULL) >> 32) * arcs_.size()) >> 32);
  }
  const Arc* find(std::uint32_t state, std::uint32_t word) const noexcept {
    for (std::size_t slot = slot_of(state, word);;) {
      const Arc& arc = arcs_[slot];
      if (arc.state == state && arc.word == word) {
        return &arc;
      }
      if (arc.state == no_state) {
        return nullptr;
      }
      slot = slot + 1 == arcs_.size() ? 0 : slot + 1;
    }
  }

  WordTable words_;
  std::vector<std::uint64_t> counts_;
  std::vector<Unigram> unigrams_;
  std::vector<Context> contexts_;
  std::vector<Arc> arcs_;  // never full: a search ends at a free slot
  std::int32_t begin_ = 0;
  std::int32_t end_ = 0;
  float highest_score_ = 0.0F;
  float highest_weight_ = 0.0F;  // what back-off weights can add at most; 0 unless one is above 1
};

}  // namespace sestina::decoding
