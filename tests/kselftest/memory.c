// SPDX-License-Identifier: GPL-2.0
/*
 * Memory: a buffer is charged to the memory cgroup of its allocator, and freed after its
 * last use. A module-wide cap and a channel's share of it hold. No task waits for the
 * allocation of another.
 */
#define _GNU_SOURCE
#include <sys/stat.h>

#include "bpipe_test.h"

#define MIB	(1ULL << 20)
#define CGROUP	"/sys/fs/cgroup/bpipe-test"
#define CLASS	"/sys/class/bpipe/"

/* Return the number in a one-line file, or the one after @word; -1 if there is none. */
static long long number(const char *file, const char *word)
{
	FILE *f = fopen(file, "r");
	char line[128];
	long long value = -1;

	while (f && fgets(line, sizeof(line), f)) {
		if (!word)
			value = strtoll(line, NULL, 10);
		else if (!strncmp(line, word, strlen(word)) && line[strlen(word)] == ' ')
			value = strtoll(line + strlen(word), NULL, 10);
	}
	if (f)
		fclose(f);
	return value;
}

/* Make an empty memory cgroup, limited to @max bytes; return true on success. */
static bool cgroup_make(unsigned long long max)
{
	return (!mkdir(CGROUP, 0700) || errno == EEXIST) && set_number(CGROUP "/memory.max", max);
}

static int set_size(int fd, unsigned long long size)
{
	return set_config(fd, (struct bpipe_config) { .mask = BPIPE_CFG_SIZE, .size = size });
}

/* Call set_size() in a process in the cgroup. */
static int set_size_inside(int fd, unsigned long long size)
{
	pid_t pid = spawn();

	if (!pid)
		_exit(set_number(CGROUP "/cgroup.procs", getpid()) ? -set_size(fd, size) : 125);
	return -reap(pid);
}

TEST_F(channel, buffer_is_charged_to_the_callers_cgroup)
{
	if (!cgroup_make(64 * MIB))
		SKIP(return, "no memory cgroups at /sys/fs/cgroup");
	EXPECT_EQ(0, set_size_inside(self->ctl, 8 * MIB));
	EXPECT_LE(8 * MIB, number(CGROUP "/memory.stat", "kernel"));
	EXPECT_LE(8 * MIB, number(CGROUP "/memory.current", NULL));
	/* The charge outlives the process, and ends with the buffer. */
	EXPECT_EQ(0, set_size(self->ctl, SIZE));
	EXPECT_GT(MIB, number(CGROUP "/memory.stat", "kernel"));
	EXPECT_GT(8 * MIB, number(CGROUP "/memory.current", NULL));
	EXPECT_EQ(0, rmdir(CGROUP));
}

/* Each change allocates before it takes locks; the size may have changed meanwhile. */
TEST_F(channel, racing_changes_leave_buffers_of_the_new_size)
{
	const struct bpipe_config stream = {
		.mask = BPIPE_CFG_MODE | BPIPE_CFG_SIZE, .size = MIB,
	};
	int wr = open_class(3, O_NONBLOCK);
	pid_t pid;

	for (int i = 0; i < 100; i++) {
		ASSERT_EQ(0, set_config(self->ctl, stream));
		pid = spawn();
		if (!pid)
			_exit(-set_config(self->ctl, (struct bpipe_config) {
				.mask = BPIPE_CFG_MODE, .mode = BPIPE_MODE_RECORD }));
		ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
			.mask = BPIPE_CFG_MODE | BPIPE_CFG_SIZE,
			.mode = BPIPE_MODE_RECORD, .size = 2 * MIB }));
		ASSERT_EQ(0, reap(pid));
		ASSERT_EQ(2 * MIB, number(SYSFS "memory.3", NULL));
	}
	close(wr);
}

TEST_F(channel, resize_beyond_the_cgroup_limit_gives_enomem)
{
	struct bpipe_config before, after;

	if (!cgroup_make(4 * MIB))
		SKIP(return, "no memory cgroups at /sys/fs/cgroup");
	ASSERT_EQ(1000, put(self->wr, 1000));
	before = get_config(self->ctl);
	EXPECT_EQ(-ENOMEM, set_size_inside(self->ctl, 8 * MIB));
	after = get_config(self->ctl);
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
	EXPECT_GT(MIB, number(CGROUP "/memory.stat", "kernel"));
	EXPECT_EQ(0, number(CGROUP "/memory.events", "oom_kill"));
	EXPECT_EQ(1000, take(self->rd, SIZE));
	/* A size within the limit is accepted. */
	EXPECT_EQ(0, set_size_inside(self->ctl, MIB));
	EXPECT_EQ(MIB, get_config(self->ctl).size);
	EXPECT_EQ(0, set_size(self->ctl, SIZE));
	EXPECT_EQ(0, rmdir(CGROUP));
}

