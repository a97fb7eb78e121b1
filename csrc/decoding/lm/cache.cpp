#include "decoding/lm/cache.hpp"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>

#include "decoding/errors.hpp"

namespace sestina::decoding {

namespace {

constexpr std::array<char, 16> magic = {"sestina n-grams"};
constexpr std::uint32_t version = 1;  // of layout, hashes and the order of buckets
constexpr std::uint32_t byte_order = 0x01020304;
constexpr std::size_t alignment = 64;
const char* const compile_again = "delete it, and compile the model again";

enum Part { unigrams, highest, contexts, arcs, texts, ends, slots, num_parts };

struct Section {
  std::uint64_t offset;
  std::uint64_t count;  // of elements
};

struct Header {
  std::array<char, 16> magic;
  std::uint32_t version;
  std::uint32_t byte_order;
  std::uint64_t file_bytes;
  std::uint64_t header_checksum;  // of the header with 0 in this place
  std::uint64_t words_checksum;   // of what grows with the vocabulary
  std::uint64_t states_checksum;  // of contexts and arcs
  std::uint32_t order;
  std::uint32_t begin;
  std::uint32_t end;
  std::uint32_t unused;
  std::array<std::uint64_t, NgramModel::highest_order> counts;
  std::array<Section, num_parts> sections;
};
static_assert(std::has_unique_object_representations_v<Header>);

constexpr std::array<std::size_t, num_parts> element_bytes = {
    sizeof(NgramModel::Unigram), sizeof(float), sizeof(NgramModel::Context), sizeof(ArcBucket),
    sizeof(char),                sizeof(std::uint32_t), sizeof(Vocabulary::Slot)};

// Not for safety against forgers, only against damage. As fast as memory is read.
class Checksum {
 public:
  void add(std::span<const std::byte> bytes) noexcept {
    std::size_t at = 0;
    for (; at + 8 * lanes <= bytes.size(); at += 8 * lanes) {
      for (std::size_t k = 0; k < lanes; ++k) {
        std::uint64_t block;
        std::memcpy(&block, bytes.data() + at + 8 * k, 8);
        state_[k] = std::rotl((state_[k] ^ block) * multiplier, 29);
      }
    }
    for (; at < bytes.size(); ++at) {
      state_[0] = std::rotl((state_[0] ^ static_cast<std::uint64_t>(bytes[at])) * multiplier, 29);
    }
    state_[1] ^= bytes.size();
  }
  std::uint64_t value() const noexcept {
    std::uint64_t all = 0;
    for (const std::uint64_t state : state_) {
      all = (all ^ state) * multiplier;
      all ^= all >> 32;
    }
    return all;
  }

