// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE	/* group_member() */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bpipectl.h"
#include "channel.h"

#define CLASS_DIR	"/sys/class/bpipe"
#define MODULE_DIR	"/sys/module/bpipe"
#define CLASS_PATH_MAX	(sizeof(CLASS_DIR) + NAME_MAX + 32)

#define NS_PER_SEC	1000000000ULL

/* Longest sample that shows how fast the level rises now */
#define PACE_NS		(60 * NS_PER_SEC)

bool module_loaded(void)
{
	return !access(MODULE_DIR, F_OK);
}

/* Return the path of a channel's file in the class directory. */
static const char *class_path(const char *node, const char *file, char buf[CLASS_PATH_MAX])
{
	const char *slash = strrchr(node, '/');

	snprintf(buf, CLASS_PATH_MAX, CLASS_DIR "/%s/%s", slash ? slash + 1 : node, file);
	return buf;
}

bool channel_exists(const char *node)
{
	char buf[CLASS_PATH_MAX];

	return !access(class_path(node, "", buf), F_OK);
}

bool channel_number(const char *node, unsigned int *major, unsigned int *minor)
{
	char buf[CLASS_PATH_MAX];
	FILE *file = fopen(class_path(node, "dev", buf), "re");
	bool found = file && fscanf(file, "%u:%u", major, minor) == 2;

	if (file)
		fclose(file);
	return found;
}

static int explain_no_node(const char *path)
{
	unsigned int major, minor;

	if (!channel_number(path, &major, &minor))
		complain("%s: the channel was just created or removed", path);
	else
		complain("%s: the channel exists, but this /dev has no node for it, as in a container or chroot; pass the device in, or try: mknod -m 660 %s c %u %u",
			 path, path, major, minor);
	return EXIT_NO_CHANNEL;
}

static int explain_missing(const char *path)
{
	bool loaded = module_loaded();

	if (loaded && !strncmp(path, "/dev/", strlen("/dev/")) && access(path, F_OK) &&
	    channel_exists(path))
		return explain_no_node(path);
	complain(loaded ? "%s: no such channel; to list the channels: bpipectl list" :
		 "%s: no such device; is the module loaded? try: modprobe bpipe", path);
	return EXIT_NO_CHANNEL;
}

/*
 * Explain a path without a channel behind it. Suggest to remove the file only if it can be
 * nothing but a leftover.
 */
static int explain_stale(const char *path, const struct stat *st, int error)
{
	if (S_ISREG(st->st_mode) && !strncmp(path, "/dev/", strlen("/dev/")))
		complain("%s: a regular file, created by a write while the module was not loaded; try: rm %s; modprobe -r bpipe; modprobe bpipe",
			 path, path);
	else if (!S_ISCHR(st->st_mode) || error == ENOTTY)
		complain("%s: not a bpipe device%s", path, S_ISCHR(st->st_mode) ?
			 "; its node may be left over from an unloaded module" : "");
	else if (module_loaded())
		complain("%s: this node has no channel; to list the channels: bpipectl list",
			 path);
	else
		complain("%s: this node has no driver and is left over from an unloaded module; try: modprobe bpipe",
			 path);
	return EXIT_NO_CHANNEL;
}

static int explain_denied(const char *path, const struct stat *st)
{
	const struct passwd *user = getpwuid(geteuid());
	const struct group *group = getgrgid(st->st_gid);
	const char *group_name = group ? group->gr_name : "?";

	if (!access(path, R_OK) || !access(path, W_OK))
		complain("%s: permission denied; without /sys, showing a channel needs read and write permission, and its mode is %04o",
			 path, st->st_mode & 07777);
	else if (st->st_uid == geteuid() || group_member(st->st_gid))
		complain("%s: permission denied, though you own it or are in its group %s; its mode is %04o; if that allows reading and writing, look for another restriction, such as a container or a security module",
			 path, group_name, st->st_mode & 07777);
	else if (st->st_gid && (st->st_mode & 0060) == 0060)
		complain("%s: permission denied; you are not in group %s, which may use it; try: sudo usermod -aG %s %s, then log in again",
			 path, group_name, group_name, user ? user->pw_name : "USER");
	else
		complain("%s: permission denied; its group is %s and its mode %04o; try sudo, or install the udev rule that gives it to group bpipe",
			 path, group_name, st->st_mode & 07777);
	return EXIT_FAILED;
}

