/* SPDX-License-Identifier: MIT */

/*
 * The crew with a real spawner and real workers: this program is executed anew
 * for them, and its workers do what the first word of their task says.
 */
#include "agent/crew.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/loop.h"
#include "agent/spawner.h"
#include "common/error.h"
#include "tests/support/check_main.h"

#define PATIENCE_MS 20000
#define MAX_PIDS 64

/* ---- what workers do ---- */

static void say(int fd, const char *text)
{
	struct sl_buffer out = SL_BUFFER_INIT;

	if (sl_link_append(
		    &out, &(struct sl_link_frame){SL_LINK_BATCH, 1, sl_bytes_of(text)}) &&
		write(fd, out.data, out.size) != (ssize_t)out.size)
		_exit(9);
	sl_buffer_deinit(&out);
}

static void say_pid(int fd)
{
	char text[32];

	snprintf(text, sizeof(text), "%d", (int)getpid());
	say(fd, text);
}

/* Children that no group or session ties to the worker: each says its pid. */
static void leave_orphans(int fd, int n)
{
	for (int i = 0; i < n; i++) {
		if (fork() != 0)
			continue;
		setsid();
		if (fork() != 0)
			_exit(0);
		setsid();
		say_pid(fd);
		for (;;)
			pause();
	}
}

static void work(int fd, struct sl_tally *tally)
{
	struct sl_buffer in = SL_BUFFER_INIT;
	struct sl_link_frame frame;
	char text[64];
	size_t used;

	while (sl_link_next(sl_buffer_bytes(&in), &frame, &used, NULL) == SL_LINK_MORE) {
		ssize_t n = recv(fd, sl_buffer_reserve(&in, 4096), 4096, 0);

		if (n <= 0)
			_exit(0);
		in.size += (size_t)n;
	}
	snprintf(text, sizeof(text), "%.*s", (int)frame.bytes.size, frame.bytes.data);
	if (strcmp(text, "count") == 0) {
		sl_tally_add(tally, SL_TALLY_LOG_LINES + SL_LOG_INFO, 3);
		sl_tally_add(tally, SL_TALLY_GOROUTINES, 2);
	}
	if (strcmp(text, "crash") == 0) {
		signal(SIGSEGV, SIG_DFL);
		raise(SIGSEGV);
	}
	if (strncmp(text, "exit ", 5) == 0)
		_exit(atoi(text + 5));
	if (strcmp(text, "last words") == 0) {
		for (int i = 0; i < 100; i++)
			say(fd, "a word");
		_exit(0);
	}
	if (strcmp(text, "orphans") == 0)
		leave_orphans(fd, 8);
	if (strcmp(text, "garbage") == 0 && write(fd, "all work and no play", 20) != 20)
		_exit(9);
	say(fd, "here");
	for (;;)
		pause();
}

/* ---- the test's side ---- */

static struct sl_loop *loop;
static struct sl_crew *crew;
static size_t n_ready, n_gone, n_words, n_here;
static struct sl_hand_end last_end;
static pid_t told_pids[MAX_PIDS];
static size_t n_told;
static bool (*until)(void);

static void on_ready(void *ctx)
{
	(void)ctx;
	n_ready++;
}

static void on_frame(void *ctx, struct sl_hand *hand, const struct sl_link_frame *frame)
{
	char text[32];

	(void)ctx;
	(void)hand;
	snprintf(text, sizeof(text), "%.*s", (int)frame->bytes.size, frame->bytes.data);
	n_words++;
	if (strcmp(text, "here") == 0)
		n_here++;
	else if (atoi(text) > 0 && n_told < MAX_PIDS)
		told_pids[n_told++] = atoi(text);
}

static void on_paused(void *ctx, struct sl_hand *hand)
{
	(void)ctx;
	(void)hand;
}

static void on_gone(void *ctx, struct sl_hand *hand, const struct sl_hand_end *end)
{
	(void)ctx;
	(void)hand;
	last_end = *end;
	n_gone++;
}

