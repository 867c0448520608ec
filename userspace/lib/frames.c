// SPDX-License-Identifier: MIT OR GPL-2.0
/* Framed reads: a buffer of records, each behind its header. */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib.h"

struct bpipe_frames {
	int fd;
	char *buf;
	size_t room;	/* bytes of @buf, at least one header */
	size_t at;	/* bytes of @buf that were returned */
	size_t end;	/* bytes of @buf that were read */
};

struct bpipe_frames *bpipe_frames_new(int fd, size_t size)
{
	const struct bpipe_reader reader = {
		.mask = BPIPE_READER_FRAMED,
		.framed = 1,
	};
	struct bpipe_frames *frames = calloc(1, sizeof(*frames));

	if (!frames)
		return NULL;
	frames->fd = fd;
	frames->room = size > sizeof(struct bpipe_frame) ? size : sizeof(struct bpipe_frame);
	frames->buf = malloc(frames->room);
	if (!frames->buf || bpipe_set_reader(fd, &reader, sizeof(reader))) {
		bpipe_frames_free(frames);
		return NULL;
	}
	return frames;
}

void bpipe_frames_free(struct bpipe_frames *frames)
{
	int error = errno;

	if (frames)
		free(frames->buf);
	free(frames);
	errno = error;
}

/* The header at an offset. Records of any length precede it, so it may not be aligned. */
static struct bpipe_frame header(const struct bpipe_frames *frames, size_t at)
{
	struct bpipe_frame frame;

	memcpy(&frame, frames->buf + at, sizeof(frame));
	return frame;
}

static int count(const struct bpipe_frames *frames)
{
	int nr = 0;

	for (size_t at = frames->at; at < frames->end; nr++)
		at += sizeof(struct bpipe_frame) + header(frames, at).len;
	return nr;
}

/* Make room for the next record. Another reader may take it first, so it may be too much. */
static int grow(struct bpipe_frames *frames)
{
	size_t room = 2 * frames->room;
	char *buf;
	int len;

	if (ioctl(frames->fd, FIONREAD, &len))
		return -1;
	if (room < sizeof(struct bpipe_frame) + len)
		room = sizeof(struct bpipe_frame) + len;
	buf = realloc(frames->buf, room);
	if (!buf)
		return -1;
	frames->buf = buf;
	frames->room = room;
	return 0;
}

int bpipe_frames_read(struct bpipe_frames *frames)
{
	ssize_t len;

	if (frames->at < frames->end)
		return count(frames);
	while ((len = read(frames->fd, frames->buf, frames->room)) < 0)
		if (errno != EMSGSIZE || grow(frames))
			return -1;
	frames->at = 0;
	frames->end = len;
	return count(frames);
}

const void *bpipe_frames_next(struct bpipe_frames *frames, struct bpipe_frame *frame)
{
	const void *record;

	if (frames->at >= frames->end)
		return NULL;
	*frame = header(frames, frames->at);
	record = frames->buf + frames->at + sizeof(*frame);
	frames->at += sizeof(*frame) + frame->len;
	return record;
}
