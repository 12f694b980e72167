/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Catalog: what is in each late table of a state, learned once for all states of
 * a runtime, so that one function can be had without the rest of its module.
 *
 * Threads: immutable once made.
 */

#include <lua.h>

#include "common/base.h"

enum {
	SL_CATALOG_MAX = 64 /* entries of one table: a bit each */
};

struct sl_catalog;

/* Learns what the late tables of @L have, which are full afterwards. NULL when memory ran out.
 */
struct sl_catalog *sl_catalog_new(lua_State *L) sl_must_check;
void sl_catalog_free(struct sl_catalog *catalog);

/* The number, below SL_CATALOG_MAX, of what the @i-th late table, from 0, has under @name; -1
 * when it has nothing there, or something that each state makes for itself. */
int sl_catalog_find(const struct sl_catalog *catalog, size_t i, const char *name);

/* Pushes that. [-0, +1, -] */
void sl_catalog_push(const struct sl_catalog *catalog, size_t i, int number, lua_State *L);
