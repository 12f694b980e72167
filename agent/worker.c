/* SPDX-License-Identifier: MIT */
#include "agent/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/link.h"
#include "agent/outbox.h"
#include "agent/rehearsal.h"
#include "agent/sweep.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/event.h"
#include "common/log.h"
#include "common/tally.h"
#include "lua/runtime.h"
#include "lua/schedule/reactor.h"
#include "proto/task_msg.h"

#define RESCUE_MS 200
#define SWEEP_MS (SL_SLOWNESS * 1000)

/* What processes and C libraries write to stdout or stderr. */
struct stream {
	struct worker *worker;
	int number; /* 1 or 2: the descriptor, and what the event calls it */
	int fd;     /* where it is read */
	struct sl_watch *watch;
	bool closed; /* nobody can write to it any more; guarded by: worker.lock */
};

struct worker {
	int fd;
	/* What the reactor watches in place of fd, from the beginning: an epoll instance into
	 * which fd comes with the task, so that the beginning of a task need not wake the
	 * reactor. */
	int gate;
	/* What was done before the gate opened is seen by who comes through it. The kernel sees
	 * to that, too, but no compiler knows of it. */
	atomic_bool is_open;
	struct sl_tally *tally;
	bool is_copy;        /* this is a process that the task forked off the worker */
	struct sl_buffer in; /* owner: the reactor, once the gate is open */
	struct sl_parcel *parcel;
	struct sl_task task;
	struct sl_runtime *runtime;
	struct sl_outbox *outbox;
	struct sl_watch *gate_watch;
	struct stream streams[2];

	pthread_mutex_t lock;
	bool streams_paused; /* guarded by: lock */
	bool streams_ended;  /* guarded by: lock; what comes now is the main thread's */
};

/* There is one, and the hook at exit has no argument. */
static struct worker worker;

static bool emit(void *ctx, const struct sl_event *event)
{
	struct worker *self = ctx;

	return !self->is_copy && sl_outbox_emit(self->outbox, event);
}

static int make_stream(
	struct worker *self, struct stream *stream, int number, struct sl_error *err)
{
	int ends[2];

