// SPDX-License-Identifier: GPL-2.0
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpipectl.h"
#include "channel.h"
#include "udev.h"

#define CONTROL		"/run/udev/control"
#define DATABASE	"/run/udev/data"

#define NS_PER_MS	1000000ULL
#define PATIENCE_NS	(5000 * NS_PER_MS)
#define INTERVAL_NS	(10 * NS_PER_MS)	/* without a database to watch */

void udev_begin(struct udev *udev)
{
	*udev = (struct udev) { .watch = -1 };
	clock_gettime(CLOCK_REALTIME_COARSE, &udev->since);
}

void udev_end(struct udev *udev)
{
	if (udev->watch >= 0)
		close(udev->watch);
	udev->watch = -1;
}

/* Watch the database. udev creates it for its first device, so a later call may succeed. */
static void watch(struct udev *udev)
{
	if (udev->watch >= 0)
		return;
	udev->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (udev->watch < 0 ||
	    inotify_add_watch(udev->watch, DATABASE, IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE) >= 0)
		return;
	close(udev->watch);
	udev->watch = -1;
}

/*
 * Return true if udev has written the entry since udev_begin(). udev writes it after it has
 * set owner, group and permissions. An older entry may be that of a removed channel.
 */
static bool is_handled(const struct udev *udev, const char *entry)
{
	struct stat st;

	if (stat(entry, &st))
		return false;
	return st.st_ctim.tv_sec != udev->since.tv_sec ?
	       st.st_ctim.tv_sec > udev->since.tv_sec :
	       st.st_ctim.tv_nsec >= udev->since.tv_nsec;
}

/* Sleep until the database changes. Return false once the timeout has expired. */
static bool sleep_for_change(const struct udev *udev)
{
	struct pollfd pollfd = { .fd = udev->watch, .events = POLLIN };
	uint64_t now = now_ns(), left = udev->give_up_ns > now ? udev->give_up_ns - now : 0;
	char events[4096];

	if (!left)
		return false;
	if (udev->watch < 0 && left > INTERVAL_NS)
		left = INTERVAL_NS;
	poll(&pollfd, 1, (left + NS_PER_MS - 1) / NS_PER_MS);
	while (udev->watch >= 0 && read(udev->watch, events, sizeof(events)) > 0)
		;
	return true;
}

void udev_wait(struct udev *udev, const char *node, const struct bpipe_config *config)
{
	char entry[sizeof(DATABASE "/c:") + 2 * BPIPE_TEXT_MAX];
	unsigned int major, minor;

	if (config->uid != BPIPE_UNSET && config->gid != BPIPE_UNSET &&
	    config->permissions != BPIPE_UNSET)
		return;
	if (access(CONTROL, F_OK) || !channel_number(node, &major, &minor))
		return;
	snprintf(entry, sizeof(entry), DATABASE "/c%u:%u", major, minor);
	if (!udev->give_up_ns)
		udev->give_up_ns = now_ns() + PATIENCE_NS;
	for (;;) {
		watch(udev);
		if (is_handled(udev, entry))
			return;
		if (!sleep_for_change(udev))
			break;
	}
	complain("%s: warning: udev has not handled it in time, so its group and permissions may change later",
		 node);
}
