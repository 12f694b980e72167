/* SPDX-License-Identifier: MIT */
#include "controller/plan.h"

#include <stdlib.h>

#include "controller/printable.h"

void sl_plan_deinit(struct sl_plan *plan)
{
	for (size_t i = 0; i < plan->n_steps; i++) {
		sl_target_list_deinit(&plan->steps[i].targets);
		sl_parcel_free(plan->steps[i].parcel);
		free(plan->steps[i].depends_on);
	}
	free(plan->steps);
	*plan = (struct sl_plan){0};
}

struct sl_step *sl_plan_add(struct sl_plan *plan, const char *name)
{
	struct sl_step *steps = reallocarray(plan->steps, plan->n_steps + 1, sizeof(*steps));

	if (!steps)
		return NULL;
	plan->steps = steps;
	steps[plan->n_steps] = (struct sl_step){.name = name};
	return &steps[plan->n_steps++];
}

size_t sl_plan_host_width(const struct sl_plan *plan)
{
	size_t width = 0;

	for (size_t i = 0; i < plan->n_steps; i++)
		for (size_t k = 0; k < plan->steps[i].targets.n; k++) {
			size_t n = sl_printable_width(plan->steps[i].targets.items[k].name);

			if (n > width)
				width = n;
		}
	return width;
}
