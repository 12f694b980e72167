/* SPDX-License-Identifier: MIT */

/*
 * Naming the way to a value that can't go.
 */

#include <lua.h>
#include <stdio.h>

#include "lua/transfer/transfer_walk.h"

static bool is_identifier(struct sl_bytes text)
{
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

		if (!letter && !(i > 0 && c >= '0' && c <= '9'))
			return false;
	}
	return text.size > 0;
}

static void write_label(struct sl_buffer *way, struct sl_value label, bool first)
{
	switch (label.kind) {
	case SL_VALUE_STRING:
		if (is_identifier(label.string))
			sl_buffer_printf(way, "%s%.*s", first ? "" : ".",
				(int)label.string.size, label.string.data);
		else
			sl_buffer_printf(
				way, "[\"%.*s\"]", (int)label.string.size, label.string.data);
		break;
	case SL_VALUE_INTEGER:
		sl_buffer_printf(way, "[%lld]", (long long)label.integer);
		break;
	case SL_VALUE_FLOAT:
		sl_buffer_printf(way, "[%.14g]", label.number);
		break;
	case SL_VALUE_BOOLEAN:
		sl_buffer_printf(way, "[%s]", label.boolean ? "true" : "false");
		break;
	default:
		sl_buffer_printf(way, "[?]");
	}
}

static void write_step(struct sl_buffer *way, const struct sl_step *step)
{
	bool first = way->size == 0;

	if (step->kind == SL_STEP_META)
		sl_buffer_printf(way, "%s<metatable>", first ? "" : ".");
	else if (step->kind == SL_STEP_KEY)
		sl_buffer_printf(way, "%s<key>", first ? "" : ".");
	else if (step->kind != SL_STEP_ROOT)
		write_label(way, step->label, first);
}

/* Writes the steps that lead to @last, the first one first; returns that one. */
static const struct sl_step *write_way(
	struct sl_walk *walk, struct sl_buffer *way, const struct sl_step *last)
{
	enum {
		MOST = 64
	};
	const struct sl_step *steps[MOST], *first = last;
	size_t n = 0;

	for (const struct sl_step *s = last; s->kind != SL_STEP_ROOT;
		s = &walk->nodes[s->from].step) {
		steps[n++ % MOST] = s;
		first = s;
	}
	if (n > MOST)
		sl_buffer_printf(way, "…");
	for (size_t i = n; i > 0 && n - i < MOST; i--)
		write_step(way, steps[(n > MOST ? i - 1 + n - MOST : i - 1) % MOST]);
	return first;
}

static uint32_t root_of(struct sl_walk *walk, const struct sl_step *step)
{
	while (step->kind != SL_STEP_ROOT)
		step = &walk->nodes[step->from].step;
	return step->from;
}

_Noreturn void sl_walk_cannot_send(
	struct sl_walk *walk, const struct sl_step *step, const char *why)
{
	struct sl_buffer way = SL_BUFFER_INIT;
	const struct sl_step *first = write_way(walk, &way, step);
	char what[64];

	if (first->kind == SL_STEP_UPVALUE)
		snprintf(what, sizeof(what), "upvalue");
	else if (first->kind == SL_STEP_GLOBAL)
		snprintf(what, sizeof(what), "global");
	else if (walk->numbered)
		snprintf(what, sizeof(what), "%s #%u", walk->what, root_of(walk, step) + 1);
	else
		snprintf(what, sizeof(what), "%s", walk->what);

	sl_fail(&walk->error, SL_EINVALID, "cannot send %s%s%.*s%s %s: %s", what,
		way.size > 0 ? " '" : "", (int)way.size, way.size > 0 ? way.data : "",
		way.size > 0 ? "'" : "", walk->how->to, why);
	sl_buffer_deinit(&way);
	lua_pushnil(walk->L);
	lua_error(walk->L);
	__builtin_unreachable();
}