static void on_child(void *ctx)
{
	(void)ctx;
	sl_crew_on_child(crew);
}

static void on_round(void *ctx)
{
	(void)ctx;
	if (until())
		sl_loop_stop(loop);
}

static void on_patience_over(void *ctx)
{
	(void)ctx;
	ck_abort_msg("what was waited for didn't come: ready=%zu gone=%zu words=%zu", n_ready,
		n_gone, n_words);
}

static void stop_loop(void *ctx)
{
	(void)ctx;
	sl_loop_stop(loop);
}

static void run_until(bool (*condition)(void))
{
	struct sl_loop_timer *patience;

	if (condition())
		return;
	until = condition;
	ck_assert_int_eq(sl_loop_timer_new(loop, on_patience_over, NULL, &patience, NULL), 0);
	sl_loop_timer_set(patience, PATIENCE_MS);
	sl_loop_each_round(loop, on_round, NULL);
	ck_assert_int_eq(sl_loop_run(loop, NULL), 0);
	sl_loop_timer_free(patience);
}

static const struct sl_crew_ops ops = {
	.ready = on_ready, .frame = on_frame, .paused = on_paused, .gone = on_gone};

static bool is_stocked(void)
{
	return sl_crew_n_idle(crew) == 2;
}

static bool is_one_gone(void)
{
	return n_gone == 1;
}

static bool is_one_here(void)
{
	return n_here == 1;
}

static void set_up(void)
{
	ck_assert_int_eq(sl_loop_new(&loop, NULL), 0);
	ck_assert_int_eq(sl_loop_signal(loop, SIGCHLD, on_child, NULL, NULL), 0);
	ck_assert_int_eq(sl_crew_new(loop, 2, &ops, NULL, &crew, NULL), 0);
	run_until(is_stocked);
}

static void tear_down(void)
{
	sl_crew_free(crew);
	sl_loop_free(loop);
}

static struct sl_hand *give(const char *task)
{
	struct sl_hand *hand = sl_crew_take(crew, NULL);

	ck_assert_ptr_nonnull(hand);
	sl_hand_send(hand, &(struct sl_link_frame){SL_LINK_TASK, 0, sl_bytes_of(task)});
	return hand;
}

static bool is_alive(pid_t pid)
{
	return kill(pid, 0) == 0;
}

START_TEST(an_exit_status_is_told)
{
	set_up();
	give("exit 7");
	run_until(is_one_gone);
	ck_assert(WIFEXITED(last_end.status));
	ck_assert_int_eq(WEXITSTATUS(last_end.status), 7);
	ck_assert(!last_end.was_killed);
	tear_down();
}
END_TEST

START_TEST(what_a_worker_counts_stays_and_what_it_has_goes_with_it)
{
	struct sl_tally_sum sum;
	struct sl_hand *hand;

	set_up();
	hand = give("count");
	run_until(is_one_here);
	sl_crew_tally(crew, &sum);
	ck_assert_uint_eq(sum.items[SL_TALLY_LOG_LINES + SL_LOG_INFO], 3);
	ck_assert_uint_eq(sum.items[SL_TALLY_GOROUTINES], 2);
	sl_hand_kill(hand);
	run_until(is_one_gone);
	sl_crew_tally(crew, &sum);
	ck_assert_uint_eq(sum.items[SL_TALLY_LOG_LINES + SL_LOG_INFO], 3);
	ck_assert_uint_eq(sum.items[SL_TALLY_GOROUTINES], 0);
	tear_down();
}
END_TEST

static size_t n_pongs;

static void on_pong(void *ctx)
{
	(void)ctx;
	n_pongs++;
}

static bool has_answered(void)
{
	return n_pongs > 0;
}

static pid_t spawner_now(void)
{
	struct sl_crew_numbers numbers;

	sl_crew_count(crew, &numbers);
	return numbers.spawner;
}

