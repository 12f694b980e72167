/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Chunk: a piece of Lua that runs on targets as a task of its own.
 *
 * Threads: one.
 */

#include "common/base.h"

struct sl_options;

/* Runs @chunk, which messages call @file, as task @name on the targets that @where stands for.
 * Says itself what is wrong. Returns the exit status. Blocks. */
int sl_chunk_run(const char *where, const char *name, const char *chunk, const char *file,
	const struct sl_options *options);
