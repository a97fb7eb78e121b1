// How n-grams lie in KenLM's binary files (version 5), and how to look them up there.
//
// Two families: hash tables of n-grams ("probing"), and tries of bit-packed records. In both an
// n-gram is looked up from its last word to its first. The files can't be trusted: whatever they
// hold, no lookup reads beyond the arrays, and each one ends.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace sestina::decoding::kenlm {

template <class T>
T value_at(const std::byte* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// What the file says of an n-gram.
struct Entry {
  float score;
  float backoff;  // -0.0 says that the n-gram does not matter as a context
  bool extended;  // there are n-grams that end in it
};

inline bool matters(float backoff) noexcept {
  return std::bit_cast<std::uint32_t>(backoff) != 0x80000000U;
}

// A table of packed entries that begin with a key, 0 where there is none; by linear probing.
class HashTable {
 public:
  HashTable() = default;
  HashTable(const std::byte* data, std::uint64_t buckets, std::size_t entry_bytes) noexcept
      : data_(data), buckets_(buckets), entry_bytes_(entry_bytes) {}

  // What follows the key, or nullptr.
  const std::byte* find(std::uint64_t key) const noexcept {
    std::uint64_t bucket = key % buckets_;
    for (std::uint64_t tried = 0; tried < buckets_; ++tried) {
      const std::byte* const entry = data_ + bucket * entry_bytes_;
      const auto found = value_at<std::uint64_t>(entry);
      if (found == key) {
        return entry + sizeof key;
      }
      if (found == 0) {
        break;
      }
      bucket = bucket + 1 < buckets_ ? bucket + 1 : 0;
    }
    return nullptr;
  }
  void prefetch(std::uint64_t key) const noexcept {
    __builtin_prefetch(data_ + key % buckets_ * entry_bytes_);
  }
  std::uint64_t buckets() const noexcept { return buckets_; }
  const std::byte* entry(std::uint64_t bucket) const noexcept {
    return data_ + bucket * entry_bytes_;
  }

 private:
  const std::byte* data_ = nullptr;
  std::uint64_t buckets_ = 1;
  std::size_t entry_bytes_ = 0;
};

class Probing {
 public:
  // The hash of the words so far, from the last one.
  using Node = std::uint64_t;

  const std::byte* unigrams;
  std::vector<HashTable> middles;  // of orders 2 to N - 1
  HashTable longest_table;

  Entry unigram(std::uint32_t word, Node& node) const noexcept {
    node = word;
    return entry(unigrams + std::size_t{word} * 8);
  }
  // The n-gram of order `index + 2` that has `word` before those of the node.
  bool middle(std::size_t index, std::uint32_t word, Node& node, Entry& found) const noexcept {
    node = longer(node, word);
    const std::byte* const at = middles[index].find(node);
    if (at == nullptr) {
      return false;
    }
    found = entry(at);
    return true;
  }
  bool longest(std::uint32_t word, Node node, float& score) const noexcept {
    const std::byte* const at = longest_table.find(longer(node, word));
    if (at == nullptr) {
      return false;
    }
    score = negative(value_at<float>(at));
    return true;
  }
  // All that a step can need.
  void prefetch(std::uint32_t word, std::span<const std::uint32_t> context) const noexcept {
    __builtin_prefetch(unigrams + std::size_t{word} * 8);
    Node node = word;
    for (std::size_t k = 0; k < context.size(); ++k) {
      node = longer(node, context[k]);
      (k < middles.size() ? middles[k] : longest_table).prefetch(node);
    }
  }

 private:
  static Node longer(Node node, std::uint32_t word) noexcept {
    return (node * 8978948897894561157ULL) ^
           ((std::uint64_t{1} + word) * 17894857484156487943ULL);
  }
  // The sign says whether the n-gram is extended; probabilities are at most 1.
  static float negative(float value) noexcept {
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) | 0x80000000U);
  }
  static Entry entry(const std::byte* at) noexcept {
    const auto score = value_at<std::uint32_t>(at);
    return {negative(std::bit_cast<float>(score)), value_at<float>(at + 4), score >> 31 == 0};
  }
};

struct Range {
  std::uint64_t begin;
  std::uint64_t end;
};

// Records of `bits` bits each.
class PackedRecords {
 public:
  PackedRecords() = default;
  PackedRecords(const std::byte* data, std::uint64_t count, int bits, int word_bits,
                std::uint64_t num_words) noexcept
      : data_(data), count_(count), num_words_(num_words), bits_(bits), word_bits_(word_bits) {}

  std::uint64_t count() const noexcept { return count_; }
  std::uint64_t word(std::uint64_t record) const noexcept { return field(record, 0, word_bits_); }
  // At most 57 bits from the one `offset` bits behind the word. There is one record more than
  // `count`, and 8 bytes behind it.
  std::uint64_t payload(std::uint64_t record, int offset, int width) const noexcept {
    return field(record, word_bits_ + offset, width);
  }

  // The record of a word among those of a range, whose words ascend. They are as good as evenly
  // spread, since the order of words is that of their hashes.
  bool find(Range range, std::uint64_t wanted, std::uint64_t& record) const noexcept {
    std::uint64_t begin = range.begin;
    std::uint64_t end = range.end;
    std::uint64_t low = 0;
    std::uint64_t high = num_words_;
    while (begin < end && low <= wanted && wanted <= high) {
      const std::uint64_t middle = begin + (end - begin) * (wanted - low) / (high - low + 1);
      const std::uint64_t found = word(middle);
      if (found == wanted) {
        record = middle;
        return true;
      }
      if (found < wanted) {
        begin = middle + 1;
        low = found + 1;
      } else {
        end = middle;
        high = found - 1;  // found > wanted >= 0
      }
    }
    return false;
  }

