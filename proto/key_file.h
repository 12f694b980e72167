/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Key file: a short text on disk that is written once, whole or not at all, and
 * that may be secret.
 *
 * Threads: any. Blocks on the disk.
 */

#include <sys/types.h>

#include "common/base.h"

struct sl_error;

#define SL_MAX_KEY_FILE_BYTES 1024

/* Reads the file that only its owner may read into @out, terminated. SL_ENOT_FOUND, SL_EDENIED
 * (others can read or write it), SL_EINVALID (too long, or no plain file), SL_ESYSTEM. */
int sl_key_file_read_secret(
	const char *path, char out[SL_MAX_KEY_FILE_BYTES], struct sl_error *err) sl_must_check;

/* Makes the file @path with @text and permissions @mode. SL_EINVALID when there is one. */
int sl_key_file_create(
	const char *path, const char *text, mode_t mode, struct sl_error *err) sl_must_check;
