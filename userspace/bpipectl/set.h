/* SPDX-License-Identifier: GPL-2.0 */
/* What a channel is to be set to, by those who change it and those who make it. */
#ifndef SET_H
#define SET_H

#include "channel.h"

/*
 * Put each KEY=VALUE into the configuration wanted, with its bit in the mask: an exit
 * status, having complained if it is not EXIT_OK. Values may be parts of the size, so
 * set_assign() assigns the size first; set_is_size() lets callers of set_assign_one() do so.
 */
int set_assign(struct channel *want, char **args);
int set_assign_one(struct channel *want, const char *arg);
bool set_is_size(const char *arg);

/*
 * Return EXIT_FAILED, having complained, if the module would refuse this configuration
 * of a channel, all fields taken together, whatever the channel holds.
 */
int set_check(const struct channel *want);

/* Say that the module's cap on memory, or the channel's share of it, would be exceeded. */
void complain_of_memory(const char *path);

/* Say why it could not be had, by errno, for a channel as it is; the exit status for it. */
int set_explain(const struct channel *ch, const struct bpipe_config *want);

#endif /* SET_H */
