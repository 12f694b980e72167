/* SPDX-License-Identifier: MIT */
#include "proto/sp.h"

#include "common/error.h"
#include "proto/asked.h"
#include "proto/incoming.h"
#include "proto/outgoing.h"
#include "tests/support/check_main.h"
#include "tests/support/values.h"

START_TEST(a_head_has_a_byte_more_on_ipc)
{
	uint8_t head[SL_SP_MAX_HEAD_BYTES];

	sl_test_hex_eq((struct sl_bytes){(char *)head, sl_sp_write_head(false, 258, head)},
		"00 00 00 00 00 00 01 02");
	sl_test_hex_eq((struct sl_bytes){(char *)head, sl_sp_write_head(true, 258, head)},
		"01 00 00 00 00 00 00 01 02");
}
END_TEST

static int read_head(bool ipc, const char *hex, uint64_t *size)
{
	char bytes[16];
	size_t n = sl_test_unhex(hex, bytes, sizeof(bytes));

	return sl_sp_read_head(ipc, (struct sl_bytes){bytes, n}, size);
}

START_TEST(a_head_is_read_once_it_is_whole)
{
	uint64_t size;

	ck_assert_int_eq(read_head(false, "00 00 00 00 00 00 01", &size), SL_SP_MORE);
	ck_assert_int_eq(read_head(false, "00 00 00 00 00 00 01 02 ff", &size), 0);
	ck_assert_uint_eq(size, 258);
	ck_assert_int_eq(read_head(true, "01 00 00 00 00 00 00 01", &size), SL_SP_MORE);
	ck_assert_int_eq(read_head(true, "01 80 00 00 00 00 00 00 01", &size), 0);
	ck_assert_uint_eq(size, 0x8000000000000001);
	ck_assert_int_eq(read_head(true, "", &size), SL_SP_MORE);
	ck_assert_int_eq(read_head(true, "02", &size), SL_EPROTOCOL);
}
END_TEST

static size_t header_bytes(const char *hex)
{
	char bytes[64];
	size_t n = sl_test_unhex(hex, bytes, sizeof(bytes));

	return sl_sp_header_bytes((struct sl_bytes){bytes, n});
}

START_TEST(a_header_ends_with_the_id)
{
	ck_assert_uint_eq(header_bytes("80 00 00 01"), 4);
	ck_assert_uint_eq(header_bytes("80 00 00 01 81"), 4);
	ck_assert_uint_eq(header_bytes("00 00 00 01 80 00 00 01 81 00 00 00"), 8);
	ck_assert_uint_eq(header_bytes("80 00 00"), 0);
	ck_assert_uint_eq(header_bytes("00 00 00 01 80 00 00"), 0);
	ck_assert_uint_eq(header_bytes(""), 0);
	/* Eight hops are fine, nine are not. */
	ck_assert_uint_eq(header_bytes("01 00 00 00 02 00 00 00 03 00 00 00 04 00 00 00 "
				       "05 00 00 00 06 00 00 00 07 00 00 00 08 00 00 00 "
				       "80 00 00 00"),
		36);
	ck_assert_uint_eq(header_bytes("01 00 00 00 02 00 00 00 03 00 00 00 04 00 00 00 "
				       "05 00 00 00 06 00 00 00 07 00 00 00 08 00 00 00 "
				       "09 00 00 00 80 00 00 00"),
		0);
}
END_TEST

START_TEST(an_id_comes_back)
{
	static const uint32_t numbers[] = {0, 1, 0x01020304, 0x7fffffff};
	uint8_t bytes[SL_SP_ID_BYTES];

	for (size_t i = 0; i < 4; i++) {
		sl_sp_write_id(numbers[i], bytes);
		ck_assert(bytes[0] & 0x80);
		ck_assert_uint_eq(sl_sp_read_id(bytes), numbers[i]);
	}
}
END_TEST

