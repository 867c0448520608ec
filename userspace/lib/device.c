// SPDX-License-Identifier: MIT OR GPL-2.0
/* Open files of a channel and their commands, and the control device. */
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib.h"

const char *bpipe_path(const char *channel, char *buf, size_t size)
{
	bool is_node = !strncmp(channel, BPIPE_DEFAULT, strlen(BPIPE_DEFAULT));
	const char *prefix = is_node ? "" : BPIPE_NAME_PREFIX;
	size_t len = strlen(prefix) + strlen(channel);

	if (strchr(channel, '/'))
		return channel;
	if (len >= BPIPE_NAME_MAX || size < sizeof("/dev/") + len) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	stpcpy(stpcpy(stpcpy(buf, "/dev/"), prefix), channel);
	return buf;
}

const char *bpipe_name(const char *channel)
{
	static const char dev[] = "/dev/";
	const char *node = channel;

	if (!strncmp(node, dev, strlen(dev)))
		node += strlen(dev);
	if (!strncmp(node, BPIPE_NAME_PREFIX, strlen(BPIPE_NAME_PREFIX)))
		return node + strlen(BPIPE_NAME_PREFIX);
	return strcmp(node, BPIPE_DEFAULT) ? channel : node;
}

/* The command for a structure of @size bytes. The number of a command carries the size. */
static int command(int fd, unsigned long number, const void *arg, size_t size)
{
	if (size > _IOC_SIZEMASK)
		return fail(E2BIG);
	number &= ~((unsigned long)_IOC_SIZEMASK << _IOC_SIZESHIFT);
	return ioctl(fd, number | (unsigned long)size << _IOC_SIZESHIFT, arg);
}

int bpipe_get_features(int fd, struct bpipe_features *features, size_t size)
{
	return command(fd, BPIPE_GET_FEATURES, features, size);
}

int bpipe_get_config(int fd, struct bpipe_config *config, size_t size)
{
	return command(fd, BPIPE_GET_CONFIG, config, size);
}

int bpipe_set_config(int fd, const struct bpipe_config *config, size_t size)
{
	return command(fd, BPIPE_SET_CONFIG, config, size);
}

int bpipe_get_stats(int fd, struct bpipe_stats *stats, size_t size)
{
	return command(fd, BPIPE_GET_STATS, stats, size);
}

int bpipe_get_window(int fd, struct bpipe_window *window, size_t size)
{
	return command(fd, BPIPE_GET_WINDOW, window, size);
}

int bpipe_get_events(int fd, struct bpipe_events *events, size_t size)
{
	return command(fd, BPIPE_GET_EVENTS, events, size);
}

int bpipe_set_reader(int fd, const struct bpipe_reader *reader, size_t size)
{
	return command(fd, BPIPE_SET_READER, reader, size);
}

int bpipe_set_writer(int fd, const struct bpipe_writer *writer, size_t size)
{
	return command(fd, BPIPE_SET_WRITER, writer, size);
}

int bpipe_grant(int fd, uint64_t amount)
{
	const struct bpipe_grant_credit credit = { .amount = amount };

	return ioctl(fd, BPIPE_GRANT, &credit);
}

int bpipe_reset_peaks(int fd)
{
	return ioctl(fd, BPIPE_RESET_PEAKS);
}

/* Close @fd and keep errno. */
static void close_quietly(int fd)
{
	int error = errno;

	close(fd);
	errno = error;
}

int bpipe_open(const char *channel, int flags)
{
	struct bpipe_features features;
	char buf[BPIPE_PATH_MAX];
	const char *path = bpipe_path(channel, buf, sizeof(buf));
	int fd;

	if (!path)
		return -1;
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0 || !bpipe_get_features(fd, &features, sizeof(features)))
		return fd;
	/* Some other files answer unknown commands with EINVAL. */
	if (errno == EINVAL)
		errno = ENOTTY;
	close_quietly(fd);
	return -1;
}

static int control(unsigned long number, void *arg)
{
	int fd = open(BPIPE_CONTROL, O_RDWR | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -1;
	ret = ioctl(fd, number, arg);
	close_quietly(fd);
	return ret;
}

/* Leave it to the module to refuse a name that is too long. */
static void put_name(char name[BPIPE_NAME_MAX], const char *channel)
{
	const char *from = bpipe_name(channel);
	size_t len = strlen(from);

	memcpy(name, from, len < BPIPE_NAME_MAX ? len : BPIPE_NAME_MAX);
}

int bpipe_add(const char *name, const struct bpipe_config *config, size_t size)
{
	struct bpipe_add add = {
		.config = (uintptr_t)config,
		.config_size = size,
	};

	if (size > UINT32_MAX)
		return fail(E2BIG);
	put_name(add.name, name);
	return control(BPIPE_ADD, &add);
}

int bpipe_remove(const char *name, uint32_t flags)
{
	struct bpipe_remove remove = { .flags = flags };

	put_name(remove.name, name);
	return control(BPIPE_REMOVE, &remove);
}
