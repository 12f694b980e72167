/* SPDX-License-Identifier: MIT */
#include "controller/job.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/error.h"
#include "proto/event_msg.h"
#include "proto/identity.h"
#include "proto/limits.h"

void sl_job_id_make(struct sl_job_id *out)
{
	sl_random(out->bytes, sizeof(out->bytes));
}

int sl_job_id_prefix(const char *text, char out[SL_JOB_ID_TEXT], struct sl_error *err)
{
	size_t n = strlen(text);

	if (n == 0 || n > 2 * SL_JOB_ID_SIZE || strspn(text, "0123456789abcdefABCDEF") != n)
		return sl_fail(err, SL_EINVALID,
			"'%.60s' is no job id: up to %d hex digits, as sloth jobs shows them",
			text, 2 * SL_JOB_ID_SIZE);
	for (size_t i = 0; i <= n; i++)
		out[i] = (char)tolower((unsigned char)text[i]);
	return 0;
}

bool sl_job_id_parse(const char *text, struct sl_job_id *out)
{
	char digits[SL_JOB_ID_TEXT];

	if (strlen(text) != 2 * SL_JOB_ID_SIZE || sl_job_id_prefix(text, digits, NULL))
		return false;
	for (size_t i = 0; i < SL_JOB_ID_SIZE; i++) {
		unsigned byte;

		sscanf(digits + 2 * i, "%2x", &byte);
		out->bytes[i] = (uint8_t)byte;
	}
	return true;
}

bool sl_job_keep_result(struct sl_job *job, const struct sl_event_result *result)
{
	struct sl_event event = {.kind = SL_EVENT_RESULT, .result = *result}, kept;
	struct sl_parcel *parcel = sl_parcel_new(SL_MAX_PARCEL_BYTES);
	struct sl_buffer bytes = SL_BUFFER_INIT;
	struct sl_bytes copy;
	size_t at = 0;

	/* The wire's own form is the one deep copy that there is for values. */
	if (!parcel || sl_event_encode(&event, &bytes, NULL) ||
		!sl_parcel_copy(parcel, sl_buffer_bytes(&bytes), &copy) ||
		sl_event_decode(copy, &at, parcel, &kept, NULL)) {
		sl_parcel_free(parcel);
		sl_buffer_deinit(&bytes);
		return false;
	}
	sl_buffer_deinit(&bytes);
	sl_parcel_free(job->kept);
	job->kept = parcel;
	job->result = kept.result;
	job->has_result = true;
	return true;
}

void sl_job_deinit(struct sl_job *job)
{
	sl_parcel_free(job->kept);
	*job = (struct sl_job){0};
}

struct sl_bytes sl_job_message(const struct sl_job *job)
{
	bool ended_itself =
		job->verdict == SL_VERDICT_DONE || job->verdict == SL_VERDICT_FAILED;

	if (!ended_itself && job->why[0])
		return sl_bytes_of(job->why);
	if (job->has_result && job->result.message.size)
		return job->result.message;
	if (job->has_result && job->result.error.kind == SL_VALUE_STRING)
		return job->result.error.string;
	return sl_bytes_of(job->why);
}
