// SPDX-License-Identifier: GPL-2.0
/*
 * A library to preload, so that programs written for pipes use the device: pipe()
 * returns the two ends of /dev/bpipe, and mkfifo() makes a link to it. There is one such
 * channel: while a process has it open, pipe() returns a real pipe.
 *
 * With BPIPE_SOCKETPAIR set, the channel also replaces a pair of sockets, for programs
 * that only send from the second to the first.
 */

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/bpipe.h>

#define DEV	"/dev/bpipe"

static bool is_free(int ctl)
{
	struct bpipe_stats stats;

	return !ioctl(ctl, BPIPE_GET_STATS, &stats) && !stats.readers && !stats.writers;
}

/* Remove what the previous user left: a new pipe is empty. */
static void drain(void)
{
	int fd = open(DEV, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char buf[4096];

	while (read(fd, buf, sizeof(buf)) > 0)
		;
	close(fd);
}

/* Return 0 or -1 as pipe2(2), or 1 if a process has the channel open. */
static int take(int fds[2], int flags)
{
	int ctl = open(DEV, O_ACCMODE | O_CLOEXEC);
	int ret = 1;

	flock(ctl, LOCK_EX);
	if (is_free(ctl)) {
		drain();
		fds[0] = open(DEV, O_RDONLY | flags);
		fds[1] = open(DEV, O_WRONLY | flags);
		ret = fds[0] < 0 || fds[1] < 0 ? -1 : 0;
	}
	close(ctl);
	return ret;
}

int pipe2(int fds[2], int flags)
{
	int ret = take(fds, flags);

	return ret <= 0 ? ret : syscall(SYS_pipe2, fds, flags);
}

int pipe(int fds[2])
{
	return pipe2(fds, 0);
}

int mkfifo(const char *path, mode_t mode)
{
	(void)mode;
	return symlink(DEV, path);
}

int socketpair(int domain, int type, int protocol, int fds[2])
{
	int ret = getenv("BPIPE_SOCKETPAIR") ? take(fds, 0) : 1;

	return ret <= 0 ? ret : syscall(SYS_socketpair, domain, type, protocol, fds);
}
