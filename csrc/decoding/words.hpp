// Words numbered in the order in which they are first seen.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sestina::decoding {

class WordTable {
 public:
  std::int32_t size() const noexcept { return static_cast<std::int32_t>(ends_.size()); }
  std::string_view text(std::int32_t id) const noexcept;
  // The id of a word, or -1.
  std::int32_t find(std::string_view text) const noexcept {
    return slots_.empty() ? -1 : slots_[slot_of(text)];
  }
  // The id of a word, new or known. Throws std::length_error beyond 4 GiB of texts.
  std::int32_t add(std::string_view text);
  void reserve(std::size_t words);

 private:
  std::size_t slot_of(std::string_view text) const noexcept;
  void rehash(std::size_t capacity);

  std::string texts_;                // every word, one after another
  std::vector<std::uint32_t> ends_;  // of each word in texts_
  std::vector<std::int32_t> slots_;  // open addressing, -1 where free
};

}  // namespace sestina::decoding
