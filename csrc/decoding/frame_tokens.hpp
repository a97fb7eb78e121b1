// The tokens of a frame that are worth trying.
#pragma once

#include <cstdint>
#include <vector>

namespace sestina::decoding {

class FrameTokens {
 public:
  struct Candidate {
    double score;
    std::int32_t token;
  };

  // Only the `allowed` best tokens of each frame may be tried; all if it is not fewer than there are.
  FrameTokens(std::int32_t num_tokens, std::int32_t allowed)
      : num_tokens_(num_tokens),
        allowed_(allowed),
        scores_(static_cast<std::size_t>(num_tokens), 0.0) {}

  void clear() noexcept { candidates_.clear(); }
  void add(std::int32_t token, double score) {
    candidates_.push_back({score, token});
    scores_[static_cast<std::size_t>(token)] = score;
  }
  // Drops those that are not allowed, puts the best first, and makes the masks if there are few
  // enough tokens for them.
  void finish(const float* emissions);

  const std::vector<Candidate>& candidates() const noexcept { return candidates_; }
  double score(std::int32_t token) const noexcept {
    return scores_[static_cast<std::size_t>(token)];
  }
  // Of the best k of them.
  std::uint64_t mask(std::size_t k) const noexcept { return masks_[k]; }
  // The lowest emission that is allowed in this frame.
  float lowest_allowed(const float* emissions);

 private:
  void keep_allowed(const float* emissions);

  const std::int32_t num_tokens_;
  const std::int32_t allowed_;
  std::vector<Candidate> candidates_;
  std::vector<double> scores_;  // by token, of the candidates
  std::vector<std::uint64_t> masks_;
  std::vector<float> ranked_;
};

}  // namespace sestina::decoding
