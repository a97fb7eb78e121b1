// Sixty-four bytes of numbers with AVX-512 (F, DQ, BW, VL).
// Include in one translation unit only: everything has internal linkage.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace {

// Index vectors of a transposition by exchanging, for step = 1, 2, 4, ..., the blocks whose row and
// column differ in that bit.
template <class Integer, int width>
struct Exchange {
  alignas(64) Integer upper[4][width];
  alignas(64) Integer lower[4][width];

  constexpr Exchange() : upper(), lower() {
    int stage = 0;
    for (int step = 1; step < width; step *= 2, ++stage) {
      for (int lane = 0; lane < width; ++lane) {
        const bool second = (lane & step) != 0;
        upper[stage][lane] = static_cast<Integer>(second ? width + lane - step : lane);
        lower[stage][lane] = static_cast<Integer>(second ? width + lane : lane + step);
      }
    }
  }
};

constexpr Exchange<std::int32_t, 16> exchange_floats;
constexpr Exchange<std::int64_t, 8> exchange_doubles;

struct FloatLanes {
  using T = float;
  using Integer = std::int32_t;
  using V = __m512;
  using I = __m512i;
  using M = __mmask16;
  static constexpr int width = 16;
  static constexpr bool has_small_lookup = true;

  static V load(const T* from) { return _mm512_loadu_ps(from); }
  static void store(T* to, V value) { _mm512_storeu_ps(to, value); }
  static void stream(T* to, V value) { _mm512_stream_ps(to, value); }  // aligned
  static void fence() { _mm_sfence(); }
  static void store_first(T* to, V value, int count) {
    _mm512_mask_storeu_ps(to, static_cast<M>((1u << count) - 1u), value);
  }
  static V broadcast(T value) { return _mm512_set1_ps(value); }
  static V add(V a, V b) { return _mm512_add_ps(a, b); }
  static V sub(V a, V b) { return _mm512_sub_ps(a, b); }
  static V mul(V a, V b) { return _mm512_mul_ps(a, b); }
  static V div(V a, V b) { return _mm512_div_ps(a, b); }
  static V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
  static V sqrt(V a) { return _mm512_sqrt_ps(a); }
  static V min(V a, V b) { return _mm512_min_ps(a, b); }
  static V max(V a, V b) { return _mm512_max_ps(a, b); }
  static V abs(V a) { return _mm512_abs_ps(a); }
  static V with_sign_of(V size, V sign) {
    const V sign_bit = _mm512_set1_ps(-0.0f);
    return _mm512_or_ps(_mm512_andnot_ps(sign_bit, size), _mm512_and_ps(sign_bit, sign));
  }
  static M greater(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
  static M negative(V a) { return _mm512_movepi32_mask(_mm512_castps_si512(a)); }
  static V select(M mask, V yes, V no) { return _mm512_mask_blend_ps(mask, no, yes); }
  static bool any(M mask) { return mask != 0; }

  static I truncate(V a) { return _mm512_cvttps_epi32(a); }
  static V to_value(I a) { return _mm512_cvtepi32_ps(a); }
  static I splat(Integer value) { return _mm512_set1_epi32(value); }
  static I add(I a, I b) { return _mm512_add_epi32(a, b); }
  static I min(I a, I b) { return _mm512_min_epi32(a, b); }
  static M below(I a, I b) { return _mm512_cmplt_epi32_mask(a, b); }
  static I select(M mask, I yes, I no) { return _mm512_mask_blend_epi32(mask, no, yes); }
  static I as_bits(V a) { return _mm512_castps_si512(a); }
  static V as_value(I a) { return _mm512_castsi512_ps(a); }
  template <int count>
  static I shift_right(I a) {
    return _mm512_srai_epi32(a, count);
  }
  static I bit_and(I a, I b) { return _mm512_and_si512(a, b); }
  static I bit_or(I a, I b) { return _mm512_or_si512(a, b); }
  static V gather(const T* table, I index) { return _mm512_i32gather_ps(index, table, 4); }
  // From a table of 32 numbers, in registers.
  static V small_lookup(const T* table, I index) {
    return _mm512_permutex2var_ps(load(table), index, load(table + 16));
  }

  // A block of `width` rows and columns, rows `stride` apart in both.
  static void transpose(const T* in, T* out, std::ptrdiff_t stride) {
    V row[width];
#pragma GCC unroll 16
    for (int r = 0; r < width; ++r) {
      row[r] = load(in + r * stride);
    }
#pragma GCC unroll 4
    for (int stage = 0; stage < 4; ++stage) {
      const I upper = _mm512_load_si512(exchange_floats.upper[stage]);
      const I lower = _mm512_load_si512(exchange_floats.lower[stage]);
      const int step = 1 << stage;
#pragma GCC unroll 16
      for (int r = 0; r < width; ++r) {
        if ((r & step) == 0) {
          const V first = row[r];
          row[r] = _mm512_permutex2var_ps(first, upper, row[r + step]);
          row[r + step] = _mm512_permutex2var_ps(first, lower, row[r + step]);
        }
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < width; ++r) {
      store(out + r * stride, row[r]);
    }
  }
};

struct DoubleLanes {
  using T = double;
  using Integer = std::int64_t;
  using V = __m512d;
  using I = __m512i;
  using M = __mmask8;
  static constexpr int width = 8;
  static constexpr bool has_small_lookup = false;

  static V load(const T* from) { return _mm512_loadu_pd(from); }
  static void store(T* to, V value) { _mm512_storeu_pd(to, value); }
  static void stream(T* to, V value) { _mm512_stream_pd(to, value); }  // aligned
  static void fence() { _mm_sfence(); }
  static void store_first(T* to, V value, int count) {
    _mm512_mask_storeu_pd(to, static_cast<M>((1u << count) - 1u), value);
  }
  static V broadcast(T value) { return _mm512_set1_pd(value); }
  static V add(V a, V b) { return _mm512_add_pd(a, b); }
  static V sub(V a, V b) { return _mm512_sub_pd(a, b); }
  static V mul(V a, V b) { return _mm512_mul_pd(a, b); }
  static V div(V a, V b) { return _mm512_div_pd(a, b); }
  static V fma(V a, V b, V c) { return _mm512_fmadd_pd(a, b, c); }
  static V sqrt(V a) { return _mm512_sqrt_pd(a); }
  static V min(V a, V b) { return _mm512_min_pd(a, b); }
  static V max(V a, V b) { return _mm512_max_pd(a, b); }
  static V abs(V a) { return _mm512_abs_pd(a); }
  static V with_sign_of(V size, V sign) {
    const V sign_bit = _mm512_set1_pd(-0.0);
    return _mm512_or_pd(_mm512_andnot_pd(sign_bit, size), _mm512_and_pd(sign_bit, sign));
  }
  static M greater(V a, V b) { return _mm512_cmp_pd_mask(a, b, _CMP_GT_OQ); }
  static M negative(V a) { return _mm512_movepi64_mask(_mm512_castpd_si512(a)); }
  static V select(M mask, V yes, V no) { return _mm512_mask_blend_pd(mask, no, yes); }
  static bool any(M mask) { return mask != 0; }

  static I truncate(V a) { return _mm512_cvttpd_epi64(a); }
  static V to_value(I a) { return _mm512_cvtepi64_pd(a); }
  static I splat(Integer value) { return _mm512_set1_epi64(value); }
  static I add(I a, I b) { return _mm512_add_epi64(a, b); }
  static I min(I a, I b) { return _mm512_min_epi64(a, b); }
  static M below(I a, I b) { return _mm512_cmplt_epi64_mask(a, b); }
  static I select(M mask, I yes, I no) { return _mm512_mask_blend_epi64(mask, no, yes); }
  static I as_bits(V a) { return _mm512_castpd_si512(a); }
  static V as_value(I a) { return _mm512_castsi512_pd(a); }
  template <int count>
  static I shift_right(I a) {
    return _mm512_srai_epi64(a, count);
  }
  static I bit_and(I a, I b) { return _mm512_and_si512(a, b); }
  static I bit_or(I a, I b) { return _mm512_or_si512(a, b); }
  static V gather(const T* table, I index) { return _mm512_i64gather_pd(index, table, 8); }

  // A block of `width` rows and columns, rows `stride` apart in both.
  static void transpose(const T* in, T* out, std::ptrdiff_t stride) {
    V row[width];
#pragma GCC unroll 8
    for (int r = 0; r < width; ++r) {
      row[r] = load(in + r * stride);
    }
#pragma GCC unroll 3
    for (int stage = 0; stage < 3; ++stage) {
      const I upper = _mm512_load_si512(exchange_doubles.upper[stage]);
      const I lower = _mm512_load_si512(exchange_doubles.lower[stage]);
      const int step = 1 << stage;
#pragma GCC unroll 8
      for (int r = 0; r < width; ++r) {
        if ((r & step) == 0) {
          const V first = row[r];
          row[r] = _mm512_permutex2var_pd(first, upper, row[r + step]);
          row[r + step] = _mm512_permutex2var_pd(first, lower, row[r + step]);
        }
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < width; ++r) {
      store(out + r * stride, row[r]);
    }
  }
};

}  // namespace
