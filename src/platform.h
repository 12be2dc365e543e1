/* What differs between compilers and operating systems: aligned memory on huge pages, a counter
 * that threads share, and the barrier between two steps of a program. */
#ifndef DSCONV_PLATFORM_H
#define DSCONV_PLATFORM_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#ifdef _OPENMP
#include <omp.h>
enum { HAS_OPENMP = 1 };
#else
enum { HAS_OPENMP = 0 };
#endif

enum { CACHE_LINE = 64, HUGE_PAGE = 2 << 20 };

#ifdef __linux__
#include <sys/mman.h>
#endif
#ifdef _WIN32
#include <malloc.h>
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

/* Every thread of a team takes the next piece of work here; without OpenMP there is one thread. */
static inline ptrdiff_t counter_next(ptrdiff_t *counter) {
#ifdef _OPENMP
    return __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
#else
    return (*counter)++;
#endif
}

/* Seconds from some start, for profiles. */
static inline double seconds(void) {
    struct timespec now;
#ifdef _WIN32
    timespec_get(&now, TIME_UTC);
#else
    clock_gettime(CLOCK_MONOTONIC, &now);
#endif
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline void team_barrier(void) {
#ifdef _OPENMP
    #pragma omp barrier
#endif
}

#endif
