/* SPDX-License-Identifier: MIT */
#include "common/task.h"

#include <stdio.h>

void sl_job_id_format(const struct sl_job_id *id, char out[SL_JOB_ID_TEXT])
{
	for (size_t i = 0; i < SL_JOB_ID_SIZE; i++)
		snprintf(out + 2 * i, 3, "%02x", id->bytes[i]);
}
