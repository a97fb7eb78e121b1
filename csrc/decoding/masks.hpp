// Which tokens of a frame score enough: bit n of a mask is set if token n does.
#pragma once

#include <cstdint>

#include "core/simd.hpp"

namespace sestina::decoding {

// The candidates of a frame, of at most 64 tokens.
struct FrameScores {
  const double* by_token;  // minus infinity where a token is no candidate
  int num_by_token;        // a multiple of 8
  const double* packed;    // of the candidates alone, by token; then minus infinity
  int num_packed;          // a multiple of 8
  std::uint64_t tokens;    // which they are
};

// For each of three needs (above minus infinity), as a search has three reasons to try a token.
using MasksAtLeast = void (*)(const FrameScores& frame, const double* needed, std::uint64_t* masks);

MasksAtLeast masks_at_least(SimdLevel level) noexcept;

// Each in a translation unit of its own.
void masks_at_least_portable(const FrameScores& frame, const double* needed, std::uint64_t* masks);
#if defined(SESTINA_X86)
void masks_at_least_avx2(const FrameScores& frame, const double* needed, std::uint64_t* masks);
void masks_at_least_avx512(const FrameScores& frame, const double* needed, std::uint64_t* masks);
#endif

}  // namespace sestina::decoding
