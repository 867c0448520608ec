/* SPDX-License-Identifier: GPL-2.0 */
/* Standard output that is closed, full or gone: found out, and not just at the end. */
#ifndef BPIPE_OUTPUT_H
#define BPIPE_OUTPUT_H

#include <stdio.h>

/*
 * Keep descriptors 0 to 2 taken if the caller closed them. Without that, open() gives
 * them to a channel, and messages go into it. What is printed there fails with EBADF.
 */
void output_init(void);

/* Write what is buffered. Return NULL, or why that or an earlier write failed. */
const char *output_error(FILE *to);

#endif /* BPIPE_OUTPUT_H */
