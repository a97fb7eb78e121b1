#include "decoding/masks.hpp"

#include <bit>

namespace sestina::decoding {

void masks_at_least_portable(const FrameScores& frame, const double* needed, std::uint64_t* masks) {
  masks[0] = masks[1] = masks[2] = 0;
  const double* score = frame.packed;
  for (std::uint64_t rest = frame.tokens; rest != 0; rest &= rest - 1, ++score) {
    const int n = std::countr_zero(rest);
    for (int i = 0; i < 3; ++i) {
      masks[i] |= std::uint64_t{*score >= needed[i]} << n;
    }
  }
}

MasksAtLeast masks_at_least([[maybe_unused]] SimdLevel level) noexcept {
#if defined(SESTINA_X86)
  if (level == SimdLevel::avx512) {
    return masks_at_least_avx512;
  }
  if (level == SimdLevel::avx2) {
    return masks_at_least_avx2;
  }
#endif
  return masks_at_least_portable;
}

}  // namespace sestina::decoding
