/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Render: what a run looks like on stdout, in one of the formats of --output.
 * Fed by the run as things happen; each format is a file of its own.
 *
 * Threads: the loop's.
 */

#include "common/event.h"
#include "common/log.h"
#include "controller/job.h"
#include "controller/outcome.h"

struct sl_buffer;
struct sl_options;
struct sl_render;

struct sl_render_run {
	const char *id;       /* of the run; "" for none */
	const char *workflow; /* "" for none */
	const struct sl_job *const *jobs;
	size_t n_jobs;
	int64_t duration_ms;
	struct sl_outcome outcome;
};

/* What a format fills in; those that say so may be NULL. */
struct sl_render_ops {
	void (*begun)(struct sl_render *r, const struct sl_job *job); /* may be NULL */
	void (*event)(struct sl_render *r, const struct sl_job *job, uint64_t number,
		const struct sl_event *event);
	/* May be NULL: it goes to stderr then. */
	void (*note)(struct sl_render *r, const char *target, const char *text);
	void (*ended)(struct sl_render *r, const struct sl_job *job); /* may be NULL */
	/* What is to be seen below the lines, until clear; both may be NULL. */
	void (*draw)(struct sl_render *r);
	void (*clear)(struct sl_render *r);
	void (*finish)(struct sl_render *r, const struct sl_render_run *run);
	void (*free)(struct sl_render *r);
};

struct sl_render_style {
	bool color;
	bool escape; /* stdout is a terminal: nothing of a task may act on it */
	bool quiet;
	enum sl_log_level level; /* less important log lines are left out */
	size_t host_width;       /* columns of the longest target's name */
};

/* A format begins with this. */
struct sl_render {
	const struct sl_render_ops *ops;
	struct sl_render_style style;
	struct sl_buffer *out; /* what goes to stdout with the next flush */
	bool broken;           /* nobody reads stdout any more */
	bool lost;             /* stdout takes no more: what was to be shown is missing */
};

/* The renderer that @options ask for; NULL when memory ran out. */
struct sl_render *sl_render_new(
	const struct sl_options *options, size_t host_width) sl_must_check;
void sl_render_free(struct sl_render *render);
SL_DEFINE_CLEANUP(struct sl_render *, sl_render_free);

/* @job is handed to its agent. */
void sl_render_begun(struct sl_render *render, const struct sl_job *job);

/* Something happened in @job; split lines are joined already. */
void sl_render_event(struct sl_render *render, const struct sl_job *job, uint64_t number,
	const struct sl_event *event);

/* Something to tell about a target: it is gone, it is busy. */
void sl_render_note(struct sl_render *render, const char *target, const char *text);

/* The same on stderr in any format: what sloth itself has to say. */
void sl_render_say(struct sl_render *render, const char *text);

/* Whether what it shows changes with time: it is to be flushed every SL_RENDER_TICK_MS. */
bool sl_render_ticks(const struct sl_render *render);
#define SL_RENDER_TICK_MS 250

/* Takes what stands below the lines off the screen until the next flush: somebody else writes.
 */
void sl_render_clear(struct sl_render *render);

/* @job is over. */
void sl_render_ended(struct sl_render *render, const struct sl_job *job);

/* All is over: the summary. Flushes. */
void sl_render_finish(struct sl_render *render, const struct sl_render_run *run);

/* Writes what has gathered. Blocks while stdout does. False when nobody reads it any more. */
bool sl_render_flush(struct sl_render *render);

/* Whether something could not be written, though somebody may read what could: a full disk. */
bool sl_render_lost(const struct sl_render *render);

/* The formats; each returns a zeroed renderer with its ops, or NULL. */
struct sl_render *sl_render_plain_new(void);
struct sl_render *sl_render_pretty_new(void);
struct sl_render *sl_render_json_new(bool lines);

/* Plain's ways, which work for any renderer: pretty has them too. */
extern const struct sl_render_ops sl_render_plain_ops;
void sl_render_plain_job(struct sl_render *r, const struct sl_job *job, size_t task_width);
void sl_render_plain_counts(struct sl_render *r, const struct sl_render_run *run);
