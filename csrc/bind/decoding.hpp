// The parts of sestina.decoding._native, one file each.
#pragma once

#include <nanobind/nanobind.h>

namespace sestina::decoding {

void bind_language_models(nanobind::module_& m);

}  // namespace sestina::decoding
