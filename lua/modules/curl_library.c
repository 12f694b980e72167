/* SPDX-License-Identifier: MIT */
#include "lua/modules/curl_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "common/error.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
struct sl_curl_library sl_curl; /* guarded by: lock, until loaded; then immutable */
static bool loaded;             /* guarded by: lock */

/* Functions and data pointers have one size here, as dlsym() itself relies on. */
#define LOAD(name)                                                                             \
	symbol = dlsym(handle, "curl_" #name);                                                 \
	missing = symbol ? missing : "curl_" #name;                                            \
	memcpy(&sl_curl.name, &symbol, sizeof(symbol));

/* Returns the name of a function that @handle has not got, or NULL. */
static const char *find_functions(void *handle)
{
	const char *missing = NULL;
	void *symbol;

	SL_CURL_FUNCTIONS(LOAD)
	return missing;
}

static int load_locked(struct sl_error *err)
{
	void *handle = dlopen(SL_CURL_SONAME, RTLD_NOW | RTLD_LOCAL);
	const char *missing;

	if (!handle)
		return sl_fail(err, SL_ESYSTEM, "http can't load libcurl; is it installed? %s",
			dlerror());
	missing = find_functions(handle);
	if (missing) {
		dlclose(handle);
		return sl_fail(err, SL_ESYSTEM,
			"http needs a newer " SL_CURL_SONAME ": this one has no %s", missing);
	}
	/* It is never unloaded: what it loads in turn has handlers at exit. */
	if (sl_curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return sl_fail(err, SL_ESYSTEM, SL_CURL_SONAME " does not start");
	loaded = true;
	return 0;
}

int sl_curl_library_load(struct sl_error *err)
{
	int code = 0;

	pthread_mutex_lock(&lock);
	if (!loaded)
		code = load_locked(err);
	pthread_mutex_unlock(&lock);
	return code;
}
