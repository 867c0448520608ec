/* SPDX-License-Identifier: GPL-2.0 */
/* Detect a standard output that is closed, full or broken. */
#ifndef BPIPE_OUTPUT_H
#define BPIPE_OUTPUT_H

#include <stdio.h>

/*
 * Occupy descriptors 0 to 2 if the parent closed them. Otherwise open() would return them
 * for a channel, and messages would go into it. Writes to them fail with EBADF.
 */
void output_init(void);

/* Flush @to. Return NULL, or why this or an earlier write failed. */
const char *output_error(FILE *to);

#endif /* BPIPE_OUTPUT_H */
