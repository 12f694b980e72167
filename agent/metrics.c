/* SPDX-License-Identifier: MIT */
#include "agent/metrics.h"

#include <unistd.h>

#include "agent/exposition.h"
#include "agent/jobs.h"
#include "agent/loop.h"
#include "agent/service.h"
#include "agent/vitals.h"
#include "common/histogram.h"
#include "common/log.h"

static void gauge(
	struct sl_exposition *exposition, const char *name, const char *help, uint64_t value)
{
	sl_exposition_family(exposition, name, SL_EXPOSITION_GAUGE, help);
	sl_exposition_number(exposition, NULL, 0, value);
}

static void counter(
	struct sl_exposition *exposition, const char *name, const char *help, uint64_t value)
{
	sl_exposition_family(exposition, name, SL_EXPOSITION_COUNTER, help);
	sl_exposition_number(exposition, NULL, 0, value);
}

static void histogram(struct sl_exposition *exposition, const char *name, const char *help,
	const struct sl_histogram *value)
{
	sl_exposition_family(exposition, name, SL_EXPOSITION_HISTOGRAM, help);
	sl_exposition_histogram(exposition, value);
}

/* ---- the process, as all who are watched by Prometheus say it ---- */

static void write_process(struct sl_exposition *exposition)
{
	struct sl_vitals vitals;

	sl_vitals_of_process(&vitals);
	sl_exposition_family(exposition, "process_cpu_seconds", SL_EXPOSITION_COUNTER,
		"Processor time of the agent's main process.");
	sl_exposition_seconds(exposition, vitals.cpu_ns);
	sl_exposition_family(exposition, "process_start_time_seconds", SL_EXPOSITION_GAUGE,
		"When the agent was started, since the Unix epoch.");
	sl_exposition_seconds(exposition, vitals.start_ns);
	gauge(exposition, "process_resident_memory_bytes",
		"Resident memory of the agent's main process.", vitals.resident_bytes);
	gauge(exposition, "process_virtual_memory_bytes",
		"Virtual memory of the agent's main process.", vitals.virtual_bytes);
	if (vitals.open_fds > 0)
		gauge(exposition, "process_open_fds",
			"Descriptors that the agent's main process has.", vitals.open_fds);
	gauge(exposition, "process_max_fds",
		"Descriptors that the agent's main process may have.", vitals.max_fds);
}

static void write_agent(const struct sl_metrics *metrics, struct sl_exposition *exposition)
{
	const struct sl_label build[] = {{"version", SL_VERSION}, {"lua", SL_VITALS_LUA}};

	sl_exposition_family(
		exposition, "sloth_agent_build", SL_EXPOSITION_INFO, "Which agent this is.");
	sl_exposition_info(exposition, build, 2);
	gauge(exposition, "sloth_agent_max_tasks", "Tasks that may run at once.",
		metrics->max_tasks);
	gauge(exposition, "sloth_agent_max_queued", "Tasks that may wait their turn.",
		metrics->max_queued);
	sl_exposition_family(exposition, "sloth_agent_log_lines", SL_EXPOSITION_COUNTER,
		"Lines that the agent itself logged, by level.");
	for (int level = SL_LOG_ERROR; level <= SL_LOG_DEBUG; level++)
		sl_exposition_labelled(exposition, "level",
			sl_log_level_name((enum sl_log_level)level),
			sl_log_count((enum sl_log_level)level));
	histogram(exposition, "sloth_agent_loop_round_seconds",
		"How long the main loop worked between two waits; what comes meanwhile waits.",
		sl_loop_rounds(metrics->loop));
}

/* ---- jobs ---- */

static void write_refusals(
	const struct sl_jobs_numbers *numbers, struct sl_exposition *exposition)
{
	static const char *const reasons[SL_N_REFUSALS] = {
		[SL_REFUSAL_BUSY] = "busy",
		[SL_REFUSAL_DRAINING] = "draining",
		[SL_REFUSAL_BAD_TASK] = "bad_task",
		[SL_REFUSAL_DENIED] = "denied",
		[SL_REFUSAL_OTHER] = "other",
	};

	sl_exposition_family(exposition, "sloth_agent_jobs_refused", SL_EXPOSITION_COUNTER,
		"Tasks that were not accepted, by reason.");
	for (int i = 0; i < SL_N_REFUSALS; i++)
		sl_exposition_labelled(exposition, "reason", reasons[i], numbers->refused[i]);
}

