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
	struct channel want;		/* its mask has the keys that were given */
};

struct declared {
	struct declaration *at;
	size_t nr;
	bool nothing_read;		/* the directory does not exist */
};

/*
 * Read the named files ("-" is standard input), or without names, the files in DECLARED_DIR
 * whose names end in .conf. Report all mistakes, each with its file and line, and then
 * return EXIT_FAILED. Callers must not use what was read unless the status is EXIT_OK.
 */
int declared_read(struct declared *all, char **files);
void declared_free(struct declared *all);

/* Return the declaration of a node; NULL if it has none. */
struct declaration *declared_find(const struct declared *all, const char *name);

#endif /* DECLARED_H */
