/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Options: what the agent was told, and where. Each has a name (max_tasks), and
 * is set from text; where the texts are from is sources.h's.
 */

#include "common/base.h"
#include "common/log.h"

struct sl_buffer;
struct sl_error;

#define SL_MAX_LISTEN 16
#define SL_MAX_ALLOW_UIDS 64
#define SL_MAX_OPTIONS 16

struct sl_options {
	char *listen[SL_MAX_LISTEN];
	size_t n_listen;
	char *name;
	char *user; /* NULL: who we are */
	char *state_dir;
	char *authorized_keys;
	char *metrics; /* where to show them; NULL: nowhere */
	size_t max_tasks;
	size_t max_queued;
	size_t prefork;
	int64_t drain_ms;
	enum sl_log_level log_level;
	uint32_t allow_uids[SL_MAX_ALLOW_UIDS];
	size_t n_allow_uids;
	int ready_fd; /* -1: none */

	char *origins[SL_MAX_OPTIONS]; /* of each in the order of the table; NULL: default */
};

/* Sets the defaults. *out is for deinit in any case. */
int sl_options_init(struct sl_options *out, struct sl_error *err) sl_must_check;

void sl_options_deinit(struct sl_options *options);

/* Sets the option called @key (max_tasks) to @text. One that takes a list is added to, as long
 * as @origin stays the same; another one begins it anew. SL_EINVALID for an unknown key, with
 * the nearest that is known, and for a bad value. */
int sl_options_set(struct sl_options *options, const char *key, const char *text,
	const char *origin, struct sl_error *err) sl_must_check;

bool sl_options_is_known(const char *key);

/* Whether @key takes a list of values. */
bool sl_options_is_list(const char *key);

/* The key that @key was most likely meant to be, or NULL. */
const char *sl_options_nearest(const char *key);

/* Appends all of them to @out, as a file that can be read again, with the origin of each in a
 * comment. */
void sl_options_dump(const struct sl_options *options, struct sl_buffer *out);

/* Takes from @from what can change while the agent runs, and calls stays() for each option that
 * differs and can't. What was replaced is in @from afterwards. */
void sl_options_adopt(
	struct sl_options *options, struct sl_options *from, void (*stays)(const char *key));
