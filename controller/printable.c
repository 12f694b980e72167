/* SPDX-License-Identifier: MIT */
#include "controller/printable.h"

#include "controller/json.h"

/* Control characters of both sets, and those that reorder or hide what stands beside them. */
static bool is_dangerous(uint32_t code)
{
	return code < ' ' || (code >= 0x7f && code <= 0x9f) || code == 0x61c ||
	       (code >= 0x200e && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2066 && code <= 0x2069) || code == 0xfeff ||
	       (code >= 0xfff9 && code <= 0xfffb) || (code >= 0xe0000 && code <= 0xe007f);
}

void sl_printable(struct sl_buffer *out, struct sl_bytes text, bool newlines)
{
	size_t from = 0, at = 0;

	while (at < text.size) {
		uint32_t code = 0;
		size_t n;

		/* Most characters: ASCII that one can see. */
		if (text.data[at] >= ' ' && text.data[at] < 0x7f) {
			at++;
			continue;
		}
		n = sl_utf8_at(text.data + at, text.size - at, &code);
		if (n && (!is_dangerous(code) || code == '\t' || (code == '\n' && newlines))) {
			at += n;
			continue;
		}
		sl_buffer_append(out, text.data + from, at - from);
		if (!n || code < 0x80)
			sl_buffer_printf(out, "\\x%02x", (unsigned char)text.data[at]);
		else
			sl_buffer_printf(out, "\\u{%x}", (unsigned)code);
		at += n ? n : 1;
		from = at;
	}
	if (at > from)
		sl_buffer_append(out, text.data + from, at - from);
}

size_t sl_printable_width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}
