// SPDX-License-Identifier: GPL-2.0
/* A channel's device: finding it, opening it, its commands. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bpipe.h"

const char *bpipe_path(const char *channel, char buf[BPIPE_PATH_MAX])
{
	bool whole = !strncmp(channel, BPIPE_DEFAULT, strlen(BPIPE_DEFAULT));
	const char *prefix = whole ? "" : BPIPE_NAME_PREFIX;

	if (strchr(channel, '/'))
		return channel;
	if (strlen(prefix) + strlen(channel) >= BPIPE_NAME_MAX) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	stpcpy(stpcpy(stpcpy(buf, "/dev/"), prefix), channel);
	return buf;
}

int bpipe_open(const char *channel, int flags)
{
	struct bpipe_features features;
	char buf[BPIPE_PATH_MAX];
	const char *path = bpipe_path(channel, buf);
	int fd, error;

	if (!path)
		return -1;
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0 || !bpipe_get_features(fd, &features))
		return fd;
	/* whatever else it is, it does not know the commands */
	error = errno == EINVAL ? ENOTTY : errno;
	close(fd);
	errno = error;
	return -1;
}

int bpipe_get_features(int fd, struct bpipe_features *features)
{
	return ioctl(fd, BPIPE_GET_FEATURES, features);
}

int bpipe_set_config(int fd, const struct bpipe_config *config)
{
	return ioctl(fd, BPIPE_SET_CONFIG, config);
}

int bpipe_get_config(int fd, struct bpipe_config *config)
{
	return ioctl(fd, BPIPE_GET_CONFIG, config);
}

int bpipe_get_stats(int fd, struct bpipe_stats *stats)
{
	return ioctl(fd, BPIPE_GET_STATS, stats);
}

int bpipe_get_window(int fd, struct bpipe_window *window)
{
	return ioctl(fd, BPIPE_GET_WINDOW, window);
}

int bpipe_reset_peaks(int fd)
{
	return ioctl(fd, BPIPE_RESET_PEAKS);
}

int bpipe_set_reader(int fd, const struct bpipe_reader *reader)
{
	return ioctl(fd, BPIPE_SET_READER, reader);
}

int bpipe_get_events(int fd, struct bpipe_events *events)
{
	return ioctl(fd, BPIPE_GET_EVENTS, events);
}

int bpipe_set_writer(int fd, const struct bpipe_writer *writer)
{
	return ioctl(fd, BPIPE_SET_WRITER, writer);
}

int bpipe_grant(int fd, uint64_t amount)
{
	const struct bpipe_grant_credit credit = { .amount = amount };

	return ioctl(fd, BPIPE_GRANT, &credit);
}

static int control(unsigned long command, void *arg)
{
	int fd = open(BPIPE_CONTROL, O_RDWR | O_CLOEXEC);
	int ret, error;

	if (fd < 0)
		return -1;
	ret = ioctl(fd, command, arg);
	error = errno;
	close(fd);
	errno = error;
	return ret;
}

/* One that is too long is not a name, which the module is to say of it. */
static void put_name(char name[BPIPE_NAME_MAX], const char *from)
{
	size_t len = strlen(from);

	memcpy(name, from, len < BPIPE_NAME_MAX ? len : BPIPE_NAME_MAX);
}

int bpipe_add(const char *name, const struct bpipe_config *config)
{
	struct bpipe_add add = {
		.config = (uintptr_t)config,
		.config_size = sizeof(*config),
	};

	put_name(add.name, name);
	return control(BPIPE_ADD, &add);
}

int bpipe_remove(const char *name, uint32_t flags)
{
	struct bpipe_remove remove = { .flags = flags };

	put_name(remove.name, name);
	return control(BPIPE_REMOVE, &remove);
}
