// Thirty-two bytes of numbers with AVX2 and FMA.
// Include in one translation unit only: everything has internal linkage.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace {

struct FloatLanes {
  using T = float;
  using Integer = std::int32_t;
  using V = __m256;
  using I = __m256i;
  using M = __m256;
  static constexpr int width = 8;
  static constexpr bool has_small_lookup = false;

  static V load(const T* from) { return _mm256_loadu_ps(from); }
  static void store(T* to, V value) { _mm256_storeu_ps(to, value); }
  static void stream(T* to, V value) { _mm256_stream_ps(to, value); }  // aligned
  static void fence() { _mm_sfence(); }
  static void store_first(T* to, V value, int count) {
    const I lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_maskstore_ps(to, _mm256_cmpgt_epi32(_mm256_set1_epi32(count), lane), value);
  }
  static V broadcast(T value) { return _mm256_set1_ps(value); }
  static V add(V a, V b) { return _mm256_add_ps(a, b); }
  static V sub(V a, V b) { return _mm256_sub_ps(a, b); }
  static V mul(V a, V b) { return _mm256_mul_ps(a, b); }
  static V div(V a, V b) { return _mm256_div_ps(a, b); }
  static V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
  static V sqrt(V a) { return _mm256_sqrt_ps(a); }
  static V min(V a, V b) { return _mm256_min_ps(a, b); }
  static V max(V a, V b) { return _mm256_max_ps(a, b); }
  static V abs(V a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
  static V with_sign_of(V size, V sign) {
    return _mm256_or_ps(abs(size), _mm256_and_ps(_mm256_set1_ps(-0.0f), sign));
  }
  static M greater(V a, V b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
  static M negative(V a) { return a; }  // blends look at the sign bit only
  static V select(M mask, V yes, V no) { return _mm256_blendv_ps(no, yes, mask); }
  static bool any(M mask) { return _mm256_movemask_ps(mask) != 0; }

  static I truncate(V a) { return _mm256_cvttps_epi32(a); }
  static V to_value(I a) { return _mm256_cvtepi32_ps(a); }
  static I splat(Integer value) { return _mm256_set1_epi32(value); }
  static I add(I a, I b) { return _mm256_add_epi32(a, b); }
  static I min(I a, I b) { return _mm256_min_epi32(a, b); }
  static M below(I a, I b) { return as_value(_mm256_cmpgt_epi32(b, a)); }
  static I select(M mask, I yes, I no) {
    return as_bits(select(mask, as_value(yes), as_value(no)));
  }
  static I as_bits(V a) { return _mm256_castps_si256(a); }
  static V as_value(I a) { return _mm256_castsi256_ps(a); }
  template <int count>
  static I shift_right(I a) {
    return _mm256_srai_epi32(a, count);
  }
  static I bit_and(I a, I b) { return _mm256_and_si256(a, b); }
  static I bit_or(I a, I b) { return _mm256_or_si256(a, b); }
  static V gather(const T* table, I index) { return _mm256_i32gather_ps(table, index, 4); }

  // A block of `width` rows and columns, rows `stride` apart in both.
  static void transpose(const T* in, T* out, std::ptrdiff_t stride) {
    V pair[width];
    V quad[width];
    for (int r = 0; r < width; r += 2) {
      const V first = load(in + r * stride);
      const V second = load(in + (r + 1) * stride);
      pair[r] = _mm256_unpacklo_ps(first, second);
      pair[r + 1] = _mm256_unpackhi_ps(first, second);
    }
    for (int r = 0; r < width; r += 4) {
      quad[r] = _mm256_shuffle_ps(pair[r], pair[r + 2], 0x44);
      quad[r + 1] = _mm256_shuffle_ps(pair[r], pair[r + 2], 0xEE);
      quad[r + 2] = _mm256_shuffle_ps(pair[r + 1], pair[r + 3], 0x44);
      quad[r + 3] = _mm256_shuffle_ps(pair[r + 1], pair[r + 3], 0xEE);
    }
    for (int r = 0; r < 4; ++r) {
      store(out + r * stride, _mm256_permute2f128_ps(quad[r], quad[r + 4], 0x20));
      store(out + (r + 4) * stride, _mm256_permute2f128_ps(quad[r], quad[r + 4], 0x31));
    }
  }
};

struct DoubleLanes {
  using T = double;
  using Integer = std::int64_t;
  using V = __m256d;
  using I = __m256i;
  using M = __m256d;
  static constexpr int width = 4;
  static constexpr bool has_small_lookup = false;

  static V load(const T* from) { return _mm256_loadu_pd(from); }
  static void store(T* to, V value) { _mm256_storeu_pd(to, value); }
  static void stream(T* to, V value) { _mm256_stream_pd(to, value); }  // aligned
  static void fence() { _mm_sfence(); }
  static void store_first(T* to, V value, int count) {
    const I lane = _mm256_setr_epi64x(0, 1, 2, 3);
    _mm256_maskstore_pd(to, _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), lane), value);
  }
  static V broadcast(T value) { return _mm256_set1_pd(value); }
  static V add(V a, V b) { return _mm256_add_pd(a, b); }
  static V sub(V a, V b) { return _mm256_sub_pd(a, b); }
  static V mul(V a, V b) { return _mm256_mul_pd(a, b); }
  static V div(V a, V b) { return _mm256_div_pd(a, b); }
  static V fma(V a, V b, V c) { return _mm256_fmadd_pd(a, b, c); }
  static V sqrt(V a) { return _mm256_sqrt_pd(a); }
  static V min(V a, V b) { return _mm256_min_pd(a, b); }
  static V max(V a, V b) { return _mm256_max_pd(a, b); }
  static V abs(V a) { return _mm256_andnot_pd(_mm256_set1_pd(-0.0), a); }
  static V with_sign_of(V size, V sign) {
    return _mm256_or_pd(abs(size), _mm256_and_pd(_mm256_set1_pd(-0.0), sign));
  }
  static M greater(V a, V b) { return _mm256_cmp_pd(a, b, _CMP_GT_OQ); }
  static M negative(V a) { return a; }  // blends look at the sign bit only
  static V select(M mask, V yes, V no) { return _mm256_blendv_pd(no, yes, mask); }
  static bool any(M mask) { return _mm256_movemask_pd(mask) != 0; }

