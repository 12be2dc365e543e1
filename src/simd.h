/* vec: one register of floats, for whatever instruction set this file is compiled for.
 *
 * The lanes follow from the compiler's own macros, so that the same Cython source, built several
 * times with different flags, gives one module per instruction set. GNU compilers and clang write
 * a vec with their vector extension, which is portable over x86, Arm, RISC-V and others; any other
 * compiler gets a plain struct (right, not fast).
 *
 * Not here: gathers, masks, integers, shuffles. The kernels need none of them.
 */
#ifndef DSCONV_SIMD_H
#define DSCONV_SIMD_H

/* Return types that say whether a Cython function is compiled into its callers. A tile body must be:
 * its loops have literal sizes only there. A tile must not be: it would share registers and spill. */
#if defined(__GNUC__) || defined(__clang__)
#define INLINE_VOID __attribute__((always_inline)) void
#define NOINLINE_VOID __attribute__((noinline)) void
#else
#define INLINE_VOID void
#define NOINLINE_VOID void
#endif

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__) || defined(__AVX2__) || defined(__SSE2__)
#include <immintrin.h>
#endif

/* Lanes of a vec, and the tiles of each instruction set. GEMM_ROWS x 2 vecs of accumulators, with
 * 2 vecs of B and a few broadcasts beside them, fill the register file (AVX-512 and NEON have 32
 * registers, the others 16). A tile one vec wide is taller: eight chains hide the latency of an FMA
 * (56 x 56, 144 -> 24 channels, AVX2: 81 -> 84 GFLOP/s). DEPTHWISE_PIXELS x DEPTHWISE_VECS are the
 * chains of the depthwise tile: with the neighbouring tiles enough to hide that latency, and 7 divides
 * the usual widths 7, 14, 28, 56 and 112. */
#if defined(__AVX512F__)
enum { LANES = 16, GEMM_ROWS = 12, GEMM_ROWS_NARROW = 12,
       DEPTHWISE_PIXELS = 7, DEPTHWISE_VECS = 2 };
#elif defined(__AVX2__)
enum { LANES = 8, GEMM_ROWS = 6, GEMM_ROWS_NARROW = 8,
       DEPTHWISE_PIXELS = 7, DEPTHWISE_VECS = 1 };
#elif defined(__aarch64__)
enum { LANES = 4, GEMM_ROWS = 12, GEMM_ROWS_NARROW = 12,
       DEPTHWISE_PIXELS = 7, DEPTHWISE_VECS = 2 };
#else
enum { LANES = 4, GEMM_ROWS = 6, GEMM_ROWS_NARROW = 8,
       DEPTHWISE_PIXELS = 7, DEPTHWISE_VECS = 1 };
#endif

/* Channels of a packed panel, and of a depthwise window: what one GEMM tile writes. */
enum { BLOCK = 2 * LANES };

#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__)) || defined(__aarch64__)
enum { HAS_FMA = 1 };
#else
enum { HAS_FMA = 0 };
#endif

#if (defined(__GNUC__) || defined(__clang__)) && !defined(DSCONV_PLAIN_VEC)

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t vec_mask __attribute__((vector_size(4 * LANES)));
typedef float vec_unaligned __attribute__((vector_size(4 * LANES), aligned(4)));

static inline vec vec_load(const float *p) { return *(const vec_unaligned *)p; }
static inline void vec_store(float *p, vec v) { *(vec_unaligned *)p = v; }
/* scalar - vec broadcasts; a loop over the lanes would be written out lane by lane */
static inline vec vec_fill(float a) { return a - (vec){0}; }
/* One rounding where the machine has FMA: -ffp-contract=fast makes these two operations one. */
static inline vec vec_fma(vec a, vec b, vec c) { return a * b + c; }
static inline vec vec_fma_scalar(float a, vec b, vec c) { return a * b + c; }
static inline vec vec_add(vec a, vec b) { return a + b; }
static inline vec vec_sub(vec a, vec b) { return a - b; }
static inline vec vec_mul(vec a, vec b) { return a * b; }
static inline vec vec_div(vec a, vec b) { return a / b; }
static inline vec vec_select(vec_mask m, vec a, vec b) {
    return (vec)((m & (vec_mask)a) | (~m & (vec_mask)b));
}

