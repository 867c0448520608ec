// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpipectl.h"
#include "holders.h"

#define KERNEL_THREAD	0x00200000	/* PF_KTHREAD */

static const struct {
	const char *name;
	size_t offset;
} counters[] = {
#define COUNTER(text, field) { text, offsetof(struct holder, field) }
	COUNTER("bpipe-file", file),
	COUNTER("class", class),
	COUNTER("written_bytes", written_bytes),
	COUNTER("dropped_bytes", dropped_bytes),
	COUNTER("again", again),
	COUNTER("blocked_ns", blocked_ns),
	COUNTER("throttled_ns", throttled_ns),
	COUNTER("written_records", written_records),
	COUNTER("dropped_records", dropped_records),
	COUNTER("read_bytes", read_bytes),
	COUNTER("starved_ns", starved_ns),
	COUNTER("read_records", read_records),
};

/* Parse a line of fdinfo: "name:", a tab, and a value. */
static void take_line(struct holder *holder, const char *line)
{
	size_t len = strcspn(line, ":"), i;
	const char *value = line + len + strspn(line + len, ":\t ");

	if (len == strlen("bpipe-channel") && !strncmp(line, "bpipe-channel", len))
		snprintf(holder->channel, sizeof(holder->channel), "%.*s",
			 (int)strcspn(value, "\n"), value);
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		if (len == strlen(counters[i].name) && !strncmp(line, counters[i].name, len))
			*(uint64_t *)((char *)holder + counters[i].offset) =
				strtoull(value, NULL, 10);
	holder->writes |= !strncmp(line, "written_bytes:", strlen("written_bytes:"));
	holder->reads |= !strncmp(line, "read_bytes:", strlen("read_bytes:"));
}

/* Read the fdinfo of a process's file. Return true if the file is that of a channel. */
static bool read_fdinfo(struct holder *holder, int dir, const char *fd)
{
	int file = openat(dir, fd, O_RDONLY | O_CLOEXEC);
	FILE *stream = file < 0 ? NULL : fdopen(file, "r");
	char line[256];

	*holder = (struct holder) { .fd = atoi(fd) };
	while (stream && fgets(line, sizeof(line), stream))
		take_line(holder, line);
	if (stream)
		fclose(stream);
	return *holder->channel;
}

/* Read the name of the command, which may have any bytes, including newlines. */
static void read_command(struct holder *holder)
{
	size_t len = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)holder->pid);
	file = fopen(path, "re");
	if (!file)
		return;
	len = fread(holder->command, 1, sizeof(holder->command), file);
	fclose(file);
	/* Remove the newline that ends the file. */
	holder->command[len ? len - 1 : 0] = '\0';
}

/* Return false for kernel threads and for processes that have ended: they have no files. */
static bool may_have_files(const char *pid)
{
	char path[300], line[512] = "", state = 0;
	unsigned int flags = 0;
	const char *end;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	line[fread(line, 1, sizeof(line) - 1, file)] = '\0';
	fclose(file);
	end = strrchr(line, ')');	/* ends the name, which may have others */
	return end && sscanf(end, ") %c %*d %*d %*d %*d %*d %u", &state, &flags) == 2 &&
	       state != 'Z' && state != 'X' && !(flags & KERNEL_THREAD);
}

static bool is_hidden(int error)
{
	return error == EACCES || error == EPERM;
}

/* Return true if @channels is empty or names the channel, by its name, node or path. */
static bool is_wanted(const char *channel, char **channels)
{
	char buf[BPIPE_PATH_MAX];
	const char *path;

	if (!*channels)
		return true;
	for (; *channels; channels++) {
		path = bpipe_path(*channels, buf, sizeof(buf));
		if (path && !strcmp(strrchr(path, '/') + 1, channel))
			return true;
	}
	return false;
}

/* Add an open file, or count the process if another one that shares the file is listed. */
static void add(struct holders *all, const struct holder *holder)
{
	size_t i;

	for (i = 0; i < all->nr; i++) {
		if (all->at[i].file != holder->file)
			continue;
		all->at[i].others += all->at[i].pid != holder->pid;
		return;
	}
	all->at = checked(realloc(all->at, (all->nr + 1) * sizeof(*all->at)));
	all->at[all->nr++] = *holder;
}

/* Add the open files of a process, which may end in the meantime. */
static void look_at(struct holders *all, const char *pid, char **channels)
{
	struct dirent *entry;
	struct holder holder;
	bool hidden = false;
	char path[300];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fdinfo", pid);
	dir = opendir(path);
	hidden = !dir && is_hidden(errno);
	while (dir && (entry = readdir(dir))) {
		if (*entry->d_name == '.')
			continue;
		errno = 0;
		if (!read_fdinfo(&holder, dirfd(dir), entry->d_name)) {
			hidden |= is_hidden(errno);
			continue;
		}
		if (!is_wanted(holder.channel, channels))
			continue;
		holder.pid = atoi(pid);
		read_command(&holder);
		add(all, &holder);
	}
	if (dir)
		closedir(dir);
	all->hidden += hidden && may_have_files(pid);
}

int holders_find(struct holders *all, char **channels)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	*all = (struct holders) { 0 };
	if (!proc) {
		complain("/proc: %s", strerror(errno));
		return EXIT_FAILED;
	}
	while ((entry = readdir(proc)))
		if (*entry->d_name >= '1' && *entry->d_name <= '9')
			look_at(all, entry->d_name, channels);
	closedir(proc);
	/* Process 1 is visible, unless /proc hides the processes of other users. */
	all->more_hidden = access("/proc/1", F_OK);
	return EXIT_OK;
}

void holders_free(struct holders *all)
{
	free(all->at);
}
