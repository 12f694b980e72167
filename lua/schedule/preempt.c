/* SPDX-License-Identifier: MIT */
#include "lua/schedule/preempt.h"

#include <lauxlib.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "lua/schedule/goroutine.h"
#include "lua/schedule/scheduler.h"
#include "lua/schedule/tsan.h"
#include "lua/state/home.h"

#define SIGNAL SIGURG /* ignored by whoever doesn't know it */
#define MORE_THAN_THERE_IS ((size_t)1 << 60)

static __thread struct sl_worker *self;

/* Lua calls it before an instruction of @L. */
static void hook(lua_State *L, lua_Debug *info)
{
	struct sl_goroutine *goroutine = sl_goroutine_of(L);

	(void)info;
	lua_sethook(L, NULL, 0, 0);
	if (!atomic_load(&goroutine->stopping)) {
		if (lua_isyieldable(L))
			sl_goroutine_yield_in_hook(L);
		return;
	}
	/* What closes its variables has a while for it, during which it isn't disturbed. */
	if (goroutine->closing_until_ns > 0 &&
		goroutine->closing_until_ns > atomic_load(&self->pressed_ns))
		return;
	if (lua_isyieldable(L)) {
		sl_goroutine_stop_in_hook(L);
		return;
	}
	sl_goroutine_tell(L);
	lua_sethook(L, hook, LUA_MASKCOUNT, 1);
	/* A message handler is called inside of this hook, where no hook can end it. Lack of
	 * memory is the one error that no handler hears of; it costs a collection. */
	if (sl_home_of(L)->has_handlers)
		lua_newuserdatauv(L, MORE_THAN_THERE_IS, 0);
	luaL_error(L, "stopped");
}

/* lua_sethook() is made for signal handlers on the thread that runs the state. */
SL_TSAN_UNSEEN static void on_signal(int signum)
{
	lua_State *L = self ? self->current : NULL;

	(void)signum;
	if (L)
		lua_sethook(L, hook, LUA_MASKCOUNT, 1);
}

static void install(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	sigemptyset(&action.sa_mask);
	sl_tsan_sigaction(SIGNAL, &action);
}

void sl_preempt_setup(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, install);
}

void sl_preempt_admit(struct sl_worker *worker)
{
	sigset_t set;

	self = worker;
	if (!worker)
		return;
	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void sl_preempt_after(lua_State *L, int n_instructions)
{
	lua_sethook(L, hook, LUA_MASKCOUNT, n_instructions);
}

int sl_preempt_raise(lua_State *L)
{
	sl_goroutine_tell(L);
	lua_sethook(L, hook, LUA_MASKCOUNT, 1);
	return luaL_error(L, "stopped");
}

void sl_preempt(struct sl_worker *worker)
{
	pthread_kill(worker->thread, SIGNAL);
}
