// The ARPA format: counts of each order, then `log10 probability, words, log10 back-off weight`, one
// n-gram a line, in sections of ascending order.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <system_error>
#include <vector>

#include "decoding/errors.hpp"
#include "decoding/lm/ngram.hpp"
#include "decoding/text.hpp"

namespace sestina::decoding {

namespace {

constexpr std::size_t highest_order = 8;
constexpr double largest_number = 1e30;
constexpr std::size_t release_every = std::size_t{1} << 24;

}  // namespace

class ArpaReader {
 public:
  ArpaReader(std::string_view text, void (*release)(std::string_view))
      : text_(text), release_(release), model_(std::make_shared<NgramModel>()) {}

  std::shared_ptr<NgramModel> read() {
    read_counts();
    for (order_ = 1; order_ <= model_->counts_.size(); ++order_) {
      read_section();
    }
    if (line_ != "\\end\\") {
      fail("there is " + shown(line_) + " after the last n-gram, expected \\end\\");
    }
    fold();
    return model_;
  }

 private:
  [[noreturn]] void fail(const std::string& reason) const {
    throw FormatError(reason, "write the model again, as an ARPA file of natural order",
                      number_);
  }

  // The next line with its white space trimmed; false at the end of the text.
  bool next_line() {
    if (at_ >= text_.size()) {
      line_ = {};
      return false;
    }
    const std::size_t end = std::min(text_.find('\n', at_), text_.size());
    line_ = text_.substr(at_, end - at_);
    at_ = end + 1;
    ++number_;
    while (!line_.empty() && is_gap(line_.back())) {
      line_.remove_suffix(1);
    }
    while (!line_.empty() && is_gap(line_.front())) {
      line_.remove_prefix(1);
    }
    if (release_ != nullptr && at_ - released_ >= release_every) {
      released_ = at_ / release_every * release_every;
      release_(text_.substr(0, released_));
    }
    return true;
  }
  // The next line that is not empty.
  void need_line(const char* expected) {
    do {
      if (!next_line()) {
        fail(std::string("the file ends, expected ") + expected);
      }
    } while (line_.empty());
  }
  // The next field of the line, and the gap after it.
  std::string_view take_field() noexcept {
    const std::string_view field = next_field(line_);
    while (!line_.empty() && is_gap(line_.front())) {
      line_.remove_prefix(1);
    }
    return field;
  }
  float number(std::string_view field, const char* what) const {
    double value = 0.0;
    const char* const begin = field.data() + (field.starts_with('+') ? 1 : 0);
    const auto [end, error] = std::from_chars(begin, field.data() + field.size(), value);
    if (error != std::errc() || end != field.data() + field.size() ||
        !(std::abs(value) <= largest_number)) {
      fail(std::string("the ") + what + " is " + shown(field) + ", expected a number from -1e30 to " +
           "1e30");
    }
    return static_cast<float>(value);
  }

