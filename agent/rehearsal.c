/* SPDX-License-Identifier: MIT */
#include "agent/rehearsal.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/link.h"
#include "agent/outbox.h"
#include "common/error.h"
#include "common/tally.h"
#include "lua/runtime.h"
#include "lua/schedule/reactor.h"
#include "proto/task_msg.h"

/* What most tasks do. */
static const char text[] =
	"function() log.info(string.format('%s %d %.1f', tostring(print), #'two', 0.5)) "
	"local t = {} for i = 1, 8 do t[i] = { i = i } end "
	"table.sort(t, function(a, b) return a.i > b.i end) "
	"for k, v in pairs(t) do t[k] = v.i end "
	"local ok, why = pcall(error, table.concat(t, ' ')) "
	"return true, why:gsub('1', '2') end";

struct rehearsal {
	int ends[2]; /* in place of main's socket: its own and the one to be watched */
	struct sl_tally tally;
	struct sl_runtime *runtime;
	struct sl_outbox *outbox;
	struct sl_watch *watch;
	struct sl_buffer bytes;
	struct sl_parcel *parcel;
	struct sl_task task;
};

static bool emit(void *ctx, const struct sl_event *event)
{
	struct rehearsal *self = ctx;

	return sl_outbox_emit(self->outbox, event);
}

static void on_drained(void *ctx)
{
	struct rehearsal *self = ctx;

	sl_runtime_drained(self->runtime);
}

static void on_link(void *ctx, unsigned what)
{
	(void)ctx;
	(void)what;
}

static int set_stage(struct rehearsal *self, struct sl_error *err)
{
	struct sl_runtime_config config = {0};
	struct sl_runtime_host host = {.ctx = self, .emit = emit};
	struct sl_reactor *reactor;
	int result = sl_runtime_new(&config, &host, &self->runtime, err);

	if (result < 0)
		return result;
	sl_runtime_set_tally(self->runtime, &self->tally);
	reactor = sl_runtime_reactor(self->runtime);
	result = sl_outbox_new(
		self->ends[0], reactor, &self->tally, on_drained, self, &self->outbox, err);
	if (result < 0)
		return result;
	return sl_reactor_watch(
		reactor, self->ends[1], SL_REACTOR_WRITE, on_link, self, &self->watch, err);
}

/* As it comes from main. */
static int read_task(struct rehearsal *self, struct sl_error *err)
{
	struct sl_function function = {
		.text = {text, sizeof(text) - 1}, .file = sl_bytes_of("rehearsal"), .line = 1};
	struct sl_task task = {.name = sl_bytes_of("rehearsal"),
		.function = {.kind = SL_VALUE_FUNCTION, .function = &function}};
	int result = sl_task_encode(&task, &self->bytes, err);

	if (result < 0)
		return result;
	self->parcel = sl_parcel_new(SL_MAX_PARCEL_BYTES);
	if (!self->parcel)
		return sl_fail(err, SL_ENOMEM, "no memory for a task");
	return sl_task_decode(sl_buffer_bytes(&self->bytes), self->parcel, &self->task, err);
}

static int play(struct rehearsal *self, struct sl_error *err)
{
	int result = set_stage(self, err);
	enum sl_state state;

	if (result == 0)
		result = read_task(self, err);
	if (result < 0)
		return result;
	sl_runtime_warm(self->runtime);
	sl_outbox_credit(self->outbox, SL_MAX_JOB_RING_BYTES);
	state = sl_runtime_run(self->runtime, &self->task);
	result = sl_outbox_finish(self->outbox, state, err);
	if (result == 0 && state != SL_STATE_DONE)
		result = sl_fail(err, SL_ESYSTEM, "a task that does nothing fails here");
	return result;
}

static void clear_stage(struct rehearsal *self)
{
	sl_watch_free(self->watch);
	sl_outbox_free(self->outbox);
	sl_runtime_free(self->runtime);
	sl_parcel_free(self->parcel);
	sl_buffer_deinit(&self->bytes);
	close(self->ends[0]);
	close(self->ends[1]);
}

static int rehearse(struct rehearsal *self, struct sl_error *err)
{
	int result;

	*self = (struct rehearsal){.bytes = SL_BUFFER_INIT};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, self->ends) < 0)
		return sl_fail_errno(err, errno, "cannot make a pair of sockets");
	result = play(self, err);
	clear_stage(self);
	return result;
}

int sl_rehearsal_run(struct sl_error *err)
{
	static struct rehearsal self;
	int result = rehearse(&self, err);

	/* A worker finds what was left behind, the stack of a thread for one, and so does the
	 * second time: that is other code. */
	return result < 0 ? result : rehearse(&self, err);
}
