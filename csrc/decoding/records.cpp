#include "decoding/records.hpp"

#include <algorithm>
#include <cmath>

namespace sestina::decoding {

void Records::begin(std::int32_t token) {
  frame_ = 0;
  std::fill(running_.begin(), running_.end(), 0.0);
  records_.assign(1, {0, -1, token, -1, 0.0F, 0.0});
  settled_.clear();
  settled_language_ = 0.0;
}

void Records::advance(const float* emissions) {
  for (std::size_t n = 0; n < running_.size(); ++n) {
    // No path that survives has read a score of -inf, so leaving those out keeps the sums finite.
    const float e = emissions[n];
    running_[n] += std::isinf(e) ? 0.0 : e;
  }
  if (!transitions_.empty() && frame_ > 0) {
    for (std::size_t n = 0; n < running_.size(); ++n) {
      const double stay = transitions_[n * running_.size() + n];
      running_[n] += std::isinf(stay) ? 0.0 : stay;
    }
  }
  ++frame_;
}

std::uint32_t Records::add(std::uint32_t parent, std::int32_t token, std::int32_t word,
                           float language) {
  const Record& from = records_[parent];
  double base = acoustic(from) - running(token);
  if (!transitions_.empty() && frame_ > 0 && from.token >= 0 && token >= 0) {
    const double stay = transition(token, token);
    base += transition(token, from.token) - (std::isinf(stay) ? 0.0 : stay);
  }
  if (records_.size() == records_.capacity()) {
    // By a quarter once they are many: a stream that waits for an early word to be settled keeps
    // what came since.
    const std::size_t size = records_.size();
    records_.reserve(size < 4096 ? 2 * size + 64 : size + size / 4);
  }
  records_.push_back({parent, frame_, token, word, language, base});
  return static_cast<std::uint32_t>(records_.size() - 1);
}

Hypothesis Records::trace(std::uint32_t record, double score) const {
  Hypothesis hypothesis{score, acoustic(records_[record]), settled_language_, settled_};
  for (std::uint32_t at = record;; at = records_[at].parent) {
    const Record& r = records_[at];
    hypothesis.language += r.language;
    hypothesis.path.push_back({r.token, r.frame, r.word});
    if (at == 0) {
      break;
    }
  }
  std::reverse(hypothesis.path.begin() + static_cast<std::ptrdiff_t>(settled_.size()),
               hypothesis.path.end());
  return hypothesis;
}

std::uint32_t Records::shared(std::span<const std::uint32_t> last) const {
  // Parents have smaller numbers, so the larger of two that differ can't be the other's ancestor.
  std::uint32_t common = last.empty() ? 0 : last.front();
  for (std::uint32_t at : last) {
    while (at != common) {
      std::uint32_t& later = at > common ? at : common;
      later = records_[later].parent;
    }
  }
  return common;
}

std::size_t Records::common(std::span<const std::uint32_t> last) const {
  if (last.empty()) {
    return 0;
  }
  std::size_t length = settled_.size() + 1;
  for (std::uint32_t at = shared(last); at != 0; at = records_[at].parent) {
    ++length;
  }
  return length;
}

void Records::keep(std::span<std::uint32_t* const> last) {
  std::vector<std::uint32_t> ends;
  for (const std::uint32_t* record : last) {
    ends.push_back(*record);
  }
  // What all have in common is put by, without what a search needs to go on from there.
  const std::uint32_t root = shared(ends);
  const std::size_t settled = settled_.size();
  for (std::uint32_t at = root; at != 0;) {
    at = records_[at].parent;
    settled_.push_back({records_[at].token, records_[at].frame, records_[at].word});
    settled_language_ += records_[at].language;
  }
  std::reverse(settled_.begin() + static_cast<std::ptrdiff_t>(settled), settled_.end());
  constexpr std::uint32_t dead = 0;
  std::vector<std::uint32_t> names(records_.size(), dead);  // one more than the new numbers
  names[root] = 1;
  for (std::uint32_t at : ends) {
    for (; names[at] == dead; at = records_[at].parent) {
      names[at] = 1;
    }
  }
  std::uint32_t kept = 0;
  for (std::size_t at = root; at < records_.size(); ++at) {
    if (names[at] == dead) {
      continue;
    }
    Record record = records_[at];
    names[at] = kept + 1;
    record.parent = kept == 0 ? 0 : names[record.parent] - 1;  // named before, as it comes before
    records_[kept++] = record;
  }
  records_.resize(kept);
  for (std::uint32_t* const record : last) {
    *record = names[*record] - 1;
  }
}

void Records::forget(std::size_t stretches) {
  // What is left is little; the vector gives its memory back.
  settled_ = std::vector<Stretch>(
      settled_.begin() + static_cast<std::ptrdiff_t>(std::min(stretches, settled_.size())),
      settled_.end());
}

}  // namespace sestina::decoding
