/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Task: what a controller asks an agent to run. Plain data; strings and values
 * live in the parcel it was read into, or that its maker keeps.
 */

#include "common/base.h"
#include "common/parcel.h"

/* A job's id: chosen by the controller, at random. */
#define SL_JOB_ID_SIZE 16
#define SL_JOB_ID_TEXT (2 * SL_JOB_ID_SIZE + 1)
struct sl_job_id {
	uint8_t bytes[SL_JOB_ID_SIZE];
};

struct sl_task {
	struct sl_job_id job; /* which one it is for an agent: beside the task on the wire */
	struct sl_bytes name;
	struct sl_value function; /* SL_VALUE_FUNCTION; text when it came from outside */
	struct sl_value params;   /* tables, or nil */
	struct sl_value values;
	struct sl_value deps;
	struct sl_value env; /* table of strings, or nil */
	struct sl_value
		modules; /* name → { file =, text = }: what require() finds first; or nil */
	uint64_t timeout_ms;     /* 0: none */
	struct sl_bytes user;    /* empty: the agent's default */
	struct sl_bytes workdir; /* empty: the agent's default */
	struct {
		uint64_t memory_bytes; /* 0: the agent's default, for each */
		uint64_t processes;
		uint64_t files;
	} limits;
	struct {
		struct sl_bytes run; /* id of the controller's run */
		struct sl_bytes workflow;
		struct sl_bytes agent; /* what the controller calls this agent: this.agent */
		uint64_t attempt;      /* from 1 */
		struct sl_bytes traceparent;
	} meta;
};

/* Writes it as hex digits. */
void sl_job_id_format(const struct sl_job_id *id, char out[SL_JOB_ID_TEXT]);
