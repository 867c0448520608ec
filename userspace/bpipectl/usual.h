/* SPDX-License-Identifier: GPL-2.0 */
/* The configuration of a new channel. */
#ifndef USUAL_H
#define USUAL_H

#include "channel.h"

/*
 * Read the configuration of a new channel. Return an exit status, with a message unless it
 * is EXIT_OK: EXIT_NO_CHANNEL if the module is not loaded.
 */
int usual_new(struct channel *ch);

/* Set the marks to their defaults for the size in @config. */
void usual_marks(struct bpipe_config *config);

/*
 * A burst or a limit of 0 follows a rate or the size; GET_CONFIG returns the number in
 * force. usual_in_force() replaces each 0 by this number. usual_as_set() replaces each
 * number by 0 if that has the same effect now.
 */
void usual_in_force(struct bpipe_config *config);
void usual_as_set(struct bpipe_config *config);

#endif /* USUAL_H */
