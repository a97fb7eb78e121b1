// Kernel matrices against a slow double-precision evaluation, at every instruction set that this
// processor has, over shapes that cut tiles, panels and vectors in all ways.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <new>
#include <numbers>
#include <random>
#include <span>
#include <vector>

#include "ntk/matrices.hpp"
#include "ntk/memory.hpp"
#include "ntk/parallel.hpp"
#include "ntk/rows.hpp"
#include "core/simd.hpp"

namespace {

using namespace sestina;
using namespace sestina::ntk;

void check(bool holds, const char* what, const char* level, std::ptrdiff_t a, std::ptrdiff_t b) {
  if (!holds) {
    std::fprintf(stderr, "%s (%s, %td, %td)\n", what, level, a, b);
    std::exit(1);
  }
}

std::vector<SimdLevel> levels() {
  std::vector<SimdLevel> all;
  for (const SimdLevel level : {SimdLevel::portable, SimdLevel::avx2, SimdLevel::avx512}) {
    if (level <= best_simd_level()) {
      all.push_back(level);
    }
  }
  return all;
}

template <class T>
std::vector<T> random_rows(std::ptrdiff_t rows, std::ptrdiff_t columns, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  std::vector<T> data(static_cast<std::size_t>(rows * columns));
  std::generate(data.begin(), data.end(), [&] { return static_cast<T>(normal(generator)); });
  // A copy, an opposite and a row of zeros, as far as there is room.
  for (std::ptrdiff_t k = 0; k < columns; ++k) {
    const auto at = [&](std::ptrdiff_t row) -> T& {
      return data[static_cast<std::size_t>(row * columns + k)];
    };
    if (rows > 3) {
      at(1) = at(0) * 2;
      at(2) = -at(0);
      at(3) = 0;
    }
  }
  return data;
}

template <class T>
MatrixView<T> view(const std::vector<T>& data, std::ptrdiff_t rows, std::ptrdiff_t columns) {
  return {data.data(), rows, columns, columns, 1};
}

// A table of the kernels c and c^2, which are polynomials of the angle's variable u.
template <class T>
struct PowerTable {
  std::vector<T> coefficients;
  AngleTable<T> table{};

  explicit PowerTable(bool graded, int intervals = 16) {
    constexpr int degree = table_degree<T>;
    const int per_octave = sizeof(T) == 4 ? 8 : 16;
    const int octaves = 4;
    intervals = graded ? octaves * per_octave + 1 : intervals;
    const double scale = graded ? 1.0 : intervals * double(intervals);
    coefficients.resize(static_cast<std::size_t>(2 * (degree + 1) * 2 * intervals));
    for (int half = 0; half < 2; ++half) {
      for (int interval = 0; interval < intervals; ++interval) {
        double begin = interval, length = 1;
        if (graded) {
          const int step = interval - 1;
          length = std::ldexp(1.0, step / per_octave - octaves) / per_octave;
          begin = interval == 0
                      ? 0
                      : std::ldexp(1.0, step / per_octave - octaves) + step % per_octave * length;
          length = interval == 0 ? std::ldexp(1.0, -octaves) : length;
        }
        // c = s (1 - u^2 / scale), u = middle + length x.
        const double middle = begin + length / 2;
        const double sign = half == 0 ? 1 : -1;
        const double c[3] = {sign * (1 - middle * middle / scale),
                             sign * -2 * middle * length / scale, sign * -length * length / scale};
        const double squares[5] = {c[0] * c[0], 2 * c[0] * c[1], c[1] * c[1] + 2 * c[0] * c[2],
                                   2 * c[1] * c[2], c[2] * c[2]};
        for (int power = 0; power <= degree; ++power) {
          set(0, power, half, interval, intervals, power < 3 ? c[power] : 0);
          set(1, power, half, interval, intervals, power < 5 ? squares[power] : 0);
        }
      }
    }
    table.coefficients = coefficients.data();
    table.kernels = 2;
    table.intervals = intervals;
    table.graded = graded;
    table.scale[0] = table.scale[1] = static_cast<T>(scale);
    table.first_scale = static_cast<T>(std::ldexp(1.0, octaves));
  }

