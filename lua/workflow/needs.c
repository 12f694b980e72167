/* SPDX-License-Identifier: MIT */
#include "lua/workflow/needs.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "lua/code/source.h"
#include "lua/code/token.h"
#include "lua/state/names.h"

#define MAX_MODULE_NAME 128

struct module {
	struct module *next;
	struct sl_source *source;
	char *file;
	char name[];
};

struct sl_needs {
	lua_State *L;
	char *folder;
	struct module *modules; /* the last one found first */
};

struct sl_needs *sl_needs_new(lua_State *L, const char *path)
{
	const char *slash = strrchr(path, '/');
	struct sl_needs *needs = calloc(1, sizeof(*needs));

	if (!needs)
		return NULL;
	needs->L = L;
	needs->folder = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
	if (!needs->folder) {
		free(needs);
		return NULL;
	}
	return needs;
}

static void free_module(struct module *module)
{
	if (!module)
		return;
	sl_source_free(module->source);
	free(module->file);
	free(module);
}

void sl_needs_free(struct sl_needs *needs)
{
	if (!needs)
		return;
	while (needs->modules) {
		struct module *module = needs->modules;

		needs->modules = module->next;
		free_module(module);
	}
	free(needs->folder);
	free(needs);
}

static int out_of_memory(struct sl_error *err)
{
	return sl_fail(err, SL_ENOMEM, "out of memory");
}

static bool is_known(const struct sl_needs *needs, const char *name)
{
	for (const struct module *module = needs->modules; module; module = module->next)
		if (strcmp(module->name, name) == 0)
			return true;
	return sl_names_is_module(sl_names_of(needs->L), name);
}

/* The module's name in the token of a string literal. False for one that can't be the name of a
 * file beside the workflow. */
static bool read_name(const struct sl_token *token, char out[MAX_MODULE_NAME])
{
	struct sl_bytes text = token->text;

	if (token->kind != SL_TOKEN_STRING || text.size < 3 || text.data[0] == '[' ||
		text.size - 2 >= MAX_MODULE_NAME)
		return false;
	for (size_t i = 1; i < text.size - 1; i++) {
		char c = text.data[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
			!(c >= '0' && c <= '9') && c != '_' && c != '-' && c != '.')
			return false;
	}
	memcpy(out, text.data + 1, text.size - 2);
	out[text.size - 2] = '\0';
	return out[0] != '.';
}

/* Compiles the module, to find its mistakes here. */
static int check(struct sl_needs *needs, const struct module *module, struct sl_error *err)
{
	struct sl_bytes text = sl_source_text(module->source);
	struct sl_buffer name = SL_BUFFER_INIT;
	int rc = 0;

	if (!lua_checkstack(needs->L, 2) || !sl_buffer_printf(&name, "@%s", module->file)) {
		rc = out_of_memory(err);
	} else {
		if (luaL_loadbufferx(needs->L, text.data, text.size, name.data, "t") != LUA_OK)
			rc = sl_fail(err, SL_EINVALID, "%s", lua_tostring(needs->L, -1));
		lua_pop(needs->L, 1);
	}
	sl_buffer_deinit(&name);
	return rc;
}

/* Reads "FOLDER/a/b.lua" or "FOLDER/a/b/init.lua" for "a.b". A module without either keeps a
 * source of NULL. */
static int read_module(struct sl_needs *needs, struct module *module, struct sl_error *err)
{
	static const char *const endings[] = {".lua", "/init.lua"};
	char place[MAX_MODULE_NAME];
	int rc;

	strcpy(place, module->name);
	for (char *c = place; *c; c++)
		if (*c == '.')
			*c = '/';
	for (size_t i = 0; i < 2; i++) {
		char *file;

		if (asprintf(&file, "%s/%s%s", needs->folder, place, endings[i]) < 0)
			return out_of_memory(err);
		free(module->file);
		module->file = file;
		if (access(file, F_OK) != 0)
			continue;
		rc = sl_source_read(file, &module->source, err);
		return rc < 0 ? rc : check(needs, module, err);
	}
	return 0;
}

static int add(struct sl_needs *needs, const char *name, struct sl_error *err)
{
	struct module *module = calloc(1, sizeof(*module) + strlen(name) + 1);
	int rc;

	if (!module)
		return out_of_memory(err);
	strcpy(module->name, name);
	rc = read_module(needs, module, err);
	if (rc < 0 || !module->source) {
		free_module(module);
		return rc;
	}
	module->next = needs->modules;
	needs->modules = module;
	return sl_needs_scan(needs, sl_source_text(module->source), err);
}

int sl_needs_scan(struct sl_needs *needs, struct sl_bytes text, struct sl_error *err)
{
	struct sl_tokenizer tokenizer;
	struct sl_token token;
	bool required = false; /* require("name") or require "name": the word was there */
	int rc = 0;

	sl_tokenizer_init(&tokenizer, text);
	while (rc == 0 && sl_token_next(&tokenizer, &token)) {
		char name[MAX_MODULE_NAME];

		if (required && sl_token_is(&token, "("))
			continue;
		if (required && read_name(&token, name) && !is_known(needs, name))
			rc = add(needs, name, err);
		required = sl_token_is(&token, "require");
	}
	return rc;
}

static bool put(
	struct sl_parcel *parcel, struct sl_pair *pair, const char *key, struct sl_bytes text)
{
	pair->key.kind = pair->value.kind = SL_VALUE_STRING;
	return sl_parcel_copy(parcel, sl_bytes_of(key), &pair->key.string) &&
	       sl_parcel_copy(parcel, text, &pair->value.string);
}

static bool give_module(
	struct sl_parcel *parcel, const struct module *module, struct sl_pair *out)
{
	struct sl_table *table = sl_parcel_alloc(parcel, sizeof(*table));

	if (!table)
		return false;
	table->pairs = sl_parcel_array(parcel, 2, sizeof(*table->pairs));
	table->n_pairs = 2;
	out->key.kind = SL_VALUE_STRING;
	out->value = (struct sl_value){.kind = SL_VALUE_TABLE, .table = table};
	return table->pairs &&
	       sl_parcel_copy(parcel, sl_bytes_of(module->name), &out->key.string) &&
	       put(parcel, &table->pairs[0], "file", sl_bytes_of(module->file)) &&
	       put(parcel, &table->pairs[1], "text", sl_source_text(module->source));
}

int sl_needs_give(const struct sl_needs *needs, struct sl_parcel *parcel, struct sl_value *out,
	struct sl_error *err)
{
	struct sl_table *table;
	size_t n = 0;

	for (const struct module *m = needs->modules; m; m = m->next)
		n++;
	if (n == 0)
		return 0;
	table = sl_parcel_alloc(parcel, sizeof(*table));
	if (table)
		table->pairs = sl_parcel_array(parcel, n, sizeof(*table->pairs));
	if (!table || !table->pairs)
		return out_of_memory(err);
	for (const struct module *m = needs->modules; m; m = m->next)
		if (!give_module(parcel, m, &table->pairs[table->n_pairs++]))
			return out_of_memory(err);
	*out = (struct sl_value){.kind = SL_VALUE_TABLE, .table = table};
	return 0;
}