/* Gives @bytes to @incoming as they come from a socket: no more than there is room for. */
static void arrive(struct sl_incoming *incoming, const char *bytes, size_t size)
{
	while (size > 0) {
		size_t room;
		char *at = sl_incoming_room(incoming, &room);

		ck_assert_ptr_nonnull(at);
		if (room > size)
			room = size;
		memcpy(at, bytes, room);
		sl_incoming_came(incoming, room);
		bytes += room;
		size -= room;
	}
}

START_TEST(messages_are_taken_as_they_get_whole)
{
	static const char bytes[] =
		"\0\0\0\0\0\0\0\x02hi\0\0\0\0\0\0\0\x00\0\0\0\0\0\0\0\x01!\0";
	struct sl_incoming incoming = {0};
	struct sl_bytes message;

	for (int i = 0; i < 9; i++) {
		arrive(&incoming, bytes + i, 1);
		ck_assert_int_eq(sl_incoming_take_message(&incoming, 10, &message), SL_SP_MORE);
	}
	arrive(&incoming, bytes + 9, sizeof(bytes) - 1 - 9);
	ck_assert_int_eq(sl_incoming_take_message(&incoming, 10, &message), 0);
	sl_test_bytes_eq(message, "hi");
	ck_assert_int_eq(sl_incoming_take_message(&incoming, 10, &message), 0);
	ck_assert_uint_eq(message.size, 0);
	ck_assert_int_eq(sl_incoming_take_message(&incoming, 10, &message), 0);
	sl_test_bytes_eq(message, "!");
	ck_assert_int_eq(sl_incoming_take_message(&incoming, 10, &message), SL_SP_MORE);
	sl_incoming_deinit(&incoming);
}
END_TEST

