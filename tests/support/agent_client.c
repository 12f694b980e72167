/* SPDX-License-Identifier: MIT */
#include "tests/support/agent_client.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/parcel.h"
#include "proto/endpoint.h"
#include "proto/event_msg.h"
#include "proto/identity.h"
#include "proto/limits.h"
#include "proto/task_msg.h"

/* Not Check's: a measurement uses this file too. Under Check the signal fails the test. */
#define need_or_say(condition, ...)                                                            \
	do {                                                                                   \
		if (!(condition)) {                                                            \
			fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                        \
			fprintf(stderr, __VA_ARGS__);                                          \
			fputc('\n', stderr);                                                   \
			abort();                                                               \
		}                                                                              \
	} while (0)
#define need(condition) need_or_say(condition, "not so: %s", #condition)

#define PATIENCE_MS 60000
#define MAX_FLAGS 32

static void read_address(struct test_agent *agent, int fd)
{
	size_t size = 0;

	while (size < sizeof(agent->address) - 1) {
		ssize_t n = read(fd, agent->address + size, 1);

		need_or_say(n == 1, "the agent said nothing on its --ready-fd");
		if (agent->address[size] == '\n')
			break;
		size++;
	}
	agent->address[size] = 0;
}

static void execute(const struct test_agent *agent, const char *listen, int ready,
	const char *const flags[])
{
	char ipc[128], state[128], fd[16];
	const char *argv[MAX_FLAGS] = {SL_TEST_AGENT, "--listen", listen ? listen : ipc,
		"--state-dir", state, "--ready-fd", fd, "--log-level", "warning"};
	size_t n = 9;

	snprintf(ipc, sizeof(ipc), "ipc://%s/agent.sock", agent->dir);
	snprintf(state, sizeof(state), "%s/state", agent->dir);
	snprintf(fd, sizeof(fd), "%d", ready);
	for (; flags && *flags && n < MAX_FLAGS - 1; flags++)
		argv[n++] = *flags;
	execv(SL_TEST_AGENT, (char *const *)(uintptr_t)argv);
	perror(SL_TEST_AGENT);
	_exit(127);
}

void test_agent_start(struct test_agent *agent, const char *const flags[])
{
	test_agent_start_on(agent, NULL, flags);
}

void test_agent_start_on(
	struct test_agent *agent, const char *listen, const char *const flags[])
{
	int ends[2];

	strcpy(agent->dir, "/tmp/sloth-test-XXXXXX");
	need(mkdtemp(agent->dir) != NULL);
	need(pipe(ends) == 0);
	agent->pid = fork();
	need(agent->pid >= 0);
	if (agent->pid == 0) {
		close(ends[0]);
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that is killed leaves none behind */
		execute(agent, listen, ends[1], flags);
	}
	close(ends[1]);
	read_address(agent, ends[0]);
	close(ends[0]);
}

int test_agent_stop(struct test_agent *agent, int signo)
{
	char command[128];
	int status;

	if (signo)
		kill(agent->pid, signo);
	need(waitpid(agent->pid, &status, 0) == agent->pid);
	snprintf(command, sizeof(command), "rm -rf '%s'", agent->dir);
	need(system(command) == 0);
	return status;
}

size_t test_process_rss(pid_t pid)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	(void)pid;
	return 0; /* sanitizers keep what is freed: memory is judged in the plain build */
#else
	unsigned long total, resident = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	file = fopen(path, "re");
	need(file != NULL);
	need(fscanf(file, "%lu %lu", &total, &resident) == 2);
	fclose(file);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
#endif
}