START_TEST(the_spawner_says_that_it_is_there_unless_it_is_stopped)
{
	struct sl_loop_timer *timer;

	set_up();
	sl_crew_ping(crew, on_pong, NULL);
	run_until(has_answered);

	n_pongs = 0;
	kill(spawner_now(), SIGSTOP);
	sl_crew_ping(crew, on_pong, NULL);
	ck_assert_int_eq(sl_loop_timer_new(loop, stop_loop, NULL, &timer, NULL), 0);
	sl_loop_each_round(loop, NULL, NULL);
	sl_loop_timer_set(timer, 200);
	ck_assert_int_eq(sl_loop_run(loop, NULL), 0);
	sl_loop_timer_free(timer);
	ck_assert_uint_eq(n_pongs, 0);

	kill(spawner_now(), SIGCONT);
	run_until(has_answered);
	tear_down();
}
END_TEST

START_TEST(a_spawner_that_is_started_meanwhile_answers_too)
{
	pid_t first;

	set_up();
	first = spawner_now();
	kill(first, SIGSTOP);
	sl_crew_ping(crew, on_pong, NULL);
	kill(first, SIGKILL);
	run_until(has_answered);
	ck_assert_int_ne(spawner_now(), first);
	tear_down();
}
END_TEST

START_TEST(a_crash_is_told_with_its_signal)
{
	set_up();
	give("crash");
	run_until(is_one_gone);
	ck_assert(WIFSIGNALED(last_end.status) || WEXITSTATUS(last_end.status) != 0);
	ck_assert(!last_end.was_killed);
	tear_down();
}
END_TEST

START_TEST(last_words_come_before_the_end)
{
	set_up();
	give("last words");
	run_until(is_one_gone);
	ck_assert_uint_eq(n_words, 100);
	tear_down();
}
END_TEST

START_TEST(a_killed_worker_is_said_to_be_killed)
{
	struct sl_hand *hand;

	set_up();
	hand = give("wait");
	run_until(is_one_here);
	sl_hand_kill(hand);
	sl_hand_kill(hand);
	run_until(is_one_gone);
	ck_assert(last_end.was_killed);
	ck_assert_int_eq(WTERMSIG(last_end.status), SIGKILL);
	tear_down();
}
END_TEST

static bool are_orphans_told(void)
{
	return n_told == 8;
}

START_TEST(nothing_that_a_worker_started_is_left_when_it_is_gone)
{
	struct sl_hand *hand;

	set_up();
	hand = give("orphans");
	run_until(are_orphans_told);
	for (size_t i = 0; i < n_told; i++)
		ck_assert(is_alive(told_pids[i]));
	sl_hand_kill(hand);
	run_until(is_one_gone);
	for (size_t i = 0; i < n_told; i++)
		ck_assert(!is_alive(told_pids[i]));
	tear_down();
}
END_TEST

START_TEST(one_workers_end_leaves_the_others_children_alone)
{
	struct sl_hand *hand;

	set_up();
	hand = give("orphans");
	run_until(are_orphans_told);
	give("exit 0");
	run_until(is_one_gone);
	for (size_t i = 0; i < n_told; i++)
		ck_assert(is_alive(told_pids[i]));
	sl_hand_kill(hand);
	tear_down();
	for (size_t i = 0; i < n_told; i++)
		ck_assert(!is_alive(told_pids[i]));
}
END_TEST

START_TEST(garbage_on_its_socket_ends_a_worker)
{
	set_up();
	give("garbage");
	run_until(is_one_gone);
	ck_assert(last_end.broke_link);
	tear_down();
}
END_TEST

START_TEST(a_worker_holds_nobody_elses_descriptors)
{
	char path[64];
	struct dirent *entry;
	struct sl_hand *hand;
	DIR *fds;

	set_up();
	hand = give("wait");
	run_until(is_one_here);
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)hand->pid);
	fds = opendir(path);
	ck_assert_ptr_nonnull(fds);
	while ((entry = readdir(fds)))
		ck_assert_msg(atoi(entry->d_name) <= 3, "descriptor %s", entry->d_name);
	closedir(fds);
	tear_down();
}
END_TEST

