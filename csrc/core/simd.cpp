#include "core/simd.hpp"

#include <cstdlib>
#include <string>

namespace sestina {

SimdLevel best_simd_level() noexcept {
#if defined(SESTINA_X86)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("bmi2")) {
    return SimdLevel::avx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return SimdLevel::avx2;
  }
#endif
  return SimdLevel::portable;
}

SimdLevel chosen_simd_level() {
  const char* const named = std::getenv("SESTINA_SIMD");
  if (named == nullptr || *named == '\0') {
    return best_simd_level();
  }
  std::string known;
  for (const SimdLevel level : {SimdLevel::portable, SimdLevel::avx2, SimdLevel::avx512}) {
    if (level > best_simd_level()) {
      break;
    }
    if (std::string(simd_level_name(level)) == named) {
      return level;
    }
    known += (known.empty() ? "" : ", ") + std::string(simd_level_name(level));
  }
  throw UnknownSimdLevel(named, known);
}

const char* simd_level_name(SimdLevel level) noexcept {
  switch (level) {
    case SimdLevel::avx512:
      return "avx512";
    case SimdLevel::avx2:
      return "avx2";
    case SimdLevel::portable:
      break;
  }
  return "portable";
}

}  // namespace sestina
