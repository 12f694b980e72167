/* SPDX-License-Identifier: MIT */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {"error", "warning", "notice", "info", "debug"};

static const char *program_name = "sloth"; /* immutable after the first sl_log_setup() */
static _Atomic int threshold = SL_LOG_INFO;

void sl_log_setup(const char *program, enum sl_log_level level)
{
	if (program_name != program)
		program_name = program;
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
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
}

void sl_log(enum sl_log_level level, const char *fmt, ...)
{
	char line[1024];
	int saved = errno;
	va_list args;
	int n;

	if (!sl_log_on(level))
		return;
	n = snprintf(line, sizeof(line), "%s: %s: ", program_name, names[level]);
	va_start(args, fmt);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, args);
	va_end(args);
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	make_printable(line, (size_t)n);
	line[n++] = '\n';
	/* Nobody is left to be told when stderr itself is gone. */
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		errno = saved;
	errno = saved;
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
