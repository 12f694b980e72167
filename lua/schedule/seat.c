/* SPDX-License-Identifier: MIT */
#include "lua/schedule/seat.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lua/state/arena.h"
#include "lua/state/handle.h"
#include "lua/state/home.h"
#include "lua/transfer/body.h"

enum {
	MOST_SEATS = 16
};

struct sl_seat {
	struct sl_seats *seats;
	struct sl_seat *next;         /* sl_seats.free */
	struct sl_body *body;         /* shares */
	struct sl_home home;          /* while nobody has it */
	struct sl_arena_saved *saved; /* its memory, as it was at first */
};

struct sl_seats {
	pthread_mutex_t lock;
	struct sl_seat *free; /* guarded by: lock; the last one left first */
	unsigned n;           /* guarded by: lock; also of those that are taken */
};

struct sl_seats *sl_seats_new(void)
{
	struct sl_seats *seats = calloc(1, sizeof(*seats));

	if (seats)
		pthread_mutex_init(&seats->lock, NULL);
	return seats;
}

/* Gives back what a seat has beside its state. */
static void free_seat(struct sl_seat *seat)
{
	pthread_mutex_lock(&seat->seats->lock);
	seat->seats->n--;
	pthread_mutex_unlock(&seat->seats->lock);
	sl_handle_unref(&seat->body->handle);
	sl_arena_saved_free(seat->saved);
	free(seat);
}

static void free_chain(struct sl_seat *chain)
{
	while (chain) {
		struct sl_seat *seat = chain;

		chain = seat->next;
		sl_home_deinit(&seat->home);
		free_seat(seat);
	}
}

void sl_seats_clear(struct sl_seats *seats)
{
	struct sl_seat *chain;

	pthread_mutex_lock(&seats->lock);
	chain = sl_steal(seats->free);
	pthread_mutex_unlock(&seats->lock);
	free_chain(chain);
}

void sl_seats_free(struct sl_seats *seats)
{
	if (!seats)
		return;
	sl_seats_clear(seats);
	pthread_mutex_destroy(&seats->lock);
	free(seats);
}

/* Takes the first free one for @body, or any if @body is NULL, off the list. */
static struct sl_seat *take_locked(struct sl_seats *seats, const struct sl_body *body)
{
	for (struct sl_seat **at = &seats->free; *at; at = &(*at)->next) {
		struct sl_seat *seat = *at;

		if (body && seat->body != body)
			continue;
		*at = seat->next;
		seat->next = NULL;
		return seat;
	}
	return NULL;
}

struct sl_seat *sl_seats_take(
	struct sl_seats *seats, const struct sl_body *body, struct sl_home *home)
{
	struct sl_seat *seat;

	pthread_mutex_lock(&seats->lock);
	seat = take_locked(seats, body);
	pthread_mutex_unlock(&seats->lock);
	if (seat)
		sl_home_move(home, &seat->home);
	return seat;
}

/* Counts one more; a free one with another body makes room for it. */
static bool make_room(struct sl_seats *seats)
{
	struct sl_seat *other = NULL;
	bool room;

	pthread_mutex_lock(&seats->lock);
	if (seats->n == MOST_SEATS)
		other = take_locked(seats, NULL);
	room = seats->n < MOST_SEATS || other;
	if (room)
		seats->n++;
	pthread_mutex_unlock(&seats->lock);
	free_chain(other);
	return room;
}

/* f(body) → function */
static int l_load(lua_State *L)
{
	sl_body_push(L, lua_touserdata(L, 1));
	return 1;
}

/* Leaves the function on the top of the state. */
static bool load(struct sl_home *home, struct sl_body *body)
{
	lua_pushcfunction(home->L, l_load);
	lua_pushlightuserdata(home->L, body);
	if (lua_pcall(home->L, 1, 1, 0) == LUA_OK)
		return true;
	lua_pop(home->L, 1);
	return false;
}

struct sl_seat *sl_seats_add(struct sl_seats *seats, struct sl_body *body, struct sl_home *home)
{
	struct sl_seat *seat;

	if (!make_room(seats))
		return NULL;
	seat = calloc(1, sizeof(*seat));
	if (!seat) {
		pthread_mutex_lock(&seats->lock);
		seats->n--;
		pthread_mutex_unlock(&seats->lock);
		return NULL;
	}
	seat->seats = seats;
	seat->body = (struct sl_body *)sl_handle_ref(&body->handle);
	if (load(home, body)) {
		seat->saved = sl_arena_save(home->arena);
		if (seat->saved)
			return seat;
		lua_pop(home->L, 1);
	}
	free_seat(seat);
	return NULL;
}

void sl_seat_leave(struct sl_seat *seat, struct sl_home *home, bool again)
{
	struct sl_seats *seats = seat->seats;

	if (!again || home->has_finalizers) {
		sl_home_deinit(home);
		free_seat(seat);
		return;
	}
	sl_handle_list_drop(&home->handles);
	sl_arena_restore(home->arena, seat->saved);
	seat->home = *home;
	seat->home.has_handlers = false;
	*home = (struct sl_home){0};
	pthread_mutex_lock(&seats->lock);
	seat->next = seats->free;
	seats->free = seat;
	pthread_mutex_unlock(&seats->lock);
}
