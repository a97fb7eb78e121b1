// The words of a model: a hash table of flat arrays, so that a file can hold it as it is.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sestina::decoding {

// Arrays that others own. They may come from a file that can't be trusted: no answer, whatever they
// hold, reads beyond them or is an id that is too high.
class Vocabulary {
 public:
  struct Slot {
    std::uint32_t hash;
    std::uint32_t entry;  // 1 + id; 0 where the slot is free
  };

  Vocabulary() = default;
  // `ends` are the words' ends in `texts`; the number of slots is a power of two.
  Vocabulary(std::span<const char> texts, std::span<const std::uint32_t> ends,
             std::span<const Slot> slots) noexcept
      : texts_(texts), ends_(ends), slots_(slots) {}

  static std::uint32_t hash(std::string_view text) noexcept;

  std::int32_t size() const noexcept { return static_cast<std::int32_t>(ends_.size()); }
  // The id of a word, or -1.
  std::int32_t find(std::string_view text) const noexcept { return find(text, hash(text)); }
  std::int32_t find(std::string_view text, std::uint32_t hash) const noexcept;
  // Three fetches ahead of a search, of which each needs what the one before it has fetched.
  void prefetch_slot(std::uint32_t hash) const noexcept { __builtin_prefetch(&first_slot(hash)); }
  void prefetch_end(std::uint32_t hash) const noexcept {
    __builtin_prefetch(ends_.data() + first_slot(hash).entry);
  }
  void prefetch_text(std::uint32_t hash) const noexcept {
    __builtin_prefetch(text(id_of(first_slot(hash))).data());
  }
  // Empty if there is no such id.
  std::string_view text(std::int32_t id) const noexcept {
    const auto at = static_cast<std::size_t>(id);
    if (at >= ends_.size()) {
      return {};
    }
    const std::uint32_t begin = at == 0 ? 0 : ends_[at - 1];
    const std::uint32_t end = ends_[at];
    if (begin > end || end > texts_.size()) {
      return {};
    }
    return {texts_.data() + begin, end - begin};
  }

  std::span<const char> texts() const noexcept { return texts_; }
  std::span<const std::uint32_t> ends() const noexcept { return ends_; }
  std::span<const Slot> slots() const noexcept { return slots_; }

 private:
  static std::int32_t id_of(const Slot& slot) noexcept {
    return static_cast<std::int32_t>(slot.entry) - 1;
  }
  const Slot& first_slot(std::uint32_t hash) const noexcept {
    return slots_[hash & (slots_.size() - 1)];
  }

  std::span<const char> texts_;
  std::span<const std::uint32_t> ends_;
  std::span<const Slot> slots_;
};

// A vocabulary in the making.
class VocabularyBuilder {
 public:
  VocabularyBuilder() { reserve(0); }

  void reserve(std::size_t words);
  // False if the word was there before. The new word's id is the number of those before it.
  // Throws FormatError beyond 4 GiB of text or 2^30 words.
  bool add(std::string_view text);
  // Until the next word is added.
  Vocabulary view() const noexcept { return {texts_, ends_, slots_}; }

 private:
  void insert(std::uint32_t hash, std::uint32_t entry) noexcept;

  std::vector<char> texts_;
  std::vector<std::uint32_t> ends_;
  std::vector<Vocabulary::Slot> slots_;
};

}  // namespace sestina::decoding
