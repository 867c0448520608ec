// SPDX-License-Identifier: GPL-2.0
/* A channel seen through sysfs, which opens no file of the channel. */
#define _GNU_SOURCE	/* O_PATH */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "bpipe.h"

#define CLASS		"bpipe"
#define DIR_MAX		(sizeof("/sys/class/" CLASS "/") + BPIPE_NAME_MAX + 32)

static int fail(int error)
{
	errno = error;
	return -1;
}

/* Return true if the directory is that of a channel and has what a look needs. */
static bool is_channel(int dir)
{
	char target[256];
	ssize_t len = readlinkat(dir, "subsystem", target, sizeof(target) - 1);
	const char *last;

	if (len < 0)
		return false;
	target[len] = '\0';
	last = strrchr(target, '/');
	return !strcmp(last ? last + 1 : target, CLASS) && !faccessat(dir, "stats", R_OK, 0);
}

/* Return true if a node is the one that it was, and no channel came or went meanwhile. */
static bool is_same(const char *node, const struct stat *before)
{
	struct stat now;

	return !stat(node, &now) && now.st_rdev == before->st_rdev;
}

int bpipe_look(const char *channel)
{
	char node[BPIPE_PATH_MAX], path[DIR_MAX];
	const char *name = bpipe_path(channel, node);
	struct stat st = { 0 };
	int dir;

	if (!name)
		return -1;
	/* What stands in the place of the node decides, if anything does. */
	if (!stat(name, &st)) {
		if (!S_ISCHR(st.st_mode))
			return fail(EOPNOTSUPP);
		snprintf(path, sizeof(path), "/sys/dev/char/%u:%u", major(st.st_rdev),
			 minor(st.st_rdev));
	} else if (name == node) {
		snprintf(path, sizeof(path), "/sys/class/" CLASS "/%s", strrchr(node, '/') + 1);
	} else {
		return -1;
	}
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0 && is_channel(dir))
		return dir;
	if (dir >= 0)
		close(dir);
	if (!st.st_mode)
		return fail(ENOENT);
	return fail(is_same(name, &st) ? EOPNOTSUPP : ENODEV);
}

/* Read a structure, of which the module may have more or less. */
static int look_at(int dir, const char *file, void *to, size_t size, size_t least)
{
	int fd = openat(dir, file, O_RDONLY | O_CLOEXEC), error;
	ssize_t len;

	/* The directory was there before. */
	if (fd < 0)
		return fail(errno == ENOENT ? ENODEV : errno);
	memset(to, 0, size);
	len = read(fd, to, size);
	error = errno;
	close(fd);
	if (len < 0)
		return fail(error);
	return (size_t)len < least ? fail(EINVAL) : 0;
}

int bpipe_look_config(int dir, struct bpipe_config *config)
{
	return look_at(dir, "config", config, sizeof(*config), BPIPE_CONFIG_SIZE_VER0);
}

int bpipe_look_stats(int dir, struct bpipe_stats *stats)
{
	return look_at(dir, "stats", stats, sizeof(*stats), BPIPE_STATS_SIZE_VER0);
}

int bpipe_watch(int dir)
{
	return openat(dir, "state", O_RDONLY | O_CLOEXEC);
}

int bpipe_watch_again(int fd)
{
	char word[32];

	return pread(fd, word, sizeof(word), 0) < 0 ? -1 : 0;
}
