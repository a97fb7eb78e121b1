// Which vector instructions this processor has, and which of the compiled levels to use.
#pragma once

#include <stdexcept>
#include <string>

namespace sestina {

// Each level is a translation unit of its own, compiled with that level's flags.
enum class SimdLevel : int { portable = 0, avx2 = 1, avx512 = 2 };

// The best level that was compiled in and that this processor and its operating system support.
SimdLevel best_simd_level() noexcept;

const char* simd_level_name(SimdLevel level) noexcept;

// SESTINA_SIMD names a level that is not there.
class UnknownSimdLevel : public std::invalid_argument {
 public:
  UnknownSimdLevel(const std::string& name, std::string known)
      : std::invalid_argument("SESTINA_SIMD is " + name), name_(name), known_(std::move(known)) {}
  const std::string& name() const noexcept { return name_; }
  const std::string& known() const noexcept { return known_; }

 private:
  std::string name_;
  std::string known_;
};

// The best, or what the environment's SESTINA_SIMD names.
SimdLevel chosen_simd_level();

}  // namespace sestina
