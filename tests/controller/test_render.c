/* SPDX-License-Identifier: MIT */
#include "controller/render.h"

#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/error.h"
#include "controller/plan.h"
#include "tests/support/check_main.h"

static struct sl_buffer out;
static struct sl_job job;

static struct sl_render *prepare(struct sl_render *render)
{
	render->style.host_width = 6;
	render->style.level = SL_LOG_INFO;
	render->style.escape = true;
	render->out = &out;
	job.task = "deploy";
	job.target = "web-01";
	job.begun = true;
	job.attempt = 1;
	job.duration_ms = 2100;
	strcpy(job.id_text, "00112233445566778899aabbccddeeff");
	return render;
}

/* What was written since the last time. */
static const char *text(void)
{
	static char copy[4000];

	snprintf(copy, sizeof(copy), "%.*s", (int)out.size, out.data ? out.data : "");
	sl_buffer_clear(&out);
	return copy;
}

static void say(struct sl_render *r, enum sl_log_level level, const char *message)
{
	struct sl_event event = {.kind = SL_EVENT_LOG, .time_us = 1700000000123456};

	event.log.level = level;
	event.log.goroutine = 3;
	event.log.message = sl_bytes_of(message);
	r->ops->event(r, &job, 7, &event);
}

static void print(struct sl_render *r, const char *bytes)
{
	struct sl_event event = {.kind = SL_EVENT_OUT};

	event.out.stream = 1;
	event.out.bytes = sl_bytes_of(bytes);
	r->ops->event(r, &job, 8, &event);
}

static void finish(struct sl_render *r)
{
	const struct sl_job *jobs[] = {&job};
	struct sl_render_run run = {.id = "r1", .workflow = "w", .jobs = jobs, .n_jobs = 1};

	sl_outcome_add(&run.outcome, job.verdict);
	r->ops->finish(r, &run);
}

START_TEST(plain_lines_stand_behind_their_host)
{
	struct sl_render *r = prepare(sl_render_plain_new());

	say(r, SL_LOG_INFO, "hello");
	ck_assert_str_eq(text(), "web-01 │ hello\n");
	say(r, SL_LOG_ERROR, "no disk\nat all");
	ck_assert_str_eq(text(), "web-01 │ error: no disk\nweb-01 │ at all\n");
	say(r, SL_LOG_DEBUG, "hidden");
	ck_assert_str_eq(text(), "");
	print(r, "one\n\ntwo\n");
	ck_assert_str_eq(text(), "web-01 │ one\nweb-01 │ \nweb-01 │ two\n");
	r->style.color = true;
	say(r, SL_LOG_ERROR, "x");
	ck_assert_str_eq(text(), "web-01\033[2m │ \033[0m\033[31merror: x\033[0m\n");
	r->ops->free(r);
}
END_TEST

START_TEST(fields_stand_behind_the_message)
{
	struct sl_render *r = prepare(sl_render_plain_new());
	struct sl_pair pairs[] = {
		{{.kind = SL_VALUE_STRING, .string = sl_bytes_of("to")},
			{.kind = SL_VALUE_STRING, .string = sl_bytes_of("web \033[2J")}},
		{{.kind = SL_VALUE_STRING, .string = sl_bytes_of("n")},
			{.kind = SL_VALUE_INTEGER, .integer = 7}},
	};
	struct sl_table fields = {.pairs = pairs, .n_pairs = 2};
	struct sl_event event = {.kind = SL_EVENT_LOG, .time_us = 1700000000123456};

	event.log.level = SL_LOG_WARNING;
	event.log.message = sl_bytes_of("first\nsecond");
	event.log.fields = (struct sl_value){.kind = SL_VALUE_TABLE, .table = &fields};
	r->ops->event(r, &job, 7, &event);
	ck_assert_str_eq(
		text(), "web-01 │ warning: first\nweb-01 │ second n=7 to=\"web \\u001b[2J\"\n");
	r->ops->free(r);

	r = prepare(sl_render_json_new(true));
	r->ops->event(r, &job, 7, &event);
	ck_assert_ptr_nonnull(strstr(
		text(), "\"message\":\"first\\nsecond\",\"fields\":{\"n\":7,\"to\":\"web "));
	r->ops->free(r);
}
END_TEST

START_TEST(what_a_task_prints_can_not_act_on_a_terminal)
{
	struct sl_render *r = prepare(sl_render_plain_new());

	print(r, "\033]0;title\a\rweb-02 │ fake\n");
	ck_assert_str_eq(text(), "web-01 │ \\x1b]0;title\\x07\\x0dweb-02 │ fake\n");
	r->style.escape = false;
	print(r, "\033[1mbold\n");
	ck_assert_str_eq(text(), "web-01 │ \033[1mbold\n");
	r->ops->free(r);
}
END_TEST

