/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Input and output of scripts: standard Lua's io, whose stdout and stderr are
 * events and whose open files are noticed.
 */

/* Sends what a script's own buffering held back. */
void sl_io_flush(void);
