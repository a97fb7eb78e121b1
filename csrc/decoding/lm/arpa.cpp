#include "decoding/lm/arpa.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <span>

#include "decoding/errors.hpp"
#include "decoding/text.hpp"

namespace sestina::decoding {

namespace {

constexpr float largest_number = 1e30F;
constexpr std::uint64_t trusted_arcs = std::uint64_t{1} << 22;  // where the text's size isn't known
const char* const rewrite = "write the model again with the tool that made it";

std::string_view trimmed(std::string_view line) noexcept {
  while (!line.empty() && is_gap(line.back())) {
    line.remove_suffix(1);
  }
  while (!line.empty() && is_gap(line.front())) {
    line.remove_prefix(1);
  }
  return line;
}

// `is_gap` of every byte: fields are most of what reading costs.
constexpr std::array<bool, 256> gaps = [] {
  std::array<bool, 256> table{};
  for (std::size_t byte = 0; byte < table.size(); ++byte) {
    table[byte] = is_gap(static_cast<char>(byte));
  }
  return table;
}();

// The first field of a trimmed line, taken off it with the gap behind it.
std::string_view take_field(std::string_view& line) noexcept {
  const auto in_gap = [&](std::size_t at) { return gaps[static_cast<unsigned char>(line[at])]; };
  std::size_t end = 0;
  while (end < line.size() && !in_gap(end)) {
    ++end;
  }
  const std::string_view field = line.substr(0, end);
  while (end < line.size() && in_gap(end)) {
    ++end;
  }
  line.remove_prefix(end);
  return field;
}

}  // namespace

void ArpaReader::fail(const std::string& reason, const std::string& remedy) const {
  throw FormatError(reason, remedy, number_);
}

void ArpaReader::push(std::string_view piece) {
  while (!piece.empty()) {
    const void* const found = std::memchr(piece.data(), '\n', piece.size());
    if (found == nullptr) {
      cut_ += piece;
      break;
    }
    const auto end = static_cast<std::size_t>(static_cast<const char*>(found) - piece.data());
    if (cut_.empty()) {
      read_line(piece.substr(0, end));
    } else {
      cut_ += piece.substr(0, end);
      read_line(cut_);
      flush();  // lines refer to the text
      cut_.clear();
    }
    piece.remove_prefix(end + 1);
  }
  flush();
}

std::shared_ptr<NgramModel> ArpaReader::finish() {
  if (!cut_.empty()) {
    push("\n");
  }
  if (part_ != Part::after) {
    ++number_;
    fail(part_ == Part::preamble
             ? "there is no line \\data\\, expected the text of an ARPA file"
             : std::string("the file ends, expected ") +
                   (part_ == Part::counts ? "the 1-grams" : "n-grams or \\end\\"),
         part_ == Part::preamble ? "pass a language model in ARPA or KenLM's binary format"
                                 : "copy the whole file again");
  }
  return builder_->finish();
}

void ArpaReader::read_line(std::string_view line) {
  ++number_;
  if (part_ == Part::ngrams && !line.empty() && line.front() != '\\' && !is_gap(line.front())) {
    read_ngram(line);
    return;
  }
  line = trimmed(line);
  if (line.empty()) {
    return;
  }
  switch (part_) {
    case Part::preamble:
      if (line == "\\data\\") {
        part_ = Part::counts;
      }
      break;
    case Part::counts:
      if (line.starts_with("ngram")) {
        read_count(line);
      } else {
        read_title(line);
      }
      break;
    case Part::ngrams:
      if (line.front() == '\\') {
        read_title(line);
      } else {
        read_ngram(line);
      }
      break;
    case Part::after:
      fail("there is " + shown(line) + " after \\end\\, expected nothing", "drop what is there");
  }
}

void ArpaReader::read_count(std::string_view line) {
  line.remove_prefix(std::strlen("ngram"));
  const std::size_t equals = std::min(line.find('='), line.size());
  const std::string_view order = trimmed(line.substr(0, equals));
  const std::string_view count = trimmed(line.substr(std::min(equals + 1, line.size())));
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), value);
  if (order != std::to_string(counts_.size() + 1) || error != std::errc() ||
      end != count.data() + count.size()) {
    fail("the counts have " + shown(line) + ", expected " + std::to_string(counts_.size() + 1) +
             "=<a number>",
         rewrite);
  }
  // Blanks and a digit are the least that an n-gram takes.
  if (size_ > 0 && value > size_ / (2 * counts_.size() + 3)) {
    fail("it says it has " + std::string(count) + " n-grams of order " + std::string(order) +
             ", which its " + std::to_string(size_) + " bytes can't hold",
         "copy the whole file again");
  }
  counts_.push_back(value);
  if (counts_.size() > NgramModel::highest_order) {
    fail("the order is " + std::to_string(counts_.size()) + " or more, expected at most " +
             std::to_string(NgramModel::highest_order),
         "prune the model to a lower order");
  }
}

void ArpaReader::read_title(std::string_view line) {
  if (order_ > 0) {
    end_order();
  }
  std::string title("\\");
  title += order_ > 0 && order_ == counts_.size() ? "end\\"
                                                  : std::to_string(order_ + 1) + "-grams:";
  if (counts_.empty() || line != title) {
    const std::string expected = counts_.empty() ? "counts of n-grams" : title;
    fail("there is " + shown(line) + ", expected " + expected, rewrite);
  }
  if (order_ == 0) {
    builder_ = std::make_unique<NgramBuilder>(counts_, size_ > 0 ? size_ : trusted_arcs);
  }
  part_ = order_ == counts_.size() ? Part::after : Part::ngrams;
  ++order_;
  read_ = 0;
}