 private:
  static constexpr std::size_t lanes = 4;
  static constexpr std::uint64_t multiplier = 0x9E3779B97F4A7C15ULL;
  std::array<std::uint64_t, lanes> state_{1, 2, 3, 4};
};

bool grows_with_words(int part) noexcept { return part != contexts && part != arcs; }

std::uint64_t checksum(const std::array<std::span<const std::byte>, num_parts>& parts,
                       bool of_words) noexcept {
  Checksum sum;
  for (int part = 0; part < num_parts; ++part) {
    if (grows_with_words(part) == of_words) {
      sum.add(parts[static_cast<std::size_t>(part)]);
    }
  }
  return sum.value();
}

std::uint64_t checksum(Header header) noexcept {
  header.header_checksum = 0;
  Checksum sum;
  sum.add(std::as_bytes(std::span(&header, 1)));
  return sum.value();
}

template <class T>
std::span<const T> view(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
}

[[noreturn]] void fail(const std::string& reason) { throw FormatError(reason, compile_again); }

}  // namespace

bool is_cache(std::span<const std::byte> bytes) noexcept {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

void write_cache(const NgramModel& model,
                 const std::function<void(std::span<const std::byte>)>& sink) {
  const NgramModel::Tables& tables = model.tables();
  const std::array<std::span<const std::byte>, num_parts> parts = {
      std::as_bytes(tables.unigrams),      std::as_bytes(tables.highest),
      std::as_bytes(tables.contexts),      std::as_bytes(tables.arcs.buckets()),
      std::as_bytes(tables.words.texts()), std::as_bytes(tables.words.ends()),
      std::as_bytes(tables.words.slots())};
  Header header{};
  header.magic = magic;
  header.version = version;
  header.byte_order = byte_order;
  header.order = static_cast<std::uint32_t>(model.order());
  header.begin = tables.begin;
  header.end = tables.end;
  std::copy(tables.counts.begin(), tables.counts.end(), header.counts.begin());
  header.words_checksum = checksum(parts, true);
  header.states_checksum = checksum(parts, false);
  const auto aligned = [](std::uint64_t offset) {
    return (offset + alignment - 1) / alignment * alignment;
  };
  std::uint64_t offset = sizeof header;
  for (std::size_t part = 0; part < num_parts; ++part) {
    offset = aligned(offset);
    header.sections[part] = {offset, parts[part].size() / element_bytes[part]};
    offset += parts[part].size();
  }
  header.file_bytes = offset;
  header.header_checksum = checksum(header);

  sink(std::as_bytes(std::span(&header, 1)));
  constexpr std::array<std::byte, alignment> zeros{};
  std::uint64_t written = sizeof header;
  for (std::size_t part = 0; part < num_parts; ++part) {
    sink(std::span(zeros).first(header.sections[part].offset - written));
    sink(parts[part]);
    written = header.sections[part].offset + parts[part].size();
  }
}

std::shared_ptr<NgramModel> read_cache(const char* path, Loading loading) {
  return parse_cache(Block::file(path, loading), loading == Loading::memory);
}

std::shared_ptr<NgramModel> parse_cache(Block file, bool whole) {
  const std::span<const std::byte> bytes = file.bytes();
  if (!is_cache(bytes)) {
    fail("it does not begin as a compiled language model does");
  }
  Header header{};
  if (bytes.size() < sizeof header) {
    fail("it has " + std::to_string(bytes.size()) + " bytes, which is less than its header has");
  }
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.version != version || header.byte_order != byte_order) {
    fail("it was written by another version or on another kind of machine: version " +
         std::to_string(header.version) + ", expected " + std::to_string(version));
  }
  if (header.header_checksum != checksum(header)) {
    fail("its header is damaged");
  }
  if (header.file_bytes != bytes.size()) {
    fail("it has " + std::to_string(bytes.size()) + " bytes, expected " +
         std::to_string(header.file_bytes));
  }
  // From here on only a file that was made to deceive can be wrong; it must be caught all the same.
  std::array<std::span<const std::byte>, num_parts> parts;
  for (std::size_t part = 0; part < num_parts; ++part) {
    const Section section = header.sections[part];
    if (section.offset % alignment != 0 || section.offset > bytes.size() ||
        section.count > (bytes.size() - section.offset) / element_bytes[part]) {
      fail("its header names places that are not in it");
    }
    parts[part] = bytes.subspan(section.offset, section.count * element_bytes[part]);
  }
  const auto count = [&](Part part) { return header.sections[part].count; };
  const std::uint64_t words = count(unigrams);
  if (header.order < 1 || header.order > NgramModel::highest_order || words < 1 ||
      words > ArcTable::most_words || count(highest) != words || count(ends) != words ||
      !std::has_single_bit(count(slots)) || header.begin >= words || header.end >= words ||
      count(arcs) < 1 || count(arcs) > ArcTable::most_buckets || count(contexts) < 1 ||
      count(contexts) > count(arcs) * ArcTable::states_per_bucket) {
    fail("its numbers of words, states and arcs do not fit together");
  }
  if (checksum(parts, true) != header.words_checksum ||
      (whole && checksum(parts, false) != header.states_checksum)) {
    fail("its contents are damaged: a checksum is wrong");
  }
  NgramModel::Tables tables;
  tables.counts.assign(header.counts.begin(), header.counts.begin() + header.order);
  tables.unigrams = view<NgramModel::Unigram>(parts[unigrams]);
  tables.highest = view<float>(parts[highest]);
  tables.contexts = view<NgramModel::Context>(parts[contexts]);
  tables.arcs = ArcTable(view<ArcBucket>(parts[arcs]));
  tables.words = Vocabulary(view<char>(parts[texts]), view<std::uint32_t>(parts[ends]),
                            view<Vocabulary::Slot>(parts[slots]));
  tables.begin = header.begin;
  tables.end = header.end;
  std::vector<Block> owned;
  owned.push_back(std::move(file));
  return std::make_shared<NgramModel>(std::move(tables), std::move(owned));
}

}  // namespace sestina::decoding
