/* SPDX-License-Identifier: MIT */
#include "controller/plan.h"

#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "lua/workflow/workflow.h"
#include "tests/support/check_main.h"
#include "tests/support/text_file.h"

static struct sl_error err;
static struct sl_plan plan;
static struct sl_targets *targets;
static struct sl_workflow *workflow;
static struct sl_texts tasks, instead;

/* Three tasks: b after a, and c on its own. */
static const char *const three =
	"local a = task('a'):command(function() return true end)"
	":delegate_to({'web-01', '@web'}):build()\n"
	"local b = task('b'):command(function() end):depends_on({'a'})"
	":retries(2, {backoff='1s'}):timeout('5s'):build()\n"
	"local c = task('c'):command(function() end)"
	":delegate_to(function() return 'web-02' end):build()\n"
	"workflow.define('w'):tasks({a, b, c}):config({timeout='1m', max_fail=1})\n";

static int make(const char *text)
{
	struct sl_workflow_args args = {.words = SL_PLAN_WORDS};
	struct sl_plan_choice choice = {&tasks, &instead};
	char path[64];
	int rc;

	targets = sl_targets_new();
	ck_assert_int_eq(
		sl_targets_add_list(targets,
			"web-01=tcp://127.0.0.1:1,web-02=tcp://127.0.0.1:2", "t", &err),
		0);
	ck_assert_int_eq(sl_targets_add_member(targets, "web", "web-01", "t", &err), 0);
	ck_assert_int_eq(sl_targets_add_member(targets, "web", "web-02", "t", &err), 0);
	rc = sl_workflow_load(sl_text_file(text, path), &args, &workflow, &err);
	if (!rc)
		rc = sl_plan_workflow(&plan, workflow, &choice, targets, &err);
	unlink(path);
	return rc;
}

static void clean_up(void)
{
	sl_plan_deinit(&plan);
	sl_workflow_free(workflow);
	sl_targets_free(targets);
	sl_texts_deinit(&tasks);
	sl_texts_deinit(&instead);
}

START_TEST(a_plan_has_all_that_the_file_says)
{
	ck_assert_msg(make(three) == 0, "%s", err.text);
	ck_assert_str_eq(plan.name, "w");
	ck_assert_int_eq(plan.config.timeout_ms, 60000);
	ck_assert_uint_eq(plan.config.max_fail, 1);
	ck_assert_uint_eq(plan.n_steps, 3);
	ck_assert_uint_eq(plan.steps[0].targets.n, 2);
	ck_assert_uint_eq(plan.steps[1].n_depends_on, 1);
	ck_assert_uint_eq(plan.steps[1].depends_on[0], 0);
	ck_assert_ptr_null(plan.steps[1].targets.items[0].address);
	ck_assert_uint_eq(plan.steps[1].task.timeout_ms, 5000);
	ck_assert_uint_eq(plan.steps[2].targets.n, 0);
	clean_up();
}
END_TEST

START_TEST(a_chosen_task_brings_what_it_depends_on)
{
	ck_assert(sl_texts_add(&tasks, "b"));
	ck_assert_int_eq(make(three), 0);
	ck_assert_uint_eq(plan.n_steps, 2);
	ck_assert_str_eq(plan.steps[0].name, "a");
	ck_assert_uint_eq(plan.steps[1].depends_on[0], 0);
	clean_up();
}
END_TEST

START_TEST(the_command_line_overrides_targets)
{
	ck_assert(sl_texts_add(&instead, "web-02"));
	ck_assert_int_eq(make(three), 0);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_uint_eq(plan.steps[i].targets.n, 1);
		ck_assert_str_eq(plan.steps[i].targets.items[0].name, "web-02");
	}
	clean_up();
}
END_TEST

START_TEST(what_can_not_run_is_refused_by_name)
{
	ck_assert(sl_texts_add(&tasks, "aa"));
	ck_assert_int_eq(make(three), SL_ENOT_FOUND);
	ck_assert_ptr_nonnull(strstr(err.text, "no task is called 'aa'; did you mean 'a'?"));
	clean_up();
	ck_assert_int_eq(
		make("task('x'):command(function() end):delegate_to('web-09'):build()"),
		SL_ENOT_FOUND);
	ck_assert_ptr_nonnull(strstr(err.text, "task 'x': no agent is called 'web-09'"));
	clean_up();
}
END_TEST

SL_CHECK_MAIN("plan", a_plan_has_all_that_the_file_says,
	a_chosen_task_brings_what_it_depends_on, the_command_line_overrides_targets,
	what_can_not_run_is_refused_by_name)
