/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Agents file: agents.yaml, the inventory on disk.
 *
 *   agents:
 *     web-01: { address: "tcp://127.0.0.1:7117", groups: [web] }
 *     web-02: ipc:///run/sloth-agent/agent.sock
 *   groups:
 *     db: [db-01, db-02]
 *
 * Threads: one.
 */

#include "common/base.h"

struct sl_error;
struct sl_targets;

/* Adds what @path has to @targets. A missing file is SL_ENOT_FOUND; an unknown key, a bad name
 * or address SL_EINVALID with FILE:LINE. */
int sl_agents_file_read(
	const char *path, struct sl_targets *targets, struct sl_error *err) sl_must_check;
