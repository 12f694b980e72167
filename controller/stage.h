/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Stage: one task of a run with all its targets: whether its turn has come,
 * whether it shall run at all, the parts it has, and what the workflow's own
 * functions are told of it.
 *
 * Threads: the loop's.
 */

#include "controller/part.h"

struct sl_error;
struct sl_stage;

enum sl_stage_phase {
	SL_STAGE_WAITING, /* for others, or its turn */
	SL_STAGE_RUNNING,
	SL_STAGE_SUCCEEDED, /* or skipped by its own run_if */
	SL_STAGE_FAILED,    /* or skipped because another failed */
};

/* @others are the stages of the plan's steps, of which those before this one are made. NULL
 * when memory ran out. */
struct sl_stage *sl_stage_new(struct sl_part_env *env, const struct sl_step *step,
	struct sl_stage *const *others) sl_must_check;
void sl_stage_free(struct sl_stage *stage);

enum sl_stage_phase sl_stage_phase(const struct sl_stage *stage);
const char *sl_stage_name(const struct sl_stage *stage);

/* What it came to: outputs of the one target, or { [target] = outputs }; nil when it never ran.
 * Borrowed. */
struct sl_value sl_stage_outputs(const struct sl_stage *stage);

size_t sl_stage_n_parts(const struct sl_stage *stage);
struct sl_part *sl_stage_part(const struct sl_stage *stage, size_t i);

/* Whether all it depends on is over. */
bool sl_stage_is_due(const struct sl_stage *stage);

enum sl_stage_start {
	SL_STAGE_STARTED = 0, /* or over at once: the phase tells */
	SL_STAGE_ABORT,       /* its abort_if stops the run */
};

/* Its turn: asks the workflow's functions, finds its targets, makes its parts. The caller
 * begins them. */
enum sl_stage_start sl_stage_begin(struct sl_stage *stage) sl_must_check;

/* Its turn will never come: ends it, with a part for each target that is known. */
void sl_stage_drop(struct sl_stage *stage, enum sl_verdict verdict, const char *why);

/* One of its parts is over. When it was the last, the stage is, and the workflow's functions
 * were told. */
void sl_stage_part_over(struct sl_stage *stage);