static void write_jobs(const struct sl_jobs_numbers *numbers, struct sl_exposition *exposition)
{
	sl_exposition_family(exposition, "sloth_agent_jobs", SL_EXPOSITION_GAUGE,
		"Jobs that the agent knows, by state; ended ones are kept for a day.");
	for (int state = 0; state < SL_N_STATES; state++)
		sl_exposition_labelled(
			exposition, "state", sl_state_name(state), numbers->by_state[state]);
	counter(exposition, "sloth_agent_jobs_accepted", "Jobs that were accepted.",
		numbers->accepted);
	write_refusals(numbers, exposition);
	sl_exposition_family(exposition, "sloth_agent_jobs_ended", SL_EXPOSITION_COUNTER,
		"Jobs that ended, by the state that they ended in.");
	for (int state = 0; state < SL_N_STATES; state++)
		if (sl_state_is_terminal(state))
			sl_exposition_labelled(exposition, "state", sl_state_name(state),
				numbers->ended[state]);
	gauge(exposition, "sloth_agent_running_tasks", "Tasks that have a place to run.",
		numbers->running);
	gauge(exposition, "sloth_agent_queued_tasks", "Tasks that wait for a place to run.",
		numbers->queued);
	gauge(exposition, "sloth_agent_queued_bytes", "Memory of the tasks that wait.",
		numbers->queued_bytes);
	gauge(exposition, "sloth_agent_draining", "1 while the agent stops, else 0.",
		numbers->draining);
	histogram(exposition, "sloth_agent_dispatch_seconds",
		"From a job's acceptance until a worker has it.", numbers->dispatch);
	histogram(exposition, "sloth_agent_first_event_seconds",
		"From a job's acceptance until its worker is heard of.", numbers->first_event);
	histogram(exposition, "sloth_agent_task_seconds",
		"From a worker's having a job until its end.", numbers->run);
	counter(exposition, "sloth_agent_event_bytes", "Events that came from workers.",
		numbers->event_bytes);
	gauge(exposition, "sloth_agent_ring_bytes",
		"Memory of the events that are kept for controllers.", numbers->ring_bytes);
}

/* ---- workers and what goes on inside ---- */

static void write_workers(const struct sl_crew_numbers *crew, uint64_t worker_bytes,
	struct sl_exposition *exposition)
{
	sl_exposition_family(exposition, "sloth_agent_workers", SL_EXPOSITION_GAUGE,
		"Worker processes, idle or with a task.");
	sl_exposition_labelled(exposition, "state", "idle", crew->n_idle);
	sl_exposition_labelled(exposition, "state", "busy", crew->n_busy);
	counter(exposition, "sloth_agent_workers_started", "Worker processes that were made.",
		crew->n_started);
	counter(exposition, "sloth_agent_spawners_started",
		"Processes that make workers; more than one: the one before died.",
		crew->n_spawners);
	sl_exposition_family(exposition, "sloth_agent_resident_memory_bytes",
		SL_EXPOSITION_GAUGE,
		"Resident memory; what workers share is counted for each.");
	sl_exposition_labelled(
		exposition, "process", "main", sl_vitals_resident_bytes(getpid()));
	sl_exposition_labelled(exposition, "process", "spawner",
		crew->spawner ? sl_vitals_resident_bytes(crew->spawner) : 0);
	sl_exposition_labelled(exposition, "process", "workers", worker_bytes);
}

