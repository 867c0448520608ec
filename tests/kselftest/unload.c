// SPDX-License-Identifier: GPL-2.0
/*
 * Loading and unloading: refused while a channel is open, and nothing is left behind.
 * BPIPE_KO names the module, which is loaded at the end.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <sys/syscall.h>

#include "bpipe_test.h"

#define LOADS	200
#define ODD	(3 * 4096 + 1000000)	/* a size of vmalloc() areas that no other user has */

/* Load the module with @parameters; return 0 or -errno. */
static int load(const char *parameters)
{
	const char *ko = getenv("BPIPE_KO");
	int fd = open(ko ? ko : "bpipe.ko", O_RDONLY | O_CLOEXEC);
	int ret = syscall(SYS_finit_module, fd, parameters, 0) ? -errno : 0;

	close(fd);
	return ret;
}

static int unload(void)
{
	return syscall(SYS_delete_module, "bpipe", O_NONBLOCK) ? -errno : 0;
}

/* Return the number of lines in @file that contain @text. */
static int lines(const char *file, const char *text)
{
	FILE *f = fopen(file, "r");
	char line[512];
	int n = 0;

	if (!f)
		abort();
	while (fgets(line, sizeof(line), f))
		n += !!strstr(line, text);
	fclose(f);
	return n;
}

FIXTURE(module) {
};

FIXTURE_SETUP(module)
{
	if (!getenv("BPIPE_KO"))
		SKIP(return, "BPIPE_KO does not name the module");
	ASSERT_TRUE(!unload() || errno == ENOENT);
}

FIXTURE_TEARDOWN(module)
{
	unload();
	EXPECT_EQ(0, load(""));
}

TEST_F(module, module_is_busy_while_a_channel_is_open)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR, O_ACCMODE };
	int fd;

	ASSERT_EQ(0, load(""));
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		fd = open(DEV, modes[i]);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-EWOULDBLOCK, unload());
		EXPECT_EQ(0, get_stats(fd).level);
		close(fd);
	}
	EXPECT_EQ(0, unload());
}

TEST_F(module, unloading_leaves_no_nodes)
{
	ASSERT_EQ(0, load(""));
	EXPECT_EQ(0, access(DEV, F_OK));
	EXPECT_EQ(0, access(SYSFS, F_OK));
	ASSERT_EQ(0, unload());
	EXPECT_EQ(-1, access(DEV, F_OK));
	EXPECT_EQ(-1, access("/sys/class/bpipe", F_OK));
	EXPECT_NE(0, system("grep -w bpipe /proc/devices"));
}

TEST_F(module, module_is_busy_while_a_removed_channel_is_open)
{
	int control, fd, status;

	ASSERT_EQ(0, load(""));
	control = open(CONTROL, O_RDWR);
	ASSERT_EQ(0, add_channel(control, "t", NULL));
	fd = open("/dev/bpipe-t", O_RDWR | O_NONBLOCK);
	ASSERT_EQ(100, put(fd, 100));
	status = ioctl(fd, BPIPE_OPEN_STATUS);
	ASSERT_LE(0, status);
	ASSERT_EQ(0, remove_with(control, "t", BPIPE_REMOVE_FORCE));
	close(control);
	EXPECT_EQ(-EWOULDBLOCK, unload());
	EXPECT_EQ(-1, put(fd, 100));
	EXPECT_EQ(ENODEV, errno);
	close(fd);
	EXPECT_EQ(-EWOULDBLOCK, unload());
	EXPECT_EQ(POLLHUP, ready(status, POLLIN));
	close(status);
	EXPECT_EQ(0, unload());
}

/* A draining channel does not keep the module loaded once its files are closed. */
TEST_F(module, module_unloads_while_a_channel_drains)
{
	for (int i = 0; i < 20; i++) {
		int control, fd;

		ASSERT_EQ(0, load(""));
		control = open(CONTROL, O_RDWR);
		ASSERT_EQ(0, add_channel(control, "t", NULL));
		fd = open("/dev/bpipe-t", O_RDWR | O_NONBLOCK);
		ASSERT_EQ(100, put(fd, 100));
		ASSERT_EQ(0, remove_with(control, "t", BPIPE_REMOVE_DRAIN));
		if (i % 2)
			ASSERT_EQ(100, take(fd, 100));
		close(control);
		/* Closing an empty, draining channel removes it, concurrently with unload(). */
		close(fd);
		EXPECT_EQ(0, unload());
	}
}

TEST_F(module, each_load_has_its_own_id)
{
	struct bpipe_config config[2];
	int fd;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, load(""));
		fd = open(DEV, O_ACCMODE);
		ASSERT_LE(0, fd);
		config[i] = get_config(fd);
		close(fd);
		ASSERT_EQ(0, unload());
	}
	EXPECT_NE(config[0].id[0], config[1].id[0]);
	EXPECT_EQ(config[0].id[1], config[1].id[1]);
}

TEST_F(module, size_is_the_only_parameter)
{
	struct dirent *entry;
	DIR *parameters;
	int fd;

	ASSERT_EQ(0, load("size=96K"));
	fd = open(DEV, O_RDWR | O_NONBLOCK);
	EXPECT_EQ(98304, get_config(fd).size);
	EXPECT_EQ(73728, get_config(fd).high);
	EXPECT_EQ(24576, get_config(fd).low);
	EXPECT_EQ(98304, put(fd, 100000));
	close(fd);
	parameters = opendir("/sys/module/bpipe/parameters");
	while ((entry = readdir(parameters)))
		if (entry->d_name[0] != '.')
			EXPECT_STREQ("size", entry->d_name);
	closedir(parameters);
	EXPECT_EQ(1, lines("/sys/module/bpipe/parameters/size", "98304\n"));
}

