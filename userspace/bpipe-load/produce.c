// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpipe.h"
#include "report.h"
#include "run.h"
#include "unit.h"
#include "work.h"

/*
 * Write a whole unit. Return false on an error, or if the run gave up first. Set *@done to
 * the bytes written.
 */
static bool write_unit(struct worker *w, const uint8_t *buf, size_t len, size_t *done)
{
	struct pollfd room = { .fd = w->fd, .events = POLLOUT };
	ssize_t n;

	for (*done = 0; *done < len; ) {
		n = write(w->fd, buf + *done, len - *done);
		if (n >= 0) {
			*done += (size_t)n;
			tally(&w->calls, 1);
			tally(&w->bytes, (uint64_t)n);
			tally(&w->shorts, *done < len);
			continue;
		}
		if (errno == EAGAIN) {
			tally(&w->again, 1);
			n = poll(&room, 1, -1);
		}
		if (n < 0 && errno != EINTR) {
			run_fail(w->run, "%s: write: %s%s", w->opt->path, strerror(errno),
				 errno == EPIPE ? " (the reader is gone)" :
				 errno == EMSGSIZE ? " (larger than the channel can hold)" :
				 errno == ETIMEDOUT ? " (no room within the timeout)" : "");
			return false;
		}
		if (n < 0 && run_given_up(w->run))
			return false;
	}
	return true;
}

/* Set class and policy of this writer, if an option asks for it. Return false on failure. */
static bool set_writer(struct worker *w)
{
	const struct options *opt = w->opt;
	const struct bpipe_writer writer = {
		.mask = BPIPE_WRITER_CLASS | BPIPE_WRITER_POLICY,
		.class = opt->class,
		.policy = opt->policy,
	};

	if (!opt->class && opt->policy == BPIPE_POLICY_CHANNEL)
		return true;
	if (!bpipe_set_writer(w->fd, &writer, sizeof(writer)))
		return true;
	if (errno == ENOTTY)
		run_fail(w->run, "%s: not a bpipe device: --class and --policy need one",
			 opt->path);
	else if (errno == EOPNOTSUPP)
		run_fail(w->run, "%s: refused: drop-oldest needs a channel with mode=record",
			 opt->path);
	else
		run_fail(w->run, "%s: cannot set up the writer: %s", opt->path, strerror(errno));
	return false;
}

void produce(struct worker *w)
{
	const struct options *opt = w->opt;
	struct unit unit = {
		.producer = opt->id + w->index,
		.length = (uint32_t)opt->size,
	};
	uint64_t after;
	uint8_t *buf;
	size_t done;

	if (!set_writer(w))
		return;
	buf = malloc(opt->size);
	if (!buf) {
		run_fail(w->run, "no memory for a unit of %u bytes", unit.length);
		return;
	}

	for (; !(unit.flags & UNIT_END); unit.sequence++) {
		unit_fill(buf, &unit);
		run_pace_wait(w->run);
		run_pace_take(w->run, unit.length);

		/* If the run stops early, still write one unit that is marked as the last. */
		if (unit.sequence + 1 == opt->count || run_stopping(w->run))
			unit.flags |= UNIT_END;
		unit.sent_ns = now_ns();
		unit_seal(buf, &unit);

		if (!w->first_ns)
			w->first_ns = unit.sent_ns;
		if (!write_unit(w, buf, unit.length, &done)) {
			if (done)
				run_fail(w->run, "%s: stopped inside a unit, which is now torn",
					 opt->path);
			else if (!w->run->failed)
				complain("%s: no room: ended without a last unit", opt->path);
			break;
		}
		after = now_ns();
		w->last_ns = after;
		tally(&w->units, 1);
		hist_add(&w->latency, after - unit.sent_ns);
		worker_stalled(w, after - unit.sent_ns);
	}
	free(buf);
}
