/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Find the units in a stream of bytes, whatever the sizes of the reads. Check each unit,
 * and the order of each producer's units.
 */
#ifndef BPIPE_LOAD_STREAM_H
#define BPIPE_LOAD_STREAM_H

#include <stddef.h>

#include "load.h"

struct stream;

/*
 * Create a stream, whose results go to the worker's units, latency and verdict. Return NULL
 * without memory.
 */
struct stream *stream_new(struct worker *w);

/* Return the buffer for the next @want bytes, or NULL without memory. */
void *stream_room(struct stream *s, size_t want);

/* Parse @n bytes that were read into that buffer at the time @now. */
void stream_feed(struct stream *s, size_t n, uint64_t now);

/* End and free the stream. At end-of-file, also check what remains in the buffer. */
void stream_end(struct stream *s, bool eof);

#endif
