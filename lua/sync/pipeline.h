/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Pipeline: goroutines between channels: through the stages of a pipeline, from
 * one channel to many, from many to one.
 *
 * They are written in Lua, on top of what the module has, and compiled where
 * they are used.
 */

#include <lua.h>

int sl_pipeline(lua_State *L); /* goroutine.pipeline(input, stages) */
int sl_fan_out(lua_State *L);  /* goroutine.fan_out(input, n[, options]) */
int sl_fan_in(lua_State *L);   /* goroutine.fan_in(inputs[, capacity]) */
