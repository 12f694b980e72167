/* SPDX-License-Identifier: MIT */
#include "lua/code/proof.h"

#include <string.h>

#include "common/buffer.h"
#include "common/error.h"

/*
 * A dump of Lua 5.4 begins with a signature, version, format, six control bytes,
 * the sizes of an instruction, an integer and a float, one example of each number
 * and the count of captured variables. Then come functions: source, lines, three
 * bytes, code, constants, captured variables, inner functions, debug information.
 * Counts are in groups of seven bits, the highest first, the last one marked.
 */
#define SIZES_AT 12
#define COUNT_MARK 0x80
#define MAX_DEPTH 200

/* Tags of constants that are followed by bytes. */
enum {
	TAG_INTEGER = 0x03,
	TAG_FLOAT = 0x13,
	TAG_SHORT_STRING = 0x04,
	TAG_LONG_STRING = 0x14,
};

struct walk {
	struct sl_buffer *dump;
	size_t at;
	size_t instruction_size, integer_size, float_size;
	bool broken; /* the dump isn't what is expected */
};

static void skip(struct walk *w, size_t size)
{
	if (w->broken || size > w->dump->size - w->at)
		w->broken = true;
	else
		w->at += size;
}

static unsigned char byte(struct walk *w)
{
	skip(w, 1);
	return w->broken ? 0 : (unsigned char)w->dump->data[w->at - 1];
}

static size_t count(struct walk *w)
{
	size_t n = 0;
	unsigned char c;

	do {
		c = byte(w);
		if (n > SIZE_MAX >> 8)
			w->broken = true;
		n = n << 7 | (c & ~COUNT_MARK);
	} while (!w->broken && !(c & COUNT_MARK));
	return w->broken ? 0 : n;
}

static void skip_many(struct walk *w, size_t n, size_t size)
{
	if (__builtin_mul_overflow(n, size, &n))
		w->broken = true;
	skip(w, n);
}

static void skip_string(struct walk *w)
{
	size_t size = count(w);

	if (size > 0)
		skip(w, size - 1);
}

static void skip_constants(struct walk *w)
{
	for (size_t n = count(w); n > 0 && !w->broken; n--) {
		switch (byte(w)) {
		case TAG_INTEGER:
			skip(w, w->integer_size);
			break;
		case TAG_FLOAT:
			skip(w, w->float_size);
			break;
		case TAG_SHORT_STRING:
		case TAG_LONG_STRING:
			skip_string(w);
			break;
		default: /* nil, false, true */
			break;
		}
	}
}

/* Each has: whether it is a local of the function around, its place there, its kind. An inner
 * function's place is in the function that is compared; the outermost one's is not. The kind
 * only matters to the compiler. */
static void clear_captures(struct walk *w, bool outermost)
{
	for (size_t n = count(w); n > 0 && !w->broken; n--) {
		skip(w, 3);
		if (w->broken)
			return;
		if (outermost)
			memset(w->dump->data + w->at - 3, 0, 2);
		w->dump->data[w->at - 1] = 0;
	}
}

static void skip_debug(struct walk *w)
{
	skip(w, count(w));
	for (size_t n = count(w); n > 0 && !w->broken; n--) {
		count(w);
		count(w);
	}
	for (size_t n = count(w); n > 0 && !w->broken; n--) {
		skip_string(w);
		count(w);
		count(w);
	}
	for (size_t n = count(w); n > 0 && !w->broken; n--)
		skip_string(w);
}

static void walk_function(struct walk *w, int depth)
{
	if (depth > MAX_DEPTH)
		w->broken = true;
	skip_string(w); /* source */
	count(w);       /* first line */
	count(w);       /* last line */
	skip(w, 3);     /* parameters, whether there are more, stack size */
	skip_many(w, count(w), w->instruction_size);
	skip_constants(w);
	clear_captures(w, depth == 0);
	for (size_t n = count(w); n > 0 && !w->broken; n--)
		walk_function(w, depth + 1);
	skip_debug(w);
}

/* Clears in @dump what may differ. False when it isn't a dump as described above. */
static bool normalize(struct sl_buffer *dump)
{
	struct walk w = {.dump = dump};

	if (dump->size < SIZES_AT || memcmp(dump->data, LUA_SIGNATURE "\x54\x00", 6) != 0)
		return false;
	skip(&w, SIZES_AT);
	w.instruction_size = byte(&w);
	w.integer_size = byte(&w);
	w.float_size = byte(&w);
	skip(&w, w.integer_size);
	skip(&w, w.float_size);
	skip(&w, 1);
	walk_function(&w, 0);
	return !w.broken && w.at == dump->size;
}

static int append(lua_State *L, const void *data, size_t size, void *ctx)
{
	(void)L;
	return sl_buffer_append(ctx, data, size) ? 0 : 1;
}

static int dump_function(lua_State *L, int index, struct sl_buffer *out, struct sl_error *err)
{
	int rc;

	lua_pushvalue(L, index);
	rc = lua_dump(L, append, out, 1);
	lua_pop(L, 1);
	if (rc != 0)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	if (!normalize(out))
		return sl_fail(err, SL_EINVALID,
			"%s dumps functions in a way that isn't known here", LUA_RELEASE);
	return 0;
}

/* The captured variables have the same names in the same order. */
static bool same_names(lua_State *L, int a, int b)
{
	for (int i = 1;; i++) {
		const char *name_a = lua_getupvalue(L, a, i);
		const char *name_b = lua_getupvalue(L, b, i);

		lua_pop(L, (name_a != NULL) + (name_b != NULL));
		if (!name_a || !name_b)
			return !name_a && !name_b;
		if (strcmp(name_a, name_b) != 0)
			return false;
	}
}

int sl_proof_compare(lua_State *L, int a, int b, bool *out, struct sl_error *err)
{
	struct sl_buffer dump_a = SL_BUFFER_INIT, dump_b = SL_BUFFER_INIT;
	int rc;

	a = lua_absindex(L, a);
	b = lua_absindex(L, b);
	if (!lua_checkstack(L, 2))
		return sl_fail(err, SL_ENOMEM, "out of memory");
	rc = dump_function(L, a, &dump_a, err);
	if (rc == 0)
		rc = dump_function(L, b, &dump_b, err);
	if (rc == 0)
		*out = same_names(L, a, b) &&
		       sl_bytes_equal(sl_buffer_bytes(&dump_a), sl_buffer_bytes(&dump_b));
	sl_buffer_deinit(&dump_a);
	sl_buffer_deinit(&dump_b);
	return rc;
}