void ArpaReader::end_order() {
  flush();
  if (read_ != counts_[order_ - 1]) {
    fail("there are " + std::to_string(read_) + " n-grams of order " + std::to_string(order_) +
             ", expected the " + std::to_string(counts_[order_ - 1]) + " of the counts",
         "correct the counts, or copy the whole file again");
  }
}

float ArpaReader::number(std::string_view field, const char* what) const {
  float value = 0.0F;
  const char* const begin = field.data() + (field.starts_with('+') ? 1 : 0);
  const char* const end = field.data() + field.size();
  auto [read, error] = std::from_chars(begin, end, value);
  if (error == std::errc::result_out_of_range) {
    // Too large, or so small that it is 0; strtod says which.
    value = static_cast<float>(std::strtod(std::string(begin, end).c_str(), nullptr));
    error = std::errc();
  }
  if (field.empty() || read != end || error != std::errc() ||
      !(std::abs(value) <= largest_number)) {
    fail(std::string("the ") + what + " is " + shown(field) +
             ", expected a number from -1e30 to 1e30",
         rewrite);
  }
  return value;
}

void ArpaReader::read_ngram(std::string_view line) {
  if (++read_ > counts_[order_ - 1]) {
    fail("there are more n-grams of order " + std::to_string(order_) + " than the " +
             std::to_string(counts_[order_ - 1]) + " of the counts",
         "correct the counts");
  }
  const std::string_view whole = line;
  while (!line.empty() && is_gap(line.back())) {
    line.remove_suffix(1);
  }
  Line& ngram = lines_[num_lines_++];
  ngram.number = number_;
  ngram.score = number(take_field(line), "probability");
  for (std::size_t k = 0; k < order_; ++k) {
    ngram.words[k] = take_field(line);
  }
  if (ngram.words[order_ - 1].empty()) {
    fail("the n-gram " + shown(whole) + " has too few fields, expected a number and " +
             std::to_string(order_) + " words",
         rewrite);
  }
  ngram.backoff = line.empty() ? 0.0F : number(take_field(line), "back-off weight");
  if (!line.empty()) {
    fail("the n-gram " + shown(whole) + " has too many fields, expected a number, " +
             std::to_string(order_) + " words and a number",
         rewrite);
  }
  if (ngram.score > 0.0F) {
    fail("the probability of the n-gram " + shown(whole) +
             " is above 1 (log10 above 0), expected one of at most 1",
         "let the tool that made the model write normalised probabilities");
  }
  if (order_ == counts_.size() && ngram.backoff != 0.0F) {
    fail("the back-off weight of the n-gram " + shown(whole) + " is not 0, and no n-gram is longer",
         rewrite);
  }
  if (order_ == 1) {
    builder_->add_word(ngram.words[0], ngram.score, ngram.backoff, number_);
    num_lines_ = 0;
    return;
  }
  const Vocabulary words = builder_->words();
  const Line* const before = num_lines_ > 1 ? &ngram - 1 : nullptr;
  ngram.repeated = 0;
  for (std::size_t k = 0; k < order_; ++k) {
    if (before != nullptr && before->words[k] == ngram.words[k]) {
      ngram.repeated |= 1U << k;
      continue;
    }
    ngram.hashes[k] = Vocabulary::hash(ngram.words[k]);
    words.prefetch_slot(ngram.hashes[k]);
  }
  if (num_lines_ == lines_.size()) {
    flush();
  }
}

// Hands the waiting n-grams to the builder.
void ArpaReader::flush() {
  if (num_lines_ == 0) {
    return;
  }
  const Vocabulary words = builder_->words();
  const auto for_each_new = [&](auto act) {
    for (const Line& ngram : std::span(lines_).first(num_lines_)) {
      for (std::size_t k = 0; k < order_; ++k) {
        if ((ngram.repeated >> k & 1U) == 0) {
          act(ngram.hashes[k]);
        }
      }
    }
  };
  for_each_new([&](std::uint32_t hash) { words.prefetch_end(hash); });
  for_each_new([&](std::uint32_t hash) { words.prefetch_text(hash); });
  std::array<std::uint32_t, NgramModel::highest_order> ids{};
  for (const Line& ngram : std::span(lines_).first(num_lines_)) {
    for (std::size_t k = 0; k < order_; ++k) {
      if ((ngram.repeated >> k & 1U) != 0) {
        continue;  // the id is there from the line before
      }
      const std::int32_t id = words.find(ngram.words[k], ngram.hashes[k]);
      if (id < 0 && ngram.words[k] != "<UNK>") {
        throw FormatError("an n-gram of order " + std::to_string(order_) + " has the word " +
                              shown(ngram.words[k]) + ", expected one of the unigrams",
                          rewrite, ngram.number);
      }
      ids[k] = static_cast<std::uint32_t>(std::max(id, 0));
    }
    builder_->add({ids.data(), order_}, ngram.score, ngram.backoff, ngram.number);
  }
  num_lines_ = 0;
}

std::shared_ptr<NgramModel> NgramModel::parse_arpa(std::string_view text) {
  ArpaReader reader(text.size());
  reader.push(text);
  return reader.finish();
}

std::shared_ptr<NgramModel> NgramModel::read_arpa(const char* path) {
  FileStream file(path);
  ArpaReader reader(file.size());
  // Read rather than mapped: it is as fast, and a file that shrinks meanwhile is no crash.
  std::vector<std::byte> buffer(std::size_t{1} << 20);
  while (const std::size_t got = file.read(buffer)) {
    reader.push({reinterpret_cast<const char*>(buffer.data()), got});
  }
  return reader.finish();
}

}  // namespace sestina::decoding
