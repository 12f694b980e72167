/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The four msgpack extensions by which values say what msgpack has no word for:
 * PROTOCOL.md, "Values".
 */

enum sl_value_ext {
	SL_EXT_FUNCTION = 1,
	SL_EXT_REFERENCE = 2,
	SL_EXT_NAMED = 3,
	SL_EXT_TABLE = 4,
};

/* Levels of arrays and maps that a value has before its next table goes into an extension,
 * whose payload is a document of its own. Leaves room for the message around it. */
#define SL_MAX_PLAIN_LEVELS 16
