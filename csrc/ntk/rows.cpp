#include "ntk/rows.hpp"

#include <algorithm>
#include <cmath>

#include "ntk/parallel.hpp"

namespace sestina::ntk {

namespace {

// Squares outside this range have left double's, or lost digits on the way.
constexpr double smallest_square = 1e-280;
constexpr double largest_square = 1e280;

// The sum of squares of the row times `factor`.
template <class T>
double row_square(const T* row, std::ptrdiff_t columns, std::ptrdiff_t stride, double factor) {
  double sums[4] = {0, 0, 0, 0};
  std::ptrdiff_t k = 0;
  for (; k + 4 <= columns; k += 4) {
    for (int lane = 0; lane < 4; ++lane) {
      const double value = static_cast<double>(row[(k + lane) * stride]) * factor;
      sums[lane] += value * value;
    }
  }
  for (; k < columns; ++k) {
    const double value = static_cast<double>(row[k * stride]) * factor;
    sums[0] += value * value;
  }
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

template <class T>
double largest_size(const T* row, std::ptrdiff_t columns, std::ptrdiff_t stride) {
  double largest = 0;
  for (std::ptrdiff_t k = 0; k < columns; ++k) {
    largest = std::max(largest, std::abs(static_cast<double>(row[k * stride])));
  }
  return largest;
}

}  // namespace

template <class T>
PackedRows<T>::PackedRows(const MatrixView<T>& matrix, SimdLevel level, int threads)
    : rows_(matrix.rows), columns_(matrix.columns), level_(level) {
  const int panel = tile_kernels<T>(level).panel;
  const std::ptrdiff_t panels = (rows_ + panel - 1) / panel;
  norms_.resize(static_cast<std::size_t>(rows_));
  panels_.resize(static_cast<std::size_t>(panels * panel * columns_));
  for_each_item(panels, threads,
                [&](int, std::ptrdiff_t item) { pack_panel(matrix, item * panel, panel); });
}

template <class T>
void PackedRows<T>::pack_panel(const MatrixView<T>& matrix, std::ptrdiff_t first_row, int panel) {
  T* const to = panels_.data() + first_row * columns_;
  const auto rows = static_cast<int>(std::min<std::ptrdiff_t>(panel, rows_ - first_row));
  for (int r = 0; r < rows; ++r) {
    const T* const row = matrix.data + (first_row + r) * matrix.row_stride;
    double factor = 1;
    double square = row_square(row, columns_, matrix.column_stride, factor);
    if (!(square > smallest_square && square < largest_square)) {
      const double largest = largest_size(row, columns_, matrix.column_stride);
      if (largest > 0 && std::isfinite(largest)) {
        factor = std::ldexp(1.0, std::clamp(-std::ilogb(largest), -1000, 1000));
        square = row_square(row, columns_, matrix.column_stride, factor);
      }
    }
    const double norm = std::sqrt(square);
    norms_[static_cast<std::size_t>(first_row + r)] = norm / factor;
    const double inverse = norm > 0 ? 1 / norm : 0;
    for (std::ptrdiff_t k = 0; k < columns_; ++k) {
      to[k * panel + r] =
          static_cast<T>(static_cast<double>(row[k * matrix.column_stride]) * factor * inverse);
    }
  }
}

template <>
const TileKernels<float>& tile_kernels<float>(SimdLevel level) {
#if defined(SESTINA_X86)
  if (level == SimdLevel::avx512) {
    return avx512_float;
  }
  if (level == SimdLevel::avx2) {
    return avx2_float;
  }
#endif
  static_cast<void>(level);
  return portable_float;
}

template <>
const TileKernels<double>& tile_kernels<double>(SimdLevel level) {
#if defined(SESTINA_X86)
  if (level == SimdLevel::avx512) {
    return avx512_double;
  }
  if (level == SimdLevel::avx2) {
    return avx2_double;
  }
#endif
  static_cast<void>(level);
  return portable_double;
}

template class PackedRows<float>;
template class PackedRows<double>;

}  // namespace sestina::ntk
