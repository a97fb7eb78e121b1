// Which scores can still be among the best `wanted` ones, from counts in buckets.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace sestina::decoding {

// Scores only come and grow, so the bound only rises. Adding one costs a few instructions; the bound
// is the lower edge of the bucket in which the wanted-th best score lies.
class Ranks {
 public:
  static constexpr std::int32_t below = -1;

  // Buckets from `base` to `top`; what is below the base does not count, what is above the top goes
  // into the last bucket.
  void reset(double base, double top, std::size_t wanted) noexcept {
    counts_.fill(0);
    base_ = base;
    width_ = std::max((top - base) / num_buckets, 1e-9);
    per_width_ = 1.0 / width_;
    wanted_ = wanted;
    cut_ = 0;
    alive_ = 0;
  }
  std::int32_t bucket(double score) const noexcept {
    if (!(score >= base_)) {
      return below;
    }
    const double place = (score - base_) * per_width_;
    return place < num_buckets ? static_cast<std::int32_t>(place) : num_buckets - 1;
  }
  void add(double score) noexcept { enter(bucket(score)); }
  // A score that was counted has grown.
  void move(double before, double now) noexcept {
    const std::int32_t from = bucket(before);
    const std::int32_t to = bucket(now);
    if (from == to) {
      return;
    }
    if (from != below) {
      --counts_[static_cast<std::size_t>(from)];
      alive_ -= from >= cut_ ? 1 : 0;
    }
    enter(to);
  }
  // Nothing below it can be among the best. The last digits of an edge are not to be trusted.
  double bound() const noexcept { return base_ + (cut_ - 1e-6) * width_; }
  bool is_full() const noexcept { return alive_ >= wanted_; }
  std::int32_t cut() const noexcept { return cut_; }
  // How many of the cut's own bucket are among the best, if it is full.
  std::size_t from_cut() const noexcept {
    return wanted_ - (alive_ - counts_[static_cast<std::size_t>(cut_)]);
  }

 private:
  static constexpr std::int32_t num_buckets = 256;

  void enter(std::int32_t bucket) noexcept {
    if (bucket < cut_) {
      if (bucket != below) {
        ++counts_[static_cast<std::size_t>(bucket)];
      }
      return;
    }
    ++counts_[static_cast<std::size_t>(bucket)];
    ++alive_;
    while (alive_ - counts_[static_cast<std::size_t>(cut_)] >= wanted_) {
      alive_ -= counts_[static_cast<std::size_t>(cut_)];
      ++cut_;
    }
  }

  std::array<std::uint32_t, num_buckets> counts_{};
  double base_ = 0.0;
  double width_ = 1.0;
  double per_width_ = 1.0;
  std::size_t wanted_ = 1;
  std::size_t alive_ = 0;  // counted at or above the cut
  std::int32_t cut_ = 0;
};

}  // namespace sestina::decoding
