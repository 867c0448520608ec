// SPDX-License-Identifier: GPL-2.0
/*
 * ioctls and sysfs attributes: each command, its errors, and that a refused call changes
 * nothing.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/stat.h>

#include "bpipe_test.h"

static char *page(int prot)
{
	return mmap(NULL, 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Return @cmd for a structure of another size. */
static unsigned int sized(unsigned int cmd, unsigned int size)
{
	return _IOC(_IOC_DIR(cmd), _IOC_TYPE(cmd), _IOC_NR(cmd), size);
}

static const unsigned int with_struct[] = {
	BPIPE_GET_FEATURES, BPIPE_SET_CONFIG, BPIPE_GET_CONFIG, BPIPE_GET_STATS,
	BPIPE_GET_WINDOW, BPIPE_SET_READER, BPIPE_GET_EVENTS, BPIPE_SET_WRITER, BPIPE_GRANT,
};

#define for_each_command(i) \
	for (size_t i = 0; i < sizeof(with_struct) / sizeof(with_struct[0]); i++)

/* Expect SET_CONFIG to fail with @error and to leave the configuration as it was. */
#define EXPECT_REFUSED(error, ...) do {						\
	const struct bpipe_config _set = { __VA_ARGS__ };			\
	struct bpipe_config _before = get_config(self->ctl), _after;		\
	EXPECT_EQ(-(error), set_config(self->ctl, _set));			\
	_after = get_config(self->ctl);						\
	EXPECT_EQ(0, memcmp(&_before, &_after, sizeof(_before)));		\
} while (0)

TEST_F(channel, features_are_reported)
{
	struct bpipe_features f = { 0 };

	ASSERT_EQ(0, ioctl(self->ctl, BPIPE_GET_FEATURES, &f));
	EXPECT_TRUE(f.features & BPIPE_FEATURE_STREAM);
	EXPECT_TRUE(f.features & BPIPE_FEATURE_RATE);
	EXPECT_TRUE(f.features & BPIPE_FEATURE_READER);
	EXPECT_TRUE(f.features & BPIPE_FEATURE_EVENTS);
	EXPECT_EQ(f.config_mask, get_config(self->ctl).mask);
}

TEST_F(channel, feature_masks_match_the_accepted_bits)
{
	struct bpipe_config config = get_config(self->ctl);
	struct bpipe_reader reader = { .threshold = 1 };
	struct bpipe_features f;

	ASSERT_EQ(0, ioctl(self->ctl, BPIPE_GET_FEATURES, &f));
	for (int bit = 0; bit < 64; bit++) {
		config.mask = 1ULL << bit;
		reader.mask = config.mask;
		EXPECT_EQ(f.config_mask & config.mask ? 0 : -EOPNOTSUPP,
			  set_config(self->ctl, config));
		EXPECT_EQ(f.reader_mask & reader.mask ? 0 : -1,
			  ioctl(self->rd, BPIPE_SET_READER, &reader));
	}
}

TEST_F(channel, node_is_accessible_to_owner_and_group)
{
	struct stat st;

	ASSERT_EQ(0, fstat(self->ctl, &st));
	EXPECT_EQ(S_IFCHR | 0660, st.st_mode);
}

TEST_F(channel, unknown_commands_give_enotty)
{
	EXPECT_EQ(-1, ioctl(self->ctl, _IO(BPIPE_IOC_MAGIC, 0x7f), 0));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(-1, ioctl(self->ctl, _IO('T', 0x7f), 0));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(-1, ioctl(self->ctl, _IOW(BPIPE_IOC_MAGIC, 0x03, struct bpipe_stats), 0));
	EXPECT_EQ(ENOTTY, errno);
}

TEST_F(channel, structures_shorter_than_ver0_give_einval)
{
	for_each_command(i) {
		EXPECT_EQ(-1, ioctl(self->rd, sized(with_struct[i], 4),
				    page(PROT_READ | PROT_WRITE)));
		EXPECT_EQ(EINVAL, errno);
	}
}

