// Masks of every instruction set are those of the portable one, also at their edges.
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <vector>

#include "decoding/masks.hpp"

using namespace sestina;
using namespace sestina::decoding;

int main() {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  std::mt19937 random(3);
  const std::vector<double> values = {-1e300, -2.5, -1.0, 0.0, 3.0, infinity,
                                      std::numeric_limits<double>::quiet_NaN()};
  const auto any = [&] { return values[random() % values.size()]; };
  for (const SimdLevel level : {SimdLevel::avx2, SimdLevel::avx512}) {
    if (level > best_simd_level()) {
      std::printf("%s: not on this processor\n", simd_level_name(level));
      continue;
    }
    for (int round = 0; round < 5000; ++round) {
      FrameScores frame{};
      std::vector<double> by_token(8 * (1 + random() % 8), -infinity);
      std::vector<double> packed;
      for (std::size_t n = 0; n < by_token.size(); ++n) {
        if (random() % 3 != 0) {
          frame.tokens |= std::uint64_t{1} << n;
          packed.push_back(by_token[n] = any());
        }
      }
      packed.resize((packed.size() + 7) / 8 * 8, -infinity);
      frame = {by_token.data(), static_cast<int>(by_token.size()), packed.data(),
               static_cast<int>(packed.size()), frame.tokens};
      const double needed[3] = {any(), any(), any()};
      std::uint64_t expected[3];
      std::uint64_t masks[3];
      masks_at_least_portable(frame, needed, expected);
      masks_at_least(level)(frame, needed, masks);
      for (int i = 0; i < 3; ++i) {
        if (masks[i] != expected[i]) {
          std::printf("FAILED: a mask of %zu scores with %s\n", by_token.size(), simd_level_name(level));
          return EXIT_FAILURE;
        }
      }
    }
  }
  return EXIT_SUCCESS;
}
