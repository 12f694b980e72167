/* SPDX-License-Identifier: MIT */
#include "controller/flags.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/duration.h"
#include "common/error.h"
#include "common/nearest.h"

#define MAX_WORD 40
#define MAX_NAMES 64

bool sl_texts_add(struct sl_texts *texts, const char *text)
{
	const char **items = reallocarray(texts->items, texts->n + 1, sizeof(*items));

	if (!items)
		return false;
	texts->items = items;
	texts->items[texts->n++] = text;
	return true;
}

void sl_texts_deinit(struct sl_texts *texts)
{
	free(texts->items);
	*texts = (struct sl_texts){0};
}

static const struct sl_flag *find(const struct sl_flag *own, const struct sl_flag *common,
	const char *name, size_t n, char letter)
{
	const struct sl_flag *tables[] = {own, common};

	for (size_t t = 0; t < 2; t++)
		for (const struct sl_flag *f = tables[t]; f && f->name; f++)
			if (letter ? f->letter == letter
				   : strlen(f->name) == n && strncmp(f->name, name, n) == 0)
				return f;
	return NULL;
}

static int unknown_flag(const struct sl_flag *own, const struct sl_flag *common,
	const char *arg, struct sl_error *err)
{
	const struct sl_flag *tables[] = {own, common};
	const char *names[MAX_NAMES + 1] = {0};
	char word[MAX_WORD + 1];
	const char *nearest;
	size_t n = 0;

	for (size_t t = 0; t < 2; t++)
		for (const struct sl_flag *f = tables[t]; f && f->name && n < MAX_NAMES; f++)
			names[n++] = f->name;
	snprintf(word, sizeof(word), "%s", arg + strspn(arg, "-"));
	word[strcspn(word, "=")] = '\0';
	nearest = sl_nearest(word, names);
	if (nearest)
		return sl_fail(err, SL_EINVALID, "unknown flag '%.80s'; did you mean --%s?",
			arg, nearest);
	return sl_fail(
		err, SL_EINVALID, "unknown flag '%.80s'; --help lists what there is", arg);
}

static int set_choice(const struct sl_flag *flag, const char *value, struct sl_error *err)
{
	char list[200] = "";

	for (int i = 0; flag->choices[i]; i++) {
		size_t n = strlen(list);

		if (strcmp(flag->choices[i], value) == 0) {
			*(int *)flag->out = i;
			return 0;
		}
		snprintf(list + n, sizeof(list) - n, "%s%s", i ? ", " : "", flag->choices[i]);
	}
	return sl_fail(
		err, SL_EINVALID, "--%s '%.40s': choose one of %s", flag->name, value, list);
}

static int set_number(const struct sl_flag *flag, const char *value, struct sl_error *err)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(value, &end, 10);
	if (value[0] < '0' || value[0] > '9' || *end || errno)
		return sl_fail(err, SL_EINVALID, "--%s '%.40s': a whole number is wanted",
			flag->name, value);
	*(uint64_t *)flag->out = number;
	return 0;
}

static int set(const struct sl_flag *flag, const char *value, struct sl_error *err)
{
	struct sl_error why;

	switch (flag->kind) {
	case SL_FLAG_SWITCH:
		*(bool *)flag->out = true;
		return 0;
	case SL_FLAG_TEXT:
		*(const char **)flag->out = value;
		return 0;
	case SL_FLAG_LIST:
		if (!sl_texts_add(flag->out, value))
			return sl_fail(err, SL_ENOMEM, "out of memory");
		return 0;
	case SL_FLAG_DURATION:
		if (sl_duration_parse(value, flag->out, &why))
			return sl_fail(err, SL_EINVALID, "--%s: %.400s", flag->name, why.text);
		return 0;
	case SL_FLAG_NUMBER:
		return set_number(flag, value, err);
	case SL_FLAG_CHOICE:
		return set_choice(flag, value, err);
	}
	return 0;
}

/* One flag at args[i]; sets *used to how many arguments it took. */
static int parse_one(const struct sl_flag *own, const struct sl_flag *common, int n_args,
	char **args, int *used, struct sl_error *err)
{
	const char *arg = args[0], *value = NULL;
	const struct sl_flag *flag;

	if (arg[1] == '-') {
		size_t n = strcspn(arg + 2, "=");

		flag = find(own, common, arg + 2, n, 0);
		if (arg[2 + n] == '=')
			value = arg + 2 + n + 1;
	} else {
		flag = find(own, common, NULL, 0, arg[1]);
		if (arg[2])
			value = arg + 2;
	}
	if (!flag)
		return unknown_flag(own, common, arg, err);

	*used = 1;
	if (flag->kind == SL_FLAG_SWITCH && value)
		return sl_fail(err, SL_EINVALID, "--%s takes no value", flag->name);
	if (flag->kind != SL_FLAG_SWITCH && !value) {
		if (n_args < 2)
			return sl_fail(err, SL_EINVALID, "--%s needs a value: --%s %s",
				flag->name, flag->name, flag->arg);
		value = args[1];
		*used = 2;
	}
	return set(flag, value, err);
}

int sl_flags_parse(const struct sl_flag *own, const struct sl_flag *common, int n_args,
	char **args, struct sl_texts *out_operands, struct sl_error *err)
{
	bool flags = true;

	for (int i = 0, used = 1; i < n_args; i += used) {
		int rc = 0;

		used = 1;
		if (flags && strcmp(args[i], "--") == 0)
			flags = false;
		else if (flags && args[i][0] == '-' && args[i][1])
			rc = parse_one(own, common, n_args - i, args + i, &used, err);
		else if (!sl_texts_add(out_operands, args[i]))
			rc = sl_fail(err, SL_ENOMEM, "out of memory");
		if (rc)
			return rc;
	}
	return 0;
}

void sl_flags_print(const struct sl_flag *flags, FILE *to)
{
	for (const struct sl_flag *f = flags; f && f->name; f++) {
		char left[80];

		snprintf(left, sizeof(left), "%c%c%s --%s%s%s", f->letter ? '-' : ' ',
			f->letter ? f->letter : ' ', f->letter ? "," : " ", f->name,
			f->arg ? " " : "", f->arg ? f->arg : "");
		fprintf(to, "  %-28s %s\n", left, f->help);
	}
}
