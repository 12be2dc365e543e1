/* Teams without Python: several callers at once, many short phases, and every strip checked. */
#include <stdio.h>
#include <string.h>

#include "frame/team.h"

enum { PHASES = 12, STRIPS = 7, CALLS = 300, CALLERS = 4 };

typedef struct {
    Team team;
    ptrdiff_t taken[PHASES], done[PHASES], errors;
    ptrdiff_t *strips;          /* (PHASES, STRIPS): how often each strip was computed */
} Job;

static void compute(Team *team, int seat) {
    Job *job = (Job *)team;
    (void)seat;
    for (int phase = 0; phase < PHASES; phase++) {
        ptrdiff_t mine = 0, strip;
        while ((strip = atomic_add(&job->taken[phase], 1)) < STRIPS) {
            if (phase && job->strips[(phase - 1) * STRIPS + strip] != 1) atomic_add(&job->errors, 1);
            job->strips[phase * STRIPS + strip] += 1;
            mine++;
        }
        if (mine && atomic_add(&job->done[phase], mine) + mine == STRIPS) team_complete(team);
        team_wait(team, phase + 1);
    }
}

static ptrdiff_t failures;
static ptrdiff_t callers_done;

static ThreadResult THREAD_CALL caller(void *nothing) {
    (void)nothing;
    for (int call = 0; call < CALLS; call++) {
        ptrdiff_t strips[PHASES * STRIPS] = {0};
        Job *job = memory_take(sizeof(Job));
        memset(job, 0, sizeof(Job));
        job->team.compute = compute;
        job->team.seats = 1 + call % 5;
        job->strips = strips;
        atomic_add(&job->team.holders, 1);      /* to look at `errors` afterwards */
        team_run(&job->team);
        for (int i = 0; i < PHASES * STRIPS; i++)
            if (strips[i] != 1) atomic_add(&failures, 1);
        if (atomic_read(&job->errors)) atomic_add(&failures, 1);
        team_leave(&job->team);
    }
    atomic_add(&callers_done, 1);
    return (ThreadResult)0;
}

int main(void) {
    int callers = 1;
    for (; callers < CALLERS; callers++)
        if (!thread_start(caller)) break;
    caller(NULL);
    while (atomic_read(&callers_done) < callers) relax();
    printf("%d failures\n", (int)atomic_read(&failures));
    return atomic_read(&failures) != 0;
}