TEST_F(channel, bad_addresses_give_efault)
{
	for_each_command(i) {
		EXPECT_EQ(-1, ioctl(self->rd, with_struct[i], page(PROT_NONE)));
		EXPECT_EQ(EFAULT, errno);
	}
	EXPECT_EQ(-1, ioctl(self->rd, FIONREAD, page(PROT_NONE)));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(channel, longer_structures_need_a_zero_tail)
{
	struct {
		struct bpipe_config config;
		char more[64];
	} set = { .config = { .mask = BPIPE_CFG_LOW, .low = 100 } };

	EXPECT_EQ(0, ioctl(self->ctl, sized(BPIPE_SET_CONFIG, sizeof(set)), &set));
	EXPECT_EQ(100, get_config(self->ctl).low);
	set.config.low = 200;
	set.more[63] = 1;
	EXPECT_EQ(-1, ioctl(self->ctl, sized(BPIPE_SET_CONFIG, sizeof(set)), &set));
	EXPECT_EQ(E2BIG, errno);
	EXPECT_EQ(100, get_config(self->ctl).low);
}

TEST_F(channel, longer_structures_are_filled_with_zeros)
{
	struct {
		struct bpipe_stats stats;
		char more[64];
	} get;

	memset(&get, 0xff, sizeof(get));
	EXPECT_EQ(0, ioctl(self->ctl, sized(BPIPE_GET_STATS, sizeof(get)), &get));
	for (size_t i = 0; i < sizeof(get.more); i++)
		EXPECT_EQ(0, get.more[i]);
}

TEST_F(channel, events_are_kept_when_copying_them_faults)
{
	ASSERT_EQ(HIGH, put(self->wr, HIGH));
	EXPECT_EQ(-1, ioctl(self->ctl, BPIPE_GET_EVENTS, page(PROT_READ)));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(BPIPE_EVENT_HIGH, get_events(self->ctl).events);
}

TEST_F(channel, set_config_is_all_or_nothing)
{
	EXPECT_REFUSED(EINVAL, .mask = BPIPE_CFG_LOW | BPIPE_CFG_HIGH, .low = 10, .high = SIZE + 1);
	EXPECT_REFUSED(EINVAL, .mask = BPIPE_CFG_LOW, .low = HIGH);
	EXPECT_REFUSED(EINVAL, .mask = BPIPE_CFG_HIGH, .high = LOW);
	EXPECT_REFUSED(EINVAL, .mask = BPIPE_CFG_HIGH, .high = SIZE + 1);
	EXPECT_REFUSED(EINVAL, .mask = BPIPE_CFG_SIZE, .size = BPIPE_SIZE_MIN - 1);
	EXPECT_REFUSED(EINVAL, .mask = BPIPE_CFG_SIZE, .size = BPIPE_SIZE_MAX + 1);
	EXPECT_REFUSED(EINVAL, .mask = BPIPE_CFG_SIZE, .size = ~0ULL);
	EXPECT_REFUSED(EINVAL, .mask = BPIPE_CFG_RATE, .rate = BPIPE_RATE_MAX + 1);
	EXPECT_REFUSED(EINVAL, .mask = BPIPE_CFG_BURST, .burst = BPIPE_BURST_MAX + 1);
	EXPECT_REFUSED(EINVAL, .mask = BPIPE_CFG_HOLD, .hold = 2);
	EXPECT_REFUSED(EINVAL, .mask = BPIPE_CFG_EPIPE, .epipe = 2);
	EXPECT_REFUSED(EINVAL, .mask = BPIPE_CFG_LOW, .low = 1, .pad = 1);
	EXPECT_REFUSED(EOPNOTSUPP, .mask = 1ULL << 63);
	EXPECT_REFUSED(EOPNOTSUPP, .mask = BPIPE_CFG_MODE, .mode = 99);
}

TEST_F(channel, set_config_ignores_fields_not_in_the_mask)
{
	const struct bpipe_config set = {
		.mask = BPIPE_CFG_LOW, .low = 5, .size = 1, .rate = ~0ULL,
	};

	EXPECT_EQ(0, set_config(self->ctl, set));
	EXPECT_EQ(5, get_config(self->ctl).low);
	EXPECT_EQ(SIZE, get_config(self->ctl).size);
}

TEST_F(channel, extreme_marks_are_accepted)
{
	const struct bpipe_config top = {
		.mask = BPIPE_CFG_HIGH | BPIPE_CFG_LOW, .high = SIZE, .low = SIZE - 1,
	};
	const struct bpipe_config bottom = {
		.mask = BPIPE_CFG_HIGH | BPIPE_CFG_LOW, .high = 1, .low = 0,
	};

	EXPECT_EQ(0, set_config(self->ctl, top));
	EXPECT_EQ(0, set_config(self->ctl, bottom));
}

TEST_F(channel, only_owner_and_admin_configure)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		const struct bpipe_config set = { .mask = BPIPE_CFG_LOW, .low = 1 };
		struct bpipe_stats stats;

		if (setgid(65534) || setuid(65534))
			_exit(1);
		if (set_config(self->ctl, set) != -EPERM)
			_exit(2);
		if (!ioctl(self->ctl, BPIPE_RESET_PEAKS) || errno != EPERM)
			_exit(3);
		/* Any opener may read the counters and set up its own file. */
		if (ioctl(self->ctl, BPIPE_GET_STATS, &stats))
			_exit(4);
		if (set_reader(self->rd, 2, 0))
			_exit(5);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(LOW, get_config(self->ctl).low);
}

