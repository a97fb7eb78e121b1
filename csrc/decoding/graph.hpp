// A lexicon made ready for a search: the tree's nodes as the search reads them, with the language
// model's look-ahead ("smearing") in each.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "decoding/lexicon.hpp"

namespace sestina::decoding {

enum class Smearing : int { none, max, logadd };

// 24 bytes, since a search reads several of them per hypothesis.
struct Node {
  std::uint64_t children;  // bit n: there is a child of token n (for at most 64 tokens, else 0)
  std::uint32_t first_child;
  std::uint32_t first_word;
  float smear;  // log10: what the words below can score at best; the root's counts as 0
  std::int32_t token;
};

struct Word {
  std::int32_t id;
  float highest_score;
};

class LexiconGraph {
 public:
  // `word_scores` (log10, by word) feed the smearing; not read if it is none.
  // `highest_scores` (log10, by word) are what no score of the language model exceeds.
  LexiconGraph(const Trie& trie, std::span<const float> word_scores, Smearing smearing,
               std::span<const float> highest_scores, std::int32_t num_tokens);

  const Node& node(std::uint32_t index) const noexcept { return nodes_[index]; }
  std::uint32_t num_nodes() const noexcept { return static_cast<std::uint32_t>(nodes_.size() - 1); }
  std::int32_t num_tokens() const noexcept { return num_tokens_; }
  bool has_masks() const noexcept { return num_tokens_ <= 64; }
  // The words that end at a node. One node more is stored than there are, to end the last lists.
  std::span<const Word> words_at(std::uint32_t index) const noexcept {
    return {words_.data() + nodes_[index].first_word,
            nodes_[index + 1].first_word - nodes_[index].first_word};
  }
  bool is_leaf(std::uint32_t index) const noexcept {
    return nodes_[index].first_child == nodes_[index + 1].first_child;
  }
  // The child of the root by token, 0 if there is none.
  std::uint32_t root_child(std::int32_t token) const noexcept {
    return root_children_[static_cast<std::size_t>(token)];
  }
  // The most that one step down the tree adds to the look-ahead, at least 0: with it a search bounds
  // an expansion before reading the node.
  float highest_rise() const noexcept { return highest_rise_; }
  float lowest_rise() const noexcept { return lowest_rise_; }
  // The look-ahead of any node is not further from 0.
  float largest_smear() const noexcept { return largest_smear_; }
  // The tokens on which words end, as a mask; 0 where there are no masks.
  std::uint64_t ending_tokens() const noexcept { return ending_tokens_; }

 private:
  std::vector<Node> nodes_;
  std::vector<Word> words_;
  std::vector<std::uint32_t> root_children_;
  std::int32_t num_tokens_;
  float highest_rise_ = 0.0F;
  float lowest_rise_ = 0.0F;
  float largest_smear_ = 0.0F;
  std::uint64_t ending_tokens_ = 0;
};

}  // namespace sestina::decoding
