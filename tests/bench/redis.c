/* SPDX-License-Identifier: MIT */
#include "tests/bench/redis.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/bench/figures.h"

#define IN_FLIGHT 64
#define START_MS 10000

static const char ask[] = "*3\r\n$4\r\nEVAL\r\n$11\r\nreturn true\r\n$1\r\n0\r\n";
static const char answer[] = ":1\r\n";

#define ANSWER_BYTES (sizeof(answer) - 1)

static bool start(const char *path, pid_t *out)
{
	char *argv[] = {(char[]){"redis-server"}, (char[]){"--port"}, (char[]){"0"},
		(char[]){"--unixsocket"}, (char *)(uintptr_t)path, (char[]){"--save"},
		(char[]){""}, (char[]){"--daemonize"}, (char[]){"no"}, NULL};
	posix_spawn_file_actions_t quiet;
	int result;

	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
	result = posix_spawnp(out, argv[0], &quiet, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&quiet);
	return result == 0;
}

/* Tries until it listens: there is nothing to wait for but the socket itself. */
static int dial(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int64_t until_ms = sl_clock_monotonic_ms() + START_MS;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%.63s", path);
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (sl_clock_monotonic_ms() > until_ms) {
			close(fd);
			return -1;
		}
		poll(NULL, 0, 20);
	}
	return fd;
}

static bool send_ask(int fd)
{
	return send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL) == (ssize_t)sizeof(ask) - 1;
}

/* Takes the answers that are there, one at least; 0 when something went wrong. */
static size_t take_answers(int fd)
{
	char bytes[IN_FLIGHT * ANSWER_BYTES];
	size_t size = 0;

	do {
		ssize_t n = recv(fd, bytes + size, sizeof(bytes) - size, 0);

		if (n <= 0)
			return 0;
		size += (size_t)n;
	} while (size % ANSWER_BYTES != 0);
	for (size_t at = 0; at < size; at += ANSWER_BYTES)
		if (memcmp(bytes + at, answer, ANSWER_BYTES) != 0)
			return 0;
	return size / ANSWER_BYTES;
}

static bool one_by_one(int fd, size_t rounds)
{
	double *us = calloc(rounds, sizeof(*us));
	bool ok = us != NULL;

	for (size_t i = 0; ok && i < rounds; i++) {
		int64_t began = sl_clock_monotonic_ns();

		ok = send_ask(fd) && take_answers(fd) == 1;
		us[i] = (double)(sl_clock_monotonic_ns() - began) / 1e3;
	}
	if (ok)
		figures_add_samples("redis_eval_us", us, rounds);
	free(us);
	return ok;
}

static bool many_at_once(int fd, size_t n)
{
	int64_t began = sl_clock_monotonic_ns();
	size_t asked = 0, answered = 0;

	while (answered < n) {
		size_t got;

		for (; asked < n && asked - answered < IN_FLIGHT; asked++)
			if (!send_ask(fd))
				return false;
		got = take_answers(fd);
		if (got == 0)
			return false;
		answered += got;
	}
	figures_add("redis_eval_64_in_flight_per_s",
		(double)n / ((double)(sl_clock_monotonic_ns() - began) / 1e9), NAN);
	return true;
}

void redis_measure(const char *place, size_t rounds)
{
	char path[64];
	pid_t pid;
	int fd;

	snprintf(path, sizeof(path), "%s/redis", place);
	if (!start(path, &pid))
		return;
	fd = dial(path);
	if (fd < 0 || !one_by_one(fd, rounds) || !many_at_once(fd, rounds * 10))
		fprintf(stderr, "bench: redis-server gave no answer\n");
	close(fd);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	unlink(path);
}
