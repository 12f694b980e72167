/* SPDX-License-Identifier: MIT */
#include "tests/bench/figures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/aims.h"

#define MAX_FIGURES 256

struct figure {
	char name[64];
	double value, p99;
};

static struct figure figures[MAX_FIGURES];
static size_t n_figures;

void figures_add(const char *name, double value, double p99)
{
	struct figure *figure = &figures[n_figures];

	if (n_figures == MAX_FIGURES) {
		fprintf(stderr, "bench: no room for %s\n", name);
		exit(1);
	}
	snprintf(figure->name, sizeof(figure->name), "%s", name);
	figure->value = value;
	figure->p99 = p99;
	n_figures++;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void figures_add_samples(const char *name, double *samples, size_t n)
{
	qsort(samples, n, sizeof(*samples), by_value);
	figures_add(name, samples[n / 2], samples[n * 99 / 100]);
}

void figures_add_lines(const char *text)
{
	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		double value, p99;
		char name[64];
		int n;

		line += *line == '\n';
		n = sscanf(line, "%63[a-z0-9_] %lf %lf", name, &value, &p99);
		if (n >= 2)
			figures_add(name, value, n == 3 ? p99 : NAN);
	}
}

static const struct figure *find(const char *name)
{
	for (size_t i = 0; i < n_figures; i++)
		if (strcmp(figures[i].name, name) == 0)
			return &figures[i];
	return NULL;
}

double figures_get(const char *name)
{
	const struct figure *figure = find(name);

	return figure ? figure->value : NAN;
}

static double ratio_of(const struct ratio *ratio)
{
	return figures_get(ratio->ours) / figures_get(ratio->theirs);
}

static void print_json_figure(const struct figure *figure, FILE *to)
{
	const char *unit = strrchr(figure->name, '_');

	if (isnan(figure->p99))
		fprintf(to, "\"%s\": %.3f", figure->name, figure->value);
	else
		fprintf(to, "\"%.*s\": {\"p50%s\": %.1f, \"p99%s\": %.1f}",
			(int)(unit - figure->name), figure->name, unit, figure->value, unit,
			figure->p99);
}

void figures_print_json(FILE *to)
{
	const char *before = "{\n  ";

	for (size_t i = 0; i < n_figures; i++) {
		fputs(before, to);
		print_json_figure(&figures[i], to);
		before = ",\n  ";
	}
	for (const struct ratio *ratio = all_ratios; ratio->name; ratio++) {
		if (isnan(ratio_of(ratio)))
			continue;
		fprintf(to, "%s\"%s\": %.3f", before, ratio->name, ratio_of(ratio));
		before = ",\n  ";
	}
	fputs("\n}\n", to);
}

static void print_row(
	const char *name, double value, double p99, const struct aim *aim, FILE *to)
{
	/* Where there is a spread, the aim says which end of it is meant. */
	double judged = aim && aim->of_p99 ? p99 : value;

	fprintf(to, "%-36s %14.2f", name, value);
	if (isnan(p99))
		fprintf(to, " %12s", "");
	else
		fprintf(to, " %12.2f", p99);
	if (aim)
		fprintf(to, "  %s %-10g %s", aim->at_least ? ">=" : "<=", aim->value,
			(aim->at_least ? judged >= aim->value : judged <= aim->value)
				? "reached"
				: "missed");
	fputc('\n', to);
}

void figures_print_table(FILE *to)
{
	fprintf(to, "%-36s %14s %12s  %s\n", "", "value or p50", "p99", "aim");
	for (size_t i = 0; i < n_figures; i++)
		print_row(figures[i].name, figures[i].value, figures[i].p99,
			aim_of(figures[i].name), to);
	fprintf(to, "\nours divided by theirs\n");
	for (const struct ratio *ratio = all_ratios; ratio->name; ratio++)
		if (!isnan(ratio_of(ratio)))
			print_row(ratio->name, ratio_of(ratio), NAN, aim_of(ratio->name), to);
}
