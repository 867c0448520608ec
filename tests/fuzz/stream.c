// SPDX-License-Identifier: GPL-2.0
/* Check that the result for a stream does not depend on where it was cut. */
#include <stdlib.h>
#include <string.h>

#include "parse.h"
#include "run.h"
#include "stream.h"
#include "unit.h"

void run_fail(struct run *run, const char *fmt, ...)
{
	(void)run;
	(void)fmt;
	abort();
}

/*
 * Make headers, which fuzzing would not find by chance: a magic number stands for a valid
 * one.
 */
static size_t compose(const uint8_t *data, size_t size, uint8_t *to, size_t room)
{
	size_t done = 0;

	while (size >= 4 && done + 200 < room) {
		struct unit unit = {
			.producer = data[1] % 4, .sequence = data[2],
			.length = UNIT_HEADER + data[3] % 100, .flags = data[0] >> 7,
		};

		if (data[0] & 1) {
			unit_fill(to + done, &unit);
			unit_seal(to + done, &unit);
			done += data[0] & 2 ? unit.length : unit.length * data[3] / 256;
		} else {
			memcpy(to + done, data, 4);
			done += 4;
		}
		data += 4;
		size -= 4;
	}
	return done;
}

static struct verdict verdict_of(const uint8_t *bytes, size_t n, size_t cut)
{
	static struct options opt;
	struct worker *w = calloc(1, sizeof(*w));
	struct verdict verdict;
	struct stream *s;

	opt.verify = 1;
	w->opt = &opt;
	s = stream_new(w);
	while (n) {
		size_t part = cut && cut < n ? cut : n;

		memcpy(stream_room(s, part), bytes, part);
		stream_feed(s, part, 1);
		bytes += part;
		n -= part;
	}
	stream_end(s, true);
	verdict = w->verdict;
	free(w);
	return verdict;
}

void parse_stream(const uint8_t *data, size_t size)
{
	static uint8_t bytes[8192];
	size_t n = compose(data, size, bytes, sizeof(bytes));
	struct verdict whole = verdict_of(bytes, n, 0);
	struct verdict parts = verdict_of(bytes, n, 1 + (size ? data[size - 1] : 0));

	if (memcmp(&whole, &parts, sizeof(whole)))
		abort();
}
