/* SPDX-License-Identifier: MIT */
#include "tests/bench/bare.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>

#include "common/clock.h"

#define SIZE 64

/* Moves SIZE bytes one way and waits until they are through. */
static bool move(
	nng_stream *stream, nng_aio *aio, char *bytes, void (*how)(nng_stream *, nng_aio *))
{
	size_t done = 0;

	while (done < SIZE) {
		nng_iov iov = {bytes + done, SIZE - done};

		nng_aio_set_iov(aio, 1, &iov);
		how(stream, aio);
		nng_aio_wait(aio);
		if (nng_aio_result(aio))
			return false;
		done += nng_aio_count(aio);
	}
	return true;
}

static void echo_stream(const char *url, int ready)
{
	nng_stream_listener *listener;
	nng_stream *stream;
	nng_aio *aio;
	char bytes[SIZE];

	nng_aio_alloc(&aio, NULL, NULL);
	if (nng_stream_listener_alloc(&listener, url))
		_exit(1);
	if (strncmp(url, "tcp", 3) == 0)
		nng_stream_listener_set_bool(listener, NNG_OPT_TCP_NODELAY, true);
	if (nng_stream_listener_listen(listener) || write(ready, "", 1) != 1)
		_exit(1);
	nng_stream_listener_accept(listener, aio);
	nng_aio_wait(aio);
	stream = nng_aio_get_output(aio, 0);
	while (move(stream, aio, bytes, nng_stream_recv) &&
		move(stream, aio, bytes, nng_stream_send))
		;
	_exit(0);
}

static void echo_rep(const char *url, int ready)
{
	nng_socket socket;
	nng_msg *msg;

	if (nng_rep0_open(&socket) || nng_listen(socket, url, NULL, 0) ||
		write(ready, "", 1) != 1)
		_exit(1);
	while (nng_recvmsg(socket, &msg, 0) == 0 && nng_sendmsg(socket, msg, 0) == 0)
		;
	_exit(0);
}

bool bare_start(struct bare *bare, const char *url, bool sockets)
{
	int fds[2];
	char byte;
	bool ok;

	bare->url = url;
	bare->sockets = sockets;
	if (pipe(fds) < 0)
		return false;
	bare->pid = fork();
	if (bare->pid == 0) {
		close(fds[0]);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		(sockets ? echo_rep : echo_stream)(url, fds[1]);
	}
	close(fds[1]);
	ok = bare->pid > 0 && read(fds[0], &byte, 1) == 1;
	close(fds[0]);
	return ok;
}

void bare_stop(struct bare *bare)
{
	kill(bare->pid, SIGKILL);
	waitpid(bare->pid, NULL, 0);
}

static nng_stream *dial(const char *url, nng_aio *aio)
{
	nng_stream_dialer *dialer;
	nng_stream *stream = NULL;

	if (nng_stream_dialer_alloc(&dialer, url))
		return NULL;
	if (strncmp(url, "tcp", 3) == 0)
		nng_stream_dialer_set_bool(dialer, NNG_OPT_TCP_NODELAY, true);
	nng_stream_dialer_dial(dialer, aio);
	nng_aio_wait(aio);
	if (nng_aio_result(aio) == 0)
		stream = nng_aio_get_output(aio, 0);
	nng_stream_dialer_free(dialer);
	return stream;
}

static bool measure_stream(const char *url, double *out_us, size_t n)
{
	char bytes[SIZE] = {0};
	nng_stream *stream;
	nng_aio *aio;
	bool ok = true;

	if (nng_aio_alloc(&aio, NULL, NULL))
		return false;
	stream = dial(url, aio);
	for (size_t i = 0; stream && ok && i < n; i++) {
		int64_t began = sl_clock_monotonic_ns();

		ok = move(stream, aio, bytes, nng_stream_send) &&
		     move(stream, aio, bytes, nng_stream_recv);
		out_us[i] = (double)(sl_clock_monotonic_ns() - began) / 1e3;
	}
	if (stream)
		nng_stream_free(stream);
	nng_aio_free(aio);
	return stream && ok;
}

static bool measure_sockets(const char *url, double *out_us, size_t n)
{
	nng_socket socket;
	bool ok;

	if (nng_req0_open(&socket))
		return false;
	ok = nng_dial(socket, url, NULL, 0) == 0;
	for (size_t i = 0; ok && i < n; i++) {
		int64_t began = sl_clock_monotonic_ns();
		nng_msg *msg;

		ok = nng_msg_alloc(&msg, SIZE) == 0 && nng_sendmsg(socket, msg, 0) == 0 &&
		     nng_recvmsg(socket, &msg, 0) == 0;
		if (ok)
			nng_msg_free(msg);
		out_us[i] = (double)(sl_clock_monotonic_ns() - began) / 1e3;
	}
	nng_close(socket);
	return ok;
}

bool bare_measure(const struct bare *bare, double *out_us, size_t n)
{
	return (bare->sockets ? measure_sockets : measure_stream)(bare->url, out_us, n);
}
