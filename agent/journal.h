/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Journal: the log, where systemd's journal takes it: each line with fields that
 * say which kind of line it is, and whose task it is about. Elsewhere, and where
 * the journal can't be reached, the lines go to stderr without them.
 *
 * It speaks the journal's own protocol, a datagram a line, and not through
 * libsystemd, whose sender waits for the journal to read. This one never waits:
 * what the journal doesn't take yet is kept, up to SL_JOURNAL_BACKLOG_BYTES, and
 * sent when it does; what goes beyond is counted, and a line says how many.
 *
 * Threads: the loop's. A line of another thread goes to stderr.
 */

#include "common/buffer.h"
#include "common/log.h"

struct sl_error;
struct sl_journal;
struct sl_loop;
struct sl_record;

#define SL_JOURNAL_SOCKET "/run/systemd/journal/socket"
#define SL_JOURNAL_BACKLOG_BYTES (256u << 10)

/* The kinds that have a MESSAGE_ID; sloth-agent(8) has them, too. */
enum sl_journal_kind {
	SL_JOURNAL_AGENT_READY,
	SL_JOURNAL_AGENT_STOPPING,
	SL_JOURNAL_TASK_STARTED,
	SL_JOURNAL_TASK_ENDED,
	SL_JOURNAL_TASK_FAILED,
	SL_JOURNAL_TASK_LOST,
	SL_JOURNAL_HELLO_DENIED,
	SL_JOURNAL_RELOAD_DONE,
	SL_JOURNAL_RELOAD_REFUSED,
	SL_JOURNAL_LINES_LOST,
};

/* Has what is logged from now on go to the journal that listens at the socket @path. */
int sl_journal_new(struct sl_loop *loop, const char *path, struct sl_journal **out,
	struct sl_error *err) sl_must_check;

/* Sends what was kept, for at most half a second. Lines go to stderr again. NULL is fine. */
void sl_journal_free(struct sl_journal *journal);

/* As sl_log(), for a line of @kind, about the task of @record (NULL: none). */
void sl_journal_log(enum sl_journal_kind kind, enum sl_log_level level,
	const struct sl_record *record, const char *fmt, ...) sl_printf(4, 5);
