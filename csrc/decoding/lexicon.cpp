#include "decoding/lexicon.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "decoding/errors.hpp"
#include "decoding/text.hpp"

namespace sestina::decoding {

namespace {

constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

}  // namespace

std::vector<std::string_view> Spellings::texts() const {
  std::vector<std::string_view> texts;
  texts.reserve(static_cast<std::size_t>(words_.size()));
  for (std::int32_t word = 0; word < words_.size(); ++word) {
    texts.push_back(words_.text(word));
  }
  return texts;
}

std::span<const std::int32_t> Spellings::tokens_of(std::size_t spelling) const {
  const std::uint32_t begin = spelling == 0 ? 0 : spelling_ends_[spelling - 1];
  return {spelling_tokens_.data() + begin, spelling_ends_[spelling] - begin};
}

void Spellings::add_spelling(std::int32_t word, std::span<const std::int32_t> tokens) {
  spelling_words_.push_back(word);
  spelling_tokens_.insert(spelling_tokens_.end(), tokens.begin(), tokens.end());
  spelling_ends_.push_back(static_cast<std::uint32_t>(spelling_tokens_.size()));
}

Spellings Spellings::extended(const Spellings& more) const {
  Spellings result = *this;
  for (std::size_t k = 0; k < more.num_spellings(); ++k) {
    result.add_spelling(result.words_.add(more.words_.text(more.word_of(k))), more.tokens_of(k));
  }
  return result;
}

Spellings Spellings::restricted(std::span<const std::int32_t> words) const {
  std::vector<bool> kept(static_cast<std::size_t>(words_.size()), false);
  for (const std::int32_t word : words) {
    kept[static_cast<std::size_t>(word)] = true;
  }
  Spellings result;
  for (std::size_t k = 0; k < num_spellings(); ++k) {
    if (kept[static_cast<std::size_t>(word_of(k))]) {
      result.add_spelling(result.words_.add(words_.text(word_of(k))), tokens_of(k));
    }
  }
  return result;
}

std::ptrdiff_t Spellings::spelling_with(std::int32_t token) const noexcept {
  const auto place = std::find(spelling_tokens_.begin(), spelling_tokens_.end(), token);
  if (place == spelling_tokens_.end()) {
    return -1;
  }
  const auto end = std::upper_bound(
      spelling_ends_.begin(), spelling_ends_.end(),
      static_cast<std::uint32_t>(place - spelling_tokens_.begin()));
  return end - spelling_ends_.begin();
}

std::int32_t Spellings::last_token() const noexcept {
  std::int32_t last = -1;
  for (std::size_t k = 0; k < num_spellings(); ++k) {
    const std::int32_t token = tokens_of(k).back();
    if (k > 0 && token != last) {
      return -1;
    }
    last = token;
  }
  return last;
}

Spellings Spellings::parse(std::string_view text, const TokenTable& tokens) {
  if (text.size() > std::numeric_limits<std::int32_t>::max()) {
    throw FormatError("it has " + std::to_string(text.size()) + " bytes, expected less than 2 GiB",
                      "split it, or drop words that are never said");
  }
  Spellings result;
  std::vector<std::int32_t> spelling;
  long number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    at = end + 1;
    ++number;
    const std::string_view word = next_field(line);
    if (word.empty()) {
      continue;
    }
    spelling.clear();
    for (std::string_view field = next_field(line); !field.empty(); field = next_field(line)) {
      const std::int32_t token = tokens.find(field);
      if (token < 0) {
        throw FormatError("token " + shown(field) + " of word " + shown(word) +
                              " is not one of the " + std::to_string(tokens.count()) +
                              " tokens; the nearest is " + shown(tokens.nearest(field)),
                          "correct the spelling, add the token or drop the word", number);
      }
      spelling.push_back(token);
    }
    if (spelling.empty()) {
      throw FormatError("word " + shown(word) + " has no spelling, expected the word and its tokens",
                        "write one word and its tokens on a line, parted by spaces or tabs", number);
    }
    result.add_spelling(result.words_.add(word), spelling);
  }
  return result;
}

