/* SPDX-License-Identifier: MIT */
#include "agent/observer.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/census.h"
#include "agent/exposition.h"
#include "agent/loop.h"
#include "agent/pulse.h"
#include "agent/window.h"
#include "common/clock.h"
#include "common/error.h"

/* More than it takes to find out about the health. */
#define CONNECTION_MS 10000

#define TEXT "text/plain; charset=utf-8"

/* Requests that wait for the same; there are no more than connections. */
struct waiting {
	struct sl_window_request *requests[SL_WINDOW_MAX_CONNECTIONS];
	size_t n;
};

struct sl_observer {
	const struct sl_metrics *metrics;
	struct sl_pulse *pulse;
	struct sl_window *window;
	struct sl_census *census;
	struct sl_loop_timer *next; /* when the next metrics may be made */
	int64_t made_ms;            /* monotonic: the last ones; 0: none */
	struct waiting for_metrics, for_health;
};

static void refuse(struct sl_window_request *request, int status, const char *why)
{
	sl_window_answer(request, status, TEXT, sl_bytes_of(why));
}

static bool wait_for(struct waiting *waiting, struct sl_window_request *request)
{
	if (waiting->n == SL_WINDOW_MAX_CONNECTIONS) {
		refuse(request, 503, "too many requests wait for this\n");
		return false;
	}
	waiting->requests[waiting->n++] = request;
	return true;
}

/* ---- /metrics ---- */

static void answer_with_metrics(
	struct sl_observer *observer, struct sl_window_request *request, uint64_t worker_bytes)
{
	bool openmetrics = sl_exposition_is_openmetrics_wanted(sl_window_accept(request));
	struct sl_buffer text = SL_BUFFER_INIT;

	sl_metrics_write(observer->metrics, worker_bytes, openmetrics, &text);
	if (text.failed)
		refuse(request, 503, "no memory to say it\n");
	else
		sl_window_answer(request, 200, sl_exposition_content_type(openmetrics),
			sl_buffer_bytes(&text));
	sl_buffer_deinit(&text);
}

static void on_census(void *ctx, uint64_t worker_bytes)
{
	struct sl_observer *observer = ctx;
	struct waiting *waiting = &observer->for_metrics;

	for (size_t i = 0; i < waiting->n; i++)
		answer_with_metrics(observer, waiting->requests[i], worker_bytes);
	waiting->n = 0;
	observer->made_ms = sl_clock_monotonic_ms();
}

static void on_next(void *ctx)
{
	struct sl_observer *observer = ctx;

	sl_census_take(observer->census);
}

static void ask_for_metrics(struct sl_observer *observer, struct sl_window_request *request)
{
	int64_t wait_ms;

	if (!wait_for(&observer->for_metrics, request) || observer->for_metrics.n > 1)
		return;
	wait_ms = observer->made_ms + SL_OBSERVER_EVERY_MS - sl_clock_monotonic_ms();
	sl_loop_timer_set(observer->next, observer->made_ms > 0 && wait_ms > 0 ? wait_ms : 0);
}

/* ---- /healthz ---- */

static void on_pulse(void *ctx, const struct sl_pulse_report *report)
{
	struct sl_observer *observer = ctx;
	struct waiting *waiting = &observer->for_health;
	bool well = !report->why[0];
	char text[sizeof(report->why) + 2];

	snprintf(text, sizeof(text), "%s\n", well ? "ok" : report->why);
	for (size_t i = 0; i < waiting->n; i++)
		sl_window_answer(
			waiting->requests[i], well ? 200 : 503, TEXT, sl_bytes_of(text));
	waiting->n = 0;
}

static void ask_for_health(struct sl_observer *observer, struct sl_window_request *request)
{
	struct sl_error err;

	if (!wait_for(&observer->for_health, request) || observer->for_health.n > 1)
		return;
	if (sl_pulse_feel(observer->pulse, on_pulse, observer, &err) == 0)
		return;
	observer->for_health.n = 0;
	refuse(request, 503, "no memory to find out\n");
}

/* ---- both ---- */

static void on_get(void *ctx, struct sl_window_request *request)
{
	struct sl_observer *observer = ctx;
	struct sl_bytes path = sl_window_path(request);

	if (sl_bytes_equal(path, sl_bytes_of("/metrics")))
		ask_for_metrics(observer, request);
	else if (sl_bytes_equal(path, sl_bytes_of("/healthz")))
		ask_for_health(observer, request);
	else
		refuse(request, 404, "there are /metrics and /healthz\n");
}

int sl_observer_new(struct sl_loop *loop, const char *url, const struct sl_metrics *metrics,
	struct sl_pulse *pulse, char *bound, size_t bound_size, struct sl_observer **out,
	struct sl_error *err)
{
	struct sl_observer *observer = calloc(1, sizeof(*observer));
	int result;

	if (!observer)
		return sl_fail(err, SL_ENOMEM, "no memory for metrics");
	observer->metrics = metrics;
	observer->pulse = pulse;
	result =
		sl_census_new(loop, metrics->jobs, on_census, observer, &observer->census, err);
	if (result == 0)
		result = sl_loop_timer_new(loop, on_next, observer, &observer->next, err);
	if (result == 0)
		result = sl_window_new(loop, url, CONNECTION_MS, on_get, observer, bound,
			bound_size, &observer->window, err);
	if (result < 0) {
		sl_observer_free(observer);
		return result;
	}
	*out = observer;
	return 0;
}

void sl_observer_free(struct sl_observer *observer)
{
	if (!observer)
		return;
	if (observer->window)
		sl_pulse_forget(observer->pulse, observer);
	sl_window_free(observer->window);
	sl_loop_timer_free(observer->next);
	sl_census_free(observer->census);
	free(observer);
}
