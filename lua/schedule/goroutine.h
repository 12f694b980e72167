/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Goroutine: a function that runs in a Lua state of its own, on whichever thread
 * has time. While it waits it holds no thread.
 *
 * A function in C that has to wait fills the goroutine's struct sl_wait and
 * returns sl_goroutine_wait(), from which it goes on in its continuation. The
 * wait begins after the goroutine has really stopped, so that no wake-up is
 * lost, and whatever ends it, leave() is called before anything else.
 *
 * Threads: a goroutine belongs to the thread that runs it, or to whoever took it
 * out of a queue. sl_goroutine_wake() and sl_goroutine_stop(): any.
 */

#include <lua.h>

#include "common/base.h"
#include "common/parcel.h"
#include "lua/schedule/deadlines.h"
#include "lua/state/home.h"

struct sl_error;
struct sl_goroutine;
struct sl_runtime;
struct sl_body;
struct sl_scope;
struct sl_seat;
struct sl_seats;
struct sl_share;
struct sl_wait;
struct sl_worker;

enum sl_goroutine_kind {
	SL_GOROUTINE_MAIN,
	SL_GOROUTINE_SPAWN,
	SL_GOROUTINE_ASYNC,
	SL_GOROUTINE_POOL,
	SL_GOROUTINE_TIMEOUT,
};

/* How a goroutine ended. Whoever gets it owns the parcel, in which all of it lies. */
struct sl_outcome {
	bool ok;
	bool stopped; /* it didn't end, it was ended */
	struct sl_parcel *parcel;
	struct sl_value *values; /* ok: what it returned */
	size_t n_values;
	struct sl_value error;      /* else: what it raised */
	struct sl_bytes traceback;  /* of error; empty when it returned nil and a message */
	double wait_ms, run_ms;     /* before it began, and from then to its end */
	struct sl_account *account; /* that the parcel weighs on; NULL: none */
	size_t charged;
};

void sl_outcome_deinit(struct sl_outcome *outcome);

/* What a goroutine begins with. */
struct sl_start {
	enum sl_goroutine_kind kind;
	struct sl_scope *scope;
	/* The function and its arguments; the parcel is handed over. */
	struct sl_parcel *parcel;
	struct sl_value *values;
	size_t n_values;
	struct sl_share *share; /* what it captured; handed over, may be NULL */
	/* The function's body: values are what it captured, then its arguments. Handed over;
	 * NULL: the function is the first value. */
	struct sl_body *body;
	/* With a body: where its state may come from, and goes to. Borrowed until ended(). */
	struct sl_seats *seats;
	/* Instead of values: pushes function and arguments, at least one value, or fails. */
	int (*begin)(void *ctx, lua_State *L, struct sl_error *err);
	bool wants_values;   /* what it returns matters */
	bool nil_is_failure; /* nil and a message is a failure */
	/* Called when it has ended and its state is gone; takes the outcome. May be NULL. */
	void (*ended)(void *ctx, struct sl_goroutine *goroutine, struct sl_outcome *outcome);
	void *ctx;
};

/* ---- waiting ---- */

enum sl_wake {
	SL_WAKE_READY,    /* what it waited for is there */
	SL_WAKE_DEADLINE, /* its time was over */
	SL_WAKE_STOP,     /* it has to end */
	SL_WAKE_DEADLOCK, /* nothing will ever wake it: its call raises */
};

/* A place in an object's line of waiters; the object's lock guards it. */
struct sl_waiter {
	struct sl_goroutine *goroutine;
	struct sl_waiter *prev, *next;
	bool linked;
};

struct sl_waiters {
	struct sl_waiter *first, *last;
};

struct sl_wait_kind {
	const char *name; /* "wait group": for messages */
	/* Something outside of the goroutines may end it: a process, a socket. */
	bool external;
	/* Its caller is told of a deadlock and raises it when it has put things right; any
	 * other call raises at once. */
	bool hears_deadlock;
	/* The goroutine has stopped: puts it where it will be found. False: there is nothing to
	 * wait for any more. NULL: only the deadline. */
	bool (*enter)(struct sl_goroutine *goroutine, struct sl_wait *wait);
	/* It will go on: takes it out again, if it is still there. May be NULL. */
	void (*leave)(struct sl_goroutine *goroutine, struct sl_wait *wait);
	/* It was to go on, or began to wait, but has been stopped before its caller did: gives
	 * back what it has been handed meanwhile. After leave(). May be NULL. */
	void (*abandon)(struct sl_goroutine *goroutine, struct sl_wait *wait);
	/* Writes what there is to say about this wait: " (2 to go)". May be NULL. */
	void (*describe)(const struct sl_wait *wait, char *text, size_t size);
};

struct sl_wait {
	const struct sl_wait_kind *kind;
	void *object;        /* kind's */
	int64_t deadline_ns; /* 0: none */
	struct sl_waiter waiter;
	uint64_t token;     /* kind's */
	bool granted;       /* kind's: it has what it waits for */
	bool pending;       /* its caller hasn't gone on yet */
	enum sl_wake woken; /* why it ended */
	lua_KFunction k;    /* where its caller goes on */
	lua_KContext ctx;
};

struct sl_goroutine {
	struct sl_goroutine *next; /* a scheduler's queue */
	uint64_t id;
	struct sl_runtime *runtime;
	struct sl_start start;

	struct sl_scope *scope;                       /* shares */
	struct sl_goroutine *scope_prev, *scope_next; /* guarded by: the scopes' lock */

