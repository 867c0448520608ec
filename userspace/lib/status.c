// SPDX-License-Identifier: MIT OR GPL-2.0
/* The status page of a channel. */
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib.h"

static size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

const struct bpipe_status *bpipe_status_map(int fd)
{
	int status = ioctl(fd, BPIPE_OPEN_STATUS), error;
	void *page;

	if (status < 0)
		return NULL;
	page = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, status, 0);
	error = errno;
	close(status);
	errno = error;
	return page == MAP_FAILED ? NULL : page;
}

void bpipe_status_read(const struct bpipe_status *page, struct bpipe_status *status, size_t size)
{
	size_t len = size < page_size() ? size : page_size();
	uint32_t seq;

	memset(status, 0, size);
	do {
		seq = __atomic_load_n(&page->seq, __ATOMIC_ACQUIRE);
		memcpy(status, (const void *)page, len);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (seq % 2 || seq != __atomic_load_n(&page->seq, __ATOMIC_RELAXED));
	if (size >= sizeof(status->seq))
		status->seq = seq;
}

void bpipe_status_unmap(const struct bpipe_status *page)
{
	munmap((void *)page, page_size());
}
