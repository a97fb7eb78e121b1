// How tokens make words that no lexicon names: letters between separators, or pieces of which some
// begin a word.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sestina::decoding {

class Detokenizer {
 public:
  enum class Style {
    letters,        // a word is what separators leave between them; names count as they are
    sentencepiece,  // and ▁ begins one
    wordpiece,      // and all begin one but those with ##
  };
  // That of tokens with these names.
  static Style style_of(std::span<const std::string_view> names) noexcept;

  // `blank` and `separator` are -1 if there is none.
  Detokenizer(std::span<const std::string_view> names, Style style, std::int32_t blank,
              std::int32_t separator);

  bool has(std::int32_t token) const noexcept {
    return token < static_cast<std::int32_t>(texts_.size());
  }
  bool separates(std::int32_t token) const noexcept { return token == separator_; }
  // Whether a word begins with it whatever comes before.
  bool begins(std::int32_t token) const noexcept {
    return token >= 0 && begins_[static_cast<std::size_t>(token)] != 0;
  }
  // What it adds to its word; nothing if it is blank or separates words.
  std::string_view text(std::int32_t token) const noexcept {
    return token < 0 ? std::string_view() : texts_[static_cast<std::size_t>(token)];
  }

 private:
  std::vector<std::string> texts_;  // by token
  std::vector<char> begins_;
  std::int32_t separator_;
};

}  // namespace sestina::decoding
