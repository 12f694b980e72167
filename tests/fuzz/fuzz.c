/* SPDX-License-Identifier: MIT */

/*
 * The entry of a libFuzzer program for the target that SL_FUZZ_TARGET names.
 */

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/targets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < sl_fuzz_n_targets; i++)
		if (strcmp(sl_fuzz_targets[i].name, SL_FUZZ_TARGET) == 0) {
			sl_fuzz_targets[i].run(data, size);
			return 0;
		}
	abort();
}
