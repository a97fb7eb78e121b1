#include <nanobind/nanobind.h>

#include "ntk/simd.hpp"

namespace nb = nanobind;

NB_MODULE(_native, m) {
  m.doc() = "C++ kernels of sestina.ntk.";
  m.def("simd_level", [] { return sestina::ntk::simd_level_name(sestina::ntk::best_simd_level()); });
}
