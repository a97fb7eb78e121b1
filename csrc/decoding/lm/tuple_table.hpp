// Tuples of integers, all of one size, numbered as they are met.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace sestina::decoding {

class TupleTable {
 public:
  explicit TupleTable(std::size_t width) : width_(width) { clear(); }

  void clear() {
    values_.clear();
    slots_.assign(64, -1);
  }
  std::size_t size() const noexcept { return values_.size() / width_; }
  std::span<const std::int32_t> operator[](std::int32_t number) const noexcept {
    return {values_.data() + static_cast<std::size_t>(number) * width_, width_};
  }
  // The number of a tuple, new or known.
  std::int32_t number(std::span<const std::int32_t> tuple) {
    if (2 * size() >= slots_.size()) {
      grow();
    }
    const std::size_t slot = slot_of(tuple);
    if (slots_[slot] < 0) {
      slots_[slot] = static_cast<std::int32_t>(size());
      values_.insert(values_.end(), tuple.begin(), tuple.end());
    }
    return slots_[slot];
  }

 private:
  std::size_t slot_of(std::span<const std::int32_t> tuple) const noexcept {
    std::uint64_t hash = 0;
    for (const std::int32_t value : tuple) {
      hash = (hash ^ static_cast<std::uint32_t>(value)) * 0x9E3779B97F4A7C15ULL;
      hash ^= hash >> 32;
    }
    std::size_t slot = static_cast<std::size_t>(hash) & (slots_.size() - 1);
    while (slots_[slot] >= 0 && !std::ranges::equal((*this)[slots_[slot]], tuple)) {
      slot = (slot + 1) & (slots_.size() - 1);
    }
    return slot;
  }
  void grow() {
    slots_.assign(slots_.size() * 4, -1);
    for (std::size_t number = 0; number < size(); ++number) {
      const auto signed_number = static_cast<std::int32_t>(number);
      slots_[slot_of((*this)[signed_number])] = signed_number;
    }
  }

  std::size_t width_;
  std::vector<std::int32_t> values_;  // tuple after tuple
  std::vector<std::int32_t> slots_;   // open addressing, -1 where free
};

}  // namespace sestina::decoding
