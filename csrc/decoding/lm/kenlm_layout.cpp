#include "decoding/lm/kenlm_layout.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <string>
#include <vector>

#include "decoding/errors.hpp"

namespace sestina::decoding::kenlm {

const std::byte* Parts::take(std::uint64_t bytes) {
  if (bytes > file_.size() - at_) {
    throw FormatError(
        "it has " + std::to_string(file_.size()) + " bytes, but its counts ask for more",
        copy_again);
  }
  const std::byte* const part = file_.data() + at_;
  at_ += static_cast<std::size_t>(bytes);
  return part;
}

HashTable take_table(Parts& parts, std::uint64_t entries, float multiplier,
                     std::size_t entry_bytes) {
  // KenLM computes this in single precision, too.
  const auto wanted = static_cast<std::uint64_t>(multiplier * static_cast<float>(entries));
  const std::uint64_t buckets = std::max(entries + 1, wanted);
  return {parts.take(buckets * entry_bytes), buckets, entry_bytes};
}

Probing take_probing(Parts& parts, std::span<const std::uint64_t> counts, float multiplier) {
  Probing search;
  search.unigrams = parts.take((counts[0] + 1) * 8);
  for (std::size_t order = 2; order < counts.size(); ++order) {
    search.middles.push_back(take_table(parts, counts[order - 1], multiplier, 16));
  }
  search.longest_table = take_table(parts, counts.back(), multiplier, 12);
  return search;
}

namespace {

// How a trie keeps its values, and the tables that it needs for that.
template <class Values>
class ValueTables;

template <>
class ValueTables<PlainValues> {
 public:
  ValueTables(Parts&, std::size_t) {}
  int middle_bits() const noexcept { return 63; }
  int longest_bits() const noexcept { return 31; }
  PlainValues of(std::size_t) const { return {}; }
};

template <>
class ValueTables<QuantisedValues> {
 public:
  ValueTables(Parts& parts, std::size_t order) {
    const std::byte* const header = parts.take(8);
    const int version = value_at<std::uint8_t>(header);
    const int score_bits = value_at<std::uint8_t>(header + 1);
    const int backoff_bits = value_at<std::uint8_t>(header + 2);
    if (version != 2 || std::min(score_bits, backoff_bits) < 1 ||
        std::max(score_bits, backoff_bits) > 25) {
      throw FormatError("its quantisation is of version " + std::to_string(version) + " with " +
                            std::to_string(score_bits) + " and " + std::to_string(backoff_bits) +
                            " bits, expected version 2 and 1 to 25 bits",
                        build_again);
    }
    for (std::size_t n = 2; n <= order; ++n) {
      QuantisedValues& values = tables_.emplace_back();
      values.score_bits = score_bits;
      values.scores = parts.take(std::uint64_t{4} << score_bits);
      if (n < order) {
        values.backoff_bits = backoff_bits;
        values.backoffs = parts.take(std::uint64_t{4} << backoff_bits);
      }
    }
  }
  int middle_bits() const noexcept {
    return tables_.front().score_bits + tables_.front().backoff_bits;
  }
  int longest_bits() const noexcept { return tables_.back().score_bits; }
  QuantisedValues of(std::size_t order) const { return tables_[order - 2]; }

 private:
  std::vector<QuantisedValues> tables_;  // of orders from 2
};

PackedRecords take_records(Parts& parts, std::uint64_t count, std::uint64_t num_words,
                           int payload_bits) {
  const int word_bits = std::bit_width(num_words);
  const int bits = word_bits + payload_bits;
  const std::byte* const data =
      parts.take(((1 + count) * static_cast<std::uint64_t>(bits) + 7) / 8 + 8);
  return {data, count, bits, word_bits, num_words};
}

// How many of a pointer's high bits an array takes over: as many as save most memory.
int array_bits(std::uint64_t records, std::uint64_t highest_pointer, int most) {
  const int needed = std::bit_width(highest_pointer);
  int best = 0;
  std::int64_t lowest = std::numeric_limits<std::int64_t>::max();
  for (int bits = 0; bits <= std::min(needed, most); ++bits) {
    const auto change = static_cast<std::int64_t>((highest_pointer >> (needed - bits)) * 64) -
                        static_cast<std::int64_t>(records) * bits;
    if (change < lowest) {
      lowest = change;
      best = bits;
    }
  }
  return best;
}

// The most bits that an array may take over; the first array's header speaks for all.
int read_most_bits(Parts parts) {
  const std::byte* const header = parts.take(2);
  const int version = value_at<std::uint8_t>(header);
  if (version != 0) {
    throw FormatError("its arrays are of version " + std::to_string(version) + ", expected 0",
                      build_again);
  }
  return value_at<std::uint8_t>(header + 1);
}

// Of `records` records, the one behind the last included.
Pointers take_array(Parts& parts, Pointers whole, std::uint64_t records,
                    std::uint64_t highest_pointer, int most) {
  const int bits = array_bits(records, highest_pointer, most);
  Pointers pointers = whole;
  pointers.num_firsts = (highest_pointer >> (whole.width - bits)) + 1;
  pointers.width = whole.width - bits;
  // A header of 8 bytes, then the array, both at the next multiple of 8.
  const std::size_t padding = (8 - parts.at() % 8) % 8;
  pointers.firsts = parts.take(8 * (1 + pointers.num_firsts) + 7) + padding + 8;
  return pointers;
}

}  // namespace

template <class Values>
Trie<Values> take_trie(Parts& parts, std::span<const std::uint64_t> counts, bool arrays) {
  const std::size_t longest = counts.size();
  const ValueTables<Values> values(parts, longest);
  Trie<Values> search;
  search.unigrams = parts.take((counts[0] + 2) * 16);
  const int most = arrays && longest > 2 ? read_most_bits(parts) : 0;
  for (std::size_t order = 2; order < longest; ++order) {
    Pointers pointers;
    pointers.offset = values.middle_bits();
    pointers.width = std::bit_width(counts[order]);
    if (arrays) {
      pointers = take_array(parts, pointers, counts[order - 1] + 1, counts[order], most);
    }
    const PackedRecords records = take_records(parts, counts[order - 1], counts[0],
                                               values.middle_bits() + pointers.width);
    search.middles.push_back({records, values.of(order), pointers});
  }
  search.longest_records = take_records(parts, counts.back(), counts[0], values.longest_bits());
  search.longest_values = values.of(longest);
  return search;
}

template Trie<PlainValues> take_trie(Parts&, std::span<const std::uint64_t>, bool);
template Trie<QuantisedValues> take_trie(Parts&, std::span<const std::uint64_t>, bool);

}  // namespace sestina::decoding::kenlm
