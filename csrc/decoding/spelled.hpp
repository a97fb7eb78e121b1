// Words that a search spells itself: the tree of token sequences that it has met off its lexicon.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <unordered_map>

namespace sestina::decoding {

class Spelled {
 public:
  // Numbers of nodes begin with `first`; those below are others' own, which any node may follow. A
  // node keeps its number, and no other one gets it.
  explicit Spelled(std::uint32_t first) : first_(first), next_(first) {}

  void clear() {
    nodes_.clear();
    numbers_.clear();
    next_ = first_;
  }
  // The node of one token more. Throws std::length_error beyond 2^30 nodes.
  std::uint32_t child(std::uint32_t parent, std::int32_t token) {
    const auto [at, is_new] = numbers_.try_emplace(key_of({parent, token}), next_);
    if (is_new) {
      if (next_ - first_ >= (1U << 30)) {
        throw std::length_error("the stream is too long for an open vocabulary; restart it");
      }
      nodes_.emplace(next_++, Node{parent, token});
    }
    return at->second;
  }
  bool holds(std::uint32_t node) const noexcept { return node >= first_; }
  std::size_t size() const noexcept { return nodes_.size(); }

  // Forgets all nodes that lead to none of these.
  void keep(std::span<const std::uint32_t> needed) {
    const std::unordered_map<std::uint32_t, Node> old = std::move(nodes_);
    nodes_ = {};
    numbers_.clear();
    for (std::uint32_t node : needed) {
      while (holds(node) && !nodes_.contains(node)) {
        const Node kept = old.at(node);
        nodes_.emplace(node, kept);
        numbers_.emplace(key_of(kept), node);
        node = kept.parent;
      }
    }
  }

 private:
  struct Node {
    std::uint32_t parent;
    std::int32_t token;
  };

  static std::uint64_t key_of(const Node& node) noexcept {
    return (std::uint64_t{node.parent} << 32) | static_cast<std::uint32_t>(node.token);
  }

  std::uint32_t first_;
  std::uint32_t next_;
  std::unordered_map<std::uint32_t, Node> nodes_;
  std::unordered_map<std::uint64_t, std::uint32_t> numbers_;
};

}  // namespace sestina::decoding
