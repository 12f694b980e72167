/* SPDX-License-Identifier: MIT */
#include "lua/modules/environment.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "lua/state/arena.h"

struct sl_environment {
	struct sl_account *account;
	pthread_mutex_t lock;
	char **set;           /* guarded by: lock; "NAME=value", or "NAME": removed; by name */
	size_t n_set, n_room; /* guarded by: lock */
};

struct sl_environment *sl_environment_new(struct sl_account *account)
{
	struct sl_environment *environment = calloc(1, sizeof(*environment));

	if (!environment)
		return NULL;
	environment->account = account;
	pthread_mutex_init(&environment->lock, NULL);
	return environment;
}

static void release(struct sl_environment *environment, char *text)
{
	if (!text)
		return;
	sl_account_release(environment->account, strlen(text) + 1);
	free(text);
}

void sl_environment_free(struct sl_environment *environment)
{
	if (!environment)
		return;
	for (size_t i = 0; i < environment->n_set; i++)
		release(environment, environment->set[i]);
	free(environment->set);
	pthread_mutex_destroy(&environment->lock);
	free(environment);
}

/* Less than, equal to or greater than 0, as the names of the two do. */
static int compare(const char *a, const char *b)
{
	size_t n_a = strcspn(a, "="), n_b = strcspn(b, "=");
	int order = memcmp(a, b, n_a < n_b ? n_a : n_b);

	return order ? order : (n_a > n_b) - (n_a < n_b);
}

/* Where the text of that name is, or would be. */
static bool find_locked(const struct sl_environment *environment, const char *name, size_t *out)
{
	size_t low = 0, high = environment->n_set;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare(environment->set[middle], name);

		if (order == 0) {
			*out = middle;
			return true;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*out = low;
	return false;
}

/* The text of the variable in @environment, or among the process's own; NULL for none. */
static const char *text_locked(const struct sl_environment *environment, const char *name)
{
	size_t at;

	if (find_locked(environment, name, &at))
		return environment->set[at];
	for (char **text = environ; *text; text++)
		if (compare(*text, name) == 0)
			return *text;
	return NULL;
}

bool sl_environment_get(
	struct sl_environment *environment, const char *name, struct sl_buffer *out)
{
	const char *text, *equals;

	pthread_mutex_lock(&environment->lock);
	text = text_locked(environment, name);
	equals = text ? strchr(text, '=') : NULL;
	if (equals)
		sl_buffer_append(out, equals + 1, strlen(equals + 1));
	pthread_mutex_unlock(&environment->lock);
	return equals != NULL;
}

/* ---- setting ---- */

/* "NAME=value" or "NAME", charged; NULL when memory ran out. */
static char *make_text(struct sl_environment *environment, const char *name, const char *value)
{
	size_t n_name = strlen(name), n_value = value ? strlen(value) + 1 : 0;
	char *text;

	if (!sl_account_charge(environment->account, n_name + n_value + 1))
		return NULL;
	text = malloc(n_name + n_value + 1);
	if (!text) {
		sl_account_release(environment->account, n_name + n_value + 1);
		return NULL;
	}
	memcpy(text, name, n_name + 1);
	if (value) {
		text[n_name] = '=';
		memcpy(text + n_name + 1, value, n_value);
	}
	return text;
}

static bool make_room_locked(struct sl_environment *environment)
{
	size_t n = environment->n_room ? environment->n_room * 2 : 8;
	char **set;

	if (environment->n_set < environment->n_room)
		return true;
	set = reallocarray(environment->set, n, sizeof(*set));
	if (!set)
		return false;
	environment->set = set;
	environment->n_room = n;
	return true;
}

/* Takes @text. *out_old is the one whose place it took. */
static int put_locked(
	struct sl_environment *environment, char *text, char **out_old, struct sl_error *err)
{
	char **at;
	size_t i;

	if (find_locked(environment, text, &i)) {
		*out_old = environment->set[i];
		environment->set[i] = text;
		return 0;
	}
	if (environment->n_set == SL_ENVIRONMENT_MAX_SET)
		return sl_fail(err, SL_ETOO_LARGE,
			"a task can set %d environment variables, and this is one more",
			SL_ENVIRONMENT_MAX_SET);
	if (!make_room_locked(environment))
		return sl_fail(err, SL_ENOMEM, "not enough memory");
	at = environment->set + i;
	memmove(at + 1, at, (environment->n_set - i) * sizeof(*at));
	*at = text;
	environment->n_set++;
	return 0;
}

int sl_environment_set(struct sl_environment *environment, const char *name, const char *value,
	struct sl_error *err)
{
	char *text, *old = NULL;
	int code;

	if (strlen(name) + (value ? strlen(value) : 0) + 2 > SL_ENVIRONMENT_MAX_BYTES)
		return sl_fail(err, SL_ETOO_LARGE,
			"an environment variable has at most %zu KiB, with its name",
			SL_ENVIRONMENT_MAX_BYTES >> 10);
	text = make_text(environment, name, value);
	if (!text)
		return sl_fail(err, SL_ENOMEM, "not enough memory");
	pthread_mutex_lock(&environment->lock);
	code = put_locked(environment, text, &old, err);
	pthread_mutex_unlock(&environment->lock);
	release(environment, code == 0 ? old : text);
	return code;
}

/* ---- for a process ---- */

/* The list while it is made: first measured, then, with memory, written. */
struct list {
	char **texts; /* NULL: it is measured */
	char *end;    /* where the next text goes */
	size_t n, size;
};

static void add(struct list *list, const char *text)
{
	size_t size = strlen(text) + 1;

	if (list->texts) {
		list->texts[list->n] = list->end;
		memcpy(list->end, text, size);
		list->end += size;
	}
	list->n++;
	list->size += size;
}

static bool is_changed(const char *text, const char *const *changes)
{
	for (; changes && *changes; changes++)
		if (compare(*changes, text) == 0)
			return true;
	return false;
}

static void add_all_locked(const struct sl_environment *environment, struct list *list,
	const char *first, const char *const *changes)
{
	size_t at;

	add(list, first);
	for (char **text = environ; *text; text++)
		if (!find_locked(environment, *text, &at) && !is_changed(*text, changes))
			add(list, *text);
	for (size_t i = 0; i < environment->n_set; i++)
		if (strchr(environment->set[i], '=') &&
			!is_changed(environment->set[i], changes))
			add(list, environment->set[i]);
	for (; changes && *changes; changes++)
		if (strchr(*changes, '='))
			add(list, *changes);
}

char **sl_environment_list(
	struct sl_environment *environment, const char *first, const char *const *changes)
{
	struct list measured = {0}, list = {0};

	pthread_mutex_lock(&environment->lock);
	add_all_locked(environment, &measured, first, changes);
	list.texts = malloc((measured.n + 1) * sizeof(*list.texts) + measured.size);
	if (list.texts) {
		list.end = (char *)(list.texts + measured.n + 1);
		add_all_locked(environment, &list, first, changes);
		list.texts[list.n] = NULL;
	}
	pthread_mutex_unlock(&environment->lock);
	return list.texts;
}