TEST_F(channel, owner_may_configure)
{
	const struct bpipe_config set = { .mask = BPIPE_CFG_LOW, .low = 1 };
	pid_t pid;

	ASSERT_EQ(0, chown(DEV, 65534, 65534));
	pid = spawn();
	if (!pid)
		_exit(setgid(65534) || setuid(65534) || set_config(self->ctl, set) ||
		      ioctl(self->ctl, BPIPE_RESET_PEAKS));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(1, get_config(self->ctl).low);
	ASSERT_EQ(0, chown(DEV, 0, 0));
}

TEST_F(channel, resize_loses_nothing)
{
	struct bpipe_config set = { .mask = BPIPE_CFG_SIZE };
	unsigned char buf[30000], *p = buf;

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = i % 251;
	/* The queued bytes wrap around in the old buffer. */
	ASSERT_EQ(50000, put(self->wr, 50000));
	ASSERT_EQ(50000, take(self->rd, 50000));
	ASSERT_EQ(30000, write(self->wr, buf, 30000));
	set.size = 200000;
	EXPECT_EQ(0, set_config(self->ctl, set));
	set.size = 30000;
	EXPECT_EQ(0, set_config(self->ctl, set));
	EXPECT_EQ(30000, queued(self->rd));
	EXPECT_EQ(-1, put(self->wr, 1));
	memset(buf, 0, sizeof(buf));
	ASSERT_EQ(30000, read(self->rd, buf, 30000));
	for (size_t i = 0; i < sizeof(buf); i++, p++)
		ASSERT_EQ(i % 251, *p);
}

TEST_F(channel, resize_under_load_loses_nothing)
{
	static unsigned char sent[6000000], got[sizeof(sent)];
	struct bpipe_config set = { .mask = BPIPE_CFG_SIZE };
	size_t written = 0, taken = 0, n;
	int resized = 0, ret;
	pid_t pid;

	BLOCKING_WRITER();
	BLOCKING_READER();
	pattern(sent, 0, sizeof(sent));
	pid = spawn();
	if (!pid) {
		for (; written < sizeof(sent); written += n) {
			n = 1 + rand() % 20000;
			if (n > sizeof(sent) - written)
				n = sizeof(sent) - written;
			if (write(self->wrb, sent + written, n) != (ssize_t)n)
				_exit(1);
		}
		_exit(0);
	}
	while (taken < sizeof(sent)) {
		ret = read(self->rdb, got + taken, 1 + rand() % 20000);
		ASSERT_LT(0, ret);
		taken += ret;
		set.size = 4096 + rand() % 100000;
		ret = set_config(self->ctl, set);
		ASSERT_TRUE(!ret || ret == -EBUSY);
		resized += !ret;
	}
	EXPECT_EQ(0, reap(pid));
	EXPECT_LT(10, resized);
	EXPECT_EQ(0, memcmp(sent, got, sizeof(sent)));
}