 private:
  void set(int kernel, int power, int half, int interval, int intervals, double value) {
    constexpr int degree = table_degree<T>;
    const int term = degree - power;
    coefficients[static_cast<std::size_t>(((kernel * (degree + 1) + term) * 2 + half) * intervals +
                                          interval)] = static_cast<T>(value);
  }
};

template <class T>
double tolerance() {
  return sizeof(T) == 4 ? 5e-6 : 1e-13;
}

template <class T>
std::vector<double> cosines(const std::vector<T>& x, const std::vector<T>& y, std::ptrdiff_t n,
                            std::ptrdiff_t m, std::ptrdiff_t d) {
  std::vector<double> all(static_cast<std::size_t>(n * m));
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    for (std::ptrdiff_t j = 0; j < m; ++j) {
      double xy = 0, xx = 0, yy = 0;
      for (std::ptrdiff_t k = 0; k < d; ++k) {
        const double a = x[static_cast<std::size_t>(i * d + k)];
        const double b = y[static_cast<std::size_t>(j * d + k)];
        xy += a * b;
        xx += a * a;
        yy += b * b;
      }
      all[static_cast<std::size_t>(i * m + j)] = xx * yy > 0 ? xy / std::sqrt(xx * yy) : 0;
    }
  }
  return all;
}

template <class T>
struct Matrices {
  // Rows are longer than the matrix: what lies beyond must stay as it is.
  std::vector<T> first, second;
  std::ptrdiff_t rows, columns, stride;

  Matrices(std::ptrdiff_t rows_, std::ptrdiff_t columns_)
      : rows(rows_), columns(columns_), stride(columns_ + 3) {
    first.assign(static_cast<std::size_t>(rows * stride), T(-77));
    second = first;
  }
  Output<T> output() { return {{first.data(), second.data()}, {stride, stride}}; }
  T at(int kernel, std::ptrdiff_t i, std::ptrdiff_t j) const {
    return (kernel == 0 ? first : second)[static_cast<std::size_t>(i * stride + j)];
  }
  bool margins_are_untouched() const {
    for (std::ptrdiff_t i = 0; i < rows; ++i) {
      for (std::ptrdiff_t j = columns; j < stride; ++j) {
        if (at(0, i, j) != T(-77) || at(1, i, j) != T(-77)) {
          return false;
        }
      }
    }
    return true;
  }
};

template <class T>
void test_powers(std::ptrdiff_t n, std::ptrdiff_t m, std::ptrdiff_t d, bool symmetric, bool graded,
                 double near) {
  const auto x = random_rows<T>(n, d, 1);
  const auto y = symmetric ? x : random_rows<T>(m, d, 2);
  const auto expected = cosines(x, y, n, m, d);
  const PowerTable<T> powers(graded);
  for (const SimdLevel level : levels()) {
    const PackedRows<T> left(view(x, n, d), level, 2);
    const PackedRows<T> right(view(y, m, d), level, 1);
    Matrices<T> result(n, m);
    const MatrixRequest<T> request{left,
                                   symmetric ? nullptr : &right,
                                   result.output(),
                                   static_cast<T>(near),
                                   static_cast<T>(-near),
                                   0,
                                   n,
                                   2};
    angle_matrices(request, powers.table, {}, {});
    const char* name = simd_level_name(level);
    check(result.margins_are_untouched(), "wrote beyond a row", name, n, d);
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      for (std::ptrdiff_t j = 0; j < m; ++j) {
        const double c = expected[static_cast<std::size_t>(i * m + j)];
        check(std::abs(result.at(0, i, j) - c) < tolerance<T>(), "c is wrong", name, i, j);
        check(std::abs(result.at(1, i, j) - c * c) < tolerance<T>(), "c^2 is wrong", name, i, j);
        if (symmetric) {
          check(result.at(0, i, j) == result.at(0, j, i), "not symmetric", name, i, j);
        }
      }
    }
  }
}

