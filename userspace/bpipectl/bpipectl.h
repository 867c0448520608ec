/* SPDX-License-Identifier: GPL-2.0 */
/* What the verbs of bpipectl share. */
#ifndef BPIPECTL_H
#define BPIPECTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* Exit statuses; the manual page has them too. */
enum {
	EXIT_OK		= 0,
	EXIT_FAILED	= 1,
	EXIT_USAGE	= 2,
	EXIT_NO_CHANNEL	= 3,
	EXIT_TIMEOUT	= 4,
	EXIT_UNPRINTED	= 5,	/* done, but the output could not be written */
};

struct options {
	bool json;
	bool raw;		/* list: columns are not aligned */
	bool noheadings;
	bool bytes;		/* exact numbers instead of "1.5 MiB" */
	const char *output;	/* list, stats: the fields wanted */
	uint64_t timeout_ns;	/* wait: UINT64_MAX is no limit */
	const char *sort;	/* who: the counter to sort by, or NULL */
	const char *exec;	/* monitor: a command to run while overloaded, or NULL */
	uint64_t linger_ns;	/* monitor: stop it after this time in state normal */
	const char *owner, *group, *permissions;	/* create: those of the node, or NULL */
	bool prune;		/* apply: remove channels that are not declared */
	bool force;		/* apply --prune: also if it holds data; delete: also if open */
	bool drain;		/* delete: remove a channel once its data was read */
	bool dry_run;		/* apply: change nothing, print what would change */
};

/* Print "bpipectl: what: why" on stderr, as one line without control characters. */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Begin messages with "file:line: " until the next call with NULL. */
void complain_at(const char *file, unsigned int line);

/* Flush standard output. Return an exit status; report a failure only once. */
int finish_output(void);

/* Return @memory; exit with a message if it is NULL. */
void *checked(void *memory);

/* The verbs: each returns an exit status. */
int show(const struct options *opts, char **args);
int list(const struct options *opts, char **args);
int stats(const struct options *opts, char **args);
int set(const struct options *opts, char **args);
int classes(const struct options *opts, char **args);
int create(const struct options *opts, char **args);
int delete(const struct options *opts, char **args);
int apply(const struct options *opts, char **args);
int save(const struct options *opts, char **args);
int wait_for(const struct options *opts, char **args);
int monitor(const struct options *opts, char **args);
int who(const struct options *opts, char **args);
int reset_peaks(const struct options *opts, char **args);

#endif /* BPIPECTL_H */
