// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "bpipe.h"
#include "run.h"
#include "stream.h"
#include "work.h"

/* Set when the device wakes this reader, if an option asks for it. Return false on failure. */
static bool set_reader(struct worker *w)
{
	const struct options *opt = w->opt;
	struct bpipe_reader reader = {
		.threshold = opt->threshold,
		.delay_us = (opt->delay_ns + 999) / 1000,
	};

	if (opt->threshold)
		reader.mask |= BPIPE_READER_THRESHOLD;
	if (opt->delay_ns)
		reader.mask |= BPIPE_READER_DELAY;
	if (!reader.mask || !bpipe_set_reader(w->fd, &reader, sizeof(reader)))
		return true;

	if (errno == ENOTTY)
		run_fail(w->run, "%s: not a bpipe device: --threshold and --delay need one",
			 opt->path);
	else if (errno == EINVAL)
		run_fail(w->run, "%s: refused: --threshold must be at most the channel's"
			 " size, and --delay at most an hour", opt->path);
	else
		run_fail(w->run, "%s: cannot set up the reader: %s", opt->path, strerror(errno));
	return false;
}

/* Read as read(2) does, but poll after EAGAIN. EINTR means that the run is stopping. */
static ssize_t read_some(struct worker *w, void *buf, size_t len)
{
	struct pollfd data = { .fd = w->fd, .events = POLLIN };
	ssize_t n;

	do {
		n = read(w->fd, buf, len);
		if (n < 0 && errno == EAGAIN) {
			tally(&w->again, 1);
			poll(&data, 1, -1);
			errno = EINTR;
		}
	} while (n < 0 && errno == EINTR && !run_stopping(w->run));
	return n;
}

static void read_all(struct worker *w, struct stream *s)
{
	const struct options *opt = w->opt;
	uint64_t before, after, want;
	void *buf;
	ssize_t n;

	while (!run_stopping(w->run) && (!opt->bytes || w->bytes < opt->bytes)) {
		want = opt->size;
		if (opt->bytes && want > opt->bytes - w->bytes)
			want = opt->bytes - w->bytes;
		buf = stream_room(s, want);
		if (!buf) {
			run_fail(w->run, "no memory for a read of %llu bytes",
				 (unsigned long long)want);
			return;
		}

		run_pace_wait(w->run);
		before = now_ns();
		n = read_some(w, buf, want);
		after = now_ns();
		if (n < 0 && errno == EINTR)
			return;
		if (n < 0) {
			run_fail(w->run, "%s: read: %s", opt->path, strerror(errno));
			return;
		}
		if (!n) {
			w->eof = true;
			return;
		}

		tally(&w->calls, 1);
		tally(&w->bytes, (uint64_t)n);
		tally(&w->shorts, (uint64_t)n < want);
		/* The wait for the first byte is a wait for a producer, and not a stall. */
		if (w->first_ns)
			worker_stalled(w, after - before);
		else
			w->first_ns = after;
		w->last_ns = after;
		stream_feed(s, (size_t)n, after);
		run_pace_take(w->run, (uint64_t)n);
	}
}

void consume(struct worker *w)
{
	struct stream *s;

	if (!set_reader(w))
		return;
	s = stream_new(w);
	if (!s) {
		run_fail(w->run, "no memory");
		return;
	}
	read_all(w, s);
	stream_end(s, w->eof);
}
