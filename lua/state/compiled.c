/* SPDX-License-Identifier: MIT */
#include "lua/state/compiled.h"

#include <lauxlib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"

struct unit {
	struct unit *next;   /* sl_compiled.units */
	_Atomic size_t refs; /* one is the list's */
	struct sl_compiled_id id;
	struct sl_buffer dump; /* with its line numbers */
};

struct sl_compiled {
	size_t max_bytes;

	pthread_mutex_t lock;
	struct unit *units; /* guarded by: lock; what was used last comes first */
	size_t held;        /* guarded by: lock; bytes */
};

struct sl_compiled *sl_compiled_new(size_t max_bytes)
{
	struct sl_compiled *compiled = calloc(1, sizeof(*compiled));

	if (!compiled)
		return NULL;
	compiled->max_bytes = max_bytes;
	pthread_mutex_init(&compiled->lock, NULL);
	return compiled;
}

static char compiled_key; /* its address: the key in the registry */

void sl_compiled_attach(lua_State *L, struct sl_compiled *compiled)
{
	lua_pushlightuserdata(L, compiled);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &compiled_key);
}

struct sl_compiled *sl_compiled_of(lua_State *L)
{
	struct sl_compiled *compiled;

	lua_rawgetp(L, LUA_REGISTRYINDEX, &compiled_key);
	compiled = lua_touserdata(L, -1);
	lua_pop(L, 1);
	return compiled;
}

static void unref(struct unit *unit)
{
	if (!unit || atomic_fetch_sub(&unit->refs, 1) > 1)
		return;
	sl_buffer_deinit(&unit->dump);
	free((char *)(uintptr_t)unit->id.file);
	free(unit);
}

static size_t weight(const struct unit *unit)
{
	return sizeof(*unit) + strlen(unit->id.file) + sl_buffer_bytes(&unit->dump).size;
}

static void push(struct unit **list, struct unit *unit)
{
	unit->next = *list;
	*list = unit;
}

/* Takes out what @link points to; its reference is the caller's. */
static struct unit *take_locked(struct sl_compiled *compiled, struct unit **link)
{
	struct unit *unit = *link;

	*link = unit->next;
	compiled->held -= weight(unit);
	return unit;
}

void sl_compiled_free(struct sl_compiled *compiled)
{
	if (!compiled)
		return;
	while (compiled->units)
		unref(take_locked(compiled, &compiled->units));
	pthread_mutex_destroy(&compiled->lock);
	free(compiled);
}

/* Points to what there is from @file, or to the NULL at the end. */
static struct unit **find_locked(struct sl_compiled *compiled, const char *file)
{
	struct unit **link = &compiled->units;

	while (*link && strcmp((*link)->id.file, file) != 0)
		link = &(*link)->next;
	return link;
}

bool sl_compiled_same(const struct sl_compiled_id *a, const struct sl_compiled_id *b)
{
	return a->device == b->device && a->number == b->number && a->size == b->size &&
	       a->written_ns == b->written_ns && a->changed_ns == b->changed_ns;
}

/* With a reference of the caller's; NULL: there is none. */
static struct unit *get(struct sl_compiled *compiled, const struct sl_compiled_id *id)
{
	struct unit **link, *unit;

	pthread_mutex_lock(&compiled->lock);
	link = find_locked(compiled, id->file);
	unit = *link;
	if (unit && sl_compiled_same(&unit->id, id)) {
		*link = unit->next;
		push(&compiled->units, unit);
		atomic_fetch_add(&unit->refs, 1);
	} else {
		unit = NULL;
	}
	pthread_mutex_unlock(&compiled->lock);
	return unit;
}

bool sl_compiled_load(
	struct sl_compiled *compiled, lua_State *L, const struct sl_compiled_id *id)
{
	struct unit *unit = compiled ? get(compiled, id) : NULL;
	struct sl_bytes dump;
	int status;

	if (!unit)
		return false;
	dump = sl_buffer_bytes(&unit->dump);
	status = luaL_loadbufferx(L, dump.data, dump.size, "=?", "b");
	unref(unit);
	if (status != LUA_OK)
		lua_error(L);
	return true;
}

static int write_dump(lua_State *L, const void *data, size_t size, void *buffer)
{
	(void)L;
	sl_buffer_append(buffer, data, size);
	return ((struct sl_buffer *)buffer)->failed;
}

static struct unit *make(lua_State *L, const struct sl_compiled_id *id)
{
	struct unit *unit = calloc(1, sizeof(*unit));

	if (!unit)
		return NULL;
	atomic_store(&unit->refs, 1);
	unit->id = *id;
	unit->id.file = strdup(id->file);
	if (!unit->id.file || lua_dump(L, write_dump, &unit->dump, false) != 0) {
		unref(unit);
		return NULL;
	}
	return unit;
}

/* Puts @unit into the list. What is no longer wanted, which may be @unit, is pushed to
 * *out_dropped, with its references. */
static void put_locked(
	struct sl_compiled *compiled, struct unit *unit, struct unit **out_dropped)
{
	struct unit **link = find_locked(compiled, unit->id.file);

	if (*link)
		push(out_dropped, take_locked(compiled, link));
	push(&compiled->units, unit);
	compiled->held += weight(unit);
	while (compiled->held > compiled->max_bytes) {
		for (link = &compiled->units; (*link)->next;)
			link = &(*link)->next;
		push(out_dropped, take_locked(compiled, link));
	}
}

void sl_compiled_keep(
	struct sl_compiled *compiled, lua_State *L, const struct sl_compiled_id *id)
{
	struct unit *unit = compiled ? make(L, id) : NULL, *dropped = NULL;

	if (!unit)
		return;
	pthread_mutex_lock(&compiled->lock);
	put_locked(compiled, unit, &dropped);
	pthread_mutex_unlock(&compiled->lock);
	while (dropped) {
		struct unit *next = dropped->next;

		unref(dropped);
		dropped = next;
	}
}
