/* SPDX-License-Identifier: MIT */

/*
 * What depends on what: names become numbers, and each task comes behind those
 * that it depends on, else in the order in which it was written.
 */

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/nearest.h"
#include "lua/workflow/dsl.h"
#include "lua/workflow/workflow_parts.h"

/* Pushes the object of task @i. */
static void push_object(struct sl_workflow *workflow, size_t i)
{
	lua_rawgeti(workflow->L, LUA_REGISTRYINDEX, workflow->entries[i].ref);
}

/* The number of the task called @name; n_entries for none. */
static size_t find(const struct sl_workflow *workflow, const char *name)
{
	size_t i = 0;

	while (i < workflow->n_entries && strcmp(workflow->entries[i].task.name, name) != 0)
		i++;
	return i;
}

static bool is_built(lua_State *L, const char *name)
{
	bool found;

	sl_dsl_push_all(L, SL_DSL_TASK);
	found = lua_getfield(L, -1, name) != LUA_TNIL;
	lua_pop(L, 2);
	return found;
}

static _Noreturn void unknown_task(struct sl_workflow *workflow, size_t i, const char *name)
{
	size_t n = workflow->n_entries;
	const char **names = lua_newuserdatauv(workflow->L, (n + 1) * sizeof(*names), 0);
	const char *nearest;

	for (size_t k = 0; k < n; k++)
		names[k] = workflow->entries[k].task.name;
	names[n] = NULL;
	nearest = sl_nearest(name, names);
	push_object(workflow, i);
	if (is_built(workflow->L, name))
		sl_dsl_complain(workflow->L, -1,
			"it depends on '%.80s', which workflow '%.80s' doesn't have: add that "
			"to its tasks",
			name, workflow->name);
	if (nearest)
		sl_dsl_complain(workflow->L, -1,
			"it depends on '%.80s', which is no task; did you mean '%.80s'?", name,
			nearest);
	sl_dsl_complain(workflow->L, -1, "it depends on '%.80s', which is no task", name);
}

static void resolve(struct sl_workflow *workflow, size_t i)
{
	struct sl_workflow_entry *entry = &workflow->entries[i];
	lua_State *L = workflow->L;
	size_t n;

	push_object(workflow, i);
	sl_dsl_push_field(L, -1, "depends_on");
	n = lua_istable(L, -1) ? (size_t)lua_rawlen(L, -1) : 0;
	entry->depends_on = calloc(n + 1, sizeof(*entry->depends_on));
	if (!entry->depends_on)
		luaL_error(L, "out of memory");
	for (size_t k = 0; k < n; k++) {
		const char *name;

		lua_rawgeti(L, -1, (lua_Integer)k + 1);
		name = lua_tostring(L, -1);
		entry->depends_on[k] = find(workflow, name);
		if (entry->depends_on[k] == workflow->n_entries)
			unknown_task(workflow, i, name);
		lua_pop(L, 1);
	}
	entry->task.depends_on = entry->depends_on;
	entry->task.n_depends_on = n;
	lua_pop(L, 2);
}

/* Everything that task @i depends on has its place. */
static bool is_ready(const struct sl_workflow *workflow, size_t i, const size_t *place)
{
	const struct sl_workflow_task *task = &workflow->entries[i].task;

	for (size_t k = 0; k < task->n_depends_on; k++)
		if (place[task->depends_on[k]] == SIZE_MAX)
			return false;
	return true;
}

/* Fills place[] and returns how many got one: fewer than all when there is a circle. */
static size_t find_places(const struct sl_workflow *workflow, size_t *place)
{
	size_t placed = 0, before;

	for (size_t i = 0; i < workflow->n_entries; i++)
		place[i] = SIZE_MAX;
	do {
		before = placed;
		for (size_t i = 0; i < workflow->n_entries; i++)
			if (place[i] == SIZE_MAX && is_ready(workflow, i, place)) {
				place[i] = placed++;
				break;
			}
	} while (placed > before);
	return placed;
}

/* Some task without a place that @i depends on. */
static size_t next_in_circle(const struct sl_workflow *workflow, size_t i, const size_t *place)
{
	const struct sl_workflow_task *task = &workflow->entries[i].task;
	size_t k = 0;

	while (place[task->depends_on[k]] != SIZE_MAX)
		k++;
	return task->depends_on[k];
}

static _Noreturn void complain_of_circle(struct sl_workflow *workflow, const size_t *place)
{
	lua_State *L = workflow->L;
	size_t first = 0, i;

	while (place[first] != SIZE_MAX)
		first++;
	/* Who has no place leads into a circle; after that many steps we are in it. */
	for (size_t steps = 0; steps < workflow->n_entries; steps++)
		first = next_in_circle(workflow, first, place);
	lua_pushstring(L, workflow->entries[first].task.name);
	i = first;
	do {
		i = next_in_circle(workflow, i, place);
		lua_pushfstring(
			L, "%s -> %s", lua_tostring(L, -1), workflow->entries[i].task.name);
		lua_remove(L, -2);
	} while (i != first);
	push_object(workflow, first);
	sl_dsl_complain(L, -1, "it depends on itself: %s", lua_tostring(L, -2));
}

/* Moves the entries to their places; @sorted and @place are scratch. */
static void move(
	struct sl_workflow *workflow, struct sl_workflow_entry *sorted, const size_t *place)
{
	size_t n = workflow->n_entries;

	for (size_t i = 0; i < n; i++) {
		struct sl_workflow_entry *entry = &workflow->entries[i];

		for (size_t k = 0; k < entry->task.n_depends_on; k++)
			entry->depends_on[k] = place[entry->depends_on[k]];
		sorted[place[i]] = *entry;
	}
	memcpy(workflow->entries, sorted, n * sizeof(*sorted));
}

void sl_workflow_order(struct sl_workflow *workflow)
{
	size_t n = workflow->n_entries;
	struct sl_workflow_entry *sorted;
	size_t *place;

	for (size_t i = 0; i < n; i++)
		resolve(workflow, i);
	place = lua_newuserdatauv(workflow->L, n * sizeof(*place), 0);
	sorted = lua_newuserdatauv(workflow->L, n * sizeof(*sorted), 0);
	if (find_places(workflow, place) < n)
		complain_of_circle(workflow, place);
	move(workflow, sorted, place);
	lua_pop(workflow->L, 2);
}
