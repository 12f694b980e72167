/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Flags: what a command accepts on its command line, as a table, and the parser
 * that fills in the places the table points to. --name VALUE, --name=VALUE,
 * -x VALUE, -xVALUE; flags and operands in any order; -- ends the flags.
 *
 * Threads: one.
 */

#include <stdio.h>

#include "common/base.h"

struct sl_error;

/* Texts in the order given; they point into argv. */
struct sl_texts {
	const char **items;
	size_t n;
};

bool sl_texts_add(struct sl_texts *texts, const char *text) sl_must_check;
void sl_texts_deinit(struct sl_texts *texts);

enum sl_flag_kind {
	SL_FLAG_SWITCH,   /* out: bool */
	SL_FLAG_TEXT,     /* out: const char *; the last one given wins */
	SL_FLAG_LIST,     /* out: struct sl_texts; repeatable */
	SL_FLAG_DURATION, /* out: int64_t, milliseconds */
	SL_FLAG_NUMBER,   /* out: uint64_t */
	SL_FLAG_CHOICE,   /* out: int, the index in @choices */
};

struct sl_flag {
	const char *name; /* NULL ends a table */
	char letter;      /* 0: none */
	const char *arg;  /* what its value is called in the help; NULL for a switch */
	const char *help;
	enum sl_flag_kind kind;
	void *out;
	const char *const *choices; /* ends with NULL */
};

/* Reads @args by the tables @own and @common (each may be NULL). Operands go to @out_operands,
 * as they are. An unknown flag, a missing or bad value is SL_EINVALID, with the nearest flag
 * that there is. */
int sl_flags_parse(const struct sl_flag *own, const struct sl_flag *common, int n_args,
	char **args, struct sl_texts *out_operands, struct sl_error *err) sl_must_check;

/* One line each, as --help shows them. */
void sl_flags_print(const struct sl_flag *flags, FILE *to);