template <class T>
void test_bands_threads_and_strides_change_nothing() {
  const std::ptrdiff_t n = 2 * tile_size + 31, d = 40;
  const auto x = random_rows<T>(n, d, 3);
  std::vector<T> transposed(x.size());
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    for (std::ptrdiff_t k = 0; k < d; ++k) {
      transposed[static_cast<std::size_t>(k * n + i)] = x[static_cast<std::size_t>(i * d + k)];
    }
  }
  const PowerTable<T> powers(false);
  std::vector<double> scale(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < scale.size(); ++i) {
    scale[i] = 1 + static_cast<double>(i);
  }
  for (const SimdLevel level : levels()) {
    const PackedRows<T> rows(view(x, n, d), level, 1);
    const PackedRows<T> strided(MatrixView<T>{transposed.data(), n, d, 1, n}, level, 3);
    Matrices<T> whole(n, n), banded(n, n);
    angle_matrices<T>({rows, nullptr, whole.output(), T(0.9), T(-0.9), 0, n, 1}, powers.table,
                      scale, {});
    for (std::ptrdiff_t first = 0; first < n; first += tile_size) {
      angle_matrices<T>({strided, nullptr, banded.output(), T(0.9), T(-0.9), first,
                         std::min(first + tile_size, n), 3},
                        powers.table, scale, {});
    }
    check(whole.first == banded.first && whole.second == banded.second, "bands differ",
          simd_level_name(level), n, d);
    check(std::abs(whole.at(0, 4, 4) - 25) < 25 * tolerance<T>(), "scale is wrong",
          simd_level_name(level), n, d);
  }
}

// The recursion as the papers write it.
struct Pair {
  double nngp, ntk;
};

Pair slow_rectifier(double c, double moment1, double moment2, const Rectifier& phi,
                    std::span<const RectifierLayer> layers) {
  const double m = (phi.a * phi.a + phi.b * phi.b) / 2;
  double q1 = layers[0].weight * moment1 + layers[0].bias;
  double q2 = layers[0].weight * moment2 + layers[0].bias;
  double k = layers[0].weight * std::sqrt(moment1 * moment2) * c + layers[0].bias;
  double tangent = k;
  for (std::size_t layer = 1; layer < layers.size(); ++layer) {
    const double root = std::sqrt(q1 * q2);
    const double rho = root > 0 ? std::clamp(k / root, -1.0, 1.0) : 0;
    const double theta = std::acos(rho);
    const double kink = (phi.b - phi.a) * (phi.b - phi.a) / (2 * std::numbers::pi);
    const double value =
        root * (phi.a * phi.b * rho + kink * (std::sin(theta) + (std::numbers::pi - theta) * rho));
    const double slope = phi.a * phi.b + kink * (std::numbers::pi - theta);
    k = layers[layer].weight / m * value + layers[layer].bias;
    tangent = layers[layer].slope / m * slope * tangent +
              layers[layer].value * (k - layers[layer].bias) + layers[layer].value_bias;
    q1 = layers[layer].weight * q1 + layers[layer].bias;
    q2 = layers[layer].weight * q2 + layers[layer].bias;
  }
  return {k, tangent};
}

// acos(1 - y) / sqrt(y) and its companion at Chebyshev nodes, by Newton's divided differences.
template <class T>
std::vector<T> angle_polynomial(bool arc) {
  constexpr int degree = angle_degree<T>;
  std::vector<double> place(degree + 1), value(degree + 1);
  for (int k = 0; k <= degree; ++k) {
    place[k] = std::cos(std::numbers::pi * (k + 0.5) / (degree + 1));
    const double y = (place[k] + 1) / 2;
    const double phi = 2 * std::asin(std::sqrt(y / 2));
    double series = 0;
    for (int j = 12; j > 0; --j) {
      series = (j % 2 == 1 ? 1.0 : -1.0) * 2 * j / std::tgamma(2 * j + 2) + phi * phi * series;
    }
    value[k] = arc ? phi * phi * phi * series / (y * std::sqrt(y)) : phi / std::sqrt(y);
  }
  for (int order = 1; order <= degree; ++order) {
    for (int k = degree; k >= order; --k) {
      value[k] = (value[k] - value[k - 1]) / (place[k] - place[k - order]);
    }
  }
  std::vector<double> power(degree + 1, 0.0);  // lowest first
  for (int k = degree; k >= 0; --k) {
    for (int j = degree; j > 0; --j) {
      power[j] = power[j - 1] - place[k] * power[j];
    }
    power[0] = value[k] - place[k] * power[0];
  }
  std::vector<T> highest_first(degree + 1);
  std::transform(power.rbegin(), power.rend(), highest_first.begin(),
                 [](double p) { return static_cast<T>(p); });
  return highest_first;
}

