/* Team: the threads that compute one call together, out of one pool for the whole process.
 *
 * A call is a row of phases, each cut into strips. Whoever is free takes the next strip. A phase is
 * complete when all its strips are done, and only then the next one begins.
 *
 *     caller   |  strip 0 | strip 3 |  spins, sleeps  | strip 0  |  strip 2  |
 *     worker   ~ wakes | strip 1 | strip 2            | strip 1       | spins |
 *     worker   ~ comes late, finds no strip, ...                              ~ sleeps
 *                          phase 0                    ^ complete: phase 1
 *
 * Nobody waits for a thread, only for strips: a worker that comes late, or never, costs time and
 * never correctness. So a call never waits until a worker is free or has gone: it opens its team,
 * begins, and idle workers join while there are seats. Whoever leaves last frees the memory.
 *
 * Who waits first spins for SPIN_SECONDS, because waking a thread that sleeps takes 5 to 50
 * microseconds, and then sleeps, because on a busy machine the others may need the processor. With
 * two threads, the first call of a burst of MobileNetV1 0.25-128 took 0.90 ms after spins of at most
 * 0.1 ms, 0.75 after 0.3 and 0.73 after 1; beside two busy processes the median of MobileNetV2 was
 * 13.6, 14.0 and 16.0 ms (GNU OpenMP: 21.6, and 68 at its 95th percentile).
 *
 * The pool grows while calls ask for more threads than are free: up to the processors, or to the
 * threads of one call if these are more. A thread that the system refuses is done without.
 */
#ifndef DSCONV_TEAM_H
#define DSCONV_TEAM_H

#include "platform.h"
#include "threads.h"

static const double SPIN_SECONDS = 300e-6;

typedef struct Team Team;
struct Team {
    void (*compute)(Team *team, int seat);      /* what each thread does, with a seat of its own */
    int seats, taken;           /* seat 0 is the caller's; `taken` and `next` belong to the pool */
    Team *next;
    ptrdiff_t holders;          /* threads that may still look at this team; 0 before `team_run` */
    ptrdiff_t complete;         /* phases that are complete */
    ptrdiff_t asleep;           /* threads that sleep until the next phase is complete */
    ptrdiff_t forks;            /* of the process, when the team was opened */
    Lock lock;
    Condition completion;
};

typedef struct {
    Lock lock;
    Condition offer;
    Team *open;                 /* the teams of all calls that run */
    ptrdiff_t offers;           /* teams opened so far */
    int threads, busy, asleep, processors;
    ptrdiff_t forks;            /* of the process: a child begins with an empty pool */
} Pool;

static Pool pool = {LOCK_INITIAL, CONDITION_INITIAL, NULL, 0, 0, 0, 0, 0, 0};

/* Spin until a number has grown to `least`; give up after SPIN_SECONDS. */
static inline int spin(const ptrdiff_t *number, ptrdiff_t least) {
    double end = 0;
    while (atomic_read(number) < least) {
        for (int i = 0; i < 16; i++) relax();
        if (end == 0) end = seconds() + SPIN_SECONDS;
        else if (seconds() > end) return 0;
    }
    return 1;
}

/* Wait until so many phases are complete. */
static inline void team_wait(Team *team, ptrdiff_t phases) {
    if (spin(&team->complete, phases)) return;
    lock(&team->lock);
    atomic_add(&team->asleep, 1);
    while (atomic_read(&team->complete) < phases) wait_for(&team->completion, &team->lock);
    atomic_add(&team->asleep, -1);
    unlock(&team->lock);
}

/* Say that a phase is complete: called by the thread that did its last strips. */
static inline void team_complete(Team *team) {
    atomic_add(&team->complete, 1);
    if (atomic_read(&team->asleep)) {
        lock(&team->lock);
        wake_all(&team->completion);
        unlock(&team->lock);
    }
}

static inline void team_leave(Team *team) {
    if (atomic_add(&team->holders, -1) == 1) {
        lock_end(&team->lock, &team->completion);
        memory_give(team);
    }
}

/* A worker: take a seat in any open team, compute, and so on for ever. */
static ThreadResult THREAD_CALL pool_thread(void *nothing) {
    (void)nothing;
    lock(&pool.lock);
    for (;;) {
        Team *team = pool.open;
        ptrdiff_t seen = pool.offers;
        while (team && team->taken == team->seats) team = team->next;
        if (team) {
            int seat = team->taken++;
            pool.busy++;
            atomic_add(&team->holders, 1);
            unlock(&pool.lock);
            team->compute(team, seat);
            team_leave(team);
            lock(&pool.lock);
            pool.busy--;
            continue;
        }
        unlock(&pool.lock);
        spin(&pool.offers, seen + 1);
        lock(&pool.lock);
        while (pool.offers == seen) {
            pool.asleep++;
            wait_for(&pool.offer, &pool.lock);
            pool.asleep--;
        }
    }
    return (ThreadResult)0;
}

/* A fork takes the pool as it is between two changes, and none of its threads. */
static inline void fork_begins(void) { lock(&pool.lock); }
static inline void fork_in_parent(void) { unlock(&pool.lock); }
static inline void fork_in_child(void) {
    Pool empty = {LOCK_INITIAL, CONDITION_INITIAL, NULL, 0, 0, 0, 0, 0, 0};
    empty.processors = pool.processors;
    empty.forks = pool.forks + 1;
    pool = empty;
}

/* Start threads until so many are free, as far as the limit and the system let us. */
static inline void pool_grow(int wanted) {
    if (!pool.processors) {
        pool.processors = processors();
        at_fork(fork_begins, fork_in_parent, fork_in_child);
    }
    while (pool.threads - pool.busy < wanted) {
        if (pool.threads >= wanted && pool.threads >= pool.processors - 1) return;
        if (!thread_start(pool_thread)) return;
        pool.threads++;
    }
}

/* Let workers take the free seats of a team, and wake as many as sleep and are needed. */
static inline void pool_offer(Team *team) {
    int wanted = team->seats - 1, awake;
    lock(&pool.lock);
    if (pool.threads - pool.busy < wanted) pool_grow(wanted);
    team->next = pool.open;
    pool.open = team;
    atomic_add(&pool.offers, 1);
    awake = pool.threads - pool.busy - pool.asleep;
    if (wanted - awake >= pool.asleep) wake_all(&pool.offer);
    else for (; awake < wanted; awake++) wake_one(&pool.offer);
    unlock(&pool.lock);
}

static inline void pool_withdraw(Team *team) {
    Team **place = &pool.open;
    lock(&pool.lock);
    while (*place && *place != team) place = &(*place)->next;
    if (*place) *place = team->next;            /* it is not in the pool of a forked child */
    unlock(&pool.lock);
}

/* Compute with the caller and the workers that are free; return when all phases are complete. */
static inline void team_run(Team *team) {
    team->taken = 1;
    atomic_add(&team->holders, 1);
    team->forks = pool.forks;
    lock_init(&team->lock, &team->completion);
    if (team->seats > 1) pool_offer(team);
    team->compute(team, 0);
    if (team->seats > 1) pool_withdraw(team);
    team_leave(team);
}

/* Return 1 if the process has forked since, so that the other threads of the team are gone. */
static inline int team_is_lost(const Team *team) {
    return team->seats > 1 && team->forks != pool.forks;
}

#endif
