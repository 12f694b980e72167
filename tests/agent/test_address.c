/* SPDX-License-Identifier: MIT */
#include "agent/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/privilege.h"
#include "common/error.h"
#include "tests/support/check_main.h"

START_TEST(this_machine_is_where_the_agent_may_listen)
{
	static const char *const fine[] = {"ipc:///run/agent.sock", "tcp://127.0.0.1:0",
		"tcp://127.8.9.10:7117", "tcp://localhost:7117", "tcp://[::1]:0"};

	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
		ck_assert_msg(sl_address_check_listen(fine[i], NULL) == 0, "%s", fine[i]);
}
END_TEST

START_TEST(elsewhere_is_refused_with_what_to_do)
{
	static const char *const beyond[] = {"tcp://0.0.0.0:7117", "tcp://10.0.0.1:7117",
		"tcp://[::]:7117", "tcp://example.org:1", "tls+tcp://127.0.0.1:7117"};
	struct sl_error err;

	for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
		ck_assert_msg(sl_address_check_listen(beyond[i], &err) == SL_EDENIED, "%s",
			beyond[i]);
		ck_assert_ptr_nonnull(strstr(err.text, "TLS isn't there yet"));
	}
}
END_TEST

START_TEST(metrics_are_not_shown_elsewhere)
{
	struct sl_error err;

	ck_assert_int_eq(sl_address_check_metrics("tcp://127.0.0.1:0", NULL), 0);
	ck_assert_int_eq(sl_address_check_metrics("ipc:///run/metrics.sock", NULL), 0);
	ck_assert_int_eq(sl_address_check_metrics("tcp://0.0.0.0:9117", &err), SL_EDENIED);
	ck_assert_ptr_nonnull(strstr(err.text, "metrics are shown to whoever connects"));
	ck_assert_ptr_nonnull(strstr(err.text, "tcp://127.0.0.1:9117"));
	ck_assert_int_eq(sl_address_check_metrics("9117", &err), SL_EINVALID);
	ck_assert_int_eq(sl_address_check_metrics("tls+tcp://127.0.0.1:1", &err), SL_EINVALID);
}
END_TEST

START_TEST(what_is_no_address_is_said_to_be_none)
{
	static const char *const wrong[] = {"", "agent.sock", "ipc://agent.sock", "tcp://",
		"tcp://127.0.0.1", "tcp://:1", "tcp://127.0.0.1:", "tcp://127.0.0.1:70000",
		"tcp://127.0.0.1:1x", "udp://127.0.0.1:1"};
	char path[200] = "ipc:///";

	memset(path + 7, 'x', 150);
	ck_assert_int_eq(sl_address_check_listen(path, NULL), SL_EINVALID);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(
			sl_address_check_listen(wrong[i], NULL) == SL_EINVALID, "%s", wrong[i]);
}
END_TEST

START_TEST(the_socket_gets_a_directory_but_not_a_tree)
{
	char dir[] = "/tmp/sloth-test-XXXXXX", url[128], path[64];
	struct sl_privilege ours;
	struct sl_error err;

	ck_assert_int_eq(sl_privilege_find(NULL, &ours, NULL), 0);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a", dir);
	snprintf(url, sizeof(url), "ipc://%s/agent.sock", path);
	ck_assert_int_eq(sl_address_make_directory(url, &ours, NULL), 0);
	ck_assert_int_eq(sl_address_make_directory(url, &ours, NULL), 0);
	ck_assert_int_eq(rmdir(path), 0);
	snprintf(url, sizeof(url), "ipc://%s/a/b/agent.sock", dir);
	ck_assert_int_eq(sl_address_make_directory(url, &ours, &err), SL_ESYSTEM);
	ck_assert_ptr_nonnull(strstr(err.text, "/a/b"));
	ck_assert_int_eq(rmdir(dir), 0);
	ck_assert_int_eq(sl_address_make_directory("ipc:///agent.sock", &ours, NULL), 0);
	ck_assert_int_eq(sl_address_make_directory("tcp://127.0.0.1:0", &ours, NULL), 0);
}
END_TEST

SL_CHECK_MAIN("address", this_machine_is_where_the_agent_may_listen,
	elsewhere_is_refused_with_what_to_do, metrics_are_not_shown_elsewhere,
	what_is_no_address_is_said_to_be_none, the_socket_gets_a_directory_but_not_a_tree)
