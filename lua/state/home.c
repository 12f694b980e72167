/* SPDX-License-Identifier: MIT */
#include "lua/state/home.h"

#include <lauxlib.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/error.h"
#include "lua/modules/modules.h"
#include "lua/state/catalog.h"
#include "lua/state/compiled.h"
#include "lua/state/image.h"
#include "lua/state/late.h"
#include "lua/state/names.h"

/* A task with so many goroutines is likely to have many more: an image pays. */
#define FURNISHED_ONE_BY_ONE 2

/* Most that is kept of modules that were compiled, for all states. */
#define COMPILED_BYTES ((size_t)8 << 20)

static char home_key; /* its address: the key in the registry */

/* Whatever in the state leads out of it to its home. [-0, +0, m] */
static void move_in(lua_State *L, struct sl_home *home)
{
	sl_handle_list_attach(L, &home->handles);
	lua_pushlightuserdata(L, home);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &home_key);
}

/* f(home): furnishes; may raise for lack of memory */
static int l_furnish(lua_State *L)
{
	struct sl_home *home = lua_touserdata(L, 1);

	sl_modules_open(L);
	move_in(L, home);
	home->co = lua_newthread(L);
	return 1;
}

/* Makes the state itself; names come later. */
static int make(struct sl_home *home, const struct sl_home_model *model, struct sl_error *err)
{
	*home = (struct sl_home){0};
	home->arena = sl_arena_new(model->account, model->limit_bytes);
	if (home->arena)
		home->L = lua_newstate(sl_arena_alloc, home->arena);
	if (!home->L) {
		sl_arena_free(sl_steal(home->arena));
		return sl_fail(err, SL_ENOMEM, "not enough memory");
	}
	*(struct sl_home **)lua_getextraspace(home->L) = home;
	lua_pushcfunction(home->L, l_furnish);
	lua_pushlightuserdata(home->L, home);
	if (lua_pcall(home->L, 1, 1, 0) != LUA_OK) {
		sl_home_deinit(home);
		return sl_fail(err, SL_ENOMEM, "not enough memory");
	}
	return 0; /* the coroutine stays on the stack, which keeps it alive */
}

/* f(model) */
static int l_attach(lua_State *L)
{
	const struct sl_home_model *model = lua_touserdata(L, 1);

	sl_late_attach(L, model->catalog);
	sl_names_attach(L, model->names);
	sl_compiled_attach(L, model->compiled);
	return 0;
}

/* Makes a furnished state from nothing. */
static int furnish(
	struct sl_home *home, const struct sl_home_model *model, struct sl_error *err)
{
	int code = make(home, model, err);

	if (code != 0)
		return code;
	lua_pushcfunction(home->L, l_attach);
	lua_pushlightuserdata(home->L, (void *)model);
	if (lua_pcall(home->L, 1, 0, 0) == LUA_OK)
		return 0;
	sl_home_deinit(home);
	return sl_fail(err, SL_ENOMEM, "not enough memory");
}

/* Has the state in @home, which was made elsewhere, live here. The keys that move_in() sets are
 * there already: nothing is allocated. */
static void settle(struct sl_home *home)
{
	*(struct sl_home **)lua_getextraspace(home->L) = home;
	*(struct sl_home **)lua_getextraspace(home->co) = home;
	move_in(home->L, home);
}

void sl_home_move(struct sl_home *home, struct sl_home *from)
{
	*home = *from;
	*from = (struct sl_home){0};
	settle(home);
}

static bool take_spare(struct sl_home *home, struct sl_home_model *model)
{
	struct sl_home *spare = atomic_exchange(&model->spare, NULL);

	if (!spare)
		return false;
	sl_home_move(home, spare);
	free(spare);
	return true;
}

static int thaw(struct sl_home *home, const struct sl_image *image, struct sl_error *err)
{
	*home = (struct sl_home){0};
	home->arena = sl_image_thaw(image, &home->L, &home->co);
	if (!home->arena) {
		home->L = home->co = NULL;
		return sl_fail(err, SL_ENOMEM, "not enough memory");
	}
	settle(home);
	return 0;
}

