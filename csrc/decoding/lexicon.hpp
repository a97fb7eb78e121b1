// Words and their spellings, as a prefix tree that a search walks.
//
// The tree is numbered breadth first with the children of a node in the order of their tokens, so
// that a node's children lie side by side: child k of node v is first_child[v] + k, and the last one
// comes just before first_child[v + 1]. Immutable once built; any number of threads may read it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "decoding/tokens.hpp"
#include "decoding/words.hpp"

namespace sestina::decoding {

// The spellings of a lexicon: words by id in the order of their first appearance.
class Spellings {
 public:
  // Reads lines `WORD token token …` (fields parted by spaces or tabs; a word may have several
  // lines). Throws FormatError naming the line, the token and the nearest known one.
  static Spellings parse(std::string_view text, const TokenTable& tokens);

  void add_spelling(std::int32_t word, std::span<const std::int32_t> tokens);
  // These and those of `more`.
  Spellings extended(const Spellings& more) const;
  // Those of these words only.
  Spellings restricted(std::span<const std::int32_t> words) const;
  // The first of them that has this token, or -1.
  std::ptrdiff_t spelling_with(std::int32_t token) const noexcept;
  // The token that all of them end in, or -1.
  std::int32_t last_token() const noexcept;

  const WordTable& words() const noexcept { return words_; }
  std::vector<std::string_view> texts() const;  // of the words
  std::size_t num_spellings() const noexcept { return spelling_words_.size(); }
  std::int32_t word_of(std::size_t spelling) const { return spelling_words_[spelling]; }
  std::span<const std::int32_t> tokens_of(std::size_t spelling) const;

 private:
  WordTable words_;
  std::vector<std::int32_t> spelling_words_;
  std::vector<std::uint32_t> spelling_ends_;  // of each spelling in spelling_tokens_
  std::vector<std::int32_t> spelling_tokens_;
};

struct Trie {
  explicit Trie(const Spellings& spellings);

  std::uint32_t num_nodes() const noexcept { return static_cast<std::uint32_t>(token.size()); }

  static constexpr std::uint32_t root = 0;
  std::vector<std::int32_t> token;         // of the arc into the node; -1 at the root
  std::vector<std::uint32_t> parent;       // the root's is the root
  std::vector<std::uint32_t> first_child;  // one more than there are nodes
  std::vector<std::uint32_t> first_word;   // into `words`; one more than there are nodes
  std::vector<std::int32_t> words;         // that end at each node
};

}  // namespace sestina::decoding
