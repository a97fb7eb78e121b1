// Kernel matrices of packed rows, tile by tile on a few threads.
//
// Objective: see tile.hpp. Complexity: n m d multiply-adds and a constant (angle tables) or one
// pass per layer (rectifiers) for each of n m entries; half of both where the matrix is symmetric.
// Thread-safety: calls share nothing but their inputs. The result does not depend on the number of
// threads nor on the bands into which the caller cuts the work.
#pragma once

#include <cstddef>
#include <span>

#include "ntk/rows.hpp"
#include "ntk/tile.hpp"

namespace sestina::ntk {

// Where the values go: up to two (rows, columns) matrices with contiguous rows.
template <class T>
struct Output {
  T* data[2];  // null: not wanted
  std::ptrdiff_t row_stride[2];
};

// What every computation needs.
template <class T>
struct MatrixRequest {
  const PackedRows<T>& left;
  const PackedRows<T>* right;  // null: left with itself, upper half computed and mirrored
  Output<T> output;
  T near_one;  // cosines beyond these two are recomputed without cancellation
  T near_minus_one;
  std::ptrdiff_t first_row;  // the band of rows to compute: multiples of tile_size, or the end
  std::ptrdiff_t last_row;
  int threads;
};

// Values from a table of the angle, times left_scale[i] * right_scale[j] unless the scales are
// empty.
template <class T>
void angle_matrices(const MatrixRequest<T>& request, const AngleTable<T>& table,
                    std::span<const double> left_scale, std::span<const double> right_scale);

// One dense layer of a rectifier network; the readout is the last.
struct RectifierLayer {
  double weight;  // variance of its weights, times E[phi^2] / variance below it (1 for the first)
  double bias;    // variance of its biases
  double slope;   // factor of tangent kernel * E[phi' phi'] / m
  double value;   // factor of the weights' part of its covariance in the tangent kernel
  double value_bias;  // the tangent kernel's constant
};

// phi(z) = a min(z, 0) + b max(z, 0).
struct Rectifier {
  double a;
  double b;
};

// Polynomials of the angle, see RectifierPlan; highest degree first.
template <class T>
struct AnglePolynomials {
  const T* angle;
  const T* arc;
};

// Values of a rectifier network for rows of any norm. `scale` is sqrt(d): the first layer sees x /
// scale.
template <class T>
void rectifier_matrices(const MatrixRequest<T>& request, const Rectifier& rectifier,
                        std::span<const RectifierLayer> layers, double scale,
                        const AnglePolynomials<T>& polynomials);

}  // namespace sestina::ntk
