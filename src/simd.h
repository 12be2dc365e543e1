/* vec: one register of floats of the instruction set that this file is compiled for.
 *
 * The kernels are compiled several times from the same source, with the compiler flags of one
 * instruction set each time. The compiler's own macros say which set that is, and with it how many
 * lanes a vec has. GNU compilers and clang write a vec with their vector extension, which works on
 * x86, Arm, RISC-V and others. Any other compiler gets simd_plain.h, which gives the same bits and is slow.
 *
 * Not here: gathers, shuffles, masks but for the last lanes of a map, integers but for a power of two.
 */
#ifndef DSCONV_SIMD_H
#define DSCONV_SIMD_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The sizes of each instruction set's tiles.
 *
 * GEMM_VECS is the width of the widest GEMM tile in vecs, GEMM_ROWS_n the height of the tiles n vecs
 * wide. The sums, n vecs of weights and a broadcast input fill the vector registers: 32 of AVX-512 and
 * NEON, 16 of the others. A tile one vec wide is taller, because eight chains of sums hide the latency
 * of a multiply-add (56 x 56, 144 -> 24 channels, AVX2: 81 -> 84 GFLOP/s).
 *
 * Each row of a tile has a pointer, and with twelve of them AVX-512 needs more general registers than
 * there are: gcc keeps the rest in vector registers and moves them back at each k. So its tiles are
 * wider and less tall: 6 x 4 instead of 12 x 2 (Cascade Lake, 14 x 14, 512 -> 512: 78 -> 89 % of the
 * peak). Nine rows three vecs wide spill: 161 -> 212 us for 14 x 14, 96 -> 576.
 *
 * DEPTHWISE_PIXELS x DEPTHWISE_VECS are the chains of the depthwise tile. Seven pixels divide the usual
 * widths 7, 14, 28, 56 and 112.
 *
 * DSCONV_TILES_AARCH64 builds the tiles of NEON on another processor, for the tests. */
#if defined(__aarch64__) || defined(DSCONV_TILES_AARCH64)
enum { LANES = 4, DEPTHWISE_PIXELS = 7, DEPTHWISE_VECS = 2 };
enum { GEMM_VECS = 2, GEMM_ROWS_1 = 12, GEMM_ROWS_2 = 12, GEMM_ROWS_3 = 1, GEMM_ROWS_4 = 1 };
#elif defined(__AVX512F__)
enum { LANES = 16, DEPTHWISE_PIXELS = 7, DEPTHWISE_VECS = 2 };
enum { GEMM_VECS = 4, GEMM_ROWS_1 = 12, GEMM_ROWS_2 = 10, GEMM_ROWS_3 = 8, GEMM_ROWS_4 = 6 };
#elif defined(__AVX2__)
enum { LANES = 8, DEPTHWISE_PIXELS = 7, DEPTHWISE_VECS = 1 };
enum { GEMM_VECS = 2, GEMM_ROWS_1 = 8, GEMM_ROWS_2 = 6, GEMM_ROWS_3 = 1, GEMM_ROWS_4 = 1 };
#else
enum { LANES = 4, DEPTHWISE_PIXELS = 7, DEPTHWISE_VECS = 1 };
enum { GEMM_VECS = 2, GEMM_ROWS_1 = 8, GEMM_ROWS_2 = 6, GEMM_ROWS_3 = 1, GEMM_ROWS_4 = 1 };
#endif

/* The most columns of a packed panel, and the channels of a depthwise block and window. */
enum { PANEL = GEMM_VECS * LANES, BLOCK = 2 * LANES };

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

/* Added to a whole number n from -127 to 128, this gives a float whose last bits are n + 127, the
 * exponent bits of 2^n: 1.5 * 2^23 + 127. */
#define POWER_SHIFTER 12583039.0f

#if (defined(__GNUC__) || defined(__clang__)) && !defined(DSCONV_PLAIN_VEC)
#include "simd_gnu.h"
#else
#include "simd_plain.h"
#endif

/* Return a / b of numbers that are not negative. Processors divide small ones much faster. */
static inline ptrdiff_t quotient(ptrdiff_t a, ptrdiff_t b) {
    return ((uint64_t)a | (uint64_t)b) >> 32 ? a / b : (ptrdiff_t)((uint32_t)a / (uint32_t)b);
}

/* Read a pointer from memory now, and not once for all rounds of a loop: it would take a register. */
static inline const float *pointer_again(const float *const *p) {
    return *(const float *const volatile *)p;
}

/* The last channels of a map may fill no whole vec. Then only the first `count` lanes are loaded, as
 * zeros behind them, or stored. AVX-512 does it with a mask. The others copy, in functions that are not
 * inlined, because gcc never unrolls a loop with a call of memcpy inside, and then the sums of a tile
 * would leave their registers. */
#ifdef VEC_MASKS
enum { HAS_MASKS = 1 };
static inline vec vec_load_first(const float *p, ptrdiff_t count) {
    return vec_load_masked(p, count);
}
static inline void vec_store_first(float *p, vec v, ptrdiff_t count) {
    vec_store_masked(p, v, count);
}
#else
enum { HAS_MASKS = 0 };
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

/* For the last column of a tile, whose loops must not call: without masks it is a whole vec, and the
 * tile makes room for it in a buffer. */
static inline vec vec_load_last(const float *p, ptrdiff_t count) {
    return HAS_MASKS ? vec_load_first(p, count) : vec_load(p);
}
static inline void vec_store_last(float *p, vec v, ptrdiff_t count) {
    if (HAS_MASKS) vec_store_first(p, v, count);
    else vec_store(p, v);
}

/* Copy the first `count` floats of some rows. */
static NOINLINE void copy_rows(float *to, ptrdiff_t to_pitch, const float *from,
                               ptrdiff_t from_pitch, ptrdiff_t rows, ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < rows; i++)
        memcpy(to + i * to_pitch, from + i * from_pitch, 4 * (size_t)count);
}

#endif
