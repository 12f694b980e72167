/* SPDX-License-Identifier: MIT */
#include "agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/address.h"
#include "agent/jobs.h"
#include "agent/journal.h"
#include "agent/loop.h"
#include "agent/notify.h"
#include "agent/observer.h"
#include "agent/options.h"
#include "agent/privilege.h"
#include "agent/pulse.h"
#include "agent/service.h"
#include "agent/sources.h"
#include "agent/trust.h"
#include "common/duration.h"
#include "common/error.h"
#include "common/log.h"
#include "proto/message.h"

struct agent {
	int argc;
	char **argv;
	struct sl_options *options;
	struct sl_privilege privilege;
	struct sl_trust_config trust_config;
	struct sl_service_config service_config;
	struct sl_loop *loop;
	struct sl_journal *journal; /* NULL: stderr has the log */
	struct sl_trust *trust;
	struct sl_jobs *jobs;
	struct sl_service *service;
	struct sl_pulse *pulse;
	struct sl_metrics metrics;
	struct sl_observer *observer; /* NULL: nobody may look */
	struct sl_loop_timer *drain;
	struct sl_notify *notify;
	char bound[256];  /* the first address */
	bool listening;   /* on all addresses */
	bool has_workers; /* the stock was full once */
	bool stopping;
	bool drained; /* stopping, and nothing runs any more */
	bool lost;    /* nothing can run any more */
};

/* A descriptor that others may hold open, 1 above all, must not keep its number free. */
static void close_ready_fd(int fd)
{
	int null;

	if (fd > STDERR_FILENO) {
		close(fd);
		return;
	}
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, fd);
		close(null);
	}
}

static void tell_ready(struct agent *agent)
{
	int fd = agent->options->ready_fd;

	if (!agent->listening || !agent->has_workers)
		return;
	sl_journal_log(SL_JOURNAL_AGENT_READY, SL_LOG_NOTICE, NULL, "ready name=%s address=%s",
		agent->options->name, agent->bound);
	sl_notify_ready(agent->notify);
	if (fd < 0)
		return;
	if (dprintf(fd, "%s\n", agent->bound) < 0)
		sl_log(SL_LOG_WARNING, "cannot write to --ready-fd %d: %s", fd,
			strerror(errno));
	close_ready_fd(fd);
}

/* For `systemctl status`. */
static void describe(void *ctx, char *out, size_t size)
{
	struct agent *agent = ctx;
	struct sl_stat stat = {0};

	sl_jobs_stat(agent->jobs, &stat);
	snprintf(out, size, "%sjobs running: %llu, waiting: %llu; listening on %s",
		agent->stopping ? "stopping; " : "", (unsigned long long)stat.running,
		(unsigned long long)stat.queued, agent->bound);
}

static void on_pulse(void *ctx, const struct sl_pulse_report *report)
{
	struct agent *agent = ctx;

	if (!report->progress)
		sl_log(SL_LOG_ERROR, "no progress why=%s", report->why);
	sl_notify_feed(agent->notify, report->progress);
}

static void feel(void *ctx)
{
	struct agent *agent = ctx;
	struct sl_error err;

	if (sl_pulse_feel(agent->pulse, on_pulse, agent, &err) == 0)
		return;
	sl_log(SL_LOG_ERROR, "%s", err.text);
	sl_notify_feed(agent->notify, false);
}

static const struct sl_notify_ops notify_ops = {.describe = describe, .feel = feel};

static void on_ready(void *ctx)
{
	struct agent *agent = ctx;

	agent->has_workers = true;
	tell_ready(agent);
}

static void on_changed(void *ctx, struct sl_job *job)
{
	struct agent *agent = ctx;

	if (agent->service)
		sl_service_job_changed(agent->service, job);
	sl_notify_changed(agent->notify);
}

static void on_idle(void *ctx)
{
	struct agent *agent = ctx;

	if (!agent->stopping || agent->drained)
		return;
	agent->drained = true;
	sl_loop_timer_clear(agent->drain);
	if (sl_service_say_goodbye(agent->service) == 0)
		sl_loop_stop(agent->loop);
}

static void on_alone(void *ctx)
{
	struct agent *agent = ctx;

	if (agent->drained)
		sl_loop_stop(agent->loop);
}

static void on_drain_over(void *ctx)
{
	struct agent *agent = ctx;

	sl_log(SL_LOG_WARNING, "tasks are stopped that still run n=%zu",
		sl_jobs_n_live(agent->jobs));
	sl_jobs_stop_all(agent->jobs, "the agent is stopping");
}

