/* SPDX-License-Identifier: MIT */
#include "agent/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/loop.h"
#include "agent/store.h"
#include "common/error.h"
#include "tests/support/check_main.h"

/* One that is as slow as the test wants it. */
static struct {
	char dir[32], path[64];
	int fd;
	struct sl_loop *loop;
	struct sl_journal *journal;
	char line[8192]; /* the last that was read */
	size_t size;
	size_t n, n_wanted, n_told_lost;
} world;

static void set_up(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memset(&world, 0, sizeof(world));
	strcpy(world.dir, "/tmp/sloth-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(world.dir));
	snprintf(world.path, sizeof(world.path), "%s/socket", world.dir);
	strcpy(address.sun_path, world.path);
	world.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(world.fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	sl_log_setup("prog", SL_LOG_INFO);
	ck_assert_int_eq(sl_loop_new(&world.loop, NULL), 0);
	ck_assert_int_eq(sl_journal_new(world.loop, world.path, &world.journal, NULL), 0);
}

static void tear_down(void)
{
	sl_journal_free(world.journal);
	sl_loop_free(world.loop);
	close(world.fd);
	unlink(world.path);
	rmdir(world.dir);
}

static bool read_line(void)
{
	ssize_t n = recv(world.fd, world.line, sizeof(world.line) - 1, MSG_DONTWAIT);

	if (n < 0)
		return false;
	world.size = (size_t)n;
	world.line[n] = 0;
	return true;
}

static bool has(const char *text)
{
	return memmem(world.line, world.size, text, strlen(text)) != NULL;
}

START_TEST(a_line_says_how_important_it_is_and_whose)
{
	sl_log(SL_LOG_WARNING, "odd n=%d", 3);
	ck_assert(read_line());
	ck_assert_str_eq(
		world.line, "MESSAGE=odd n=3\nPRIORITY=4\nSYSLOG_IDENTIFIER=sloth-agent\n");
}
END_TEST

START_TEST(a_line_about_a_task_has_its_fields)
{
	struct sl_record record = {.id = {{0xab, 1}},
		.state = SL_STATE_DONE,
		.name = sl_bytes_of("deploy"),
		.controller = sl_bytes_of("alice")};

	sl_journal_log(SL_JOURNAL_TASK_ENDED, SL_LOG_INFO, &record, "task ended");
	ck_assert(read_line());
	ck_assert(has("MESSAGE=task ended\n"));
	ck_assert(has("\nMESSAGE_ID=e449ebc665b0445a8fc0baebaf5bcf4a\n"));
	ck_assert(has("\nJOB_ID=ab010000000000000000000000000000\n"));
	ck_assert(has("\nTASK=deploy\n"));
	ck_assert(has("\nCONTROLLER=alice\n"));
	ck_assert(has("\nSTATE=done\n"));
	ck_assert(!has("WORKFLOW"));
}
END_TEST

START_TEST(a_name_can_not_make_fields_of_its_own)
{
	static const char wanted[] = "\nTASK\n\x0b\0\0\0\0\0\0\0x\n_UID=1234\n";
	struct sl_record record = {.name = sl_bytes_of("x\n_UID=1234")};

	sl_journal_log(SL_JOURNAL_TASK_STARTED, SL_LOG_INFO, &record, "started\nMESSAGE=no");
	ck_assert(read_line());
	ck_assert(has("MESSAGE=started?MESSAGE=no\n"));
	ck_assert_ptr_nonnull(memmem(world.line, world.size, wanted, sizeof(wanted) - 1));
}
END_TEST

/* Reads at the journal's leisure: a line for each turn of the loop. */
static void on_line(void *ctx, unsigned what)
{
	unsigned long long lost;
	const char *at;

	(void)ctx;
	(void)what;
	ck_assert(read_line());
	at = strstr(world.line, "lines lost, the journal was too slow n=");
	if (at) {
		ck_assert_int_eq(sscanf(strchr(at, '=') + 1, "%llu", &lost), 1);
		ck_assert(has("MESSAGE_ID=b628c525b4cd45e18454d5f272e82801"));
		world.n_told_lost += lost;
	} else {
		int number;

		ck_assert_int_eq(sscanf(world.line, "MESSAGE=line %d\n", &number), 1);
		ck_assert_int_eq(number, (int)world.n);
		world.n++;
	}
	if (world.n + world.n_told_lost == world.n_wanted)
		sl_loop_stop(world.loop);
}

static void log_and_read(size_t n)
{
	struct sl_loop_watch *watch;

	/* Nobody reads yet: this ends all the same. */
	for (size_t i = 0; i < n; i++)
		sl_log(SL_LOG_INFO, "line %zu", i);
	world.n_wanted = n;
	ck_assert_int_eq(sl_loop_watch_new(world.loop, world.fd, SL_LOOP_READ, on_line, NULL,
				 &watch, NULL),
		0);
	ck_assert_int_eq(sl_loop_run(world.loop, NULL), 0);
	sl_loop_watch_free(watch);
}

START_TEST(what_a_slow_journal_does_not_take_comes_later)
{
	log_and_read(2000);
	ck_assert_uint_eq(world.n_told_lost, 0);
	sl_log(SL_LOG_INFO, "and on it goes");
	ck_assert(read_line());
}
END_TEST

START_TEST(what_goes_beyond_is_counted_and_told)
{
	log_and_read(50000);
	ck_assert_uint_gt(world.n_told_lost, 0);
	ck_assert_uint_gt(world.n, 2000);
	sl_log(SL_LOG_INFO, "and on it goes");
	ck_assert(read_line());
}
END_TEST

static void log_plain(void)
{
	sl_log(SL_LOG_INFO, "plain");
}

static void end_journal(void)
{
	sl_journal_free(sl_steal(world.journal));
}

static const char *stderr_of(void (*work)(void))
{
	static char written[256];
	int fds[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	ck_assert_int_eq(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	work();
	dup2(saved, STDERR_FILENO);
	close(saved);
	n = read(fds[0], written, sizeof(written) - 1);
	close(fds[0]);
	written[n > 0 ? n : 0] = 0;
	return written;
}

START_TEST(what_a_stopping_agent_can_not_send_is_told_of)
{
	int n_lost = 0, n_read = 0;

	for (size_t i = 0; i < 2000; i++)
		sl_log(SL_LOG_INFO, "line %zu", i);
	ck_assert_int_eq(sscanf(stderr_of(end_journal),
				 "prog: warning: log lines lost, the journal was too slow n=%d",
				 &n_lost),
		1);
	while (read_line())
		n_read++;
	ck_assert_int_gt(n_read, 0);
	ck_assert_int_eq(n_read + n_lost, 2000);
}
END_TEST

START_TEST(what_waits_for_a_journal_that_ends_is_told_of)
{
	for (size_t i = 0; i < 2000; i++)
		sl_log(SL_LOG_INFO, "line %zu", i);
	close(world.fd);
	ck_assert_ptr_nonnull(strstr(stderr_of(end_journal), "log lines lost"));
}
END_TEST

START_TEST(without_a_journal_stderr_has_the_lines)
{
	struct sl_journal *other;
	struct sl_error err;

	ck_assert_str_eq(stderr_of(log_plain), "");
	close(world.fd);
	ck_assert_str_eq(stderr_of(log_plain), "prog: info: plain\n");
	end_journal();
	ck_assert_str_eq(stderr_of(log_plain), "prog: info: plain\n");
	ck_assert_int_eq(
		sl_journal_new(world.loop, "/nonexistent/socket", &other, &err), SL_ESYSTEM);
	ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent/socket"));
}
END_TEST

SL_CHECK_MAIN_WITH("journal", set_up, tear_down, a_line_says_how_important_it_is_and_whose,
	a_line_about_a_task_has_its_fields, a_name_can_not_make_fields_of_its_own,
	what_a_slow_journal_does_not_take_comes_later, what_goes_beyond_is_counted_and_told,
	what_a_stopping_agent_can_not_send_is_told_of,
	what_waits_for_a_journal_that_ends_is_told_of, without_a_journal_stderr_has_the_lines)
