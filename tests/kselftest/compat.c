// SPDX-License-Identifier: GPL-2.0
/*
 * ioctls of 32-bit programs: the same structures, through the compat entry.
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "bpipe_test.h"

#ifdef __x86_64__

#define NR_IOCTL_32	54

/* Call ioctl(2) as a 32-bit program does, with @arg below 4 GiB; return 0 or -errno. */
static int ioctl_32(int fd, unsigned int cmd, void *arg)
{
	long ret;

	asm volatile("int $0x80" : "=a" (ret)
		     : "a" (NR_IOCTL_32), "b" (fd), "c" (cmd), "d" (arg)
		     : "memory", "r8", "r9", "r10", "r11");
	return ret;
}

static void *low_page(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
		    -1, 0);
}

/* Return true if the kernel runs 32-bit programs; otherwise, the child gets a signal. */
static bool entry_is_there(void)
{
	pid_t pid = spawn();

	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		_exit(ioctl_32(-1, 0, NULL) != -EBADF);
	}
	return reap(pid) == 0;
}

#else

#define ioctl_32(fd, cmd, arg)	((void)(fd), (void)(cmd), (void)(arg), -1)

static void *low_page(void)
{
	return NULL;
}

static bool entry_is_there(void)
{
	return false;
}

#endif

TEST_F(channel, compat_get_commands_return_the_same)
{
	struct bpipe_stats stats, *compat_stats;
	struct bpipe_features features;
	struct bpipe_config config;
	struct bpipe_window window;
	void *page = low_page();

	if (!entry_is_there())
		SKIP(return, "no 32-bit system calls on this kernel");
	ASSERT_EQ(HIGH, put(self->wr, HIGH));
	EXPECT_EQ(0, ioctl(self->ctl, BPIPE_GET_FEATURES, &features));
	EXPECT_EQ(0, ioctl_32(self->ctl, BPIPE_GET_FEATURES, page));
	EXPECT_EQ(0, memcmp(page, &features, sizeof(features)));
	config = get_config(self->ctl);
	EXPECT_EQ(0, ioctl_32(self->ctl, BPIPE_GET_CONFIG, page));
	EXPECT_EQ(0, memcmp(page, &config, sizeof(config)));
	window = get_window(self->ctl);
	EXPECT_EQ(0, ioctl_32(self->ctl, BPIPE_GET_WINDOW, page));
	EXPECT_EQ(0, memcmp(page, &window, sizeof(window)));
	stats = get_stats(self->ctl);
	EXPECT_EQ(0, ioctl_32(self->ctl, BPIPE_GET_STATS, page));
	compat_stats = page;
	stats.time_ns = compat_stats->time_ns;
	EXPECT_EQ(0, memcmp(page, &stats, sizeof(stats)));
}

TEST_F(channel, compat_set_commands_take_effect)
{
	struct bpipe_config *config;
	struct bpipe_reader *reader;
	struct bpipe_events *events;
	void *page = low_page();

	if (!entry_is_there())
		SKIP(return, "no 32-bit system calls on this kernel");
	config = page;
	*config = (struct bpipe_config) { .mask = BPIPE_CFG_LOW, .low = 1234 };
	EXPECT_EQ(0, ioctl_32(self->ctl, BPIPE_SET_CONFIG, config));
	EXPECT_EQ(1234, get_config(self->ctl).low);
	config->low = SIZE;
	EXPECT_EQ(-EINVAL, ioctl_32(self->ctl, BPIPE_SET_CONFIG, config));
	EXPECT_EQ(1234, get_config(self->ctl).low);

	reader = page;
	*reader = (struct bpipe_reader) { .mask = BPIPE_READER_THRESHOLD, .threshold = SIZE };
	EXPECT_EQ(0, ioctl_32(self->rd, BPIPE_SET_READER, reader));
	reader->threshold++;
	EXPECT_EQ(-EINVAL, ioctl_32(self->rd, BPIPE_SET_READER, reader));

	ASSERT_EQ(HIGH, put(self->wr, HIGH));
	events = page;
	EXPECT_EQ(0, ioctl_32(self->ctl, BPIPE_GET_EVENTS, events));
	EXPECT_EQ(BPIPE_EVENT_HIGH, events->events);
	EXPECT_EQ(0, get_events(self->ctl).events);

	ASSERT_EQ(HIGH, take(self->rd, HIGH));
	EXPECT_EQ(0, ioctl_32(self->ctl, BPIPE_RESET_PEAKS, NULL));
	EXPECT_EQ(0, get_stats(self->ctl).peak_level);
}

TEST_F(channel, compat_entry_handles_fionread_and_unknown_commands)
{
	void *page = low_page();

	if (!entry_is_there())
		SKIP(return, "no 32-bit system calls on this kernel");
	ASSERT_EQ(123, put(self->wr, 123));
	EXPECT_EQ(0, ioctl_32(self->rd, FIONREAD, page));
	EXPECT_EQ(123, *(int *)page);
	EXPECT_EQ(-ENOTTY, ioctl_32(self->rd, _IO(BPIPE_IOC_MAGIC, 0x7f), page));
}

TEST_HARNESS_MAIN
