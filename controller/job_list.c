/* SPDX-License-Identifier: MIT */
#include "controller/job_list.h"

#include <stdio.h>
#include <string.h>

#include "common/error.h"
#include "controller/job.h"

#define PAGE 500

static bool replied(void *ctx, size_t i, const struct sl_reply *reply, int64_t took_us,
	struct sl_request *request)
{
	const struct sl_job_list *list = ctx;
	struct sl_error why;

	(void)took_us;
	if (!reply->ok) {
		sl_fail(&why, reply->code, "%.*s",
			(int)(reply->msg.size < 300 ? reply->msg.size : 300),
			reply->msg.data ? reply->msg.data : "");
		list->failed(list->ctx, i, &why);
		return false;
	}
	for (size_t r = 0; r < reply->n_rows; r++)
		list->row(list->ctx, i, &reply->rows[r]);
	request->offset += reply->n_rows;
	return reply->n_rows && request->offset < reply->total;
}

static void failed(void *ctx, size_t i, const struct sl_error *why)
{
	const struct sl_job_list *list = ctx;

	list->failed(list->ctx, i, why);
}

struct sl_survey sl_job_list_survey(struct sl_job_list *list)
{
	return (struct sl_survey){
		.targets = list->targets,
		.options = list->options,
		.first = {.op = SL_OP_JOBS, .limit = PAGE},
		.replied = replied,
		.failed = failed,
		.ctx = list,
	};
}

struct search {
	char prefix[SL_JOB_ID_TEXT];
	size_t n_found;
	struct sl_job_found found;
	struct sl_error why; /* code 0: the agent was asked */
};

static void look_at(void *ctx, size_t i, const struct sl_job_row *row)
{
	struct search *search = ctx;
	char id[SL_JOB_ID_TEXT];

	(void)i;
	sl_job_id_format(&row->job, id);
	if (strncmp(id, search->prefix, strlen(search->prefix)) != 0)
		return;
	search->n_found++;
	search->found.id = row->job;
	snprintf(search->found.name, sizeof(search->found.name), "%.*s",
		(int)(row->name.size < 250 ? row->name.size : 250),
		row->name.data ? row->name.data : "");
}

static void not_asked(void *ctx, size_t i, const struct sl_error *why)
{
	struct search *search = ctx;

	(void)i;
	search->why = *why;
}

int sl_job_list_find(const struct sl_target_list *targets, const struct sl_options *options,
	const char *prefix, struct sl_job_found *out, enum sl_exit *out_status,
	struct sl_error *err)
{
	struct search search = {0};
	struct sl_job_list list = {
		.targets = targets,
		.options = options,
		.row = look_at,
		.failed = not_asked,
		.ctx = &search,
	};
	struct sl_survey survey = sl_job_list_survey(&list);
	int rc = sl_job_id_prefix(prefix, search.prefix, err);

	*out_status = SL_EXIT_USAGE;
	if (!rc)
		rc = sl_survey_run(&survey, out_status, err);
	if (rc)
		return rc;
	if (search.why.code)
		return sl_fail(err, search.why.code, "%s", search.why.text);
	*out_status = SL_EXIT_USAGE;
	if (search.n_found == 0)
		return sl_fail(err, SL_ENOT_FOUND,
			"%s has no job '%s': sloth jobs %s lists what it has",
			targets->items[0].name, prefix, targets->items[0].name);
	if (search.n_found > 1)
		return sl_fail(err, SL_ENOT_FOUND,
			"%zu jobs of %s begin with '%s': write more of the id", search.n_found,
			targets->items[0].name, prefix);
	*out = search.found;
	return 0;
}
