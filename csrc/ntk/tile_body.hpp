// The tile's algorithm over any Lanes. Include in one translation unit per instruction set, after
// that set's Lanes: everything has internal linkage.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ntk/tile.hpp"

namespace {

using sestina::ntk::angle_degree;
using sestina::ntk::AngleTable;
using sestina::ntk::RectifierPlan;
using sestina::ntk::table_degree;
using sestina::ntk::tile_size;
using sestina::ntk::TileJob;
using sestina::ntk::TileKernels;

enum class Term { product, squared_difference, squared_sum };

// Sums of at most 32, then 256, then all terms: the rounding error of a cosine stays near one
// rounding of the result, where one long sum of d terms would have sqrt(d) of them.
constexpr std::ptrdiff_t chunk_terms = 32;
constexpr std::ptrdiff_t block_terms = 256;

// A block of `rows` left rows by `vectors` vectors of right rows, held in registers.
template <class L, int rows, int vectors>
struct Block {
  using T = typename L::T;
  using V = typename L::V;
  static constexpr int panel = vectors * L::width;

  V value[rows][vectors];

  void clear() {
    for (int r = 0; r < rows; ++r) {
      for (int v = 0; v < vectors; ++v) {
        value[r][v] = L::broadcast(T{0});
      }
    }
  }

  void add(const Block& other) {
    for (int r = 0; r < rows; ++r) {
      for (int v = 0; v < vectors; ++v) {
        value[r][v] = L::add(value[r][v], other.value[r][v]);
      }
    }
  }

  template <Term term>
  void add_chunk(const T* left, const T* right, std::ptrdiff_t terms) {
    V sums[rows][vectors];
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) {
        sums[r][v] = L::broadcast(T{0});
      }
    }
    for (std::ptrdiff_t k = 0; k < terms; ++k) {
      V y[vectors];
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) {
        y[v] = L::load(right + v * L::width);
      }
#pragma GCC unroll 8
      for (int r = 0; r < rows; ++r) {
        const V x = L::broadcast(left[r]);
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) {
          if constexpr (term == Term::product) {
            sums[r][v] = L::fma(x, y[v], sums[r][v]);
          } else {
            const V e = term == Term::squared_sum ? L::add(y[v], x) : L::sub(y[v], x);
            sums[r][v] = L::fma(e, e, sums[r][v]);
          }
        }
      }
      left += panel;
      right += panel;
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) {
        value[r][v] = L::add(value[r][v], sums[r][v]);
      }
    }
  }

  template <Term term>
  void sum(const T* left, const T* right, std::ptrdiff_t depth) {
    clear();
    for (std::ptrdiff_t block = 0; block < depth; block += block_terms) {
      const std::ptrdiff_t block_end = block + block_terms < depth ? block + block_terms : depth;
      Block part;
      part.clear();
      for (std::ptrdiff_t k = block; k < block_end; k += chunk_terms) {
        const std::ptrdiff_t terms = k + chunk_terms < block_end ? chunk_terms : block_end - k;
        part.template add_chunk<term>(left + k * panel, right + k * panel, terms);
      }
      add(part);
    }
  }
};

// The signed defects of the tile: size 1 - |c|, sign of c. `scratch` is [row][tile_size].
template <class L, int rows, int vectors>
struct Defects {
  using T = typename L::T;
  using V = typename L::V;
  using M = typename L::M;
  using Sums = Block<L, rows, vectors>;
  static constexpr int panel = Sums::panel;

  static void compute(const TileJob<T>& job, T* scratch) {
    for (int column = 0; column < job.columns; column += panel) {
      const T* right = job.right + column * job.depth;
      for (int row = 0; row < job.rows; row += rows) {
        const T* left = job.left + (row / panel) * panel * job.depth + row % panel;
        compute_block(job, left, right, scratch + row * tile_size + column);
      }
    }
  }

