/* SPDX-License-Identifier: MIT */
#include "agent/link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/error.h"

/* Most frames are small: what is more goes by way of the stack, so that memory is asked for
 * only when there is something to keep. */
#define READ_BYTES (4u << 10)
#define SPILL_BYTES (64u << 10)

struct head {
	uint32_t size;
	uint32_t kind;
	uint64_t number;
};

_Static_assert(sizeof(struct head) == SL_LINK_HEAD_BYTES, "the head has no holes");

void sl_link_head(
	char out[SL_LINK_HEAD_BYTES], enum sl_link_kind kind, uint64_t number, size_t size)
{
	struct head head = {(uint32_t)size, kind, number};

	memcpy(out, &head, sizeof(head));
}

bool sl_link_append(struct sl_buffer *out, const struct sl_link_frame *frame)
{
	char head[SL_LINK_HEAD_BYTES];

	sl_link_head(head, frame->kind, frame->number, frame->bytes.size);
	return sl_buffer_append(out, head, sizeof(head)) &&
	       sl_buffer_append(out, frame->bytes.data, frame->bytes.size);
}

int sl_link_next(
	struct sl_bytes in, struct sl_link_frame *out, size_t *out_used, struct sl_error *err)
{
	struct head head;

	if (in.size < sizeof(head))
		return SL_LINK_MORE;
	memcpy(&head, in.data, sizeof(head));
	if (head.kind < SL_LINK_TASK || head.kind > SL_LINK_FINISHED)
		return sl_fail(err, SL_EPROTOCOL, "a frame of unknown kind %u", head.kind);
	if (head.size > SL_LINK_MAX_BYTES)
		return sl_fail(err, SL_EPROTOCOL, "a frame of %u bytes, more than %u",
			head.size, SL_LINK_MAX_BYTES);
	if (in.size - sizeof(head) < head.size)
		return SL_LINK_MORE;

	*out = (struct sl_link_frame){
		(enum sl_link_kind)head.kind, head.number, {in.data + sizeof(head), head.size}};
	*out_used = sizeof(head) + head.size;
	return 0;
}

int sl_link_receive(int fd, struct sl_buffer *in, struct sl_error *err)
{
	char *at = sl_buffer_reserve(in, READ_BYTES), spill[SPILL_BYTES];
	size_t room = in->capacity - in->size;
	struct iovec iov[] = {{at, room}, {spill, sizeof(spill)}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t n;

	if (!at)
		return sl_fail(err, SL_ENOMEM, "no memory to read from a worker's socket");
	do
		n = recvmsg(fd, &msg, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		size_t direct = (size_t)n < room ? (size_t)n : room;

		in->size += direct;
		if (!sl_buffer_append(in, spill, (size_t)n - direct))
			return sl_fail(
				err, SL_ENOMEM, "no memory to read from a worker's socket");
		return 0;
	}
	if (n == 0 || errno == ECONNRESET)
		return sl_fail(err, SL_ECLOSED, "the other end of the worker's socket closed");
	if (errno == EAGAIN)
		return SL_LINK_MORE;
	return sl_fail_errno(err, errno, "cannot read from a worker's socket");
}

int sl_link_flush(int fd, struct sl_buffer *out, struct sl_error *err)
{
	size_t sent = 0;
	int result = 0;

	while (sent < out->size) {
		ssize_t n = send(
			fd, out->data + sent, out->size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0) {
			sent += (size_t)n;
		} else if (errno == EAGAIN) {
			result = SL_LINK_MORE;
			break;
		} else if (errno == EPIPE || errno == ECONNRESET) {
			result = sl_fail(
				err, SL_ECLOSED, "the other end of the worker's socket closed");
			break;
		} else if (errno != EINTR) {
			result = sl_fail_errno(err, errno, "cannot write to a worker's socket");
			break;
		}
	}
	sl_buffer_consume(out, sent);
	return result;
}
