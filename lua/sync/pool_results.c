/* SPDX-License-Identifier: MIT */
#include <lauxlib.h>
#include <stdlib.h>

#include "lua/schedule/call.h"
#include "lua/state/handle.h"
#include "lua/sync/pool_parts.h"

enum {
	MOST_RESULTS = 10000,
};

void sl_pool_keep_result_locked(
	struct sl_pool *pool, uint64_t number, struct sl_outcome *outcome)
{
	struct sl_pool_result *place;

	if (pool->n_results < MOST_RESULTS) {
		struct sl_pool_result *grown = pool->results;

		if ((pool->n_results & (pool->n_results - 1)) == 0)
			grown = realloc(pool->results,
				(pool->n_results ? pool->n_results * 2 : 1) * sizeof(*grown));
		if (!grown) {
			sl_outcome_deinit(outcome);
			return;
		}
		pool->results = grown;
		place = &grown[pool->n_results++];
	} else {
		place = &pool->results[pool->first_result];
		pool->first_result = (pool->first_result + 1) % MOST_RESULTS;
		sl_outcome_deinit(&place->outcome);
	}
	*place = (struct sl_pool_result){.number = number, .outcome = *outcome};
}

void sl_pool_free_results(struct sl_pool_result *results, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sl_outcome_deinit(&results[i].outcome);
	free(results);
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = ((const struct sl_pool_result *)a)->number;
	uint64_t y = ((const struct sl_pool_result *)b)->number;

	return x < y ? -1 : x > y;
}

/* Results on their way into a state. */
struct sl_pool_taken {
	struct sl_handle handle; /* first */
	struct sl_pool_result *results;
	size_t n;
};

static void free_taken(struct sl_handle *handle)
{
	struct sl_pool_taken *results = (struct sl_pool_taken *)handle;

	sl_pool_free_results(results->results, results->n);
	free(results);
}

/* Takes all results out of the pool and pushes a handle that owns them. */
static struct sl_pool_taken *push_taken(lua_State *L, struct sl_pool *pool)
{
	struct sl_pool_taken *results = calloc(1, sizeof(*results));

	if (!results)
		luaL_error(L, "not enough memory");
	results->handle =
		(struct sl_handle){.refs = 1, .kind = SL_SUBMISSION_KIND, .free = free_taken};
	sl_handle_push_new(L, &results->handle);
	pthread_mutex_lock(&pool->lock);
	results->results = sl_steal(pool->results);
	results->n = pool->n_results;
	pool->n_results = 0;
	pool->first_result = 0;
	pthread_mutex_unlock(&pool->lock);
	if (results->n > 0)
		qsort(results->results, results->n, sizeof(*results->results), by_number);
	return results;
}

void sl_pool_push_results(lua_State *L, struct sl_pool *pool)
{
	struct sl_pool_taken *results = push_taken(L, pool);
	char id[SL_POOL_ID_SIZE];

	lua_createtable(L, (int)results->n, 0);
	for (size_t i = 0; i < results->n; i++) {
		struct sl_pool_result *result = &results->results[i];

		sl_call_push_record(L, &result->outcome);
		lua_pushlstring(L, id, sl_pool_write_id(pool, result->number, id));
		lua_setfield(L, -2, "id");
		lua_rawseti(L, -2, (lua_Integer)i + 1);
		sl_outcome_deinit(&result->outcome);
	}
}
