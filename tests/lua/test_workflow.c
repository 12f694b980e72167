/* SPDX-License-Identifier: MIT */
#include "lua/workflow/workflow.h"

#include <glob.h>
#include <signal.h>
#include <sys/stat.h>

#include "common/error.h"
#include "tests/support/check_main.h"
#include "tests/support/text_file.h"

/* A workflow file for one test, and what loading it gave. */
struct loaded {
	char path[64];
	struct sl_workflow *workflow;
	struct sl_error err;
	int rc;
};

static struct loaded load_with(const char *text, const struct sl_workflow_args *args)
{
	struct loaded loaded = {0};

	sl_text_file(text, loaded.path);
	loaded.rc = sl_workflow_load(loaded.path, args, &loaded.workflow, &loaded.err);
	unlink(loaded.path);
	return loaded;
}

static struct loaded load(const char *text)
{
	struct sl_workflow_args args = {0};

	return load_with(text, &args);
}

static struct loaded load_good(const char *text)
{
	struct loaded loaded = load(text);

	ck_assert_msg(loaded.rc == 0, "%s", loaded.err.text);
	return loaded;
}

/* A caller that acts on every word there is. */
static struct loaded load_all_words(const char *text)
{
	struct sl_workflow_args args = {.words = ~0U};

	return load_with(text, &args);
}

/* The sentence must have its file and the line in front. */
static void check_sentence(
	const struct loaded *loaded, const char *text, int line, const char *words)
{
	char where[80];

	ck_assert_msg(loaded->rc == SL_EINVALID, "loaded: %s", text);
	if (line > 0)
		snprintf(where, sizeof(where), "%s:%d: ", loaded->path, line);
	else
		snprintf(where, sizeof(where), "%s: ", loaded->path);
	ck_assert_msg(strncmp(loaded->err.text, where, strlen(where)) == 0,
		"line %d expected: %s", line, loaded->err.text);
	ck_assert_msg(strstr(loaded->err.text, words) != NULL, "'%s' expected: %s", words,
		loaded->err.text);
}

static void check_refused(const char *text, int line, const char *words)
{
	struct loaded loaded = load(text);

	check_sentence(&loaded, text, line, words);
}

#define COMMAND ":command(function(this, params) return true end)"

START_TEST(tasks_without_a_workflow_run_in_the_order_built)
{
	struct loaded l =
		load_good("local a = task('a')" COMMAND "\n"
			  "local b = task('b'):description('the b')\n"
			  "  " COMMAND ":delegate_to('web-01'):timeout('1m30s'):build()\n"
			  "a:build()");
	const struct sl_workflow_task *task;

	ck_assert_str_eq(sl_workflow_name(l.workflow), "");
	ck_assert_int_eq(sl_workflow_timeout_ms(l.workflow), 0);
	ck_assert_uint_eq(sl_workflow_n_tasks(l.workflow), 2);
	task = sl_workflow_task(l.workflow, 0);
	ck_assert_str_eq(task->name, "b");
	ck_assert_str_eq(task->description, "the b");
	ck_assert_uint_eq(task->n_targets, 1);
	ck_assert_str_eq(task->targets[0], "web-01");
	ck_assert_int_eq(task->timeout_ms, 90000);
	ck_assert_int_eq(task->line, 2);
	ck_assert_str_eq(task->file, l.path);
	task = sl_workflow_task(l.workflow, 1);
	ck_assert_str_eq(task->name, "a");
	ck_assert_str_eq(task->description, "");
	ck_assert_uint_eq(task->n_targets, 0);
	ck_assert_int_eq(task->timeout_ms, 0);
	sl_workflow_free(l.workflow);
}
END_TEST

static void check_defined(const char *text)
{
	struct loaded l = load_good(text);

	ck_assert_str_eq(sl_workflow_name(l.workflow), "deploy");
	ck_assert_str_eq(sl_workflow_description(l.workflow), "all of it");
	ck_assert_str_eq(sl_workflow_version(l.workflow), "1.0.0");
	ck_assert_int_eq(sl_workflow_timeout_ms(l.workflow), 300000);
	ck_assert_uint_eq(sl_workflow_n_tasks(l.workflow), 2);
	ck_assert_str_eq(sl_workflow_task(l.workflow, 0)->name, "b");
	ck_assert_str_eq(sl_workflow_task(l.workflow, 1)->name, "a");
	sl_workflow_free(l.workflow);
}

#define TWO "local a = task('a')" COMMAND ":build() local b = task('b')" COMMAND " "

START_TEST(a_workflow_is_defined_in_either_form)
{
	check_defined(TWO "workflow.define('deploy'):description('all of it')\n"
			  ":version('1.0.0'):tasks({ b, a }):config({ timeout = '5m' })");
	check_defined(TWO "workflow.define('deploy', { description = 'all of it',\n"
			  "version = '1.0.0', tasks = { b, a }, config = { timeout = 300 } })");
	check_defined(TWO
		"require('workflow').define('deploy'):description('all of it'):version('1.0.0')"
		":tasks({ b, a }):config({ timeout = '5m' }):build()");
}
END_TEST

START_TEST(targets_are_a_name_or_a_list_or_a_function)
{
	struct loaded l = load_good(
		"local host = 'db-01'\n"
		"task('one')" COMMAND ":delegate_to('@web'):build()\n"
		"task('list')" COMMAND
		":delegate_to({ 'web-01', 'tcp://127.0.0.1:7117' }):build()\n"
		"task('function')" COMMAND
		":delegate_to(function() return { host } end):build()\n"
		"task('value')" COMMAND ":delegate_to(values.host or 'none'):build()\n"
		"host = 'db-02'");
	const struct sl_workflow_task *task = sl_workflow_task(l.workflow, 1);

	ck_assert_str_eq(sl_workflow_task(l.workflow, 0)->targets[0], "@web");
	ck_assert_uint_eq(task->n_targets, 2);
	ck_assert_str_eq(task->targets[1], "tcp://127.0.0.1:7117");
	ck_assert_str_eq(sl_workflow_task(l.workflow, 2)->targets[0], "db-02");
	ck_assert_str_eq(sl_workflow_task(l.workflow, 3)->targets[0], "none");
	sl_workflow_free(l.workflow);
}
END_TEST

