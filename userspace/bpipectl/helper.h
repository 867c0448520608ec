/* SPDX-License-Identifier: GPL-2.0 */
/* The command that monitor runs while a channel is overloaded. */
#ifndef HELPER_H
#define HELPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "channel.h"

/* Times are nanoseconds of CLOCK_MONOTONIC. */
struct helper {
	const char *command;
	pid_t group;		/* its process group; 0 if no process is left */
	bool stopping;		/* SIGTERM was sent to it */
	bool failed;		/* the command ended by itself, other than with status 0 */
	uint64_t started_ns;
	uint64_t kill_ns;	/* when to send SIGKILL; UINT64_MAX once it was sent */
	uint64_t retry_ns;	/* after a failure: earliest time of the next start */
	uint64_t pause_ns;	/* after a failure: the pause before the last restart */
};

/* Start the command for a channel, in a new process group. */
void helper_start(struct helper *helper, const struct channel *ch);

/* Reap processes that have ended, and report a failure of the command. */
void helper_reap(struct helper *helper);

/* Send SIGTERM to the process group, or SIGKILL if called again after kill_ns. */
void helper_stop(struct helper *helper);

#endif /* HELPER_H */
