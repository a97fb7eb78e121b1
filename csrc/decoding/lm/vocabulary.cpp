#include "decoding/lm/vocabulary.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "decoding/errors.hpp"

namespace sestina::decoding {

namespace {

template <class T>
std::uint64_t load(const char* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

}  // namespace

std::uint32_t Vocabulary::hash(std::string_view text) noexcept {
  constexpr std::uint64_t multiplier = 0x9E3779B97F4A7C15ULL;
  const char* at = text.data();
  std::size_t left = text.size();
  std::uint64_t state = multiplier ^ left;
  const auto mix = [&](std::uint64_t block) noexcept {
    state = (state ^ block) * multiplier;
    state ^= state >> 29;
  };
  for (; left > 8; left -= 8, at += 8) {
    mix(load<std::uint64_t>(at));
  }
  // The rest, by loads that may overlap.
  if (left >= 4) {
    mix(load<std::uint32_t>(at) | (load<std::uint32_t>(at + left - 4) << 32));
  } else if (left > 0) {
    mix(load<std::uint8_t>(at) | (load<std::uint8_t>(at + left / 2) << 8) |
        (load<std::uint8_t>(at + left - 1) << 16));
  }
  return static_cast<std::uint32_t>((state * multiplier) >> 32);
}

std::int32_t Vocabulary::find(std::string_view wanted, std::uint32_t hash) const noexcept {
  const std::size_t mask = slots_.size() - 1;
  // A table from a file may have no free slot.
  for (std::size_t tried = 0; tried < slots_.size(); ++tried) {
    const Slot& slot = slots_[(hash + tried) & mask];
    if (slot.entry == 0) {
      break;
    }
    if (slot.hash == hash && slot.entry <= ends_.size() && text(id_of(slot)) == wanted) {
      return id_of(slot);
    }
  }
  return -1;
}

void VocabularyBuilder::reserve(std::size_t words) {
  const std::size_t capacity = std::bit_ceil(std::max<std::size_t>(16, 2 * words + 2));
  if (capacity <= slots_.size()) {
    return;
  }
  slots_.assign(capacity, {0, 0});
  const Vocabulary known = view();
  for (std::int32_t id = 0; id < known.size(); ++id) {
    insert(Vocabulary::hash(known.text(id)), static_cast<std::uint32_t>(id) + 1);
  }
}

void VocabularyBuilder::insert(std::uint32_t hash, std::uint32_t entry) noexcept {
  std::size_t slot = hash & (slots_.size() - 1);
  while (slots_[slot].entry != 0) {
    slot = (slot + 1) & (slots_.size() - 1);
  }
  slots_[slot] = {hash, entry};
}

bool VocabularyBuilder::add(std::string_view text) {
  const std::uint32_t hash = Vocabulary::hash(text);
  if (view().find(text, hash) >= 0) {
    return false;
  }
  constexpr std::size_t most = std::numeric_limits<std::uint32_t>::max();
  if (texts_.size() + text.size() > most || ends_.size() >= most / 4) {
    throw FormatError("its words are more than 2^30 or take more than 4 GiB", "prune the model");
  }
  if (2 * (ends_.size() + 1) > slots_.size()) {
    reserve(2 * ends_.size() + 2);
  }
  texts_.insert(texts_.end(), text.begin(), text.end());
  ends_.push_back(static_cast<std::uint32_t>(texts_.size()));
  insert(hash, static_cast<std::uint32_t>(ends_.size()));
  return true;
}

}  // namespace sestina::decoding