TEST_F(channel, resize_below_the_level_gives_ebusy)
{
	ASSERT_EQ(30000, put(self->wr, 30000));
	EXPECT_REFUSED(EBUSY, .mask = BPIPE_CFG_SIZE, .size = 29999);
	EXPECT_EQ(30000, take(self->rd, SIZE));
}

TEST_F(channel, resize_scales_the_marks)
{
	const struct bpipe_config set = { .mask = BPIPE_CFG_SIZE, .size = 4 * SIZE };

	ASSERT_EQ(0, set_config(self->ctl, set));
	EXPECT_EQ(4 * HIGH, get_config(self->ctl).high);
	EXPECT_EQ(4 * LOW, get_config(self->ctl).low);
}

static int set_size(int fd, unsigned long long size)
{
	return set_config(fd, (struct bpipe_config) { .mask = BPIPE_CFG_SIZE, .size = size });
}

/* At the sizes in between, rounding must not accumulate, and no bound may persist. */
TEST_F(channel, reverted_resize_restores_marks_and_limits)
{
	struct bpipe_config set = {
		.mask = BPIPE_CFG_SIZE | BPIPE_CFG_HIGH | BPIPE_CFG_LOW | BPIPE_CFG_LIMIT(6) |
			BPIPE_CFG_LIMIT(7),
		.size = 1 << 20, .high = 3, .low = 1, .limit[6] = 333333, .limit[7] = 1 << 19,
	}, got;

	ASSERT_EQ(0, set_config(self->ctl, set));
	ASSERT_EQ(0, set_size(self->ctl, 4096));
	got = get_config(self->ctl);
	EXPECT_EQ(0, got.low);
	EXPECT_EQ(1, got.high);
	EXPECT_EQ(4096, got.limit[7]);
	for (int i = 0; i < 10; i++) {
		ASSERT_EQ(0, set_size(self->ctl, 5000 + 7 * i));
		ASSERT_EQ(0, set_size(self->ctl, 1 << 20));
		got = get_config(self->ctl);
		ASSERT_EQ(3, got.high);
		ASSERT_EQ(1, got.low);
		ASSERT_EQ(1 << 20, got.limit[0]);
		ASSERT_EQ(333333, got.limit[6]);
		ASSERT_EQ(1 << 19, got.limit[7]);
	}
	/* A new value is a share of the size at which it is set. */
	ASSERT_EQ(0, set_size(self->ctl, SIZE));
	set = (struct bpipe_config) {
		.mask = BPIPE_CFG_HIGH | BPIPE_CFG_LIMIT(7), .high = HIGH, .limit[7] = 8192,
	};
	ASSERT_EQ(0, set_config(self->ctl, set));
	ASSERT_EQ(0, set_size(self->ctl, 1 << 20));
	got = get_config(self->ctl);
	EXPECT_EQ(16 * HIGH, got.high);
	EXPECT_EQ(1, got.low);
	EXPECT_EQ(16 * 8192, got.limit[7]);
	EXPECT_EQ(333333, got.limit[6]);
}

