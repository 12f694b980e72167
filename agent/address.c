/* SPDX-License-Identifier: MIT */
#include "agent/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "agent/privilege.h"
#include "common/error.h"

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static int check_ipc(const char *url, const char *path, struct sl_error *err)
{
	struct sockaddr_un address;

	if (*path != '/')
		return sl_fail(err, SL_EINVALID,
			"'%s': an ipc address is ipc:// and a path that begins with /", url);
	if (strlen(path) >= sizeof(address.sun_path))
		return sl_fail(err, SL_EINVALID, "'%s': a socket's path has at most %zu bytes",
			url, sizeof(address.sun_path) - 1);
	return 0;
}

static bool is_loopback(const char *host)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return strcmp(host, "[::1]") == 0 || strcmp(host, "localhost") == 0;
}

/* @why_not says why it must be on this machine. */
static int check_tcp(
	const char *url, const char *rest, const char *why_not, struct sl_error *err)
{
	const char *colon = strrchr(rest, ':');
	char host[256], *end;
	unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;

	if (!colon || colon == rest || colon[1] < '0' || colon[1] > '9' || *end ||
		port > 65535 || (size_t)(colon - rest) >= sizeof(host))
		return sl_fail(err, SL_EINVALID,
			"'%s': a tcp address is tcp://HOST:PORT, with port 0 for a free one",
			url);
	memcpy(host, rest, (size_t)(colon - rest));
	host[colon - rest] = 0;
	if (!is_loopback(host))
		return sl_fail(err, SL_EDENIED,
			"'%s' is not on this machine, and %s: listen on tcp://127.0.0.1:%lu or "
			"on ipc://, and reach it from elsewhere through ssh -L",
			url, why_not, port);
	return 0;
}

int sl_address_check_listen(const char *url, struct sl_error *err)
{
	if (has_prefix(url, "ipc://"))
		return check_ipc(url, url + strlen("ipc://"), err);
	if (has_prefix(url, "tcp://"))
		return check_tcp(url, url + strlen("tcp://"),
			"connections are not encrypted yet (TLS isn't there yet)", err);
	if (has_prefix(url, "tls+tcp://"))
		return sl_fail(err, SL_EDENIED,
			"'%s': TLS isn't there yet; listen on ipc:// or tcp://127.0.0.1:PORT",
			url);
	return sl_fail(err, SL_EINVALID,
		"'%s' is no address; ipc:///PATH and tcp://127.0.0.1:PORT are", url);
}

int sl_address_check_metrics(const char *url, struct sl_error *err)
{
	if (has_prefix(url, "ipc://"))
		return check_ipc(url, url + strlen("ipc://"), err);
	if (has_prefix(url, "tcp://"))
		return check_tcp(url, url + strlen("tcp://"),
			"metrics are shown to whoever connects", err);
	return sl_fail(err, SL_EINVALID,
		"'%s' is no address; off, ipc:///PATH and tcp://127.0.0.1:PORT are", url);
}

int sl_address_make_directory(
	const char *url, const struct sl_privilege *privilege, struct sl_error *err)
{
	struct sockaddr_un address;
	struct sl_error why;
	char *slash;

	if (!has_prefix(url, "ipc:///"))
		return 0;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", url + strlen("ipc://"));
	slash = strrchr(address.sun_path, '/');
	*slash = 0;
	if (slash == address.sun_path ||
		sl_privilege_make_directory(privilege, address.sun_path, 0755, &why) == 0)
		return 0;
	return sl_fail(err, why.code,
		"no directory for the socket (--listen names another): %s", why.text);
}
