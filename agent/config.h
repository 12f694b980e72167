/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Config: the YAML files of the agent: each is one map from an option's name to
 * its value, or to a list of them.
 */

#include "common/base.h"

struct sl_error;
struct sl_options;

/* Sets what the file at @path says. What is wrong in it is SL_EINVALID with FILE:LINE; a file
 * that can't be read is SL_ESYSTEM. */
int sl_config_read(
	const char *path, struct sl_options *options, struct sl_error *err) sl_must_check;

/* The same for the file at @path and then for those that end in .yaml in the directory beside
 * it, in the order of their names: agent.d for agent.yaml. It need not be there. */
int sl_config_read_all(
	const char *path, struct sl_options *options, struct sl_error *err) sl_must_check;