template <class T>
void test_rectifier(const Rectifier& phi, double bias, int depth) {
  const std::ptrdiff_t n = 45, m = 150, d = 5;
  const auto x = random_rows<T>(n, d, 5);
  const auto y = random_rows<T>(m, d, 6);
  const auto c = cosines(x, y, n, m, d);
  const double moment = (phi.a * phi.a + phi.b * phi.b) / 2;
  std::vector<RectifierLayer> layers(static_cast<std::size_t>(depth + 1),
                                     {2 * moment, bias, 2 * moment, 1, bias});
  layers[0].weight = 2;
  layers.back() = {moment, 0, moment, 1, 0};
  const auto angle = angle_polynomial<T>(false);
  const auto arc = angle_polynomial<T>(true);
  for (const SimdLevel level : levels()) {
    const PackedRows<T> left(view(x, n, d), level, 1);
    const PackedRows<T> right(view(y, m, d), level, 1);
    Matrices<T> result(n, m);
    rectifier_matrices<T>({left, &right, result.output(), T(0.5), T(-0.5), 0, n, 2}, phi, layers,
                          std::sqrt(double(d)), {angle.data(), arc.data()});
    check(result.margins_are_untouched(), "wrote beyond a row", simd_level_name(level), n, d);
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      for (std::ptrdiff_t j = 0; j < m; ++j) {
        const double mx = std::pow(left.norms()[static_cast<std::size_t>(i)], 2) / d;
        const double my = std::pow(right.norms()[static_cast<std::size_t>(j)], 2) / d;
        const Pair expected =
            slow_rectifier(c[static_cast<std::size_t>(i * m + j)], mx, my, phi, layers);
        const Pair ends1 = slow_rectifier(1, mx, mx, phi, layers);
        const Pair ends2 = slow_rectifier(1, my, my, phi, layers);
        // The slow recursion itself loses half of its digits near c = +-1.
        const double allowed = sizeof(T) == 4 ? 2e-6 : 3e-7;
        check(std::abs(result.at(0, i, j) - expected.nngp) <=
                  allowed * std::sqrt(ends1.nngp * ends2.nngp) + 1e-30,
              "NNGP is wrong", simd_level_name(level), i, j);
        check(std::abs(result.at(1, i, j) - expected.ntk) <=
                  allowed * std::sqrt(ends1.ntk * ends2.ntk) + 1e-30,
              "NTK is wrong", simd_level_name(level), i, j);
      }
    }
  }
}

template <class T>
void test_norms_and_hostile_rows() {
  const T huge = std::numeric_limits<T>::max() / 4;
  const T tiny = std::numeric_limits<T>::denorm_min();
  const T nan = std::numeric_limits<T>::quiet_NaN();
  const T infinity = std::numeric_limits<T>::infinity();
  const std::vector<T> rows = {huge, huge, tiny, 0, nan, 1, infinity, -infinity, 3, 4, 0, 0};
  const PowerTable<T> uniform(false), graded(true), many(false, 64);
  for (const SimdLevel level : levels()) {
    const PackedRows<T> packed(view(rows, 6, 2), level, 1);
    const char* name = simd_level_name(level);
    const auto norms = packed.norms();
    check(std::abs(norms[0] / (std::sqrt(2.0) * double(huge)) - 1) < 1e-14, "a huge norm", name, 0,
          0);
    check(norms[1] == double(tiny), "a tiny norm", name, 0, 0);
    check(!std::isfinite(norms[2]) && !std::isfinite(norms[3]), "a norm that is none", name, 0, 0);
    check(std::abs(norms[4] - 5) < 1e-14 && norms[5] == 0, "a plain norm", name, 0, 0);
    for (const auto* powers : {&uniform, &graded, &many}) {
      // Meaningless where a row is not finite, but within the table and within the matrix.
      Matrices<T> result(6, 6);
      angle_matrices<T>({packed, nullptr, result.output(), T(0.9), T(-0.9), 0, 6, 1}, powers->table,
                        {}, {});
      check(result.margins_are_untouched(), "wrote beyond a row", name, 6, 2);
      check(std::abs(result.at(0, 0, 4) - 7 / std::sqrt(50.0)) < 1e-6, "a huge row's cosine", name,
            0, 4);
      check(std::abs(result.at(0, 1, 4) - 0.6) < 1e-6, "a tiny row's cosine", name, 1, 4);
    }
  }
}

