/* SPDX-License-Identifier: GPL-2.0 */
/* Wait for udev, which gives a node the group and the permissions of its rules. */
#ifndef UDEV_H
#define UDEV_H

#include <stdint.h>
#include <time.h>

#include "bpipe.h"

/* Initialized by udev_begin(), before the change whose event udev handles. */
struct udev {
	struct timespec since;	/* CLOCK_REALTIME_COARSE, the clock of file times */
	uint64_t give_up_ns;	/* CLOCK_MONOTONIC; 0 before the first wait */
	int watch;		/* inotify on the database of udev; -1 for none */
};

void udev_begin(struct udev *udev);
void udev_end(struct udev *udev);

/*
 * Wait until udev has handled the event of this node ("bpipe-jobs"). Return at once if
 * @config leaves nothing to the rules, or where udev does not run. All waits of one struct
 * udev together take five seconds at most, and then print a warning.
 */
void udev_wait(struct udev *udev, const char *node, const struct bpipe_config *config);

#endif /* UDEV_H */
