// A lexicon made ready for a search: the tree's nodes as the search reads them, with the language
// model's look-ahead ("smearing") in each.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "decoding/lexicon.hpp"

namespace sestina::decoding {

enum class Smearing : int { none, max, logadd };

// By node, what the words below can score at best (log10); 0 without smearing. `scores` are of the
// entries of `trie.words`.
std::vector<float> look_ahead(const Trie& trie, std::span<const float> scores, Smearing smearing);

// Children that lose no more of the look-ahead than this (log10: a tenth of the likelihood) are near.
// Most are not, so that a search needs to read few of them; half or twice as much does about as well.
inline constexpr float near_loss = 1.0F;

// 32 bytes, since a search reads several of them per hypothesis.
struct Node {
  std::uint64_t children;  // bit n: there is a child of token n (for at most 64 tokens, else 0)
  std::uint64_t near;      // and it is near
  std::uint32_t first_child;
  std::uint32_t first_word;
  float smear;  // log10: what the words below can score at best; the root's counts as 0
  std::int32_t token;
};

struct Word {
  std::int32_t id;
  float highest_score;  // of the language model
  float bonus;          // the word's own score
};

// What a graph consists of, wherever that lies.
struct GraphParts {
  std::span<const Node> nodes;  // one more than there are
  std::span<const float> inner_smears;  // by node: its smear, but LexiconGraph::leaf of a leaf
  std::span<const Word> words;
  std::span<const std::uint32_t> root_children;  // by token
  float highest_rise = 0.0F;
  float lowest_rise = 0.0F;
  float largest_smear = 0.0F;
  float highest_bonus = 0.0F;
  std::uint64_t ending_tokens = 0;
};

class LexiconGraph {
 public:
  static constexpr float leaf = -std::numeric_limits<float>::infinity();

  // `smears` are by node, see look_ahead; the root's is not read.
  // `highest_scores` (log10, by word) are what no score of the language model exceeds. `bonuses`
  // (natural logarithms, by word) are scores of the words' own; may be empty.
  LexiconGraph(const Trie& trie, std::span<const float> smears,
               std::span<const float> highest_scores, std::int32_t num_tokens,
               std::span<const float> bonuses = {});
  // Of parts that stay in place while the graph is used, and are what `parts` gave.
  explicit LexiconGraph(const GraphParts& parts)
      : parts_(parts), num_tokens_(static_cast<std::int32_t>(parts.root_children.size())) {}
  LexiconGraph(const LexiconGraph&) = delete;
  LexiconGraph& operator=(const LexiconGraph&) = delete;

  const GraphParts& parts() const noexcept { return parts_; }
  const Node& node(std::uint32_t index) const noexcept { return parts_.nodes[index]; }
  // The look-ahead of a node that has others below it, else `leaf`: an eighth of what node() reads.
  float inner_smear(std::uint32_t index) const noexcept { return parts_.inner_smears[index]; }
  std::uint32_t num_nodes() const noexcept {
    return static_cast<std::uint32_t>(parts_.nodes.size() - 1);
  }
  std::int32_t num_tokens() const noexcept { return num_tokens_; }
  // Whether a child's look-ahead is near that of the node above it.
  static bool is_near(const Node& node, const Node& child) noexcept {
    return node.smear - child.smear <= near_loss;
  }
  bool has_masks() const noexcept { return num_tokens_ <= 64; }
  // The words that end at a node. One node more is stored than there are, to end the last lists.
  std::span<const Word> words_at(std::uint32_t index) const noexcept {
    return {parts_.words.data() + node(index).first_word,
            node(index + 1).first_word - node(index).first_word};
  }
  bool is_leaf(std::uint32_t index) const noexcept {
    return node(index).first_child == node(index + 1).first_child;
  }
  // The child of a node by token, 0 if there is none; however many tokens there are.
  std::uint32_t child(std::uint32_t index, std::int32_t token) const noexcept;
  // The child of the root by token, 0 if there is none.
  std::uint32_t root_child(std::int32_t token) const noexcept {
    return parts_.root_children[static_cast<std::size_t>(token)];
  }
  // The most that one step down the tree adds to the look-ahead, at least 0: with it a search bounds
  // an expansion before reading the node.
  float highest_rise() const noexcept { return parts_.highest_rise; }
  float lowest_rise() const noexcept { return parts_.lowest_rise; }
  float highest_bonus() const noexcept { return parts_.highest_bonus; }
  // The look-ahead of any node is not further from 0.
  float largest_smear() const noexcept { return parts_.largest_smear; }
  // The tokens on which words end, as a mask; 0 where there are no masks.
  std::uint64_t ending_tokens() const noexcept { return parts_.ending_tokens; }

 private:
  // Empty if the parts lie elsewhere.
  std::vector<Node> nodes_;
  std::vector<float> inner_smears_;
  std::vector<Word> words_;
  std::vector<std::uint32_t> root_children_;
  GraphParts parts_;
  std::int32_t num_tokens_;
};

}  // namespace sestina::decoding
