// Which vector instructions this processor has, and which of the compiled levels to use.
#pragma once

namespace sestina::ntk {

// Each level is a translation unit of its own, compiled with that level's flags.
enum class SimdLevel : int { portable = 0, avx2 = 1, avx512 = 2 };

// The best level that was compiled in and that this processor and its operating system support.
SimdLevel best_simd_level() noexcept;

const char* simd_level_name(SimdLevel level) noexcept;

}  // namespace sestina::ntk
