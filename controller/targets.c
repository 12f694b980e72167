/* SPDX-License-Identifier: MIT */
#include "controller/targets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/nearest.h"
#include "controller/flags.h"

#define MAX_NAME 128
#define MAX_ADDRESS 256
#define MAX_AGENTS 65536

struct agent {
	char *name;
	char *address;
};

struct member {
	char *group;
	char *agent;
};

struct sl_targets {
	struct agent *agents;
	size_t n_agents;
	struct member *members;
	size_t n_members;
	char **addresses; /* written as targets: what lists that were resolved point to */
	size_t n_addresses;
};

struct sl_targets *sl_targets_new(void)
{
	return calloc(1, sizeof(struct sl_targets));
}

void sl_targets_free(struct sl_targets *targets)
{
	if (!targets)
		return;
	for (size_t i = 0; i < targets->n_agents; i++) {
		free(targets->agents[i].name);
		free(targets->agents[i].address);
	}
	for (size_t i = 0; i < targets->n_members; i++) {
		free(targets->members[i].group);
		free(targets->members[i].agent);
	}
	for (size_t i = 0; i < targets->n_addresses; i++)
		free(targets->addresses[i]);
	free(targets->agents);
	free(targets->members);
	free(targets->addresses);
	free(targets);
}

void sl_target_list_deinit(struct sl_target_list *list)
{
	free(list->items);
	*list = (struct sl_target_list){0};
}

static int no_memory(struct sl_error *err)
{
	return sl_fail(err, SL_ENOMEM, "out of memory");
}

static bool is_name(const char *name)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t n = strspn(name, letters);

	return n > 0 && n <= MAX_NAME && !name[n] && name[0] != '-';
}

static int check_address(const char *address, const char *where, struct sl_error *err)
{
	if (strlen(address) > MAX_ADDRESS)
		return sl_fail(err, SL_EINVALID, "%s: address over %d bytes: '%.40s…'", where,
			MAX_ADDRESS, address);
	if (strncmp(address, "ipc://", 6) == 0 && address[6])
		return 0;
	if (strncmp(address, "tcp://", 6) == 0 && strchr(address + 6, ':'))
		return 0;
	return sl_fail(err, SL_EINVALID,
		"%s: '%.100s' is no address: write ipc:///PATH/TO/SOCKET or tcp://HOST:PORT",
		where, address);
}

static struct agent *find(const struct sl_targets *targets, const char *name)
{
	for (size_t i = 0; i < targets->n_agents; i++)
		if (strcmp(targets->agents[i].name, name) == 0)
			return &targets->agents[i];
	return NULL;
}

static int add_new(struct sl_targets *targets, const char *name, const char *address,
	const char *where, struct sl_error *err)
{
	struct agent *agents, agent;

	if (targets->n_agents == MAX_AGENTS)
		return sl_fail(
			err, SL_ETOO_LARGE, "%s: more than %d agents", where, MAX_AGENTS);
	agents = reallocarray(targets->agents, targets->n_agents + 1, sizeof(*agents));
	if (!agents)
		return no_memory(err);
	targets->agents = agents;
	agent = (struct agent){strdup(name), strdup(address)};
	if (!agent.name || !agent.address) {
		free(agent.name);
		free(agent.address);
		return no_memory(err);
	}
	agents[targets->n_agents++] = agent;
	return 0;
}

int sl_targets_add(struct sl_targets *targets, const char *name, const char *address,
	const char *where, struct sl_error *err)
{
	struct agent *known;
	char *copy;
	int rc;

	if (!is_name(name))
		return sl_fail(err, SL_EINVALID,
			"%s: '%.80s' can't be an agent's name: letters, digits, '.', '_' and "
			"'-' can",
			where, name);
	rc = check_address(address, where, err);
	if (rc)
		return rc;
	known = find(targets, name);
	if (!known)
		return add_new(targets, name, address, where, err);
	copy = strdup(address);
	if (!copy)
		return no_memory(err);
	free(known->address);
	known->address = copy;
	return 0;
}

int sl_targets_add_pair(
	struct sl_targets *targets, const char *pair, const char *where, struct sl_error *err)
{
	const char *equals = strchr(pair, '=');
	char name[MAX_NAME + 2];

	if (!equals || equals == pair || !equals[1])
		return sl_fail(
			err, SL_EINVALID, "%s: '%.100s' is not NAME=ADDRESS", where, pair);
	snprintf(name, sizeof(name), "%.*s", (int)(equals - pair), pair);
	return sl_targets_add(targets, name, equals + 1, where, err);
}

int sl_targets_add_list(
	struct sl_targets *targets, const char *list, const char *where, struct sl_error *err)
{
	char *copy = strdup(list), *rest = copy, *pair;
	int rc = copy ? 0 : no_memory(err);

	while (!rc && (pair = strsep(&rest, ",")) != NULL) {
		pair += strspn(pair, " \t\n");
		pair[strcspn(pair, " \t\n")] = '\0';
		if (*pair)
			rc = sl_targets_add_pair(targets, pair, where, err);
	}
	free(copy);
	return rc;
}

static bool is_member(const struct sl_targets *targets, const char *group, const char *name)
{
	for (size_t i = 0; i < targets->n_members; i++)
		if (strcmp(targets->members[i].group, group) == 0 &&
			strcmp(targets->members[i].agent, name) == 0)
			return true;
	return false;
}

