/* SPDX-License-Identifier: MIT */
#include "controller/outcome.h"

#include <stdio.h>

static const struct {
	const char *name;
	enum sl_exit exit;
} verdicts[SL_N_VERDICTS] = {
	[SL_VERDICT_DONE] = {"done", SL_EXIT_OK},
	[SL_VERDICT_FAILED] = {"failed", SL_EXIT_FAILED},
	[SL_VERDICT_CRASHED] = {"crashed", SL_EXIT_FAILED},
	[SL_VERDICT_TIMEOUT] = {"timeout", SL_EXIT_TIMEOUT},
	[SL_VERDICT_CANCELLED] = {"cancelled", SL_EXIT_CANCELLED},
	[SL_VERDICT_DETACHED] = {"detached", SL_EXIT_CANCELLED},
	[SL_VERDICT_LOST] = {"lost", SL_EXIT_UNKNOWN},
	[SL_VERDICT_UNKNOWN] = {"unknown", SL_EXIT_UNKNOWN},
	[SL_VERDICT_UNREACHABLE] = {"unreachable", SL_EXIT_UNKNOWN},
	[SL_VERDICT_REFUSED] = {"refused", SL_EXIT_REFUSED},
	/* Stopped and skipped for what happened to another, which says the rest. */
	[SL_VERDICT_STOPPED] = {"stopped", SL_EXIT_OK},
	[SL_VERDICT_SKIPPED] = {"skipped", SL_EXIT_OK},
};

const char *sl_verdict_name(enum sl_verdict verdict)
{
	return verdicts[verdict].name;
}

void sl_outcome_add(struct sl_outcome *outcome, enum sl_verdict verdict)
{
	outcome->n[verdict]++;
}

void sl_outcome_allow(struct sl_outcome *outcome, enum sl_verdict verdict)
{
	outcome->n_allowed[verdict]++;
}

enum sl_exit sl_outcome_exit(const struct sl_outcome *outcome)
{
	static const enum sl_exit order[] = {SL_EXIT_CANCELLED, SL_EXIT_UNKNOWN,
		SL_EXIT_REFUSED, SL_EXIT_TIMEOUT, SL_EXIT_FAILED};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		for (size_t v = 0; v < SL_N_VERDICTS; v++)
			if (outcome->n[v] > outcome->n_allowed[v] &&
				verdicts[v].exit == order[i])
				return order[i];
	return outcome->hook_failed ? SL_EXIT_FAILED : SL_EXIT_OK;
}

char *sl_outcome_format(const struct sl_outcome *outcome, char *out, size_t size)
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t v = 0; v < SL_N_VERDICTS && n < size; v++)
		if (outcome->n[v])
			n += (size_t)snprintf(out + n, size - n, "%s%zu %s", n ? ", " : "",
				outcome->n[v], verdicts[v].name);
	return out;
}
