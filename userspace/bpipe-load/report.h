/* SPDX-License-Identifier: GPL-2.0 */
/* Print messages, the progress and the report of a run. */
#ifndef BPIPE_LOAD_REPORT_H
#define BPIPE_LOAD_REPORT_H

#include <stdarg.h>

#include "run.h"

/* Print a message on a separate line of standard error that begins with "bpipe-load: ". */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void vcomplain(const char *fmt, va_list args);

/* Rewrite the progress line if standard error is a terminal; remove it. */
void report_progress(const struct run *run, uint64_t now);
void report_progress_end(void);

/* Print the table or the JSON object. Return the exit status of the run. */
int report_end(const struct run *run);

#endif
