/* SPDX-License-Identifier: MIT */
#include "proto/asked.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ID 0x7fffffffu /* the bit above marks an id on the wire */

void sl_asked_init(struct sl_asked *asked)
{
	*asked = (struct sl_asked){0};
	TAILQ_INIT(&asked->requests);
}

void sl_asked_deinit(struct sl_asked *asked)
{
	struct sl_asked_request *request;

	while ((request = TAILQ_FIRST(&asked->requests)) != NULL) {
		TAILQ_REMOVE(&asked->requests, request, link);
		free(request);
	}
}

/* Most wait for a short time, and the oldest is the likeliest: a list will do. */
static struct sl_asked_request *find(struct sl_asked *asked, uint32_t id)
{
	struct sl_asked_request *request;

	TAILQ_FOREACH(request, &asked->requests, link)
	if (request->id == id)
		break;
	return request;
}

bool sl_asked_add(struct sl_asked *asked, struct sl_bytes header, uint32_t *out_id)
{
	struct sl_asked_request *request = calloc(1, sizeof(*request));

	if (!request)
		return false;
	assert(header.size <= sizeof(request->header));
	if (header.size > 0)
		memcpy(request->header, header.data, header.size);
	request->header_size = header.size;
	do {
		asked->last_id = (asked->last_id + 1) & MAX_ID;
		asked->wrapped |= asked->last_id == 0;
	} while (asked->wrapped && find(asked, asked->last_id));
	request->id = asked->last_id;
	TAILQ_INSERT_TAIL(&asked->requests, request, link);
	asked->n++;
	*out_id = request->id;
	return true;
}

bool sl_asked_take(struct sl_asked *asked, uint32_t id, struct sl_asked_request *out)
{
	struct sl_asked_request *request = find(asked, id);

	if (!request)
		return false;
	if (out)
		*out = *request;
	TAILQ_REMOVE(&asked->requests, request, link);
	asked->n--;
	free(request);
	return true;
}
