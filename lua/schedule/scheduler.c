/* SPDX-License-Identifier: MIT */
#include "lua/schedule/scheduler.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "lua/schedule/goroutine.h"
#include "lua/schedule/preempt.h"
#include "lua/schedule/queue.h"
#include "lua/state/region.h"

enum {
	MAX_THREADS = 256,
	MAX_SPARES = 64,  /* threads that blocked, beside those that run */
	BATCH = 32,       /* most that one look into the common queue takes */
	SPIN_NS = 40000,  /* before a thread without work goes to sleep */
	SPIN_ROUNDS = 64, /* between two looks at the clock */
};

/* Where a goroutine that is ready goes. */
enum place {
	AT_THE_END, /* of this thread's queue, if it has one */
	IN_FRONT,   /* by chance only, and the next */
	IN_COMMON,
	N_PLACES,
};

struct processor {
	pthread_mutex_t lock;
	struct sl_queue queue;    /* guarded by: lock */
	_Atomic unsigned n_picks; /* atomic: it may be taken from a thread that looks at it */
	struct processor *next_free;
};

struct sl_scheduler {
	void (*busy)(void *ctx); /* immutable after new, and the next two */
	void (*idle)(void *ctx);
	void *ctx;
	unsigned n_processors;
	struct processor *processors; /* immutable after new */
	uint64_t seed;                /* immutable once it runs; 0: none */

	pthread_mutex_t inject_lock;
	struct sl_queue inject; /* guarded by: inject_lock */

	_Atomic unsigned wake_seq; /* futex: threads that have a processor and no work */
	_Atomic unsigned n_sleeping, n_spinning;
	_Atomic bool running, stopped;

	pthread_mutex_t lock;
	pthread_cond_t spares;     /* threads without a processor */
	struct processor *free;    /* guarded by: lock */
	_Atomic unsigned n_free;   /* atomic: written under lock, read as a hint */
	unsigned n_spares;         /* guarded by: lock; how many wait on spares */
	unsigned n_workers;        /* guarded by: lock */
	struct sl_worker *workers; /* guarded by: lock */
};

static __thread struct sl_worker *self;

struct sl_worker *sl_worker_self(void)
{
	return self;
}

/* ---- picking ---- */

static void push_chain(struct processor *processor, struct sl_goroutine *chain, size_t n)
{
	if (!chain)
		return;
	pthread_mutex_lock(&processor->lock);
	sl_queue_push_chain(&processor->queue, chain, n);
	pthread_mutex_unlock(&processor->lock);
}

static struct sl_goroutine *take_own(struct processor *processor)
{
	struct sl_goroutine *goroutine;
	size_t n;

	if (sl_queue_length(&processor->queue) == 0)
		return NULL;
	pthread_mutex_lock(&processor->lock);
	goroutine = sl_queue_pop(&processor->queue, 1, &n);
	pthread_mutex_unlock(&processor->lock);
	return goroutine;
}

/* Keeps the first of a chain and queues the rest. */
static struct sl_goroutine *keep_first(
	struct processor *processor, struct sl_goroutine *chain, size_t n)
{
	if (chain && chain->next) {
		push_chain(processor, chain->next, n - 1);
		chain->next = NULL;
	}
	return chain;
}

static struct sl_goroutine *take_injected(
	struct sl_scheduler *scheduler, struct processor *processor)
{
	struct sl_goroutine *chain;
	size_t n = sl_queue_length(&scheduler->inject);

	if (n == 0)
		return NULL;
	n = n / scheduler->n_processors + 1;
	pthread_mutex_lock(&scheduler->inject_lock);
	chain = sl_queue_pop(&scheduler->inject, n < BATCH ? n : BATCH, &n);
	pthread_mutex_unlock(&scheduler->inject_lock);
	return keep_first(processor, chain, n);
}

/* Looks at the others from the one @first places behind @processor on. */
static struct sl_goroutine *steal(
	struct sl_scheduler *scheduler, struct processor *processor, size_t first)
{
	size_t me = (size_t)(processor - scheduler->processors);

