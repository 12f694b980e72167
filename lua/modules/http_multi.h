/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Multi: curl's transfers, any number of them, moved on when the reactor says
 * that a socket is ready or time has passed.
 *
 * Threads: the reactor's, all functions and callbacks.
 */

#include <curl/curl.h>

#include "common/base.h"

struct sl_http_multi;
struct sl_reactor;

/* Calls done(easy, code) for each transfer that comes to an end by itself. @reactor is
 * borrowed. NULL when memory ran out. After sl_curl_library_load(). */
struct sl_http_multi *sl_http_multi_new(
	struct sl_reactor *reactor, void (*done)(CURL *easy, CURLcode code)) sl_must_check;

/* Nothing may be under way. NULL is fine. */
void sl_http_multi_free(struct sl_http_multi *multi);

/* Begins with @easy, which stays the caller's. False when memory ran out. */
bool sl_http_multi_add(struct sl_http_multi *multi, CURL *easy) sl_must_check;

/* Lets go of @easy, before it is done or from within done(). */
void sl_http_multi_remove(struct sl_http_multi *multi, CURL *easy);