template <class T>
void test_all() {
  for (const std::ptrdiff_t n : {0, 1, 2, 7, 16, 17, 48, 143, 144, 145, 300}) {
    test_powers<T>(n, n, 6, true, false, 0.9);
  }
  for (const std::ptrdiff_t m : {0, 1, 5, 31, 150}) {
    test_powers<T>(33, m, 3, false, true, 0.9);
    test_powers<T>(m, 150, 3, false, false, 2.0);
  }
  for (const std::ptrdiff_t d : {1, 2, 31, 32, 33, 255, 256, 257, 600}) {
    test_powers<T>(20, 30, d, false, false, 0.0);
    test_powers<T>(20, 20, d, true, true, 0.9);
  }
  test_bands_threads_and_strides_change_nothing<T>();
  for (const Rectifier phi :
       {Rectifier{0, 1}, Rectifier{-1, 1}, Rectifier{0.9, 1}, Rectifier{-2, 0.5}}) {
    for (const double bias : {0.0, 1e-4, 0.01, 3.0}) {
      test_rectifier<T>(phi, bias, 1);
      test_rectifier<T>(phi, bias, 4);
    }
  }
  test_norms_and_hostile_rows<T>();
}

void test_every_item_is_done_once() {
  for (const int threads : {1, 2, 5}) {
    std::vector<int> times(100, 0);
    for_each_item(100, threads, [&](int thread, std::ptrdiff_t item) {
      check(thread >= 0 && thread < threads, "a thread's number", "", thread, threads);
      ++times[static_cast<std::size_t>(item)];
    });
    check(std::all_of(times.begin(), times.end(), [](int t) { return t == 1; }), "an item", "",
          threads, 0);
  }
  for_each_item(0, 4, [](int, std::ptrdiff_t) { std::exit(1); });
}

void test_blocks_are_aligned_and_used_again() {
  constexpr std::size_t page = 2u << 20;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, page, page + 1, 20 * page}) {
    for (const int round : {0, 1}) {
      std::vector<LargeBlock> blocks;
      blocks.emplace_back(size);
      blocks.emplace_back(size);
      provide_pages(blocks, 3);
      check(blocks[0].data() != blocks[1].data(), "blocks overlap", "", 0, round);
      for (const LargeBlock& block : blocks) {
        check(round == 0 || !block.is_fresh(), "a block is not used again", "", 0, round);
        check(block.bytes() >= size && reinterpret_cast<std::uintptr_t>(block.data()) % page == 0,
              "a block's place", "", static_cast<std::ptrdiff_t>(size), round);
        std::fill_n(static_cast<char*>(block.data()), block.bytes(), 'x');
      }
    }
  }
}

void test_few_bytes_of_freed_blocks_are_kept() {
  constexpr std::size_t quarter = LargeBlock::kept_bytes / 4;
  {
    std::vector<LargeBlock> blocks;
    for (int k = 0; k < 6; ++k) {
      blocks.emplace_back(quarter);
    }
    const LargeBlock too_large(LargeBlock::kept_bytes + 1);
  }
  std::vector<LargeBlock> again;
  std::ptrdiff_t fresh = 0;
  for (int k = 0; k < 6; ++k) {
    fresh += again.emplace_back(quarter).is_fresh() ? 1 : 0;
  }
  check(fresh == 2, "blocks that were kept", "", fresh, 2);
  check(LargeBlock(LargeBlock::kept_bytes + 1).is_fresh(), "a large block was kept", "", 0, 0);
  bool thrown = false;
  try {
    const LargeBlock impossible(std::size_t{1} << 60);
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  check(thrown, "an impossible block", "", 0, 0);
}

}  // namespace

int main() {
  test_all<float>();
  test_all<double>();
  test_every_item_is_done_once();
  test_blocks_are_aligned_and_used_again();
  test_few_bytes_of_freed_blocks_are_kept();
}
