/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Table keys: that each of them is there once. A table with a key twice means
 * different things to different readers, so it is refused.
 */

#include "common/parcel.h"

struct sl_error;

/* Returns 0, SL_EPROTOCOL or SL_ENOMEM. Sorts nothing in @table itself. */
int sl_table_keys_check(const struct sl_table *table, struct sl_error *err) sl_must_check;
