/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Agent client: a real agent in a directory of its own, and a controller that
 * is nothing but the wire. What fails here fails the test that called.
 */

#include <sys/types.h>

#include "common/event.h"
#include "proto/message.h"

struct sl_conn;
struct sl_endpoint;
struct sl_identity;

struct test_agent {
	pid_t pid;
	char dir[64];
	char address[256]; /* the first it listens on */
};

/* Starts the program SL_TEST_AGENT on an ipc socket and waits until it is ready. @flags, ended
 * by NULL, go behind those that that takes; NULL for none. */
void test_agent_start(struct test_agent *agent, const char *const flags[]);

/* The same on the address @listen. */
void test_agent_start_on(
	struct test_agent *agent, const char *listen, const char *const flags[]);

/* Sends @signo (0: none), waits for its end and returns the status as of wait(). Removes its
 * directory. */
int test_agent_stop(struct test_agent *agent, int signo);

/* Resident memory of process @pid (0 in a sanitizer's build, where it says nothing), and
 * descriptors that it has open. */
size_t test_process_rss(pid_t pid);
size_t test_process_fds(pid_t pid);

/* A reply, with what it borrows. */
struct test_answer {
	uint32_t id;
	struct sl_buffer body;
	struct sl_parcel *parcel;
	struct sl_reply reply;
	struct test_answer *next;
};

void test_answer_free(struct test_answer *answer);
SL_DEFINE_CLEANUP(struct test_answer *, test_answer_free);

struct test_client {
	struct sl_endpoint *endpoint;
	struct sl_conn *conn;
	bool open, closed;
	int dispatch_ms;             /* when the endpoint wants to be called again; -1: never */
	struct test_answer *answers; /* that nobody took yet */
};

/* Connects to @address. Says hello (without a signature) if @hello. */
void test_client_open(struct test_client *client, const char *address, bool hello);
void test_client_close(struct test_client *client);

/* Says hello with the signature of @identity; returns what came of it. */
struct test_answer *test_client_sign_in(
	struct test_client *client, const struct sl_identity *identity);

/* Sends @request, or any bytes; returns its id. */
uint32_t test_client_send(struct test_client *client, const struct sl_request *request);
uint32_t test_client_send_bytes(struct test_client *client, struct sl_bytes bytes);

/* Waits for the reply to @id, decoded as one to @op. NULL when the connection closed. */
struct test_answer *test_client_take(struct test_client *client, uint32_t id, enum sl_op op);

/* Sends and takes. */
struct test_answer *test_client_call(
	struct test_client *client, const struct sl_request *request);

/* Reads what comes, for @ms. */
void test_client_idle(struct test_client *client, int ms);

/* A request to run @lua, a function expression, as job number @job. *task holds the bytes. */
struct sl_request test_submit(
	uint64_t job, const char *lua, uint64_t timeout_ms, struct sl_buffer *task);
struct sl_request test_request(enum sl_op op, uint64_t job);

/* What became of a job: its events from the first to the last. */
struct test_outcome {
	enum sl_state state; /* the last of the state events */
	char why[256], by[128];
	bool has_result, ok;
	char message[512], error[512];
	char logs[4096]; /* each followed by a newline; as much as fits */
	char out[4096];  /* bytes of stdout and stderr; as much as fits */
	uint64_t n_events, n_logs, log_bytes, out_bytes, dropped_lines, dropped_bytes;
	double cpu_ms;            /* as its result says */
	int64_t max_log_delay_us; /* from a line's time to its arrival */
};

/* Follows the job to its end, acknowledging on the way. @first is a reply that is there
 * already, or NULL. Takes @first. */
void test_client_follow(struct test_client *client, uint64_t job, struct test_answer *first,
	struct test_outcome *out);

/* Submits and follows. */
void test_client_run(struct test_client *client, uint64_t job, const char *lua,
	uint64_t timeout_ms, struct test_outcome *out);
