/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * YAML document: a file with one document, read whole, and ways to walk it
 * that say FILE:LINE when something is not as it should be.
 *
 * Threads: one.
 */

#include <yaml.h>

#include "common/base.h"

struct sl_error;

#define SL_MAX_YAML_BYTES (16u << 20)

struct sl_yaml_doc {
	const char *path;
	yaml_document_t document;
	yaml_node_t *root; /* NULL: the file is empty */
};

/* Reads @path (borrowed). A missing file is SL_ENOT_FOUND, one that is no YAML or has more than
 * one document SL_EINVALID. */
int sl_yaml_doc_read(
	const char *path, struct sl_yaml_doc *out, struct sl_error *err) sl_must_check;
void sl_yaml_doc_deinit(struct sl_yaml_doc *doc);

/* "FILE:LINE: …", SL_EINVALID. */
int sl_yaml_doc_fail(const struct sl_yaml_doc *doc, const yaml_node_t *node,
	struct sl_error *err, const char *fmt, ...) sl_printf(4, 5);

yaml_node_t *sl_yaml_doc_node(struct sl_yaml_doc *doc, int index);

/* The text of a scalar without NULs inside; NULL for any other node. */
const char *sl_yaml_text(const yaml_node_t *node);
