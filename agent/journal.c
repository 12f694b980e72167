/* SPDX-License-Identifier: MIT */
#include "agent/journal.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/loop.h"
#include "agent/store.h"
#include "common/clock.h"
#include "common/error.h"

#define LAST_WORDS_MS 500
#define MAX_TEXT 1024

struct sl_journal {
	struct sl_loop *loop;
	pthread_t owner; /* immutable after new */
	int fd;
	struct sl_loop_watch *watch;
	struct sl_buffer backlog; /* datagrams, each behind its size, a uint32_t */
	uint64_t n_lost;          /* since the journal was last told */
};

/* Never to change: who looks for them has them in a filter. */
static const char *const ids[] = {
	[SL_JOURNAL_AGENT_READY] = "95b7665c67e7457c84555da26a28611d",
	[SL_JOURNAL_AGENT_STOPPING] = "af2b88bf847a43d6b81037dc95ddc374",
	[SL_JOURNAL_TASK_STARTED] = "a4629bb923004ffe8c4431701df21366",
	[SL_JOURNAL_TASK_ENDED] = "e449ebc665b0445a8fc0baebaf5bcf4a",
	[SL_JOURNAL_TASK_FAILED] = "3da3c75a57d14d45880dbb2c85c6cc33",
	[SL_JOURNAL_TASK_LOST] = "d2f20a92355f41d8a2801af35175faf5",
	[SL_JOURNAL_HELLO_DENIED] = "8f9007f6130b471ba56f4f7a878847f9",
	[SL_JOURNAL_RELOAD_DONE] = "36946d7255eb4cf3b439496efc8e9e9e",
	[SL_JOURNAL_RELOAD_REFUSED] = "169c7d11d3e74d3ea645cf090703fa27",
	[SL_JOURNAL_LINES_LOST] = "b628c525b4cd45e18454d5f272e82801",
};

/* ---- what a line looks like ---- */

/* NAME=value, or, for what may have a newline in it, NAME, its size and the value. */
static bool add_field(struct sl_buffer *out, const char *name, const char *value, size_t size)
{
	uint64_t wire_size = htole64(size);

	if (size == 0)
		return sl_buffer_printf(out, "%s=\n", name);
	if (!memchr(value, '\n', size))
		return sl_buffer_printf(out, "%s=", name) &&
		       sl_buffer_append(out, value, size) && sl_buffer_append(out, "\n", 1);
	return sl_buffer_printf(out, "%s\n", name) &&
	       sl_buffer_append(out, &wire_size, sizeof(wire_size)) &&
	       sl_buffer_append(out, value, size) && sl_buffer_append(out, "\n", 1);
}

static bool write_line(struct sl_buffer *out, const struct sl_log_line *line)
{
	char priority[2] = {(char)('0' + sl_log_priority(line->level)), 0};
	bool fits = add_field(out, "MESSAGE", line->text, line->size) &&
	            add_field(out, "PRIORITY", priority, 1) &&
	            add_field(out, "SYSLOG_IDENTIFIER", "sloth-agent", strlen("sloth-agent"));

	for (size_t i = 0; i < line->n_fields && fits; i++)
		fits = add_field(
			out, line->fields[i].name, line->fields[i].value, line->fields[i].size);
	return fits;
}

/* ---- sending ---- */

