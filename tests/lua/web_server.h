/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A web server on loopback, in a process of its own: what it does depends on the
 * path it is asked for.
 */

#include <arpa/inet.h>
#include <check.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"

enum {
	WEB_CONNECTIONS = 900,
	WEB_SLOW_MS = 300,
};

struct web_connection {
	int fd; /* -1: free */
	char in[8192];
	size_t n;
	int64_t answer_at_ms; /* 0: nothing to do */
};

struct web_server {
	int port;
	pid_t pid;
	struct web_connection *connections;
	int n_lost; /* clients that went before they had their answer */
};

/* "hello gzip" */
#define WEB_GZIP                                                                               \
	"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\x57\x48\xaf\xca\x2c\x00" \
	"\x00\x19\x6a\xd2\xdf\x0a\x00\x00\x00"
#define WEB_GZIP_SIZE (sizeof(WEB_GZIP) - 1)

static inline void web_send(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = send(fd, data, size, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		data += n;
		size -= (size_t)n;
	}
}

static inline void web_answer(
	int fd, const char *status, const char *headers, const char *body, size_t size)
{
	char head[512];
	int n = snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n",
		status, size, headers);

	web_send(fd, head, (size_t)n);
	web_send(fd, body, size);
}

static inline void web_answer_text(int fd, const char *text)
{
	web_answer(fd, "200 OK", "X-Thing: a\r\nx-thing: b\r\n", text, strlen(text));
}

static inline void web_forget(struct web_connection *connection)
{
	close(connection->fd);
	connection->fd = -1;
	connection->n = 0;
	connection->answer_at_ms = 0;
}

static inline void web_answer_large(int fd)
{
	static char body[2 << 20];

	memset(body, 'x', sizeof(body));
	web_answer(fd, "200 OK", "", body, sizeof(body));
}

/* Answers the request that is in the connection, which then is over. */
static inline void web_serve(struct web_server *server, struct web_connection *connection)
{
	char path[64] = "", lost[16];
	int fd = connection->fd;

	sscanf(connection->in, "%*s %63s", path);
	if (strcmp(path, "/never") == 0)
		return;
	if (strcmp(path, "/slow") == 0 && connection->answer_at_ms == 0) {
		connection->answer_at_ms = sl_clock_monotonic_ms() + WEB_SLOW_MS;
		return;
	}
	snprintf(lost, sizeof(lost), "%d", server->n_lost);
	if (strncmp(connection->in, "HEAD ", 5) == 0)
		web_answer_text(fd, "");
	else if (strcmp(path, "/500") == 0)
		web_answer(fd, "500 Internal Server Error", "", "broken", 6);
	else if (strcmp(path, "/moved") == 0)
		web_answer(fd, "302 Found", "Location: /ok\r\nX-Old: 1\r\n", "moved", 5);
	else if (strcmp(path, "/loop") == 0)
		web_answer(fd, "302 Found", "Location: /loop\r\n", "", 0);
	else if (strcmp(path, "/file") == 0)
		web_answer(fd, "302 Found", "Location: file:///etc/passwd\r\n", "", 0);
	else if (strcmp(path, "/gzip") == 0)
		web_answer(fd, "200 OK", "Content-Encoding: gzip\r\n", WEB_GZIP, WEB_GZIP_SIZE);
	else if (strcmp(path, "/large") == 0)
		web_answer_large(fd);
	else if (strcmp(path, "/json") == 0)
		web_answer_text(fd, "{\"a\": [1, 2.5, null]}");
	else if (strcmp(path, "/echo") == 0)
		web_answer_text(fd, connection->in);
	else if (strcmp(path, "/lost") == 0)
		web_answer_text(fd, lost);
	else if (strcmp(path, "/half") == 0)
		web_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", 44);
	else
		web_answer_text(fd, "hello");
	connection->n = 0;
	connection->answer_at_ms = 0;
	if (strcmp(path, "/half") == 0)
		web_forget(connection);
}

static inline bool web_is_complete(const struct web_connection *connection)
{
	const char *end = strstr(connection->in, "\r\n\r\n");
	const char *length = strcasestr(connection->in, "content-length:");

	return end && (!length || strlen(end + 4) >= (size_t)atoi(length + 15));
}

static inline void web_read(struct web_server *server, struct web_connection *connection)
{
	ssize_t n = recv(connection->fd, connection->in + connection->n,
		sizeof(connection->in) - 1 - connection->n, 0);

	if (n <= 0) {
		server->n_lost += connection->n > 0;
		web_forget(connection);
		return;
	}
	connection->n += (size_t)n;
	connection->in[connection->n] = '\0';
	if (web_is_complete(connection))
		web_serve(server, connection);
}

static inline void web_accept(struct web_server *server, int listener)
{
	int fd = accept(listener, NULL, NULL);

	for (int i = 0; fd >= 0 && i < WEB_CONNECTIONS; i++) {
		if (server->connections[i].fd >= 0)
			continue;
		server->connections[i].fd = fd;
		return;
	}
	close(fd);
}

_Noreturn static inline void web_run(struct web_server *server, int listener)
{
	static struct web_connection connections[WEB_CONNECTIONS];
	static struct pollfd fds[WEB_CONNECTIONS + 1];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	server->connections = connections;
	for (int i = 0; i < WEB_CONNECTIONS; i++)
		connections[i].fd = -1;
	for (;;) {
		fds[WEB_CONNECTIONS] = (struct pollfd){.fd = listener, .events = POLLIN};
		for (int i = 0; i < WEB_CONNECTIONS; i++)
			fds[i] = (struct pollfd){.fd = connections[i].fd, .events = POLLIN};
		poll(fds, WEB_CONNECTIONS + 1, 10);
		for (int i = 0; i < WEB_CONNECTIONS; i++) {
			if (fds[i].fd >= 0 && fds[i].revents)
				web_read(server, &connections[i]);
			if (connections[i].answer_at_ms > 0 &&
				sl_clock_monotonic_ms() >= connections[i].answer_at_ms)
				web_serve(server, &connections[i]);
		}
		if (fds[WEB_CONNECTIONS].revents)
			web_accept(server, listener);
	}
}

static inline void web_start(struct web_server *server)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, size), 0);
	ck_assert_int_eq(listen(listener, 1000), 0);
	getsockname(listener, (struct sockaddr *)&address, &size);
	*server = (struct web_server){.port = ntohs(address.sin_port)};
	server->pid = fork();
	if (server->pid == 0)
		web_run(server, listener);
	close(listener);
}

static inline void web_stop(struct web_server *server)
{
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
}
