/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Survey: the same question to several agents at once.
 *
 * Threads: one.
 */

#include "controller/outcome.h"
#include "controller/targets.h"
#include "proto/message.h"

struct sl_error;
struct sl_options;

struct sl_survey {
	const struct sl_target_list *targets;
	const struct sl_options *options;
	struct sl_request first; /* what each is asked first */
	/* Target @i answered, @took_us after it was asked. Returns true when @request, which it
	 * may change, is to be asked next. All borrowed for the call. */
	bool (*replied)(void *ctx, size_t i, const struct sl_reply *reply, int64_t took_us,
		struct sl_request *request);
	/* Target @i can't be asked: out of reach, or it refuses. */
	void (*failed)(void *ctx, size_t i, const struct sl_error *why);
	void *ctx;
};

/* Asks until all have answered, failed, or the time is up. Blocks. *out is OK, FAILED when an
 * agent said no, REFUSED, UNKNOWN when one was out of reach, TIMEOUT or CANCELLED; failed() was
 * called for each that has no answer. Returns 0 or what kept it from starting. */
int sl_survey_run(
	const struct sl_survey *survey, enum sl_exit *out, struct sl_error *err) sl_must_check;
