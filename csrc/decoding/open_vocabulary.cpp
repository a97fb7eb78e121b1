#include "decoding/open_vocabulary.hpp"

#include <stdexcept>
#include <string>

namespace sestina::decoding {

std::uint32_t OpenVocabulary::extended(std::uint32_t text, std::int32_t token) {
  const std::string_view more = detokenizer_->text(token);
  if (more.empty()) {
    return text;
  }
  const std::uint64_t key = (std::uint64_t{text} << 32) | static_cast<std::uint32_t>(token);
  const auto [at, is_new] = extended_.try_emplace(key, 0);
  if (is_new) {
    std::string whole(texts_.text(static_cast<std::int32_t>(text)));
    at->second = static_cast<std::uint32_t>(texts_.add(whole.append(more)));
    numbers_.resize(static_cast<std::size_t>(texts_.size()), unknown_);
  }
  return at->second;
}

std::int32_t OpenVocabulary::word_of(std::uint32_t text) {
  std::int32_t& number = numbers_[text];
  if (number == unknown_) {
    const auto id = static_cast<std::int32_t>(text);
    number = lexicon_ != nullptr ? lexicon_->find(texts_.text(id)) : -1;
    if (number < 0) {
      number = unknown_ + 1 + static_cast<std::int32_t>(own_.size());
      own_.push_back(id);
    }
  }
  return number;
}

std::vector<std::int32_t> OpenVocabulary::words_of(std::span<const Stretch> path) const {
  std::vector<std::int32_t> words;
  std::string text;
  const auto end = [&] {
    const std::int32_t id = texts_.find(text);
    const std::int32_t number = id < 0 ? unknown_ : numbers_[static_cast<std::size_t>(id)];
    const auto unmet = unknown_ + 1 + static_cast<std::int32_t>(own_.size());
    words.push_back(number == unknown_ ? unmet : number);
  };
  for (const Stretch& stretch : path) {
    if (!detokenizer_->has(stretch.token)) {
      throw std::invalid_argument("the path has token " + std::to_string(stretch.token) +
                                  ", expected one of its decoder's tokens");
    }
    if (reads_tokens() && !text.empty() &&
        (detokenizer_->separates(stretch.token) || detokenizer_->begins(stretch.token))) {
      end();
      text.clear();
    }
    text += detokenizer_->text(stretch.token);
    if (stretch.word < 0) {
      continue;
    }
    if (stretch.word == unknown_) {
      end();
    } else {
      words.push_back(stretch.word);
    }
    text.clear();
  }
  if (reads_tokens() && !text.empty()) {
    end();
  }
  return words;
}

}  // namespace sestina::decoding