TEST_F(channel, resize_wakes_a_sleeping_writer)
{
	const struct bpipe_config set = { .mask = BPIPE_CFG_SIZE, .size = 2 * SIZE };
	struct helper h;

	BLOCKING_WRITER();
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	helper_start(&h, self->wrb, true, 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	ASSERT_EQ(0, set_config(self->ctl, set));
	EXPECT_EQ(100, helper_end(&h));
}

TEST_F(channel, new_marks_apply_at_once)
{
	struct bpipe_config set = {
		.mask = BPIPE_CFG_HIGH | BPIPE_CFG_LOW, .high = 30000, .low = 1000,
	};

	ASSERT_EQ(40000, put(self->wr, 40000));
	EXPECT_EQ(POLLOUT, ready(self->wr, POLLOUT));
	ASSERT_EQ(0, set_config(self->ctl, set));
	EXPECT_EQ(0, ready(self->wr, POLLOUT));
	set.high = 60000;
	set.low = 50000;
	ASSERT_EQ(0, set_config(self->ctl, set));
	EXPECT_EQ(POLLOUT, ready(self->wr, POLLOUT));
}

TEST_F(channel, memory_max_caps_a_resize)
{
	char old[32] = "";
	int fd = open("/sys/class/bpipe/memory_max", O_RDWR);

	ASSERT_LT(0, read(fd, old, sizeof(old) - 1));
	ASSERT_EQ(7, pwrite(fd, "131072\n", 7, 0));
	EXPECT_EQ(-1, pwrite(fd, "many\n", 5, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_REFUSED(ENOSPC, .mask = BPIPE_CFG_SIZE, .size = 1 << 20);
	ASSERT_LT(0, pwrite(fd, old, strlen(old), 0));
	close(fd);
}

TEST_F(channel, again_counts_only_writes_refused_whole)
{
	struct bpipe_stats a = get_stats(self->ctl);

	ASSERT_EQ(SIZE, put(self->wr, 2 * SIZE));
	EXPECT_EQ(a.again, get_stats(self->ctl).again);
	ASSERT_EQ(-1, put(self->wr, 2 * SIZE));
	EXPECT_EQ(a.again + 1, get_stats(self->ctl).again);
}

TEST_F(channel, counters_follow_reads_and_writes)
{
	struct bpipe_stats a = get_stats(self->ctl), b;

	ASSERT_EQ(100, put(self->wr, 100));
	ASSERT_EQ(200, put(self->wr, 200));
	ASSERT_EQ(50, take(self->rd, 50));
	ASSERT_EQ(SIZE - 250, put(self->wr, SIZE - 250));
	ASSERT_EQ(-1, put(self->wr, 1));
	b = get_stats(self->ctl);
	EXPECT_EQ(a.written_bytes + SIZE + 50, b.written_bytes);
	EXPECT_EQ(a.read_bytes + 50, b.read_bytes);
	EXPECT_EQ(a.writes + 3, b.writes);
	EXPECT_EQ(a.reads + 1, b.reads);
	EXPECT_EQ(a.again + 1, b.again);
	EXPECT_EQ(SIZE, b.level);
	EXPECT_EQ(SIZE, b.queued_bytes);
	EXPECT_EQ(0, b.window);
	EXPECT_EQ(1, b.readers);
	EXPECT_EQ(1, b.writers);
	EXPECT_TRUE(lawful(&b));
}

/* A large call is made in pieces, and other calls go in between. */
TEST_F(channel, large_call_is_counted_once)
{
	struct bpipe_stats before, after;

	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_SIZE, .size = 4 << 20 }));
	before = get_stats(self->ctl);
	ASSERT_EQ(4 << 20, put(self->wr, 4 << 20));
	ASSERT_EQ(4 << 20, take(self->rd, 4 << 20));
	after = get_stats(self->ctl);
	EXPECT_EQ(before.writes + 1, after.writes);
	EXPECT_EQ(before.reads + 1, after.reads);
	EXPECT_EQ(before.written_bytes + (4 << 20), after.written_bytes);
}

TEST_F(channel, get_stats_is_consistent_under_load)
{
	struct bpipe_stats stats, before = get_stats(self->ctl);
	pid_t pid[2];

	BLOCKING_WRITER();
	BLOCKING_READER();
	for (int i = 0; i < 2; i++) {
		pid[i] = spawn();
		while (!pid[i])
			i ? put(self->wrb, 777) : take(self->rdb, 1234);
	}
	for (int i = 0; i < 3000; i++) {
		stats = get_stats(self->ctl);
		ASSERT_TRUE(lawful(&stats));
		ASSERT_EQ(stats.level, stats.queued_bytes);
		ASSERT_GE(SIZE, stats.level);
		ASSERT_LE(stats.level, stats.peak_level);
		ASSERT_LE(before.written_bytes, stats.written_bytes);
		ASSERT_LE(before.read_bytes, stats.read_bytes);
		ASSERT_LE(before.time_ns, stats.time_ns);
		before = stats;
	}
	for (int i = 0; i < 2; i++) {
		kill(pid[i], SIGKILL);
		reap(pid[i]);
	}
}