START_TEST(a_pool_is_summed_up_when_it_closes)
{
	struct sl_render *r = prepare(sl_render_plain_new());
	struct sl_event event = {.kind = SL_EVENT_POOL};

	event.pool = (struct sl_pool_stats){
		.name = sl_bytes_of("files"), .workers = 5, .completed = 49, .failed = 1};
	r->ops->event(r, &job, 1, &event);
	ck_assert_str_eq(text(), "");
	event.pool.closed = true;
	r->ops->event(r, &job, 1, &event);
	ck_assert_str_eq(text(),
		"web-01 │ pool files: 49 completed, 1 failed, 0 queued, 5 workers; closed\n");
	r->ops->free(r);
}
END_TEST

/* The job's result: failed with @message, raised @error. */
static void fail_job(const char *message, const char *error, const char *traceback)
{
	struct sl_event_result result = {.message = sl_bytes_of(message),
		.error = {.kind = SL_VALUE_STRING, .string = sl_bytes_of(error)},
		.traceback = sl_bytes_of(traceback)};

	job.verdict = SL_VERDICT_FAILED;
	ck_assert(sl_job_keep_result(&job, &result));
}

START_TEST(a_failure_is_shown_once)
{
	struct sl_render *r = prepare(sl_render_plain_new());
	struct sl_event event = {.kind = SL_EVENT_TASK};

	event.task.id = sl_bytes_of("files-3");
	event.task.pool = sl_bytes_of("files");
	event.task.error =
		(struct sl_value){.kind = SL_VALUE_STRING, .string = sl_bytes_of("no disk")};
	r->ops->event(r, &job, 7, &event);
	ck_assert_str_eq(text(), "web-01 │ files-3 failed: no disk\n");
	event.task.success = true;
	r->ops->event(r, &job, 8, &event);
	ck_assert_str_eq(text(), "");
	/* The log has it already. */
	event.task.success = false;
	event.task.id = sl_bytes_of("async-3");
	event.task.pool = sl_bytes_of("");
	r->ops->event(r, &job, 9, &event);
	ck_assert_str_eq(text(), "");
	r->ops->free(r);
}
END_TEST

START_TEST(the_summary_says_how_it_came_out_and_why)
{
	struct sl_render *r = prepare(sl_render_plain_new());
	struct sl_event_result result = {.ok = true, .message = sl_bytes_of("Deployed")};

	ck_assert(sl_job_keep_result(&job, &result));
	finish(r);
	ck_assert_str_eq(text(), "✓ deploy  web-01  done  2.1s   Deployed\n");

	fail_job("", "w.sloth:3: boom", "stack traceback:\n\tw.sloth:3: in f");
	finish(r);
	ck_assert_str_eq(text(), "✗ deploy  web-01  failed  2.1s   w.sloth:3: boom\n"
				 "    stack traceback:\n    \tw.sloth:3: in f\n");

	job.verdict = SL_VERDICT_CRASHED;
	strcpy(job.why, "signal 9 (Killed)");
	strcpy(job.hint, "look there");
	job.has_result = false;
	finish(r);
	ck_assert_str_eq(text(),
		"✗ deploy  web-01  crashed  2.1s   signal 9 (Killed)\n    look there\n");
	r->ops->free(r);
}
END_TEST

START_TEST(json_lines_are_one_object_each)
{
	struct sl_render *r = prepare(sl_render_json_new(true));

	say(r, SL_LOG_WARNING, "a\nb\xff");
	ck_assert_str_eq(text(),
		"{\"event\":\"log\",\"time\":\"2023-11-14T22:13:20.123456Z\",\"task\":"
		"\"deploy\","
		"\"target\":\"web-01\",\"job\":\"00112233445566778899aabbccddeeff\","
		"\"number\":7,\"level\":\"warning\",\"goroutine\":3,"
		"\"message\":\"a\\nb\xef\xbf\xbd\"}\n");
	r->ops->free(r);
}
END_TEST

START_TEST(the_json_document_has_everything)
{
	struct sl_render *r = prepare(sl_render_json_new(false));
	const char *json;

	say(r, SL_LOG_INFO, "hello");
	ck_assert_str_eq(text(), "");
	fail_job("bad", "boom", "");
	finish(r);
	json = text();
	ck_assert_ptr_nonnull(strstr(json,
		"{\"run\":\"r1\",\"workflow\":\"w\",\"ok\":false,\"exit\":1,\"duration_ms\":0,"
		"\"tasks\":[{\"task\":\"deploy\",\"target\":\"web-01\","
		"\"job\":\"00112233445566778899aabbccddeeff\",\"state\":\"failed\","
		"\"attempt\":1,\"allowed_to_fail\":false,\"message\":\"bad\",\"outputs\":null,"
		"\"error\":\"boom\",\"traceback\":null,"
		"\"duration_ms\":2100,\"logs\":[{\"event\":\"log\","));
	ck_assert_ptr_nonnull(strstr(json, "\"message\":\"hello\"}]}]}\n"));
	r->ops->free(r);
}
END_TEST

