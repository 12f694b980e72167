/* SPDX-License-Identifier: MIT */

/*
 * The fuzz targets on the worked bytes of the protocol, changed in many ways:
 * always the same ones, so that a failure comes back. tests/fuzz/ looks further.
 */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/targets.h"
#include "tests/support/check_main.h"
#include "tests/support/values.h"

#define FOLDER SL_SOURCE_ROOT "/tests/wire"
#define MAX_SEEDS 100
#define MAX_BYTES 2048
#define ROUNDS 1000

struct sample {
	uint8_t bytes[MAX_BYTES];
	size_t size;
};

static struct sample seeds[MAX_SEEDS];
static size_t n_seeds;
static uint64_t state; /* of the random numbers */

static uint32_t random_below(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % n;
}

static void read_seed(const char *path, struct sample *out)
{
	char text[16384] = "", bytes[MAX_BYTES];
	FILE *file = fopen(path, "r");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_lt(fread(text, 1, sizeof(text) - 1, file), sizeof(text) - 1);
	fclose(file);
	for (char *at = text; (at = strchr(at, '#')) != NULL;)
		while (*at && *at != '\n')
			*at++ = ' ';
	out->size = sl_test_unhex(text, bytes, sizeof(bytes));
	memcpy(out->bytes, bytes, out->size);
}

static int is_hex(const struct dirent *entry)
{
	return strstr(entry->d_name, ".hex") != NULL;
}

static void setup(void)
{
	struct dirent **entries;
	int n = scandir(FOLDER, &entries, is_hex, alphasort);

	ck_assert_int_gt(n, 0);
	ck_assert_int_le(n, MAX_SEEDS);
	for (int i = 0; i < n; i++) {
		char path[1024];

		snprintf(path, sizeof(path), "%s/%s", FOLDER, entries[i]->d_name);
		read_seed(path, &seeds[n_seeds++]);
		free(entries[i]);
	}
	free(entries);
	state = 0x736c6f7468;
}

/* Bytes that mean much in msgpack: heads with large counts, extensions, the unused one. */
static uint8_t telling_byte(void)
{
	static const uint8_t bytes[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0,
		0xc1, 0xc4, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcf, 0xd3, 0xd4, 0xd8, 0xdb, 0xdc,
		0xdd, 0xde, 0xdf, 0xe0, 0xff, 1, 2, 3, 4};

	return bytes[random_below(sizeof(bytes))];
}

static void insert(struct sample *sample, const uint8_t *bytes, size_t n)
{
	size_t at = random_below((uint32_t)sample->size + 1);

	if (sample->size + n > MAX_BYTES)
		return;
	memmove(sample->bytes + at + n, sample->bytes + at, sample->size - at);
	memcpy(sample->bytes + at, bytes, n);
	sample->size += n;
}

static void cut(struct sample *sample)
{
	size_t at = random_below((uint32_t)sample->size);
	size_t n = random_below((uint32_t)(sample->size - at)) + 1;

	memmove(sample->bytes + at, sample->bytes + at + n, sample->size - at - n);
	sample->size -= n;
}

static void change(struct sample *sample)
{
	const struct sample *other = &seeds[random_below((uint32_t)n_seeds)];
	uint8_t byte = telling_byte();
	size_t at, n;

	if (sample->size == 0) {
		insert(sample, other->bytes, other->size);
		return;
	}
	at = random_below((uint32_t)sample->size);
	switch (random_below(6)) {
	case 0:
		sample->bytes[at] ^= (uint8_t)(1u << random_below(8));
		break;
	case 1:
		sample->bytes[at] = byte;
		break;
	case 2:
		insert(sample, &byte, 1);
		break;
	case 3:
		cut(sample);
		break;
	case 4:
		sample->size = at;
		break;
	default:
		at = random_below((uint32_t)other->size);
		n = random_below((uint32_t)(other->size - at)) + 1;
		insert(sample, other->bytes + at, n);
	}
}

/* Exactly as large as the sample, so that a sanitizer sees a step beyond it. */
static void run(const struct sl_fuzz_target *target, const struct sample *sample)
{
	uint8_t *bytes = malloc(sample->size > 0 ? sample->size : 1);

	ck_assert_ptr_nonnull(bytes);
	memcpy(bytes, sample->bytes, sample->size);
	target->run(bytes, sample->size);
	free(bytes);
}

START_TEST(no_change_to_good_bytes_does_harm)
{
	for (size_t seed = 0; seed < n_seeds; seed++)
		for (int round = 0; round < ROUNDS; round++) {
			struct sample sample = seeds[seed];

			for (uint32_t n = random_below(4) + 1; n > 0; n--)
				change(&sample);
			run(&sl_fuzz_targets[_i], &sample);
		}
}
END_TEST

START_TEST(no_cut_of_good_bytes_does_harm)
{
	for (size_t seed = 0; seed < n_seeds; seed++) {
		struct sample sample = seeds[seed];

		for (; sample.size > 0; sample.size--)
			run(&sl_fuzz_targets[_i], &sample);
	}
}
END_TEST

START_TEST(random_bytes_do_no_harm)
{
	for (int round = 0; round < 20 * ROUNDS; round++) {
		struct sample sample = {.size = random_below(64)};

		for (size_t i = 0; i < sample.size; i++)
			sample.bytes[i] =
				random_below(2) ? telling_byte() : (uint8_t)random_below(256);
		run(&sl_fuzz_targets[_i], &sample);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mutations");
	TCase *tcase = tcase_create("mutations");
	SRunner *runner = srunner_create(suite);
	int n = (int)sl_fuzz_n_targets, failed;

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_loop_test(tcase, no_change_to_good_bytes_does_harm, 0, n);
	tcase_add_loop_test(tcase, no_cut_of_good_bytes_does_harm, 0, n);
	tcase_add_loop_test(tcase, random_bytes_do_no_harm, 0, n);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