 private:
  static void compute_block(const TileJob<T>& job, const T* left, const T* right, T* to) {
    Sums cosine;
    cosine.template sum<Term::product>(left, right, job.depth);
    V highest = cosine.value[0][0];
    V lowest = highest;
    for (int r = 0; r < rows; ++r) {
      for (int v = 0; v < vectors; ++v) {
        const V c = cosine.value[r][v];
        highest = L::max(highest, c);
        lowest = L::min(lowest, c);
        const V defect = L::max(L::sub(L::broadcast(1), L::abs(c)), L::broadcast(0));
        L::store(to + r * tile_size + v * L::width, L::with_sign_of(defect, c));
      }
    }
    if (L::any(L::greater(highest, L::broadcast(job.near_one)))) {
      replace<Term::squared_difference>(job, left, right, cosine, to);
    }
    if (L::any(L::greater(L::broadcast(job.near_minus_one), lowest))) {
      replace<Term::squared_sum>(job, left, right, cosine, to);
    }
  }

  // For unit rows |x - y|^2 = 2 (1 - c) and |x + y|^2 = 2 (1 + c), without cancellation.
  template <Term term>
  static void replace(const TileJob<T>& job, const T* left, const T* right, const Sums& cosine,
                      T* to) {
    Sums squares;
    squares.template sum<term>(left, right, job.depth);
    for (int r = 0; r < rows; ++r) {
      for (int v = 0; v < vectors; ++v) {
        const V c = cosine.value[r][v];
        const M close = term == Term::squared_difference
                            ? L::greater(c, L::broadcast(job.near_one))
                            : L::greater(L::broadcast(job.near_minus_one), c);
        T* entry = to + r * tile_size + v * L::width;
        const V half = L::min(L::mul(squares.value[r][v], L::broadcast(T(0.5))), L::broadcast(1));
        L::store(entry, L::select(close, L::with_sign_of(half, c), L::load(entry)));
      }
    }
  }
};

template <class L, int degree>
inline typename L::V polynomial(const typename L::T* highest_first, typename L::V x) {
  typename L::V value = L::broadcast(highest_first[0]);
#pragma GCC unroll 20
  for (int k = 1; k <= degree; ++k) {
    value = L::fma(value, x, L::broadcast(highest_first[k]));
  }
  return value;
}

// Kernel values from the table: one square root, then one polynomial per kernel.
template <class L, bool small, int kernels>
class TableValues {
 public:
  using T = typename L::T;
  using V = typename L::V;
  using I = typename L::I;
  using M = typename L::M;
  static constexpr int num_kernels = kernels;

  explicit TableValues(const TileJob<T>&, const AngleTable<T>& table) : table_(table) {}

  void operator()(V defect, int, int, V* values) const {
    const M opposite = L::negative(defect);
    const V scale =
        L::select(opposite, L::broadcast(table_.scale[1]), L::broadcast(table_.scale[0]));
    const V shift =
        L::select(opposite, L::broadcast(table_.shift[1]), L::broadcast(table_.shift[0]));
    const V start =
        L::select(opposite, L::broadcast(table_.start[1]), L::broadcast(table_.start[0]));
    const V u =
        L::max(L::sub(L::sqrt(L::fma(L::abs(defect), scale, shift)), start), L::broadcast(0));
    I interval;
    V x;
    if constexpr (small) {
      interval = L::min(L::truncate(u), L::splat(15));
      x = L::sub(u, L::add(L::to_value(interval), L::broadcast(T(0.5))));
    } else {
      place(u, interval, x);
    }
    interval = L::select(opposite, L::add(interval, L::splat(table_.intervals)), interval);
#pragma GCC unroll 2
    for (int kernel = 0; kernel < kernels; ++kernel) {
      values[kernel] = evaluate(kernel, interval, x);
    }
  }

 private:
  V evaluate(int kernel, I interval, V x) const {
    constexpr int degree = table_degree<T>;
    const std::ptrdiff_t row = small ? 32 : 2 * std::ptrdiff_t{table_.intervals};
    const T* coefficients = table_.coefficients + kernel * (degree + 1) * row;
    V value = look_up(coefficients, interval);
#pragma GCC unroll 10
    for (int k = 1; k <= degree; ++k) {
      value = L::fma(value, x, look_up(coefficients + k * row, interval));
    }
    return value;
  }

