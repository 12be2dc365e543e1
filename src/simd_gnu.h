/* vec, written with the vector extension of GNU compilers and clang. Included by simd.h. */

#if (defined(__AVX512F__) || defined(__AVX2__) || defined(__SSE2__)) && !defined(DSCONV_TILES_AARCH64)
#include <immintrin.h>
#endif

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t vec_mask __attribute__((vector_size(4 * LANES)));
typedef uint32_t vec_bits __attribute__((vector_size(4 * LANES)));
typedef float vec_unaligned __attribute__((vector_size(4 * LANES), aligned(4)));

static inline vec vec_load(const float *p) { return *(const vec_unaligned *)p; }
static inline void vec_store(float *p, vec v) { *(vec_unaligned *)p = v; }
/* scalar - vec broadcasts the scalar; a loop over the lanes would be written out lane by lane. */
static inline vec vec_fill(float a) { return a - (vec){0}; }
/* -ffp-contract=fast makes one operation of these two, with one rounding, where there is FMA. */
static inline vec vec_fma(vec a, vec b, vec c) { return a * b + c; }
static inline vec vec_fma_scalar(float a, vec b, vec c) { return a * b + c; }
static inline vec vec_add(vec a, vec b) { return a + b; }
static inline vec vec_sub(vec a, vec b) { return a - b; }
static inline vec vec_mul(vec a, vec b) { return a * b; }
static inline vec vec_div(vec a, vec b) { return a / b; }
static inline vec vec_select(vec_mask m, vec a, vec b) {
    return (vec)((m & (vec_mask)a) | (~m & (vec_mask)b));
}
/* Return a where v < 0, and b elsewhere, also where v is NaN. */
static inline vec vec_if_negative(vec v, vec a, vec b) { return vec_select(v < (vec){0}, a, b); }
/* Return 2^n of whole numbers n from -127 to 128; the first gives 0 and the last infinity.
 * The sum has n + 127 in its last bits, and the shift moves these into the exponent. */
static inline vec vec_power_of_two(vec n) { return (vec)((vec_bits)(n + POWER_SHIFTER) << 23); }

/* Return max(low, v) and min(high, v), and v where v is NaN. */
#if defined(DSCONV_TILES_AARCH64) || !defined(__SSE2__)
static inline vec vec_max(vec low, vec v) { return vec_select(v < low, low, v); }
static inline vec vec_min(vec high, vec v) { return vec_select(v > high, high, v); }
#elif defined(__AVX512F__)
static inline vec vec_max(vec low, vec v) { return (vec)_mm512_max_ps((__m512)low, (__m512)v); }
static inline vec vec_min(vec high, vec v) { return (vec)_mm512_min_ps((__m512)high, (__m512)v); }
#elif defined(__AVX2__)
static inline vec vec_max(vec low, vec v) { return (vec)_mm256_max_ps((__m256)low, (__m256)v); }
static inline vec vec_min(vec high, vec v) { return (vec)_mm256_min_ps((__m256)high, (__m256)v); }
#else
static inline vec vec_max(vec low, vec v) { return (vec)_mm_max_ps((__m128)low, (__m128)v); }
static inline vec vec_min(vec high, vec v) { return (vec)_mm_min_ps((__m128)high, (__m128)v); }
#endif
/* Return max(a, b), and NaN where either is NaN. */
static inline vec vec_max_nan(vec a, vec b) { return vec_select(a == a, vec_max(a, b), a); }

#if defined(__AVX512F__) && !defined(DSCONV_TILES_AARCH64)
#define VEC_MASKS
static inline __mmask16 first_lanes(ptrdiff_t count) {
    return (__mmask16)(count < LANES ? (1u << count) - 1 : 0xffff);
}
static inline vec vec_load_masked(const float *p, ptrdiff_t count) {
    return (vec)_mm512_maskz_loadu_ps(first_lanes(count), p);
}
static inline void vec_store_masked(float *p, vec v, ptrdiff_t count) {
    _mm512_mask_storeu_ps(p, first_lanes(count), (__m512)v);
}
#endif

static inline void prefetch(const void *p) { __builtin_prefetch(p, 0, 3); }
