// Sixteen bytes of numbers in plain C++ (vector extensions of GCC and Clang), for any processor.
// Include in one translation unit only: everything has internal linkage.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace {

using FloatVector = float __attribute__((vector_size(16)));
using FloatBits = std::int32_t __attribute__((vector_size(16)));
using DoubleVector = double __attribute__((vector_size(16)));
using DoubleBits = std::int64_t __attribute__((vector_size(16)));

template <class Number, class Bits, class NumberVector, class BitsVector>
struct PortableLanes {
  using T = Number;
  using Integer = Bits;
  using V = NumberVector;
  using I = BitsVector;
  static constexpr int width = 16 / sizeof(T);
  using M = I;  // all ones where true
  static constexpr bool has_small_lookup = false;

  static V load(const T* from) {
    V value;
    std::memcpy(&value, from, sizeof(V));
    return value;
  }
  static void store(T* to, V value) { std::memcpy(to, &value, sizeof(V)); }
  static void stream(T* to, V value) { store(to, value); }
  static void fence() {}
  static void store_first(T* to, V value, int count) {
    std::memcpy(to, &value, sizeof(T) * static_cast<unsigned>(count));
  }
  static V broadcast(T value) { return value - V{}; }
  static V add(V a, V b) { return a + b; }
  static V sub(V a, V b) { return a - b; }
  static V mul(V a, V b) { return a * b; }
  static V div(V a, V b) { return a / b; }
  static V fma(V a, V b, V c) { return a * b + c; }
  static V sqrt(V a) {
    for (int lane = 0; lane < width; ++lane) {
      a[lane] = std::sqrt(a[lane]);
    }
    return a;
  }
  // Like the instructions of x86: the second operand where one is NaN.
  static V min(V a, V b) { return a < b ? a : b; }
  static V max(V a, V b) { return a > b ? a : b; }
  static V abs(V a) { return as_value(as_bits(a) & ~sign_bit()); }
  static V with_sign_of(V size, V sign) {
    return as_value((as_bits(size) & ~sign_bit()) | (as_bits(sign) & sign_bit()));
  }
  static M greater(V a, V b) { return a > b; }
  static M negative(V a) { return as_bits(a) < I{}; }
  static V select(M mask, V yes, V no) { return mask ? yes : no; }
  static bool any(M mask) {
    bool found = false;
    for (int lane = 0; lane < width; ++lane) {
      found = found || mask[lane] != 0;
    }
    return found;
  }

  static I truncate(V a) { return __builtin_convertvector(a, I); }
  static V to_value(I a) { return __builtin_convertvector(a, V); }
  static I splat(Integer value) { return value - I{}; }
  static I add(I a, I b) { return a + b; }
  static I min(I a, I b) { return b < a ? b : a; }
  static I select(M mask, I yes, I no) { return mask ? yes : no; }
  static M below(I a, I b) { return a < b; }
  static I as_bits(V a) { return reinterpret_cast<I>(a); }
  static V as_value(I a) { return reinterpret_cast<V>(a); }
  template <int count>
  static I shift_right(I a) {
    return a >> count;
  }
  static I bit_and(I a, I b) { return a & b; }
  static I bit_or(I a, I b) { return a | b; }
  static V gather(const T* table, I index) {
    V value;
    for (int lane = 0; lane < width; ++lane) {
      value[lane] = table[index[lane]];
    }
    return value;
  }
  // A block of `width` rows and columns, rows `stride` apart in both.
  static void transpose(const T* in, T* out, std::ptrdiff_t stride) {
    for (int row = 0; row < width; ++row) {
      for (int column = 0; column < width; ++column) {
        out[column * stride + row] = in[row * stride + column];
      }
    }
  }

 private:
  static I sign_bit() {
    const I zero{};
    return (zero + 1) << (8 * static_cast<int>(sizeof(T)) - 1);
  }
};

using FloatLanes = PortableLanes<float, std::int32_t, FloatVector, FloatBits>;
using DoubleLanes = PortableLanes<double, std::int64_t, DoubleVector, DoubleBits>;

}  // namespace
