/* SPDX-License-Identifier: MIT */
#include "controller/fleet.h"

#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/log.h"
#include "controller/key.h"
#include "controller/local_agent.h"
#include "controller/loop.h"
#include "controller/options.h"
#include "controller/remote.h"
#include "proto/identity.h"

struct sl_fleet {
	struct sl_loop *loop;
	const struct sl_options *options;
	const struct sl_fleet_ops *ops;
	void *ctx;
	struct sl_identity identity;
	bool has_identity;
	struct sl_remote **remotes;
	size_t n_remotes;
	struct sl_local_agent *local;
	struct sl_remote *local_remote; /* NULL: not ready yet */
};

int sl_fleet_new(struct sl_loop *loop, const struct sl_options *options,
	const struct sl_fleet_ops *ops, void *ctx, struct sl_fleet **out, struct sl_error *err)
{
	struct sl_fleet *fleet = calloc(1, sizeof(*fleet));
	int rc;

	if (!fleet)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	fleet->loop = loop;
	fleet->options = options;
	fleet->ops = ops;
	fleet->ctx = ctx;
	rc = sl_key_find(options->key_file, &fleet->identity, err);
	if (rc < 0) {
		free(fleet);
		return rc;
	}
	fleet->has_identity = rc != SL_KEY_NONE;
	*out = fleet;
	return 0;
}

void sl_fleet_free(struct sl_fleet *fleet)
{
	if (!fleet)
		return;
	for (size_t i = 0; i < fleet->n_remotes; i++)
		sl_remote_free(fleet->remotes[i]);
	free(fleet->remotes);
	sl_remote_free(fleet->local_remote);
	sl_local_agent_free(fleet->local);
	if (fleet->has_identity)
		sl_identity_deinit(&fleet->identity);
	free(fleet);
}

static void on_note(void *ctx, struct sl_remote *remote, const char *text)
{
	struct sl_fleet *fleet = ctx;

	fleet->ops->note(fleet->ctx, sl_remote_name(remote), text);
}

static void on_local_ready(void *ctx, const char *address)
{
	struct sl_fleet *fleet = ctx;
	/* On the same machine and its child: once gone, it is gone. */
	struct sl_remote_config config = {
		.name = SL_TARGET_LOCAL,
		.address = address,
		.connect_ms = fleet->options->connect_ms,
		.ctx = fleet,
	};
	struct sl_error err;

	if (sl_remote_new(fleet->loop, &config, &fleet->local_remote, &err))
		fleet->ops->local_died(fleet->ctx, err.text);
	else
		fleet->ops->local_ready(fleet->ctx);
}

static void on_local_died(void *ctx, const char *why)
{
	struct sl_fleet *fleet = ctx;

	fleet->ops->local_died(fleet->ctx, why);
}

int sl_fleet_start_local(struct sl_fleet *fleet, struct sl_error *err)
{
	static const struct sl_local_agent_ops ops = {
		.ready = on_local_ready, .died = on_local_died};
	/* It says what is wrong; what is usual about it is nobody's business. */
	const char *level = fleet->options->log_level == SL_LOG_DEBUG ? "debug" : "error";

	if (fleet->local)
		return 0;
	return sl_local_agent_new(fleet->loop, level, &ops, fleet, &fleet->local, err);
}

static int add_remote(struct sl_fleet *fleet, const struct sl_target *target,
	struct sl_remote **out, struct sl_error *err)
{
	struct sl_remote_config config = {
		.name = target->name,
		.address = target->address,
		.identity = fleet->has_identity ? &fleet->identity : NULL,
		.connect_ms = fleet->options->connect_ms,
		.reconnect_ms = fleet->options->reconnect_ms,
		.note = on_note,
		.ctx = fleet,
	};
	struct sl_remote **remotes =
		reallocarray(fleet->remotes, fleet->n_remotes + 1, sizeof(struct sl_remote *));
	int rc;

	if (!remotes)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	fleet->remotes = remotes;
	rc = sl_remote_new(fleet->loop, &config, &remotes[fleet->n_remotes], err);
	if (!rc)
		*out = remotes[fleet->n_remotes++];
	return rc;
}

int sl_fleet_remote(struct sl_fleet *fleet, const struct sl_target *target,
	struct sl_remote **out, struct sl_error *err)
{
	if (!target->address) {
		*out = fleet->local_remote;
		return 0;
	}
	for (size_t i = 0; i < fleet->n_remotes; i++)
		if (strcmp(sl_remote_name(fleet->remotes[i]), target->name) == 0) {
			*out = fleet->remotes[i];
			return 0;
		}
	return add_remote(fleet, target, out, err);
}
