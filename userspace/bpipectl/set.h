/* SPDX-License-Identifier: GPL-2.0 */
/* Assign and check settings, for the verbs that change or create channels. */
#ifndef SET_H
#define SET_H

#include "channel.h"

/*
 * Store each KEY=VALUE in @want, with its bit in the mask. Return an exit status, with a
 * message unless it is EXIT_OK. Values may be shares of the size, so set_assign() assigns
 * the size first. Callers of set_assign_one() do the same with set_is_size().
 */
int set_assign(struct channel *want, char **args);
int set_assign_one(struct channel *want, const char *arg);
bool set_is_size(const char *arg);

/*
 * Return EXIT_FAILED, with a message, if the module would refuse this configuration even
 * for an empty channel. All its fields count, whatever the mask.
 */
int set_check(const struct channel *want);

/* Report that the module's cap on memory, or the channel's share of it, would be exceeded. */
void complain_of_memory(const char *path);

/* Report why @ch could not be set to @want, by errno. Return the exit status for it. */
int set_explain(const struct channel *ch, const struct bpipe_config *want);

#endif /* SET_H */