START_TEST(a_message_that_says_it_is_too_large_is_refused_at_once)
{
	struct sl_incoming incoming = {0};
	struct sl_bytes message;

	arrive(&incoming, "\0\0\0\0\0\0\0\x0b", 8);
	ck_assert_int_eq(sl_incoming_take_message(&incoming, 11, &message), SL_SP_MORE);
	ck_assert_int_eq(sl_incoming_take_message(&incoming, 10, &message), SL_ETOO_LARGE);
	sl_incoming_deinit(&incoming);
	arrive(&incoming, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	ck_assert_int_eq(sl_incoming_take_message(&incoming, 1 << 24, &message), SL_ETOO_LARGE);
	sl_incoming_deinit(&incoming);
}
END_TEST

START_TEST(memory_follows_what_came_not_what_was_announced)
{
	struct sl_incoming incoming = {.ipc = true};
	size_t size = 4 << 20;
	char *bytes = calloc(1, size);
	struct sl_bytes message;

	ck_assert_ptr_nonnull(bytes);
	arrive(&incoming, "\1\0\0\0\0\0\x40\0\0", 9);
	for (size_t sent = 0; sent < size; sent += 512) {
		size_t room;

		ck_assert_int_eq(
			sl_incoming_take_message(&incoming, 1 << 24, &message), SL_SP_MORE);
		ck_assert_ptr_nonnull(sl_incoming_room(&incoming, &room));
		ck_assert_uint_le(incoming.bytes.capacity, 4 * (sent + 9) + 8192);
		arrive(&incoming, bytes, 512);
	}
	ck_assert_int_eq(sl_incoming_take_message(&incoming, 1 << 24, &message), 0);
	ck_assert_uint_eq(message.size, size);
	/* And goes again with the message. */
	arrive(&incoming, "\1", 1);
	ck_assert_uint_le(incoming.bytes.capacity, 8192);
	sl_incoming_deinit(&incoming);
	free(bytes);
}
END_TEST

static void add(struct sl_outgoing *outgoing, const char *head, const char *text)
{
	struct sl_buffer body = SL_BUFFER_INIT;

	ck_assert(sl_buffer_append(&body, text, strlen(text)));
	ck_assert(sl_outgoing_add(outgoing, head, strlen(head), &body));
	ck_assert_ptr_null(body.data);
}

START_TEST(what_goes_out_goes_in_order_however_little_at_a_time)
{
	static const char all[] = "greetingH1firstH2H3third";
	char sent[sizeof(all)] = "";

	for (size_t step = 1; step < sizeof(all); step++) {
		struct sl_outgoing outgoing;
		size_t n = 0;

		sl_outgoing_init(&outgoing);
		ck_assert(sl_outgoing_add(&outgoing, "greeting", 8, NULL));
		add(&outgoing, "H1", "first");
		add(&outgoing, "H2", "");
		add(&outgoing, "H3", "third");
		while (outgoing.size > 0) {
			struct iovec iov[4];
			size_t n_iov = sl_outgoing_iov(&outgoing, iov, 4), left = step;

			ck_assert_uint_gt(n_iov, 0);
			for (size_t i = 0; i < n_iov && left > 0; i++) {
				size_t part = iov[i].iov_len < left ? iov[i].iov_len : left;

				memcpy(sent + n, iov[i].iov_base, part);
				n += part;
				left -= part;
			}
			sl_outgoing_sent(&outgoing, step - left);
		}
		ck_assert_uint_eq(n, sizeof(all) - 1);
		ck_assert_mem_eq(sent, all, n);
		ck_assert_uint_eq(sl_outgoing_iov(&outgoing, (struct iovec[4]){0}, 4), 0);
		sl_outgoing_deinit(&outgoing);
	}
}
END_TEST

START_TEST(a_body_that_ran_out_of_memory_is_not_sent)
{
	struct sl_buffer body = {.failed = true};
	struct sl_outgoing outgoing;

	sl_outgoing_init(&outgoing);
	ck_assert(!sl_outgoing_add(&outgoing, "H", 1, &body));
	ck_assert_uint_eq(outgoing.size, 0);
	sl_outgoing_deinit(&outgoing);
}
END_TEST

START_TEST(a_request_is_answered_once)
{
	struct sl_asked_request request;
	struct sl_asked asked;
	uint32_t a, b;

	sl_asked_init(&asked);
	ck_assert(sl_asked_add(&asked, sl_bytes_of("head"), &a));
	ck_assert(sl_asked_add(&asked, (struct sl_bytes){0}, &b));
	ck_assert_uint_ne(a, b);
	ck_assert_uint_eq(asked.n, 2);
	ck_assert(sl_asked_take(&asked, a, &request));
	ck_assert_uint_eq(request.header_size, 4);
	ck_assert_mem_eq(request.header, "head", 4);
	ck_assert(!sl_asked_take(&asked, a, &request));
	ck_assert(sl_asked_take(&asked, b, NULL));
	ck_assert_uint_eq(asked.n, 0);
	ck_assert(sl_asked_add(&asked, (struct sl_bytes){0}, &b));
	sl_asked_deinit(&asked);
}
END_TEST

START_TEST(ids_that_begin_anew_leave_out_the_ones_in_use)
{
	struct sl_asked asked;
	uint32_t old, id;

	sl_asked_init(&asked);
	ck_assert(sl_asked_add(&asked, (struct sl_bytes){0}, &old));
	asked.last_id = 0x7ffffffe;
	for (int i = 0; i < 4; i++) {
		ck_assert(sl_asked_add(&asked, (struct sl_bytes){0}, &id));
		ck_assert_uint_le(id, 0x7fffffff);
		ck_assert_uint_ne(id, old);
	}
	ck_assert_uint_eq(id, 3);
	sl_asked_deinit(&asked);
}
END_TEST

SL_CHECK_MAIN("sp", a_head_has_a_byte_more_on_ipc, a_head_is_read_once_it_is_whole,
	a_header_ends_with_the_id, an_id_comes_back, messages_are_taken_as_they_get_whole,
	a_message_that_says_it_is_too_large_is_refused_at_once,
	memory_follows_what_came_not_what_was_announced,
	what_goes_out_goes_in_order_however_little_at_a_time,
	a_body_that_ran_out_of_memory_is_not_sent, a_request_is_answered_once,
	ids_that_begin_anew_leave_out_the_ones_in_use)