TEST_F(channel, blocked_time_is_counted_while_it_passes)
{
	struct bpipe_stats a = get_stats(self->ctl), b;
	struct helper h;

	BLOCKING_WRITER();
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	helper_start(&h, self->wrb, true, 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).write_wait_ns > 1000000));
	b = get_stats(self->ctl);
	EXPECT_EQ(a.blocked + 1, b.blocked);
	EXPECT_LE(a.blocked_ns + 1000000, b.blocked_ns);
	ASSERT_EQ(SIZE, take(self->rd, SIZE));
	ASSERT_EQ(100, helper_end(&h));
	EXPECT_EQ(0, get_stats(self->ctl).write_wait_ns);
	EXPECT_EQ(a.wakeups_write + 1, get_stats(self->ctl).wakeups_write);
}

TEST_F(channel, peaks_are_reset_to_the_level)
{
	ASSERT_EQ(20000, put(self->wr, 20000));
	ASSERT_EQ(15000, take(self->rd, 15000));
	EXPECT_LE(20000, get_stats(self->ctl).peak_level);
	EXPECT_EQ(0, ioctl(self->ctl, BPIPE_RESET_PEAKS));
	EXPECT_EQ(5000, get_stats(self->ctl).peak_level);
}

TEST_F(channel, set_reader_refuses_invalid_fields)
{
	const struct bpipe_reader unknown = { .mask = 1ULL << 63 };

	EXPECT_EQ(-EINVAL, set_reader(self->rd, 0, 0));
	EXPECT_EQ(-EINVAL, set_reader(self->rd, SIZE + 1, 0));
	EXPECT_EQ(-EINVAL, set_reader(self->rd, 1, BPIPE_DELAY_MAX + 1));
	EXPECT_EQ(-EBADF, set_reader(self->wr, 1, 0));
	EXPECT_EQ(-EBADF, set_reader(self->ctl, 1, 0));
	EXPECT_EQ(-1, ioctl(self->rd, BPIPE_SET_READER, &unknown));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(0, set_reader(self->rd, SIZE, BPIPE_DELAY_MAX));
}

TEST_F(channel, fionread_returns_the_readable_bytes)
{
	EXPECT_EQ(0, queued(self->rd));
	ASSERT_EQ(123, put(self->wr, 123));
	EXPECT_EQ(123, queued(self->rd));
	EXPECT_EQ(123, queued(self->ctl));
}

/* Return the text of a sysfs attribute, valid until the next call. */
static const char *attr_text(const char *name)
{
	static char text[64];
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), SYSFS "%s", name);
	f = fopen(path, "r");
	if (!f || !fgets(text, sizeof(text), f))
		snprintf(text, sizeof(text), "-1");
	if (f)
		fclose(f);
	return text;
}

static long long attr(const char *name)
{
	return strtoll(attr_text(name), NULL, 10);
}

