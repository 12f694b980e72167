/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Targets: everything in proto that reads bytes from a peer, each as a function
 * that takes any bytes and aborts when what must hold doesn't: what was read can
 * be written, reading that gives the same again, no mark is left behind, and a
 * refusal has a code and a sentence.
 */

#include <stddef.h>
#include <stdint.h>

struct sl_fuzz_target {
	const char *name;
	void (*run)(const uint8_t *data, size_t size);
};

extern const struct sl_fuzz_target sl_fuzz_targets[];
extern const size_t sl_fuzz_n_targets;