/* On Linux 7, a failed vmalloc() frees its pages some time later. */
TEST_F_TIMEOUT(channel, refused_resize_leaves_nothing_in_the_cgroup, 120)
{
	pid_t pid;

	if (!cgroup_make(4 * MIB))
		SKIP(return, "no memory cgroups at /sys/fs/cgroup");
	pid = spawn();
	if (!pid) {
		if (!set_number(CGROUP "/cgroup.procs", getpid()))
			_exit(125);
		for (int i = 0; i < 100; i++)
			if (set_size(self->ctl, 8 * MIB) != -ENOMEM ||
			    number(CGROUP "/memory.current", NULL) > 2 * MIB)
				_exit(1);
		_exit(0);
	}
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(0, number(CGROUP "/memory.events", "oom_kill"));
	EXPECT_EQ(0, rmdir(CGROUP));
}

TEST_F(channel, refused_shrink_leaves_no_buffer_behind)
{
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	EXPECT_EQ(-EBUSY, set_size(self->ctl, SIZE / 2));
	EXPECT_EQ(SIZE, number(CLASS "memory", NULL));
}

TEST_F(channel, cap_counts_all_buffers_to_the_byte)
{
	long long max = number(CLASS "memory_max", NULL);
	struct bpipe_config before = get_config(self->ctl), after;

	ASSERT_LT(0, max);
	EXPECT_EQ(SIZE, number(CLASS "memory", NULL));
	/* While the size changes, the old and the new buffer both count. */
	ASSERT_TRUE(set_number(CLASS "memory_share", 100));
	ASSERT_TRUE(set_number(CLASS "memory_max", SIZE + MIB - 1));
	EXPECT_EQ(-ENOSPC, set_size(self->ctl, MIB));
	after = get_config(self->ctl);
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
	EXPECT_EQ(SIZE, number(CLASS "memory", NULL));
	ASSERT_TRUE(set_number(CLASS "memory_max", SIZE + MIB));
	EXPECT_EQ(0, set_size(self->ctl, MIB));
	EXPECT_EQ(MIB, number(CLASS "memory", NULL));
	/* A cap below the memory in use frees nothing. */
	ASSERT_TRUE(set_number(CLASS "memory_max", 0));
	EXPECT_EQ(-ENOSPC, set_size(self->ctl, SIZE));
	EXPECT_EQ(MIB, put(self->wr, 2 * MIB));
	EXPECT_EQ(MIB, take(self->rd, 2 * MIB));
	ASSERT_TRUE(set_number(CLASS "memory_max", max));
	ASSERT_TRUE(set_number(CLASS "memory_share", 50));
}

/* Return the size of the channel's buffers, in bytes. */
static long long channel_memory(void)
{
	return number(SYSFS "memory", NULL);
}

/* Return the size of the buffer of @class, in bytes. */
static long long class_memory(unsigned int class)
{
	char file[64];

	snprintf(file, sizeof(file), SYSFS "memory.%u", class);
	return number(file, NULL);
}

/* Try to resize another channel until @stop is set; return how often it was refused. */
static void *refused_charges(void *arg)
{
	const int *stop = arg;
	int ctl = open("/dev/bpipe-other", O_RDWR), refused = 0;

	while (!__atomic_load_n(stop, __ATOMIC_RELAXED))
		refused += set_size(ctl, 8 * MIB) == -ENOSPC;
	close(ctl);
	return (void *)(long)refused;
}

TEST_F_TIMEOUT(channel, refused_charge_takes_no_room_from_others, 120)
{
	const struct bpipe_config small = { .mask = BPIPE_CFG_SIZE, .size = SIZE };
	long long max = number(CLASS "memory_max", NULL);
	int control = open(CONTROL, O_RDWR), stop = 0, failed = 0;
	pthread_t thread;
	void *refused;

	ASSERT_EQ(0, add_channel(control, "other", &small));
	/* The cap admits the small resizes, but not 8 MiB in addition to what is in use. */
	ASSERT_TRUE(set_number(CLASS "memory_max", 8 * MIB + SIZE));
	ASSERT_TRUE(set_number(CLASS "memory_share", 100));
	ASSERT_EQ(0, pthread_create(&thread, NULL, refused_charges, &stop));
	for (int i = 0; i < 100000; i++)
		failed += !!set_size(self->ctl, i % 2 ? SIZE : SIZE / 2);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, &refused);
	EXPECT_EQ(0, failed);
	EXPECT_LT(0, (long)refused);
	ASSERT_TRUE(set_number(CLASS "memory_max", max));
	ASSERT_TRUE(set_number(CLASS "memory_share", 50));
	EXPECT_EQ(0, remove_channel(control, "other"));
	close(control);
}

