/* SPDX-License-Identifier: MIT */
#include "common/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	enum sl_code code;
	const char *name;
} codes[] = {
	{SL_OK, "ok"},
	{SL_EINVALID, "invalid"},
	{SL_ENOMEM, "no_memory"},
	{SL_ESYSTEM, "system"},
	{SL_ETOO_LARGE, "too_large"},
	{SL_ENOT_FOUND, "not_found"},
	{SL_ECLOSED, "closed"},
	{SL_ETIMEOUT, "timeout"},
	{SL_EPROTOCOL, "protocol"},
	{SL_EDENIED, "denied"},
	{SL_EBUSY, "busy"},
	{SL_EDRAINING, "draining"},
	{SL_EBAD_TASK, "bad_task"},
	{SL_EUNKNOWN_OP, "unknown_op"},
	{SL_EHELLO, "hello"},
	{SL_ECANCELLED, "cancelled"},
};

#define N_CODES (sizeof(codes) / sizeof(codes[0]))

static sl_printf(3, 0) void fill(
	struct sl_error *err, enum sl_code code, const char *fmt, va_list args)
{
	char text[sizeof(err->text)];

	/* By way of a copy: an argument may be the very text that is being wrapped. */
	vsnprintf(text, sizeof(text), fmt, args);
	memcpy(err->text, text, sizeof(text));
	err->code = code;
}

int sl_fail(struct sl_error *err, enum sl_code code, const char *fmt, ...)
{
	va_list args;

	if (!err)
		return code;
	va_start(args, fmt);
	fill(err, code, fmt, args);
	va_end(args);
	return code;
}

int sl_fail_errno(struct sl_error *err, int errnum, const char *fmt, ...)
{
	va_list args;
	size_t n;

	if (!err)
		return SL_ESYSTEM;
	va_start(args, fmt);
	fill(err, SL_ESYSTEM, fmt, args);
	va_end(args);
	n = strlen(err->text);
	snprintf(err->text + n, sizeof(err->text) - n, ": %s", strerrordesc_np(errnum));
	return SL_ESYSTEM;
}

const char *sl_code_name(enum sl_code code)
{
	for (size_t i = 0; i < N_CODES; i++)
		if (codes[i].code == code)
			return codes[i].name;
	return "error";
}

enum sl_code sl_code_from_name(const char *name)
{
	for (size_t i = 0; i < N_CODES; i++)
		if (strcmp(codes[i].name, name) == 0)
			return codes[i].code;
	return SL_EINVALID;
}