	bool begun;
	struct sl_share *share; /* what it has in common with others; NULL: nothing */
	struct sl_home home;
	struct sl_seat *seat; /* that its state is of; NULL: none */
	lua_State *co;        /* its body, in the state */
	int n_args;           /* on co, for the next resume */
	int request;          /* enum sl_request: why it yielded */
	size_t charged;       /* bytes in the task's account beside the state */
	int64_t started_ns, begun_ns;
	unsigned n_spawned; /* since it last let others run */

	struct sl_wait wait;
	struct sl_deadline deadline; /* of wait */
	_Atomic unsigned phase;      /* futex, enum sl_phase */
	_Atomic bool blocking;       /* it waits on its thread; atomic: read by who wakes it */
	_Atomic bool hopeless;       /* only another goroutine can end its wait */
	_Atomic uint64_t n_turns;    /* how often it has been run */
	_Atomic bool stopping;       /* it has to end: set once, by any thread */
	bool told;                   /* and its code has been interrupted for it */
	int64_t closing_until_ns;    /* its worker's pressed_ns when it is disturbed again */
	struct sl_handle *let_go;    /* shares; see sl_mutex_let_go() */
	/* Coroutines through which its last yield passed, the innermost first. */
	lua_State **passed;
	size_t n_passed, room_passed;
	struct sl_worker *_Atomic worker; /* the one that runs it; NULL: none */
};

/* Gives back what was handed over in @start. */
void sl_start_deinit(struct sl_start *start);

/* Begins a goroutine. Takes what @start has, also on failure. */
int sl_goroutine_start(struct sl_runtime *runtime, const struct sl_start *start,
	struct sl_error *err) sl_must_check;

/* The one that runs @L. */
struct sl_goroutine *sl_goroutine_of(lua_State *L);

/* For the scheduler: its next turn on this thread. */
void sl_goroutine_run(struct sl_goroutine *goroutine, struct sl_worker *worker);

/* Frees one that never ran, or doesn't any more: for a runtime that is over. */
void sl_goroutine_drop(struct sl_goroutine *goroutine);

/* Lets others run. To be returned by a function in C, as its last act, with the @n_results that
 * it has pushed. */
int sl_goroutine_yield(lua_State *L, int n_results);

/* The same, to go on in @k(L, LUA_YIELD, ctx); only where Lua can yield. */
int sl_goroutine_yield_to(lua_State *L, lua_KContext ctx, lua_KFunction k);

/* As sl_goroutine_yield(), but each 32nd time only: for one that begins many goroutines, which
 * then run while their memory is warm. */
int sl_goroutine_pace(lua_State *L, int n_results);

/* For whoever resumes a coroutine inside of a goroutine: whether it yielded because the
 * goroutine has to wait or to stop, which is to be passed on to the outside. */
bool sl_goroutine_requests(lua_State *L);
/* It is passed on through @co. */
void sl_goroutine_pass(lua_State *L, lua_State *co);
void sl_goroutine_forget_request(lua_State *L);

/* Does what was requested on this thread, where it can't be passed on. False: the goroutine has
 * to stop, by an error. [-0, +0, v] */
bool sl_goroutine_serve(lua_State *L) sl_must_check;

/* Prepares the wait of the goroutine that runs @L; the caller fills in what it needs. */
struct sl_wait *sl_goroutine_prepare(
	lua_State *L, const struct sl_wait_kind *kind, void *object, int64_t deadline_ns);

/* Waits as prepared and goes on in @k(L, LUA_YIELD, ctx), which finds in sl_goroutine_woken()
 * why. To be returned by a function in C. Where Lua can't yield it blocks the thread. */
int sl_goroutine_wait(lua_State *L, lua_KContext ctx, lua_KFunction k);

enum sl_wake sl_goroutine_woken(lua_State *L);

/* For the deadlines: its time to wait is over. */
void sl_goroutine_deadline(struct sl_deadline *deadline);

/* Ends the wait of @goroutine; false if something else has. Under the lock of the object in
 * whose line it was found. */
bool sl_goroutine_wake(struct sl_goroutine *goroutine, enum sl_wake why);

/* For a deadlock: whether it waits, and only another goroutine could wake it; and how often it
 * has been run so far. Under the scopes' lock. */
bool sl_goroutine_is_stuck(struct sl_goroutine *goroutine);
uint64_t sl_goroutine_turns(struct sl_goroutine *goroutine);

/* It runs no further when it has waited for something. Under the scopes' lock. */
void sl_goroutine_doom(struct sl_goroutine *goroutine);

/* Makes it end, wherever it is; returns at once. Under the scopes' lock. */
void sl_goroutine_stop(struct sl_goroutine *goroutine);

/* Its code is about to be interrupted because it has to stop: whatever it returns from then on,
 * it hasn't come to an end of its own. */
void sl_goroutine_tell(lua_State *L);

/* For a hook of @L, where Lua can yield: the same as the functions around here. */
void sl_goroutine_yield_in_hook(lua_State *L);
void sl_goroutine_stop_in_hook(lua_State *L);

/* Ends the goroutine that calls it, as if stopped. To be returned by a function in C. */
int sl_goroutine_stop_self(lua_State *L);

/* Under the object's lock: */
void sl_waiters_add(struct sl_waiters *waiters, struct sl_waiter *waiter);
void sl_waiters_remove(struct sl_waiters *waiters, struct sl_waiter *waiter);
/* Wakes the first one that can still be woken; false: there was none. */
bool sl_waiters_wake_one(struct sl_waiters *waiters);
void sl_waiters_wake_all(struct sl_waiters *waiters);
