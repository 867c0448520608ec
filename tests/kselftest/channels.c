// SPDX-License-Identifier: GPL-2.0
/*
 * Adding and removing channels by /dev/bpipe-control.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "bpipe_test.h"

#define MANY		1000

/* Return the number of channels. */
static int channels(void)
{
	DIR *class = opendir("/sys/class/bpipe");
	struct dirent *entry;
	int n = 0;

	while ((entry = readdir(class)))
		n += entry->d_type == DT_LNK;
	closedir(class);
	return n;
}

FIXTURE(control) {
	int control;
	int channels;
	unsigned long long memory;
};

FIXTURE_SETUP(control)
{
	self->control = open(CONTROL, O_RDWR);
	ASSERT_LE(0, self->control);
	self->channels = channels();
	self->memory = memory();
}

FIXTURE_TEARDOWN(control)
{
	EXPECT_EQ(self->channels, channels());
	EXPECT_EQ(self->memory, memory());
}

TEST_F(control, added_channel_has_its_own_configuration_and_queue)
{
	const struct bpipe_config config = {
		.mask = BPIPE_CFG_SIZE | BPIPE_CFG_HIGH | BPIPE_CFG_MODE | BPIPE_CFG_POLICY,
		.size = 8192, .high = 5000, .mode = BPIPE_MODE_RECORD,
		.policy = BPIPE_POLICY_DROP_OLDEST,
	};
	struct bpipe_config got;
	int fd, other;

	ASSERT_EQ(0, add_channel(self->control, "t.1_a-b", &config));
	fd = open("/dev/bpipe-t.1_a-b", O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, fd);
	got = get_config(fd);
	EXPECT_STREQ("bpipe-t.1_a-b", got.name);
	EXPECT_EQ(8192, got.size);
	EXPECT_EQ(5000, got.high);
	EXPECT_EQ(2048, got.low);
	EXPECT_EQ(BPIPE_MODE_RECORD, got.mode);
	EXPECT_EQ(BPIPE_POLICY_DROP_OLDEST, got.policy);
	EXPECT_EQ(0, access("/sys/class/bpipe/bpipe-t.1_a-b/level", R_OK));

	other = open(DEV, O_ACCMODE);
	ASSERT_EQ(5, write(fd, "alone", 5));
	EXPECT_EQ(0, get_stats(other).level);
	EXPECT_EQ(5 + BPIPE_RECORD_OVERHEAD, get_stats(fd).level);
	EXPECT_STREQ("alone", next_text(fd));
	close(other);
	close(fd);
	EXPECT_EQ(0, remove_channel(self->control, "t.1_a-b"));
	EXPECT_EQ(-1, access("/dev/bpipe-t.1_a-b", F_OK));
	EXPECT_EQ(-1, access("/sys/class/bpipe/bpipe-t.1_a-b", F_OK));
}

TEST_F(control, channel_added_without_configuration_has_defaults)
{
	struct bpipe_config got;
	int fd;

	ASSERT_EQ(0, add_channel(self->control, "t", NULL));
	fd = open("/dev/bpipe-t", O_ACCMODE);
	ASSERT_LE(0, fd);
	got = get_config(fd);
	EXPECT_EQ(got.size - got.size / 4, got.high);
	EXPECT_EQ(BPIPE_MODE_STREAM, got.mode);
	EXPECT_EQ(10000000000ULL, got.overload_after);
	close(fd);
	EXPECT_EQ(0, remove_channel(self->control, "t"));
}

