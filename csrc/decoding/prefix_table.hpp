// The prefixes of one frame by their context and node.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace sestina::decoding {

// Open addressing; a new generation empties it without touching its memory.
class PrefixTable {
 public:
  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

  // Empties it.
  void clear() noexcept {
    used_ = 0;
    if (++generation_ == 0) {  // the counter has gone round: no old slot may look new
      std::fill(slots_.begin(), slots_.end(), Slot{0, 0, 0});
      generation_ = 1;
    }
  }
  // The index entered for that place, or `none`.
  std::uint32_t find(std::uint32_t context, std::uint32_t node) const noexcept {
    const Slot& slot = slots_[place_of(key_of(context, node))];
    return slot.generation == generation_ ? slot.index : none;
  }
  // The index for that place; `index` is entered if there is none.
  std::uint32_t find_or_enter(std::uint32_t context, std::uint32_t node, std::uint32_t index) {
    if (2 * (used_ + 1) >= slots_.size()) {
      grow();
    }
    const std::uint64_t key = key_of(context, node);
    Slot& slot = slots_[place_of(key)];
    if (slot.generation != generation_) {
      slot = {key, index, generation_};
      ++used_;
    }
    return slot.index;
  }

 private:
  struct Slot {
    std::uint64_t key;
    std::uint32_t index;
    std::uint32_t generation;
  };

  static std::uint64_t key_of(std::uint32_t context, std::uint32_t node) noexcept {
    return (std::uint64_t{context} << 32) | node;
  }
  // Where the key is, or the free slot where it belongs.
  std::size_t place_of(std::uint64_t key) const noexcept {
    std::size_t place =
        static_cast<std::size_t>((key * 0x9E3779B97F4A7C15ULL) >> 32) & (slots_.size() - 1);
    while (slots_[place].generation == generation_ && slots_[place].key != key) {
      place = (place + 1) & (slots_.size() - 1);
    }
    return place;
  }
  void grow() {
    std::vector<Slot> old(2 * slots_.size(), Slot{0, 0, 0});
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.generation == generation_) {
        slots_[place_of(slot.key)] = slot;
      }
    }
  }

  std::vector<Slot> slots_ = std::vector<Slot>(1024, Slot{0, 0, 0});
  std::uint32_t generation_ = 1;
  std::size_t used_ = 0;
};

}  // namespace sestina::decoding