  static V look_up(const T* coefficients, I interval) {
    if constexpr (small) {
      return L::small_lookup(coefficients, interval);
    } else {
      return L::gather(coefficients, interval);
    }
  }

  void place(V u, I& interval, V& x) const {
    if (table_.graded) {
      place_graded(u, interval, x);
    } else {
      interval = L::min(L::truncate(u), L::splat(table_.intervals - 1));
      x = L::sub(u, L::add(L::to_value(interval), L::broadcast(T(0.5))));
    }
  }

  // The exponent and the first bits of u number the interval; the other bits are the place in it.
  void place_graded(V u, I& interval, V& x) const {
    using Integer = typename L::Integer;
    constexpr bool is_float = sizeof(T) == 4;
    constexpr int kept = is_float ? 3 : 4;
    constexpr int dropped = (is_float ? 23 : 52) - kept;
    constexpr auto one =
        static_cast<Integer>(is_float ? std::int64_t{127} << 23 : std::int64_t{1023} << 52);
    const V inside = L::min(u, L::broadcast(is_float ? T(1 - 0x1p-24) : T(1 - 0x1p-53)));
    const I bits = L::as_bits(inside);
    const Integer before_first = (one >> dropped) - static_cast<Integer>(table_.intervals);
    const I number = L::add(L::template shift_right<dropped>(bits), L::splat(-before_first));
    const I rest =
        L::bit_or(L::bit_and(bits, L::splat((Integer{1} << dropped) - 1)), L::splat(one));
    const V fraction = L::sub(L::as_value(rest), L::broadcast(1));
    const V place = L::fma(fraction, L::broadcast(T(1 << kept)), L::broadcast(T(-0.5)));
    const V first_place = L::fma(inside, L::broadcast(table_.first_scale), L::broadcast(T(-0.5)));
    const M first = L::below(number, L::splat(1));
    interval = L::select(first, L::splat(0), number);
    x = L::select(first, first_place, place);
  }

  const AngleTable<T>& table_;
};

// Kernel values of a (leaky) rectifier network, layer by layer, for rows of any norm.
//
// Both t = 1 - correlation and x = 1 + correlation are carried, each without cancellation, so that
// the angle is exact at both ends. With y = min(t, x) and phi = acos(1 - y), the angle is phi or
// pi - phi, and the rectifier's own defects are polynomials in y times powers of sqrt(y).
template <class L>
class RectifierValues {
 public:
  using T = typename L::T;
  using V = typename L::V;
  using M = typename L::M;
  static constexpr int num_kernels = 2;

  RectifierValues(const TileJob<T>& job, const RectifierPlan<T>& plan) : job_(job), plan_(plan) {}

  void operator()(V defect, int row, int column, V* values) const {
    const M opposite = L::negative(defect);
    const V near = L::abs(defect);
    const V far = L::sub(L::broadcast(2), near);
    V t = L::select(opposite, far, near);
    V x = L::select(opposite, near, far);
    V mean = L::broadcast(0);  // E[phi phi'] and its bias, then the next layer's covariance
    V tangent = L::broadcast(0);
    for (int layer = 0; layer < plan_.layers; ++layer) {
      V slope = L::broadcast(0);
      if (layer > 0) {
        rectify(t, x, slope);
      }
      advance(layer, row, column, slope, t, x, mean, tangent);
    }
    values[0] = mean;
    values[1] = tangent;
  }

