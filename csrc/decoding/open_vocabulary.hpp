// The words of one utterance that its lexicon lacks, if it has one, numbered as they come.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "decoding/detokenizer.hpp"
#include "decoding/search.hpp"
#include "decoding/words.hpp"

namespace sestina::decoding {

class OpenVocabulary {
 public:
  // Off a lexicon, whose words are numbered up to `unknown`. A word that the search has spelled out
  // and that the lexicon writes the same way is that of the lexicon. Or of tokens alone: `unknown`
  // is -1 then, and there is no lexicon.
  OpenVocabulary(std::shared_ptr<const Detokenizer> detokenizer, std::int32_t unknown,
                 const WordTable* lexicon)
      : detokenizer_(std::move(detokenizer)), unknown_(unknown), lexicon_(lexicon) {
    texts_.add("");
    numbers_.push_back(unknown);
  }
  // No word is looked up in the lexicon any more, which may go.
  void close() noexcept { lexicon_ = nullptr; }

  // Whether words are to be found in the tokens; else the search says where one ends.
  bool reads_tokens() const noexcept { return unknown_ < 0; }
  // What a search calls all words that are none of the lexicon's, or -1.
  std::int32_t unknown() const noexcept { return unknown_; }
  bool is_own(std::int32_t word) const noexcept { return word > unknown_; }
  const Detokenizer& detokenizer() const noexcept { return *detokenizer_; }

  // Part of a word, by a number of its own: no text at first, then one token more.
  static constexpr std::uint32_t no_text = 0;
  std::uint32_t extended(std::uint32_t text, std::int32_t token);
  // The word that this text is.
  std::int32_t word_of(std::uint32_t text);

  // The words of a path of tokens; those that were not met get a number that no word has.
  std::vector<std::int32_t> words_of(std::span<const Stretch> path) const;
  // Whether it is one of those that were met.
  bool has(std::int32_t word) const noexcept {
    return is_own(word) && static_cast<std::size_t>(word - unknown_ - 1) < own_.size();
  }
  // Of a word that it has.
  std::string_view text(std::int32_t word) const noexcept {
    return texts_.text(own_[static_cast<std::size_t>(word - unknown_ - 1)]);
  }

 private:
  std::shared_ptr<const Detokenizer> detokenizer_;
  std::int32_t unknown_;
  const WordTable* lexicon_;
  WordTable texts_;                    // of words and of parts of some
  std::vector<std::int32_t> numbers_;  // by text: the word, or unknown_ if it was not asked for
  std::vector<std::int32_t> own_;      // the texts of the words off the lexicon
  std::unordered_map<std::uint64_t, std::uint32_t> extended_;  // by text and token
};

}  // namespace sestina::decoding
