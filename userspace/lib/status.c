// SPDX-License-Identifier: GPL-2.0
/* The status page: what a channel is like, without a system call. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpipe.h"

const struct bpipe_status *bpipe_status_map(int fd)
{
	int status = ioctl(fd, BPIPE_OPEN_STATUS), error;
	void *page;

	if (status < 0)
		return NULL;
	page = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ, MAP_SHARED, status, 0);
	error = errno;
	close(status);
	errno = error;
	return page == MAP_FAILED ? NULL : page;
}

void bpipe_status_read(const struct bpipe_status *page, struct bpipe_status *status)
{
	uint32_t seq;

	do {
		seq = __atomic_load_n(&page->seq, __ATOMIC_ACQUIRE);
		memcpy(status, (const void *)page, sizeof(*status));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (seq % 2 || seq != __atomic_load_n(&page->seq, __ATOMIC_RELAXED));
	status->seq = seq;
}

void bpipe_status_unmap(const struct bpipe_status *page)
{
	munmap((void *)page, sysconf(_SC_PAGESIZE));
}