  void read_counts() {
    do {
      if (!next_line()) {
        throw FormatError("there is no line \\data\\, expected an ARPA file",
                          "pass a language model in ARPA format; KenLM's binaries are not read yet");
      }
    } while (line_ != "\\data\\");
    need_line("counts of n-grams");
    std::uint64_t counted = 0;  // bytes that the n-grams so far need at least
    while (line_.starts_with("ngram ")) {
      take_field();
      const std::string_view order = line_.substr(0, line_.find('='));
      const std::string_view count = line_.substr(std::min(line_.size(), order.size() + 1));
      std::uint64_t value = 0;
      const auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), value);
      if (order != std::to_string(model_->counts_.size() + 1) || error != std::errc() ||
          end != count.data() + count.size()) {
        fail("the counts have " + shown(line_) + ", expected " +
             std::to_string(model_->counts_.size() + 1) + "=<a number>");
      }
      // An n-gram takes a digit, and two bytes for each word, and the line's end: a file that says
      // it has more than it can hold would only make us ask for memory.
      const std::size_t bytes = 2 + 2 * (model_->counts_.size() + 1);
      if (value > (text_.size() - counted) / bytes) {
        fail("it says it has " + std::string(count) + " n-grams of order " + std::string(order) +
             ", which its " + std::to_string(text_.size()) + " bytes can't hold");
      }
      counted += value * bytes;
      model_->counts_.push_back(value);
      need_line("\\1-grams:");
    }
    if (model_->counts_.empty() || model_->counts_.size() > highest_order) {
      fail("the order is " + std::to_string(model_->counts_.size()) + ", expected 1 to " +
           std::to_string(highest_order));
    }
    std::uint64_t states = 1;
    std::uint64_t arcs = 0;
    for (std::size_t k = 0; k < model_->counts_.size(); ++k) {
      states += k + 1 < model_->counts_.size() || k == 0 ? model_->counts_[k] : 0;
      arcs += k > 0 ? model_->counts_[k] : 0;
    }
    if (states > 0x7FFFFFF0U || arcs > 0xA0000000U) {
      fail("it has " + std::to_string(states) + " contexts and " + std::to_string(arcs) +
           " n-grams beyond the words, expected fewer than 2^31");
    }
    model_->words_.reserve(model_->counts_[0]);
    model_->contexts_.reserve(states + 1);
    model_->contexts_.push_back({0.0F, 0});
    model_->arcs_.assign(arcs + arcs / 2 + 16, {NgramModel::no_state, 0, 0.0F, 0});
  }

  void read_section() {
    std::string title("\\");
    title.append(std::to_string(order_)).append("-grams:");
    if (line_ != title) {
      fail("there is " + shown(line_) + ", expected " + title);
    }
    if (order_ == 1) {
      model_->words_.add("<unk>");
      add_word(0, -100.0F, 0.0F);
    }
    std::uint64_t read = 0;
    for (need_line("n-grams or \\end\\"); line_[0] != '\\'; need_line("n-grams or \\end\\")) {
      if (++read > model_->counts_[order_ - 1]) {
        fail("there are more n-grams of order " + std::to_string(order_) + " than the " +
             std::to_string(model_->counts_[order_ - 1]) + " of the counts");
      }
      read_ngram();
    }
    enter_batch();
    if (read != model_->counts_[order_ - 1]) {
      fail("there are " + std::to_string(read) + " n-grams of order " + std::to_string(order_) +
           ", expected the " + std::to_string(model_->counts_[order_ - 1]) + " of the counts");
    }
    if (order_ == 1) {
      model_->begin_ = std::max(model_->words_.find("<s>"), 0);
      model_->end_ = std::max(model_->words_.find("</s>"), 0);
    }
  }

  void read_ngram() {
    const std::string_view whole = line_;
    const float score = number(take_field(), "probability");
    highest_ = std::max(highest_, score);
    if (order_ == 1) {
      const std::string_view text = take_field();
      const float backoff = read_backoff(whole);
      const bool unknown = text == "<unk>" || text == "<UNK>";
      const std::int32_t before = model_->words_.size();
      if (!model_->words_.has_room(text)) {
        fail("its words take 4 GiB and more, expected less");
      }
      const std::int32_t word = unknown ? 0 : model_->words_.add(text);
      if (text.empty() || (!unknown && word < before) || (unknown && unknown_given_)) {
        fail("the n-gram " + shown(whole) + " has no word or one that was there before");
      }
      unknown_given_ |= unknown;
      add_word(word, score, backoff);
      return;
    }
    Ngram ngram{};
    ngram.line = whole;
    ngram.number = number_;
    ngram.score = score;
    for (std::size_t k = 0; k < order_; ++k) {
      const std::string_view text = take_field();
      const std::int32_t word = text == "<UNK>" ? 0 : model_->words_.find(text);
      if (word < 0 || text.empty()) {
        fail("the n-gram " + shown(whole) + " has the word " + shown(text) +
             ", expected one of the unigrams");
      }
      ngram.words[k] = static_cast<std::uint32_t>(word);
    }
    ngram.backoff = read_backoff(whole);
    ngram.context = 1 + ngram.words[0];
    batch_.push_back(ngram);
    if (batch_.size() == batch_size) {
      enter_batch();
    }
  }

  // An n-gram that is read, but not yet in the table.
  struct Ngram {
    std::string_view line;
    long number;
    float score;
    float backoff;
    std::uint32_t words[highest_order];
    std::uint32_t context;
    std::uint32_t shorter;
  };
  static constexpr std::size_t batch_size = 64;

  // Enters what was read, step by step for all: each step's places in the table are fetched while
  // the step before it works on the others, or every one would wait for memory. No n-gram of an order
  // looks for another of that order, so it doesn't matter that they come in late.
  void enter_batch() {
    const auto last = [&](const Ngram& ngram) { return ngram.words[order_ - 1]; };
    for (std::size_t k = 1; k + 1 < order_; ++k) {
      for (const Ngram& ngram : batch_) {
        model_->prefetch(ngram.context, static_cast<std::int32_t>(ngram.words[k]));
      }
      for (Ngram& ngram : batch_) {
        const NgramModel::Arc* const arc = model_->find(ngram.context, ngram.words[k]);
        if (arc == nullptr) {
          fail_at(ngram, "extends one that is not in the model");
        }
        ngram.context = arc->next;
      }
    }
    for (Ngram& ngram : batch_) {
      ngram.shorter = model_->contexts_[ngram.context].shorter;
      model_->prefetch(ngram.shorter, static_cast<std::int32_t>(last(ngram)));
      model_->prefetch(ngram.context, static_cast<std::int32_t>(last(ngram)));
    }
    for (Ngram& ngram : batch_) {
      ngram.shorter = advance(ngram.shorter, last(ngram));
    }
    for (const Ngram& ngram : batch_) {
      enter(ngram, last(ngram));
    }
    batch_.clear();
  }

  void enter(const Ngram& ngram, std::uint32_t last) {
    std::uint32_t next = ngram.shorter;
    if (order_ < model_->counts_.size()) {
      next = static_cast<std::uint32_t>(model_->contexts_.size());
      model_->contexts_.push_back({ngram.backoff, ngram.shorter});
    }
    std::size_t slot = model_->slot_of(ngram.context, last);
    while (model_->arcs_[slot].state != NgramModel::no_state) {
      if (model_->arcs_[slot].state == ngram.context && model_->arcs_[slot].word == last) {
        fail_at(ngram, "was there before");
      }
      slot = slot + 1 == model_->arcs_.size() ? 0 : slot + 1;
    }
    model_->arcs_[slot] = {ngram.context, last, ngram.score, next};
  }

  [[noreturn]] void fail_at(const Ngram& ngram, const char* reason) {
    number_ = ngram.number;
    fail("the n-gram " + shown(ngram.line) + " " + reason);
  }

  float read_backoff(std::string_view whole) {
    const std::string_view field = take_field();
    if (!line_.empty()) {
      fail("the n-gram " + shown(whole) + " has more fields than " +
           std::to_string(order_) + " words and two numbers");
    }
    const float backoff = field.empty() ? 0.0F : number(field, "back-off weight");
    highest_backoff_ = std::max(highest_backoff_, backoff);
    return backoff;
  }

  void add_word(std::int32_t word, float score, float backoff) {
    const auto index = static_cast<std::size_t>(word);
    const std::uint32_t state = 1 + static_cast<std::uint32_t>(word);
    if (index == model_->unigrams_.size()) {
      model_->unigrams_.push_back({});
      model_->contexts_.push_back({});
    }
    model_->unigrams_[index] = {score, state};
    model_->contexts_[state] = {backoff, 0};
  }

  // The longest context that the word ends, among those not longer than `state` and the word.
  std::uint32_t advance(std::uint32_t state, std::uint32_t word) const noexcept {
    for (; state != 0; state = model_->contexts_[state].shorter) {
      if (const NgramModel::Arc* arc = model_->find(state, word)) {
        return arc->next;
      }
    }
    return 1 + word;
  }

  // Replaces every context that makes no difference by the longest one behind it that does.
  void fold() {
    const std::size_t count = model_->contexts_.size();
    std::vector<bool> extended(count, false);
    for (const NgramModel::Arc& arc : model_->arcs_) {
      if (arc.state != NgramModel::no_state) {
        extended[arc.state] = true;
      }
    }
    // Shorter contexts have smaller numbers.
    std::vector<std::uint32_t> folded(count, 0);
    for (std::size_t state = 1; state < count; ++state) {
      NgramModel::Context& context = model_->contexts_[state];
      context.shorter = folded[context.shorter];
      folded[state] = extended[state] || context.backoff != 0.0F
                          ? static_cast<std::uint32_t>(state)
                          : context.shorter;
    }
    for (NgramModel::Arc& arc : model_->arcs_) {
      arc.next = folded[arc.next];
    }
    for (NgramModel::Unigram& unigram : model_->unigrams_) {
      unigram.next = folded[unigram.next];
    }
    // What back-off weights above 1 can add, if a file has such.
    model_->highest_weight_ =
        std::max(0.0F, highest_backoff_) * static_cast<float>(model_->counts_.size() - 1);
    model_->highest_score_ = std::max(0.0F, highest_) + model_->highest_weight_;
  }

  std::string_view text_;
  void (*release_)(std::string_view);
  std::shared_ptr<NgramModel> model_;
  std::string_view line_;
  std::size_t at_ = 0;
  std::size_t released_ = 0;
  long number_ = 0;
  std::size_t order_ = 0;
  std::vector<Ngram> batch_;
  bool unknown_given_ = false;
  float highest_ = 0.0F;
  float highest_backoff_ = 0.0F;
};

