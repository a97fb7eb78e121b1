// The tokens of a frame that are worth trying.
#pragma once

#include <cstdint>
#include <vector>

#include "decoding/masks.hpp"

namespace sestina::decoding {

class FrameTokens {
 public:
  struct Candidate {
    double score;
    std::int32_t token;
  };

  // Only the `allowed` best tokens of each frame may be tried; all if it is not fewer than there are.
  // With masks (at most 64 tokens) the candidates are asked for by masks_at_least, else they are
  // sorted.
  FrameTokens(std::int32_t num_tokens, std::int32_t allowed, bool has_masks);

  void clear();
  void add(std::int32_t token, double score) {
    candidates_.push_back({score, token});
    scores_[static_cast<std::size_t>(token)] = score;
  }
  // Drops those that are not allowed; without masks, puts the best first.
  void finish(const float* emissions);

  const std::vector<Candidate>& candidates() const noexcept { return candidates_; }
  double score(std::int32_t token) const noexcept {
    return scores_[static_cast<std::size_t>(token)];
  }
  // The candidates that score at least what is needed; false if there are none.
  bool at_least(const double (&needed)[3], std::uint64_t (&masks)[3]) const {
    if (!(highest_ >= needed[0] || highest_ >= needed[1] || highest_ >= needed[2])) {
      return false;
    }
    masks_at_least_(frame_, needed, masks);
    return true;
  }
  // The lowest emission that is allowed in this frame.
  float lowest_allowed(const float* emissions);

 private:
  void keep_allowed(const float* emissions);
  void pack();

  const std::int32_t num_tokens_;
  const std::int32_t allowed_;
  const bool has_masks_;
  const MasksAtLeast masks_at_least_;
  std::vector<Candidate> candidates_;
  std::vector<double> scores_;  // by token, of the candidates; with masks the others are impossible
  std::vector<float> ranked_;
  std::vector<std::int32_t> order_;
  // With masks:
  std::vector<double> packed_;
  FrameScores frame_{};
  double highest_ = 0.0;
};

}  // namespace sestina::decoding
