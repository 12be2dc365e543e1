/* What differs between compilers and operating systems: aligned memory on huge pages, a clock, and
 * how a thread treats numbers that are nearly zero. threads.h has the threads. */
#ifndef DSCONV_PLATFORM_H
#define DSCONV_PLATFORM_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

enum { CACHE_LINE = 64, HUGE_PAGE = 2 << 20 };

#ifdef __linux__
#include <sys/mman.h>
#endif
#ifdef _WIN32
#include <malloc.h>
#include <windows.h>
static inline void *memory_take(size_t bytes) { return _aligned_malloc(bytes, CACHE_LINE); }
static inline void memory_give(void *p) { _aligned_free(p); }
#else
/* Blocks of more than one huge page are aligned to one and ask for them: fewer TLB misses. */
static inline void *memory_take(size_t bytes) {
    void *p = NULL;
    size_t align = bytes > HUGE_PAGE ? HUGE_PAGE : CACHE_LINE;
    if (posix_memalign(&p, align, (bytes + align - 1) / align * align)) return NULL;
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (align == HUGE_PAGE) madvise(p, (bytes + align - 1) / align * align, MADV_HUGEPAGE);
#endif
    return p;
}
static inline void memory_give(void *p) { free(p); }
#endif

/* Return the seconds from some start, for profiles and short waits. */
static inline double seconds(void) {
#ifdef _WIN32
    LARGE_INTEGER ticks, per_second;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&per_second);
    return (double)ticks.QuadPart / (double)per_second.QuadPart;
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
#endif
}

/* Take numbers below 2^-126 for zero on this thread, in operands and in results: arithmetic with them
 * is 40 to 400 times slower. Returns the mode before, for `float_mode_restore`. */
#if defined(__SSE__) || defined(_M_X64)
#include <xmmintrin.h>
static inline unsigned long long float_mode_flush(void) {
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);        /* flush to zero, denormals are zero */
    return before;
}
static inline void float_mode_restore(unsigned long long mode) { _mm_setcsr((unsigned)mode); }
#elif defined(__aarch64__)
static inline unsigned long long float_mode_flush(void) {
    unsigned long long before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | 1ull << 24));
    return before;
}
static inline void float_mode_restore(unsigned long long mode) {
    __asm__ volatile("msr fpcr, %0" : : "r"(mode));
}
#else
static inline unsigned long long float_mode_flush(void) { return 0; }
static inline void float_mode_restore(unsigned long long mode) { (void)mode; }
#endif

#endif
