#include "decoding/frame_tokens.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>

namespace sestina::decoding {

namespace {

constexpr double impossible_score = -std::numeric_limits<double>::infinity();

// Takes the emissions above `low`, which taking one may raise. Most blocks of a large vocabulary have
// none and are passed over by comparisons of vectors.
template <typename Take>
void each_above(const float* emissions, std::int32_t count, const float& low, const Take& take) {
  constexpr std::int32_t block = 16;
  for (std::int32_t first = 0; first < count; first += block) {
    const std::int32_t end = std::min(first + block, count);
    if (end == first + block) {
      const float bound = low;
      int some = 0;
      for (std::int32_t n = first; n < first + block; ++n) {
        some |= emissions[n] > bound ? 1 : 0;
      }
      if (some == 0) {
        continue;
      }
    }
    for (std::int32_t n = first; n < end; ++n) {
      if (emissions[n] > low) {
        take(emissions[n]);
      }
    }
  }
}

}  // namespace

FrameTokens::FrameTokens(std::int32_t num_tokens, std::int32_t allowed, bool has_masks)
    : num_tokens_(num_tokens),
      allowed_(allowed),
      has_masks_(has_masks),
      masks_at_least_(masks_at_least(chosen_simd_level())),
      scores_(static_cast<std::size_t>((num_tokens + 7) / 8 * 8), impossible_score) {}

void FrameTokens::clear() {
  candidates_.clear();
  if (has_masks_) {
    std::fill(scores_.begin(), scores_.end(), impossible_score);
  }
}

float FrameTokens::lowest_allowed(const float* emissions) {
  if (allowed_ >= num_tokens_) {
    return -std::numeric_limits<float>::infinity();
  }
  constexpr std::int32_t most_in_heap = 64;
  if (allowed_ > most_in_heap) {
    ranked_.assign(emissions, emissions + num_tokens_);
    const auto last = ranked_.begin() + (allowed_ - 1);
    std::nth_element(ranked_.begin(), last, ranked_.end(), std::greater<>());
    return *last;
  }
  // The best so far, the worst of them in front.
  ranked_.assign(emissions, emissions + allowed_);
  std::make_heap(ranked_.begin(), ranked_.end(), std::greater<>());
  each_above(emissions + allowed_, num_tokens_ - allowed_, ranked_.front(), [&](float emission) {
    std::pop_heap(ranked_.begin(), ranked_.end(), std::greater<>());
    ranked_.back() = emission;
    std::push_heap(ranked_.begin(), ranked_.end(), std::greater<>());
  });
  return ranked_.front();
}

// Only tokens as good as the worst candidate decide about candidates, and there are few.
void FrameTokens::keep_allowed(const float* emissions) {
  float worst = std::numeric_limits<float>::infinity();
  for (const Candidate& candidate : candidates_) {
    worst = std::min(worst, emissions[candidate.token]);
  }
  ranked_.resize(static_cast<std::size_t>(num_tokens_));
  std::ptrdiff_t num_ranked = 0;
  for (std::int32_t n = 0; n < num_tokens_; ++n) {
    ranked_[static_cast<std::size_t>(num_ranked)] = emissions[n];
    num_ranked += emissions[n] >= worst ? 1 : 0;
  }
  if (num_ranked <= allowed_) {
    return;
  }
  const auto last = ranked_.begin() + (allowed_ - 1);
  std::nth_element(ranked_.begin(), last, ranked_.begin() + num_ranked, std::greater<>());
  const float lowest = *last;
  // Of several with the last score that is allowed, those that Flashlight takes: emissions in half
  // precision are often equal.
  order_.clear();
  if (std::find(last + 1, ranked_.begin() + num_ranked, lowest) != ranked_.begin() + num_ranked) {
    order_.resize(static_cast<std::size_t>(num_tokens_));
    std::iota(order_.begin(), order_.end(), 0);
    std::partial_sort(order_.begin(), order_.begin() + allowed_, order_.end(),
                      [&](std::int32_t a, std::int32_t b) { return emissions[a] > emissions[b]; });
    order_.resize(static_cast<std::size_t>(allowed_));
  }
  std::erase_if(candidates_, [&](const Candidate& candidate) {
    const float emission = emissions[candidate.token];
    const bool drops =
        emission < lowest ||
        (emission == lowest && !order_.empty() &&
         std::find(order_.begin(), order_.end(), candidate.token) == order_.end());
    if (drops) {
      scores_[static_cast<std::size_t>(candidate.token)] = impossible_score;
    }
    return drops;
  });
}

void FrameTokens::pack() {
  packed_.clear();
  frame_.tokens = 0;
  highest_ = impossible_score;
  for (const Candidate& candidate : candidates_) {
    packed_.push_back(candidate.score);
    frame_.tokens |= std::uint64_t{1} << candidate.token;
    highest_ = std::max(highest_, candidate.score);
  }
  packed_.resize((packed_.size() + 7) / 8 * 8, impossible_score);
  frame_.packed = packed_.data();
  frame_.num_packed = static_cast<int>(packed_.size());
  frame_.by_token = scores_.data();
  frame_.num_by_token = static_cast<int>(scores_.size());
}

void FrameTokens::finish(const float* emissions) {
  if (allowed_ < num_tokens_) {
    keep_allowed(emissions);
  }
  if (has_masks_) {
    pack();
  } else {
    std::sort(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
      return a.score > b.score;
    });
  }
}

}  // namespace sestina::decoding