 private:
  // From the correlation of the preactivations to that of the activations, and E[phi' phi'] / m.
  void rectify(V& t, V& x, V& slope) const {
    const V pi = L::broadcast(T(3.14159265358979323846));
    const V half = L::broadcast(T(0.5));
    const V product = L::broadcast(plan_.product);
    const V kink = L::broadcast(plan_.kink);
    const V kink_over_tau = L::mul(kink, L::broadcast(T(0.15915494309189533577)));
    const M opposite = L::greater(t, x);
    const V y = L::max(L::min(L::min(t, x), L::broadcast(1)), L::broadcast(0));
    const V root = L::sqrt(y);
    const V place = L::fma(y, L::broadcast(2), L::broadcast(-1));
    const V phi = L::mul(root, polynomial<L, angle_degree<T>>(plan_.angle, place));
    const V arc = L::mul(L::mul(root, y), polynomial<L, angle_degree<T>>(plan_.arc, place));
    slope = L::fma(kink_over_tau, L::select(opposite, phi, L::sub(pi, phi)), product);
    const V bend = L::mul(kink_over_tau, arc);  // (b - a)^2 / (2 pi m) (sin phi - phi cos phi)
    const V half_kink = L::mul(kink, half);
    // c >= 0: D = (ab + (b - a)^2 / 2) y - bend.  c < 0: D = (a + b)^2 / 2 - ab y - bend.
    const V near_defect = L::sub(L::mul(L::add(product, half_kink), y), bend);
    const V sum_half = L::add(L::add(product, product), half_kink);
    const V far_defect = L::sub(L::sub(sum_half, L::mul(product, y)), bend);
    const V far_rest = L::add(L::fma(product, y, half_kink), bend);
    t = L::select(opposite, far_defect, near_defect);
    x = L::select(opposite, far_rest, L::sub(L::broadcast(2), near_defect));
  }

  // Through the next dense layer: t, x become those of its preactivations.
  void advance(int layer, int row, int column, V slope, V& t, V& x, V& mean, V& tangent) const {
    const T* left = plan_.left + 3 * layer * plan_.left_stride + job_.first_row + row;
    const T* right = plan_.right + 3 * layer * plan_.right_stride + job_.first_column + column;
    const V weight_left = L::broadcast(left[0]);
    const V weight_right = L::load(right);
    const V root =
        L::mul(L::broadcast(left[plan_.left_stride]), L::load(right + plan_.right_stride));
    const V inverse =
        L::mul(L::broadcast(left[2 * plan_.left_stride]), L::load(right + 2 * plan_.right_stride));
    const V bias = L::broadcast(plan_.bias[layer]);
    const V weight = L::mul(weight_left, weight_right);
    const V covariance = L::mul(weight, L::sub(L::broadcast(1), t));
    const V second =
        L::fma(L::broadcast(plan_.value[layer]), covariance, L::broadcast(plan_.value_bias[layer]));
    tangent = layer == 0 ? second
                         : L::fma(L::mul(L::broadcast(plan_.slope[layer]), slope), tangent, second);
    mean = L::add(covariance, bias);
    if (plan_.bias[layer] == 0) {
      return;  // only the norms changed
    }
    const V gap = L::sub(weight_left, weight_right);
    const V near_bias = L::div(L::mul(bias, L::mul(gap, gap)), L::add(L::add(root, weight), bias));
    // Not fused: left and right must round alike for a symmetric matrix.
    const V squares = L::add(L::mul(weight_left, weight_left), L::mul(weight_right, weight_right));
    const V far_bias = L::div(L::mul(bias, L::add(squares, bias)), L::add(root, weight));
    t = L::mul(L::fma(weight, t, near_bias), inverse);
    x = L::mul(L::add(L::fma(weight, x, bias), far_bias), inverse);
  }

  const TileJob<T>& job_;
  const RectifierPlan<T>& plan_;
};

// Writes the tile's values, and their transpose where that is wanted. `scratch` is a job's.
template <class L, class Values>
class Writer {
 public:
  using T = typename L::T;
  using V = typename L::V;

  Writer(const TileJob<T>& job, const Values& compute, T* scratch)
      : job_(job), compute_(compute), defects_(scratch) {
    T* free = scratch + tile_size * tile_size;
    for (int kernel = 0; kernel < kernels; ++kernel) {
      turned_[kernel] = free;
      free += tile_size * tile_size;
    }
    for (int kernel = 0; kernel < kernels; ++kernel) {
      rows_[kernel] = free;
      free += width * tile_size;
    }
  }

