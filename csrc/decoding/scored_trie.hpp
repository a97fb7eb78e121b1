// A lexicon as Flashlight's users make one: spellings of words that are mere numbers, entered one by
// one, each with the score from which the search foresees it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "decoding/graph.hpp"
#include "decoding/lexicon.hpp"

namespace sestina::decoding {

class ScoredTrie {
 public:
  // Tokens are 0 to num_tokens - 1.
  explicit ScoredTrie(std::int32_t num_tokens) : num_tokens_(num_tokens) {}

  std::int32_t num_tokens() const noexcept { return num_tokens_; }
  std::size_t num_spellings() const noexcept { return words_.size(); }
  std::int32_t largest_word() const noexcept { return largest_word_; }

  // Throws std::out_of_range for a token that is none, and std::invalid_argument for a word below 0.
  void insert(std::span<const std::int32_t> tokens, std::int32_t word, float score);
  // From then on the nodes have a look-ahead, those of later spellings included.
  void smear(Smearing smearing);
  // The node that those tokens lead to.
  std::optional<std::uint32_t> find(std::span<const std::int32_t> tokens) const;

  // What follows is made when it is first asked for after a change: not for several threads at once.
  const Trie& tree() const;
  // Of the entries of `tree().words`.
  std::span<const float> scores() const;
  // By node of the tree.
  std::span<const float> smears() const;

 private:
  struct Built {
    Trie tree;
    std::vector<float> scores;
    std::vector<float> smears;
  };
  const Built& built() const;

  std::int32_t num_tokens_;
  std::int32_t largest_word_ = -1;
  Smearing smearing_ = Smearing::none;
  Spellings spellings_;  // numbered, so that each keeps a word and a score of its own
  std::vector<std::int32_t> words_;  // by spelling
  std::vector<float> scores_;
  mutable std::optional<Built> built_;
};

}  // namespace sestina::decoding