	for (size_t i = 0; i < scheduler->n_processors; i++) {
		struct processor *other =
			&scheduler->processors[(me + first + i) % scheduler->n_processors];
		struct sl_goroutine *chain;
		size_t n = sl_queue_length(&other->queue);

		if (n == 0 || other == processor)
			continue;
		pthread_mutex_lock(&other->lock);
		chain = sl_queue_pop(
			&other->queue, (sl_queue_length(&other->queue) + 1) / 2, &n);
		pthread_mutex_unlock(&other->lock);
		if (chain)
			return keep_first(processor, chain, n);
	}
	return NULL;
}

/* Any of the queues may come first. */
static struct sl_goroutine *pick_by_chance(
	struct sl_worker *worker, struct processor *processor)
{
	struct sl_scheduler *scheduler = worker->scheduler;
	struct sl_goroutine *goroutine = NULL;
	unsigned first = sl_chance_draw(&worker->chance, 3);
	unsigned other = sl_chance_draw(&worker->chance, scheduler->n_processors);

	for (unsigned i = 0; i < 3 && !goroutine; i++) {
		switch ((first + i) % 3) {
		case 0:
			goroutine = take_own(processor);
			break;
		case 1:
			goroutine = take_injected(scheduler, processor);
			break;
		default:
			goroutine = steal(scheduler, processor, other);
			break;
		}
	}
	return goroutine;
}

static struct sl_goroutine *pick(struct sl_worker *worker, struct processor *processor)
{
	struct sl_scheduler *scheduler = worker->scheduler;
	struct sl_goroutine *goroutine = NULL;

	if (sl_chance_is(&worker->chance))
		return pick_by_chance(worker, processor);
	if (atomic_fetch_add_explicit(&processor->n_picks, 1, memory_order_relaxed) % 2)
		goroutine = take_injected(scheduler, processor);
	if (!goroutine)
		goroutine = take_own(processor);
	if (!goroutine)
		goroutine = take_injected(scheduler, processor);
	if (!goroutine)
		goroutine = steal(scheduler, processor, 1);
	return goroutine;
}

size_t sl_scheduler_queued(struct sl_scheduler *scheduler)
{
	size_t n = atomic_load(&scheduler->inject.n);

	for (unsigned i = 0; i < scheduler->n_processors; i++)
		n += atomic_load(&scheduler->processors[i].queue.n);
	return n;
}

/* ---- threads without work ---- */

static bool stopped(struct sl_scheduler *scheduler)
{
	return atomic_load_explicit(&scheduler->stopped, memory_order_acquire);
}

/* A word to the processor that this is a wait. */
static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("yield");
#endif
}

/* Looks around for a moment: work often comes soon, and waking a thread costs more. */
static void spin(struct sl_scheduler *scheduler)
{
	unsigned spinning = atomic_load(&scheduler->n_spinning);
	int64_t end;

	if (scheduler->n_processors == 1 || spinning * 2 >= scheduler->n_processors)
		return;
	atomic_fetch_add(&scheduler->n_spinning, 1);
	end = sl_clock_monotonic_ns() + SPIN_NS;
	do {
		for (int i = 0; i < SPIN_ROUNDS; i++)
			relax();
	} while (sl_scheduler_queued(scheduler) == 0 && !stopped(scheduler) &&
		 sl_clock_monotonic_ns() < end);
	atomic_fetch_sub(&scheduler->n_spinning, 1);
}

/* Whoever queues something after n_sleeping was raised sees it and wakes; whoever did before
 * is seen here. */
static void sleep_idle(struct sl_scheduler *scheduler)
{
	unsigned seq, n_asleep;

	spin(scheduler);
	seq = atomic_load(&scheduler->wake_seq);
	n_asleep = atomic_fetch_add(&scheduler->n_sleeping, 1) + 1;
	if (n_asleep + atomic_load(&scheduler->n_free) >= scheduler->n_processors &&
		sl_scheduler_queued(scheduler) == 0 && !stopped(scheduler))
		scheduler->idle(scheduler->ctx);
	if (sl_scheduler_queued(scheduler) == 0 && !stopped(scheduler))
		syscall(SYS_futex, &scheduler->wake_seq, FUTEX_WAIT_PRIVATE, seq, NULL);
	atomic_fetch_sub(&scheduler->n_sleeping, 1);
}

