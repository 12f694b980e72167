/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Mourning: who ends a goroutine's command doesn't wait for its death; the
 * goroutine's scope does. Until all that was killed is gone the scope is held: so
 * what stops it, a timeout or the end of the task, goes on only then. The
 * reactor watches; nobody has a thread for it.
 *
 * Threads: those that run goroutines.
 */

struct sl_deaths;
struct sl_kin;

/* Holds the scope of the goroutine that runs on this thread until @deaths have happened, at
 * most SL_DEATHS_NS; what is still there then is told in the task's log. Takes @deaths, which
 * are empty then. */
void sl_mourn(struct sl_deaths *deaths);

/* Kills @kin, gives up its root and mourns. */
void sl_mourn_kin(struct sl_kin *kin);