std::shared_ptr<NgramModel> NgramModel::parse_arpa(std::string_view text,
                                                   void (*release)(std::string_view)) {
  return ArpaReader(text, release).read();
}

namespace {

// A file, read-only in memory while this lives.
class MappedFile {
 public:
  explicit MappedFile(const char* path) {
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat facts {};
    if (file < 0 || fstat(file, &facts) != 0) {
      const std::error_code reason(errno, std::generic_category());
      if (file >= 0) {
        close(file);
      }
      throw std::system_error(reason, path);
    }
    size_ = static_cast<std::size_t>(facts.st_size);
    if (size_ > 0) {
      data_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
    }
    const std::error_code reason(errno, std::generic_category());
    close(file);
    if (data_ == MAP_FAILED) {
      throw std::system_error(reason, path);
    }
  }
  ~MappedFile() {
    if (data_ != nullptr) {
      munmap(data_, size_);
    }
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::string_view text() const noexcept { return {static_cast<const char*>(data_), size_}; }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace

std::shared_ptr<NgramModel> NgramModel::read_arpa(const char* path) {
  const MappedFile file(path);
  return parse_arpa(file.text(), [](std::string_view done) {
    madvise(const_cast<char*>(done.data()), done.size(), MADV_DONTNEED);
  });
}

}  // namespace sestina::decoding
