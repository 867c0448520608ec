/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Find the units in a stream of bytes, however reads have cut it, and check
 * what can be checked: each for itself, and their order for each producer.
 */
#ifndef BPIPE_LOAD_STREAM_H
#define BPIPE_LOAD_STREAM_H

#include <stddef.h>

#include "load.h"

struct stream;

/* Results go to the worker's units, latency and verdict. NULL: no memory. */
struct stream *stream_new(struct worker *w);

/* Where to read the next `want` bytes to. NULL: no memory. */
void *stream_room(struct stream *s, size_t want);

/* `n` bytes have come there, at `now`. */
void stream_feed(struct stream *s, size_t n, uint64_t now);

/* No more will come, because the stream is at its end or because we stop. */
void stream_end(struct stream *s, bool eof);

#endif