static int set_attr(const char *name, const char *text)
{
	char path[128];
	int fd, ret;

	snprintf(path, sizeof(path), SYSFS "%s", name);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

TEST_F(channel, sysfs_attributes_show_and_set)
{
	ASSERT_EQ(77, put(self->wr, 77));
	EXPECT_EQ(77, attr("level"));
	EXPECT_EQ(SIZE - 77, attr("window"));
	EXPECT_EQ(SIZE, attr("size"));
	EXPECT_EQ(HIGH, attr("high"));
	EXPECT_STREQ("stream\n", attr_text("mode"));
	EXPECT_STREQ("normal\n", attr_text("state"));
	EXPECT_EQ(SIZE - 77, put(self->wr, SIZE));
	EXPECT_STREQ("pressured\n", attr_text("state"));
	EXPECT_EQ(0, set_attr("size", "1M\n"));
	EXPECT_EQ(1 << 20, get_config(self->ctl).size);
	EXPECT_EQ(0, set_attr("rate", "1000000"));
	EXPECT_EQ(1000000, get_config(self->ctl).rate);
	EXPECT_EQ(0, set_attr("hold", "1"));
	EXPECT_EQ(1, get_config(self->ctl).hold);
	EXPECT_EQ(SIZE, take(self->rd, 1 << 20));
	EXPECT_EQ(0, set_attr("mode", "record\n"));
	EXPECT_EQ(BPIPE_MODE_RECORD, get_config(self->ctl).mode);
	EXPECT_EQ(0, set_attr("order", "priority"));
	EXPECT_EQ(BPIPE_ORDER_PRIORITY, get_config(self->ctl).order);
	EXPECT_STREQ("priority\n", attr_text("order"));
}

TEST_F(channel, sysfs_refuses_invalid_values)
{
	EXPECT_EQ(-EINVAL, set_attr("low", "many"));
	EXPECT_EQ(-EINVAL, set_attr("low", "-1"));
	EXPECT_EQ(-EINVAL, set_attr("low", "10 20"));
	EXPECT_EQ(-EINVAL, set_attr("low", "65536"));
	EXPECT_EQ(-EINVAL, set_attr("size", "1"));
	EXPECT_EQ(-EINVAL, set_attr("hold", "2"));
	EXPECT_EQ(-EINVAL, set_attr("rate", "1X"));
	EXPECT_EQ(-EINVAL, set_attr("rate", "\n"));
	EXPECT_EQ(-EINVAL, set_attr("mode", "records"));
	EXPECT_EQ(-EINVAL, set_attr("policy", "1"));
	/* Numbers must neither wrap around into the allowed range nor be read as octal. */
	EXPECT_EQ(-ERANGE, set_attr("size", "18446744073709559808"));
	EXPECT_EQ(-ERANGE, set_attr("rate", "17179869184G"));
	EXPECT_EQ(0, attr("rate"));
	EXPECT_EQ(0, set_attr("rate", "010"));
	EXPECT_EQ(10, attr("rate"));
	EXPECT_EQ(LOW, attr("low"));
}

TEST_F(channel, sysfs_has_an_attribute_for_every_field)
{
	static const char * const fields[] = {
		"size", "high", "low", "rate", "burst", "hold", "epipe", "drop_to_low", "mode", "order",
		"policy", "timeout", "credit", "limit.0", "limit.1", "limit.2", "limit.3",
		"limit.4", "limit.5", "limit.6", "limit.7", "rate_records", "burst_records",
		"read_rate", "read_burst", "read_rate_records", "read_burst_records",
		"state", "level", "window", "queued_bytes", "peak_level", "written_bytes",
		"read_bytes", "writes", "reads", "again", "blocked", "blocked_ns", "starved",
		"starved_ns", "high_events", "low_events", "wakeups_read", "wakeups_write",
		"throttled", "throttled_ns", "state_since_ns", "write_wait_ns", "read_wait_ns",
		"readers", "writers", "readers_waiting", "writers_waiting", "written_records",
		"read_records", "queued_records", "dropped_bytes", "dropped_records", "timeouts",
		"read_throttled", "read_throttled_ns", "memory", "memory.0", "memory.1",
		"memory.2", "memory.3", "memory.4", "memory.5", "memory.6", "memory.7",
		"stats", "config",
	};
	static const char words[] = " mode order policy credit state stats config ";
	char path[128], word[32];
	bool set = true;
	struct stat st;

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		snprintf(path, sizeof(path), SYSFS "%s", fields[i]);
		ASSERT_EQ(0, stat(path, &st)) TH_LOG("%s", path);
		/* Only root may write, and only to settings, which come before "state". */
		set &= strcmp(fields[i], "state") != 0;
		EXPECT_EQ(S_IFREG | (set ? 0644 : 0444), st.st_mode) TH_LOG("%s", path);
		snprintf(word, sizeof(word), " %s ", fields[i]);
		if (!strstr(words, word))
			EXPECT_LE(0, attr(fields[i])) TH_LOG("%s", path);
	}
}

