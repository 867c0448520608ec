/* SPDX-License-Identifier: GPL-2.0 */
/* What people and programs get to see of a run. */
#ifndef BPIPE_LOAD_REPORT_H
#define BPIPE_LOAD_REPORT_H

#include <stdarg.h>

#include "run.h"

/* "bpipe-load: ..." on standard error, on a line of its own. */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void vcomplain(const char *fmt, va_list args);

/* Rewrite the progress line, if there is somebody to see it; and remove it. */
void report_progress(const struct run *run, uint64_t now);
void report_progress_end(void);

/* The table, or the JSON object, and the exit status that it means. */
int report_end(const struct run *run);

#endif
