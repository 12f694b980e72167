/* SPDX-License-Identifier: MIT */
#include "controller/survey.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/error.h"
#include "controller/fleet.h"
#include "controller/loop.h"
#include "controller/options.h"
#include "controller/remote.h"

struct survey;

struct one {
	struct survey *survey;
	size_t i;
	struct sl_remote *remote;
	struct sl_request request;
	int64_t asked_ns;
	bool over;
};

struct survey {
	const struct sl_survey *what;
	struct sl_loop *loop;
	struct sl_fleet *fleet;
	struct one *ones;
	size_t n_open;
	struct sl_alarm deadline;
	struct sl_outcome outcome;
};

static void over(struct one *one, enum sl_verdict verdict, const struct sl_error *why)
{
	struct survey *s = one->survey;

	one->over = true;
	sl_outcome_add(&s->outcome, verdict);
	if (why)
		s->what->failed(s->what->ctx, one->i, why);
	if (--s->n_open == 0)
		sl_loop_stop(s->loop);
}

static void failed(struct one *one, const struct sl_error *why)
{
	over(one, why->code == SL_EDENIED ? SL_VERDICT_REFUSED : SL_VERDICT_UNREACHABLE, why);
}

static void ask(struct one *one);

static enum sl_verdict verdict_of(const struct sl_reply *reply)
{
	if (reply->ok)
		return SL_VERDICT_DONE;
	return reply->code == SL_EDENIED ? SL_VERDICT_REFUSED : SL_VERDICT_FAILED;
}

static void on_answer(void *ctx, enum sl_answer answer, const struct sl_reply *reply,
	const struct sl_error *why)
{
	struct one *one = ctx;
	struct survey *s = one->survey;
	int64_t took_us = (sl_clock_monotonic_ns() - one->asked_ns) / 1000;

	if (one->over)
		return;
	if (answer == SL_ANSWER_RESTARTED)
		ask(one);
	else if (answer != SL_ANSWER_REPLY)
		failed(one, why);
	else if (s->what->replied(s->what->ctx, one->i, reply, took_us, &one->request))
		ask(one);
	else
		over(one, verdict_of(reply), NULL);
}

static void ask(struct one *one)
{
	struct sl_error err;

	one->asked_ns = sl_clock_monotonic_ns();
	if (sl_remote_ask(one->remote, &one->request, on_answer, one, NULL, &err))
		failed(one, &err);
}

static void end_all(struct survey *s, enum sl_verdict verdict, const char *why)
{
	struct sl_error err;

	sl_fail(&err, SL_ETIMEOUT, "%s", why);
	for (size_t i = 0; i < s->what->targets->n; i++)
		if (!s->ones[i].over)
			over(&s->ones[i], verdict, &err);
}

static void on_deadline(void *ctx)
{
	end_all(ctx, SL_VERDICT_TIMEOUT, "no answer in time");
}

static void on_signal(void *ctx, int number)
{
	(void)number;
	end_all(ctx, SL_VERDICT_CANCELLED, "stopped");
}

static void on_note(void *ctx, const char *target, const char *text)
{
	struct survey *s = ctx;

	if (!s->what->options->quiet)
		fprintf(stderr, "sloth: %s %s\n", target, text);
}

static void on_local_ready(void *ctx)
{
	struct survey *s = ctx;
	struct sl_error err;

	for (size_t i = 0; i < s->what->targets->n; i++) {
		struct one *one = &s->ones[i];

		if (s->what->targets->items[i].address || one->over)
			continue;
		if (sl_fleet_remote(s->fleet, &s->what->targets->items[i], &one->remote, &err))
			failed(one, &err);
		else
			ask(one);
	}
}

static void on_local_died(void *ctx, const char *why)
{
	struct survey *s = ctx;
	struct sl_error err;

	sl_fail(&err, SL_ECLOSED, "%s", why);
	for (size_t i = 0; i < s->what->targets->n; i++)
		if (!s->what->targets->items[i].address && !s->ones[i].over)
			failed(&s->ones[i], &err);
}

static int prepare(struct survey *s, struct sl_error *err)
{
	static const struct sl_fleet_ops ops = {
		.note = on_note, .local_ready = on_local_ready, .local_died = on_local_died};
	const struct sl_survey *what = s->what;
	int rc;

	s->n_open = what->targets->n;
	s->ones = calloc(s->n_open ? s->n_open : 1, sizeof(*s->ones));
	if (!s->ones)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	rc = sl_loop_new(&sl_remote_endpoint_ops, &s->loop, err);
	if (!rc)
		rc = sl_fleet_new(s->loop, what->options, &ops, s, &s->fleet, err);
	for (size_t i = 0; !rc && i < what->targets->n; i++) {
		s->ones[i] = (struct one){.survey = s, .i = i, .request = what->first};
		if (what->targets->items[i].address)
			rc = sl_fleet_remote(
				s->fleet, &what->targets->items[i], &s->ones[i].remote, err);
		else
			rc = sl_fleet_start_local(s->fleet, err);
	}
	return rc;
}

int sl_survey_run(const struct sl_survey *survey, enum sl_exit *out, struct sl_error *err)
{
	struct survey s = {.what = survey};
	int rc = prepare(&s, err);

	if (!rc) {
		sl_loop_on_signal(s.loop, on_signal, &s);
		if (survey->options->timeout_ms)
			sl_loop_set(s.loop, &s.deadline,
				sl_clock_monotonic_ms() + survey->options->timeout_ms,
				on_deadline, &s);
		for (size_t i = 0; i < survey->targets->n; i++)
			if (s.ones[i].remote)
				ask(&s.ones[i]);
		if (s.n_open)
			sl_loop_run(s.loop);
		*out = sl_outcome_exit(&s.outcome);
	}
	sl_fleet_free(s.fleet);
	sl_loop_free(s.loop);
	free(s.ones);
	return rc;
}