static void on_stop_signal(void *ctx)
{
	struct agent *agent = ctx;
	char time[32];

	if (agent->stopping) {
		sl_log(SL_LOG_NOTICE, "stopping at once running=%zu",
			sl_jobs_n_live(agent->jobs));
		sl_loop_stop(agent->loop);
		return;
	}
	agent->stopping = true;
	sl_journal_log(SL_JOURNAL_AGENT_STOPPING, SL_LOG_NOTICE, NULL,
		"draining running=%zu at_most=%s", sl_jobs_n_live(agent->jobs),
		sl_duration_format(agent->options->drain_ms, time, sizeof(time)));
	sl_notify_stopping(agent->notify);
	sl_service_stop_listening(agent->service);
	sl_pulse_stop_listening(agent->pulse);
	sl_loop_timer_set(agent->drain, agent->options->drain_ms);
	sl_jobs_drain(agent->jobs);
}

static void on_lost(void *ctx)
{
	struct agent *agent = ctx;

	sl_log(SL_LOG_ERROR,
		"a new spawner would lack the rights that the agent gave up: it ends, to be "
		"started again");
	agent->lost = true;
	sl_jobs_stop_all(agent->jobs, "the agent's spawner process died");
	if (!agent->stopping)
		on_stop_signal(agent);
}

static const struct sl_jobs_ops jobs_ops = {
	.changed = on_changed,
	.ready = on_ready,
	.idle = on_idle,
	.lost = on_lost,
};

static void log_stays(const char *key)
{
	sl_log(SL_LOG_WARNING, "option needs a restart to change option=%s", key);
}

/* All of the new configuration that can change now, or nothing of it. */
static void reload(struct agent *agent)
{
	struct sl_options *options = agent->options, fresh;
	struct sl_error err;
	int result = sl_sources_read(agent->argc, agent->argv, &fresh, &err);

	if (result == 0) {
		sl_options_adopt(options, &fresh, log_stays);
		agent->trust_config.authorized_keys = options->authorized_keys;
		agent->trust_config.n_allow_uids = options->n_allow_uids;
		sl_log_setup("sloth-agent", options->log_level);
		sl_journal_log(SL_JOURNAL_RELOAD_DONE, SL_LOG_NOTICE, NULL,
			"configuration read again");
	} else {
		sl_journal_log(SL_JOURNAL_RELOAD_REFUSED, SL_LOG_ERROR, NULL,
			"configuration stays as it was: %s", err.text);
	}
	sl_options_deinit(&fresh);
}

static void on_reload_signal(void *ctx)
{
	struct agent *agent = ctx;

	if (agent->stopping)
		return;
	sl_notify_reloading(agent->notify);
	reload(agent);
	if (agent->listening && agent->has_workers)
		sl_notify_ready(agent->notify);
}

/* What can't be read now couldn't be read again later either. */
static int check_reload(struct agent *agent, struct sl_error *err)
{
	const char *keys = agent->options->authorized_keys, *user = agent->options->user;
	struct sl_options again;
	struct sl_error why;
	int result = sl_sources_read(agent->argc, agent->argv, &again, &why);

	sl_options_deinit(&again);
	if (result < 0)
		return sl_fail(err, why.code, "as the user '%s': %s", user, why.text);
	if (faccessat(AT_FDCWD, keys, R_OK, AT_EACCESS) < 0 && errno != ENOENT)
		return sl_fail_errno(err, errno,
			"the user '%s' cannot read %s (public keys are no secret: chmod 644)",
			user, keys);
	return 0;
}

/* As the user. */
static int make_trust(void *ctx, struct sl_error *err)
{
	struct agent *agent = ctx;
	int result = agent->privilege.surplus ? check_reload(agent, err) : 0;

	if (result < 0)
		return result;
	return sl_trust_new(&agent->trust_config, &agent->trust, err);
}

/* The spawner keeps what rights there are; other threads start after it. */
static int make_parts_with_rights(struct agent *agent, struct sl_error *err)
{
	const struct sl_options *options = agent->options;
	struct sl_jobs_config jobs_config = {
		options->max_tasks, options->max_queued, options->prefork};
	int result = sl_privilege_find(options->user, &agent->privilege, err);

	if (result == 0)
		result = sl_privilege_make_directory(
			&agent->privilege, options->state_dir, 0700, err);
	if (result == 0)
		result = sl_privilege_as_user(&agent->privilege, make_trust, agent, err);
	if (result == 0)
		result = sl_jobs_new(
			agent->loop, &jobs_config, &jobs_ops, agent, &agent->jobs, err);
	if (result == 0)
		result = sl_privilege_seal(&agent->privilege, err);
	return result;
}

/* A journal that can't be reached is a reason to tell, not to end. */
static void open_journal(struct agent *agent)
{
	struct sl_error err;

	if (sl_log_is_journal() &&
		sl_journal_new(agent->loop, SL_JOURNAL_SOCKET, &agent->journal, &err) < 0)
		sl_log(SL_LOG_WARNING, "the log has no fields: %s", err.text);
}