START_TEST(a_taken_worker_is_replaced_when_asked_for)
{
	set_up();
	give("wait");
	ck_assert_uint_eq(sl_crew_n_idle(crew), 1);
	sl_crew_fill(crew, 0);
	run_until(is_stocked);
	tear_down();
}
END_TEST

static bool is_crowded(void)
{
	return sl_crew_n_idle(crew) == 22;
}

START_TEST(more_are_made_than_the_stock_when_more_wait)
{
	set_up();
	sl_crew_fill(crew, 20);
	run_until(is_crowded);
	tear_down();
}
END_TEST

static pid_t parent_of(pid_t pid)
{
	char path[64], line[256];
	int parent = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), file));
	fclose(file);
	ck_assert_int_eq(sscanf(strrchr(line, ')'), ") %*c %d", &parent), 1);
	return parent;
}

START_TEST(a_dead_spawner_takes_its_workers_along_and_is_replaced)
{
	struct sl_hand *hand;
	pid_t worker;

	set_up();
	hand = give("orphans");
	run_until(are_orphans_told);
	worker = hand->pid;
	kill(parent_of(worker), SIGKILL);
	run_until(is_one_gone);
	ck_assert(last_end.spawner_died);
	ck_assert(!is_alive(worker));
	for (size_t i = 0; i < n_told; i++)
		ck_assert(!is_alive(told_pids[i]));
	run_until(is_stocked);
	n_gone = 0;
	give("exit 3");
	run_until(is_one_gone);
	ck_assert_int_eq(WEXITSTATUS(last_end.status), 3);
	tear_down();
}
END_TEST

/* A process that has a crew, tells a pipe its worker's pid, and is killed. */
static pid_t lend_out_a_main(pid_t *out_worker)
{
	int ends[2];
	pid_t pid;

	ck_assert_int_eq(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		pid_t worker;

		set_up();
		worker = give("wait")->pid;
		run_until(is_one_here);
		if (write(ends[1], &worker, sizeof(worker)) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	ck_assert_int_eq(read(ends[0], out_worker, sizeof(*out_worker)), sizeof(*out_worker));
	close(ends[0]);
	close(ends[1]);
	return pid;
}

START_TEST(a_dead_main_takes_spawner_and_workers_along)
{
	pid_t worker, spawner, main_pid;

	/* Its orphans fall to us, so that we can wait for them. */
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	main_pid = lend_out_a_main(&worker);
	spawner = parent_of(worker);
	kill(main_pid, SIGKILL);
	ck_assert_int_eq(waitpid(main_pid, NULL, 0), main_pid);
	ck_assert_int_eq(waitpid(spawner, NULL, 0), spawner);
	ck_assert(!is_alive(worker));
}
END_TEST

int main(int argc, char **argv)
{
	const TTest *const tests[] = {an_exit_status_is_told,
		what_a_worker_counts_stays_and_what_it_has_goes_with_it,
		the_spawner_says_that_it_is_there_unless_it_is_stopped,
		a_spawner_that_is_started_meanwhile_answers_too,
		a_crash_is_told_with_its_signal, last_words_come_before_the_end,
		a_killed_worker_is_said_to_be_killed,
		nothing_that_a_worker_started_is_left_when_it_is_gone,
		one_workers_end_leaves_the_others_children_alone,
		garbage_on_its_socket_ends_a_worker, a_worker_holds_nobody_elses_descriptors,
		a_taken_worker_is_replaced_when_asked_for,
		more_are_made_than_the_stock_when_more_wait,
		a_dead_spawner_takes_its_workers_along_and_is_replaced,
		a_dead_main_takes_spawner_and_workers_along};

	if (sl_spawner_is_wanted(argc, argv))
		return sl_spawner_run(work);
	return sl_check_run_with("crew", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
