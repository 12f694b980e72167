/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Files: what a task does with files and directories, each in one call.
 *
 * Threads: any. They block as long as the disk does.
 */

#include <sys/stat.h>

#include "common/buffer.h"

struct sl_error;

/* Most that is read at once. */
#define SL_FS_MAX_BYTES ((size_t)128 << 20)

/* Appends what is in the file to @out. */
int sl_fs_read(const char *path, struct sl_buffer *out, struct sl_error *err) sl_must_check;

/* Whoever reads the file meanwhile sees the old content or the new one, whole. The file keeps
 * its mode; a symbolic link stays one. */
int sl_fs_write(const char *path, struct sl_bytes content, struct sl_error *err) sl_must_check;
int sl_fs_append(const char *path, struct sl_bytes content, struct sl_error *err) sl_must_check;

/* Follows symbolic links unless @of_link. */
int sl_fs_stat(
	const char *path, bool of_link, struct stat *out, struct sl_error *err) sl_must_check;

/* With the directories above it; it being there already is fine. */
int sl_fs_mkdir(const char *path, struct sl_error *err) sl_must_check;

/* A file, an empty directory, or with @recursive a directory with all that is in it; never what
 * a symbolic link leads to. */
int sl_fs_remove(const char *path, bool recursive, struct sl_error *err) sl_must_check;

/* Calls fn(ctx, name) for each entry but "." and "..", sorted. */
int sl_fs_list(const char *path, void (*fn)(void *ctx, const char *name), void *ctx,
	struct sl_error *err) sl_must_check;

/* Calls fn(ctx, path) for each that matches, sorted. */
int sl_fs_glob(const char *pattern, void (*fn)(void *ctx, const char *path), void *ctx,
	struct sl_error *err) sl_must_check;

/* The content and mode of a file, as sl_fs_write(). */
int sl_fs_copy(const char *from, const char *to, struct sl_error *err) sl_must_check;
int sl_fs_rename(const char *from, const char *to, struct sl_error *err) sl_must_check;

/* Makes a directory of its own in @place and writes its path to @path. */
int sl_fs_tmp(const char *place, char *path, size_t size, struct sl_error *err) sl_must_check;
