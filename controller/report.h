/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Report: rows of named cells, as a table for people or JSON for programs: `-o
 * json` is one object with the rows under a key, `-o jsonl` a row a line. A cell
 * that a row doesn't have is left out of its JSON, and blank in the table.
 *
 * Threads: the owner's.
 */

#include "common/buffer.h"

struct sl_options;
struct sl_report;

/* @keys are the cells' names in JSON and, in upper case, the table's heads; they end with NULL
 * and are borrowed. @name is what the rows are in JSON. NULL when memory ran out. */
struct sl_report *sl_report_new(const char *name, const char *const *keys) sl_must_check;
void sl_report_free(struct sl_report *report);
SL_DEFINE_CLEANUP(struct sl_report *, sl_report_free);

/* Begins a row. Rows are shown by rising @rank, those of one rank in the order added. */
void sl_report_row(struct sl_report *report, size_t rank);

/* Cells of the last row, by key. The plain text of a number is @plain, or the number itself for
 * NULL. */
void sl_report_text(struct sl_report *report, const char *key, struct sl_bytes text);
void sl_report_int(
	struct sl_report *report, const char *key, int64_t number, const char *plain);
void sl_report_double(
	struct sl_report *report, const char *key, double number, const char *plain);
void sl_report_bool(struct sl_report *report, const char *key, bool value);

/* Shows it on stdout as @options say. */
void sl_report_print(struct sl_report *report, const struct sl_options *options);
