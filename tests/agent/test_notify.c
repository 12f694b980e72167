/* SPDX-License-Identifier: MIT */
#include "agent/notify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/loop.h"
#include "common/error.h"
#include "tests/support/check_main.h"

static struct sl_loop *loop;
static struct sl_notify *notify;
static struct sl_error err;
static char dir[] = "/tmp/sloth-test-XXXXXX";
static char path[64];
static int manager = -1; /* what the service manager listens on */
static int n_described;

static bool progress = true;
static int n_felt;

static void feel(void *ctx)
{
	(void)ctx;
	n_felt++;
	sl_notify_feed(notify, progress);
}

static void describe(void *ctx, char *out, size_t size)
{
	(void)ctx;
	snprintf(out, size, "busy %d", ++n_described);
}

static const struct sl_notify_ops ops = {.describe = describe, .feel = feel};

static void listen_on(const struct sockaddr_un *address, size_t size)
{
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(manager, 0);
	ck_assert_int_eq(bind(manager, (const struct sockaddr *)address, (socklen_t)size), 0);
}

static void set_up(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/notify", dir);
	memcpy(address.sun_path, path, strlen(path));
	listen_on(&address, sizeof(address));
	setenv("NOTIFY_SOCKET", path, 1);
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	ck_assert_int_eq(sl_loop_new(&loop, &err), 0);
}

static void tear_down(void)
{
	sl_notify_free(notify);
	sl_loop_free(loop);
	close(manager);
	unlink(path);
	rmdir(dir);
}

static void make(void)
{
	ck_assert_msg(sl_notify_new(loop, &ops, NULL, &notify, &err) == 0, "%s", err.text);
}

/* What the manager was told last; "" when nothing is there. */
static const char *told(void)
{
	static char text[300];
	ssize_t n = recv(manager, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = 0;
	return text;
}

static void on_told(void *ctx, unsigned what)
{
	(void)ctx;
	(void)what;
	sl_loop_stop(loop);
}

/* Turns the loop until the manager is told something. */
static const char *wait_told(void)
{
	struct sl_loop_watch *watch;

	ck_assert_int_eq(
		sl_loop_watch_new(loop, manager, SL_LOOP_READ, on_told, NULL, &watch, &err), 0);
	ck_assert_int_eq(sl_loop_run(loop, &err), 0);
	sl_loop_watch_free(watch);
	return told();
}

START_TEST(ready_and_stopping_say_what_it_is_about)
{
	make();
	sl_notify_ready(notify);
	ck_assert_str_eq(told(), "READY=1\nSTATUS=busy 1");
	sl_notify_stopping(notify);
	ck_assert_str_eq(told(), "STOPPING=1\nSTATUS=busy 2");
	sl_notify_stopping(notify);
	ck_assert_str_eq(told(), "");
}
END_TEST

START_TEST(many_changes_are_told_once)
{
	make();
	sl_notify_changed(notify); /* not ready: nobody cares */
	sl_notify_ready(notify);
	told();
	for (int i = 0; i < 1000; i++)
		sl_notify_changed(notify);
	ck_assert_str_eq(told(), ""); /* told a moment ago */
	ck_assert_str_eq(wait_told(), "STATUS=busy 2");
	ck_assert_int_eq(n_described, 2);
}
END_TEST

START_TEST(the_loop_feeds_the_watchdog)
{
	setenv("WATCHDOG_USEC", "20000", 1);
	make();
	ck_assert_str_eq(told(), "");
	sl_notify_ready(notify);
	told();
	for (int i = 0; i < 3; i++)
		ck_assert_str_eq(wait_told(), "WATCHDOG=1");
}
END_TEST

START_TEST(without_progress_the_watchdog_gets_nothing)
{
	setenv("WATCHDOG_USEC", "20000", 1);
	make();
	sl_notify_ready(notify);
	told();
	progress = false;
	sl_notify_changed(notify);
	ck_assert_str_eq(wait_told(), "STATUS=busy 2");
	ck_assert_int_gt(n_felt, 3);
	progress = true;
	ck_assert_str_eq(wait_told(), "WATCHDOG=1");
}
END_TEST

START_TEST(the_watchdog_of_another_process_is_not_fed)
{
	setenv("WATCHDOG_USEC", "20000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	make();
	sl_notify_ready(notify);
	told();
	sl_notify_changed(notify);
	/* Fifty meals would have come before this. */
	ck_assert_str_eq(wait_told(), "STATUS=busy 2");
}
END_TEST

START_TEST(tasks_inherit_none_of_it)
{
	setenv("WATCHDOG_USEC", "20000", 1);
	make();
	ck_assert_ptr_null(getenv("NOTIFY_SOCKET"));
	ck_assert_ptr_null(getenv("WATCHDOG_USEC"));
}
END_TEST

START_TEST(an_abstract_socket_is_found)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char name[64];
	int n = snprintf(name, sizeof(name), "@sloth-test-%d", (int)getpid());

	close(manager);
	memcpy(address.sun_path + 1, name + 1, (size_t)n - 1);
	listen_on(&address, offsetof(struct sockaddr_un, sun_path) + (size_t)n);
	setenv("NOTIFY_SOCKET", name, 1);
	make();
	sl_notify_ready(notify);
	ck_assert_str_eq(told(), "READY=1\nSTATUS=busy 1");
}
END_TEST

START_TEST(without_a_manager_nothing_happens)
{
	unsetenv("NOTIFY_SOCKET");
	make();
	sl_notify_ready(notify);
	sl_notify_changed(notify);
	sl_notify_stopping(notify);
	ck_assert_int_eq(n_described, 0);
	ck_assert_str_eq(told(), "");
}
END_TEST

START_TEST(a_manager_that_is_gone_is_no_trouble)
{
	make();
	close(manager);
	manager = -1;
	sl_notify_ready(notify);
	sl_notify_stopping(notify);
}
END_TEST

START_TEST(a_path_that_is_none_is_an_error)
{
	setenv("NOTIFY_SOCKET", "relative", 1);
	ck_assert_int_eq(sl_notify_new(loop, &ops, NULL, &notify, &err), SL_EINVALID);
	ck_assert_ptr_nonnull(strstr(err.text, "relative"));
}
END_TEST

SL_CHECK_MAIN_WITH("notify", set_up, tear_down, ready_and_stopping_say_what_it_is_about,
	many_changes_are_told_once, the_loop_feeds_the_watchdog,
	without_progress_the_watchdog_gets_nothing, the_watchdog_of_another_process_is_not_fed,
	tasks_inherit_none_of_it, an_abstract_socket_is_found,
	without_a_manager_nothing_happens, a_manager_that_is_gone_is_no_trouble,
	a_path_that_is_none_is_an_error)