const char *channel_changers(uint64_t mask)
{
	return mask & CHANNEL_NODE_KEYS ? "only root may set uid, gid and permissions" :
	       "only root and the node's owner may change it";
}

/* Explain EACCES of a change. Do not suggest the node's group, which may not make changes. */
static int explain_unchanged(const char *path, const struct stat *st, uint64_t mask)
{
	if (st->st_uid == geteuid() && !(mask & CHANNEL_NODE_KEYS))
		complain("%s: permission denied, though you own it; a change needs read and write permission, and its mode is %04o; if that allows both, look for another restriction, such as a container or a security module",
			 path, st->st_mode & 07777);
	else
		complain("%s: permission denied; %s; try sudo", path, channel_changers(mask));
	return EXIT_FAILED;
}

static int explain_open(const char *path)
{
	int error = errno;
	struct stat st;

	if (error == ENOENT)
		return explain_missing(path);
	if (stat(path, &st)) {
		if (errno == ENOENT)
			return explain_missing(path);
	} else if (error == EACCES) {
		return explain_denied(path, &st);
	} else if (error == ENXIO || error == ENODEV || error == ENOTTY || !S_ISCHR(st.st_mode)) {
		return explain_stale(path, &st, error);
	}
	complain("%s: %s", path, strerror(error));
	return EXIT_FAILED;
}

int channel_failed(const struct channel *ch, const char *what)
{
	if (errno == ENODEV) {
		complain("%s: the channel is gone", ch->path);
		return EXIT_NO_CHANNEL;
	}
	if (errno == ENOTTY || errno == E2BIG || errno == EOPNOTSUPP)
		complain("%s: %s: the module does not support it and is older than bpipectl; see bpipectl version",
			 ch->path, what);
	else
		complain("%s: %s: %s", ch->path, what, strerror(errno));
	return EXIT_FAILED;
}

/* Open what is needed to read a channel: its directory in sysfs, or without sysfs, the device. */
static int open_once(struct channel *ch, const char *which, const char *path)
{
	ch->dir = bpipe_look(which);
	if (ch->dir < 0 && errno == EOPNOTSUPP)
		ch->fd = bpipe_open(path, O_ACCMODE);
	return ch->dir < 0 && ch->fd < 0 ? -1 : 0;
}

static int open_device(struct channel *ch, const char *which, const char *path)
{
	(void)which;
	ch->fd = bpipe_open(path, O_ACCMODE);
	return ch->fd < 0 ? -1 : 0;
}

/*
 * Open a channel. Retry while it is being created or removed: then only one of the class
 * directory and /dev has it. If that lasts, it has another cause: retry for half a second,
 * all channels together.
 */
static int open_patiently(struct channel *ch, const char *which, const char *path,
			  int (*open_it)(struct channel *ch, const char *which,
					 const char *path))
{
	static int naps = 50;

	while (open_it(ch, which, path)) {
		int error = errno;

		if ((error != ENOENT && error != ENXIO && error != ENODEV) || !naps ||
		    !channel_exists(path)) {
			errno = error;
			return -1;
		}
		naps--;
		nap();
	}
	return 0;
}

static int open_channel(struct channel *ch, const char *which, bool named)
{
	char buf[BPIPE_PATH_MAX];
	const char *path = bpipe_path(which, buf, sizeof(buf));
	int status, error;

	if (!path) {
		complain("%s: too long for the name of a channel", which);
		return EXIT_NO_CHANNEL;
	}
	*ch = (struct channel) { .dir = -1, .fd = -1, .named = named };
	if (open_patiently(ch, which, path, open_once)) {
		error = errno;
		if (!named && !channel_exists(path))
			return CHANNEL_GONE;
		errno = error;
		return explain_open(path);
	}
	ch->path = checked(strdup(path));
	status = channel_read(ch);
	if (status)
		channel_close(ch);
	return status;
}

int channel_open(struct channel *ch, const char *which)
{
	return open_channel(ch, which, true);
}

int channel_steer(struct channel *ch, uint64_t mask)
{
	struct stat st;
	int error;

	if (ch->fd >= 0 || !open_patiently(ch, ch->path, ch->path, open_device))
		return EXIT_OK;
	error = errno;
	if (error == EACCES && !stat(ch->path, &st))
		return explain_unchanged(ch->path, &st, mask);
	errno = error;
	return explain_open(ch->path);
}