	stream->worker = self;
	stream->number = number;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return sl_fail_errno(err, errno, "cannot make a pipe for a task's output");
	stream->fd = ends[0];
	if (dup2(ends[1], number) < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
		return sl_fail_errno(err, errno, "cannot redirect a task's output");
	close(ends[1]);
	return 0;
}

static void take_frame(struct worker *self, const struct sl_link_frame *frame)
{
	char why[256];

	if (frame->kind == SL_LINK_CREDIT) {
		sl_outbox_credit(self->outbox, frame->number);
	} else if (frame->kind == SL_LINK_STOP) {
		snprintf(why, sizeof(why), "%.*s", (int)frame->bytes.size, frame->bytes.data);
		sl_runtime_cancel(self->runtime, why);
	}
}

static void on_link(void *ctx, unsigned what)
{
	struct worker *self = ctx;
	struct sl_link_frame frame;
	size_t used;
	int result;

	(void)what;
	if (!atomic_load_explicit(&self->is_open, memory_order_acquire))
		return;
	result = sl_link_receive(self->fd, &self->in, NULL);
	/* Without main nobody wants to know; the spawner does away with what is left. */
	if (result < 0)
		_exit(1);
	while (sl_link_next(sl_buffer_bytes(&self->in), &frame, &used, NULL) == 0) {
		take_frame(self, &frame);
		sl_buffer_consume(&self->in, used);
	}
}

static bool emit_output(struct stream *stream, const char *data, size_t size)
{
	struct sl_event event = {.kind = SL_EVENT_OUT, .time_us = sl_clock_wall_us()};

	event.out.stream = stream->number;
	event.out.bytes = (struct sl_bytes){data, size};
	event.out.continued = data[size - 1] != '\n';
	return sl_outbox_emit(stream->worker->outbox, &event);
}

/* On the reactor, as each change of a watch. */
static void set_streams(struct worker *self, unsigned what)
{
	for (int i = 0; i < 2; i++)
		if (!self->streams[i].closed)
			sl_watch_set(self->streams[i].watch, what);
}

static void read_stream_locked(struct worker *self, struct stream *stream)
{
	char data[SL_MAX_LOG_LINE_BYTES];
	ssize_t n = read(stream->fd, data, sizeof(data));

	if (n == 0) { /* the task closed it, and everybody else who had it */
		stream->closed = true;
		sl_watch_set(stream->watch, 0);
	}
	if (n > 0 && emit_output(stream, data, (size_t)n)) {
		self->streams_paused = true;
		set_streams(self, 0);
	}
}

static void on_stream(void *ctx, unsigned what)
{
	struct stream *stream = ctx;
	struct worker *self = stream->worker;

	(void)what;
	pthread_mutex_lock(&self->lock);
	if (self->streams_ended)
		sl_watch_set(stream->watch, 0);
	else
		read_stream_locked(self, stream);
	pthread_mutex_unlock(&self->lock);
}

static void resume_streams(void *ctx)
{
	struct worker *self = ctx;

	pthread_mutex_lock(&self->lock);
	if (self->streams_paused && !self->streams_ended)
		set_streams(self, SL_REACTOR_READ);
	self->streams_paused = false;
	pthread_mutex_unlock(&self->lock);
}

static void on_drained(void *ctx)
{
	struct worker *self = ctx;
	struct sl_error err;

	if (sl_reactor_post(sl_runtime_reactor(self->runtime), resume_streams, self, &err) < 0)
		sl_log(SL_LOG_ERROR, "a task's output stays unread: %s", err.text);
	sl_runtime_drained(self->runtime);
}

/* A thread of the runtime sits in C for ever: what there is to say is said, and the process
 * ends with it. On the reactor. */
static void abandon(void *ctx, enum sl_state state)
{
	struct worker *self = ctx;

	_exit(sl_outbox_finish(self->outbox, state, NULL) == 0 ? 0 : 1);
}

static int make_runtime(struct worker *self, size_t task_memory_bytes, struct sl_error *err)
{
	struct sl_runtime_config config = {.task_memory_bytes = task_memory_bytes};
	struct sl_runtime_host host = {.ctx = self, .emit = emit, .abandon = abandon};

	return sl_runtime_new(&config, &host, &self->runtime, err);
}

/* What the runtime is to this process: it is counted, and has watches. */
static int settle_runtime(struct worker *self, struct sl_error *err)
{
	struct sl_reactor *reactor = sl_runtime_reactor(self->runtime);
	int result;

	sl_runtime_set_tally(self->runtime, self->tally);
	/* None of them is called before all are there. */
	sl_reactor_hold(reactor);
	result = sl_outbox_new(
		self->fd, reactor, self->tally, on_drained, self, &self->outbox, err);
	for (int i = 0; i < 2 && result == 0; i++)
		result = sl_reactor_watch(reactor, self->streams[i].fd, SL_REACTOR_READ,
			on_stream, &self->streams[i], &self->streams[i].watch, err);
	if (result == 0)
		result = sl_reactor_watch(reactor, self->gate, SL_REACTOR_READ, on_link, self,
			&self->gate_watch, err);
	if (result == 0)
		result = sl_reactor_release(reactor, err);
	return result;
}

static void free_runtime(struct worker *self)
{
	sl_watch_free(self->gate_watch);
	self->gate_watch = NULL;
	for (int i = 0; i < 2; i++)
		sl_watch_free(self->streams[i].watch);
	sl_outbox_free(self->outbox);
	self->outbox = NULL;
	sl_runtime_free(sl_steal(self->runtime));
}

/* All that can be done before the task is here. */
static int prepare(struct worker *self, int fd, struct sl_error *err)
{
	int result;

	self->fd = fd;
	self->gate = epoll_create1(EPOLL_CLOEXEC);
	if (self->gate < 0)
		return sl_fail_errno(err, errno, "cannot make an epoll instance");
	pthread_mutex_init(&self->lock, NULL);
	result = make_stream(self, &self->streams[0], STDOUT_FILENO, err);
	if (result == 0)
		result = make_stream(self, &self->streams[1], STDERR_FILENO, err);
	if (result == 0)
		result = settle_runtime(self, err);
	sl_runtime_warm(self->runtime);
	setvbuf(stdout, NULL, _IOLBF, 0);
	return result;
}

/* Reads until the whole first frame is in @in. Blocks. False when main closed the socket. */
static bool await_task(struct worker *self, struct sl_link_frame *out, size_t *out_used)
{
	struct sl_error err;
	int result;

	while ((result = sl_link_next(sl_buffer_bytes(&self->in), out, out_used, &err)) ==
		SL_LINK_MORE) {
		char *at = sl_buffer_reserve(&self->in, SL_BATCH_BYTES);
		ssize_t n = at ? recv(self->fd, at, SL_BATCH_BYTES, 0) : 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		self->in.size += (size_t)n;
	}
	return result == 0 && out->kind == SL_LINK_TASK;
}

static int apply_env(const struct sl_value *env, struct sl_error *err)
{
	char name[256], *value;

	if (env->kind != SL_VALUE_TABLE)
		return 0;
	for (size_t i = 0; i < env->table->n_pairs; i++) {
		const struct sl_pair *pair = &env->table->pairs[i];

		if (pair->key.kind != SL_VALUE_STRING || pair->value.kind != SL_VALUE_STRING ||
			pair->key.string.size == 0 || pair->key.string.size >= sizeof(name))
			return sl_fail(err, SL_EBAD_TASK,
				"env has something that is not a name with a text");
		snprintf(name, sizeof(name), "%.*s", (int)pair->key.string.size,
			pair->key.string.data);
		value = strndup(pair->value.string.data, pair->value.string.size);
		if (!value || setenv(name, value, 1) < 0) {
			free(value);
			return sl_fail(err, SL_EBAD_TASK,
				"'%s' can't be set in the environment", name);
		}
		free(value);
	}
	return 0;
}

static int apply_limits(struct worker *self, struct sl_error *err)
{
	const struct sl_task *task = &self->task;

	if (task->limits.files > 0) {
		struct rlimit files = {task->limits.files, task->limits.files};

		if (setrlimit(RLIMIT_NOFILE, &files) < 0)
			return sl_fail_errno(err, errno, "limits.files: cannot set it to %llu",
				(unsigned long long)task->limits.files);
	}
	if (task->limits.memory_bytes > 0) {
		int result;

		free_runtime(self);
		result = make_runtime(self, task->limits.memory_bytes, err);
		return result < 0 ? result : settle_runtime(self, err);
	}
	return 0;
}

static int apply_workdir(const struct sl_task *task, struct sl_error *err)
{
	char path[4096];

	if (task->workdir.size == 0)
		return 0;
	if (task->workdir.size >= sizeof(path))
		return sl_fail(err, SL_EBAD_TASK, "workdir is longer than %zu bytes",
			sizeof(path) - 1);
	memcpy(path, task->workdir.data, task->workdir.size);
	path[task->workdir.size] = 0;
	if (chdir(path) < 0)
		return sl_fail_errno(err, errno, "cannot go to the workdir '%s'", path);
	return 0;
}

/* From here on the reactor reads what main says. */
static int open_gate(struct worker *self, struct sl_error *err)
{
	struct epoll_event readable = {.events = EPOLLIN};

	atomic_store_explicit(&self->is_open, true, memory_order_release);
	if (epoll_ctl(self->gate, EPOLL_CTL_ADD, self->fd, &readable) < 0)
		return sl_fail_errno(err, errno, "cannot watch the worker's socket");
	return 0;
}

/* Reads the job's id and the task, and becomes what it asks for. */
static int set_up_task(struct worker *self, struct sl_bytes bytes, struct sl_error *err)
{
	struct sl_job_id job;
	int result;

	self->parcel = sl_parcel_new(SL_MAX_PARCEL_BYTES);
	if (!self->parcel)
		return sl_fail(err, SL_ENOMEM, "no memory for the task");
	if (bytes.size < sizeof(job.bytes))
		return sl_fail(err, SL_EPROTOCOL, "a task without its job's id");
	memcpy(job.bytes, bytes.data, sizeof(job.bytes));
	bytes.data += sizeof(job.bytes);
	bytes.size -= sizeof(job.bytes);
	result = sl_task_decode(bytes, self->parcel, &self->task, err);
	self->task.job = job;
	if (result == 0)
		result = apply_env(&self->task.env, err);
	if (result == 0)
		result = apply_workdir(&self->task, err);
	if (result == 0)
		result = apply_limits(self, err);
	return result;
}

/* What those who have exited wrote is in the pipe; for what others still write nobody waits. */
static void drain_stream(struct stream *stream)
{
	char data[SL_MAX_LOG_LINE_BYTES];
	int left = 0;

	if (ioctl(stream->fd, FIONREAD, &left) < 0)
		return;
	while (left > 0) {
		size_t size = (size_t)left < sizeof(data) ? (size_t)left : sizeof(data);
		ssize_t n = read(stream->fd, data, size);

		if (n <= 0)
			return;
		emit_output(stream, data, (size_t)n);
		left -= (int)n;
	}
}

static void end_streams(struct worker *self)
{
	fflush(NULL);
	pthread_mutex_lock(&self->lock);
	self->streams_ended = true;
	pthread_mutex_unlock(&self->lock);
	for (int i = 0; i < 2; i++)
		drain_stream(&self->streams[i]);
}

/* The task is over when what it left behind is gone, too. If that takes too long the spawner
 * goes on with it. */
static void end_processes(struct worker *self)
{
	struct sl_event event = {.kind = SL_EVENT_LOG, .time_us = sl_clock_wall_us()};
	struct sl_error err;

	if (sl_sweep_out(SWEEP_MS, &err) >= 0)
		return;
	event.log.level = SL_LOG_WARNING;
	event.log.message = sl_bytes_of(err.text);
	sl_outbox_emit(self->outbox, &event);
}

static void emit_refusal(struct worker *self, const struct sl_error *why)
{
	struct sl_event event = {.kind = SL_EVENT_RESULT, .time_us = sl_clock_wall_us()};

	event.result.message = sl_bytes_of(why->text);
	sl_outbox_emit(self->outbox, &event);
}

/* A task may fork without executing anything (luaposix can). Such a process has copies of our
 * buffers and our socket, and must not speak for the task. */
static void on_forked(void)
{
	worker.is_copy = true;
	sl_tally_part(worker.tally);
	close(worker.fd);
}

/* The task called exit() itself, in C: what it had said so far must not be lost. */
static void on_exit_called(void)
{
	if (!worker.is_copy)
		sl_outbox_rescue(worker.outbox, RESCUE_MS);
}

int sl_worker_rehearse(struct sl_error *err)
{
	int result = sl_rehearsal_run(err);

	return result < 0 ? result : make_runtime(&worker, 0, err);
}

_Noreturn void sl_worker_run(int fd, struct sl_tally *tally)
{
	struct sl_link_frame frame;
	struct sl_error err, why;
	enum sl_state state = SL_STATE_FAILED;
	size_t used;
	int result;

	worker.tally = tally;
	if (prepare(&worker, fd, &err) < 0) {
		sl_log(SL_LOG_ERROR, "a worker cannot make itself ready: %s", err.text);
		_exit(1);
	}
	if (!await_task(&worker, &frame, &used))
		_exit(0);
	result = set_up_task(&worker, frame.bytes, &why);
	if (!worker.gate_watch) {
		sl_log(SL_LOG_ERROR, "a worker cannot start: %s", why.text);
		_exit(1);
	}
	sl_outbox_credit(worker.outbox, frame.number);
	sl_buffer_consume(&worker.in, used);
	if (open_gate(&worker, &err) < 0) {
		sl_log(SL_LOG_ERROR, "a worker cannot start: %s", err.text);
		_exit(1);
	}
	atexit(on_exit_called);
	pthread_atfork(NULL, NULL, on_forked);
	if (result == 0)
		state = sl_runtime_run(worker.runtime, &worker.task);
	else
		emit_refusal(&worker, &why);
	if (worker.is_copy)
		_exit(state == SL_STATE_DONE ? 0 : 1);
	end_processes(&worker);
	end_streams(&worker);
	if (sl_outbox_finish(worker.outbox, state, &err) < 0)
		_exit(1);
	_exit(0);
}