/* A buffer whose allocation takes a minute in a throttled memory cgroup. */
#define SLOW	(16 * MIB)

/* A call that allocates a buffer; @take returns 0 or -errno. */
struct victim {
	const char *what;
	bool writes_first;	/* the channel already has a writer and a buffer */
	int (*take)(int fd);
};

static int take_by_open(int fd)
{
	(void)fd;
	return open("/dev/bpipe-slow", O_WRONLY) < 0 ? -errno : 0;
}

static int take_by_class(int fd)
{
	return set_writer(fd, (struct bpipe_writer) { .mask = BPIPE_WRITER_CLASS, .class = 7 });
}

static int take_by_size(int fd)
{
	return set_size(fd, 3 * SLOW / 2);
}

static int take_by_mode(int fd)
{
	const struct bpipe_config stream = { .mask = BPIPE_CFG_MODE };

	set_config(fd, stream);
	take_by_class(fd);
	return set_records(fd, BPIPE_ORDER_FIFO, BPIPE_POLICY_BLOCK);
}

static int take_by_sysfs(int fd)
{
	close(fd);
	return set_number(CLASS "bpipe-slow/size", 3 * SLOW / 2) ? 0 : -EIO;
}

static const struct victim victims[] = {
	{ "open", false, take_by_open },
	{ "SET_WRITER class", true, take_by_class },
	{ "SET_CONFIG size", true, take_by_size },
	{ "SET_CONFIG mode", true, take_by_mode },
	{ "sysfs size", true, take_by_sysfs },
};

/*
 * Return true if the kernel throttles a cgroup over memory.high. 32-bit kernels do not: they
 * count the task's time to sleep in an unsigned long, which overflows.
 */
static bool can_throttle(void)
{
	return sizeof(long) > 4;
}

/* Start a process that is throttled while it allocates, in a cgroup over memory.high. */
static pid_t throttle(const struct victim *victim)
{
	pid_t pid = spawn();
	int fd;

	if (pid)
		return pid;
	fd = victim->writes_first ? open("/dev/bpipe-slow", O_RDWR) : -1;
	if (!set_number(CGROUP "/cgroup.procs", getpid()) || !set_number(CGROUP "/memory.high", 0))
		_exit(125);
	_exit(-victim->take(fd));
}

/*
 * Use the channel and others, as tasks do while one is throttled. @removal is the expected
 * result of removing the channel. Return 0, or the number of the step that failed.
 */
static int others_go_on(int removal)
{
	const struct bpipe_config rate = { .mask = BPIPE_CFG_RATE, .rate = 1 << 20 };
	int control = open(CONTROL, O_RDWR), fd;

	fd = open("/dev/bpipe-slow", O_ACCMODE);
	if (fd < 0 || get_stats(fd).level)
		return 1;
	if (set_config(fd, rate))
		return 2;
	close(fd);
	fd = open("/dev/bpipe-slow", O_RDWR);
	if (fd < 0 || write(fd, "text", 4) != 4 || strcmp(next_text(fd), "text"))
		return 3;
	close(fd);
	if (remove_channel(control, "slow") != removal)
		return 4;
	if (add_channel(control, "quick", NULL) || remove_channel(control, "quick"))
		return 5;
	return 0;
}

/*
 * Wait at most ten seconds for a child; return its exit status, or minus its signal. After
 * that, kill the child and @awaited, for which it may wait.
 */
