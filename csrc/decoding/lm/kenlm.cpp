#include "decoding/lm/kenlm.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>

#include "decoding/errors.hpp"
#include "decoding/lm/kenlm_session.hpp"
#include "decoding/text.hpp"

namespace sestina::decoding {

namespace {

using kenlm::build_again;
using kenlm::copy_again;
using kenlm::value_at;

constexpr std::string_view magic_start = "mmap lm http://kheafield.com/code ";
constexpr std::string_view magic_version = "mmap lm http://kheafield.com/code format version 5\n";
constexpr std::string_view magic_unfinished = "mmap lm http://kheafield.com/code incomplete\n";

enum Kind { probing, rest_probing, trie, quantised_trie, array_trie, quantised_array_trie };
constexpr std::array<const char*, 6> kind_names = {
    "probing",    "rest probing",        "trie", "quantised trie",
    "array trie", "quantised array trie"};

// 64-bit MurmurHash2, variant A, of seed 0: how KenLM hashes words.
std::uint64_t murmur(std::string_view text) noexcept {
  constexpr std::uint64_t multiplier = 0xC6A4A7935BD1E995ULL;
  const auto* at = reinterpret_cast<const std::byte*>(text.data());
  std::uint64_t hash = text.size() * multiplier;
  std::size_t left = text.size();
  for (; left >= 8; left -= 8, at += 8) {
    std::uint64_t block = value_at<std::uint64_t>(at) * multiplier;
    block = (block ^ (block >> 47)) * multiplier;
    hash = (hash ^ block) * multiplier;
  }
  if (left > 0) {
    std::uint64_t rest = 0;
    std::memcpy(&rest, at, left);
    hash = (hash ^ rest) * multiplier;
  }
  hash = (hash ^ (hash >> 47)) * multiplier;
  return hash ^ (hash >> 47);
}

}  // namespace

bool KenlmModel::recognises(std::span<const std::byte> bytes) noexcept {
  return bytes.size() >= magic_start.size() &&
         std::memcmp(bytes.data(), magic_start.data(), magic_start.size()) == 0;
}

std::shared_ptr<KenlmModel> KenlmModel::load(const char* path, Loading loading) {
  return parse(Block::file(path, loading));
}

std::shared_ptr<KenlmModel> KenlmModel::parse(Block file) {
  std::shared_ptr<KenlmModel> model(new KenlmModel(std::move(file)));
  model->read();
  return model;
}

KenlmModel::Header KenlmModel::read_header(kenlm::Parts& parts) {
  const std::span<const std::byte> bytes = file_.bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!recognises(bytes)) {
    throw FormatError("it does not begin as KenLM's binary files do",
                      "pass a language model in ARPA or KenLM's binary format");
  }
  if (text.starts_with(magic_unfinished)) {
    throw FormatError("it is marked as incomplete, because its build did not end", build_again);
  }
  if (!text.starts_with(magic_version) && !magic_version.starts_with(text)) {
    const std::string_view version = text.substr(magic_start.size(), 56 - magic_start.size());
    throw FormatError("it is of " + shown(version.substr(0, version.find('\n'))) +
                          ", expected 'format version 5'",
                      build_again);
  }
  const std::byte* const sanity = parts.take(88) + 56;
  if (value_at<float>(sanity) != 0.0F || value_at<float>(sanity + 4) != 1.0F ||
      value_at<float>(sanity + 8) != -0.5F || value_at<std::uint32_t>(sanity + 12) != 1 ||
      value_at<std::uint32_t>(sanity + 16) != 0xFFFFFFFFU ||
      value_at<std::uint64_t>(sanity + 24) != 1) {
    throw FormatError("its test values are not those of a 64-bit little-endian machine",
                      build_again);
  }
  const std::byte* const fixed = parts.take(20);
  const std::size_t order = value_at<std::uint8_t>(fixed);
  const Header header{value_at<float>(fixed + 4), value_at<std::uint32_t>(fixed + 8),
                      value_at<std::uint8_t>(fixed + 12) != 0};
  if (header.kind == rest_probing) {
    throw FormatError("it is a hash table with rest costs, which are for machine translation",
                      build_again);
  }
  if (header.kind >= kind_names.size()) {
    throw FormatError("its kind is " + std::to_string(header.kind) + ", expected 0 to 5",
                      build_again);
  }
  if (order < 2 || order > NgramModel::highest_order) {
    throw FormatError("its order is " + std::to_string(order) + ", expected 2 to " +
                          std::to_string(NgramModel::highest_order),
                      "prune the model to such an order");
  }
  const std::uint32_t version = value_at<std::uint32_t>(fixed + 16);
  const std::uint32_t expected = header.kind == probing ? 0 : 1;
  if (version != expected) {
    throw FormatError("its n-grams are of version " + std::to_string(version) + ", expected " +
                          std::to_string(expected),
                      build_again);
  }
  // KenLM rejects less than 1, too; more than 64 would only be a way to ask for much.
  if (header.kind == probing && !(header.multiplier >= 1.0F && header.multiplier <= 64.0F)) {
    throw FormatError("its hash tables have " + std::to_string(header.multiplier) +
                          " places per entry, expected 1 to 64",
                      build_again);
  }
  for (std::size_t n = 1; n <= order; ++n) {
    counts_.push_back(value_at<std::uint64_t>(parts.take(8)));
    const std::uint64_t most = n == 1 ? 0x7FFFFFF0U : 0xFFFFFFF0U;
    if (counts_.back() > most) {
      throw FormatError("it says it has " + std::to_string(counts_.back()) +
                            " n-grams of order " + std::to_string(n) + ", expected at most " +
                            std::to_string(most),
                        copy_again);
    }
  }
  parts.take((8 - parts.at() % 8) % 8);
  return header;
}