  // Values here are below 2^31: four 32-bit integers, widened.
  static I truncate(V a) { return _mm256_cvtepi32_epi64(_mm256_cvttpd_epi32(a)); }
  static V to_value(I a) {
    const I even = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
    return _mm256_cvtepi32_pd(_mm256_castsi256_si128(_mm256_permutevar8x32_epi32(a, even)));
  }
  static I splat(Integer value) { return _mm256_set1_epi64x(value); }
  static I add(I a, I b) { return _mm256_add_epi64(a, b); }
  static I min(I a, I b) { return select(below(a, b), a, b); }
  static M below(I a, I b) { return as_value(_mm256_cmpgt_epi64(b, a)); }
  static I select(M mask, I yes, I no) {
    return as_bits(select(mask, as_value(yes), as_value(no)));
  }
  static I as_bits(V a) { return _mm256_castpd_si256(a); }
  static V as_value(I a) { return _mm256_castsi256_pd(a); }
  template <int count>
  static I shift_right(I a) {
    return _mm256_srli_epi64(a, count);  // used on bits of non-negative numbers
  }
  static I bit_and(I a, I b) { return _mm256_and_si256(a, b); }
  static I bit_or(I a, I b) { return _mm256_or_si256(a, b); }
  static V gather(const T* table, I index) { return _mm256_i64gather_pd(table, index, 8); }

  // A block of `width` rows and columns, rows `stride` apart in both.
  static void transpose(const T* in, T* out, std::ptrdiff_t stride) {
    const V a = _mm256_unpacklo_pd(load(in), load(in + stride));
    const V b = _mm256_unpackhi_pd(load(in), load(in + stride));
    const V c = _mm256_unpacklo_pd(load(in + 2 * stride), load(in + 3 * stride));
    const V d = _mm256_unpackhi_pd(load(in + 2 * stride), load(in + 3 * stride));
    store(out, _mm256_permute2f128_pd(a, c, 0x20));
    store(out + stride, _mm256_permute2f128_pd(b, d, 0x20));
    store(out + 2 * stride, _mm256_permute2f128_pd(a, c, 0x31));
    store(out + 3 * stride, _mm256_permute2f128_pd(b, d, 0x31));
  }
};

}  // namespace
