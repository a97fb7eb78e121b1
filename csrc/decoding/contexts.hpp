// What the hypotheses of one search have said so far, as far as the language model and the merging
// rule care: an integer for each, and where each word leads from there.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "decoding/lm/model.hpp"

namespace sestina::decoding {

enum class Merge : int {
  history,  // hypotheses are one only if all their words are
  context,  // hypotheses are one if no future can tell them apart: their model states are equal
};

class Contexts {
 public:
  struct Transition {
    float score;  // log10 of the language model
    std::uint32_t context;
  };
  struct Request {
    std::uint32_t context;
    std::int32_t word;
  };

  // `model_words` maps the search's words (or tokens) to the model's; the last one stands for all
  // beyond. Both outlive this.
  Contexts(Session& session, std::span<const std::int32_t> model_words, Merge merge);

  // Forgets everything.
  void clear();
  // And returns the context in which a search starts.
  std::uint32_t start();
  // Where the word leads, if that was asked before.
  const Transition* find(std::uint32_t context, std::int32_t word) const noexcept {
    const std::uint64_t key = key_of(context, word);
    for (std::size_t slot = slot_of(key);; slot = (slot + 1) & (slots_.size() - 1)) {
      if (slots_[slot].key == key) {
        return &slots_[slot].transition;
      }
      if (slots_[slot].key == free_slot) {
        return nullptr;
      }
    }
  }
  // Asks the model where each of these leads, all at once. Those known already are skipped. If the
  // model fails or gives a score that is no number, which throws, none of them is known afterwards.
  void resolve(std::span<const Request> requests);
  float finish(std::uint32_t context);
  // The same for many, all at once.
  void finish_all(std::span<const std::uint32_t> contexts, std::span<float> scores);
  std::int32_t state(std::uint32_t context) const { return states_[context]; }
  std::size_t size() const noexcept { return states_.size(); }
  // How many answers are remembered.
  std::size_t used() const noexcept { return used_; }
  // And how many were left when they were last gone through.
  std::size_t kept() const noexcept { return kept_; }
  // Forgets what is not needed to go on from these contexts, and puts in each one's place its new
  // number. Returns which words are still remembered to lead somewhere.
  std::vector<std::int32_t> keep(std::span<std::uint32_t* const> live);

 private:
  struct Slot {
    std::uint64_t key;
    Transition transition;
  };
  static constexpr std::uint64_t free_slot = ~std::uint64_t{0};

  static std::uint64_t key_of(std::uint32_t context, std::int32_t word) noexcept {
    return (std::uint64_t{context} << 32) | static_cast<std::uint32_t>(word);
  }
  std::size_t slot_of(std::uint64_t key) const noexcept {
    return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15ULL) >> shift_);
  }
  void insert(std::uint64_t key, Transition transition);
  // Forgets everything; the table has this many slots then, a power of two.
  void reset(std::size_t capacity);
  void grow();
  void forget_unanswered();
  void answer();
  std::uint32_t context_of(std::int32_t state, std::uint32_t parent);
  std::vector<std::uint32_t> needed(std::span<std::uint32_t* const> live) const;

  Session& session_;
  std::span<const std::int32_t> model_words_;
  Merge merge_;
  std::vector<std::int32_t> states_;    // of the language model, by context
  std::vector<std::uint32_t> parents_;  // the context that each was first reached from
  std::vector<Slot> slots_;
  std::vector<Slot> spare_;  // what slots_ were before they grew
  std::size_t used_ = 0;
  std::size_t kept_ = 0;
  int shift_ = 0;
  // Merging by context: (~state, context) pairs live in the same table under a key of their own.
  std::vector<Request> unknown_;
  std::vector<Query> queries_;
  std::vector<Step> steps_;
};

}  // namespace sestina::decoding
