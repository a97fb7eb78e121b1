#include "decoding/scored_trie.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "decoding/errors.hpp"

namespace sestina::decoding {

void ScoredTrie::insert(std::span<const std::int32_t> tokens, std::int32_t word, float score) {
  for (const std::int32_t token : tokens) {
    if (token < 0 || token >= num_tokens_) {
      throw std::out_of_range("[Trie] Invalid letter index: " + std::to_string(token));
    }
  }
  if (word < 0) {
    throw std::invalid_argument("label is " + std::to_string(word) +
                                ", expected 0 or more; number the words from 0");
  }
  check_score(score);
  spellings_.add_spelling(static_cast<std::int32_t>(words_.size()), tokens);
  words_.push_back(word);
  scores_.push_back(score);
  largest_word_ = std::max(largest_word_, word);
  built_.reset();
}

void ScoredTrie::smear(Smearing smearing) {
  smearing_ = smearing;
  built_.reset();
}

std::optional<std::uint32_t> ScoredTrie::find(std::span<const std::int32_t> tokens) const {
  const Trie& trie = tree();
  std::uint32_t node = Trie::root;
  for (const std::int32_t token : tokens) {
    const auto first = trie.token.begin() + trie.first_child[node];
    const auto last = trie.token.begin() + trie.first_child[node + 1];
    const auto child = std::lower_bound(first, last, token);
    if (child == last || *child != token) {
      return std::nullopt;
    }
    node = static_cast<std::uint32_t>(child - trie.token.begin());
  }
  return node;
}

const Trie& ScoredTrie::tree() const { return built().tree; }
std::span<const float> ScoredTrie::scores() const { return built().scores; }
std::span<const float> ScoredTrie::smears() const { return built().smears; }

const ScoredTrie::Built& ScoredTrie::built() const {
  if (!built_) {
    Built made{Trie(spellings_), {}, {}};
    for (std::int32_t& word : made.tree.words) {
      const auto spelling = static_cast<std::size_t>(word);
      made.scores.push_back(scores_[spelling]);
      word = words_[spelling];
    }
    made.smears = look_ahead(made.tree, made.scores, smearing_);
    built_ = std::move(made);
  }
  return *built_;
}

}  // namespace sestina::decoding