 private:
  std::uint64_t field(std::uint64_t record, int offset, int width) const noexcept {
    const std::uint64_t bit = record * static_cast<std::uint64_t>(bits_) +
                              static_cast<std::uint64_t>(offset);
    return (value_at<std::uint64_t>(data_ + bit / 8) >> (bit % 8)) &
           ((std::uint64_t{1} << width) - 1);
  }

  const std::byte* data_ = nullptr;
  std::uint64_t count_ = 0;
  std::uint64_t num_words_ = 0;
  int bits_ = 0;
  int word_bits_ = 0;
};

// Scores and weights: as they are, or as places in tables.
struct PlainValues {
  static float score_at(const PackedRecords& records, std::uint64_t record) noexcept {
    return std::bit_cast<float>(static_cast<std::uint32_t>(records.payload(record, 0, 31)) |
                                0x80000000U);
  }
  float score(const PackedRecords& records, std::uint64_t record) const noexcept {
    return score_at(records, record);
  }
  float longest(const PackedRecords& records, std::uint64_t record) const noexcept {
    return score_at(records, record);
  }
  float backoff(const PackedRecords& records, std::uint64_t record) const noexcept {
    return std::bit_cast<float>(static_cast<std::uint32_t>(records.payload(record, 31, 32)));
  }
};

struct QuantisedValues {
  const std::byte* scores = nullptr;  // 2^score_bits of them
  const std::byte* backoffs = nullptr;
  int score_bits = 0;
  int backoff_bits = 0;

  float score(const PackedRecords& records, std::uint64_t record) const noexcept {
    return value_at<float>(scores + 4 * records.payload(record, backoff_bits, score_bits));
  }
  float longest(const PackedRecords& records, std::uint64_t record) const noexcept {
    return value_at<float>(scores + 4 * records.payload(record, 0, score_bits));
  }
  float backoff(const PackedRecords& records, std::uint64_t record) const noexcept {
    return value_at<float>(backoffs + 4 * records.payload(record, 0, backoff_bits));
  }
};

// Where the longer n-grams of a record lie: from its pointer to that of the record behind it. The
// pointer's low bits are in the record; if it has more, the high ones are the place of its record
// among `firsts`, the first record for each value of the high bits.
struct Pointers {
  int offset = 0;  // in the payload
  int width = 0;
  const std::byte* firsts = nullptr;
  std::uint64_t num_firsts = 0;

  std::uint64_t at(const PackedRecords& records, std::uint64_t record) const noexcept {
    const std::uint64_t low = records.payload(record, offset, width);
    return firsts == nullptr ? low : (high(record) << width) | low;
  }
  std::uint64_t high(std::uint64_t record) const noexcept {
    std::uint64_t begin = 0;
    std::uint64_t end = num_firsts;
    while (begin < end) {
      const std::uint64_t middle = begin + (end - begin) / 2;
      if (value_at<std::uint64_t>(firsts + 8 * middle) <= record) {
        begin = middle + 1;
      } else {
        end = middle;
      }
    }
    return begin == 0 ? 0 : begin - 1;
  }
};

template <class Values>
class Trie {
 public:
  using Node = Range;  // of the records that have one word more
  struct Middle {
    PackedRecords records;
    Values values;
    Pointers pointers;
  };

  const std::byte* unigrams;    // {float score, float backoff, u64 pointer}
  std::vector<Middle> middles;  // of orders 2 to N - 1
  PackedRecords longest_records;
  Values longest_values;

  Entry unigram(std::uint32_t word, Node& node) const noexcept {
    const std::byte* const at = unigrams + std::size_t{word} * 16;
    node = checked(0, {value_at<std::uint64_t>(at + 8), value_at<std::uint64_t>(at + 24)});
    return {value_at<float>(at), value_at<float>(at + 4), node.begin < node.end};
  }
  bool middle(std::size_t index, std::uint32_t word, Node& node, Entry& found) const noexcept {
    const Middle& level = middles[index];
    std::uint64_t record = 0;
    if (!level.records.find(node, word, record)) {
      return false;
    }
    node = below(index, {record, record + 1});
    found = {level.values.score(level.records, record),
             level.values.backoff(level.records, record), node.begin < node.end};
    return true;
  }
  bool longest(std::uint32_t word, Node node, float& score) const noexcept {
    std::uint64_t record = 0;
    if (!longest_records.find(node, word, record)) {
      return false;
    }
    score = longest_values.longest(longest_records, record);
    return true;
  }
  void prefetch(std::uint32_t word, std::span<const std::uint32_t>) const noexcept {
    __builtin_prefetch(unigrams + std::size_t{word} * 16);
  }
  // The records one level down of those of a range.
  Range below(std::size_t index, Range range) const noexcept {
    const Middle& level = middles[index];
    return checked(index + 1, {level.pointers.at(level.records, range.begin),
                               level.pointers.at(level.records, range.end)});
  }

 private:
  Range checked(std::size_t index, Range range) const noexcept {
    const std::uint64_t count =
        index < middles.size() ? middles[index].records.count() : longest_records.count();
    return range.begin <= range.end && range.end <= count ? range : Range{0, 0};
  }
};

}  // namespace sestina::decoding::kenlm
