// One tile of kernel matrices: cosines by a blocked product, then kernel values entry by entry.
//
// Objective: for rows x_i (left) and y_j (right), given packed and divided by their norms, write
// K(x_i, y_j) for up to two kernels K, and the transposed tile where the matrix is symmetric.
// An entry near c = 1 or c = -1 is computed again from |x - y|^2 or |x + y|^2, because a rounding
// error e in c moves the angle by e / sin(angle).
// Complexity: one multiply-add per element of the inner product and entry, plus a constant (table)
// or one pass per layer (rectifier). Thread-safety: pure; a job writes only its own entries.
//
// The functions exist once per instruction set, each in its own translation unit. Those units
// share only the plain structures below, so that no inline function is compiled for one
// instruction set and linked into another.
#pragma once

#include <cstddef>

namespace sestina::ntk {

// Rows and columns of a tile; a multiple of the rows of every level's panel.
inline constexpr int tile_size = 144;

// Numbers of scratch that a job needs: the defects of the tile, the transposed values of two
// kernels, 16 rows of their values, and a vector that is read beyond the end.
inline constexpr std::size_t tile_scratch = std::size_t{tile_size} * (3 * tile_size + 2 * 16) + 16;

// Degree of the table's polynomials, and of those for the angle in the rectifier's recursion
// (6e-8 and 3e-8 in float, rounding in double).
template <class T>
inline constexpr int table_degree = sizeof(T) == 4 ? 5 : 9;
template <class T>
inline constexpr int angle_degree = sizeof(T) == 4 ? 7 : 18;

// Kernel values as piecewise polynomials of the angle, for c >= 0 (half 0) and c < 0 (half 1).
//
// Each half has the variable u = sqrt(scale * (1 - |c|) + shift) - start: smooth in the angle up to
// the end c = +-1. Uniform tables have intervals [i, i + 1) of u and polynomials in u - i - 1/2.
// Graded tables have u in [0, 1] and 8 (float) or 16 (double) intervals per octave, so that they
// resolve every kernel of the unit disc; the first interval is all u below the lowest octave.
template <class T>
struct AngleTable {
  const T* coefficients;  // [kernel][degree, highest first][half][interval]
  int kernels;            // 1 or 2
  int intervals;          // per half
  bool graded;
  T scale[2];
  T shift[2];
  T start[2];
  T first_scale;  // graded: 1 / the end of the first interval
};

// The recursion of a (leaky) rectifier network for rows of any norm, in the defect t = 1 -
// correlation.
//
// Layer l maps variances q to Q = p + bias_variance, p = weighted variance, with, per row and
// layer, sqrt(p), sqrt(Q) and 1 / sqrt(Q) in `left` and `right` ([layer][3][row]).
template <class T>
struct RectifierPlan {
  int layers;           // dense layers, readout included: at least 2
  const T* bias;        // [layer] bias variance
  const T* slope;       // [layer] factor of the tangent kernel's first term; [0] unused
  const T* value;       // [layer] factor of its second term's weights part
  const T* value_bias;  // [layer] its second term's bias part
  T product;            // ab / m, with m = (a^2 + b^2) / 2
  T kink;               // (b - a)^2 / m
  const T* angle;       // polynomial of acos(1 - y) / sqrt(y) in 2y - 1, highest first
  const T* arc;         // polynomial of (sin - angle cos) / y^1.5 in 2y - 1, highest first
  const T* left;
  const T* right;
  std::ptrdiff_t left_stride;   // rows of `left`
  std::ptrdiff_t right_stride;  // rows of `right`
};

// What to compute and where to put it. Pointers are to the tile's first row, column or entry.
template <class T>
struct TileJob {
  const T* left;         // panels of the left rows
  const T* right;        // panels of the right rows
  std::ptrdiff_t depth;  // elements of a row
  int rows;
  int columns;
  T near_one;        // cosines above are recomputed from differences
  T near_minus_one;  // cosines below are recomputed from sums
  T* out[2];         // null: not wanted
  T* mirrored[2];    // null: no transposed copy
  std::ptrdiff_t stride[2];
  bool streams;              // the output is too large for the caches
  const T* row_scale;        // null: 1
  const T* column_scale;     // null: 1
  std::ptrdiff_t first_row;  // the tile's place, for the rectifier's row data
  std::ptrdiff_t first_column;
};

// The functions of one instruction set.
template <class T>
struct TileKernels {
  int panel;  // rows that are packed together: element k of the panel's row r is at [k * panel + r]
  void (*angle)(const TileJob<T>& job, const AngleTable<T>& table, T* scratch);
  void (*rectifier)(const TileJob<T>& job, const RectifierPlan<T>& plan, T* scratch);
};

extern const TileKernels<float> portable_float;
extern const TileKernels<double> portable_double;
#if defined(SESTINA_X86)
extern const TileKernels<float> avx2_float;
extern const TileKernels<double> avx2_double;
extern const TileKernels<float> avx512_float;
extern const TileKernels<double> avx512_double;
#endif

}  // namespace sestina::ntk
