/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Address: where the agent may listen. Until connections can be encrypted that
 * is this machine alone.
 */

#include "common/base.h"

struct sl_error;
struct sl_privilege;

/* SL_EINVALID for what is no address, SL_EDENIED for one beyond this machine. */
int sl_address_check_listen(const char *url, struct sl_error *err) sl_must_check;

/* The same for an address at which metrics are shown. */
int sl_address_check_metrics(const char *url, struct sl_error *err) sl_must_check;

/* Makes the directory of an ipc socket if it isn't there (but not those above it), as /run is
 * empty after each boot: as sl_privilege_make_directory(). SL_ESYSTEM. */
int sl_address_make_directory(const char *url, const struct sl_privilege *privilege,
	struct sl_error *err) sl_must_check;
