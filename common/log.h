/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Log: what the program says about itself, one event a line on stderr: a
 * constant phrase, then key=value. What tasks log is an event, not this.
 *
 * Where stderr is systemd's journal, a line begins with its priority instead of
 * program and level. A sink can take the lines instead of stderr.
 *
 * Threads: any; one line is one write.
 */

#include "common/base.h"

enum sl_log_level {
	SL_LOG_ERROR,   /* someone must act */
	SL_LOG_WARNING, /* odd, handled */
	SL_LOG_NOTICE,  /* start, stop, configuration */
	SL_LOG_INFO,    /* a task's life */
	SL_LOG_DEBUG,
};

/* What is less important than @level is left out. Starts at SL_LOG_INFO. Call it before
 * other threads start; again, with the same @program, at any time. @program stands in front of
 * each line; borrowed for ever. */
void sl_log_setup(const char *program, enum sl_log_level level);

/* Whether a line at @level would be written: for lines that are dear to make. */
bool sl_log_on(enum sl_log_level level);

/* A text of more than SL_LOG_MAX_TEXT bytes is cut, and ends in "…" then. */
#define SL_LOG_MAX_TEXT 900
void sl_log(enum sl_log_level level, const char *fmt, ...) sl_printf(2, 3);

/* What a line is about, for programs that read it. Borrowed. */
struct sl_log_field {
	const char *name;
	const char *value; /* not a string */
	size_t size;
};

/* As sl_log(), with fields for the sink; stderr gets the text alone. */
void sl_log_fields(enum sl_log_level level, const struct sl_log_field *fields, size_t n_fields,
	const char *fmt, ...) sl_printf(4, 5);

struct sl_log_line {
	enum sl_log_level level;
	const char *text; /* without a newline or any other control character */
	size_t size;
	const struct sl_log_field *fields;
	size_t n_fields;
};

/* Lines go to sink(ctx, line), and to stderr only if that returns false; NULL: to stderr. The
 * sink is called by whoever logs. Set it while nobody else logs. */
void sl_log_set_sink(bool (*sink)(void *ctx, const struct sl_log_line *line), void *ctx);

/* Whether stderr is systemd's journal. */
bool sl_log_is_journal(void);

/* As syslog(3) has it. */
int sl_log_priority(enum sl_log_level level);

/* How many lines were written at @level so far. */
uint64_t sl_log_count(enum sl_log_level level);

/* "error", "warning", …; static memory. */
const char *sl_log_level_name(enum sl_log_level level);

/* The level called @name ("warn" is fine too); false leaves *out alone. */
bool sl_log_level_from_name(const char *name, enum sl_log_level *out);
