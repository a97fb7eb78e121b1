// Where the parts of a KenLM binary file lie. Nothing in it says so: their sizes follow from
// counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "decoding/lm/kenlm_search.hpp"

namespace sestina::decoding::kenlm {

inline constexpr const char* build_again = "build the binary again from its ARPA file";
inline constexpr const char* copy_again = "copy the whole file again";

// Takes one part of the file after the other. All sizes asked for are computed from counts below
// 2^32 and widths below 2^8, so that they can't overflow.
class Parts {
 public:
  explicit Parts(std::span<const std::byte> file) : file_(file) {}

  std::size_t at() const noexcept { return at_; }
  // Throws FormatError if the file ends before.
  const std::byte* take(std::uint64_t bytes);

 private:
  std::span<const std::byte> file_;
  std::size_t at_ = 0;
};

// Hash tables have `multiplier` places per entry.
HashTable take_table(Parts& parts, std::uint64_t entries, float multiplier,
                     std::size_t entry_bytes);
Probing take_probing(Parts& parts, std::span<const std::uint64_t> counts, float multiplier);
// With `arrays`, pointers are compressed.
template <class Values>
Trie<Values> take_trie(Parts& parts, std::span<const std::uint64_t> counts, bool arrays);

extern template Trie<PlainValues> take_trie(Parts&, std::span<const std::uint64_t>, bool);
extern template Trie<QuantisedValues> take_trie(Parts&, std::span<const std::uint64_t>, bool);

}  // namespace sestina::decoding::kenlm
