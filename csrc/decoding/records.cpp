#include "decoding/records.hpp"

#include <algorithm>
#include <cmath>

namespace sestina::decoding {

void Records::begin(std::int32_t token) {
  frame_ = 0;
  std::fill(running_.begin(), running_.end(), 0.0);
  records_.assign(1, {0, -1, token, -1, 0.0F, 0.0});
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
  records_.push_back({parent, frame_, token, word, language, base});
  return static_cast<std::uint32_t>(records_.size() - 1);
}

Hypothesis Records::trace(std::uint32_t record, double score) const {
  Hypothesis hypothesis{score, acoustic(records_[record]), 0.0, {}};
  for (std::uint32_t at = record;; at = records_[at].parent) {
    const Record& r = records_[at];
    hypothesis.language += r.language;
    hypothesis.path.push_back({r.token, r.frame, r.word});
    if (at == 0) {
      break;
    }
  }
  std::reverse(hypothesis.path.begin(), hypothesis.path.end());
  return hypothesis;
}

std::size_t Records::common(std::span<const std::uint32_t> last) const {
  if (last.empty()) {
    return 0;
  }
  // The deepest record seen from all: parents have smaller numbers, so the largest of two that
  // differ can't be an ancestor of the other.
  std::uint32_t shared = last.front();
  for (std::uint32_t at : last) {
    while (at != shared) {
      if (at > shared) {
        at = records_[at].parent;
      } else {
        shared = records_[shared].parent;
      }
    }
  }
  std::size_t length = 1;
  for (; shared != 0; shared = records_[shared].parent) {
    ++length;
  }
  return length;
}

void Records::keep(std::span<std::uint32_t* const> last) {
  constexpr std::uint32_t dead = 0;
  std::vector<std::uint32_t> names(records_.size(), dead);
  names[0] = 1;
  for (const std::uint32_t* record : last) {
    for (std::uint32_t at = *record; names[at] == dead; at = records_[at].parent) {
      names[at] = 1;
    }
  }
  std::uint32_t kept = 0;
  for (std::size_t at = 0; at < records_.size(); ++at) {
    if (names[at] == dead) {
      continue;
    }
    Record record = records_[at];
    record.parent = names[record.parent] - 1;  // named before, as it comes before
    names[at] = kept + 1;
    if (at == 0) {
      record.parent = 0;
    }
    records_[kept++] = record;
  }
  records_.resize(kept);
  for (std::uint32_t* const record : last) {
    *record = names[*record] - 1;
  }
}

}  // namespace sestina::decoding
