/* SPDX-License-Identifier: MIT */
#include "proto/table_keys.h"

#include <stdlib.h>
#include <string.h>

#include "common/error.h"

/* Up to here comparing each with each is quicker than sorting. */
#define FEW 12

static int compare_bytes(struct sl_bytes a, struct sl_bytes b)
{
	if (a.size != b.size)
		return a.size < b.size ? -1 : 1;
	return a.size > 0 ? memcmp(a.data, b.data, a.size) : 0;
}

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* An order of keys, any one, in which equal ones are neighbours. */
static int compare(const struct sl_value *a, const struct sl_value *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	switch (a->kind) {
	case SL_VALUE_STRING:
	case SL_VALUE_NAMED:
		return compare_bytes(a->string, b->string);
	case SL_VALUE_BOOLEAN:
		return (int)a->boolean - (int)b->boolean;
	case SL_VALUE_INTEGER:
		return compare_numbers((uint64_t)a->integer, (uint64_t)b->integer);
	case SL_VALUE_FLOAT:
		return (a->number > b->number) - (a->number < b->number);
	case SL_VALUE_TABLE:
		return compare_numbers((uintptr_t)a->table, (uintptr_t)b->table);
	case SL_VALUE_FUNCTION:
		return compare_numbers((uintptr_t)a->function, (uintptr_t)b->function);
	default:
		return 0;
	}
}

static int compare_keys(const void *a, const void *b)
{
	return compare(*(const struct sl_value *const *)a, *(const struct sl_value *const *)b);
}

static bool is_in_array(const struct sl_table *table, const struct sl_value *key)
{
	return key->kind == SL_VALUE_INTEGER && key->integer >= 1 &&
	       (uint64_t)key->integer <= table->n_array;
}

static bool few_are_unique(const struct sl_table *table)
{
	for (size_t i = 1; i < table->n_pairs; i++)
		for (size_t j = 0; j < i; j++)
			if (compare(&table->pairs[i].key, &table->pairs[j].key) == 0)
				return false;
	return true;
}

static bool sorted_are_unique(const struct sl_value **keys, size_t n)
{
	qsort(keys, n, sizeof(*keys), compare_keys);
	for (size_t i = 1; i < n; i++)
		if (compare(keys[i - 1], keys[i]) == 0)
			return false;
	return true;
}

int sl_table_keys_check(const struct sl_table *table, struct sl_error *err)
{
	size_t n = table->n_pairs;
	bool unique = true;

	for (size_t i = 0; i < n; i++)
		if (is_in_array(table, &table->pairs[i].key))
			unique = false;
	if (unique && n <= FEW) {
		unique = few_are_unique(table);
	} else if (unique) {
		const struct sl_value **keys = malloc(n * sizeof(*keys));

		if (!keys)
			return sl_fail(err, SL_ENOMEM, "out of memory");
		for (size_t i = 0; i < n; i++)
			keys[i] = &table->pairs[i].key;
		unique = sorted_are_unique(keys, n);
		free(keys);
	}
	return unique ? 0
	              : sl_fail(err, SL_EPROTOCOL,
				"a malformed value: a table with a key twice");
}
