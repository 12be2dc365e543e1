/* vec: one register of floats of the instruction set that this file is compiled for.
 *
 * The kernels are compiled several times from the same source, with the compiler flags of one
 * instruction set each time. The compiler's own macros say which set that is, and with it how many
 * lanes a vec has. GNU compilers and clang write a vec with their vector extension, which works on
 * x86, Arm, RISC-V and others. Any other compiler gets simd_plain.h, which gives the same bits and is slow.
 *
 * Not here: gathers, masks, integers, shuffles. The kernels need none of them.
 */
#ifndef DSCONV_SIMD_H
#define DSCONV_SIMD_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The sizes of each instruction set's tiles.
 *
 * GEMM_ROWS x 2 vecs of sums, 2 vecs of weights and a few broadcast inputs fill the register file:
 * AVX-512 and NEON have 32 registers, the others 16. A GEMM tile one vec wide is taller, because
 * eight chains of sums hide the latency of a multiply-add (56 x 56, 144 -> 24 channels, AVX2:
 * 81 -> 84 GFLOP/s). DEPTHWISE_PIXELS x DEPTHWISE_VECS are the chains of the depthwise tile.
 * Seven pixels divide the usual widths 7, 14, 28, 56 and 112.
 *
 * DSCONV_TILES_AARCH64 builds the tiles of NEON on another processor, for the tests. */
#if defined(__aarch64__) || defined(DSCONV_TILES_AARCH64)
enum { LANES = 4, GEMM_ROWS = 12, GEMM_ROWS_NARROW = 12, DEPTHWISE_PIXELS = 7, DEPTHWISE_VECS = 2 };
#elif defined(__AVX512F__)
enum { LANES = 16, GEMM_ROWS = 12, GEMM_ROWS_NARROW = 12, DEPTHWISE_PIXELS = 7, DEPTHWISE_VECS = 2 };
#elif defined(__AVX2__)
enum { LANES = 8, GEMM_ROWS = 6, GEMM_ROWS_NARROW = 8, DEPTHWISE_PIXELS = 7, DEPTHWISE_VECS = 1 };
#else
enum { LANES = 4, GEMM_ROWS = 6, GEMM_ROWS_NARROW = 8, DEPTHWISE_PIXELS = 7, DEPTHWISE_VECS = 1 };
#endif

/* The channels of a packed panel and of a depthwise window: what one GEMM tile writes. */
enum { BLOCK = 2 * LANES };

/* gcc says __FP_FAST_FMAF wherever it would fuse. The others are for compilers that do not say it. */
#if defined(__FP_FAST_FMAF) || defined(__FMA__) || defined(__AVX512F__) || defined(__aarch64__)
enum { HAS_FMA = 1 };
#else
enum { HAS_FMA = 0 };
#endif

/* Return a * b + c for single floats, with one rounding where the machine has FMA. The call is
 * spelled out, because the compiler would fuse some products of a loop and not others, and then the
 * bits of a result would depend on the number of lanes. */
static inline float float_fma(float a, float b, float c) {
    return HAS_FMA ? fmaf(a, b, c) : a * b + c;
}

/* Cython cannot write attributes, so these macros stand where a return type stands. INLINE_VOID
 * forces a function into its caller, so that the sizes it is called with are constants and its loops
 * unroll. NOINLINE_VOID keeps it out, so that the sums have all registers to themselves. */
#if defined(__GNUC__) || defined(__clang__)
#define INLINE_VOID __attribute__((always_inline)) void
#define NOINLINE_VOID __attribute__((noinline)) void
#define NOINLINE __attribute__((noinline, unused))
#else
#define INLINE_VOID void
#define NOINLINE_VOID void
#define NOINLINE
#endif

#if (defined(__GNUC__) || defined(__clang__)) && !defined(DSCONV_PLAIN_VEC)
#include "simd_gnu.h"
#else
#include "simd_plain.h"
#endif

/* The last channels of a map may fill no whole vec. They pass through a small buffer, because tiles
 * work on whole vecs. The copies are functions of their own, because gcc never unrolls a loop with
 * a call of memcpy inside, and then the sums of a tile would leave their registers. */
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