/* An open sysfs file does not hold the channel; the removal wakes its pollers. */
TEST_F(control, open_sysfs_files_do_not_prevent_removal)
{
	struct pollfd p = { .events = POLLPRI };
	struct bpipe_stats stats;
	char word[32];
	pid_t pid;
	int fd;

	ASSERT_EQ(0, add_channel(self->control, "t", NULL));
	p.fd = open("/sys/class/bpipe/bpipe-t/state", O_RDONLY);
	fd = open("/sys/class/bpipe/bpipe-t/stats", O_RDONLY);
	ASSERT_LE(0, p.fd);
	ASSERT_LE(0, fd);
	EXPECT_EQ(7, pread(p.fd, word, sizeof(word), 0));
	EXPECT_EQ(0, poll(&p, 1, 0));
	ASSERT_EQ(sizeof(stats), pread(fd, &stats, sizeof(stats), 0));
	pid = spawn();
	if (!pid)
		_exit(-remove_channel(self->control, "t"));
	EXPECT_EQ(1, poll(&p, 1, 10000));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(-1, pread(p.fd, word, sizeof(word), 0));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, pread(fd, &stats, sizeof(stats), 0));
	EXPECT_EQ(ENODEV, errno);
	/* A new channel of that name does not revive the old file. */
	ASSERT_EQ(0, add_channel(self->control, "t", NULL));
	EXPECT_EQ(-1, pread(fd, &stats, sizeof(stats), 0));
	EXPECT_EQ(0, remove_channel(self->control, "t"));
	close(p.fd);
	close(fd);
}

TEST_F(control, open_channel_is_not_removed)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR, O_ACCMODE };

	ASSERT_EQ(0, add_channel(self->control, "t", NULL));
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		int fd = open("/dev/bpipe-t", modes[i] | O_NONBLOCK), copy;

		ASSERT_LE(0, fd);
		EXPECT_EQ(-EBUSY, remove_channel(self->control, "t"));
		copy = dup(fd);
		close(fd);
		EXPECT_EQ(-EBUSY, remove_channel(self->control, "t"));
		EXPECT_EQ(0, get_stats(copy).level);
		close(copy);
	}
	EXPECT_EQ(0, remove_channel(self->control, "t"));
	EXPECT_EQ(-ENOENT, remove_channel(self->control, "t"));
}

TEST_F(control, removal_discards_queued_data)
{
	int fd;

	ASSERT_EQ(0, add_channel(self->control, "t", NULL));
	fd = open("/dev/bpipe-t", O_WRONLY | O_NONBLOCK);
	ASSERT_EQ(1000, put(fd, 1000));
	close(fd);
	ASSERT_EQ(0, remove_channel(self->control, "t"));
	ASSERT_EQ(0, add_channel(self->control, "t", NULL));
	fd = open("/dev/bpipe-t", O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(-1, take(fd, 1000));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, get_stats(fd).written_bytes);
	close(fd);
	EXPECT_EQ(0, remove_channel(self->control, "t"));
}

TEST_F(control, invalid_channel_names_are_refused)
{
	static const char *const bad[] = {
		"", ".", "..", ".a", "-a", "_a", "a/b", "/a", "a b", "a\n", "a\t", "\xc3\xa4", "a*",
		"bpipe", "bpipe-a", "bpipes", "control", "abcdefghijklmnopqrstuvwxyz",
		"0123456789012345678901234567890123456789", "a!b", "%s",
	};
	struct bpipe_add tail = { .name = "a\0b" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		EXPECT_EQ(-EINVAL, add_channel(self->control, bad[i], NULL)) {
			TH_LOG("%s", bad[i]);
		}
		EXPECT_EQ(-ENOENT, remove_channel(self->control, bad[i]));
	}
	EXPECT_EQ(-1, ioctl(self->control, BPIPE_ADD, &tail));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, add_channel(self->control, "abcdefghijklmnopqrstuvwxy", NULL));
	EXPECT_EQ(-EEXIST, add_channel(self->control, "abcdefghijklmnopqrstuvwxy", NULL));
	EXPECT_EQ(0, access("/dev/bpipe-abcdefghijklmnopqrstuvwxy", F_OK));
	EXPECT_EQ(0, remove_channel(self->control, "abcdefghijklmnopqrstuvwxy"));
}

