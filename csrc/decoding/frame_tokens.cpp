#include "decoding/frame_tokens.hpp"

#include <algorithm>
#include <functional>
#include <limits>

namespace sestina::decoding {

float FrameTokens::lowest_allowed(const float* emissions) {
  if (allowed_ >= num_tokens_) {
    return -std::numeric_limits<float>::infinity();
  }
  ranked_.assign(emissions, emissions + num_tokens_);
  const auto last = ranked_.begin() + (allowed_ - 1);
  std::nth_element(ranked_.begin(), last, ranked_.end(), std::greater<>());
  return *last;
}

void FrameTokens::keep_allowed(const float* emissions) {
  if (candidates_.size() <= 8) {  // few: count those before each
    std::erase_if(candidates_, [&](const Candidate& candidate) {
      const float own = emissions[candidate.token];
      std::int32_t before = 0;
      for (std::int32_t n = 0; n < num_tokens_; ++n) {
        before += emissions[n] > own ? 1 : 0;
      }
      return before >= allowed_;
    });
    return;
  }
  const float lowest = lowest_allowed(emissions);
  std::erase_if(candidates_,
                [&](const Candidate& candidate) { return emissions[candidate.token] < lowest; });
}

void FrameTokens::finish(const float* emissions) {
  if (allowed_ < num_tokens_) {
    keep_allowed(emissions);
  }
  std::sort(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
    return a.score > b.score;
  });
  if (num_tokens_ > 64) {
    return;
  }
  masks_.resize(candidates_.size() + 1);
  masks_[0] = 0;
  for (std::size_t k = 0; k < candidates_.size(); ++k) {
    masks_[k + 1] = masks_[k] | std::uint64_t{1} << candidates_[k].token;
  }
}

}  // namespace sestina::decoding