namespace {

// A tree in the making: children are a list, newest first, so that adding one moves nothing.
struct Draft {
  std::vector<std::int32_t> token{-1};
  std::vector<std::uint32_t> first_child{none};
  std::vector<std::uint32_t> next_sibling{none};
  std::vector<std::uint32_t> parent{0};

  std::vector<std::uint32_t> root_child;  // by token: with word pieces the root has thousands

  std::uint32_t child(std::uint32_t node, std::int32_t label) {
    const auto made = static_cast<std::uint32_t>(token.size());
    if (node == Trie::root) {
      if (root_child.size() <= static_cast<std::size_t>(label)) {
        root_child.resize(static_cast<std::size_t>(label) + 1, none);
      }
      if (root_child[static_cast<std::size_t>(label)] != none) {
        return root_child[static_cast<std::size_t>(label)];
      }
      root_child[static_cast<std::size_t>(label)] = made;
    } else {
      for (std::uint32_t c = first_child[node]; c != none; c = next_sibling[c]) {
        if (token[c] == label) {
          return c;
        }
      }
    }
    token.push_back(label);
    parent.push_back(node);
    first_child.push_back(none);
    next_sibling.push_back(first_child[node]);
    first_child[node] = made;
    return made;
  }
};

}  // namespace

Trie::Trie(const Spellings& spellings) {
  Draft draft;
  // Lexicons are sorted as a rule: what a spelling shares with the one before it needs no search.
  std::vector<std::uint32_t> path{0};
  std::vector<std::uint32_t> last(spellings.num_spellings());  // draft node where each one ends
  std::span<const std::int32_t> previous;
  for (std::size_t s = 0; s < spellings.num_spellings(); ++s) {
    const std::span<const std::int32_t> tokens = spellings.tokens_of(s);
    std::size_t shared = 0;
    while (shared < tokens.size() && shared < previous.size() &&
           tokens[shared] == previous[shared]) {
      ++shared;
    }
    path.resize(shared + 1);
    for (std::size_t k = shared; k < tokens.size(); ++k) {
      path.push_back(draft.child(path.back(), tokens[k]));
    }
    last[s] = path.back();
    previous = tokens;
  }

  const std::size_t count = draft.token.size();
  std::vector<std::uint32_t> order{0};  // draft nodes, breadth first
  order.reserve(count);
  std::vector<std::uint32_t> rank(count);
  token.reserve(count);
  parent.reserve(count);
  first_child.reserve(count + 1);
  for (std::size_t at = 0; at < order.size(); ++at) {
    const std::uint32_t node = order[at];
    rank[node] = static_cast<std::uint32_t>(at);
    token.push_back(draft.token[node]);
    parent.push_back(rank[draft.parent[node]]);
    first_child.push_back(static_cast<std::uint32_t>(order.size()));
    const std::size_t begin = order.size();
    for (std::uint32_t c = draft.first_child[node]; c != none; c = draft.next_sibling[c]) {
      order.push_back(c);
    }
    std::sort(order.begin() + static_cast<std::ptrdiff_t>(begin), order.end(),
              [&](std::uint32_t a, std::uint32_t b) { return draft.token[a] < draft.token[b]; });
  }
  first_child.push_back(static_cast<std::uint32_t>(count));

  first_word.assign(count + 1, 0);
  for (const std::uint32_t node : last) {
    ++first_word[rank[node] + 1];
  }
  for (std::size_t node = 0; node < count; ++node) {
    first_word[node + 1] += first_word[node];
  }
  words.resize(last.size());
  std::vector<std::uint32_t> next(first_word.begin(), first_word.end() - 1);
  for (std::size_t s = 0; s < last.size(); ++s) {
    words[next[rank[last[s]]]++] = spellings.word_of(s);
  }
}

}  // namespace sestina::decoding
