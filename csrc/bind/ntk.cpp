// sestina.ntk._native: checks, releases the GIL, calls csrc/ntk.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "ntk/matrices.hpp"
#include "ntk/memory.hpp"
#include "ntk/rows.hpp"
#include "core/simd.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace sestina;
using namespace sestina::ntk;

namespace {

template <class T>
using Matrix = nb::ndarray<const T, nb::ndim<2>, nb::device::cpu>;
template <class T>
using Result = nb::ndarray<T, nb::ndim<2>, nb::device::cpu>;
template <class T>
using Coefficients = nb::ndarray<const T, nb::ndim<4>, nb::c_contig, nb::device::cpu>;
template <class T>
using Polynomials = nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Doubles = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using DoubleTable = nb::ndarray<const double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

std::span<const double> span_of(const Doubles& values) { return {values.data(), values.size()}; }

void require(bool holds, const std::string& message) {
  if (!holds) {
    throw std::invalid_argument(message);
  }
}

SimdLevel level_named(const std::string& name) {
  for (const SimdLevel level : {SimdLevel::portable, SimdLevel::avx2, SimdLevel::avx512}) {
    if (name == simd_level_name(level) && level <= best_simd_level()) {
      return level;
    }
  }
  throw std::invalid_argument("simd level is '" + name +
                              "', expected one of simd_levels(); pass one that " +
                              "this processor has");
}

std::vector<std::string> simd_levels() {
  std::vector<std::string> names;
  for (const SimdLevel level : {SimdLevel::portable, SimdLevel::avx2, SimdLevel::avx512}) {
    if (level <= best_simd_level()) {
      names.emplace_back(simd_level_name(level));
    }
  }
  return names;
}

template <class T>
PackedRows<T> pack_rows(const Matrix<T>& matrix, const std::string& level, int threads) {
  const MatrixView<T> view{matrix.data(), static_cast<std::ptrdiff_t>(matrix.shape(0)),
                           static_cast<std::ptrdiff_t>(matrix.shape(1)), matrix.stride(0),
                           matrix.stride(1)};
  const SimdLevel simd = level_named(level);
  const nb::gil_scoped_release release;
  return PackedRows<T>(view, simd, threads);
}

template <class T>
nb::ndarray<nb::numpy, double, nb::ndim<1>> norms_of(const PackedRows<T>& rows) {
  auto* const copy = new std::vector<double>(rows.norms().begin(), rows.norms().end());
  nb::capsule owner(
      copy, [](void* pointer) noexcept { delete static_cast<std::vector<double>*>(pointer); });
  return {copy->data(), {copy->size()}, owner};
}

template <class T>
MatrixRequest<T> request_for(const PackedRows<T>& left, const PackedRows<T>* right,
                             const std::optional<Result<T>>& first,
                             const std::optional<Result<T>>& second, std::pair<double, double> near,
                             std::pair<std::ptrdiff_t, std::ptrdiff_t> band, int threads) {
  const PackedRows<T>& columns = right == nullptr ? left : *right;
  require(columns.level() == left.level() && columns.columns() == left.columns(),
          "rows of " + std::to_string(left.columns()) + " and " +
              std::to_string(columns.columns()) +
              " columns, expected as many, packed for one simd level; pack both alike");
  MatrixRequest<T> request{
      left,       right,       {},     static_cast<T>(near.first), static_cast<T>(near.second),
      band.first, band.second, threads};
  require(band.first >= 0 && band.first <= band.second && band.second <= left.rows() &&
              band.first % tile_size == 0 &&
              (band.second % tile_size == 0 || band.second == left.rows()),
          "band is " + std::to_string(band.first) + ".." + std::to_string(band.second) +
              ", expected within " + std::to_string(left.rows()) +
              " rows at multiples of tile_size; cut it there");
  int kernel = 0;
  for (const std::optional<Result<T>>* out : {&first, &second}) {
    if (out->has_value()) {
      const Result<T>& array = **out;
      require(static_cast<std::ptrdiff_t>(array.shape(0)) == left.rows() &&
                  static_cast<std::ptrdiff_t>(array.shape(1)) == columns.rows() &&
                  (array.stride(1) == 1 || array.shape(1) <= 1),
              "output has shape (" + std::to_string(array.shape(0)) + ", " +
                  std::to_string(array.shape(1)) + "), expected (" + std::to_string(left.rows()) +
                  ", " + std::to_string(columns.rows()) + ") with contiguous rows; allocate it so");
      request.output.data[kernel] = array.data();
      request.output.row_stride[kernel] = array.stride(0);
    }
    ++kernel;
  }
  return request;
}

template <class T>
void fill_from_table(const PackedRows<T>& left, const PackedRows<T>* right,
                     std::optional<Result<T>> first, std::optional<Result<T>> second,
                     const Coefficients<T>& coefficients, const DoubleTable& placement, bool graded,
                     double first_scale, std::pair<double, double> near, const Doubles& left_scale,
                     const Doubles& right_scale, std::pair<std::ptrdiff_t, std::ptrdiff_t> band,
                     int threads) {
  const auto request = request_for(left, right, first, second, near, band, threads);
  const std::size_t kernels = second.has_value() ? 2 : 1;
  require(coefficients.shape(0) == kernels && coefficients.shape(1) == table_degree<T> + 1 &&
              coefficients.shape(2) == 2 && coefficients.shape(3) >= 1 && placement.shape(0) == 3 &&
              placement.shape(1) == 2,
          "coefficients have " + std::to_string(coefficients.shape(1)) + " terms for " +
              std::to_string(coefficients.shape(0)) + " kernels, expected " +
              std::to_string(table_degree<T> + 1) + " for " + std::to_string(kernels) +
              "; build them with table_degree");
  const std::size_t right_rows =
      static_cast<std::size_t>(right == nullptr ? left.rows() : right->rows());
  require((left_scale.size() == 0 && right_scale.size() == 0) ||
              (left_scale.size() == static_cast<std::size_t>(left.rows()) &&
               right_scale.size() == right_rows),
          "scales of " + std::to_string(left_scale.size()) + " and " +
              std::to_string(right_scale.size()) +
              " rows, expected one per row or none; pass both");
  AngleTable<T> table{};
  table.coefficients = coefficients.data();
  table.kernels = static_cast<int>(kernels);
  table.intervals = static_cast<int>(coefficients.shape(3));
  table.graded = graded;
  for (std::size_t half = 0; half < 2; ++half) {
    table.scale[half] = static_cast<T>(placement(0, half));
    table.shift[half] = static_cast<T>(placement(1, half));
    table.start[half] = static_cast<T>(placement(2, half));
  }
  table.first_scale = static_cast<T>(first_scale);
  const nb::gil_scoped_release release;
  angle_matrices(request, table, span_of(left_scale), span_of(right_scale));
}

template <class T>
void fill_rectifier(const PackedRows<T>& left, const PackedRows<T>* right,
                    std::optional<Result<T>> nngp, std::optional<Result<T>> ntk,
                    std::pair<double, double> slopes, const DoubleTable& layers, double scale,
                    const Polynomials<T>& polynomials, std::pair<double, double> near,
                    std::pair<std::ptrdiff_t, std::ptrdiff_t> band, int threads) {
  const auto request = request_for(left, right, nngp, ntk, near, band, threads);
  require(layers.shape(1) == 5 && layers.shape(0) >= 2 && polynomials.shape(0) == 2 &&
              polynomials.shape(1) == angle_degree<T> + 1,
          "layers have " + std::to_string(layers.shape(1)) + " numbers and polynomials " +
              std::to_string(polynomials.shape(1)) + " terms, expected 5 and " +
              std::to_string(angle_degree<T> + 1) + "; see the stub");
  std::vector<RectifierLayer> network;
  for (std::size_t layer = 0; layer < layers.shape(0); ++layer) {
    network.push_back(
        {layers(layer, 0), layers(layer, 1), layers(layer, 2), layers(layer, 3), layers(layer, 4)});
  }
  const AnglePolynomials<T> angle{polynomials.data(), polynomials.data() + polynomials.shape(1)};
  const nb::gil_scoped_release release;
  rectifier_matrices(request, Rectifier{slopes.first, slopes.second}, network, scale, angle);
}

template <class T>
using Fresh = nb::ndarray<nb::numpy, T, nb::ndim<2>>;

template <class T>
std::vector<Fresh<T>> new_matrices(int count, std::size_t rows, std::size_t columns, int threads) {
  std::vector<LargeBlock> blocks;
  {
    const nb::gil_scoped_release release;
    for (int k = 0; k < count; ++k) {
      blocks.emplace_back(rows * columns * sizeof(T));
    }
    if (threads > 1) {  // one thread has them provided when it touches them
      provide_pages(blocks, threads);
    }
  }
  std::vector<Fresh<T>> matrices;
  for (LargeBlock& block : blocks) {
    auto* const owned = new LargeBlock(std::move(block));
    const nb::capsule owner(
        owned, [](void* pointer) noexcept { delete static_cast<LargeBlock*>(pointer); });
    matrices.emplace_back(static_cast<T*>(owned->data()), std::initializer_list{rows, columns},
                          owner);
  }
  return matrices;
}

template <class T>
void bind_numbers(nb::module_& m, const char* name, const char* pack, const char* fresh) {
  nb::class_<PackedRows<T>>(m, name, "Rows divided by their norms, in the order of the tiles.")
      .def_prop_ro(
          "shape", [](const PackedRows<T>& rows) { return std::pair(rows.rows(), rows.columns()); },
          "Rows and columns.")
      .def_prop_ro("norms", &norms_of<T>, nb::rv_policy::move,
                   "Euclidean norms; not finite where a row is not.");
  m.def(fresh, &new_matrices<T>, "count"_a, "rows"_a, "columns"_a, "threads"_a,
        "Matrices of any contents, in large pages if there are.");
  m.def(pack, &pack_rows<T>, nb::arg("matrix").noconvert(), "level"_a, "threads"_a,
        "Rows for the tiles of an instruction set, one of simd_levels().");
  m.def("fill_from_table", &fill_from_table<T>, "left"_a, "right"_a.none(),
        nb::arg("first").noconvert().none(), nb::arg("second").noconvert().none(),
        nb::arg("coefficients").noconvert(), nb::arg("placement").noconvert(), "graded"_a,
        "first_scale"_a, "near"_a, nb::arg("left_scale").noconvert(),
        nb::arg("right_scale").noconvert(), "band"_a, "threads"_a,
        "Fill the rows of a band from a KernelTable; without right, their transposes, too.");
  m.def("fill_rectifier", &fill_rectifier<T>, "left"_a, "right"_a.none(),
        nb::arg("nngp").noconvert().none(), nb::arg("ntk").noconvert().none(), "slopes"_a,
        nb::arg("layers").noconvert(), "scale"_a, nb::arg("polynomials").noconvert(), "near"_a,
        "band"_a, "threads"_a,
        "Fill the rows of a band by a RectifierNetwork; without right, their transposes, too.");
}

const char* best_level() { return simd_level_name(best_simd_level()); }
int table_degree_of(bool is_double) {
  return is_double ? table_degree<double> : table_degree<float>;
}
int angle_degree_of(bool is_double) {
  return is_double ? angle_degree<double> : angle_degree<float>;
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "C++ kernels of sestina.ntk, see csrc/ntk. Arrays are never converted.";
  m.attr("tile_size") = tile_size;
  m.def("simd_levels", &simd_levels, "The instruction sets of this processor, portable first.");
  m.def("simd_level", &best_level, "The best of them.");
  m.def("table_degree", &table_degree_of, "is_double"_a, "The degree of a table's polynomials.");
  m.def("angle_degree", &angle_degree_of, "is_double"_a, "The degree of the angle's polynomials.");
  bind_numbers<float>(m, "PackedFloats", "pack_floats", "new_float_matrices");
  bind_numbers<double>(m, "PackedDoubles", "pack_doubles", "new_double_matrices");
}