static int make_parts(struct agent *agent, struct sl_error *err)
{
	int result = sl_loop_new(&agent->loop, err);

	if (result == 0)
		open_journal(agent);
	if (result == 0)
		result = sl_notify_new(agent->loop, &notify_ops, agent, &agent->notify, err);
	if (result == 0)
		result = sl_loop_timer_new(
			agent->loop, on_drain_over, agent, &agent->drain, err);
	if (result == 0)
		result = sl_loop_signal(agent->loop, SIGTERM, on_stop_signal, agent, err);
	if (result == 0)
		result = sl_loop_signal(agent->loop, SIGINT, on_stop_signal, agent, err);
	if (result == 0)
		result = sl_loop_signal(agent->loop, SIGHUP, on_reload_signal, agent, err);
	if (result == 0)
		result = make_parts_with_rights(agent, err);
	if (result == 0)
		result = sl_service_new(agent->loop, agent->jobs, agent->trust,
			&agent->service_config, on_alone, agent, &agent->service, err);
	if (result == 0)
		result = sl_pulse_new(
			agent->loop, agent->jobs, agent->service, &agent->pulse, err);
	return result;
}

static int listen_on(struct agent *agent, const char *url, char *out_bound, size_t size,
	struct sl_error *err)
{
	int result = sl_address_make_directory(url, &agent->privilege, err);

	if (result == 0)
		result = sl_service_listen(agent->service, url, out_bound, size, err);
	if (result == 0)
		result = sl_pulse_add(agent->pulse, out_bound, err);
	if (result == 0)
		sl_log(SL_LOG_NOTICE, "listening address=%s", out_bound);
	return result;
}

static int listen_for_observers(struct agent *agent, struct sl_error *err)
{
	const struct sl_options *options = agent->options;
	char bound[256];
	int result;

	if (!options->metrics)
		return 0;
	agent->metrics = (struct sl_metrics){agent->loop, agent->jobs, agent->service,
		options->max_tasks, options->max_queued};
	result = sl_address_make_directory(options->metrics, &agent->privilege, err);
	if (result == 0)
		result = sl_observer_new(agent->loop, options->metrics, &agent->metrics,
			agent->pulse, bound, sizeof(bound), &agent->observer, err);
	if (result == 0)
		sl_log(SL_LOG_NOTICE, "metrics address=%s", bound);
	return result;
}

static int listen_all(struct agent *agent, struct sl_error *err)
{
	char bound[sizeof(agent->bound)];
	int result = 0;

	for (size_t i = 0; i < agent->options->n_listen && result == 0; i++)
		result = listen_on(agent, agent->options->listen[i],
			i == 0 ? agent->bound : bound, sizeof(bound), err);
	if (result == 0)
		result = listen_for_observers(agent, err);
	return result;
}

/* Two descriptors a task and one a connection: as many as we may have. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		sl_log(SL_LOG_WARNING, "cannot raise the limit of descriptors: %s",
			strerror(errno));
}

static int run(struct agent *agent, struct sl_error *err)
{
	int result = make_parts(agent, err);

	if (result < 0)
		return result;
	raise_descriptor_limit(); /* the spawner started with what tasks are to have */
	result = listen_all(agent, err);
	if (result == 0)
		result = sl_privilege_give_up(&agent->privilege, err);
	if (result < 0)
		return result;
	if (agent->privilege.surplus)
		sl_jobs_keep_spawner(agent->jobs);
	agent->listening = true;
	agent->has_workers = agent->options->prefork == 0;
	tell_ready(agent);
	return sl_loop_run(agent->loop, err);
}

int sl_agent_run(int argc, char **argv, struct sl_options *options)
{
	struct agent agent = {
		.argc = argc,
		.argv = argv,
		.options = options,
		.trust_config = {options->state_dir, options->authorized_keys, options->name,
			options->allow_uids, options->n_allow_uids},
		.service_config = {options->name, options->max_tasks, options->max_queued},
	};
	struct sl_error err;
	int result;

	signal(SIGPIPE, SIG_IGN);
	result = run(&agent, &err);
	if (result < 0)
		sl_log(SL_LOG_ERROR, "%s", err.text);
	sl_observer_free(agent.observer);
	sl_pulse_free(agent.pulse);
	sl_service_free(agent.service);
	sl_jobs_free(agent.jobs);
	sl_trust_free(agent.trust);
	sl_notify_free(agent.notify);
	sl_loop_timer_free(agent.drain);
	if (result == 0)
		sl_log(SL_LOG_NOTICE, "stopped");
	sl_journal_free(agent.journal);
	sl_loop_free(agent.loop);
	return result < 0 || agent.lost ? 1 : 0;
}
