// Sums of numbers that are known by their logarithms.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

namespace sestina::decoding {

inline constexpr double minus_infinity = -std::numeric_limits<double>::infinity();

inline double log_add(double left, double right) noexcept {
  const double high = std::max(left, right);
  const double low = std::min(left, right);
  return low == minus_infinity ? high : high + std::log1p(std::exp(low - high));
}

}  // namespace sestina::decoding
