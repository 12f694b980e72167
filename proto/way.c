/* SPDX-License-Identifier: MIT */
#include "proto/way.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/limits.h"

#define MAX_STEPS (2 * SL_MAX_VALUE_DEPTH + 2)
#define MAX_NAME 60

static bool is_name(struct sl_bytes text)
{
	if (text.size == 0 || text.size > MAX_NAME || isdigit((unsigned char)text.data[0]))
		return false;
	for (size_t i = 0; i < text.size; i++)
		if (!isalnum((unsigned char)text.data[i]) && text.data[i] != '_')
			return false;
	return true;
}

static int length(struct sl_bytes text)
{
	return text.size < MAX_NAME ? (int)text.size : MAX_NAME;
}

static int format_key(const struct sl_value *key, char *out, size_t size)
{
	switch (key->kind) {
	case SL_VALUE_STRING:
		return snprintf(out, size, is_name(key->string) ? ".%.*s" : "['%.*s']",
			length(key->string), key->string.data ? key->string.data : "");
	case SL_VALUE_INTEGER:
		return snprintf(out, size, "[%" PRId64 "]", key->integer);
	case SL_VALUE_FLOAT:
		return snprintf(out, size, "[%.14g]", key->number);
	case SL_VALUE_BOOLEAN:
		return snprintf(out, size, "[%s]", key->boolean ? "true" : "false");
	default:
		return snprintf(out, size, "[?]");
	}
}

static int format_step(const struct sl_way *step, char *out, size_t size)
{
	if (step->key)
		return format_key(step->key, out, size);
	if (step->name.size > 0)
		return snprintf(out, size, " %s '%.*s'", step->word, length(step->name),
			step->name.data);
	return snprintf(out, size, " %s", step->word);
}

void sl_way_format(const struct sl_way *way, const char *what, char *out, size_t size)
{
	const struct sl_way *steps[MAX_STEPS];
	size_t n = 0, used;

	for (; way && n < MAX_STEPS; way = way->up)
		steps[n++] = way;
	used = (size_t)snprintf(out, size, "%s", what);
	while (n > 0 && used < size)
		used += (size_t)format_step(steps[--n], out + used, size - used);
	if (used >= size && size > 4)
		memcpy(out + size - 4, "...", 4);
}