static int reap_in_time(pid_t pid, pid_t awaited)
{
	int status = 0;

	if (EVENTUALLY(waitpid(pid, &status, WNOHANG) == pid))
		return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
	kill(awaited, SIGKILL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return -ETIMEDOUT;
}

static bool slow_add(int control)
{
	const struct bpipe_config config = {
		.mask = BPIPE_CFG_SIZE | BPIPE_CFG_MODE, .size = SLOW, .mode = BPIPE_MODE_RECORD,
	};

	return !add_channel(control, "slow", &config);
}

TEST_F_TIMEOUT(channel, no_task_waits_for_a_throttled_allocation, 240)
{
	long long max = number(CLASS "memory_max", NULL), before;
	int control = open(CONTROL, O_RDWR);
	pid_t slow, other;

	if (!can_throttle())
		SKIP(return, "32-bit kernels do not throttle memory cgroups");
	if (!cgroup_make(64 * MIB))
		SKIP(return, "no memory cgroups at /sys/fs/cgroup");
	ASSERT_TRUE(set_number(CLASS "memory_max", 8 * SLOW));
	for (size_t i = 0; i < sizeof(victims) / sizeof(victims[0]); i++) {
		ASSERT_TRUE(slow_add(control));
		before = number(CLASS "memory", NULL);
		slow = throttle(&victims[i]);
		/* The buffer is charged before its pages are allocated, slowly. */
		EXPECT_TRUE(EVENTUALLY(number(CLASS "memory", NULL) >=
				       before + SLOW * (1 + victims[i].writes_first))) {
			TH_LOG("%s", victims[i].what);
		}
		other = spawn();
		if (!other)
			_exit(others_go_on(victims[i].writes_first ? -EBUSY : 0));
		EXPECT_EQ(0, reap_in_time(other, slow)) {
			TH_LOG("%s", victims[i].what);
		}
		EXPECT_EQ(0, waitpid(slow, NULL, WNOHANG)) {
			TH_LOG("%s: not throttled", victims[i].what);
		}
		kill(slow, SIGKILL);
		EXPECT_EQ(-SIGKILL, reap_in_time(slow, slow));
		if (victims[i].writes_first)
			EXPECT_EQ(0, remove_channel(control, "slow"));
		EXPECT_TRUE(EVENTUALLY(number(CLASS "memory", NULL) == before));
		EXPECT_TRUE(EVENTUALLY(!rmdir(CGROUP)));
		ASSERT_TRUE(cgroup_make(64 * MIB));
	}
	ASSERT_TRUE(set_number(CLASS "memory_max", max));
	EXPECT_EQ(0, rmdir(CGROUP));
	close(control);
}

/* Return true if a process is in state D, a sleep that SIGKILL may end. */
static bool sleeps(pid_t pid)
{
	char file[64], state = 0;
	FILE *stat;

	snprintf(file, sizeof(file), "/proc/%d/stat", pid);
	stat = fopen(file, "r");
	if (stat && fscanf(stat, "%*d %*s %c", &state) != 1)
		state = 0;
	if (stat)
		fclose(stat);
	return state == 'D';
}

/* Each first writer allocates a buffer, and the cap has room for one of them. */
TEST_F_TIMEOUT(channel, first_writers_do_not_fail_because_of_each_other, 120)
{
	long long max = number(CLASS "memory_max", NULL);
	int control = open(CONTROL, O_RDWR);
	pid_t slow, killed, other;

	if (!can_throttle())
		SKIP(return, "32-bit kernels do not throttle memory cgroups");
	if (!cgroup_make(64 * MIB))
		SKIP(return, "no memory cgroups at /sys/fs/cgroup");
	ASSERT_TRUE(slow_add(control));
	ASSERT_TRUE(set_number(CLASS "memory_max", SIZE + 3 * SLOW / 2));
	ASSERT_TRUE(set_number(CLASS "memory_share", 100));
	slow = throttle(&victims[0]);
	EXPECT_TRUE(EVENTUALLY(number(CLASS "memory", NULL) == SIZE + SLOW));
	killed = spawn();
	if (!killed)
		_exit(-take_by_open(-1));
	EXPECT_TRUE(EVENTUALLY(sleeps(killed)));
	other = spawn();
	if (!other)
		_exit(-take_by_open(-1));
	EXPECT_TRUE(EVENTUALLY(sleeps(other)));
	/* SIGKILL ends the wait, and so does room below the cap. */
	kill(killed, SIGKILL);
	EXPECT_EQ(-SIGKILL, reap_in_time(killed, slow));
	EXPECT_EQ(0, waitpid(other, NULL, WNOHANG));
	kill(slow, SIGKILL);
	EXPECT_EQ(-SIGKILL, reap_in_time(slow, slow));
	EXPECT_EQ(0, reap_in_time(other, other));
	EXPECT_EQ(SIZE + SLOW, number(CLASS "memory", NULL));
	ASSERT_TRUE(set_number(CLASS "memory_max", max));
	ASSERT_TRUE(set_number(CLASS "memory_share", 50));
	EXPECT_EQ(0, remove_channel(control, "slow"));
	EXPECT_TRUE(EVENTUALLY(!rmdir(CGROUP)));
	close(control);
}

TEST_F(channel, class_buffer_is_freed_with_its_last_writer)
{
	int fds[BPIPE_CLASSES], twice;

	ASSERT_EQ(0, set_records(self->ctl, BPIPE_ORDER_FIFO, BPIPE_POLICY_BLOCK));
	for (int class = 1; class < BPIPE_CLASSES; class++)
		fds[class] = open_class(class, O_NONBLOCK);
	EXPECT_EQ(BPIPE_CLASSES * SIZE, channel_memory());
	EXPECT_EQ(BPIPE_CLASSES * SIZE, number(CLASS "memory", NULL));
	twice = open_class(3, O_NONBLOCK);
	for (int class = 1; class < BPIPE_CLASSES; class++)
		close(fds[class]);
	EXPECT_EQ(2 * SIZE, channel_memory());
	EXPECT_EQ(SIZE, class_memory(3));
	close(twice);
	EXPECT_EQ(SIZE, channel_memory());
	EXPECT_EQ(SIZE, number(CLASS "memory", NULL));
	/* Class 0 keeps its buffer. */
	close(self->wr);
	EXPECT_EQ(SIZE, class_memory(0));
	EXPECT_EQ(SIZE, channel_memory());
	self->wr = open(DEV, O_WRONLY | O_NONBLOCK);
	ASSERT_LE(0, self->wr);
}

/* Queue a record of class 3, and close its writer. */
static void leave_record(const char *text)
{
	int fd = open_class(3, O_NONBLOCK);

	if (write(fd, text, strlen(text)) != strlen(text))
		abort();
	close(fd);
}

TEST_F(channel, class_buffer_is_freed_with_its_last_record)
{
	ASSERT_EQ(0, set_records(self->ctl, BPIPE_ORDER_FIFO, BPIPE_POLICY_BLOCK));
	for (int i = 0; i < 3; i++) {
		leave_record("first");
		leave_record("second");
		EXPECT_EQ(SIZE, class_memory(3));
		EXPECT_STREQ("first", next_text(self->rd));
		EXPECT_EQ(2 * SIZE, channel_memory());
		EXPECT_STREQ("second", next_text(self->rd));
		EXPECT_EQ(0, class_memory(3));
		EXPECT_EQ(SIZE, channel_memory());
		EXPECT_TRUE(EVENTUALLY(number(CLASS "memory", NULL) == SIZE));
	}
}

TEST_F(channel, class_buffer_is_freed_when_its_last_record_is_dropped)
{
	const struct bpipe_config ttl = {
		.mask = BPIPE_CFG_TTL(3), .ttl = { [3] = 1000000 },
	};

	ASSERT_EQ(0, set_records(self->ctl, BPIPE_ORDER_FIFO, BPIPE_POLICY_DROP_OLDEST));
	leave_record("evicted");
	EXPECT_EQ(SIZE, class_memory(3));
	EXPECT_EQ(SIZE - BPIPE_RECORD_OVERHEAD, put(self->wr, SIZE - BPIPE_RECORD_OVERHEAD));
	EXPECT_EQ(1, get_stats(self->ctl).classes[3].dropped_records[BPIPE_DROP_EVICTED]);
	EXPECT_EQ(0, class_memory(3));
	EXPECT_EQ(SIZE - BPIPE_RECORD_OVERHEAD, take(self->rd, SIZE));

	leave_record("expired");
	ASSERT_EQ(0, set_config(self->ctl, ttl));
	EXPECT_TRUE(EVENTUALLY(!class_memory(3)));
	EXPECT_TRUE(EVENTUALLY(number(CLASS "memory", NULL) == SIZE));
	EXPECT_EQ(SIZE, channel_memory());
}

TEST_F(channel, stream_mode_uses_one_buffer)
{
	const struct bpipe_config stream = { .mask = BPIPE_CFG_MODE };
	int fd;

	ASSERT_EQ(0, set_records(self->ctl, BPIPE_ORDER_FIFO, BPIPE_POLICY_BLOCK));
	fd = open_class(5, O_NONBLOCK);
	EXPECT_EQ(2 * SIZE, channel_memory());
	ASSERT_EQ(0, set_config(self->ctl, stream));
	EXPECT_EQ(0, class_memory(5));
	EXPECT_EQ(SIZE, channel_memory());
	ASSERT_EQ(0, set_records(self->ctl, BPIPE_ORDER_FIFO, BPIPE_POLICY_BLOCK));
	EXPECT_EQ(SIZE, class_memory(5));
	ASSERT_EQ(3, write(fd, "one", 3));
	EXPECT_STREQ("one", next_text(self->rd));
	close(fd);
	EXPECT_EQ(SIZE, channel_memory());
}

/* A resize moves the queued records, and gives a buffer only to each class in use. */
TEST_F(channel, resize_allocates_buffers_for_classes_in_use)
{
	int fd;

	ASSERT_EQ(0, set_records(self->ctl, BPIPE_ORDER_FIFO, BPIPE_POLICY_BLOCK));
	leave_record("left");
	fd = open_class(6, O_NONBLOCK);
	close(open_class(7, O_NONBLOCK));
	ASSERT_EQ(0, set_size(self->ctl, 2 * SIZE));
	for (int class = 0; class < BPIPE_CLASSES; class++)
		EXPECT_EQ(class == 0 || class == 3 || class == 6 ? 2 * SIZE : 0,
			  class_memory(class));
	EXPECT_EQ(6 * SIZE, channel_memory());
	EXPECT_STREQ("left", next_text(self->rd));
	ASSERT_EQ(3, write(fd, "six", 3));
	EXPECT_STREQ("six", next_text(self->rd));
	close(fd);
	EXPECT_EQ(2 * SIZE, channel_memory());
}

static int share_write(const char *text)
{
	int fd = open(CLASS "memory_share", O_WRONLY), ret;

	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

TEST_F(channel, channel_takes_at_most_its_share)
{
	const struct bpipe_config whole = { .mask = BPIPE_CFG_SIZE, .size = 4 * SIZE };
	long long max = number(CLASS "memory_max", NULL);
	int control = open(CONTROL, O_RDWR), fd, other;

	EXPECT_EQ(50, number(CLASS "memory_share", NULL));
	ASSERT_TRUE(set_number(CLASS "memory_max", 8 * SIZE));
	/* A size above the share is refused even before anything is allocated. */
	EXPECT_EQ(-ENOSPC, set_size(self->ctl, 4 * SIZE + 1));
	EXPECT_EQ(0, add_channel(control, "whole", &whole));
	fd = open("/dev/bpipe-whole", O_ACCMODE);
	EXPECT_EQ(-ENOSPC, set_size(fd, 4 * SIZE + 1));
	close(fd);

	/* Four classes take half of the cap. */
	ASSERT_EQ(0, set_records(self->ctl, BPIPE_ORDER_FIFO, BPIPE_POLICY_BLOCK));
	for (int class = 1; class < 4; class++)
		ASSERT_LE(0, open_class(class, O_NONBLOCK));
	fd = open(DEV, O_WRONLY);
	EXPECT_EQ(-ENOSPC, take_by_class(fd));
	EXPECT_EQ(4 * SIZE, channel_memory());
	EXPECT_EQ(-ENOSPC, set_size(self->ctl, SIZE / 2));
	/* Another channel may take the other half. */
	other = open("/dev/bpipe-whole", O_WRONLY);
	EXPECT_LE(0, other);
	EXPECT_EQ(8 * SIZE, number(CLASS "memory", NULL));
	close(other);

	EXPECT_EQ(0, share_write("100\n"));
	EXPECT_EQ(-ENOSPC, take_by_class(fd));
	EXPECT_EQ(0, remove_channel(control, "whole"));
	EXPECT_EQ(0, take_by_class(fd));
	EXPECT_EQ(5 * SIZE, channel_memory());
	/* A share below the memory in use frees nothing. */
	EXPECT_EQ(0, share_write("1\n"));
	EXPECT_EQ(3, write(fd, "one", 3));
	EXPECT_STREQ("one", next_text(self->rd));
	EXPECT_EQ(0, share_write("50\n"));
	ASSERT_TRUE(set_number(CLASS "memory_max", max));
	close(fd);
	close(control);
}

TEST_F(channel, memory_share_accepts_1_to_100)
{
	static const char *const wrong[] = { "0", "101", "-1", "", "half", "50%", "4294967346" };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		EXPECT_GT(0, share_write(wrong[i]) ?: -!*wrong[i]) {
			TH_LOG("%s", wrong[i]);
		}
		EXPECT_EQ(50, number(CLASS "memory_share", NULL));
	}
	EXPECT_EQ(0, share_write("1"));
	EXPECT_EQ(0, share_write("100"));
	EXPECT_EQ(0, share_write("50"));
}

TEST_HARNESS_MAIN
