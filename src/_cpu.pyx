# cython: language_level=3
"""Tell which instruction sets this processor has.

This module is built for the baseline, so it is safe to import anywhere.
"""

cdef extern from *:
    """
    #if (defined(__GNUC__) || defined(__clang__)) && (defined(__x86_64__) || defined(__i386__))
    static int dsconv_avx2(void) {
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    }
    static int dsconv_avx512(void) {
        return dsconv_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
            && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
            && __builtin_cpu_supports("avx512cd");
    }
    #elif defined(_MSC_VER) && defined(_M_X64)
    #include <intrin.h>
    #include <immintrin.h>
    static int dsconv_leaf7(int bit) {
        int r[4];
        __cpuidex(r, 7, 0);
        return r[1] >> bit & 1;
    }
    static int dsconv_avx2(void) {
        int r[4];
        __cpuid(r, 1);
        return (r[2] >> 27 & 1) && (r[2] >> 12 & 1) && (_xgetbv(0) & 6) == 6 && dsconv_leaf7(5);
    }
    static int dsconv_avx512(void) {
        return dsconv_avx2() && (_xgetbv(0) & 0xe6) == 0xe6 && dsconv_leaf7(16) && dsconv_leaf7(17)
            && dsconv_leaf7(28) && dsconv_leaf7(30) && dsconv_leaf7(31);
    }
    #else
    static int dsconv_avx2(void) { return 0; }
    static int dsconv_avx512(void) { return 0; }
    #endif
    """
    int dsconv_avx2()
    int dsconv_avx512()


def supported():
    """Return the names of the instruction sets that this processor can run, the plainest first."""
    return (
        ["baseline"]
        + (["avx2"] if dsconv_avx2() else [])
        + (["avx512"] if dsconv_avx512() else [])
    )