int sl_targets_add_member(struct sl_targets *targets, const char *group, const char *name,
	const char *where, struct sl_error *err)
{
	struct member *members, member;

	if (!is_name(group) || strcmp(group, "all") == 0)
		return sl_fail(
			err, SL_EINVALID, "%s: '%.80s' can't be a group's name", where, group);
	if (is_member(targets, group, name))
		return 0;
	members = reallocarray(targets->members, targets->n_members + 1, sizeof(*members));
	if (!members)
		return no_memory(err);
	targets->members = members;
	member = (struct member){strdup(group), strdup(name)};
	if (!member.group || !member.agent) {
		free(member.group);
		free(member.agent);
		return no_memory(err);
	}
	members[targets->n_members++] = member;
	return 0;
}

static int append(struct sl_target_list *list, const char *name, const char *address,
	struct sl_error *err)
{
	struct sl_target *items;

	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->items[i].name, name) == 0)
			return 0;
	items = reallocarray(list->items, list->n + 1, sizeof(*items));
	if (!items)
		return no_memory(err);
	list->items = items;
	items[list->n++] = (struct sl_target){name, address};
	return 0;
}

static int resolve_group(struct sl_targets *targets, const char *group,
	struct sl_target_list *list, struct sl_error *err)
{
	bool all = strcmp(group, "all") == 0, found = all && targets->n_agents;
	int rc = 0;

	for (size_t i = 0; !rc && all && i < targets->n_agents; i++)
		rc = append(list, targets->agents[i].name, targets->agents[i].address, err);
	for (size_t i = 0; !rc && !all && i < targets->n_members; i++) {
		const struct member *m = &targets->members[i];
		const struct agent *agent;

		if (strcmp(m->group, group) != 0)
			continue;
		found = true;
		agent = find(targets, m->agent);
		if (!agent)
			return sl_fail(err, SL_ENOT_FOUND,
				"group '@%s' names agent '%.80s', which has no address: add it "
				"with -a %.80s=ADDRESS or in agents.yaml",
				group, m->agent, m->agent);
		rc = append(list, agent->name, agent->address, err);
	}
	if (!rc && !found && all)
		return sl_fail(err, SL_ENOT_FOUND,
			"no agents are known: name some with -a NAME=ADDRESS, SLOTH_AGENTS or "
			"agents.yaml (~/.config/sloth/ or /etc/sloth/)");
	if (!rc && !found)
		return sl_fail(err, SL_ENOT_FOUND,
			"no agent is in group '@%.80s': say groups: [%.80s] at an agent in "
			"agents.yaml (~/.config/sloth/ or /etc/sloth/)",
			group, group);
	return rc;
}

static int resolve_address(struct sl_targets *targets, const char *address,
	struct sl_target_list *list, struct sl_error *err)
{
	char **addresses, *copy;
	int rc = check_address(address, "target", err);

	if (rc)
		return rc;
	addresses =
		reallocarray(targets->addresses, targets->n_addresses + 1, sizeof(*addresses));
	if (!addresses)
		return no_memory(err);
	targets->addresses = addresses;
	copy = strdup(address);
	if (!copy)
		return no_memory(err);
	addresses[targets->n_addresses++] = copy;
	return append(list, copy, copy, err);
}

static int unknown_name(
	const struct sl_targets *targets, const char *name, struct sl_error *err)
{
	const char *names[257] = {0};
	const char *nearest;
	size_t n = 0;

	for (; n < targets->n_agents && n < 256; n++)
		names[n] = targets->agents[n].name;
	nearest = sl_nearest(name, names);
	return sl_fail(err, SL_ENOT_FOUND,
		"no agent is called '%.80s'%s%.80s%s: looked at -a, SLOTH_AGENTS, "
		"~/.config/sloth/agents.yaml and /etc/sloth/agents.yaml; add it with "
		"-a %.80s=ADDRESS",
		name, nearest ? " (did you mean '" : "", nearest ? nearest : "",
		nearest ? "'?)" : "", name);
}

static int resolve_one(struct sl_targets *targets, const char *text,
	struct sl_target_list *list, struct sl_error *err)
{
	const struct agent *agent;

	if (text[0] == '@')
		return resolve_group(targets, text + 1, list, err);
	if (strstr(text, "://"))
		return resolve_address(targets, text, list, err);
	agent = find(targets, text);
	if (agent)
		return append(list, agent->name, agent->address, err);
	if (strcmp(text, SL_TARGET_LOCAL) == 0)
		return append(list, SL_TARGET_LOCAL, NULL, err);
	return unknown_name(targets, text, err);
}

int sl_targets_resolve(struct sl_targets *targets, const char *text,
	struct sl_target_list *list, struct sl_error *err)
{
	char *copy = strdup(text), *rest = copy, *word;
	int rc = copy ? 0 : no_memory(err);
	bool any = false;

	while (!rc && (word = strsep(&rest, ",")) != NULL) {
		word += strspn(word, " ");
		word[strcspn(word, " ")] = '\0';
		if (!*word)
			continue;
		any = true;
		rc = resolve_one(targets, word, list, err);
	}
	if (!rc && !any)
		rc = sl_fail(err, SL_EINVALID,
			"'%.80s' names no target: write an agent's name, @group or an address",
			text);
	free(copy);
	return rc;
}

size_t sl_targets_n(const struct sl_targets *targets)
{
	return targets->n_agents;
}

struct sl_target sl_targets_at(const struct sl_targets *targets, size_t i)
{
	return (struct sl_target){targets->agents[i].name, targets->agents[i].address};
}

char *sl_targets_groups_of(
	const struct sl_targets *targets, const char *name, char *out, size_t size)
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < targets->n_members; i++)
		if (strcmp(targets->members[i].agent, name) == 0 && n < size)
			n += (size_t)snprintf(out + n, size - n, "%s%s", n ? "," : "",
				targets->members[i].group);
	return out;
}