  void write() {
    for (int row = 0; row < job_.rows; row += width) {
      const int rows = job_.rows - row < width ? job_.rows - row : width;
      compute_rows(row, rows);
      for (int kernel = 0; kernel < kernels; ++kernel) {
        if (job_.out[kernel] != nullptr) {
          put_rows(kernel, row, rows);
        }
      }
    }
    for (int kernel = 0; kernel < kernels; ++kernel) {
      if (job_.mirrored[kernel] != nullptr) {
        for (int column = 0; column < job_.columns; ++column) {
          put(job_.mirrored[kernel] + column * job_.stride[kernel],
              turned_[kernel] + column * tile_size, job_.rows);
        }
      }
    }
    if (job_.streams) {
      L::fence();
    }
  }

 private:
  static constexpr int width = L::width;
  static constexpr int kernels = Values::num_kernels;

  void compute_rows(int row, int rows) {
    for (int r = 0; r < rows; ++r) {
      for (int column = 0; column < job_.columns; column += width) {
        V values[kernels];
        compute_(L::load(defects_ + (row + r) * tile_size + column), row + r, column, values);
        for (int kernel = 0; kernel < kernels; ++kernel) {
          if (job_.row_scale != nullptr) {
            const V scale =
                L::mul(L::broadcast(job_.row_scale[row + r]), L::load(job_.column_scale + column));
            values[kernel] = L::mul(values[kernel], scale);
          }
          L::store(rows_[kernel] + r * tile_size + column, values[kernel]);
        }
      }
    }
  }

  void put_rows(int kernel, int row, int rows) {
    for (int r = 0; r < rows; ++r) {
      put(job_.out[kernel] + (row + r) * job_.stride[kernel], rows_[kernel] + r * tile_size,
          job_.columns);
    }
    if (job_.mirrored[kernel] != nullptr) {
      for (int column = 0; column < job_.columns; column += width) {
        L::transpose(rows_[kernel] + column, turned_[kernel] + column * tile_size + row, tile_size);
      }
    }
  }

  // Copies to the matrix: past the caches where it is too large for them, so that its old contents
  // are not read first.
  void put(T* to, const T* from, int count) const {
    int at = 0;
    if (job_.streams) {
      const int past = static_cast<int>(reinterpret_cast<std::uintptr_t>(to) / sizeof(T) % width);
      if (past != 0) {
        at = width - past < count ? width - past : count;
        L::store_first(to, L::load(from), at);
      }
      for (; at + width <= count; at += width) {
        L::stream(to + at, L::load(from + at));
      }
    }
    for (; at + width <= count; at += width) {
      L::store(to + at, L::load(from + at));
    }
    if (at < count) {
      L::store_first(to + at, L::load(from + at), count - at);
    }
  }

  const TileJob<T>& job_;
  const Values& compute_;
  const T* defects_;
  T* turned_[kernels];  // [column][tile_size]
  T* rows_[kernels];    // [width][tile_size]
};

template <class L, int rows, int vectors>
struct Tile {
  using T = typename L::T;
  static_assert(tile_size % (vectors * L::width) == 0 && (vectors * L::width) % rows == 0);

  static void angle(const TileJob<T>& job, const AngleTable<T>& table, T* scratch) {
    Defects<L, rows, vectors>::compute(job, scratch);
    if (L::has_small_lookup && !table.graded && table.intervals == 16) {
      write<L::has_small_lookup>(job, table, scratch);
    } else {
      write<false>(job, table, scratch);
    }
  }

  static void rectifier(const TileJob<T>& job, const RectifierPlan<T>& plan, T* scratch) {
    Defects<L, rows, vectors>::compute(job, scratch);
    write_values(job, RectifierValues<L>(job, plan), scratch);
  }

  static constexpr TileKernels<T> kernels() { return {vectors * L::width, angle, rectifier}; }

 private:
  template <bool small>
  static void write(const TileJob<T>& job, const AngleTable<T>& table, T* scratch) {
    if (table.kernels == 1) {
      write_values(job, TableValues<L, small, 1>(job, table), scratch);
    } else {
      write_values(job, TableValues<L, small, 2>(job, table), scratch);
    }
  }

  template <class Values>
  static void write_values(const TileJob<T>& job, const Values& values, T* scratch) {
    Writer<L, Values>(job, values, scratch).write();
  }
};

}  // namespace