static void write_pools(const uint64_t *items, struct sl_exposition *exposition)
{
	gauge(exposition, "sloth_agent_goroutines", "Goroutines of running tasks.",
		items[SL_TALLY_GOROUTINES]);
	counter(exposition, "sloth_agent_goroutines_started",
		"Goroutines that were started, those of the tasks' functions included.",
		items[SL_TALLY_GOROUTINES_STARTED]);
	counter(exposition, "sloth_agent_goroutines_failed",
		"Spawned goroutines that raised an error.", items[SL_TALLY_GOROUTINES_FAILED]);
	gauge(exposition, "sloth_agent_pools", "Open worker pools of running tasks.",
		items[SL_TALLY_POOLS]);
	sl_exposition_family(exposition, "sloth_agent_pool_tasks", SL_EXPOSITION_GAUGE,
		"Tasks in all pools, running or waiting for a worker of their pool.");
	sl_exposition_labelled(exposition, "state", "active", items[SL_TALLY_POOL_ACTIVE]);
	sl_exposition_labelled(exposition, "state", "queued", items[SL_TALLY_POOL_QUEUED]);
	counter(exposition, "sloth_agent_pool_tasks_completed",
		"Tasks of pools that succeeded.", items[SL_TALLY_POOL_COMPLETED]);
	counter(exposition, "sloth_agent_pool_tasks_failed",
		"Tasks of pools that failed, or were stopped.", items[SL_TALLY_POOL_FAILED]);
	counter(exposition, "sloth_agent_pool_tasks_rejected",
		"Tasks that a full pool did not take.", items[SL_TALLY_POOL_REJECTED]);
}

static void write_output(const uint64_t *items, struct sl_exposition *exposition)
{
	sl_exposition_family(exposition, "sloth_agent_task_log_lines", SL_EXPOSITION_COUNTER,
		"Lines that tasks logged, by level.");
	for (int level = SL_LOG_ERROR; level <= SL_LOG_DEBUG; level++)
		sl_exposition_labelled(exposition, "level", sl_log_level_name(level),
			items[SL_TALLY_LOG_LINES + level]);
	sl_exposition_family(exposition, "sloth_agent_task_output_bytes", SL_EXPOSITION_COUNTER,
		"What tasks and their children wrote.");
	sl_exposition_labelled(exposition, "stream", "stdout", items[SL_TALLY_STDOUT_BYTES]);
	sl_exposition_labelled(exposition, "stream", "stderr", items[SL_TALLY_STDERR_BYTES]);
	counter(exposition, "sloth_agent_task_dropped_bytes",
		"Log and output that was left out, as its job had too much of it.",
		items[SL_TALLY_DROPPED_BYTES]);
}

/* ---- connections ---- */

static void write_connections(
	const struct sl_service *service, struct sl_exposition *exposition)
{
	static const char *const failures[SL_N_PEER_FAILURES] = {
		[SL_PEER_BAD_SIGNATURE] = "bad_signature",
		[SL_PEER_UNKNOWN_KEY] = "unknown_key",
		[SL_PEER_SILENT] = "silent",
		[SL_PEER_BROKEN] = "broken",
	};
	struct sl_service_numbers numbers;

	sl_service_count(service, &numbers);
	gauge(exposition, "sloth_agent_connections", "Open connections.", numbers.connections);
	counter(exposition, "sloth_agent_connections_accepted",
		"Connections so far, with those by which the agent looks after itself.",
		numbers.endpoint.accepted);
	sl_exposition_family(exposition, "sloth_agent_connections_rejected",
		SL_EXPOSITION_COUNTER,
		"Connections over the limit, or that did not speak the protocol.");
	sl_exposition_labelled(exposition, "reason", "limit", numbers.endpoint.over_limit);
	sl_exposition_labelled(
		exposition, "reason", "greeting", numbers.endpoint.bad_greetings);
	sl_exposition_family(exposition, "sloth_agent_hello_failures", SL_EXPOSITION_COUNTER,
		"Connections that were not let in, by reason.");
	for (int i = 0; i < SL_N_PEER_FAILURES; i++)
		sl_exposition_labelled(
			exposition, "reason", failures[i], numbers.hello_failures[i]);
}

void sl_metrics_write(const struct sl_metrics *metrics, uint64_t worker_bytes, bool openmetrics,
	struct sl_buffer *out)
{
	struct sl_exposition exposition = {.out = out, .openmetrics = openmetrics};
	struct sl_jobs_numbers numbers;

	sl_jobs_count(metrics->jobs, &numbers);
	write_process(&exposition);
	write_agent(metrics, &exposition);
	write_jobs(&numbers, &exposition);
	write_workers(&numbers.crew, worker_bytes, &exposition);
	write_pools(numbers.tally.items, &exposition);
	write_output(numbers.tally.items, &exposition);
	write_connections(metrics->service, &exposition);
	sl_exposition_end(&exposition);
}
