// The rows of a matrix, divided by their norms and laid out for the tile kernels.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/simd.hpp"
#include "ntk/tile.hpp"

namespace sestina::ntk {

// A view of a matrix with any strides, counted in elements.
template <class T>
struct MatrixView {
  const T* data;
  std::ptrdiff_t rows;
  std::ptrdiff_t columns;
  std::ptrdiff_t row_stride;
  std::ptrdiff_t column_stride;
};

// Owns one copy of the data, once per matrix. Immutable, so that threads may share it.
//
// A row of norm zero stays zero. A row with a NaN or an infinity has a norm that is not finite, and
// kernel values of no meaning.
template <class T>
class PackedRows {
 public:
  // Complexity: one pass for the norms, one to copy.
  PackedRows(const MatrixView<T>& matrix, SimdLevel level, int threads);

  std::ptrdiff_t rows() const noexcept { return rows_; }
  std::ptrdiff_t columns() const noexcept { return columns_; }
  SimdLevel level() const noexcept { return level_; }
  // Euclidean norms, accurate to about one rounding of double.
  std::span<const double> norms() const noexcept { return norms_; }
  // The panel that holds `row`, which must be a multiple of the panel's rows.
  const T* panel_at(std::ptrdiff_t row) const noexcept { return panels_.data() + row * columns_; }

 private:
  void pack_panel(const MatrixView<T>& matrix, std::ptrdiff_t first_row, int panel);

  std::ptrdiff_t rows_;
  std::ptrdiff_t columns_;
  SimdLevel level_;
  std::vector<double> norms_;
  std::vector<T> panels_;
};

template <class T>
const TileKernels<T>& tile_kernels(SimdLevel level);

}  // namespace sestina::ntk