TEST_F(control, invalid_configuration_adds_no_channel)
{
	static const struct {
		struct bpipe_config config;
		int error;
	} bad[] = {
		{ { .mask = BPIPE_CFG_SIZE, .size = 1 }, -EINVAL },
		{ { .mask = BPIPE_CFG_SIZE, .size = BPIPE_SIZE_MAX }, -ENOSPC },
		{ { .mask = BPIPE_CFG_LOW, .low = 1 << 30 }, -EINVAL },
		{ { .mask = 1ULL << 63 }, -EOPNOTSUPP },
		{ { .mask = BPIPE_CFG_TTL(0), .ttl[0] = 1 }, -EOPNOTSUPP },
		{ { .pad = 1 }, -EINVAL },
	};
	struct { struct bpipe_config config; unsigned long long more; } longer = { .more = 1 };
	struct bpipe_add request = { .name = "t", .pad = 1 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EXPECT_EQ(bad[i].error, add_channel(self->control, "t", &bad[i].config));
	EXPECT_EQ(-1, ioctl(self->control, BPIPE_ADD, &request));
	EXPECT_EQ(EINVAL, errno);
	request = (struct bpipe_add) { .name = "t", .config_size = sizeof(longer.config) };
	EXPECT_EQ(-1, ioctl(self->control, BPIPE_ADD, &request));
	EXPECT_EQ(EINVAL, errno);
	request.config = (unsigned long)&longer;
	request.config_size = sizeof(longer);
	EXPECT_EQ(-1, ioctl(self->control, BPIPE_ADD, &request));
	EXPECT_EQ(E2BIG, errno);
	/* A structure longer than a page is refused even if its tail is zero. */
	request.config = (unsigned long)mmap(NULL, 1 << 20, PROT_READ,
					     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	request.config_size = sysconf(_SC_PAGESIZE) + 1;
	EXPECT_EQ(-1, ioctl(self->control, BPIPE_ADD, &request));
	EXPECT_EQ(E2BIG, errno);
	request.config_size = 1 << 20;
	EXPECT_EQ(-1, ioctl(self->control, BPIPE_ADD, &request));
	EXPECT_EQ(E2BIG, errno);
	request.config = (unsigned long)&longer;
	request.config_size = BPIPE_CONFIG_SIZE_VER0 - 1;
	EXPECT_EQ(-1, ioctl(self->control, BPIPE_ADD, &request));
	EXPECT_EQ(EINVAL, errno);
	request.config = 8;
	request.config_size = sizeof(longer.config);
	EXPECT_EQ(-1, ioctl(self->control, BPIPE_ADD, &request));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(control, size_above_memory_max_is_refused)
{
	const struct bpipe_config small = { .mask = BPIPE_CFG_SIZE, .size = 4096 };
	static const char max[] = "/sys/class/bpipe/memory_max";
	unsigned long long before;
	FILE *file = fopen(max, "r+");

	ASSERT_EQ(1, fscanf(file, "%llu", &before));
	rewind(file);
	ASSERT_LT(0, fprintf(file, "8192"));
	ASSERT_EQ(0, fflush(file));
	EXPECT_EQ(-ENOSPC, add_channel(self->control, "t", NULL));
	EXPECT_EQ(0, add_channel(self->control, "t", &small));
	EXPECT_EQ(0, remove_channel(self->control, "t"));
	rewind(file);
	EXPECT_LT(0, fprintf(file, "%llu", before));
	EXPECT_EQ(0, fclose(file));
}

TEST_F(control, longer_structures_need_a_zero_tail)
{
	struct { struct bpipe_add add; unsigned long long more; } add = { .add.name = "t" };
	struct { struct bpipe_remove remove; unsigned long long more; } gone = {
		.remove.name = "t",
	};
	const unsigned long add_longer = BPIPE_ADD + (8UL << _IOC_SIZESHIFT);
	const unsigned long remove_longer = BPIPE_REMOVE + (8UL << _IOC_SIZESHIFT);

	add.more = 1;
	EXPECT_EQ(-1, ioctl(self->control, add_longer, &add));
	EXPECT_EQ(E2BIG, errno);
	EXPECT_EQ(-1, access("/dev/bpipe-t", F_OK));
	add.more = 0;
	ASSERT_EQ(0, ioctl(self->control, add_longer, &add));
	gone.more = 1;
	EXPECT_EQ(-1, ioctl(self->control, remove_longer, &gone));
	EXPECT_EQ(E2BIG, errno);
	EXPECT_EQ(0, access("/dev/bpipe-t", F_OK));
	gone.more = 0;
	EXPECT_EQ(0, ioctl(self->control, remove_longer, &gone));
	/* The structure without flags is accepted; a shorter one never existed. */
	ASSERT_EQ(0, add_channel(self->control, "t", NULL));
	gone.remove.flags = ~0U;
	EXPECT_EQ(-1, ioctl(self->control, BPIPE_REMOVE - (16UL << _IOC_SIZESHIFT), &gone));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, ioctl(self->control, BPIPE_REMOVE - (8UL << _IOC_SIZESHIFT), &gone));
	EXPECT_EQ(-1, access("/dev/bpipe-t", F_OK));
}

TEST_F(control, adding_and_removing_need_privilege)
{
	int fd = open(DEV, O_ACCMODE);
	struct bpipe_features features;

	/* seteuid() also drops the effective capabilities. */
	ASSERT_EQ(0, seteuid(65534));
	EXPECT_EQ(-EPERM, add_channel(self->control, "t", NULL));
	EXPECT_EQ(-EPERM, remove_channel(self->control, "t"));
	EXPECT_EQ(-1, open(CONTROL, O_RDWR));
	EXPECT_EQ(EACCES, errno);
	ASSERT_EQ(0, seteuid(0));
	EXPECT_EQ(-1, ioctl(self->control, BPIPE_GET_FEATURES, &features));
	EXPECT_EQ(ENOTTY, errno);
	/* Other devices do not know these commands. */
	EXPECT_EQ(-ENOTTY, add_channel(fd, "t", NULL));
	EXPECT_EQ(-ENOTTY, remove_channel(fd, "t"));
	close(fd);
}

static dev_t device(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : st.st_rdev;
}

TEST_F(control, device_number_is_not_reused)
{
	dev_t numbers[100], last = 0;
	int i, j, fd;

	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, add_channel(self->control, "t", NULL));
		numbers[i] = device("/dev/bpipe-t");
		ASSERT_NE(0, numbers[i]);
		for (j = 0; j < i; j++)
			EXPECT_NE(numbers[j], numbers[i]);
		if (i == 50)
			last = numbers[i];
		ASSERT_EQ(0, remove_channel(self->control, "t"));
	}
	/* A stale node must not lead to a new channel. */
	ASSERT_EQ(0, mknod("/dev/left", S_IFCHR | 0600, last));
	ASSERT_EQ(0, add_channel(self->control, "t", NULL));
	fd = open("/dev/left", O_RDWR);
	EXPECT_EQ(-1, fd);
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(0, unlink("/dev/left"));
	EXPECT_EQ(0, remove_channel(self->control, "t"));
}