START_TEST(a_mistake_in_a_call_names_its_line_and_what_to_do)
{
	static const struct {
		const char *text;
		int line;
		const char *words;
	} cases[] = {
		{"task('x')\n:timeot('3s')", 2,
			"task 'x': unknown method 'timeot'; did you mean 'timeout'?"},
		{"task('x'):deploy_everywhere()", 1, "unknown method 'deploy_everywhere'"},
		{"task('x')\n\n:timeout('3x')", 3, "timeout: bad duration '3x': write 500ms"},
		{"task('x'):timeout(-1)", 1, "timeout: bad duration"},
		{"task('x'):timeout(0)", 1, "longer than nothing"},
		{"task('x'):timeout()", 1, "timeout: expected a duration, got nil"},
		{"task('x'):timeout(1):timeout(2)", 1, "timeout is set twice"},
		{"task('x'):timeout(1, 2)", 1, "timeout: too many arguments, it takes 1"},
		{"task('x').timeout('1s')", 1, "call it with a colon"},
		{"task('x')" COMMAND "\n:build()\n:timeout('1s')", 3, "build() comes last"},
		{"task()", 1, "task: expected a name, got nil"},
		{"task({})", 1, "expected a name, got table"},
		{"task('')", 1, "a name has 1 to 256 bytes"},
		{"task('a\\nb')", 1, "on one line"},
		{"task('x')\ntask('x')", 2, "there is a task 'x' already, from "},
		{"task('x'):command('')", 1, "command: that is no command line"},
		{"task('x'):command('a\\0b')", 1, "command: that is no command line"},
		{"task('x'):command()", 1,
			"command: expected a function or a shell command line, got nil"},
		{"task('x'):command(print)", 1, "written in Lua"},
		{"task('x')" COMMAND COMMAND, 1, "its command is set twice"},
		{"task('x'):build()", 1, "it has no command"},
		{"task('x'):description(7)", 1, "description: expected a string, got number"},
		{"task('x'):delegate_to(nil)", 1,
			"delegate_to: expected an agent's name, got nil: was the value"},
		{"task('x'):delegate_to({})", 1, "the list of targets is empty"},
		{"task('x'):delegate_to({ 'a', nil, 'b' })", 1, "without holes"},
		{"task('x'):delegate_to({ 'a', 7 })", 1, "got number"},
		{"task('x'):delegate_to('')", 1, "a target is a name"},
		{"task('x'):depends_on('y')", 1, "depends_on is not supported by this version"},
		{"task('x'):retries(3)", 1, "retries is not supported by this version"},
		{"task('x'):run_if(print)", 1, "run_if is not supported by this version"},
		{"task('x'):on_timeout(print)", 1,
			"on_timeout is not supported by this version"},
		{"task('x'):limits({ memry = 1 })", 1,
			"limits: unknown key 'memry'; did you mean 'memory'?"},
		{"task('x'):limits({ memory = 'much' })", 1, "limits: memory: expected a size"},
		{"task('x'):limits({ memory = '1MB' })", 1, "limits: memory: expected a size"},
		{"task('x'):limits({ files = 1.5 })", 1,
			"limits: files: expected a whole number"},
		{"task('x'):params('a')", 1, "params: expected a table, got string"},
		{"task('x'):params({ 1 })", 1, "its keys are names, found a number"},
		{"task('x'):env({ A = {} })", 1, "env: A must be a string, it is a table"},
		{"task('x'):env({ ['A=B'] = 'c' })", 1, "'A=B' can't be a variable's name"},
		{"task('x'):workdir(7)", 1, "workdir: expected a string"},
		{"task('x'):user('')", 1, "user: expected 1 to 256 bytes"},
		{"local t = task('x')\nt.name = 'y'", 2, "its fields can't be assigned"},
		{"workflow.define()", 1, "workflow.define: expected a name, got nil"},
		{"workflow:define('x')", 1, "expected a name, got table"},
		{"workflow.define('x')\n:taks({})", 2, "did you mean 'tasks'?"},
		{"workflow.define('x'):tasks({})", 1, "tasks: the list is empty"},
		{"workflow.define('x'):tasks({ 'a' })", 1, "without quotes"},
		{"workflow.define('x'):tasks({ nil, task('a') })", 1,
			"is one of the variables nil?"},
		{"workflow.define('x'):tasks(task('a'))", 1, "expected a list of tasks"},
		{"local a = task('a') workflow.define('x'):tasks({ a, a })", 1,
			"'a' is in the list twice"},
		{"workflow.define('x')\n:config({ timout = 1 })", 2,
			"config: unknown key 'timout'; did you mean 'timeout'?"},
		{"workflow.define('x'):config({ max_fail = 1 })", 1,
			"max_fail is not supported by this version"},
		{"workflow.define('x'):config({ timeout = 'soon' })", 1, "bad duration 'soon'"},
		{"workflow.define('x'):config(7)", 1, "config: expected a table"},
		{"workflow.define('x')\nworkflow.define('x')", 2, "already"},
		{"workflow.define('x', 7)", 1, "expected a table, got number"},
		{"\nworkflow.define('x', { taks = {} })", 2, "did you mean 'tasks'?"},
		{"workflow.define('x', { 1 })", 1, "expected names as keys"},
		{"workflow.define('x', { on_complete = 1 })", 1,
			"on_complete is not supported"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_refused(cases[i].text, cases[i].line, cases[i].words);
}
END_TEST

START_TEST(a_mistake_in_the_whole_is_found_when_the_file_has_run)
{
	check_refused("\ntask('x')" COMMAND, 2, "it is never built: end it with :build()");
	check_refused("local a = task('a')\nworkflow.define('w'):tasks({ a })", 1,
		"task 'a': it has no command");
	check_refused("task('a')" COMMAND ":build()\nworkflow.define('w')", 2,
		"workflow 'w': it has no tasks");
	check_refused("", 0, "it defines no task");
	check_refused("task('a')" COMMAND ":build()\n"
		      "task('b')" COMMAND ":delegate_to(function() return 7 end):build()",
		2, "delegate_to: expected an agent's name, got number");
	check_refused("task('a')" COMMAND
		      ":delegate_to(function()\nerror('no host') end):build()",
		2, "no host");
}
END_TEST

START_TEST(a_mistake_in_lua_names_its_line_and_who_called)
{
	struct loaded l;

	check_refused("local x = = 1", 1, "unexpected symbol near '='");
	check_refused(
		"\nlocal x = nil\nx.y = 1", 3, "attempt to index a nil value (local 'x')");
	check_refused("error('plain', 0)", 1, "plain");
	check_refused("error({})", 1, "table");
	check_refused("\x1bLua", 0, "it is compiled Lua: a workflow is sent as text");
	check_refused("local goroutine = require('goroutine')\ngoroutine.spawn(print)", 2,
		"goroutine.spawn can only be called inside a task");
	check_refused("os.exit(0)", 1, "os.exit can only be called inside a task: error(");

	l = load("local function f()\n error('bad')\nend\nlocal function g()\n f()\nend\ng()");
	ck_assert_ptr_nonnull(strstr(l.err.text, ":2: bad, called from "));
	ck_assert_ptr_nonnull(strstr(l.err.text, ":5, called from "));
	ck_assert_int_eq(sl_workflow_load("/nowhere.sloth", &(struct sl_workflow_args){0},
				 &l.workflow, &l.err),
		SL_ESYSTEM);
	ck_assert_str_eq(l.err.text, "cannot open /nowhere.sloth: No such file or directory");
}
END_TEST

START_TEST(one_of_several_workflows_is_chosen_by_name)
{
	static const char text[] = TWO "workflow.define('first'):tasks({ a })\n"
				       "workflow.define('second'):tasks({ b })";
	struct sl_workflow_args args = {.select = "second"};
	struct loaded l = load_with(text, &args);

	ck_assert_int_eq(l.rc, 0);
	ck_assert_str_eq(sl_workflow_name(l.workflow), "second");
	ck_assert_str_eq(sl_workflow_task(l.workflow, 0)->name, "b");
	sl_workflow_free(l.workflow);

	check_refused(text, 0, "it defines 2 workflows (first, second): choose one with -w");
	args.select = "third";
	l = load_with(text, &args);
	ck_assert_ptr_nonnull(
		strstr(l.err.text, "there is no workflow 'third' in it: it has first, second"));
	l = load_with("task('a')" COMMAND ":build()", &args);
	ck_assert_ptr_nonnull(strstr(l.err.text, "it has tasks only"));
}
END_TEST

static struct sl_parcel *parcel;

static struct sl_task pack(struct sl_workflow *workflow, size_t i)
{
	struct sl_task task;
	struct sl_error err;

	parcel = sl_parcel_new(1 << 22);
	if (sl_workflow_pack(workflow, i, parcel, &task, &err) < 0)
		ck_abort_msg("%s", err.text);
	return task;
}

/* ---- words that the caller must act on ---- */

START_TEST(a_task_comes_behind_those_that_it_depends_on)
{
	struct loaded l = load_all_words(
		"local d = task('d'):depends_on({ 'b', 'c' })" COMMAND ":build()\n"
		"local b = task('b'):depends_on('a')" COMMAND ":build()\n"
		"local a = task('a')" COMMAND ":build()\n"
		"local c = task('c'):depends_on(a)" COMMAND ":build()\n"
		"local e = task('e'):depends_on({})" COMMAND ":build()\n");
	const struct sl_workflow_task *task;
	static const char *const order[] = {"a", "b", "c", "d", "e"};

	ck_assert_msg(l.rc == 0, "%s", l.err.text);
	for (size_t i = 0; i < 5; i++)
		ck_assert_str_eq(sl_workflow_task(l.workflow, i)->name, order[i]);
	task = sl_workflow_task(l.workflow, 3);
	ck_assert_uint_eq(task->n_depends_on, 2);
	ck_assert_uint_eq(task->depends_on[0], 1);
	ck_assert_uint_eq(task->depends_on[1], 2);
	ck_assert_uint_eq(sl_workflow_task(l.workflow, 2)->depends_on[0], 0);
	ck_assert_uint_eq(sl_workflow_task(l.workflow, 4)->n_depends_on, 0);
	sl_workflow_free(l.workflow);
}
END_TEST

START_TEST(retries_limits_and_the_workflows_rules_are_read)
{
	struct loaded l = load_all_words(
		"local a = task('a')" COMMAND
		":retries(3, { backoff = '500ms', factor = 1.5, max = 60 })\n"
		":limits({ memory = '256M', processes = 10, files = 100 })\n"
		"local b = task('b')" COMMAND ":retries(2):limits({ memory = 4096 })\n"
		"workflow.define('w'):tasks({ a, b }):config({ timeout = '1h', max_parallel = "
		"8,\n"
		"max_fail = 2, fail_fast = true })");
	const struct sl_workflow_retries *retries;
	struct sl_workflow_config config;
	struct sl_task task;

	ck_assert_msg(l.rc == 0, "%s", l.err.text);
	retries = &sl_workflow_task(l.workflow, 0)->retries;
	ck_assert_uint_eq(retries->n, 3);
	ck_assert_int_eq(retries->backoff_ms, 500);
	ck_assert_int_eq(retries->max_ms, 60000);
	ck_assert_double_eq(retries->factor, 1.5);
	retries = &sl_workflow_task(l.workflow, 1)->retries;
	ck_assert_uint_eq(retries->n, 2);
	ck_assert_int_eq(retries->backoff_ms, 1000);
	ck_assert_int_eq(retries->max_ms, 30000);
	config = sl_workflow_config(l.workflow);
	ck_assert_int_eq(config.timeout_ms, 3600000);
	ck_assert_uint_eq(config.max_parallel, 8);
	ck_assert_uint_eq(config.max_fail, 2);
	ck_assert(config.fail_fast);
	task = pack(l.workflow, 0);
	ck_assert_uint_eq(task.limits.memory_bytes, 256 << 20);
	ck_assert_uint_eq(task.limits.processes, 10);
	ck_assert_uint_eq(task.limits.files, 100);
	sl_parcel_free(parcel);
	task = pack(l.workflow, 1);
	ck_assert_uint_eq(task.limits.memory_bytes, 4096);
	sl_parcel_free(parcel);
	sl_workflow_free(l.workflow);
}
END_TEST

START_TEST(a_mistake_in_those_names_its_line_too)
{
	static const struct {
		const char *text;
		int line;
		const char *words;
	} cases[] = {
		{"\ntask('x'):depends_on('y')" COMMAND ":build()", 2,
			"it depends on 'y', which is no task"},
		{"task('fetch')" COMMAND ":build()\n"
		 "task('x'):depends_on('fetsh')" COMMAND ":build()",
			2, "did you mean 'fetch'?"},
		{"task('a')" COMMAND ":build() local b = task('b'):depends_on('a')" COMMAND "\n"
		 "workflow.define('w'):tasks({ b })",
			1, "which workflow 'w' doesn't have: add that to its tasks"},
		{"task('a'):depends_on('a')" COMMAND ":build()", 1,
			"depends on itself: a -> a"},
		{"task('x'):depends_on('b')" COMMAND ":build()\n"
		 "task('a'):depends_on('b')" COMMAND ":build()\n"
		 "task('b'):depends_on('c')" COMMAND ":build()\n"
		 "task('c'):depends_on('a')" COMMAND ":build()",
			3, "depends on itself: b -> c -> a -> b"},
		{"task('x'):depends_on(nil)", 1, "got nil: is that variable set?"},
		{"task('x'):depends_on({ 7 })", 1, "got number"},
		{"task('x'):depends_on({ nil, 'a' })", 1, "is one of the variables nil?"},
		{"task('x'):retries(-1)", 1, "retries: expected a whole number from 0 to 1000"},
		{"task('x'):retries('3')", 1, "retries: expected a whole number"},
		{"task('x'):retries(3, 4)", 1, "retries: expected a table"},
		{"task('x'):retries(3, { bakoff = 1 })", 1, "did you mean 'backoff'?"},
		{"task('x'):retries(3, { factor = 0.5 })", 1,
			"factor: expected a number from 1"},
		{"task('x'):retries(3, { max = 'long' })", 1, "max: bad duration 'long'"},
		{"task('x'):run_if(true)", 1, "run_if: expected a function, got boolean"},
		{"task('x'):on_success()", 1, "on_success: expected a function, got nil"},
		{"workflow.define('w', { on_complete = 1 })", 1,
			"on_complete: expected a function, got number"},
		{"workflow.define('w'):config({ max_parallel = 0 })", 1, "whole number from 1"},
		{"workflow.define('w'):config({ fail_fast = 1 })", 1, "expected true or false"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct loaded l = load_all_words(cases[i].text);

		check_sentence(&l, cases[i].text, cases[i].line, cases[i].words);
	}
}
END_TEST

START_TEST(the_file_answers_while_it_is_run)
{
	struct loaded l = load_all_words(
		"task('x')" COMMAND "\n"
		":delegate_to(function(this, params, deps)\n"
		"  return { this.name, params.where, deps.scan.host } end)\n"
		":run_if(function(this, params, deps) return deps.scan.host == 'db-01' end)\n"
		":abort_if(function(this, params, deps) return params.where == nil end)\n"
		":build()\n"
		"task('plain')" COMMAND ":delegate_to('web-01'):build()\n"
		"task('bad')" COMMAND ":run_if(function() error('no idea') end):build()\n"
		"task('end')" COMMAND ":run_if(function() os.exit(0) end):build()");
	struct sl_pair host = {.key = {.kind = SL_VALUE_STRING, .string = sl_bytes_of("host")},
		.value = {.kind = SL_VALUE_STRING, .string = sl_bytes_of("db-01")}};
	struct sl_table outputs = {.pairs = &host, .n_pairs = 1};
	struct sl_pair scan = {.key = {.kind = SL_VALUE_STRING, .string = sl_bytes_of("scan")},
		.value = {.kind = SL_VALUE_TABLE, .table = &outputs}};
	struct sl_table deps = {.pairs = &scan, .n_pairs = 1};
	struct sl_pair where = {
		.key = {.kind = SL_VALUE_STRING, .string = sl_bytes_of("where")},
		.value = host.value};
	struct sl_table params = {.pairs = &where, .n_pairs = 1};
	struct sl_workflow_context context = {
		.params = {.kind = SL_VALUE_TABLE, .table = &params},
		.deps = {.kind = SL_VALUE_TABLE, .table = &deps}};
	const char *const *targets;
	struct sl_error err;
	bool yes;
	size_t n;

	ck_assert_msg(l.rc == 0, "%s", l.err.text);
	ck_assert(sl_workflow_task(l.workflow, 0)->late_targets);
	ck_assert_uint_eq(sl_workflow_task(l.workflow, 0)->n_targets, 0);
	ck_assert_int_eq(
		sl_workflow_ask_targets(l.workflow, 0, &context, &targets, &n, &err), 0);
	ck_assert_uint_eq(n, 3);
	ck_assert_str_eq(targets[0], "x");
	ck_assert_str_eq(targets[1], "db-01");
	ck_assert_str_eq(targets[2], "db-01");
	ck_assert_int_eq(sl_workflow_ask_run_if(l.workflow, 0, &context, &yes, &err), 0);
	ck_assert(yes);
	ck_assert_int_eq(sl_workflow_ask_abort_if(l.workflow, 0, &context, &yes, &err), 0);
	ck_assert(!yes);

	ck_assert_int_eq(
		sl_workflow_ask_targets(l.workflow, 1, &context, &targets, &n, &err), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(sl_workflow_ask_run_if(l.workflow, 1, &context, &yes, &err), 0);
	ck_assert(yes);
	ck_assert_int_eq(
		sl_workflow_ask_run_if(l.workflow, 2, &context, &yes, &err), SL_EINVALID);
	ck_assert_int_eq(strncmp(err.text, "run_if: ", 8), 0);
	ck_assert_ptr_nonnull(strstr(err.text, ":8: no idea"));
	ck_assert_int_eq(
		sl_workflow_ask_run_if(l.workflow, 3, &context, &yes, &err), SL_EINVALID);
	ck_assert_ptr_nonnull(strstr(err.text, ":9: os.exit can only be called inside a task"));
	sl_workflow_free(l.workflow);
}
END_TEST

START_TEST(a_function_that_never_ends_can_be_interrupted)
{
	struct loaded l = load_all_words(
		"task('x')" COMMAND ":run_if(function() while true do end end):build()");
	struct sl_workflow_context context = {0};
	struct sl_error err;
	sigset_t set;
	bool yes;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	ck_assert_int_eq(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	raise(SIGINT);
	ck_assert_int_eq(
		sl_workflow_ask_run_if(l.workflow, 0, &context, &yes, &err), SL_EINVALID);
	ck_assert_ptr_nonnull(strstr(err.text, ":1: interrupted"));
	sl_workflow_free(l.workflow);
}
END_TEST

START_TEST(the_file_is_told_how_a_task_ended)
{
	struct loaded l = load_all_words(
		"local said = {}\n"
		"task('x')" COMMAND "\n"
		":on_success(function(this, params, outputs) said[#said + 1] = this.agent .. "
		"outputs end)\n"
		":on_failure(function(this, params, e) said[#said + 1] = e.task .. e.error "
		"end)\n"
		":on_timeout(function(this, params, e) said[#said + 1] = 'late' .. "
		"this.attempt end)\n"
		":run_if(function() return table.concat(said, ' ') == 'web-018 xbroken late2' "
		"end)\n"
		":build()\n"
		"task('y')" COMMAND ":on_failure(function(_, _, e) said[1] = e.error end)\n"
		":run_if(function() return said[1] == 'slow' end):build()");
	struct sl_workflow_context context = {.agent = "web-01", .attempt = 2};
	struct sl_value outputs = {.kind = SL_VALUE_INTEGER, .integer = 8};
	struct sl_error err;
	bool yes = false;

	ck_assert_msg(l.rc == 0, "%s", l.err.text);
	ck_assert_int_eq(sl_workflow_tell(l.workflow, 0, SL_WORKFLOW_SUCCEEDED, &context,
				 &outputs, NULL, &err),
		0);
	ck_assert_int_eq(sl_workflow_tell(l.workflow, 0, SL_WORKFLOW_FAILED, &context, NULL,
				 "broken", &err),
		0);
	ck_assert_int_eq(sl_workflow_tell(l.workflow, 0, SL_WORKFLOW_TIMED_OUT, &context, NULL,
				 "slow", &err),
		0);
	ck_assert_int_eq(sl_workflow_ask_run_if(l.workflow, 0, &context, &yes, &err), 0);
	ck_assert(yes);
	ck_assert_int_eq(sl_workflow_tell(l.workflow, 1, SL_WORKFLOW_TIMED_OUT, &context, NULL,
				 "slow", &err),
		0);
	ck_assert_int_eq(sl_workflow_ask_run_if(l.workflow, 1, &context, &yes, &err), 0);
	ck_assert(yes);
	ck_assert_int_eq(sl_workflow_tell(l.workflow, 1, SL_WORKFLOW_SUCCEEDED, &context, NULL,
				 NULL, &err),
		0);
	sl_workflow_free(l.workflow);
}
END_TEST

START_TEST(the_file_is_told_when_all_is_over)
{
	struct loaded l = load_all_words(
		"local a = task('a'):run_if(function() return said end)" COMMAND "\n"
		"workflow.define('w', { tasks = { a }, on_complete = function(ok, results)\n"
		"  said = ok and results.a.outputs == 7\n"
		"end })");
	struct sl_pair outputs = {
		.key = {.kind = SL_VALUE_STRING, .string = sl_bytes_of("outputs")},
		.value = {.kind = SL_VALUE_INTEGER, .integer = 7}};
	struct sl_table of_a = {.pairs = &outputs, .n_pairs = 1};
	struct sl_pair a = {.key = {.kind = SL_VALUE_STRING, .string = sl_bytes_of("a")},
		.value = {.kind = SL_VALUE_TABLE, .table = &of_a}};
	struct sl_table of_all = {.pairs = &a, .n_pairs = 1};
	struct sl_value results = {.kind = SL_VALUE_TABLE, .table = &of_all};
	struct sl_workflow_context context = {0};
	struct sl_error err;
	bool yes = false;

	ck_assert_msg(l.rc == 0, "%s", l.err.text);
	ck_assert_int_eq(sl_workflow_tell_complete(l.workflow, true, &results, &err), 0);
	ck_assert_int_eq(sl_workflow_ask_run_if(l.workflow, 0, &context, &yes, &err), 0);
	ck_assert(yes);
	sl_workflow_free(l.workflow);

	l = load_good("task('a')" COMMAND ":build()");
	ck_assert_int_eq(sl_workflow_tell_complete(l.workflow, true, &results, &err), 0);
	sl_workflow_free(l.workflow);
	l = load_all_words("local a = task('a')" COMMAND "\nworkflow.define('w'):tasks({ a })"
			   ":on_complete(function() error('too bad') end)");
	ck_assert_int_eq(
		sl_workflow_tell_complete(l.workflow, true, &results, &err), SL_EINVALID);
	ck_assert_ptr_nonnull(strstr(err.text, ":2: too bad"));
	sl_workflow_free(l.workflow);
}
END_TEST

/* ---- packing ---- */

static void check_text(struct sl_bytes bytes, const char *expected)
{
	ck_assert_msg(sl_bytes_equal(bytes, sl_bytes_of(expected)), "'%.*s' is not '%s'",
		(int)bytes.size, bytes.data, expected);
}

START_TEST(a_packed_task_has_all_that_was_said_of_it)
{
	struct sl_pair p = {.key = {.kind = SL_VALUE_STRING, .string = sl_bytes_of("region")},
		.value = {.kind = SL_VALUE_STRING, .string = sl_bytes_of("eu")}};
	struct sl_pair v = {.key = p.key, .value = {.kind = SL_VALUE_INTEGER, .integer = 42}};
	struct sl_table table = {.pairs = &v, .n_pairs = 1};
	struct sl_workflow_args args = {.params = &p,
		.n_params = 1,
		.values = {.kind = SL_VALUE_TABLE, .table = &table}};
	struct loaded l = load_with(
		"task('x')\n:params({ region = 'us', size = 3 }):env({ LANG = 'C', N = 1 })\n"
		":workdir('/srv'):user('deploy'):timeout(2.5)\n"
		":command(function(this) return this end):build()\n"
		"assert(params.region == 'eu' and values.region == 42)",
		&args);
	struct sl_task task;

	ck_assert_msg(l.rc == 0, "%s", l.err.text);
	task = pack(l.workflow, 0);
	check_text(task.name, "x");
	check_text(task.user, "deploy");
	check_text(task.workdir, "/srv");
	ck_assert_uint_eq(task.timeout_ms, 2500);
	check_text(sl_table_get(task.params.table, "region")->string, "eu");
	ck_assert_int_eq(sl_table_get(task.params.table, "size")->integer, 3);
	ck_assert_int_eq(sl_table_get(task.values.table, "region")->integer, 42);
	check_text(sl_table_get(task.env.table, "LANG")->string, "C");
	check_text(sl_table_get(task.env.table, "N")->string, "1");
	ck_assert_int_eq(task.function.kind, SL_VALUE_FUNCTION);
	check_text(task.function.function->text, "function(this) return this end");
	check_text(task.function.function->file, l.path);
	ck_assert_int_eq(task.function.function->line, 4);
	ck_assert(!task.function.function->binary);
	sl_parcel_free(parcel);
	sl_workflow_free(l.workflow);
}
END_TEST

START_TEST(what_was_not_said_is_nil)
{
	struct loaded l = load_good("task('x'):command(function() end):build()");
	struct sl_task task = pack(l.workflow, 0);

	ck_assert_int_eq(task.params.kind, SL_VALUE_NIL);
	ck_assert_int_eq(task.values.kind, SL_VALUE_NIL);
	ck_assert_int_eq(task.env.kind, SL_VALUE_NIL);
	ck_assert_uint_eq(task.user.size, 0);
	ck_assert_uint_eq(task.function.function->n_upvalues, 0);
	ck_assert_uint_eq(task.function.function->n_globals, 0);
	sl_parcel_free(parcel);
	sl_workflow_free(l.workflow);
}
END_TEST

static struct sl_value upvalue(const struct sl_function *function, const char *name)
{
	for (size_t i = 0; i < function->n_upvalues; i++)
		if (sl_bytes_equal(function->upvalues[i].name, sl_bytes_of(name)))
			return function->upvalues[i].cell->value;
	ck_abort_msg("no upvalue '%s'", name);
	return (struct sl_value){0};
}

START_TEST(captured_values_travel_and_modules_go_by_name)
{
	struct loaded l =
		load_good("local goroutine = require('goroutine')\n"
			  "local spawn, fmt = goroutine.spawn, string.format\n"
			  "local leave, write = os.exit, io.write\n"
			  "local conf = { port = 80 } conf.self = conf\n"
			  "local function fact(n) return n <= 1 and 1 or n * fact(n - 1) end\n"
			  "function shared() return conf end\n"
			  "for i = 7, 7 do\n"
			  "  task('x'):command(function()\n"
			  "    spawn(fact) log.info(i) print(goroutine, fmt, conf, shared())\n"
			  "    write('x') leave()\n"
			  "  end):build()\n"
			  "end");
	struct sl_task task = pack(l.workflow, 0);
	struct sl_function *function = task.function.function, *fact;
	struct sl_value conf = upvalue(function, "conf");

	check_text(upvalue(function, "goroutine").string, "goroutine");
	check_text(upvalue(function, "spawn").string, "goroutine.spawn");
	check_text(upvalue(function, "fmt").string, "string.format");
	check_text(upvalue(function, "leave").string, "os.exit");
	check_text(upvalue(function, "write").string, "io.write");
	ck_assert_int_eq(upvalue(function, "i").integer, 7);
	ck_assert_ptr_eq(sl_table_get(conf.table, "self")->table, conf.table);
	fact = upvalue(function, "fact").function;
	ck_assert_ptr_eq(upvalue(fact, "fact").function, fact);
	ck_assert_uint_eq(function->n_globals, 1);
	check_text(function->globals[0].key.string, "shared");
	ck_assert_ptr_eq(
		upvalue(function->globals[0].value.function, "conf").table, conf.table);
	sl_parcel_free(parcel);
	sl_workflow_free(l.workflow);
}
END_TEST

static void check_not_packed(const char *text, const char *words)
{
	struct loaded l = load_good(text);
	struct sl_task task = {0};
	struct sl_error err;
	char where[80];

	parcel = sl_parcel_new(1 << 16);
	ck_assert_int_lt(sl_workflow_pack(l.workflow, 0, parcel, &task, &err), 0);
	snprintf(where, sizeof(where), "%s:2: task 'x': ", l.path);
	ck_assert_msg(strncmp(err.text, where, strlen(where)) == 0, "%s", err.text);
	ck_assert_msg(strstr(err.text, words) != NULL, "%s", err.text);
	ck_assert_ptr_null(task.name.data);
	sl_parcel_free(parcel);
	sl_workflow_free(l.workflow);
}

START_TEST(what_cannot_be_sent_is_refused_with_the_way_to_it)
{
	check_not_packed("local conf = { out = io.stderr, file = io.open('/dev/null') }\n"
			 "task('x'):command(function() return conf end):build()",
		"cannot send upvalue 'conf.file' to an agent: open file");
	check_not_packed("local other = task('o')" COMMAND ":build() local t =\n"
			 "task('x'):command(function() return other end) t:build()\n"
			 "workflow.define('w'):tasks({ t })",
		"cannot send upvalue 'other' to an agent: it is a task of this file");
	check_not_packed("local co = coroutine.create(print)\n"
			 "task('x'):command(function() return co end):build()",
		"'co' to an agent: coroutine");
	check_not_packed("local f = load(string.dump(function() end, true))\n"
			 "task('x'):command(function() return f() end):build()",
		"upvalue 'f'");
	check_not_packed("local big = ('x'):rep(100000)\n"
			 "task('x'):command(function() return big end):build()",
		"too large (65536 bytes at most)");
	check_not_packed("\ntask('x')" COMMAND ":params({ f = io.open('/dev/null') }):build()",
		"cannot send params 'f' to an agent");
}
END_TEST

START_TEST(the_words_of_a_file_are_refused_with_the_way_to_them)
{
	check_not_packed("\ntask('x'):command(function() return task('y') end):build()",
		"cannot send global 'task' to an agent: it defines tasks");
	check_not_packed("\ntask('x'):command(function()\n"
			 "  return function() return workflow.define('w') end end):build()",
		"cannot send global 'workflow' to an agent: it defines tasks");
	check_not_packed("local t = { deep = { w = require('workflow') } }\n"
			 "task('x'):command(function() return t end):build()",
		"cannot send upvalue 't.deep.w' to an agent: it defines tasks");
	check_not_packed("local define = workflow.define local function f() return define end\n"
			 "task('x'):command(function() return f end):build()",
		"cannot send upvalue 'f.define' to an agent: it defines tasks");
	check_not_packed("\nlocal t = task('x')"
			 " t:command(function() end):params({ m = t.build }):build()",
		"cannot send params 'm' to an agent: it defines tasks");
	check_not_packed("local w = workflow.define('w') local x =\n"
			 "task('x'):command(function() return w end):build() w:tasks({ x })",
		"cannot send upvalue 'w' to an agent: it is a workflow of this file");
}
END_TEST

/* Words that are the same, and mean something else. */
START_TEST(names_like_the_words_are_as_good_as_others)
{
	struct loaded l = load_good("local function f(task) return task.task, 'workflow' end\n"
				    "task('x'):command(function(this, params)\n"
				    "  local workflow = { task = params.workflow }\n"
				    "  local _ENV = { task = f(workflow), workflow = 1 }\n"
				    "  return task, workflow end):build()");

	pack(l.workflow, 0);
	sl_parcel_free(parcel);
	sl_workflow_free(l.workflow);
}
END_TEST

START_TEST(a_function_with_more_variables_than_can_be_declared_is_refused)
{
	struct sl_buffer text = SL_BUFFER_INIT;

	sl_buffer_printf(&text, "local function outer()");
	for (int i = 0; i < 150; i++)
		sl_buffer_printf(&text, " local a%d = 1", i);
	sl_buffer_printf(&text, " return function()");
	for (int i = 0; i < 60; i++)
		sl_buffer_printf(&text, " local b%d = 1", i);
	sl_buffer_printf(&text, " return function() return 0");
	for (int i = 0; i < 150; i++)
		sl_buffer_printf(&text, " + a%d", i);
	for (int i = 0; i < 60; i++)
		sl_buffer_printf(&text, " + b%d", i);
	sl_buffer_printf(&text, " end end end\ntask('x'):command(outer()()):build()");
	sl_buffer_append(&text, "", 1);
	check_not_packed(text.data, "this function captures over 200 variables");
	sl_buffer_deinit(&text);
}
END_TEST

START_TEST(functions_of_a_module_beside_the_file_are_cut_from_theirs)
{
	char dir[] = "/tmp/sloth-test-XXXXXX", path[64], module[64];
	struct sl_workflow_args args = {0};
	struct sl_workflow *workflow = NULL;
	struct sl_function *greet;
	struct sl_error err;
	struct sl_task task;
	FILE *file;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/main.sloth", dir);
	snprintf(module, sizeof(module), "%s/greeting.lua", dir);
	file = fopen(module, "w");
	fputs("local M = {}\n\nfunction M.greet(name) return 'hello ' .. name end\nreturn M\n",
		file);
	fclose(file);
	file = fopen(path, "w");
	fputs("local greeting = require('greeting')\n"
	      "task('x'):command(function() return true, greeting.greet('you') end):build()\n",
		file);
	fclose(file);
	ck_assert_msg(sl_workflow_load(path, &args, &workflow, &err) == 0, "%s", err.text);
	task = pack(workflow, 0);
	greet = sl_table_get(upvalue(task.function.function, "greeting").table, "greet")
	                ->function;
	check_text(greet->text, "function(name) return 'hello ' .. name end");
	check_text(greet->file, module);
	ck_assert_int_eq(greet->line, 3);
	sl_parcel_free(parcel);
	sl_workflow_free(workflow);
	unlink(module);
	unlink(path);
	rmdir(dir);
}
END_TEST

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

static void check_module(const struct sl_task *task, const char *name, const char *text)
{
	const struct sl_value *module = sl_table_get(task->modules.table, name);

	ck_assert_ptr_nonnull(module);
	check_text(sl_table_get(module->table, "text")->string, text);
}

START_TEST(modules_beside_the_file_that_the_code_requires_go_along)
{
	char dir[] = "/tmp/sloth-test-XXXXXX", path[64], command[64];
	struct sl_workflow_args args = {0};
	struct sl_workflow *workflow = NULL;
	struct sl_error err;
	struct sl_task task;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/main.sloth", dir);
	snprintf(command, sizeof(command), "%s/deep", dir);
	ck_assert_int_eq(mkdir(command, 0700), 0);
	write_file(dir, "one.lua", "#!/usr/bin/lua\nreturn require 'deep.two'");
	write_file(dir, "deep/two.lua", "return { require('one'), require(\"three\") }");
	write_file(dir, "deep/init.lua", "return 'deep'");
	write_file(dir, "unused.lua", "return 1");
	write_file(dir, "broken.lua", "return\n= 1");
	write_file(dir, "main.sloth",
		"local function helper() return require('deep') end\n"
		"task('x'):command(function() local s = 'unused'\n"
		"  require('string') require(s) require('nowhere') return require('one'), "
		"helper()\n"
		"end):build()\n"
		"task('y'):command(function() end):build()\n"
		"task('z'):command(function() return require('broken') end):build()\n");
	ck_assert_msg(sl_workflow_load(path, &args, &workflow, &err) == 0, "%s", err.text);
	task = pack(workflow, 0);
	ck_assert_uint_eq(task.modules.table->n_pairs, 3);
	check_module(&task, "one", "\nreturn require 'deep.two'");
	check_module(&task, "deep.two", "return { require('one'), require(\"three\") }");
	check_module(&task, "deep", "return 'deep'");
	sl_parcel_free(parcel);
	task = pack(workflow, 1);
	ck_assert_int_eq(task.modules.kind, SL_VALUE_NIL);
	ck_assert_int_eq(sl_workflow_pack_chunk(
				 "return require('deep')", path, "exec", parcel, &task, &err),
		0);
	ck_assert_uint_eq(task.modules.table->n_pairs, 1);
	check_module(&task, "deep", "return 'deep'");
	ck_assert_int_eq(sl_workflow_pack(workflow, 2, parcel, &task, &err), SL_EINVALID);
	ck_assert_ptr_nonnull(strstr(err.text, "/broken.lua:2: unexpected symbol"));
	sl_parcel_free(parcel);
	sl_workflow_free(workflow);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(a_file_that_changes_while_it_runs_is_packed_as_it_was_loaded)
{
	struct sl_workflow_args args = {0};
	struct sl_workflow *workflow;
	struct sl_task task;
	char path[64];
	FILE *file;

	sl_text_file("task('x'):command(function() return 1 end):build()", path);
	ck_assert_int_eq(sl_workflow_load(path, &args, &workflow, NULL), 0);
	file = fopen(path, "w");
	fputs("task('x'):command(function() return 2 end):build()", file);
	fclose(file);
	task = pack(workflow, 0);
	check_text(task.function.function->text, "function() return 1 end");
	sl_parcel_free(parcel);
	sl_workflow_free(workflow);
	unlink(path);
}
END_TEST

START_TEST(the_shipped_examples_load_and_pack)
{
	struct sl_workflow_args args = {.words = ~0U};
	size_t n = 0;
	glob_t found;

	ck_assert_int_eq(glob(SL_SOURCE_ROOT "/examples/*.sloth", 0, NULL, &found), 0);
	for (; n < found.gl_pathc; n++) {
		struct sl_workflow *workflow;
		struct sl_error err;

		ck_assert_msg(sl_workflow_load(found.gl_pathv[n], &args, &workflow, &err) == 0,
			"%s", err.text);
		for (size_t i = 0; i < sl_workflow_n_tasks(workflow); i++) {
			pack(workflow, i);
			sl_parcel_free(parcel);
		}
		sl_workflow_free(workflow);
	}
	ck_assert_uint_ge(n, 6);
	globfree(&found);
}
END_TEST

START_TEST(the_examples_of_the_manual_load)
{
	struct sl_workflow_args args = {.words = ~0U};
	static char text[65536];
	char *at = text, *end;
	size_t n = 0;
	FILE *file = fopen(SL_SOURCE_ROOT "/man/sloth-workflow.5.scd", "r");

	ck_assert_ptr_nonnull(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	for (; (at = strstr(at, "```\n")) != NULL; at = end + 4, n++) {
		struct loaded l;

		end = strstr(at + 4, "```\n");
		ck_assert_ptr_nonnull(end);
		*end = '\0';
		l = load_with(at + 4, &args);
		ck_assert_msg(l.rc == 0, "%s", l.err.text);
		for (size_t i = 0; i < sl_workflow_n_tasks(l.workflow); i++) {
			pack(l.workflow, i);
			sl_parcel_free(parcel);
		}
		sl_workflow_free(l.workflow);
	}
	ck_assert_uint_ge(n, 1);
}
END_TEST

/* ---- chunks ---- */

START_TEST(a_chunk_becomes_the_body_of_a_function)
{
	struct sl_parcel *own = sl_parcel_new(1 << 16);
	struct sl_task task;

	ck_assert_int_eq(sl_workflow_pack_chunk("#!/usr/bin/sloth\nreturn true -- done",
				 "x.lua", "exec", own, &task, NULL),
		0);
	check_text(task.name, "exec");
	check_text(task.function.function->text,
		"function(this, params, deps, ...) \nreturn true -- done\nend");
	check_text(task.function.function->file, "x.lua");
	ck_assert_int_eq(task.function.function->line, 1);
	sl_parcel_free(own);
}
END_TEST

START_TEST(a_chunk_that_is_none_is_refused)
{
	static const struct {
		const char *chunk, *words;
	} cases[] = {
		{"end os.exit() function x()", "-e:1: <eof> expected near 'end'"},
		{"\nreturn 1 1", "-e:2: "},
		{"return function(", "-e:1: "},
		{"--[[", "-e:1: unfinished long comment"},
		{"\x1bLua", "-e: it is compiled Lua"},
	};
	struct sl_parcel *own = sl_parcel_new(1 << 16);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sl_task task;
		struct sl_error err;

		ck_assert_int_eq(
			sl_workflow_pack_chunk(cases[i].chunk, "-e", "exec", own, &task, &err),
			SL_EINVALID);
		ck_assert_msg(strstr(err.text, cases[i].words) != NULL, "%s", err.text);
	}
	sl_parcel_free(own);
}
END_TEST

SL_CHECK_MAIN("workflow", tasks_without_a_workflow_run_in_the_order_built,
	a_workflow_is_defined_in_either_form, targets_are_a_name_or_a_list_or_a_function,
	a_mistake_in_a_call_names_its_line_and_what_to_do,
	a_mistake_in_the_whole_is_found_when_the_file_has_run,
	a_mistake_in_lua_names_its_line_and_who_called,
	one_of_several_workflows_is_chosen_by_name,
	a_task_comes_behind_those_that_it_depends_on,
	retries_limits_and_the_workflows_rules_are_read, a_mistake_in_those_names_its_line_too,
	the_file_answers_while_it_is_run, a_function_that_never_ends_can_be_interrupted,
	the_file_is_told_how_a_task_ended, the_file_is_told_when_all_is_over,
	a_packed_task_has_all_that_was_said_of_it, what_was_not_said_is_nil,
	captured_values_travel_and_modules_go_by_name,
	what_cannot_be_sent_is_refused_with_the_way_to_it,
	the_words_of_a_file_are_refused_with_the_way_to_them,
	names_like_the_words_are_as_good_as_others,
	a_function_with_more_variables_than_can_be_declared_is_refused,
	functions_of_a_module_beside_the_file_are_cut_from_theirs,
	modules_beside_the_file_that_the_code_requires_go_along,
	a_file_that_changes_while_it_runs_is_packed_as_it_was_loaded,
	the_shipped_examples_load_and_pack, the_examples_of_the_manual_load,
	a_chunk_becomes_the_body_of_a_function, a_chunk_that_is_none_is_refused)
