#include "decoding/words.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>

namespace sestina::decoding {

namespace {

std::uint64_t hash_of(std::string_view text) noexcept {
  std::uint64_t hash = 0x9E3779B97F4A7C15ULL ^ text.size();
  std::size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    std::uint64_t block;
    std::memcpy(&block, text.data() + at, 8);
    hash = (hash ^ block) * 0xFF51AFD7ED558CCDULL;
    hash ^= hash >> 32;
  }
  std::uint64_t rest = 0;
  std::memcpy(&rest, text.data() + at, text.size() - at);
  hash = (hash ^ rest) * 0xC4CEB9FE1A85EC53ULL;
  return hash ^ (hash >> 29);
}

}  // namespace

std::string_view WordTable::text(std::int32_t id) const noexcept {
  const std::uint32_t begin = id == 0 ? 0 : ends_[static_cast<std::size_t>(id) - 1];
  return {texts_.data() + begin, ends_[static_cast<std::size_t>(id)] - begin};
}

std::size_t WordTable::slot_of(std::string_view wanted) const noexcept {
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = hash_of(wanted) & mask;
  while (slots_[slot] >= 0 && text(slots_[slot]) != wanted) {
    slot = (slot + 1) & mask;
  }
  return slot;
}

void WordTable::rehash(std::size_t capacity) {
  slots_.assign(capacity, -1);
  for (std::int32_t id = 0; id < size(); ++id) {
    slots_[slot_of(text(id))] = id;
  }
}

void WordTable::reserve(std::size_t words) {
  const std::size_t capacity = std::bit_ceil(std::max<std::size_t>(1024, 2 * words + 2));
  if (capacity > slots_.size()) {
    rehash(capacity);
  }
}

std::int32_t WordTable::add(std::string_view text) {
  if (2 * (ends_.size() + 1) >= slots_.size()) {
    rehash(std::max<std::size_t>(1024, slots_.size() * 4));
  }
  const std::size_t slot = slot_of(text);
  if (slots_[slot] < 0) {
    if (text.size() > 0xFFFFFFFFU - texts_.size()) {  // offsets have 32 bits
      throw std::length_error("the texts of all words are more than 4 GiB");
    }
    slots_[slot] = size();
    texts_.append(text);
    ends_.push_back(static_cast<std::uint32_t>(texts_.size()));
  }
  return slots_[slot];
}

}  // namespace sestina::decoding
