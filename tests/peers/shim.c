// SPDX-License-Identifier: GPL-2.0
/*
 * Preloaded, points programs that know nothing of bpipe at the device: whoever
 * asks for a pipe gets the two ends of /dev/bpipe, and a FIFO is a link to it.
 * There is one such channel: while somebody has it, the rest get a real pipe.
 *
 * With BPIPE_SOCKETPAIR set, it is also in the place of a pair of sockets, for
 * programs that send from the second to the first alone.
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

/* A pipe begins empty; what its last user left is not for the next one. */
static void drain(void)
{
	int fd = open(DEV, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char buf[4096];

	while (read(fd, buf, sizeof(buf)) > 0)
		;
	close(fd);
}

/* 0 or -1 as pipe2(2); 1 if somebody has the channel. */
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