static void wake_sleeping(struct sl_scheduler *scheduler, int n)
{
	atomic_fetch_add(&scheduler->wake_seq, 1);
	syscall(SYS_futex, &scheduler->wake_seq, FUTEX_WAKE_PRIVATE, n);
}

static void give_processor_locked(struct sl_scheduler *scheduler, struct processor *processor)
{
	processor->next_free = scheduler->free;
	scheduler->free = processor;
	atomic_fetch_add(&scheduler->n_free, 1);
}

static struct processor *get_processor_locked(struct sl_scheduler *scheduler)
{
	struct processor *processor = scheduler->free;

	if (processor) {
		scheduler->free = processor->next_free;
		atomic_fetch_sub(&scheduler->n_free, 1);
	}
	return processor;
}

static void *work(void *arg);

/* Starts a thread for a processor that nobody has. */
static void start_thread_locked(struct sl_scheduler *scheduler)
{
	struct sl_worker *worker;

	if (scheduler->n_workers >= scheduler->n_processors + MAX_SPARES)
		return;
	worker = calloc(1, sizeof(*worker));
	if (!worker)
		return;
	worker->scheduler = scheduler;
	sl_chance_init(&worker->chance, scheduler->seed, scheduler->n_workers);
	worker->processor = get_processor_locked(scheduler);
	if (pthread_create(&worker->thread, NULL, work, worker) != 0) {
		give_processor_locked(scheduler, worker->processor);
		free(worker); /* those that there are do the work */
		return;
	}
	worker->next = scheduler->workers;
	scheduler->workers = worker;
	scheduler->n_workers++;
}

static void employ_processor_locked(struct sl_scheduler *scheduler)
{
	if (!scheduler->free || stopped(scheduler))
		return;
	if (scheduler->n_spares > 0)
		pthread_cond_signal(&scheduler->spares);
	else
		start_thread_locked(scheduler);
}

static void employ_processor(struct sl_scheduler *scheduler)
{
	pthread_mutex_lock(&scheduler->lock);
	employ_processor_locked(scheduler);
	pthread_mutex_unlock(&scheduler->lock);
}

/* There is one more to run. */
static void call_for_help(struct sl_scheduler *scheduler)
{
	if (!atomic_load(&scheduler->running) || atomic_load(&scheduler->n_spinning) > 0)
		return;
	if (atomic_load(&scheduler->n_sleeping) > 0)
		wake_sleeping(scheduler, 1);
	else if (atomic_load(&scheduler->n_free) > 0)
		employ_processor(scheduler);
	else
		scheduler->busy(scheduler->ctx);
}

void sl_scheduler_ready(struct sl_scheduler *scheduler, struct sl_goroutine *goroutine)
{
	struct processor *processor =
		self && self->scheduler == scheduler ? atomic_load(&self->processor) : NULL;
	enum place place = AT_THE_END;

	if (processor && sl_chance_is(&self->chance))
		place = sl_chance_draw(&self->chance, N_PLACES);
	if (processor && place != IN_COMMON) {
		pthread_mutex_lock(&processor->lock);
		if (place == IN_FRONT)
			sl_queue_push_front(&processor->queue, goroutine);
		else
			sl_queue_push(&processor->queue, goroutine);
		pthread_mutex_unlock(&processor->lock);
	} else {
		pthread_mutex_lock(&scheduler->inject_lock);
		sl_queue_push(&scheduler->inject, goroutine);
		pthread_mutex_unlock(&scheduler->inject_lock);
	}
	call_for_help(scheduler);
}