TEST_F(module, bad_sizes_fail_the_load_and_leave_nothing)
{
	EXPECT_EQ(-EINVAL, load("size="));
	EXPECT_EQ(-EINVAL, load("size=many"));
	EXPECT_EQ(-EINVAL, load("size=64KB"));
	EXPECT_EQ(-EINVAL, load("size=4095"));
	EXPECT_EQ(-EINVAL, load("size=1025M"));
	EXPECT_EQ(-1, access("/sys/class/bpipe", F_OK));
	EXPECT_EQ(0, load("size=4096"));
}

/* Return true if the kernel's log, from the position of @kmsg, has a line with @text. */
static bool logged(int kmsg, const char *text)
{
	char line[1024];
	bool found = false;
	ssize_t n;

	while ((n = read(kmsg, line, sizeof(line) - 1)) > 0) {
		line[n] = 0;
		found |= !!strstr(line, text);
	}
	return found;
}

TEST_F(module, log_says_why_a_size_is_refused)
{
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);

	ASSERT_LE(0, kmsg);
	ASSERT_LE(0, lseek(kmsg, 0, SEEK_END));
	EXPECT_EQ(-EINVAL, load("size=4095"));
	EXPECT_TRUE(logged(kmsg, "size is 4095, but must be 4096 to 1073741824 bytes"));
	EXPECT_EQ(-EINVAL, load("size=1025M"));
	EXPECT_TRUE(logged(kmsg, "size is 1074790400, but must be 4096 to 1073741824 bytes"));
	EXPECT_EQ(-EINVAL, load("size=many"));
	EXPECT_TRUE(logged(kmsg, "`many' invalid for parameter `size'"));
	/* 1 GiB exceeds a sixteenth of the guest's memory, the most for one channel. */
	EXPECT_EQ(-ENOSPC, load("size=1G"));
	EXPECT_TRUE(logged(kmsg, "the buffers of a channel may take"));
	close(kmsg);
}

/*
 * Return the number of buffers: vmalloc() areas of the odd size and a guard page. Freed
 * areas are listed as unpurged until the kernel reuses them.
 */
static int buffers(void)
{
	const int bytes = (ODD + 4095) / 4096 * 4096 + 4096;
	char all[32], unpurged[32];

	snprintf(all, sizeof(all), " %d ", bytes);
	snprintf(unpurged, sizeof(unpurged), " %d unpurged", bytes);
	return lines("/proc/vmallocinfo", all) - lines("/proc/vmallocinfo", unpurged);
}

/* Return the number of objects in the slab caches of accounted memory. */
static long objects(void)
{
	FILE *f = fopen("/proc/slabinfo", "r");
	char line[512];
	long sum = 0, n;

	if (!f)
		abort();
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "kmalloc-cg-%*s %ld", &n) == 1)
			sum += n;
	fclose(f);
	return sum;
}

/*
 * Open, use and close the channel in random ways until killed. Each round waits for a byte
 * of the pipe @again, so that the channel is closed at times.
 */
static void race(unsigned int seed, int again)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR, O_ACCMODE };
	struct bpipe_stats stats;
	int fd;

	srand(seed);
	while (take(again, 1) == 1) {
		fd = open(DEV, modes[rand() % 4] | O_NONBLOCK);
		if (fd < 0)
			continue;
		put(fd, rand() % 10000);
		ready(fd, POLLIN | POLLOUT | POLLPRI);
		ioctl(fd, BPIPE_GET_STATS, &stats);
		take(fd, rand() % 10000);
		close(fd);
	}
}

TEST_F_TIMEOUT(module, loading_under_use_leaks_nothing, 600)
{
	long before = 0;
	char size[32];
	int i, fd, again[2];
	pid_t pid[2];

	ASSERT_EQ(0, pipe(again));
	snprintf(size, sizeof(size), "size=%d", ODD);
	for (i = 0; i < 2; i++) {
		pid[i] = spawn();
		if (!pid[i])
			race(i, again[0]);
	}
	for (i = 0; i < LOADS; i++) {
		ASSERT_EQ(0, load(size));
		put(again[1], 20);
		fd = open(DEV, O_RDWR | O_NONBLOCK);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-EWOULDBLOCK, unload());
		put(fd, 1000);
		take(fd, 1000);
		/* A racing first writer frees its own buffer when it finds another one. */
		EXPECT_TRUE(EVENTUALLY(buffers() == 1));
		close(fd);
		ASSERT_TRUE(EVENTUALLY(!unload()));
		ASSERT_EQ(0, buffers());
		if (i == LOADS / 2)
			before = objects();
	}
	for (i = 0; i < 2; i++) {
		kill(pid[i], SIGKILL);
		reap(pid[i]);
	}
	/* On a kernel with kmemleak, KASAN delays frees; kmemleak finds the leaks there. */
	if (access("/sys/kernel/debug/kmemleak", F_OK))
		EXPECT_GT(LOADS / 4, objects() - before);
}

TEST_HARNESS_MAIN
