/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Pipe: a command for the shell whose output is read, or whose input is written,
 * through a FILE, as popen() does it; or a named pipe, with whoever is at its other
 * end. Whoever reads can see to it beforehand that there is enough, and wait without
 * a thread; else the FILE blocks.
 *
 * Threads: the goroutine that has it.
 */

#include <stdio.h>

#include "common/buffer.h"
#include "lua/modules/process.h"
#include "lua/schedule/goroutine.h"

struct sl_environment;
struct sl_error;
struct sl_pipe;
struct sl_reactor;

struct sl_pipe_ask {
	const char *command;
	bool writes; /* we write its input; else we read its output. It shares the rest with us
	              */
	struct sl_environment *environment;
};

/* Starts the command. */
int sl_pipe_open(struct sl_reactor *reactor, const struct sl_pipe_ask *ask,
	struct sl_pipe **out, struct sl_error *err) sl_must_check;

/* Whether @path is a named pipe. */
bool sl_pipe_is_at(const char *path);

/* Opens the named pipe at @path; doesn't wait for who opens its other end. Who reads it waits
 * then, for what the first one writes. Who writes fails with SL_ESYSTEM if nobody reads. */
int sl_pipe_open_named(struct sl_reactor *reactor, const char *path, bool writes,
	struct sl_pipe **out, struct sl_error *err) sl_must_check;

/* With @kill the command ends, with all that came of it; else it goes on without us. */
void sl_pipe_free(struct sl_pipe *pipe, bool kill);

FILE *sl_pipe_file(struct sl_pipe *pipe);
bool sl_pipe_writes(const struct sl_pipe *pipe);
bool sl_pipe_is_named(const struct sl_pipe *pipe);

/* What is there to be read from the FILE without blocking; it stays there until the next fetch.
 */
struct sl_bytes sl_pipe_ahead(const struct sl_pipe *pipe);

/* The first @n bytes of that are not for the FILE any more. */
void sl_pipe_take(struct sl_pipe *pipe, size_t n);

enum sl_pipe_answer {
	SL_PIPE_OK,
	SL_PIPE_WAIT, /* sl_pipe_wait_kind */
	SL_PIPE_END,  /* nothing more comes */
};

/* Reads some more ahead. */
enum sl_pipe_answer sl_pipe_fetch(struct sl_pipe *pipe);

/* Writes some of @text; *out_n says how much. SL_PIPE_END: errno says why not. */
enum sl_pipe_answer sl_pipe_put(struct sl_pipe *pipe, struct sl_bytes text, size_t *out_n);

/* Closes our end. SL_PIPE_OK: the command has exited, see *out, or there was none. */
enum sl_pipe_answer sl_pipe_close(struct sl_pipe *pipe, struct sl_process_end *out);

/* For a wait after SL_PIPE_WAIT. */
extern const struct sl_wait_kind sl_pipe_wait_kind;
