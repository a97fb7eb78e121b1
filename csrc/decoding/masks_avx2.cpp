#if defined(SESTINA_X86)
#include <immintrin.h>

#include "decoding/masks.hpp"

namespace sestina::decoding {

// By token, as some processors with AVX2 put bits in their places slowly (pdep).
void masks_at_least_avx2(const FrameScores& frame, const double* needed, std::uint64_t* masks) {
  for (int i = 0; i < 3; ++i) {
    const __m256d least = _mm256_set1_pd(needed[i]);
    std::uint64_t mask = 0;
    for (int n = 0; n < frame.num_by_token; n += 4) {
      const __m256d scores = _mm256_loadu_pd(frame.by_token + n);
      const __m256d enough = _mm256_cmp_pd(scores, least, _CMP_GE_OQ);
      mask |= std::uint64_t{static_cast<unsigned>(_mm256_movemask_pd(enough))} << n;
    }
    masks[i] = mask;
  }
}

}  // namespace sestina::decoding
#endif
