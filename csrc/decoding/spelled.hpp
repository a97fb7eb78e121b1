// Words that a search spells itself: the tree of token sequences that it has met off its lexicon.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace sestina::decoding {

class Spelled {
 public:
  // Numbers of nodes begin with `first`; those below are others' own, which any node may follow.
  explicit Spelled(std::uint32_t first) : first_(first) {}

  void clear() {
    nodes_.clear();
    numbers_.clear();
  }
  // The node of one token more.
  std::uint32_t child(std::uint32_t parent, std::int32_t token) {
    const std::uint64_t key = (std::uint64_t{parent} << 32) | static_cast<std::uint32_t>(token);
    const auto [at, is_new] =
        numbers_.try_emplace(key, first_ + static_cast<std::uint32_t>(nodes_.size()));
    if (is_new) {
      nodes_.push_back({parent, token});
    }
    return at->second;
  }
  bool holds(std::uint32_t node) const noexcept { return node >= first_; }
  std::size_t size() const noexcept { return nodes_.size(); }

  // Forgets all nodes that lead to none of these, and puts in each one's place its new number.
  void keep(std::vector<std::uint32_t*>& live) {
    const std::vector<Node> old = std::move(nodes_);
    clear();
    for (std::uint32_t* node : live) {
      *node = copy(old, *node);
    }
  }

 private:
  struct Node {
    std::uint32_t parent;
    std::int32_t token;
  };

  std::uint32_t copy(const std::vector<Node>& old, std::uint32_t node) {
    std::vector<std::int32_t> tokens;
    for (; node >= first_; node = old[node - first_].parent) {
      tokens.push_back(old[node - first_].token);
    }
    for (; !tokens.empty(); tokens.pop_back()) {
      node = child(node, tokens.back());
    }
    return node;
  }

  std::uint32_t first_;
  std::vector<Node> nodes_;
  std::unordered_map<std::uint64_t, std::uint32_t> numbers_;
};

}  // namespace sestina::decoding