/* max(low, v) and min(high, v) that return v where v is NaN */
#if defined(__AVX512F__)
static inline vec vec_max(vec low, vec v) { return (vec)_mm512_max_ps((__m512)low, (__m512)v); }
static inline vec vec_min(vec high, vec v) { return (vec)_mm512_min_ps((__m512)high, (__m512)v); }
#elif defined(__AVX2__)
static inline vec vec_max(vec low, vec v) { return (vec)_mm256_max_ps((__m256)low, (__m256)v); }
static inline vec vec_min(vec high, vec v) { return (vec)_mm256_min_ps((__m256)high, (__m256)v); }
#elif defined(__SSE2__)
static inline vec vec_max(vec low, vec v) { return (vec)_mm_max_ps((__m128)low, (__m128)v); }
static inline vec vec_min(vec high, vec v) { return (vec)_mm_min_ps((__m128)high, (__m128)v); }
#else
static inline vec vec_max(vec low, vec v) { return vec_select(v < low, low, v); }
static inline vec vec_min(vec high, vec v) { return vec_select(v > high, high, v); }
#endif
/* max(a, b) that is NaN where either is */
static inline vec vec_max_nan(vec a, vec b) { return vec_select(a == a, vec_max(a, b), a); }

static inline void prefetch(const void *p) { __builtin_prefetch(p, 0, 3); }

#else /* a compiler without vector extensions */

typedef struct { float lane[LANES]; } vec;
#define VEC_EACH(expression) \
    vec r; for (int i = 0; i < LANES; i++) r.lane[i] = (expression); return r

static inline vec vec_load(const float *p) { VEC_EACH(p[i]); }
static inline void vec_store(float *p, vec v) { memcpy(p, v.lane, sizeof v.lane); }
static inline vec vec_fill(float a) { VEC_EACH(a); }
static inline vec vec_fma(vec a, vec b, vec c) { VEC_EACH(a.lane[i] * b.lane[i] + c.lane[i]); }
static inline vec vec_fma_scalar(float a, vec b, vec c) { VEC_EACH(a * b.lane[i] + c.lane[i]); }
static inline vec vec_add(vec a, vec b) { VEC_EACH(a.lane[i] + b.lane[i]); }
static inline vec vec_sub(vec a, vec b) { VEC_EACH(a.lane[i] - b.lane[i]); }
static inline vec vec_mul(vec a, vec b) { VEC_EACH(a.lane[i] * b.lane[i]); }
static inline vec vec_div(vec a, vec b) { VEC_EACH(a.lane[i] / b.lane[i]); }
static inline vec vec_max_nan(vec a, vec b) { VEC_EACH(b.lane[i] < a.lane[i] || a.lane[i] != a.lane[i] ? a.lane[i] : b.lane[i]); }
static inline vec vec_max(vec low, vec v) { VEC_EACH(v.lane[i] < low.lane[i] ? low.lane[i] : v.lane[i]); }
static inline vec vec_min(vec high, vec v) { VEC_EACH(v.lane[i] > high.lane[i] ? high.lane[i] : v.lane[i]); }
static inline void prefetch(const void *p) { (void)p; }

#endif

/* The same for one float, spelled out: left to itself, gcc rounds the products of a scalar sum before
 * adding them in whole vecs and fuses the rest, so the bits would depend on the number of lanes. */
static inline float float_fma(float a, float b, float c) {
#if (defined(__GNUC__) || defined(__clang__)) && !defined(DSCONV_PLAIN_VEC)
    return HAS_FMA ? __builtin_fmaf(a, b, c) : a * b + c;
#else
    return a * b + c;
#endif
}

/* `rows` pieces of `count` floats, for the last channels of a map: tiles work on whole vecs, and what
 * is no whole vec goes through a small buffer. A function of its own: a loop with a call inside is
 * never unrolled, and the tile would leave its registers. */
#if defined(__GNUC__) || defined(__clang__)
#define NOINLINE __attribute__((noinline, unused))
#else
#define NOINLINE
#endif

static NOINLINE void copy_rows(float *to, ptrdiff_t to_pitch, const float *from,
                               ptrdiff_t from_pitch, ptrdiff_t rows, ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < rows; i++)
        memcpy(to + i * to_pitch, from + i * from_pitch, 4 * (size_t)count);
}

static NOINLINE vec vec_load_first(const float *p, ptrdiff_t count) {
    float lanes[LANES] = {0};
    memcpy(lanes, p, 4 * (size_t)count);
    return vec_load(lanes);
}

static NOINLINE void vec_store_first(float *p, vec v, ptrdiff_t count) {
    float lanes[LANES];
    vec_store(lanes, v);
    memcpy(p, lanes, 4 * (size_t)count);
}

#endif