/* Open a channel, return its configuration, and close it. */
static struct bpipe_config config_of(const char *path)
{
	int fd = open(path, O_ACCMODE);
	struct bpipe_config config;

	if (fd < 0)
		abort();
	config = get_config(fd);
	close(fd);
	return config;
}

TEST_F(control, each_channel_has_a_unique_id)
{
	struct bpipe_config own = config_of(DEV), first, second, set;
	struct { struct bpipe_config config; unsigned long long more; } longer = { 0 };
	char text[64] = "", expected[64];
	FILE *file;
	int fd;

	ASSERT_EQ(0, add_channel(self->control, "t", &own));
	first = config_of("/dev/bpipe-t");
	EXPECT_EQ(own.id[0], first.id[0]);
	EXPECT_EQ(1, own.id[1]);
	EXPECT_LT(own.id[1], first.id[1]);
	file = fopen("/sys/class/bpipe/bpipe-t/id", "r");
	ASSERT_NE(NULL, file);
	ASSERT_EQ(1, fscanf(file, "%63s", text));
	fclose(file);
	snprintf(expected, sizeof(expected), "%016llx%016llx", first.id[0], first.id[1]);
	EXPECT_STREQ(expected, text);

	/* SET_CONFIG ignores the id and refuses a non-zero tail behind it. */
	fd = open("/dev/bpipe-t", O_ACCMODE);
	set = first;
	set.id[0]++;
	set.id[1]++;
	EXPECT_EQ(0, set_config(fd, set));
	longer.config = first;
	longer.more = 1;
	EXPECT_EQ(-1, ioctl(fd, BPIPE_SET_CONFIG + (8UL << _IOC_SIZESHIFT), &longer));
	EXPECT_EQ(E2BIG, errno);
	close(fd);
	second = config_of("/dev/bpipe-t");
	EXPECT_EQ(first.id[0], second.id[0]);
	EXPECT_EQ(first.id[1], second.id[1]);

	ASSERT_EQ(0, remove_channel(self->control, "t"));
	ASSERT_EQ(0, add_channel(self->control, "t", NULL));
	second = config_of("/dev/bpipe-t");
	EXPECT_EQ(first.id[0], second.id[0]);
	EXPECT_LT(first.id[1], second.id[1]);
	EXPECT_EQ(0, remove_channel(self->control, "t"));
}

