#if defined(SESTINA_X86)
#include <immintrin.h>

#include "decoding/masks.hpp"

namespace sestina::decoding {

void masks_at_least_avx512(const FrameScores& frame, const double* needed, std::uint64_t* masks) {
  for (int i = 0; i < 3; ++i) {
    const __m512d least = _mm512_set1_pd(needed[i]);
    std::uint64_t mask = 0;
    for (int n = 0; n < frame.num_packed; n += 8) {
      const __m512d scores = _mm512_loadu_pd(frame.packed + n);
      const __mmask8 enough = _mm512_cmp_pd_mask(scores, least, _CMP_GE_OQ);
      mask |= std::uint64_t{enough} << n;
    }
    masks[i] = _pdep_u64(mask, frame.tokens);
  }
}

}  // namespace sestina::decoding
#endif
