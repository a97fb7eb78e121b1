#include "decoding/graph.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "decoding/errors.hpp"

namespace sestina::decoding {

namespace {

// Flashlight adds scores of words that share a node in this way whatever the smearing; the scores
// are log10, but it takes them for natural logarithms, and results are to be the same.
float log_add(float left, float right) noexcept {
  const float high = std::max(left, right);
  const float low = std::min(left, right);
  return std::isinf(low) ? high : high + std::log1p(std::exp(low - high));
}

}  // namespace

std::vector<float> look_ahead(const Trie& trie, std::span<const float> scores, Smearing smearing) {
  if (smearing == Smearing::none) {
    return std::vector<float>(trie.num_nodes(), 0.0F);
  }
  std::vector<float> smears(trie.num_nodes(), -std::numeric_limits<float>::infinity());
  for (std::uint32_t v = 0; v < trie.num_nodes(); ++v) {
    for (std::uint32_t w = trie.first_word[v]; w < trie.first_word[v + 1]; ++w) {
      smears[v] = log_add(smears[v], scores[w]);
    }
  }
  // Children come after their parents, so one pass from the end sees every subtree complete.
  for (std::uint32_t v = trie.num_nodes(); v-- > 1;) {
    float& above = smears[trie.parent[v]];
    above = smearing == Smearing::max ? std::max(above, smears[v]) : log_add(above, smears[v]);
  }
  return smears;
}

LexiconGraph::LexiconGraph(const Trie& trie, std::span<const float> smears,
                           std::span<const float> highest_scores, std::int32_t num_tokens,
                           std::span<const float> bonuses)
    : root_children_(static_cast<std::size_t>(num_tokens), 0),
      num_tokens_(num_tokens) {
  words_.reserve(trie.words.size());
  for (const std::int32_t id : trie.words) {
    const float bonus = bonuses.empty() ? 0.0F : bonuses[static_cast<std::size_t>(id)];
    words_.push_back({id, highest_scores[static_cast<std::size_t>(id)], bonus});
    parts_.highest_bonus = std::max(parts_.highest_bonus, bonus);
  }
  const std::uint32_t count = trie.num_nodes();
  nodes_.resize(std::size_t{count} + 1);
  inner_smears_.resize(count);
  parts_.nodes = nodes_;
  parts_.inner_smears = inner_smears_;
  parts_.words = words_;
  parts_.root_children = root_children_;
  for (std::uint32_t v = 0; v <= count; ++v) {
    nodes_[v] = {0, 0, trie.first_child[v], trie.first_word[v], 0.0F, v < count ? trie.token[v] : -1};
  }
  for (std::uint32_t v = 1; v < count; ++v) {
    const std::int32_t token = trie.token[v];
    Node& above = nodes_[trie.parent[v]];
    check_score(smears[v]);
    nodes_[v].smear = smears[v];
    inner_smears_[v] = is_leaf(v) ? leaf : smears[v];
    if (num_tokens <= 64) {
      above.children |= std::uint64_t{1} << token;
      above.near |= is_near(above, nodes_[v]) ? std::uint64_t{1} << token : 0;
      parts_.ending_tokens |= words_at(v).empty() ? 0 : std::uint64_t{1} << token;
    }
    if (trie.parent[v] == Trie::root) {
      root_children_[static_cast<std::size_t>(token)] = v;
    }
    const float rise = smears[v] - above.smear;
    parts_.highest_rise = std::max(parts_.highest_rise, rise);
    parts_.lowest_rise = std::min(parts_.lowest_rise, rise);
    parts_.largest_smear = std::max(parts_.largest_smear, std::abs(smears[v]));
  }
}

std::uint32_t LexiconGraph::child(std::uint32_t index, std::int32_t token) const noexcept {
  if (index == Trie::root) {
    return root_child(token);
  }
  const std::uint32_t end = node(index + 1).first_child;
  std::uint32_t low = node(index).first_child;
  for (std::uint32_t high = end; low < high;) {
    const std::uint32_t middle = low + (high - low) / 2;
    if (node(middle).token < token) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < end && node(low).token == token ? low : 0;
}

}  // namespace sestina::decoding