size_t test_process_fds(pid_t pid)
{
	struct dirent *entry;
	char path[64];
	size_t n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	need(dir != NULL);
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

void test_answer_free(struct test_answer *answer)
{
	if (!answer)
		return;
	sl_buffer_deinit(&answer->body);
	sl_parcel_free(answer->parcel);
	free(answer);
}

static void on_opened(void *ctx, struct sl_conn *conn)
{
	struct test_client *client = ctx;

	(void)conn;
	client->open = true;
}

static void on_reply(void *ctx, struct sl_conn *conn, uint32_t id, struct sl_bytes body)
{
	struct test_client *client = ctx;
	struct test_answer *answer = calloc(1, sizeof(*answer));

	(void)conn;
	answer->id = id;
	need(sl_buffer_append(&answer->body, body.data, body.size));
	answer->next = client->answers;
	client->answers = answer;
}

static void on_closed(void *ctx, struct sl_conn *conn, const struct sl_error *why)
{
	struct test_client *client = ctx;

	(void)conn;
	(void)why;
	client->closed = true;
	client->conn = NULL;
}

static const struct sl_endpoint_ops ops = {
	.opened = on_opened, .reply = on_reply, .closed = on_closed};

/* Waits for something to do, until @until_ms, and does it. */
static void turn(struct test_client *client, int64_t until_ms)
{
	struct pollfd fd = {.fd = sl_endpoint_fd(client->endpoint), .events = POLLIN};
	int64_t wait_ms = until_ms - sl_clock_monotonic_ms();

	if (wait_ms < 0)
		wait_ms = 0;
	if (client->dispatch_ms >= 0 && client->dispatch_ms < wait_ms)
		wait_ms = client->dispatch_ms;
	need(poll(&fd, 1, (int)wait_ms) >= 0);
	client->dispatch_ms = sl_endpoint_dispatch(client->endpoint);
}

void test_client_open(struct test_client *client, const char *address, bool hello)
{
	int64_t until_ms = sl_clock_monotonic_ms() + PATIENCE_MS;

	*client = (struct test_client){0};
	need(sl_endpoint_new(&ops, client, 1, &client->endpoint, NULL) == 0);
	need(sl_endpoint_dial(client->endpoint, address, NULL, &client->conn, NULL) == 0);
	while (!client->open && !client->closed && sl_clock_monotonic_ms() < until_ms)
		turn(client, until_ms);
	need_or_say(client->open && !client->closed, "no connection to %s", address);
	if (hello) {
		struct sl_request request = test_request(SL_OP_HELLO, 0);
		sl_cleanup(test_answer_freep) struct test_answer *answer =
			test_client_call(client, &request);

		need(answer != NULL);
		need_or_say(answer->reply.ok, "%.*s", (int)answer->reply.msg.size,
			answer->reply.msg.data);
	}
}

void test_client_close(struct test_client *client)
{
	struct test_answer *answer;

	sl_endpoint_free(client->endpoint);
	while ((answer = client->answers)) {
		client->answers = answer->next;
		test_answer_free(answer);
	}
}

static uint32_t send_buffer(struct test_client *client, struct sl_buffer *body)
{
	uint32_t id;

	need_or_say(client->conn != NULL, "the agent closed the connection");
	sl_conn_request(client->conn, body, &id);
	return id;
}

uint32_t test_client_send(struct test_client *client, const struct sl_request *request)
{
	struct sl_buffer body = SL_BUFFER_INIT;

	need(sl_request_encode(request, &body, NULL) == 0);
	return send_buffer(client, &body);
}

uint32_t test_client_send_bytes(struct test_client *client, struct sl_bytes bytes)
{
	struct sl_buffer body = SL_BUFFER_INIT;

	need(sl_buffer_append(&body, bytes.data, bytes.size));
	return send_buffer(client, &body);
}

struct test_answer *test_client_sign_in(
	struct test_client *client, const struct sl_identity *identity)
{
	struct sl_request request = test_request(SL_OP_HELLO, 0);
	sl_cleanup(test_answer_freep) struct test_answer *challenge =
		test_client_call(client, &request);

	need(challenge && challenge->reply.code == SL_EHELLO);
	request.hello.signed_ = true;
	memcpy(request.hello.key, identity->public_key, sizeof(request.hello.key));
	sl_random(request.hello.nonce, sizeof(request.hello.nonce));
	sl_identity_sign_hello(identity, challenge->reply.hello.name,
		challenge->reply.hello.boot, challenge->reply.hello.nonce, request.hello.nonce,
		request.hello.sig);
	return test_client_call(client, &request);
}

static struct test_answer *find(struct test_client *client, uint32_t id)
{
	struct test_answer **at = &client->answers, *found;

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	found = *at;
	if (found)
		*at = found->next;
	return found;
}

struct test_answer *test_client_take(struct test_client *client, uint32_t id, enum sl_op op)
{
	int64_t until_ms = sl_clock_monotonic_ms() + PATIENCE_MS;
	struct test_answer *answer;
	struct sl_error err;

	while (!(answer = find(client, id)) && !client->closed) {
		need_or_say(sl_clock_monotonic_ms() < until_ms, "no reply came");
		turn(client, until_ms);
	}
	if (!answer)
		return NULL;
	answer->parcel = sl_parcel_new(SL_MAX_PARCEL_BYTES);
	need_or_say(sl_reply_decode(sl_buffer_bytes(&answer->body), op, answer->parcel,
			    &answer->reply, &err) == 0,
		"%s", err.text);
	return answer;
}

struct test_answer *test_client_call(
	struct test_client *client, const struct sl_request *request)
{
	return test_client_take(client, test_client_send(client, request), request->op);
}

void test_client_idle(struct test_client *client, int ms)
{
	int64_t until_ms = sl_clock_monotonic_ms() + ms;

	while (sl_clock_monotonic_ms() < until_ms)
		turn(client, until_ms);
}

struct sl_request test_request(enum sl_op op, uint64_t job)
{
	struct sl_request request = {.op = op};

	memcpy(request.job.bytes, &job, sizeof(job));
	if (op == SL_OP_HELLO) {
		request.hello.name = sl_bytes_of("test");
		request.hello.version = sl_bytes_of(SL_VERSION);
	}
	return request;
}

struct sl_request test_submit(
	uint64_t job, const char *lua, uint64_t timeout_ms, struct sl_buffer *task)
{
	struct sl_function function = {
		.text = sl_bytes_of(lua), .file = sl_bytes_of("test.sloth"), .line = 1};
	struct sl_task plain = {.name = sl_bytes_of("test"),
		.function = {.kind = SL_VALUE_FUNCTION, .function = &function},
		.timeout_ms = timeout_ms,
		.meta = {.run = sl_bytes_of("run-1"), .attempt = 1}};
	struct sl_request request = test_request(SL_OP_SUBMIT, job);
	struct sl_error err;

	need_or_say(sl_task_encode(&plain, task, &err) == 0, "%s", err.text);
	request.task = sl_buffer_bytes(task);
	request.wait_ms = SL_MAX_WAIT_MS;
	return request;
}

static void add_text(char *to, size_t size, struct sl_bytes text, const char *end)
{
	size_t used;

	if (to[size - 2] != '\0')
		return; /* full: a hundred thousand lines of a measurement must not be copied */
	used = strlen(to);
	snprintf(to + used, size - used, "%.*s%s", (int)text.size, text.data, end);
}

static void copy_text(char *to, size_t size, struct sl_bytes text)
{
	memset(to, 0, size);
	add_text(to, size, text, "");
}

static void note_event(const struct sl_event *event, struct test_outcome *out)
{
	out->n_events++;
	need_or_say(!sl_state_is_terminal(out->state), "an event after the last one");
	switch (event->kind) {
	case SL_EVENT_STATE:
		out->state = event->state.state;
		copy_text(out->why, sizeof(out->why), event->state.why);
		copy_text(out->by, sizeof(out->by), event->state.by);
		break;
	case SL_EVENT_LOG:
		out->n_logs++;
		out->log_bytes += event->log.message.size;
		if (sl_clock_wall_us() - event->time_us > out->max_log_delay_us)
			out->max_log_delay_us = sl_clock_wall_us() - event->time_us;
		add_text(out->logs, sizeof(out->logs), event->log.message, "\n");
		break;
	case SL_EVENT_OUT:
		out->out_bytes += event->out.bytes.size;
		add_text(out->out, sizeof(out->out), event->out.bytes, "");
		break;
	case SL_EVENT_RESULT:
		need_or_say(!out->has_result, "a second result");
		out->has_result = true;
		out->ok = event->result.ok;
		out->cpu_ms = event->result.cpu_ms;
		copy_text(out->message, sizeof(out->message), event->result.message);
		if (event->result.error.kind == SL_VALUE_STRING)
			copy_text(out->error, sizeof(out->error), event->result.error.string);
		break;
	case SL_EVENT_DROPPED:
		out->dropped_bytes += event->dropped.bytes;
		out->dropped_lines += event->dropped.lines;
		break;
	default:
		break;
	}
}

static void note_batch(const struct sl_batch *batch, uint64_t *last, struct test_outcome *out)
{
	size_t at = 0;

	need_or_say(batch->first <= *last + 1, "events are missing after %llu",
		(unsigned long long)*last);
	for (uint64_t number = batch->first; number < batch->first + batch->count; number++) {
		struct sl_parcel *parcel = sl_parcel_new(SL_MAX_PARCEL_BYTES);
		struct sl_event event;

		need(sl_event_decode(batch->bytes, &at, parcel, &event, NULL) >= 0);
		if (number > *last) {
			note_event(&event, out);
			*last = number;
		}
		sl_parcel_free(parcel);
	}
	need(at == batch->bytes.size);
}

void test_client_follow(struct test_client *client, uint64_t job, struct test_answer *first,
	struct test_outcome *out)
{
	struct sl_request next = test_request(SL_OP_NEXT, job);
	uint64_t last = 0;

	*out = (struct test_outcome){.state = SL_STATE_ACCEPTED};
	for (;;) {
		next.after = last;
		next.wait_ms = SL_MAX_WAIT_MS;
		if (!first)
			first = test_client_call(client, &next);
		need_or_say(first != NULL, "the agent closed the connection");
		need_or_say(first->reply.ok, "%.*s", (int)first->reply.msg.size,
			first->reply.msg.data);
		for (size_t i = 0; i < first->reply.n_batches; i++)
			note_batch(&first->reply.batches[i], &last, out);
		if (sl_state_is_terminal(first->reply.state) && last == first->reply.last)
			break;
		test_answer_free(first);
		first = NULL;
	}
	need(out->state == first->reply.state);
	test_answer_free(first);
}

void test_client_run(struct test_client *client, uint64_t job, const char *lua,
	uint64_t timeout_ms, struct test_outcome *out)
{
	struct sl_buffer task = SL_BUFFER_INIT;
	struct sl_request request = test_submit(job, lua, timeout_ms, &task);

	test_client_follow(client, job, test_client_call(client, &request), out);
	sl_buffer_deinit(&task);
}
