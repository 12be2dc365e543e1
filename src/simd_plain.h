/* vec, written as a plain struct for compilers without a vector extension. Included by simd.h.
 *
 * Every product with a sum goes through float_fma, so that no lane is rounded otherwise than the next.
 * The compiler must fuse no others, because it would fuse them in some loops and not in the next: gcc
 * and clang need -ffp-contract=off. */
#ifdef _MSC_VER
#pragma fp_contract(off)
#endif

typedef struct { float lane[LANES]; } vec;
#define VEC_EACH(expression) \
    vec r; for (int i = 0; i < LANES; i++) r.lane[i] = (expression); return r

static inline vec vec_load(const float *p) { VEC_EACH(p[i]); }
static inline void vec_store(float *p, vec v) { memcpy(p, v.lane, sizeof v.lane); }
static inline vec vec_fill(float a) { VEC_EACH(a); }
static inline vec vec_fma(vec a, vec b, vec c) { VEC_EACH(float_fma(a.lane[i], b.lane[i], c.lane[i])); }
static inline vec vec_fma_scalar(float a, vec b, vec c) { VEC_EACH(float_fma(a, b.lane[i], c.lane[i])); }
static inline vec vec_add(vec a, vec b) { VEC_EACH(a.lane[i] + b.lane[i]); }
static inline vec vec_sub(vec a, vec b) { VEC_EACH(a.lane[i] - b.lane[i]); }
static inline vec vec_mul(vec a, vec b) { VEC_EACH(a.lane[i] * b.lane[i]); }
static inline vec vec_div(vec a, vec b) { VEC_EACH(a.lane[i] / b.lane[i]); }
/* Return max(low, v) and min(high, v), and v where v is NaN. */
static inline vec vec_max(vec low, vec v) { VEC_EACH(v.lane[i] < low.lane[i] ? low.lane[i] : v.lane[i]); }
static inline vec vec_min(vec high, vec v) { VEC_EACH(v.lane[i] > high.lane[i] ? high.lane[i] : v.lane[i]); }
/* Return max(a, b), and NaN where either is NaN. */
static inline vec vec_max_nan(vec a, vec b) {
    VEC_EACH(b.lane[i] < a.lane[i] || a.lane[i] != a.lane[i] ? a.lane[i] : b.lane[i]);
}
/* Return a where v < 0, and b elsewhere, also where v is NaN. */
static inline vec vec_if_negative(vec v, vec a, vec b) { VEC_EACH(v.lane[i] < 0 ? a.lane[i] : b.lane[i]); }
/* Return 2^n of whole numbers n from -127 to 128; the first gives 0 and the last infinity.
 * The sum has n + 127 in its last bits, and the shift moves these into the exponent. */
static inline vec vec_power_of_two(vec n) {
    uint32_t bits[LANES];
    for (int i = 0; i < LANES; i++) n.lane[i] += POWER_SHIFTER;
    memcpy(bits, n.lane, sizeof bits);
    for (int i = 0; i < LANES; i++) bits[i] <<= 23;
    memcpy(n.lane, bits, sizeof bits);
    return n;
}

static inline void prefetch(const void *p) { (void)p; }
