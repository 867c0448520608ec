// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpipectl.h"
#include "channel.h"

#define CLASS_DIR	"/sys/class/bpipe"
#define MODULE_DIR	"/sys/module/bpipe"

/* In any locale, as the module has it. */
static bool is_letter_or_digit(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool module_loaded(void)
{
	return !access(MODULE_DIR, F_OK);
}

static int explain_missing(const char *path)
{
	if (!module_loaded())
		complain("%s: no such device; is the module loaded? try: modprobe bpipe", path);
	else
		complain("%s: no such channel; to see those there are: bpipectl list", path);
	return EXIT_NO_CHANNEL;
}

/*
 * The node is there, but what it leads to is not a channel (any more). To
 * remove it is advised only where nothing else can be meant.
 */
static int explain_stale(const char *path, const struct stat *st, int error)
{
	if (S_ISREG(st->st_mode) && !strncmp(path, "/dev/", strlen("/dev/")))
		complain("%s: a regular file, made by a write while the module was not loaded; try: rm %s; modprobe -r bpipe; modprobe bpipe",
			 path, path);
	else if (!S_ISCHR(st->st_mode) || error == ENOTTY)
		complain("%s: not a bpipe device%s", path, S_ISCHR(st->st_mode) ?
			 ", or left over from an unloaded module and now another driver's" : "");
	else
		complain("%s: no driver behind it, left over from an unloaded module; try: modprobe bpipe",
			 path);
	return EXIT_NO_CHANNEL;
}

static int explain_denied(const char *path, const struct stat *st)
{
	const struct passwd *user = getpwuid(geteuid());
	const struct group *group = getgrgid(st->st_gid);
	const char *group_name = group ? group->gr_name : "?";

	if (st->st_gid && (st->st_mode & 0060) == 0060)
		complain("%s: permission denied; you are not in group %s, which may use it; try: sudo usermod -aG %s %s, then log in again",
			 path, group_name, group_name, user ? user->pw_name : "USER");
	else
		complain("%s: permission denied; its group is %s and its mode %04o; be root, or install the udev rule that opens it to group bpipe",
			 path, group_name, st->st_mode & 07777);
	return EXIT_FAILED;
}

static int explain_open(const char *path)
{
	int error = errno;
	struct stat st;

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

int channel_open(struct channel *ch, const char *which)
{
	char buf[BPIPE_PATH_MAX];
	const char *path = bpipe_path(which, buf);
	int status;

	if (!path) {
		complain("%s: no channel has so long a name", which);
		return EXIT_NO_CHANNEL;
	}
	*ch = (struct channel) { .fd = bpipe_open(path, O_ACCMODE) };
	if (ch->fd < 0)
		return explain_open(path);
	ch->path = checked(strdup(path));
	status = channel_read(ch);
	if (status)
		channel_close(ch);
	return status;
}

int channel_read(struct channel *ch)
{
	int class, reason;

	if (bpipe_get_config(ch->fd, &ch->config) || bpipe_get_stats(ch->fd, &ch->stats))
		return channel_failed(ch, "cannot be read");
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

const char *channel_bare_name(const char *node)
{
	size_t len = strlen(BPIPE_NAME_PREFIX);

	return strncmp(node, BPIPE_NAME_PREFIX, len) ? node : node + len;
}

/* The module's rule for names; see struct bpipe_add. */
int channel_node_name(const char *name, char node[BPIPE_NAME_MAX])
{
	const char *bare = channel_bare_name(name);
	size_t len = strlen(bare);

	if (!strcmp(name, BPIPE_DEFAULT)) {
		stpcpy(node, BPIPE_DEFAULT);
		return 0;
	}
	if (len > BPIPE_NAME_MAX - sizeof(BPIPE_NAME_PREFIX) || !is_letter_or_digit(*bare) ||
	    !strncmp(bare, BPIPE_DEFAULT, strlen(BPIPE_DEFAULT)) || !strcmp(bare, "control"))
		return -1;
	for (size_t i = 0; i < len; i++)
		if (!is_letter_or_digit(bare[i]) && !strchr("._-", bare[i]))
			return -1;
	stpcpy(stpcpy(node, BPIPE_NAME_PREFIX), bare);
	return 0;
}

int channel_own(const struct channel *ch, const struct bpipe_config *set)
{
	uid_t uid = set->mask & BPIPE_CFG_UID ? set->uid : BPIPE_UNSET;
	gid_t gid = set->mask & BPIPE_CFG_GID ? set->gid : BPIPE_UNSET;

	if ((uid != BPIPE_UNSET || gid != BPIPE_UNSET) && fchown(ch->fd, uid, gid))
		return channel_failed(ch, "cannot be given to its owner");
	if (set->mask & BPIPE_CFG_PERMISSIONS && set->permissions != BPIPE_UNSET &&
	    fchmod(ch->fd, set->permissions))
		return channel_failed(ch, "cannot be given its permissions");
	return EXIT_OK;
}

uint64_t channel_full_in(const struct channel *ch, const struct channel *before)
{
	uint64_t elapsed = ch->stats.time_ns - before->stats.time_ns;
	uint64_t room = ch->config.size - ch->stats.level;

	if (ch->stats.level <= before->stats.level)
		return UINT64_MAX;
	return (double)room * elapsed / (ch->stats.level - before->stats.level);
}

void channel_close(struct channel *ch)
{
	close(ch->fd);
	free(ch->path);
}

/* The class directory has a link for each channel, and files of its own. */
static int is_link(const struct dirent *entry)
{
	return entry->d_type == DT_LNK;
}

/* There may be more channels than a process may usually have open. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Without the class, the device that ought to be there tells what is wrong. */
static int open_all(struct channels *all)
{
	char *standard[] = { BPIPE_DEFAULT, NULL };
	struct dirent **entries;
	char **names;
	int nr, i, status;

	raise_limit();
	nr = scandir(CLASS_DIR, &entries, is_link, alphasort);
	if (nr < 0)
		return channels_open(all, standard);
	names = checked(calloc(nr + 1, sizeof(*names)));
	for (i = 0; i < nr; i++)
		names[i] = entries[i]->d_name;
	status = nr ? channels_open(all, names) : EXIT_OK;
	while (nr--)
		free(entries[nr]);
	free(entries);
	free(names);
	return status;
}

int channels_open(struct channels *all, char **names)
{
	int status = EXIT_OK, failed;
	size_t nr = 0;

	*all = (struct channels) { 0 };
	if (!*names)
		return open_all(all);
	while (names[nr])
		nr++;
	all->at = checked(calloc(nr, sizeof(*all->at)));
	for (; *names; names++) {
		failed = channel_open(&all->at[all->nr], *names);
		if (!failed)
			all->nr++;
		else if (!status)
			status = failed;
	}
	return status;
}

bool channel_exists(const char *node)
{
	char entry[sizeof(CLASS_DIR "/") + BPIPE_NAME_MAX];
	size_t len = snprintf(entry, sizeof(entry), CLASS_DIR "/%s", node);

	return len < sizeof(entry) && !access(entry, F_OK);
}

int channels_exist(char **names)
{
	char buf[BPIPE_PATH_MAX];
	int status = EXIT_OK;
	const char *path;

	if (!*names && !module_loaded())
		return explain_missing("/dev/" BPIPE_DEFAULT);
	for (; *names; names++) {
		path = bpipe_path(*names, buf);
		if (!path || !channel_exists(strrchr(path, '/') + 1))
			status = explain_missing(path ? path : *names);
	}
	return status;
}

void channels_close(struct channels *all)
{
	while (all->nr)
		channel_close(&all->at[--all->nr]);
	free(all->at);
}
