/* SPDX-License-Identifier: MIT */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#define PREFIX_BYTES 64
#define CUT "…"

static const char *const names[] = {"error", "warning", "notice", "info", "debug"};

static const char *program_name; /* immutable after the first sl_log_setup() */
static bool for_journal;         /* immutable after the first sl_log_setup() */
static _Atomic int threshold = SL_LOG_INFO;
static _Atomic uint64_t n_lines[SL_LOG_DEBUG + 1];
static bool (*sink)(void *ctx, const struct sl_log_line *line);
static void *sink_ctx;

/* Whether stderr is the journal's, which wants to be told how important a line is, and knows
 * itself whose it is: then JOURNAL_STREAM has its device and inode. */
bool sl_log_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat found;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &found) == 0 && found.st_dev == device &&
	       found.st_ino == inode;
}

int sl_log_priority(enum sl_log_level level)
{
	static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG};

	return priorities[level];
}

/* What stands in front of a line. */
static int write_prefix(char *out, size_t size, enum sl_log_level level)
{
	if (for_journal)
		return snprintf(out, size, "<%d>", sl_log_priority(level));
	return snprintf(
		out, size, "%s: %s: ", program_name ? program_name : "sloth", names[level]);
}

void sl_log_setup(const char *program, enum sl_log_level level)
{
	if (!program_name) {
		program_name = program;
		for_journal = sl_log_is_journal();
	}
	threshold = (int)level;
}

bool sl_log_on(enum sl_log_level level)
{
	return (int)level <= threshold;
}

/* A newline or an escape sequence that came in from a peer must not make lines of its own. */
static void make_printable(char *line, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (((unsigned char)line[i] < ' ' && line[i] != '\t') || line[i] == 0x7f)
			line[i] = '?';
}

/* Cuts the text short, not inside of a UTF-8 character, and says so. Returns its size. */
static int cut(char *text)
{
	int n = SL_LOG_MAX_TEXT;

	for (int i = 0; i < 3 && (text[n] & 0xC0) == 0x80; i++)
		n--;
	memcpy(text + n, CUT, sizeof(CUT));
	return n + (int)sizeof(CUT) - 1;
}

/* Writes the line to the sink or to stderr. */
static sl_printf(4, 0) void put(enum sl_log_level level, const struct sl_log_field *fields,
	size_t n_fields, const char *fmt, va_list args)
{
	/* One byte of what is too much, to see whether a character is cut through. */
	char line[PREFIX_BYTES + SL_LOG_MAX_TEXT + 1 + sizeof(CUT)];
	int start, n;

	atomic_fetch_add_explicit(&n_lines[level], 1, memory_order_relaxed);
	start = write_prefix(line, PREFIX_BYTES, level);
	n = vsnprintf(line + start, SL_LOG_MAX_TEXT + 2, fmt, args);
	if (n > SL_LOG_MAX_TEXT)
		n = cut(line + start);
	n += start;
	make_printable(line, (size_t)n);
	if (sink && sink(sink_ctx, &(struct sl_log_line){level, line + start,
					   (size_t)(n - start), fields, n_fields}))
		return;
	line[n++] = '\n';
	/* Nobody is left to be told when stderr itself is gone. */
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}

void sl_log(enum sl_log_level level, const char *fmt, ...)
{
	int saved = errno;
	va_list args;

	if (!sl_log_on(level))
		return;
	va_start(args, fmt);
	put(level, NULL, 0, fmt, args);
	va_end(args);
	errno = saved;
}

void sl_log_fields(enum sl_log_level level, const struct sl_log_field *fields, size_t n_fields,
	const char *fmt, ...)
{
	int saved = errno;
	va_list args;

	if (!sl_log_on(level))
		return;
	va_start(args, fmt);
	put(level, fields, n_fields, fmt, args);
	va_end(args);
	errno = saved;
}

void sl_log_set_sink(bool (*new_sink)(void *ctx, const struct sl_log_line *line), void *ctx)
{
	sink = new_sink;
	sink_ctx = ctx;
}

uint64_t sl_log_count(enum sl_log_level level)
{
	return atomic_load_explicit(&n_lines[level], memory_order_relaxed);
}

const char *sl_log_level_name(enum sl_log_level level)
{
	return names[level];
}

bool sl_log_level_from_name(const char *name, enum sl_log_level *out)
{
	if (strcmp(name, "warn") == 0)
		name = "warning";
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0) {
			*out = (enum sl_log_level)i;
			return true;
		}
	return false;
}