static bool send_now(struct sl_journal *journal, const void *data, size_t size)
{
	ssize_t n;

	do
		n = send(journal->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n >= 0;
}

static bool is_full(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS;
}

static void keep(struct sl_journal *journal, struct sl_bytes datagram)
{
	uint32_t size = (uint32_t)datagram.size;

	sl_loop_watch_set(journal->watch, SL_LOOP_WRITE);
	if (journal->n_lost > 0 || journal->backlog.size + sizeof(size) + datagram.size >
					   SL_JOURNAL_BACKLOG_BYTES) {
		journal->n_lost++;
		return;
	}
	if (!sl_buffer_reserve(&journal->backlog, sizeof(size) + datagram.size)) {
		journal->n_lost++;
		return;
	}
	sl_buffer_append(&journal->backlog, &size, sizeof(size));
	sl_buffer_append(&journal->backlog, datagram.data, datagram.size);
}

/* The sink of the log. False: stderr has to do. */
static bool take_line(void *ctx, const struct sl_log_line *line)
{
	struct sl_journal *journal = ctx;
	struct sl_buffer datagram = SL_BUFFER_INIT;
	bool taken;

	if (!pthread_equal(pthread_self(), journal->owner))
		return false;
	taken = write_line(&datagram, line);
	if (taken && (journal->backlog.size > 0 || journal->n_lost > 0)) {
		keep(journal, sl_buffer_bytes(&datagram));
	} else if (taken && !send_now(journal, datagram.data, datagram.size)) {
		taken = is_full();
		if (taken)
			keep(journal, sl_buffer_bytes(&datagram));
	}
	sl_buffer_deinit(&datagram);
	return taken;
}

static void tell_lost(struct sl_journal *journal)
{
	unsigned long long n = journal->n_lost;

	if (n == 0)
		return;
	journal->n_lost = 0;
	sl_journal_log(SL_JOURNAL_LINES_LOST, SL_LOG_WARNING, NULL,
		"log lines lost, the journal was too slow n=%llu", n);
}

/* Sends of the backlog what the journal takes. */
static void send_backlog(struct sl_journal *journal)
{
	struct sl_buffer *backlog = &journal->backlog;
	uint32_t size;
	size_t at = 0;

	while (at < backlog->size) {
		memcpy(&size, backlog->data + at, sizeof(size));
		if (!send_now(journal, backlog->data + at + sizeof(size), size)) {
			if (is_full())
				break;
			journal->n_lost++;
		}
		at += sizeof(size) + size;
	}
	sl_buffer_consume(backlog, at);
	if (backlog->size > 0)
		return;
	sl_buffer_deinit(backlog);
	sl_loop_watch_set(journal->watch, 0);
	tell_lost(journal);
}

static void on_writable(void *ctx, unsigned what)
{
	(void)what;
	send_backlog(ctx);
}

/* ---- a life ---- */

static int open_socket(struct sl_journal *journal, const char *path, struct sl_error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return sl_fail(err, SL_EINVALID, "too long a path: %s", path);
	strcpy(address.sun_path, path);
	journal->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (journal->fd < 0)
		return sl_fail_errno(err, errno, "cannot make a socket to log to");
	if (connect(journal->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return sl_fail_errno(err, errno, "cannot reach the journal at %s", path);
	return 0;
}

int sl_journal_new(
	struct sl_loop *loop, const char *path, struct sl_journal **out, struct sl_error *err)
{
	struct sl_journal *journal = calloc(1, sizeof(*journal));
	int result;

	if (!journal)
		return sl_fail(err, SL_ENOMEM, "no memory for the journal");
	journal->loop = loop;
	journal->owner = pthread_self();
	journal->fd = -1;
	result = open_socket(journal, path, err);
	if (result == 0)
		result = sl_loop_watch_new(
			loop, journal->fd, 0, on_writable, journal, &journal->watch, err);
	if (result < 0) {
		sl_journal_free(journal);
		return result;
	}
	sl_log_set_sink(take_line, journal);
	*out = journal;
	return 0;
}

static void say_last_words(struct sl_journal *journal)
{
	int64_t end_ms = sl_clock_monotonic_ms() + LAST_WORDS_MS;
	struct pollfd writable = {.fd = journal->fd, .events = POLLOUT};

	while (journal->backlog.size > 0) {
		int64_t left_ms = end_ms - sl_clock_monotonic_ms();

		if (left_ms <= 0 || poll(&writable, 1, (int)left_ms) <= 0)
			break;
		send_backlog(journal);
	}
	for (size_t at = 0; at < journal->backlog.size; journal->n_lost++) {
		uint32_t size;

		memcpy(&size, journal->backlog.data + at, sizeof(size));
		at += sizeof(size) + size;
	}
}

void sl_journal_free(struct sl_journal *journal)
{
	if (!journal)
		return;
	say_last_words(journal);
	sl_log_set_sink(NULL, NULL);
	tell_lost(journal); /* on stderr, then */
	sl_loop_watch_free(journal->watch);
	sl_buffer_deinit(&journal->backlog);
	if (journal->fd >= 0)
		close(journal->fd);
	free(journal);
}

/* ---- kinds ---- */

static size_t describe_task(
	const struct sl_record *record, char id[SL_JOB_ID_TEXT], struct sl_log_field *out)
{
	const char *state = sl_state_name(record->state);
	size_t n = 0;

	sl_job_id_format(&record->id, id);
	out[n++] = (struct sl_log_field){"JOB_ID", id, strlen(id)};
	out[n++] = (struct sl_log_field){"TASK", record->name.data, record->name.size};
	out[n++] = (struct sl_log_field){
		"CONTROLLER", record->controller.data, record->controller.size};
	if (record->workflow.size > 0)
		out[n++] = (struct sl_log_field){
			"WORKFLOW", record->workflow.data, record->workflow.size};
	if (record->run.size > 0)
		out[n++] = (struct sl_log_field){"RUN", record->run.data, record->run.size};
	out[n++] = (struct sl_log_field){"STATE", state, strlen(state)};
	return n;
}

void sl_journal_log(enum sl_journal_kind kind, enum sl_log_level level,
	const struct sl_record *record, const char *fmt, ...)
{
	struct sl_log_field fields[8] = {{"MESSAGE_ID", ids[kind], strlen(ids[kind])}};
	char text[MAX_TEXT], id[SL_JOB_ID_TEXT];
	size_t n_fields = 1;
	va_list args;

	if (!sl_log_on(level))
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (record)
		n_fields += describe_task(record, id, fields + n_fields);
	sl_log_fields(level, fields, n_fields, "%s", text);
}