/* Waits for a processor to have; false when it is all over. */
static bool await_processor(struct sl_worker *worker)
{
	struct sl_scheduler *scheduler = worker->scheduler;

	scheduler->idle(scheduler->ctx);
	pthread_mutex_lock(&scheduler->lock);
	scheduler->n_spares++;
	while (!stopped(scheduler) && !scheduler->free)
		pthread_cond_wait(&scheduler->spares, &scheduler->lock);
	atomic_store(&worker->processor, get_processor_locked(scheduler));
	scheduler->n_spares--;
	pthread_mutex_unlock(&scheduler->lock);
	return !stopped(scheduler);
}

bool sl_worker_block(struct sl_worker *worker)
{
	struct sl_scheduler *scheduler = worker->scheduler;
	struct processor *processor = atomic_exchange(&worker->processor, NULL);
	bool room;

	if (!processor)
		return true; /* it runs without one since it blocked before */
	pthread_mutex_lock(&scheduler->lock);
	room = scheduler->n_spares > 0 ||
	       scheduler->n_workers < scheduler->n_processors + MAX_SPARES;
	if (room)
		give_processor_locked(scheduler, processor);
	else
		atomic_store(&worker->processor, processor);
	pthread_mutex_unlock(&scheduler->lock);
	if (room && sl_scheduler_queued(scheduler) > 0)
		employ_processor(scheduler);
	return room;
}

void sl_worker_unblock(struct sl_worker *worker)
{
	struct sl_scheduler *scheduler = worker->scheduler;

	pthread_mutex_lock(&scheduler->lock);
	atomic_store(&worker->processor, get_processor_locked(scheduler));
	pthread_mutex_unlock(&scheduler->lock);
}

void sl_scheduler_retake_locked(struct sl_scheduler *scheduler, struct sl_worker *worker)
{
	struct processor *processor;

	if (scheduler->n_spares == 0 &&
		scheduler->n_workers >= scheduler->n_processors + MAX_SPARES)
		return;
	processor = atomic_exchange(&worker->processor, NULL);
	if (!processor)
		return;
	give_processor_locked(scheduler, processor);
	employ_processor_locked(scheduler);
}

void sl_worker_note_holdup(struct sl_worker *worker, uint64_t look, uint64_t goroutine)
{
	struct sl_holdup *holdup = &worker->holdup;

	holdup->goes_on = holdup->look + 1 == look && holdup->goroutine == goroutine;
	holdup->look = look;
	holdup->goroutine = goroutine;
}

static void work_until_stopped(struct sl_worker *worker)
{
	struct sl_scheduler *scheduler = worker->scheduler;

	self = worker;
	worker->tid = gettid();
	sl_preempt_admit(worker);
	while (!stopped(scheduler)) {
		struct processor *processor = atomic_load(&worker->processor);
		struct sl_goroutine *goroutine;

		if (!processor) {
			if (!await_processor(worker))
				break;
			continue;
		}
		goroutine = pick(worker, processor);
		if (!goroutine) {
			sleep_idle(scheduler);
			continue;
		}
		if (sl_scheduler_queued(scheduler) > 0)
			call_for_help(scheduler);
		sl_goroutine_run(goroutine, worker);
	}
	sl_preempt_admit(NULL);
	self = NULL;
}

static void *work(void *arg)
{
	struct sl_worker *worker = arg;

	work_until_stopped(worker);
	/* Who looks at this thread or sends it a signal has finished by then. */
	pthread_mutex_lock(&worker->scheduler->lock);
	worker->over = true;
	pthread_mutex_unlock(&worker->scheduler->lock);
	sl_region_flush();
	return NULL;
}

void sl_scheduler_stop(struct sl_scheduler *scheduler)
{
	atomic_store(&scheduler->stopped, true);
	wake_sleeping(scheduler, MAX_THREADS);
	pthread_mutex_lock(&scheduler->lock);
	pthread_cond_broadcast(&scheduler->spares);
	pthread_mutex_unlock(&scheduler->lock);
}

