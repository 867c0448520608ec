/* SPDX-License-Identifier: GPL-2.0 */
/* The configuration that a channel has unless it is set up otherwise. */
#ifndef USUAL_H
#define USUAL_H

#include "channel.h"

/*
 * The configuration of a new channel: EXIT_OK, or EXIT_NO_CHANNEL, having complained, if
 * the module is not loaded.
 */
int usual_new(struct channel *ch);

/* Marks in their usual places, for the size that @config has. */
void usual_marks(struct bpipe_config *config);

/*
 * A burst or a limit of 0 follows a rate or the size; GET_CONFIG gives the number in
 * force. usual_in_force() puts in these numbers, usual_as_set() puts back 0 wherever it
 * has the same effect now.
 */
void usual_in_force(struct bpipe_config *config);
void usual_as_set(struct bpipe_config *config);

#endif /* USUAL_H */
