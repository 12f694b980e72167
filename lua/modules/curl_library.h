/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * curl library: libcurl's functions, loaded when the first request needs them.
 * With the 30 libraries that it brings it costs more to load than all the rest
 * of a program, and most processes never make a request.
 *
 * Threads: any.
 */

#include <curl/curl.h>

#include "common/base.h"

struct sl_error;

/* What is used of it: X(name) for curl_name(). */
#define SL_CURL_FUNCTIONS(X)                                                                   \
	X(easy_cleanup)                                                                        \
	X(easy_getinfo)                                                                        \
	X(easy_init)                                                                           \
	X(easy_setopt)                                                                         \
	X(easy_strerror)                                                                       \
	X(global_init)                                                                         \
	X(multi_add_handle)                                                                    \
	X(multi_assign)                                                                        \
	X(multi_cleanup)                                                                       \
	X(multi_info_read)                                                                     \
	X(multi_init)                                                                          \
	X(multi_remove_handle)                                                                 \
	X(multi_setopt)                                                                        \
	X(multi_socket_action)                                                                 \
	X(slist_append)                                                                        \
	X(slist_free_all)

/* Each has the type that curl declares for it. */
#define SL_CURL_FIELD(name) __typeof__(curl_##name) *name;
struct sl_curl_library {
	SL_CURL_FUNCTIONS(SL_CURL_FIELD)
};
#undef SL_CURL_FIELD

/* Loads it, unless it is there already; then sl_curl is filled, for the life of the process.
 * Blocks for some milliseconds the first time. SL_ESYSTEM: it can't be loaded; a later call
 * tries again. */
int sl_curl_library_load(struct sl_error *err) sl_must_check;

/* For whoever has loaded it, or comes after somebody who has. */
extern struct sl_curl_library sl_curl;
