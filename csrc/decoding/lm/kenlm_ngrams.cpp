// What asks for all n-grams of a KenLM file: bounds of its scores, and its automaton.
#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <type_traits>

#include "decoding/errors.hpp"
#include "decoding/lm/builder.hpp"
#include "decoding/lm/kenlm.hpp"
#include "decoding/lm/kenlm_layout.hpp"

namespace sestina::decoding {

namespace {

using kenlm::value_at;

void raise(float& highest, float value) noexcept {
  highest = value > highest ? value : highest;  // never NaN
}

// The largest weights above 1 of each order, from n = 1.
using Rises = std::array<float, NgramModel::highest_order>;

float find_bounds(const kenlm::Probing& search, std::uint32_t words, Rises& rises,
                  std::vector<float>&) {
  for (std::uint32_t word = 0; word < words; ++word) {
    raise(rises[0], value_at<float>(search.unigrams + std::size_t{word} * 8 + 4));
  }
  for (std::size_t n = 0; n < search.middles.size(); ++n) {
    const kenlm::HashTable& table = search.middles[n];
    for (std::uint64_t bucket = 0; bucket < table.buckets(); ++bucket) {
      raise(rises[n + 1], value_at<float>(table.entry(bucket) + 12));
    }
  }
  return 0.0F;  // no entry's score is above 0
}

template <class Values>
float find_bounds(const kenlm::Trie<Values>& search, std::uint32_t words, Rises& rises,
                  std::vector<float>& by_word) {
  // All weights first, since any of them may come before any score.
  for (std::uint32_t word = 0; word < words; ++word) {
    raise(rises[0], value_at<float>(search.unigrams + std::size_t{word} * 16 + 4));
  }
  for (std::size_t n = 0; n < search.middles.size(); ++n) {
    const auto& level = search.middles[n];
    for (std::uint64_t record = 0; record < level.records.count(); ++record) {
      raise(rises[n + 1], level.values.backoff(level.records, record));
    }
  }
  const std::size_t order = search.middles.size() + 2;
  Rises sums{};
  for (std::size_t n = order - 1; n > 0; --n) {
    // A thousandth more than rounding can add.
    sums[n - 1] = sums[n] + rises[n - 1] * 1.001F;
  }
  float highest = 0.0F;
  // Every record is one word's. In a hostile file it could be all words', and this take for ever.
  std::array<std::uint64_t, NgramModel::highest_order> done{};
  by_word.resize(words);
  for (std::uint32_t word = 0; word < words; ++word) {
    kenlm::Range range{};
    float& bound = by_word[word];
    bound = search.unigram(word, range).score + sums[0];
    for (std::size_t n = 2; n <= order; ++n) {
      range.begin = std::max(range.begin, done[n - 1]);
      if (range.begin >= range.end) {
        break;
      }
      done[n - 1] = range.end;
      for (std::uint64_t record = range.begin; record < range.end; ++record) {
        raise(bound, n < order ? search.middles[n - 2].values.score(
                                     search.middles[n - 2].records, record) + sums[n - 1]
                               : search.longest_values.longest(search.longest_records, record));
      }
      range = n < order ? search.below(n - 2, range) : kenlm::Range{};
    }
    raise(highest, bound);
  }
  return highest;
}

}  // namespace

const KenlmModel::Bounds& KenlmModel::bounds() const {
  std::call_once(bounded_, [&] {
    Rises rises{};
    bounds_.highest = std::visit(
        [&](const auto& search) { return find_bounds(search, num_words_, rises, bounds_.by_word); },
        search_);
    if (bounds_.by_word.empty()) {
      for (const float rise : rises) {
        bounds_.highest += rise * 1.001F;
      }
    }
  });
  return bounds_;
}

float KenlmModel::highest_score() const noexcept {
  try {
    return bounds().highest;
  } catch (...) {
    return std::numeric_limits<float>::infinity();  // no memory for what is only a bound
  }
}

void KenlmModel::highest_scores(std::span<const std::int32_t> words,
                                std::span<float> highest) const {
  const Bounds& known = bounds();
  for (std::size_t k = 0; k < words.size(); ++k) {
    highest[k] = known.by_word.empty() ? known.highest
                                       : known.by_word[static_cast<std::size_t>(words[k])];
  }
}

namespace {

// Hands the builder all n-grams of one order that end in a word.
template <class Values>
void add_ngrams(const kenlm::Trie<Values>& search, std::size_t order, kenlm::Range range,
                std::array<std::uint32_t, NgramModel::highest_order>& words, std::size_t known,
                NgramBuilder& builder) {
  const std::size_t longest = search.middles.size() + 2;
  const std::size_t length = known + 1;
  for (std::uint64_t record = range.begin; record < range.end; ++record) {
    const auto& records =
        length < longest ? search.middles[length - 2].records : search.longest_records;
    const std::uint64_t word = records.word(record);
    const auto num_words = static_cast<std::uint64_t>(builder.words().size());
    if (word >= num_words) {
      throw FormatError("an n-gram has word " + std::to_string(word) + ", expected less than the " +
                            std::to_string(num_words) + " words there are",
                        kenlm::copy_again);
    }
    words[order - length] = static_cast<std::uint32_t>(word);
    if (length < order) {
      add_ngrams(search, order, search.below(length - 2, {record, record + 1}), words, length,
                 builder);
      continue;
    }
    const bool top = order == longest;
    float score = 0.0F;
    float backoff = 0.0F;
    if (top) {
      score = search.longest_values.longest(search.longest_records, record);
    } else {
      const auto& level = search.middles[order - 2];
      score = level.values.score(level.records, record);
      backoff = level.values.backoff(level.records, record);
    }
    builder.add({words.data(), order}, score, backoff, 0);
  }
}

}  // namespace

std::shared_ptr<NgramModel> KenlmModel::compile() const {
  if (text_ends_.empty()) {
    throw FormatError("it has no texts of its words", "build the binary again with them");
  }
  return std::visit(
      [&](const auto& search) -> std::shared_ptr<NgramModel> {
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(search)>, kenlm::Probing>) {
          throw FormatError("it is a hash table, whose n-grams can't be listed",
                            "compile the ARPA file it was built from, or a trie");
        } else {
          std::uint64_t expected = 0;
          for (const std::uint64_t count : counts_) {
            expected += count;
          }
          NgramBuilder builder(counts_, expected, true);
          for (std::uint32_t word = 0; word < num_words_; ++word) {
            kenlm::Range range{};
            const kenlm::Entry entry = search.unigram(word, range);
            builder.add_word(word_text(static_cast<std::int32_t>(word)), entry.score,
                             entry.backoff, 0);
          }
          std::array<std::uint32_t, NgramModel::highest_order> words{};
          for (std::size_t order = 2; order <= counts_.size(); ++order) {
            for (std::uint32_t word = 0; word < num_words_; ++word) {
              kenlm::Range range{};
              static_cast<void>(search.unigram(word, range));
              words[order - 1] = word;
              add_ngrams(search, order, range, words, 1, builder);
            }
          }
          return builder.finish();
        }
      },
      search_);
}

}  // namespace sestina::decoding
