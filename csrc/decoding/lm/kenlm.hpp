// KenLM's binary files, version 5, read where they lie: hash tables and tries, the latter plain,
// with quantised scores, with compressed pointers, or both.
//
// A state is at most as many words as matter for what follows, with their back-off weights; a
// session numbers them as it meets them. Immutable; any number of threads may have a session each.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "decoding/lm/kenlm_layout.hpp"
#include "decoding/lm/kenlm_search.hpp"
#include "decoding/lm/memory.hpp"
#include "decoding/lm/model.hpp"
#include "decoding/lm/ngram.hpp"

namespace sestina::decoding {

class KenlmModel final : public LanguageModel {
 public:
  using Search = std::variant<kenlm::Probing, kenlm::Trie<kenlm::PlainValues>,
                              kenlm::Trie<kenlm::QuantisedValues>>;

  // Whether these first bytes of a file are those of a KenLM binary, of whatever version.
  static bool recognises(std::span<const std::byte> bytes) noexcept;
  // Throws FormatError, and std::system_error if the file can't be read.
  static std::shared_ptr<KenlmModel> load(const char* path, Loading loading);
  static std::shared_ptr<KenlmModel> parse(Block file);

  std::unique_ptr<Session> session() const override;
  std::int32_t word(std::string_view text) const override;
  float highest_score() const noexcept override;
  // Nothing more than `highest_score` if the file is a hash table, whose n-grams do not say which
  // words they are of.
  void highest_scores(std::span<const std::int32_t> words, std::span<float> highest) const override;

  int order() const noexcept { return static_cast<int>(counts_.size()); }
  std::span<const std::uint64_t> counts() const noexcept { return counts_; }
  std::int32_t num_words() const noexcept override {
    return static_cast<std::int32_t>(num_words_);
  }
  // Empty if the file has no texts.
  std::string_view word_text(std::int32_t word) const noexcept;
  // As KenLM calls it: "probing", "trie", "quantised trie", "array trie", "quantised array trie".
  const char* kind() const noexcept { return kind_; }

  // The same model as an automaton, which is faster and larger. Throws FormatError if the file is a
  // hash table, whose n-grams can't be listed, or has no texts.
  std::shared_ptr<NgramModel> compile() const;

  const Search& search() const noexcept { return search_; }

 private:
  struct Header {
    float multiplier;
    std::uint32_t kind;
    bool has_texts;
  };
  struct Bounds {
    std::vector<float> by_word;  // empty if unknown
    float highest = 0.0F;
  };

  explicit KenlmModel(Block file) : file_(std::move(file)) {}
  void read();
  Header read_header(kenlm::Parts& parts);
  std::uint64_t read_vocabulary(kenlm::Parts& parts, const Header& header);
  void read_texts(std::size_t at);
  const Bounds& bounds() const;

  Block file_;
  std::vector<std::uint64_t> counts_;
  std::uint32_t num_words_ = 0;
  const char* kind_ = "";
  Search search_;
  // Of words: by hash in a table (with ids), or the sorted hashes of all words but <unk>.
  kenlm::HashTable word_table_;
  std::span<const std::byte> word_hashes_;
  std::vector<std::uint64_t> text_ends_;  // in the file
  std::size_t texts_at_ = 0;
  std::uint32_t begin_ = 0;
  std::uint32_t end_ = 0;
  mutable std::once_flag bounded_;
  mutable Bounds bounds_;
};

}  // namespace sestina::decoding
