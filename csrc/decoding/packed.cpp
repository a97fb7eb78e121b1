#include "decoding/packed.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>

#include "decoding/errors.hpp"
#include "decoding/lexicon.hpp"

namespace sestina::decoding {

namespace {

constexpr char magic[8] = {'s', 'e', 's', 't', 'g', 'r', 'p', 'h'};
// To be raised whenever Header, Node or Word change, or what their fields mean.
constexpr std::uint32_t version = 5;

struct Header {
  char kind[8];
  std::uint32_t version;  // read as another number where bytes have another order
  std::uint32_t num_tokens;
  std::uint64_t num_nodes;  // with the one that ends the last lists
  std::uint64_t num_words;  // in the lists of all nodes
  std::uint64_t num_model_words;
  std::uint64_t num_phrase_symbols;
  std::uint64_t num_transitions;
  std::uint64_t ending_tokens;
  float highest_rise;
  float lowest_rise;
  float largest_smear;
  float highest_bonus;
};
static_assert(sizeof(Header) % 8 == 0 && sizeof(Node) % 8 == 0 && sizeof(Word) % 4 == 0);
static_assert(std::is_trivially_copyable_v<Node> && std::is_trivially_copyable_v<Word>);

[[noreturn]] void refuse(const std::string& reason) {
  throw FormatError(reason, "delete it; it is made again when it is needed");
}

void check(bool holds, const char* reason) {
  if (!holds) {
    refuse(reason);
  }
}

template <typename Item>
std::byte* put(std::byte* at, std::span<const Item> items) {
  if (!items.empty()) {
    std::memcpy(at, items.data(), items.size_bytes());
  }
  return at + items.size_bytes();
}

// The next `count` items of what remains of a block.
template <typename Item>
std::span<const Item> take(std::span<const std::byte>& rest, std::uint64_t count) {
  check(count <= rest.size() / sizeof(Item), "it ends too early");
  const std::span<const Item> items(reinterpret_cast<const Item*>(rest.data()),
                                    static_cast<std::size_t>(count));
  rest = rest.subspan(items.size_bytes());
  return items;
}

// A node's children and words lie in order and within bounds, and its mask is that of its children.
void check_node(const GraphParts& graph, std::uint32_t index) {
  const Node& node = graph.nodes[index];
  const Node& next = graph.nodes[index + 1];
  const auto num_nodes = static_cast<std::uint32_t>(graph.nodes.size() - 1);
  const auto num_tokens = static_cast<std::int32_t>(graph.root_children.size());
  check(index < node.first_child && node.first_child <= next.first_child &&
            next.first_child <= num_nodes,
        "a node's children are out of order");
  check(node.first_word <= next.first_word && next.first_word <= graph.words.size(),
        "a node's words are out of order");
  check(index == Trie::root || (node.token >= 0 && node.token < num_tokens),
        "a node's token does not exist");
  check(node.smear < std::numeric_limits<float>::infinity(), "a node's look-ahead is no number");
  const bool is_leaf = node.first_child == next.first_child;
  const float inner_smear = is_leaf ? LexiconGraph::leaf : node.smear;
  check(index == Trie::root || graph.inner_smears[index] == inner_smear,
        "a node's look-ahead is not that of a search");
  std::uint64_t children = 0;
  std::uint64_t near = 0;
  for (std::uint32_t child = node.first_child; child < next.first_child; ++child) {
    const std::int32_t token = graph.nodes[child].token;
    check(child == node.first_child || graph.nodes[child - 1].token < token,
          "the children of a node are not sorted");
    if (num_tokens <= 64) {
      const std::uint64_t bit = std::uint64_t{1} << (token & 63);
      children |= bit;
      near |= LexiconGraph::is_near(node, graph.nodes[child]) ? bit : 0;
    }
    check(index != Trie::root || (token >= 0 && token < num_tokens &&
                                  graph.root_children[static_cast<std::size_t>(token)] == child),
          "a child of the root is not listed");
  }
  check(node.children == children && node.near == near,
        "a node's masks are not those of its children");
}

void check_graph(const GraphParts& graph, std::int32_t num_words) {
  check(!graph.nodes.empty() && graph.nodes.size() < 0xFFFFFFFFU, "it has no nodes, or too many");
  check(graph.nodes.front().first_child == 1 && graph.nodes.front().first_word == 0,
        "it has no root");
  check(graph.nodes.back().first_child == graph.nodes.size() - 1 &&
            graph.nodes.back().first_word == graph.words.size(),
        "its last lists have no end");
  check(std::isfinite(graph.highest_rise) && std::isfinite(graph.lowest_rise) &&
            std::isfinite(graph.largest_smear) && std::isfinite(graph.highest_bonus),
        "the bounds of the look-ahead are no numbers");
  for (std::uint32_t index = 0; index + 1 < graph.nodes.size(); ++index) {
    check_node(graph, index);
  }
  for (const Word& word : graph.words) {
    check(word.id >= 0 && word.id < num_words, "a word does not exist");
    check(!std::isnan(word.highest_score), "a word's highest score is no number");
    check(std::isfinite(word.bonus), "a word's own score is no number");
  }
  const std::uint32_t end = graph.nodes[std::min<std::size_t>(1, graph.nodes.size() - 1)].first_child;
  for (const std::uint32_t child : graph.root_children) {
    check(child < end, "a child of the root does not exist");
  }
}

}  // namespace

std::vector<std::byte> pack(const Packed& parts) {
  const GraphParts& graph = parts.graph;
  Header header{};
  std::memcpy(header.kind, magic, sizeof magic);
  header.version = version;
  header.num_tokens = static_cast<std::uint32_t>(graph.root_children.size());
  header.num_nodes = graph.nodes.size();
  header.num_words = graph.words.size();
  header.num_model_words = parts.model_words.size();
  header.num_phrase_symbols = parts.phrase_symbols.size();
  header.num_transitions = parts.transitions.size();
  header.ending_tokens = graph.ending_tokens;
  header.highest_rise = graph.highest_rise;
  header.lowest_rise = graph.lowest_rise;
  header.largest_smear = graph.largest_smear;
  header.highest_bonus = graph.highest_bonus;
  std::vector<std::byte> block(sizeof header + graph.nodes.size_bytes() +
                               graph.inner_smears.size_bytes() + graph.words.size_bytes() +
                               graph.root_children.size_bytes() + parts.model_words.size_bytes() +
                               parts.phrase_symbols.size_bytes() + parts.transitions.size_bytes());
  std::byte* at = put(block.data(), std::span<const Header>(&header, 1));
  at = put(at, graph.nodes);  // what needs 8-byte addresses comes first
  at = put(at, graph.inner_smears);
  at = put(at, graph.words);
  at = put(at, graph.root_children);
  at = put(at, parts.model_words);
  at = put(at, parts.phrase_symbols);
  put(at, parts.transitions);
  return block;
}

Packed unpack(std::span<const std::byte> block, std::int32_t num_model_words) {
  check(reinterpret_cast<std::uintptr_t>(block.data()) % 8 == 0, "its address is no multiple of 8");
  std::span<const std::byte> rest = block;
  const Header& header = take<Header>(rest, 1).front();
  check(std::memcmp(header.kind, magic, sizeof magic) == 0, "it is no packed decoder");
  if (header.version != version) {
    refuse("its version is " + std::to_string(header.version) + ", expected " +
           std::to_string(version));
  }
  Packed parts;
  GraphParts& graph = parts.graph;
  graph.nodes = take<Node>(rest, header.num_nodes);
  check(!graph.nodes.empty(), "it has no nodes");
  graph.inner_smears = take<float>(rest, header.num_nodes - 1);
  graph.words = take<Word>(rest, header.num_words);
  graph.root_children = take<std::uint32_t>(rest, header.num_tokens);
  parts.model_words = take<std::int32_t>(rest, header.num_model_words);
  parts.phrase_symbols = take<std::int32_t>(rest, header.num_phrase_symbols);
  parts.transitions = take<float>(rest, header.num_transitions);
  check(rest.empty(), "it goes on after its end");
  graph.highest_rise = header.highest_rise;
  graph.lowest_rise = header.lowest_rise;
  graph.largest_smear = header.largest_smear;
  graph.highest_bonus = header.highest_bonus;
  graph.ending_tokens = header.ending_tokens;
  check(!parts.model_words.empty(), "it lists no words of the model");
  check(parts.phrase_symbols.empty() || parts.phrase_symbols.size() == parts.model_words.size(),
        "what phrases call its words is no list of these");
  const std::uint64_t num_tokens = header.num_tokens;
  check(parts.transitions.empty() || parts.transitions.size() == num_tokens * num_tokens,
        "its transitions are none of its tokens");
  check_graph(graph, static_cast<std::int32_t>(parts.model_words.size() - 1));
  for (const std::int32_t word : parts.model_words) {
    check(word >= 0 && word < num_model_words, "the model has fewer words");
  }
  return parts;
}

}  // namespace sestina::decoding