TEST_F(channel, sysfs_counters_match_get_stats)
{
	struct bpipe_stats stats;

	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	ASSERT_EQ(-1, put(self->wr, 1));
	ASSERT_EQ(100, take(self->rd, 100));
	stats = get_stats(self->ctl);
	EXPECT_EQ(stats.written_bytes, attr("written_bytes"));
	EXPECT_EQ(stats.read_bytes, attr("read_bytes"));
	EXPECT_EQ(stats.writes, attr("writes"));
	EXPECT_EQ(stats.reads, attr("reads"));
	EXPECT_EQ(stats.again, attr("again"));
	EXPECT_EQ(stats.high_events, attr("high_events"));
	EXPECT_EQ(stats.peak_level, attr("peak_level"));
	EXPECT_EQ(stats.state_since_ns, attr("state_since_ns"));
	EXPECT_EQ(stats.readers, attr("readers"));
	EXPECT_EQ(stats.writers, attr("writers"));
}

/* Read an attribute by one pread(); return its result, or -errno. */
static ssize_t read_attr(const char *name, void *to, size_t n, off_t at)
{
	char path[128];
	ssize_t ret;
	int fd;

	snprintf(path, sizeof(path), SYSFS "%s", name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -errno;
	ret = pread(fd, to, n, at);
	ret = ret < 0 ? -errno : ret;
	close(fd);
	return ret;
}

TEST_F(channel, sysfs_stats_and_config_are_whole_structures)
{
	struct bpipe_config config, got;
	struct bpipe_stats stats, same;
	char longer[4096] = "";

	ASSERT_EQ(777, put(self->wr, 777));
	ASSERT_EQ(sizeof(config), read_attr("config", &config, sizeof(config), 0));
	got = get_config(self->ctl);
	EXPECT_EQ(0, memcmp(&config, &got, sizeof(got)));
	ASSERT_EQ(sizeof(stats), read_attr("stats", longer, sizeof(longer), 0));
	memcpy(&stats, longer, sizeof(stats));
	same = get_stats(self->ctl);
	EXPECT_TRUE(lawful(&stats));
	EXPECT_LT(0, stats.time_ns);
	/* These change with time alone. */
	stats.time_ns = same.time_ns;
	memcpy(stats.stalled, same.stalled, sizeof(stats.stalled));
	memcpy(stats.stalled_all, same.stalled_all, sizeof(stats.stalled_all));
	EXPECT_EQ(0, memcmp(&stats, &same, sizeof(same)));
	/* A program with an older, shorter structure reads less. */
	EXPECT_EQ(8, read_attr("config", longer, 8, 0));
	EXPECT_EQ(got.mask, *(__u64 *)longer);
	EXPECT_EQ(8, read_attr("config", longer, 8, 8));
	EXPECT_EQ(got.size, *(__u64 *)longer);
	EXPECT_EQ(0, read_attr("stats", longer, sizeof(longer), sizeof(stats)));
}

TEST_F(channel, sysfs_stats_are_consistent_under_load)
{
	struct bpipe_stats stats;
	int fd = open(SYSFS "stats", O_RDONLY);
	pid_t pid[2];

	ASSERT_LE(0, fd);
	BLOCKING_WRITER();
	BLOCKING_READER();
	for (int i = 0; i < 2; i++) {
		pid[i] = spawn();
		while (!pid[i])
			i ? put(self->wrb, 777) : take(self->rdb, 1234);
	}
	for (int i = 0; i < 1000; i++) {
		ASSERT_EQ(sizeof(stats), pread(fd, &stats, sizeof(stats), 0));
		ASSERT_TRUE(lawful(&stats));
		ASSERT_EQ(stats.level, stats.queued_bytes);
	}
	for (int i = 0; i < 2; i++) {
		kill(pid[i], SIGKILL);
		reap(pid[i]);
	}
	close(fd);
}

TEST_F(channel, fdinfo_counts_for_each_open_file)
{
	unsigned long long bytes = 0, calls = 0;
	int other = open(DEV, O_WRONLY | O_NONBLOCK);
	char path[64], line[128];
	FILE *f;

	ASSERT_EQ(500, put(other, 500));
	ASSERT_EQ(700, put(self->wr, 700));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", other);
	f = fopen(path, "r");
	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f)) {
		sscanf(line, "written_bytes: %llu", &bytes);
		sscanf(line, "writes: %llu", &calls);
	}
	fclose(f);
	EXPECT_EQ(500, bytes);
	EXPECT_EQ(1, calls);
	close(other);
}

TEST_HARNESS_MAIN
