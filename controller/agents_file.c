/* SPDX-License-Identifier: MIT */
#include "controller/agents_file.h"

#include <stdio.h>
#include <string.h>

#include "common/error.h"
#include "controller/targets.h"
#include "controller/yaml_doc.h"

struct reader {
	struct sl_yaml_doc doc;
	struct sl_targets *targets;
};

/* "FILE:LINE" of @node, for messages of others. */
static const char *where(const struct reader *r, const yaml_node_t *node, char out[200])
{
	snprintf(out, 200, "%.150s:%zu", r->doc.path, node->start_mark.line + 1);
	return out;
}

/* Calls @fn for each pair of the mapping @node; @what names the mapping for messages. */
static int each_pair(struct reader *r, yaml_node_t *node, const char *what,
	int (*fn)(struct reader *r, const void *ctx, const char *key, yaml_node_t *at,
		yaml_node_t *value, struct sl_error *err),
	const void *ctx, struct sl_error *err)
{
	int rc = 0;

	if (node->type != YAML_MAPPING_NODE)
		return sl_yaml_doc_fail(&r->doc, node, err, "%s must be a map", what);
	for (yaml_node_pair_t *p = node->data.mapping.pairs.start;
		!rc && p < node->data.mapping.pairs.top; p++) {
		yaml_node_t *key = sl_yaml_doc_node(&r->doc, p->key);
		const char *text = sl_yaml_text(key);

		if (!text)
			return sl_yaml_doc_fail(&r->doc, key, err, "a name is wanted here");
		rc = fn(r, ctx, text, key, sl_yaml_doc_node(&r->doc, p->value), err);
	}
	return rc;
}

static int each_text(struct reader *r, yaml_node_t *node, const char *what,
	int (*fn)(struct reader *r, const void *ctx, const char *text, yaml_node_t *at,
		struct sl_error *err),
	const void *ctx, struct sl_error *err)
{
	int rc = 0;

	if (node->type != YAML_SEQUENCE_NODE)
		return sl_yaml_doc_fail(&r->doc, node, err, "%s must be a list: [a, b]", what);
	for (yaml_node_item_t *i = node->data.sequence.items.start;
		!rc && i < node->data.sequence.items.top; i++) {
		yaml_node_t *item = sl_yaml_doc_node(&r->doc, *i);
		const char *text = sl_yaml_text(item);

		if (!text)
			return sl_yaml_doc_fail(&r->doc, item, err, "a name is wanted here");
		rc = fn(r, ctx, text, item, err);
	}
	return rc;
}

static int group_of_agent(struct reader *r, const void *agent, const char *text,
	yaml_node_t *at, struct sl_error *err)
{
	char place[200];

	return sl_targets_add_member(r->targets, text, agent, where(r, at, place), err);
}

static int agent_of_group(struct reader *r, const void *group, const char *text,
	yaml_node_t *at, struct sl_error *err)
{
	char place[200];

	return sl_targets_add_member(r->targets, group, text, where(r, at, place), err);
}

static int agent_field(struct reader *r, const void *agent, const char *key, yaml_node_t *at,
	yaml_node_t *value, struct sl_error *err)
{
	char place[200];

	if (strcmp(key, "groups") == 0)
		return each_text(r, value, "groups", group_of_agent, agent, err);
	if (strcmp(key, "address") != 0)
		return sl_yaml_doc_fail(&r->doc, at, err,
			"unknown key '%.60s'; an agent has address and groups", key);
	if (!sl_yaml_text(value))
		return sl_yaml_doc_fail(&r->doc, value, err, "address must be a text");
	return sl_targets_add(
		r->targets, agent, sl_yaml_text(value), where(r, value, place), err);
}

static bool has_address(struct reader *r, const yaml_node_t *node)
{
	for (yaml_node_pair_t *p = node->data.mapping.pairs.start;
		p < node->data.mapping.pairs.top; p++) {
		const char *key = sl_yaml_text(sl_yaml_doc_node(&r->doc, p->key));

		if (key && strcmp(key, "address") == 0)
			return true;
	}
	return false;
}

static int one_agent(struct reader *r, const void *ctx, const char *key, yaml_node_t *at,
	yaml_node_t *value, struct sl_error *err)
{
	char place[200];

	(void)ctx;
	if (sl_yaml_text(value))
		return sl_targets_add(
			r->targets, key, sl_yaml_text(value), where(r, at, place), err);
	if (value->type == YAML_MAPPING_NODE && !has_address(r, value))
		return sl_yaml_doc_fail(&r->doc, at, err, "agent '%.60s' has no address", key);
	return each_pair(r, value, "an agent", agent_field, key, err);
}

static int one_group(struct reader *r, const void *ctx, const char *key, yaml_node_t *at,
	yaml_node_t *value, struct sl_error *err)
{
	(void)ctx;
	(void)at;
	return each_text(r, value, "a group", agent_of_group, key, err);
}

static int top(struct reader *r, const void *ctx, const char *key, yaml_node_t *at,
	yaml_node_t *value, struct sl_error *err)
{
	(void)ctx;
	if (strcmp(key, "agents") == 0)
		return each_pair(r, value, "agents", one_agent, NULL, err);
	if (strcmp(key, "groups") == 0)
		return each_pair(r, value, "groups", one_group, NULL, err);
	return sl_yaml_doc_fail(
		&r->doc, at, err, "unknown key '%.60s'; agents and groups are understood", key);
}

int sl_agents_file_read(const char *path, struct sl_targets *targets, struct sl_error *err)
{
	struct reader r = {.targets = targets};
	int rc = sl_yaml_doc_read(path, &r.doc, err);

	if (rc)
		return rc;
	if (r.doc.root)
		rc = each_pair(&r, r.doc.root, "the file", top, NULL, err);
	sl_yaml_doc_deinit(&r.doc);
	return rc;
}
