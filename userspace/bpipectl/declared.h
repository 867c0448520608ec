/* SPDX-License-Identifier: GPL-2.0 */
/* The channels that configuration files declare. */
#ifndef DECLARED_H
#define DECLARED_H

#include "channel.h"

#define DECLARED_DIR	"/etc/bpipe/channels.d"

struct declaration {
	char name[BPIPE_NAME_MAX];	/* of the node */
	char *file;
	unsigned int line;		/* of the section's heading */
	struct channel want;		/* in its mask, the keys that were given */
};

struct declared {
	struct declaration *at;
	size_t nr;
	bool nothing_read;		/* the directory does not exist */
};

/*
 * Read the files named ("-" is standard input), or, without names, those in DECLARED_DIR
 * that end in .conf. All mistakes in them are complained of, each with its place; then the
 * status is EXIT_FAILED, and nothing may be done with what was read.
 */
int declared_read(struct declared *all, char **files);
void declared_free(struct declared *all);

/* The declaration of a node; NULL if there is none. */
struct declaration *declared_find(const struct declared *all, const char *name);

#endif /* DECLARED_H */