static int fetch(struct channel *ch)
{
	if (ch->dir >= 0)
		return bpipe_look_config(ch->dir, &ch->config, sizeof(ch->config)) ||
		       bpipe_look_stats(ch->dir, &ch->stats, sizeof(ch->stats));
	return bpipe_get_config(ch->fd, &ch->config, sizeof(ch->config)) ||
	       bpipe_get_stats(ch->fd, &ch->stats, sizeof(ch->stats));
}

int channel_read(struct channel *ch)
{
	char file[sizeof(ch->config.name) + sizeof("/memory")];
	int class, reason;

	if (fetch(ch))
		return errno == ENODEV && !ch->named ? CHANNEL_GONE :
		       channel_failed(ch, "cannot be read");
	snprintf(file, sizeof(file), "%s/memory", ch->config.name);
	ch->memory.all = class_number(file);
	memset(&ch->dropped, 0, sizeof(ch->dropped));
	for (class = 0; class < BPIPE_CLASSES; class++) {
		const struct bpipe_class_stats *stats = &ch->stats.classes[class];

		for (reason = 0; reason < BPIPE_DROP_REASONS; reason++) {
			ch->dropped.bytes[reason] += stats->dropped_bytes[reason];
			ch->dropped.records[reason] += stats->dropped_records[reason];
		}
	}
	return EXIT_OK;
}

int channel_watch(const struct channel *ch)
{
	return ch->dir < 0 ? -1 : bpipe_watch(ch->dir);
}

void channel_watch_again(int watch)
{
	/* Ignore a failure: if the channel is gone, the next read reports it. */
	if (watch >= 0)
		bpipe_watch_again(watch);
}

const char *channel_name_fault(const char *name)
{
	static const char letters_and_digits[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	static const char others[] = "._-";
	size_t len = strlen(name), at;

	if (!len || len > BPIPE_NAME_MAX - sizeof(BPIPE_NAME_PREFIX))
		return "it must have 1 to 25 characters";
	/* Do not use isalnum(), which accepts more letters in some locales. */
	for (at = 0; name[at]; at++)
		if (!strchr(letters_and_digits, name[at]) && !strchr(others, name[at]))
			return "it may only have letters, digits, dots, underscores and dashes";
	if (strchr(others, *name))
		return "it must begin with a letter or a digit";
	if (!strncmp(name, BPIPE_DEFAULT, strlen(BPIPE_DEFAULT)))
		return "it must not begin with bpipe, as the module's own channel and all nodes do";
	return strcmp(name, "control") ? NULL : BPIPE_CONTROL " creates channels";
}

const char *channel_node_name(const char *name, char node[BPIPE_NAME_MAX])
{
	const char *bare = bpipe_name(name), *fault;

	if (!strcmp(bare, BPIPE_DEFAULT)) {
		stpcpy(node, BPIPE_DEFAULT);
		return NULL;
	}
	fault = channel_name_fault(bare);
	if (!fault)
		stpcpy(stpcpy(node, BPIPE_NAME_PREFIX), bare);
	return fault;
}

int channel_own(const struct channel *ch, const struct bpipe_config *set)
{
	/* Leave unset values to the udev rules. Without udev, set what devtmpfs sets. */
	bool udev = !access("/run/udev/control", F_OK);
	uid_t uid = set->uid == BPIPE_UNSET && !udev ? 0 : set->uid;
	gid_t gid = set->gid == BPIPE_UNSET && !udev ? 0 : set->gid;
	uint32_t mode = set->permissions == BPIPE_UNSET && !udev ? 0660 : set->permissions;

	if (!(set->mask & BPIPE_CFG_UID))
		uid = BPIPE_UNSET;
	if (!(set->mask & BPIPE_CFG_GID))
		gid = BPIPE_UNSET;
	if ((uid != BPIPE_UNSET || gid != BPIPE_UNSET) && fchown(ch->fd, uid, gid))
		return channel_failed(ch, "cannot set its owner and group");
	if (set->mask & BPIPE_CFG_PERMISSIONS && mode != BPIPE_UNSET && fchmod(ch->fd, mode))
		return channel_failed(ch, "cannot set its permissions");
	return EXIT_OK;
}

uint64_t channel_full_in(const struct channel *ch, const struct channel *before)
{
	uint64_t elapsed = ch->stats.time_ns - before->stats.time_ns;
	uint64_t size = ch->config.size, level = ch->stats.level, rise;

	if (level >= size || level <= before->stats.level || elapsed > PACE_NS)
		return UINT64_MAX;
	rise = level - before->stats.level;
	if (rise < size / 100)
		return UINT64_MAX;
	return (double)(size - level) * elapsed / rise;
}

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_SEC + now.tv_nsec;
}

