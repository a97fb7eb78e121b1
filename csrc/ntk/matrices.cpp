#include "ntk/matrices.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "ntk/parallel.hpp"

namespace sestina::ntk {

namespace {

// Vectors are read beyond the last row of per-row data: this much is always there.
constexpr std::ptrdiff_t padding = 16;

// Matrices from this size on are written past the caches.
constexpr std::ptrdiff_t streamed_bytes = 4 << 20;

template <class T>
std::vector<T> padded(std::span<const double> values) {
  std::vector<T> copy(values.size() + padding);
  std::transform(values.begin(), values.end(), copy.begin(),
                 [](double value) { return static_cast<T>(value); });
  return copy;
}

template <class T>
TileJob<T> job_at(const MatrixRequest<T>& request, std::ptrdiff_t row, std::ptrdiff_t column) {
  const PackedRows<T>& right = request.right == nullptr ? request.left : *request.right;
  TileJob<T> job{};
  job.left = request.left.panel_at(row);
  job.right = right.panel_at(column);
  job.depth = request.left.columns();
  job.rows = static_cast<int>(std::min<std::ptrdiff_t>(tile_size, request.last_row - row));
  job.columns = static_cast<int>(std::min<std::ptrdiff_t>(tile_size, right.rows() - column));
  job.near_one = request.near_one;
  job.near_minus_one = request.near_minus_one;
  job.streams =
      right.rows() * request.left.rows() * static_cast<std::ptrdiff_t>(sizeof(T)) >= streamed_bytes;
  job.first_row = row;
  job.first_column = column;
  for (int kernel = 0; kernel < 2; ++kernel) {
    T* const data = request.output.data[kernel];
    const std::ptrdiff_t stride = request.output.row_stride[kernel];
    job.stride[kernel] = stride;
    job.out[kernel] = data == nullptr ? nullptr : data + row * stride + column;
    const bool is_mirrored = data != nullptr && request.right == nullptr && column > row;
    job.mirrored[kernel] = is_mirrored ? data + column * stride + row : nullptr;
  }
  return job;
}

// Calls tile(job, scratch) for every tile of the band, below the diagonal only where not mirrored.
template <class T, class Tile>
void for_each_tile(const MatrixRequest<T>& request, const Tile& tile) {
  const std::ptrdiff_t num_columns =
      request.right == nullptr ? request.left.rows() : request.right->rows();
  const std::ptrdiff_t across = (num_columns + tile_size - 1) / tile_size;
  const std::ptrdiff_t down = (request.last_row - request.first_row + tile_size - 1) / tile_size;
  const int threads = std::max(1, request.threads);
  std::vector<T> scratch(tile_scratch * static_cast<std::size_t>(threads));
  for_each_item(down * across, threads, [&](int thread, std::ptrdiff_t item) {
    const std::ptrdiff_t row = request.first_row + item / across * tile_size;
    const std::ptrdiff_t column = item % across * tile_size;
    if (request.right != nullptr || column >= row) {
      tile(job_at(request, row, column),
           scratch.data() + tile_scratch * static_cast<std::size_t>(thread));
    }
  });
}

// sqrt(p), sqrt(Q) and 1 / sqrt(Q) of every layer and row: [layer][3][row].
template <class T>
std::vector<T> layer_roots(std::span<const double> norms, std::span<const RectifierLayer> layers,
                           double scale) {
  const std::size_t stride = norms.size() + padding;
  std::vector<T> roots(3 * layers.size() * stride);
  for (std::size_t row = 0; row < norms.size(); ++row) {
    double variance = norms[row] / scale * (norms[row] / scale);
    for (std::size_t layer = 0; layer < layers.size(); ++layer) {
      const double weighted = layers[layer].weight * variance;
      variance = weighted + layers[layer].bias;
      T* const to = roots.data() + 3 * layer * stride + row;
      to[0] = static_cast<T>(std::sqrt(weighted));
      to[stride] = static_cast<T>(std::sqrt(variance));
      to[2 * stride] = static_cast<T>(variance > 0 ? 1 / std::sqrt(variance) : 0);
    }
  }
  return roots;
}

}  // namespace

template <class T>
void angle_matrices(const MatrixRequest<T>& request, const AngleTable<T>& table,
                    std::span<const double> left_scale, std::span<const double> right_scale) {
  const std::vector<T> row_scale = padded<T>(left_scale);
  const std::vector<T> column_scale =
      padded<T>(request.right == nullptr ? left_scale : right_scale);
  const bool is_scaled = !left_scale.empty();
  const TileKernels<T>& kernels = tile_kernels<T>(request.left.level());
  for_each_tile(request, [&](TileJob<T> job, T* scratch) {
    job.row_scale = is_scaled ? row_scale.data() + job.first_row : nullptr;
    job.column_scale = is_scaled ? column_scale.data() + job.first_column : nullptr;
    kernels.angle(job, table, scratch);
  });
}

template <class T>
void rectifier_matrices(const MatrixRequest<T>& request, const Rectifier& rectifier,
                        std::span<const RectifierLayer> layers, double scale,
                        const AnglePolynomials<T>& polynomials) {
  const std::vector<T> left = layer_roots<T>(request.left.norms(), layers, scale);
  const std::vector<T> own = request.right == nullptr
                                 ? std::vector<T>{}
                                 : layer_roots<T>(request.right->norms(), layers, scale);
  std::vector<T> bias, slope, value, value_bias;
  for (const RectifierLayer& layer : layers) {
    bias.push_back(static_cast<T>(layer.bias));
    slope.push_back(static_cast<T>(layer.slope));
    value.push_back(static_cast<T>(layer.value));
    value_bias.push_back(static_cast<T>(layer.value_bias));
  }
  const double a = rectifier.a;
  const double b = rectifier.b;
  const double moment = (a * a + b * b) / 2;
  RectifierPlan<T> plan{};
  plan.layers = static_cast<int>(layers.size());
  plan.bias = bias.data();
  plan.slope = slope.data();
  plan.value = value.data();
  plan.value_bias = value_bias.data();
  plan.product = static_cast<T>(a * b / moment);
  plan.kink = static_cast<T>((b - a) * (b - a) / moment);
  plan.angle = polynomials.angle;
  plan.arc = polynomials.arc;
  plan.left = left.data();
  plan.right = request.right == nullptr ? left.data() : own.data();
  plan.left_stride = request.left.rows() + padding;
  plan.right_stride =
      (request.right == nullptr ? request.left.rows() : request.right->rows()) + padding;
  const TileKernels<T>& kernels = tile_kernels<T>(request.left.level());
  for_each_tile(request,
                [&](const TileJob<T>& job, T* scratch) { kernels.rectifier(job, plan, scratch); });
}

template void angle_matrices<float>(const MatrixRequest<float>&, const AngleTable<float>&,
                                    std::span<const double>, std::span<const double>);
template void angle_matrices<double>(const MatrixRequest<double>&, const AngleTable<double>&,
                                     std::span<const double>, std::span<const double>);
template void rectifier_matrices<float>(const MatrixRequest<float>&, const Rectifier&,
                                        std::span<const RectifierLayer>, double,
                                        const AnglePolynomials<float>&);
template void rectifier_matrices<double>(const MatrixRequest<double>&, const Rectifier&,
                                         std::span<const RectifierLayer>, double,
                                         const AnglePolynomials<double>&);

}  // namespace sestina::ntk
