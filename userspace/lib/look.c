// SPDX-License-Identifier: MIT OR GPL-2.0
/* Observation through sysfs, which opens no file of the channel. */
#define _GNU_SOURCE	/* O_PATH */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib.h"

#define CLASS		"bpipe"
#define CLASS_DIR	"/sys/class/" CLASS
#define DIR_MAX		(sizeof(CLASS_DIR "/") + BPIPE_NAME_MAX + 32)

/* Return true if the directory belongs to a channel of a module that has the binary files. */
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

/* Return false if the node was replaced, because a channel was added or removed. */
static bool is_same(const char *node, const struct stat *before)
{
	struct stat now;

	return !stat(node, &now) && now.st_rdev == before->st_rdev;
}

int bpipe_look(const char *channel)
{
	char node[BPIPE_PATH_MAX], path[DIR_MAX];
	const char *name = bpipe_path(channel, node, sizeof(node));
	struct stat st = { 0 };
	int dir;

	if (!name)
		return -1;
	/* A file in the place of the node decides, if there is one. */
	if (!stat(name, &st)) {
		if (!S_ISCHR(st.st_mode))
			return fail(EOPNOTSUPP);
		snprintf(path, sizeof(path), "/sys/dev/char/%u:%u", major(st.st_rdev),
			 minor(st.st_rdev));
	} else if (name == node) {
		snprintf(path, sizeof(path), CLASS_DIR "/%s", strrchr(node, '/') + 1);
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

/* Read a structure. The module may know less of it than @size, or more. */
static int look_at(int dir, const char *file, void *to, size_t size, size_t least)
{
	int fd, error;
	ssize_t len;

	if (size < least)
		return fail(EINVAL);
	fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
	/* bpipe_look() found the file, so the channel was removed. */
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

int bpipe_look_config(int dir, struct bpipe_config *config, size_t size)
{
	return look_at(dir, "config", config, size, BPIPE_CONFIG_SIZE_VER0);
}

int bpipe_look_stats(int dir, struct bpipe_stats *stats, size_t size)
{
	return look_at(dir, "stats", stats, size, BPIPE_STATS_SIZE_VER0);
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

/* The class directory has a link for each channel, and attributes of its own. */
static int is_link(const struct dirent *entry)
{
	return entry->d_type == DT_LNK;
}

/* Copy the names behind an array of pointers to them, into the same memory. */
static char **join(struct dirent **entries, size_t nr)
{
	size_t size = (nr + 1) * sizeof(char *);
	char **names, *to;

	for (size_t i = 0; i < nr; i++)
		size += strlen(entries[i]->d_name) + 1;
	names = malloc(size);
	if (!names)
		return NULL;
	to = (char *)(names + nr + 1);
	for (size_t i = 0; i < nr; i++) {
		names[i] = to;
		to = stpcpy(to, entries[i]->d_name) + 1;
	}
	names[nr] = NULL;
	return names;
}

char **bpipe_list(void)
{
	struct dirent **entries;
	char **names;
	int nr = scandir(CLASS_DIR, &entries, is_link, alphasort);

	if (nr < 0)
		return NULL;
	names = join(entries, nr);
	while (nr--)
		free(entries[nr]);
	free(entries);
	if (!names)
		errno = ENOMEM;
	return names;
}
