/* SPDX-License-Identifier: MIT */
#include "tests/proto/side.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdatomic.h>

#include "tests/support/check_main.h"

static atomic_bool nng_done;

static void on_nng_done(void *ctx)
{
	(void)ctx;
	atomic_store(&nng_done, true);
}

static void answers_req0_on(const char *url)
{
	struct side server;
	nng_socket socket;
	nng_aio *aio;

	start_at(&server, url);
	ck_assert_int_eq(nng_req0_open(&socket), 0);
	ck_assert_int_eq(nng_aio_alloc(&aio, on_nng_done, NULL), 0);
	ck_assert_int_eq(nng_dial(socket, server.address, NULL, NNG_FLAG_NONBLOCK), 0);
	for (int i = 0; i < 20; i++) {
		nng_msg *msg;

		ck_assert_int_eq(nng_msg_alloc(&msg, 0), 0);
		ck_assert_int_eq(nng_msg_append(msg, "from nng", 8), 0);
		nng_aio_set_msg(aio, msg);
		atomic_store(&nng_done, false);
		nng_send_aio(socket, aio); /* done once there is a connection: so turn */
		TURN_UNTIL(atomic_load(&nng_done), &server, NULL);
		atomic_store(&nng_done, false);
		nng_recv_aio(socket, aio);
		TURN_UNTIL(atomic_load(&nng_done), &server, NULL);
		ck_assert_int_eq(nng_aio_result(aio), 0);
		msg = nng_aio_get_msg(aio);
		ck_assert_uint_eq(nng_msg_len(msg), 8);
		ck_assert_mem_eq(nng_msg_body(msg), "from nng", 8);
		nng_msg_free(msg);
	}
	nng_close(socket);
	nng_aio_free(aio);
	stop(&server);
}

START_TEST(a_plain_req0_socket_is_answered)
{
	answers_req0_on(ipc_url());
	answers_req0_on("tcp://127.0.0.1:0");
}
END_TEST

static void asks_rep0_on(const char *where)
{
	struct side client;
	struct sl_conn *conn;
	nng_socket socket;
	nng_listener listener;
	char url[64];
	nng_aio *aio;
	nng_msg *msg;
	int port;

	ck_assert_int_eq(nng_rep0_open(&socket), 0);
	ck_assert_int_eq(nng_listen(socket, where, &listener, 0), 0);
	snprintf(url, sizeof(url), "%s", where);
	if (nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port) == 0)
		snprintf(url, sizeof(url), "tcp://127.0.0.1:%d", port);
	ck_assert_int_eq(nng_aio_alloc(&aio, on_nng_done, NULL), 0);
	start_at(&client, NULL);
	ck_assert_int_eq(sl_endpoint_dial(client.endpoint, url, NULL, &conn, NULL), 0);
	ask(&client, conn, "to nng", 6);
	atomic_store(&nng_done, false);
	nng_recv_aio(socket, aio);
	TURN_UNTIL(atomic_load(&nng_done), &client, NULL);
	msg = nng_aio_get_msg(aio);
	ck_assert_mem_eq(nng_msg_body(msg), "to nng", 6);
	ck_assert_int_eq(nng_sendmsg(socket, msg, 0), 0);
	TURN_UNTIL(client.n_replies == 1, &client, NULL);
	ck_assert(sl_bytes_equal(sl_buffer_bytes(&client.last), sl_bytes_of("to nng")));
	stop(&client);
	nng_close(socket);
	nng_aio_free(aio);
}

START_TEST(a_plain_rep0_socket_can_be_asked)
{
	asks_rep0_on(ipc_url());
	asks_rep0_on("tcp://127.0.0.1:0");
}
END_TEST

SL_CHECK_MAIN_WITH("interop", make_place, drop_place, a_plain_req0_socket_is_answered,
	a_plain_rep0_socket_can_be_asked)
