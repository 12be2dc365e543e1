/* What differs between POSIX and Windows threads, and between compilers' atomic numbers. */
#ifndef DSCONV_THREADS_H
#define DSCONV_THREADS_H

#include <stddef.h>

enum { THREAD_STACK = 512 << 10 };      /* the kernels keep their numbers elsewhere */

#ifdef _WIN32
#include <windows.h>

typedef SRWLOCK Lock;
typedef CONDITION_VARIABLE Condition;
#define LOCK_INITIAL SRWLOCK_INIT
#define CONDITION_INITIAL CONDITION_VARIABLE_INIT

static inline void lock(Lock *l) { AcquireSRWLockExclusive(l); }
static inline void unlock(Lock *l) { ReleaseSRWLockExclusive(l); }
static inline void wait_for(Condition *c, Lock *l) { SleepConditionVariableSRW(c, l, INFINITE, 0); }
static inline void wake_one(Condition *c) { WakeConditionVariable(c); }
static inline void wake_all(Condition *c) { WakeAllConditionVariable(c); }
static inline void lock_init(Lock *l, Condition *c) {
    InitializeSRWLock(l);
    InitializeConditionVariable(c);
}
static inline void lock_end(Lock *l, Condition *c) { (void)l, (void)c; }

typedef DWORD ThreadResult;
#define THREAD_CALL WINAPI
static inline int thread_start(ThreadResult (WINAPI *body)(void *)) {
    HANDLE thread = CreateThread(
        NULL, THREAD_STACK, body, NULL, STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    if (thread) CloseHandle(thread);
    return thread != NULL;
}

static inline int processors(void) {
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return (int)info.dwNumberOfProcessors;
}
static inline void at_fork(void (*before)(void), void (*in_parent)(void), void (*in_child)(void)) {
    (void)before, (void)in_parent, (void)in_child;      /* Windows has no fork */
}

#else
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

typedef pthread_mutex_t Lock;
typedef pthread_cond_t Condition;
#define LOCK_INITIAL PTHREAD_MUTEX_INITIALIZER
#define CONDITION_INITIAL PTHREAD_COND_INITIALIZER

static inline void lock(Lock *l) { pthread_mutex_lock(l); }
static inline void unlock(Lock *l) { pthread_mutex_unlock(l); }
static inline void wait_for(Condition *c, Lock *l) { pthread_cond_wait(c, l); }
static inline void wake_one(Condition *c) { pthread_cond_signal(c); }
static inline void wake_all(Condition *c) { pthread_cond_broadcast(c); }
static inline void lock_init(Lock *l, Condition *c) {
    pthread_mutex_init(l, NULL);
    pthread_cond_init(c, NULL);
}
static inline void lock_end(Lock *l, Condition *c) {
    pthread_mutex_destroy(l);
    pthread_cond_destroy(c);
}

typedef void *ThreadResult;
#define THREAD_CALL
/* The thread takes no signal but its own faults, so that signals interrupt the thread of Python. */
static inline int thread_start(ThreadResult (*body)(void *)) {
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t blocked, before;
    int failed;
    sigfillset(&blocked);
    for (int i = 0; i < 4; i++) sigdelset(&blocked, faults[i]);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, THREAD_STACK);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    failed = pthread_create(&thread, &attributes, body, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return !failed;
}

static inline int processors(void) { return (int)sysconf(_SC_NPROCESSORS_ONLN); }
static inline void at_fork(void (*before)(void), void (*in_parent)(void), void (*in_child)(void)) {
    pthread_atfork(before, in_parent, in_child);
}
#endif

/* Numbers that several threads read and change. `atomic_add` returns the number before. */
#ifdef _MSC_VER
static inline ptrdiff_t atomic_add(ptrdiff_t *number, ptrdiff_t more) {
    return InterlockedExchangeAdd64((volatile LONG64 *)number, more);
}
static inline ptrdiff_t atomic_read(const ptrdiff_t *number) {
    MemoryBarrier();
    return *(const volatile ptrdiff_t *)number;
}
static inline void relax(void) { YieldProcessor(); }
#else
static inline ptrdiff_t atomic_add(ptrdiff_t *number, ptrdiff_t more) {
    return __atomic_fetch_add(number, more, __ATOMIC_SEQ_CST);
}
static inline ptrdiff_t atomic_read(const ptrdiff_t *number) {
    return __atomic_load_n(number, __ATOMIC_SEQ_CST);
}
static inline void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}
#endif

#endif