TEST_F_TIMEOUT(control, a_thousand_channels_keep_their_data, 400)
{
	const struct bpipe_config config = { .mask = BPIPE_CFG_SIZE, .size = 4096 };
	char name[BPIPE_NAME_MAX], path[64];
	int i, fd;

	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "many-%d", i);
		ASSERT_EQ(0, add_channel(self->control, name, &config));
	}
	EXPECT_EQ(self->channels + MANY, channels());
	for (i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), "/dev/bpipe-many-%d", i);
		fd = open(path, O_RDWR | O_NONBLOCK);
		ASSERT_LE(0, fd);
		EXPECT_EQ(sizeof(i), write(fd, &i, sizeof(i)));
		close(fd);
	}
	for (i = 0; i < MANY; i++) {
		int got = -1;

		snprintf(path, sizeof(path), "/dev/bpipe-many-%d", i);
		fd = open(path, O_RDONLY);
		EXPECT_EQ(sizeof(got), read(fd, &got, sizeof(got)));
		EXPECT_EQ(i, got);
		close(fd);
	}
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "many-%d", i);
		ASSERT_EQ(0, remove_channel(self->control, name));
	}
}

/* Open and use the channel whenever it exists; exit on any unexpected error. */
static void race(void)
{
	for (;;) {
		int fd = open("/dev/bpipe-t", O_RDWR | O_NONBLOCK);

		if (fd < 0 && errno != ENOENT && errno != ENXIO && errno != ENODEV)
			_exit(errno);
		if (fd < 0)
			continue;
		if (put(fd, 100) != 100 || take(fd, 100) != 100)
			_exit(126);
		close(fd);
	}
}

TEST_F_TIMEOUT(control, removal_is_safe_while_tasks_open_the_channel, 120)
{
	int ret, done = 0, busy = 0;
	pid_t pid = spawn();

	if (!pid)
		race();
	while (done < 300) {
		ASSERT_EQ(0, add_channel(self->control, "t", NULL));
		while ((ret = remove_channel(self->control, "t")) == -EBUSY)
			busy++;
		ASSERT_EQ(0, ret);
		done++;
	}
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(-SIGKILL, reap(pid));
	TH_LOG("%d removals were refused with EBUSY", busy);
}

TEST_HARNESS_MAIN
