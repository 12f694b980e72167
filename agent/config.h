/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Config: the YAML file that --config names: one map from an option's name to
 * its value, or to a list of them.
 */

#include "common/base.h"

struct sl_error;
struct sl_options;

/* Sets what the file at @path says. What is wrong in it is SL_EINVALID with FILE:LINE; a file
 * that can't be read is SL_ESYSTEM. */
int sl_config_read(
	const char *path, struct sl_options *options, struct sl_error *err) sl_must_check;