// Returns how many words there are, with <unk>.
std::uint64_t KenlmModel::read_vocabulary(kenlm::Parts& parts, const Header& header) {
  if (header.kind == probing) {
    const std::uint64_t words = value_at<std::uint32_t>(parts.take(8) + 4);
    word_table_ = kenlm::take_table(parts, counts_[0], header.multiplier, 12);
    return words;
  }
  const std::uint64_t words = value_at<std::uint64_t>(parts.take(8));  // without <unk>
  const std::byte* const hashes = parts.take(8 * counts_[0]);
  word_hashes_ = {hashes, static_cast<std::size_t>(8 * std::min(words, counts_[0]))};
  return std::min(words, counts_[0]) + 1;
}

void KenlmModel::read() {
  kenlm::Parts parts(file_.bytes());
  const Header header = read_header(parts);
  kind_ = kind_names[header.kind];
  const std::uint64_t words = read_vocabulary(parts, header);
  if (words < 1 || words > counts_[0] + 1) {
    throw FormatError("it has " + std::to_string(words) + " words, expected 1 to " +
                          std::to_string(counts_[0] + 1),
                      copy_again);
  }
  num_words_ = static_cast<std::uint32_t>(words);
  const bool arrays = header.kind == array_trie || header.kind == quantised_array_trie;
  if (header.kind == probing) {
    search_ = kenlm::take_probing(parts, counts_, header.multiplier);
  } else if (header.kind == trie || header.kind == array_trie) {
    search_ = kenlm::take_trie<kenlm::PlainValues>(parts, counts_, arrays);
  } else {
    search_ = kenlm::take_trie<kenlm::QuantisedValues>(parts, counts_, arrays);
  }
  if (header.has_texts) {
    read_texts(parts.at());
  }
  begin_ = static_cast<std::uint32_t>(word("<s>"));
  end_ = static_cast<std::uint32_t>(word("</s>"));
}

// The words, each with a NUL behind it, in the order of their ids.
void KenlmModel::read_texts(std::size_t at) {
  const std::span<const std::byte> bytes = file_.bytes();
  texts_at_ = at;
  text_ends_.reserve(num_words_);
  for (std::uint32_t word = 0; word < num_words_; ++word) {
    const void* const end =
        at < bytes.size() ? std::memchr(bytes.data() + at, 0, bytes.size() - at) : nullptr;
    if (end == nullptr) {
      throw FormatError("it ends within the texts of its words, after " + std::to_string(word) +
                            " of " + std::to_string(num_words_),
                        copy_again);
    }
    text_ends_.push_back(
        static_cast<std::uint64_t>(static_cast<const std::byte*>(end) - bytes.data()));
    at = text_ends_.back() + 1;
  }
  if (word_text(0) != "<unk>") {
    throw FormatError("the texts of its words begin with another one than <unk>",
                      "build the binary again with a current version of KenLM");
  }
}

std::string_view KenlmModel::word_text(std::int32_t word) const noexcept {
  const auto id = static_cast<std::size_t>(word);
  if (id >= text_ends_.size()) {
    return {};
  }
  const std::size_t begin = id == 0 ? texts_at_ : text_ends_[id - 1] + 1;
  return {reinterpret_cast<const char*>(file_.bytes().data()) + begin, text_ends_[id] - begin};
}

std::int32_t KenlmModel::word(std::string_view text) const {
  const std::uint64_t hash = murmur(text);
  std::uint64_t id = 0;
  if (std::holds_alternative<kenlm::Probing>(search_)) {
    const std::byte* const found = hash == 0 ? nullptr : word_table_.find(hash);
    id = found == nullptr ? 0 : value_at<std::uint32_t>(found);
  } else {
    std::uint64_t begin = 0;
    std::uint64_t end = word_hashes_.size() / 8;
    while (begin < end) {
      const std::uint64_t middle = begin + (end - begin) / 2;
      const auto found = value_at<std::uint64_t>(word_hashes_.data() + 8 * middle);
      if (found == hash) {
        id = middle + 1;
        break;
      }
      (found < hash ? begin : end) = found < hash ? middle + 1 : middle;
    }
  }
  return id < num_words_ ? static_cast<std::int32_t>(id) : 0;
}

std::unique_ptr<Session> KenlmModel::session() const {
  return std::visit(
      [&](const auto& search) -> std::unique_ptr<Session> {
        using Kind = std::remove_cvref_t<decltype(search)>;
        return std::make_unique<kenlm::KenlmSession<Kind>>(search, counts_.size(), begin_, end_);
      },
      search_);
}

}  // namespace sestina::decoding
