/* SPDX-License-Identifier: MIT */
#include "common/duration.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"

#define MAX_MS ((double)10000 * 86400 * 1000)

static const struct {
	const char *name;
	double ms;
} units[] = {{"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}};

static int bad(const char *text, struct sl_error *err)
{
	return sl_fail(err, SL_EINVALID,
		"bad duration '%.40s': write 500ms, 30s, 5m, 2h, 1h30m or a number of seconds",
		text);
}

/* A number as people write it: digits with at most one point. strtod() alone would also
 * take "inf", "0x1p3", a sign and leading blanks. */
static const char *number(const char *at, double *out)
{
	size_t n = strspn(at, "0123456789.");
	char *end;

	if (n == 0 || n > 30)
		return NULL;
	*out = strtod(at, &end);
	return end == at + n ? end : NULL;
}

static int unit_at(const char *at, size_t n)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strlen(units[i].name) == n && strncmp(units[i].name, at, n) == 0)
			return (int)i;
	return -1;
}

int sl_duration_parse(const char *text, int64_t *out_ms, struct sl_error *err)
{
	const char *at = text;
	int last = (int)(sizeof(units) / sizeof(units[0]));
	double total = 0, value;

	do {
		const char *end = number(at, &value);
		size_t n;
		int unit;

		if (!end)
			return bad(text, err);
		n = strspn(end, "abcdefghijklmnopqrstuvwxyz");
		if (n == 0 && at == text && *end == '\0') {
			total = value * 1e3;
			break;
		}
		unit = unit_at(end, n);
		/* Larger units first, each once: "30m1h" is a slip, not a sum. */
		if (unit < 0 || unit >= last)
			return bad(text, err);
		last = unit;
		total += value * units[unit].ms;
		at = end + n;
	} while (*at);

	return sl_duration_from_seconds(total / 1e3, out_ms, err);
}

int sl_duration_from_seconds(double seconds, int64_t *out_ms, struct sl_error *err)
{
	double ms = seconds * 1e3;

	if (!(ms >= 0) || ms > MAX_MS)
		return sl_fail(err, SL_EINVALID,
			"bad duration %g s: it must be between 0 and 10000 days", seconds);
	*out_ms = (int64_t)llround(ms);
	return 0;
}

char *sl_duration_format(int64_t ms, char *out, size_t size)
{
	int64_t s = ms / 1000;

	if (ms < 1000)
		snprintf(out, size, "%" PRId64 "ms", ms);
	else if (s < 60)
		snprintf(out, size, "%.1fs", (double)ms / 1e3);
	else if (s < 3600)
		snprintf(out, size, "%" PRId64 "m%02ds", s / 60, (int)(s % 60));
	else
		snprintf(out, size, "%" PRId64 "h%02dm", s / 3600, (int)(s / 60 % 60));
	return out;
}
