/* SPDX-License-Identifier: MIT */
#include "lua/modules/mourning.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "common/clock.h"
#include "lua/modules/deaths.h"
#include "lua/modules/kin.h"
#include "lua/runtime_inside.h"
#include "lua/schedule/deadlock.h"
#include "lua/schedule/reactor.h"
#include "lua/schedule/scheduler.h"
#include "lua/schedule/scope.h"

/* Once it is posted, the reactor's alone. */
struct mourning {
	struct sl_runtime *runtime;
	struct sl_scope *scope; /* held */
	uint64_t goroutine;
	int64_t until_ns;
	struct sl_deaths deaths;
	struct sl_watch *watch; /* of the next death */
	struct sl_timer *limit;
};

static void tell(struct mourning *mourning)
{
	char text[200];

	if (sl_deaths_describe(&mourning->deaths, text, sizeof(text)))
		sl_runtime_emit_log(mourning->runtime, SL_LOG_WARNING, mourning->goroutine,
			sl_bytes_of(text), NULL);
}

static void end(void *ctx)
{
	struct mourning *mourning = ctx;
	struct sl_runtime *runtime = mourning->runtime;

	sl_watch_free(mourning->watch);
	sl_timer_free(mourning->limit);
	sl_deaths_next(&mourning->deaths); /* what happened while we were late */
	sl_kin_reap();
	tell(mourning);
	sl_deaths_deinit(&mourning->deaths);
	if (sl_scope_release(mourning->scope))
		sl_scheduler_stop(runtime->scheduler);
	else
		sl_deadlock_check(runtime); /* which nobody could see so far */
	free(mourning);
}

static void on_death(void *ctx, unsigned what);

/* To the next one that is not gone. */
static void go_on(struct mourning *mourning)
{
	int fd = sl_deaths_next(&mourning->deaths);

	if (fd < 0 || sl_reactor_watch(mourning->runtime->reactor, fd, SL_REACTOR_READ,
			      on_death, mourning, &mourning->watch, NULL) != 0)
		end(mourning);
}

static void on_death(void *ctx, unsigned what)
{
	struct mourning *mourning = ctx;

	(void)what;
	sl_watch_free(sl_steal(mourning->watch));
	go_on(mourning);
}

static void begin(void *ctx)
{
	struct mourning *mourning = ctx;

	if (sl_reactor_timer(mourning->runtime->reactor, mourning->until_ns, end, mourning,
		    &mourning->limit, NULL) == 0)
		go_on(mourning);
	else
		end(mourning);
}

static struct mourning *new_mourning(struct sl_goroutine *goroutine)
{
	struct mourning *mourning = calloc(1, sizeof(*mourning));

	if (!mourning)
		return NULL;
	mourning->runtime = goroutine->runtime;
	mourning->scope = goroutine->scope;
	mourning->goroutine = goroutine->id;
	mourning->until_ns = sl_clock_monotonic_ns() + SL_DEATHS_NS;
	return mourning;
}

/* The goroutine whose turn it is on this thread, as long as it is in its scope. */
static struct sl_goroutine *current(void)
{
	struct sl_worker *worker = sl_worker_self();
	struct sl_goroutine *goroutine = worker ? atomic_load(&worker->running) : NULL;

	return goroutine && goroutine->scope ? goroutine : NULL;
}

void sl_mourn(struct sl_deaths *deaths)
{
	struct sl_goroutine *goroutine = current();
	struct mourning *mourning;

	if (deaths->n == 0 && deaths->spared == 0)
		return;
	mourning = goroutine ? new_mourning(goroutine) : NULL;
	if (!mourning) { /* nobody who would wait for it */
		sl_deaths_deinit(deaths);
		return;
	}
	mourning->deaths = *deaths;
	*deaths = (struct sl_deaths)SL_DEATHS_INIT;
	sl_scope_hold(mourning->scope);
	if (sl_reactor_post(mourning->runtime->reactor, begin, mourning, NULL) == 0)
		return;
	sl_scope_release(mourning->scope); /* the goroutine is still in it */
	sl_deaths_deinit(&mourning->deaths);
	free(mourning);
}

void sl_mourn_kin(struct sl_kin *kin)
{
	struct sl_deaths deaths = SL_DEATHS_INIT;

	sl_kin_kill(kin, &deaths);
	sl_kin_abandon(kin);
	sl_mourn(&deaths);
}
