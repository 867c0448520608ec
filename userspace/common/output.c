// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "output.h"

/* Large enough for usual output, because errno is lost when stdio flushes a full buffer. */
static char buffer[65536];

void output_init(void)
{
	int fd;

	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));

	/* Open /dev/null for the opposite direction, so that any use fails. */
	do {
		fd = open("/dev/null", O_RDONLY);
		if (fd == STDIN_FILENO) {
			close(fd);
			fd = open("/dev/null", O_WRONLY);
		}
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

const char *output_error(FILE *to)
{
	static char reason[128];

	errno = 0;
	if ((fflush(to) || ferror(to)) && !*reason)
		stpncpy(reason, errno ? strerror(errno) : "not all output could be written",
			sizeof(reason) - 1);
	return *reason ? reason : NULL;
}
