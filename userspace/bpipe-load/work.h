/* SPDX-License-Identifier: GPL-2.0 */
/* The two verbs: what a worker does. */
#ifndef BPIPE_LOAD_WORK_H
#define BPIPE_LOAD_WORK_H

#include "load.h"

void produce(struct worker *w);
void consume(struct worker *w);

#endif