/* Whether the lines below the others are so many, and gone after a clear. */
static void expect_drawn(struct sl_render *r, size_t n)
{
	char up[20];

	text();
	r->ops->clear(r);
	snprintf(up, sizeof(up), "\033[%zuA\r\033[J", n);
	ck_assert_str_eq(text(), n ? up : "");
}

START_TEST(pretty_keeps_what_runs_below_the_lines)
{
	struct sl_render *r = prepare(sl_render_pretty_new());
	struct sl_event event = {.kind = SL_EVENT_STATE};
	const char *seen;

	job.begun_ms = 0;
	r->ops->begun(r, &job);
	r->ops->draw(r);
	ck_assert_ptr_nonnull(strstr(text(), "… deploy  web-01  connecting  "));
	event.state.state = SL_STATE_RUNNING;
	r->ops->event(r, &job, 1, &event);
	ck_assert_str_eq(text(), "\033[1A\r\033[J");
	event.kind = SL_EVENT_POOL;
	event.pool = (struct sl_pool_stats){.name = sl_bytes_of("fi\033les"),
		.completed = 1,
		.failed = 1,
		.submitted = 4,
		.active = 2};
	r->ops->event(r, &job, 2, &event);
	r->ops->draw(r);
	seen = text();
	ck_assert_ptr_nonnull(strstr(seen, "… deploy  web-01  running  "));
	ck_assert_ptr_nonnull(
		strstr(seen, "fi\\x1bles ████████████░░░░░░░░░░░░ 2/4, 2 active"));
	say(r, SL_LOG_INFO, "hello");
	ck_assert_str_eq(text(), "\033[2A\r\033[Jweb-01 │ hello\n");
	r->ops->draw(r);
	expect_drawn(r, 2);
	event.pool.closed = true;
	r->ops->event(r, &job, 3, &event);
	r->ops->draw(r);
	expect_drawn(r, 1);
	job.verdict = SL_VERDICT_DONE;
	r->ops->ended(r, &job);
	ck_assert_str_eq(text(), "✓ deploy  web-01  done  2.1s\n");
	r->ops->draw(r);
	expect_drawn(r, 0);
	r->ops->free(r);
}
END_TEST

START_TEST(pretty_leaves_room_for_the_lines_above)
{
	struct sl_render *r = prepare(sl_render_pretty_new());
	static struct sl_job many[50];

	for (size_t i = 0; i < 50; i++) {
		many[i] = job;
		r->ops->begun(r, &many[i]);
	}
	r->ops->draw(r);
	ck_assert_ptr_nonnull(strstr(text(), " more\n"));
	r->ops->clear(r);
	ck_assert_int_lt(atoi(text() + 2), 50);
	r->ops->free(r);
}
END_TEST

/* Draws on a terminal of that size, and returns how many lines stand there. */
static int draw_on(struct sl_render *r, struct winsize size)
{
	int master, slave, saved = dup(STDOUT_FILENO);

	ck_assert_int_eq(openpty(&master, &slave, NULL, NULL, &size), 0);
	fflush(stdout);
	ck_assert_int_ge(dup2(slave, STDOUT_FILENO), 0);
	r->ops->draw(r);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	close(slave);
	close(master);
	ck_assert_uint_lt(strcspn(text(), "\n"), 20); /* bytes, and there is a … */
	r->ops->clear(r);
	return atoi(out.size ? text() + 2 : "0");
}

START_TEST(pretty_fits_a_small_terminal)
{
	struct sl_render *r = prepare(sl_render_pretty_new());
	struct sl_job other;

	other = job;
	r->ops->begun(r, &job);
	r->ops->begun(r, &other);
	ck_assert_int_eq(draw_on(r, (struct winsize){.ws_row = 24, .ws_col = 10}), 2);
	ck_assert_int_eq(draw_on(r, (struct winsize){.ws_row = 3, .ws_col = 10}), 1);
	ck_assert_int_eq(draw_on(r, (struct winsize){.ws_row = 1, .ws_col = 10}), 0);
	r->ops->free(r);
}
END_TEST

SL_CHECK_MAIN("render", pretty_keeps_what_runs_below_the_lines,
	pretty_leaves_room_for_the_lines_above, pretty_fits_a_small_terminal,
	plain_lines_stand_behind_their_host, fields_stand_behind_the_message,
	what_a_task_prints_can_not_act_on_a_terminal, a_pool_is_summed_up_when_it_closes,
	a_failure_is_shown_once, the_summary_says_how_it_came_out_and_why,
	json_lines_are_one_object_each, the_json_document_has_everything)