void nap(void)
{
	nanosleep(&(struct timespec) { .tv_nsec = 10000000 }, NULL);
}

void channel_close(struct channel *ch)
{
	if (ch->dir >= 0)
		close(ch->dir);
	if (ch->fd >= 0)
		close(ch->fd);
	free(ch->path);
}

/* Raise the limit of open files, because there may be more channels than it allows. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static size_t count(char *const *names)
{
	size_t nr = 0;

	while (names[nr])
		nr++;
	return nr;
}

static int open_names(struct channels *all, char **names, size_t nr, bool named)
{
	int status = EXIT_OK, failed;

	raise_limit();
	all->at = checked(calloc(nr + 1, sizeof(*all->at)));
	for (; *names; names++) {
		failed = open_channel(&all->at[all->nr], *names, named);
		if (!failed)
			all->nr++;
		else if (failed != CHANNEL_GONE && !status)
			status = failed;
	}
	return status;
}

/* Open all channels. Without the class, try /dev/bpipe, whose error says what is wrong. */
static int open_all(struct channels *all)
{
	char *standard[] = { BPIPE_DEFAULT, NULL };
	char **names = bpipe_list();
	int status;

	if (!names && errno != ENOENT) {
		complain(CLASS_DIR ": %s", strerror(errno));
		return EXIT_FAILED;
	}
	if (!names)
		return open_names(all, standard, 1, true);
	status = open_names(all, names, count(names), false);
	free(names);
	if (!status && !all->nr && !module_loaded())
		return explain_missing("/dev/" BPIPE_DEFAULT);
	return status;
}

int channels_open(struct channels *all, char **names)
{
	*all = (struct channels) { 0 };
	if (!*names)
		return open_all(all);
	return open_names(all, names, count(names), true);
}

int channels_exist(char **names)
{
	char buf[BPIPE_PATH_MAX];
	int status = EXIT_OK;
	const char *path;

	if (!*names && !module_loaded())
		return explain_missing("/dev/" BPIPE_DEFAULT);
	for (; *names; names++) {
		path = bpipe_path(*names, buf, sizeof(buf));
		if (!path || !channel_exists(path))
			status = explain_missing(path ? path : *names);
	}
	return status;
}

uint64_t class_number(const char *file)
{
	char path[CLASS_PATH_MAX];
	unsigned long long number = 0;
	FILE *from;

	snprintf(path, sizeof(path), CLASS_DIR "/%s", file);
	from = fopen(path, "re");
	if (from && fscanf(from, "%llu", &number) != 1)
		number = 0;
	if (from)
		fclose(from);
	return number;
}

uint64_t class_share(void)
{
	uint64_t max = class_number("memory_max"), percent = class_number("memory_share");

	/* Multiply in two steps, so that no cap overflows. An older module has no shares. */
	return percent ? max / 100 * percent + max % 100 * percent / 100 : max;
}

bool channels_full(void)
{
	char **names = bpipe_list();
	bool full = names && count(names) >= BPIPE_CHANNELS_MAX;

	free(names);
	return full;
}

bool channel_is_used(const char *name)
{
	static const char *const sides[] = { "readers", "writers" };
	char node[BPIPE_PATH_MAX], buf[CLASS_PATH_MAX];
	const char *path = bpipe_path(name, node, sizeof(node));
	unsigned int open = 0;
	FILE *file;

	for (size_t i = 0; path && !open && i < ARRAY_SIZE(sides); i++) {
		file = fopen(class_path(path, sides[i], buf), "re");
		if (!file || fscanf(file, "%u", &open) != 1)
			open = 1;
		if (file)
			fclose(file);
	}
	return open;
}

void channels_close(struct channels *all)
{
	while (all->nr)
		channel_close(&all->at[--all->nr]);
	free(all->at);
}