static void freeze(struct sl_home_model *model)
{
	struct sl_home home;
	bool suits;

	if (furnish(&home, model, NULL) != 0)
		return;
	suits = sl_image_suits(home.L);
	sl_home_deinit(&home);
	if (!suits || furnish(&home, model, NULL) != 0)
		return;
	atomic_store(&model->image, sl_image_new(home.L, home.co, home.arena));
	sl_home_deinit(&home);
}

int sl_home_init(struct sl_home *home, struct sl_home_model *model,
	struct sl_goroutine *goroutine, struct sl_error *err)
{
	const struct sl_image *image = atomic_load(&model->image);
	int code;

	if (!image && atomic_fetch_add(&model->n_made, 1) == FURNISHED_ONE_BY_ONE) {
		freeze(model);
		image = atomic_load(&model->image);
	}
	code = take_spare(home, model) ? 0
	       : image                 ? thaw(home, image, err)
	                               : furnish(home, model, err);
	if (code == 0)
		home->goroutine = goroutine;
	return code;
}

void sl_home_deinit(struct sl_home *home)
{
	if (home->L && home->has_finalizers)
		lua_close(home->L);
	sl_handle_list_drop(&home->handles);
	sl_arena_free(home->arena);
	*home = (struct sl_home){0};
}

/* NULL for a state that is not ours. [-0, +0, -] */
static struct sl_home *find_home(lua_State *L)
{
	struct sl_home *home;

	lua_rawgetp(L, LUA_REGISTRYINDEX, &home_key);
	home = lua_touserdata(L, -1);
	lua_pop(L, 1);
	return home;
}

void sl_home_note_finalizer(lua_State *L)
{
	struct sl_home *home = find_home(L);

	if (home)
		home->has_finalizers = true;
}

bool sl_home_may_finalize(lua_State *L)
{
	struct sl_home *home = find_home(L);

	return !home || home->has_finalizers;
}

/* So that the first task, which is often the only goroutine too, starts at once. */
static int make_spare(struct sl_home_model *model, struct sl_error *err)
{
	struct sl_home *spare = malloc(sizeof(*spare));
	int code;

	if (!spare)
		return sl_fail(err, SL_ENOMEM, "not enough memory");
	code = furnish(spare, model, err);
	if (code == 0)
		atomic_store(&model->spare, spare);
	else
		free(spare);
	return code;
}

int sl_home_model_init(struct sl_home_model *model, struct sl_account *account,
	size_t limit_bytes, struct sl_error *err)
{
	struct sl_home home;
	int code;

	*model = (struct sl_home_model){.account = account, .limit_bytes = limit_bytes};
	code = make(&home, model, err);
	if (code != 0)
		return code;
	model->compiled = sl_compiled_new(COMPILED_BYTES);
	model->catalog = sl_catalog_new(home.L);
	model->names = sl_names_new(home.L);
	sl_home_deinit(&home);
	if (!model->compiled || !model->catalog || !model->names)
		return sl_fail(err, SL_ENOMEM, "not enough memory");
	return make_spare(model, err);
}

/* f(): compiles and runs a little of everything */
static int l_exercise(lua_State *L)
{
	static const char text[] = "local t = { name = 'x' } t[1] = function(a) return a end "
				   "for k, v in pairs(t) do t[1](v) end return true";

	if (luaL_loadbufferx(L, text, sizeof(text) - 1, "=exercise", "t") == LUA_OK)
		lua_call(L, 0, 0);
	return 0;
}

void sl_home_model_warm(struct sl_home_model *model)
{
	struct sl_home *spare = atomic_load(&model->spare);

	if (!spare)
		return;
	lua_pushcfunction(spare->L, l_exercise);
	/* Nothing depends on it: what may be short is memory, and then the task says so. */
	if (lua_pcall(spare->L, 0, 0, 0) != LUA_OK)
		lua_pop(spare->L, 1);
}

void sl_home_model_deinit(struct sl_home_model *model)
{
	struct sl_home *spare = atomic_load(&model->spare);

	if (spare)
		sl_home_deinit(spare);
	free(spare);
	sl_compiled_free(model->compiled);
	sl_catalog_free(model->catalog);
	sl_names_free(model->names);
	sl_image_free(atomic_load(&model->image));
	*model = (struct sl_home_model){0};
}