/* Takes the threads off the list one by one and waits for each. */
static void join_threads(struct sl_scheduler *scheduler)
{
	for (;;) {
		struct sl_worker *worker;

		pthread_mutex_lock(&scheduler->lock);
		worker = scheduler->workers;
		pthread_mutex_unlock(&scheduler->lock);
		if (!worker)
			return;
		pthread_join(worker->thread, NULL);
		pthread_mutex_lock(&scheduler->lock);
		for (struct sl_worker **at = &scheduler->workers; *at; at = &(*at)->next)
			if (*at == worker) {
				*at = worker->next;
				break;
			}
		pthread_mutex_unlock(&scheduler->lock);
		free(worker);
	}
}

void sl_scheduler_run(struct sl_scheduler *scheduler)
{
	struct sl_worker *worker = calloc(1, sizeof(*worker));
	struct sl_worker **at;

	assert(worker);
	worker->scheduler = scheduler;
	worker->thread = pthread_self();
	pthread_mutex_lock(&scheduler->lock);
	sl_chance_init(&worker->chance, scheduler->seed, scheduler->n_workers);
	worker->processor = get_processor_locked(scheduler);
	worker->next = scheduler->workers;
	scheduler->workers = worker;
	scheduler->n_workers++;
	pthread_mutex_unlock(&scheduler->lock);

	atomic_store(&scheduler->running, true);
	work_until_stopped(worker);

	pthread_mutex_lock(&scheduler->lock);
	for (at = &scheduler->workers; *at != worker; at = &(*at)->next)
		;
	*at = worker->next;
	pthread_mutex_unlock(&scheduler->lock);
	join_threads(scheduler);
	free(worker);
}

void sl_scheduler_each_worker(struct sl_scheduler *scheduler,
	void (*fn)(void *ctx, struct sl_worker *worker), void *ctx)
{
	pthread_mutex_lock(&scheduler->lock);
	for (struct sl_worker *worker = scheduler->workers; worker; worker = worker->next)
		if (!worker->over)
			fn(ctx, worker);
	pthread_mutex_unlock(&scheduler->lock);
}

/* ---- life ---- */

static unsigned count_cpus(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return n > 0 ? (unsigned)n : 1;
}

int sl_scheduler_new(unsigned n_threads, void (*busy)(void *ctx), void (*idle)(void *ctx),
	void *ctx, struct sl_scheduler **out, struct sl_error *err)
{
	struct sl_scheduler *scheduler = calloc(1, sizeof(*scheduler));

	if (n_threads == 0)
		n_threads = count_cpus();
	if (n_threads > MAX_THREADS)
		n_threads = MAX_THREADS;
	if (scheduler)
		scheduler->processors = calloc(n_threads, sizeof(struct processor));
	if (!scheduler || !scheduler->processors) {
		free(scheduler);
		return sl_fail(err, SL_ENOMEM, "not enough memory for a scheduler");
	}
	pthread_mutex_init(&scheduler->inject_lock, NULL);
	pthread_mutex_init(&scheduler->lock, NULL);
	pthread_cond_init(&scheduler->spares, NULL);
	sl_queue_init(&scheduler->inject);
	scheduler->busy = busy;
	scheduler->idle = idle;
	scheduler->ctx = ctx;
	scheduler->n_processors = n_threads;
	for (unsigned i = n_threads; i > 0; i--) {
		pthread_mutex_init(&scheduler->processors[i - 1].lock, NULL);
		sl_queue_init(&scheduler->processors[i - 1].queue);
		give_processor_locked(scheduler, &scheduler->processors[i - 1]);
	}
	*out = scheduler;
	return 0;
}

void sl_scheduler_seed(struct sl_scheduler *scheduler, uint64_t seed)
{
	scheduler->seed = seed;
}

void sl_scheduler_free(struct sl_scheduler *scheduler)
{
	if (!scheduler)
		return;
	assert(!scheduler->workers);
	for (unsigned i = 0; i < scheduler->n_processors; i++)
		pthread_mutex_destroy(&scheduler->processors[i].lock);
	pthread_mutex_destroy(&scheduler->inject_lock);
	pthread_mutex_destroy(&scheduler->lock);
	pthread_cond_destroy(&scheduler->spares);
	free(scheduler->processors);
	free(scheduler);
}
