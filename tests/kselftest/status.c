// SPDX-License-Identifier: GPL-2.0
/*
 * The status page: it agrees with the ioctls at any moment.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "bpipe_test.h"

#define MS	1000000ULL

/* Take a snapshot of the page as a program would, without the library. */
static struct bpipe_status look(const struct bpipe_status *page)
{
	struct bpipe_status copy;
	unsigned int seq;

	do {
		seq = __atomic_load_n(&page->seq, __ATOMIC_ACQUIRE);
		memcpy(&copy, page, sizeof(copy));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (seq % 2 || __atomic_load_n(&page->seq, __ATOMIC_RELAXED) != seq);
	return copy;
}

static const struct bpipe_status *map(int fd)
{
	int status = ioctl(fd, BPIPE_OPEN_STATUS);
	const void *page;

	if (status < 0)
		abort();
	page = mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, status, 0);
	if (page == MAP_FAILED)
		abort();
	close(status);
	return page;
}

static bool agrees(int ctl, int wr, const struct bpipe_status *page)
{
	struct bpipe_status status = look(page);
	struct bpipe_stats stats = get_stats(ctl);
	struct bpipe_config config = get_config(ctl);

	return status.level == stats.level && status.state == stats.state &&
	       status.size == config.size && status.high == config.high &&
	       status.low == config.low && status.window[0] == stats.window &&
	       status.window[0] == get_window(wr).window && status.time_ns <= stats.time_ns;
}

TEST_F(channel, status_page_agrees_with_the_ioctls)
{
	const struct bpipe_status *page = map(self->wr);
	unsigned int seed = 1;
	struct helper h;

	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_OVERLOAD_AFTER, .overload_after = 3600000 * MS }));
	for (int i = 0; i < 2000; i++) {
		switch (rand_r(&seed) % 8) {
		case 0:
			set_config(self->ctl, (struct bpipe_config) {
				.mask = BPIPE_CFG_SIZE, .size = 4096 + rand_r(&seed) % SIZE });
			break;
		case 1 ... 4:
			put(self->wr, 1 + rand_r(&seed) % 10000);
			break;
		default:
			take(self->rd, 1 + rand_r(&seed) % 10000);
		}
		ASSERT_TRUE(agrees(self->ctl, self->wr, page));
	}
	/* While a writer waits, a newcomer's window is 0. */
	BLOCKING_WRITER();
	while (put(self->wr, 1 << 20) > 0)
		;
	helper_start(&h, self->wrb, true, 1);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	ASSERT_EQ(1000, take(self->rd, 1000));
	EXPECT_EQ(0, look(page).window[0]);
	EXPECT_TRUE(agrees(self->ctl, self->wr, page));
	while (take(self->rd, 1 << 20) > 0)
		;
	EXPECT_EQ(1, helper_end(&h));
	EXPECT_TRUE(agrees(self->ctl, self->wr, page));
}

TEST_F(channel, status_page_follows_overload_and_credit)
{
	const struct bpipe_status *page = map(self->ctl);

	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_OVERLOAD_AFTER, .overload_after = 3600000 * MS }));
	ASSERT_EQ(HIGH, put(self->wr, HIGH));
	EXPECT_EQ(BPIPE_STATE_PRESSURED, look(page).state);
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_OVERLOAD_AFTER, .overload_after = 20 * MS }));
	EXPECT_TRUE(EVENTUALLY(look(page).state == BPIPE_STATE_OVERLOADED));
	ASSERT_EQ(HIGH, take(self->rd, SIZE));
	EXPECT_EQ(BPIPE_STATE_NORMAL, look(page).state);

	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_CREDIT, .credit = BPIPE_CREDIT_BYTES }));
	EXPECT_EQ(0, look(page).window[0]);
	ASSERT_EQ(0, grant(self->rd, 100));
	EXPECT_EQ(100, look(page).window[0]);
	ASSERT_EQ(60, put(self->wr, 60));
	EXPECT_EQ(40, look(page).window[0]);
}

TEST_F(channel, status_page_has_a_window_for_each_class)
{
	const struct bpipe_status *page = map(self->rd);
	struct bpipe_config config = { .mask = BPIPE_CFG_LIMIT(3), .limit[3] = SIZE / 2 };

	ASSERT_EQ(0, set_config(self->ctl, config));
	ASSERT_EQ(1000, put(self->wr, 1000));
	EXPECT_EQ(SIZE - 1000, look(page).window[0]);
	EXPECT_EQ(SIZE / 2 - 1000, look(page).window[3]);
	EXPECT_EQ(SIZE - 1000, look(page).window[7]);
}

static volatile bool stop;

static void *be_reader(void *arg)
{
	while (!stop)
		take(*(int *)arg, 777);
	return NULL;
}

static void *be_writer(void *arg)
{
	while (!stop)
		put(*(int *)arg, 1234);
	return NULL;
}

TEST_F_TIMEOUT(channel, status_page_is_consistent_under_load, 300)
{
	const struct bpipe_status *page = map(self->wr);
	struct bpipe_status status, last = look(page);
	pthread_t reader, writer;
	unsigned int changes = 0;

	stop = false;
	ASSERT_EQ(0, pthread_create(&reader, NULL, be_reader, &self->rd));
	ASSERT_EQ(0, pthread_create(&writer, NULL, be_writer, &self->wr));
	while (changes < 2000) {
		status = look(page);
		EXPECT_EQ(SIZE, status.level + status.window[0]);
		EXPECT_LE(last.time_ns, status.time_ns);
		EXPECT_TRUE(status.level < HIGH || status.state != BPIPE_STATE_NORMAL);
		EXPECT_TRUE(status.level > LOW || status.state == BPIPE_STATE_NORMAL);
		changes += status.seq != last.seq;
		last = status;
	}
	stop = true;
	pthread_join(reader, NULL);
	pthread_join(writer, NULL);
}

TEST_F(channel, status_page_is_read_only)
{
	int fd = ioctl(self->wr, BPIPE_OPEN_STATUS), page = getpagesize();
	void *at;

	ASSERT_LE(0, fd);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 2 * page, PROT_READ, MAP_SHARED, fd, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, page, PROT_READ, MAP_SHARED, fd, page));
	EXPECT_EQ(EINVAL, errno);
	at = mmap(NULL, page, PROT_READ, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, at);
	EXPECT_EQ(-1, mprotect(at, page, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, write(fd, "x", 1));
	EXPECT_EQ(-1, read(fd, at, 1));
	EXPECT_EQ(-1, mmap(NULL, page, PROT_READ, MAP_SHARED, self->rd, 0) != MAP_FAILED ? 0 : -1);
	/* The page leaks nothing: all behind the structure is zero. */
	for (int i = sizeof(struct bpipe_status); i < page; i++)
		ASSERT_EQ(0, ((const char *)at)[i]);
	EXPECT_EQ(0, munmap(at, page));
	EXPECT_EQ(-1, ioctl(self->ctl, BPIPE_OPEN_STATUS + (8U << _IOC_SIZESHIFT), &at));
	EXPECT_EQ(EINVAL, errno);
	close(fd);
}

TEST_F(channel, status_page_open_fails_cleanly_with_emfile)
{
	struct rlimit limit = { 0 }, old;
	struct bpipe_status status;
	int ret, error;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	limit.rlim_max = old.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	ret = ioctl(self->ctl, BPIPE_OPEN_STATUS);
	error = errno;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	EXPECT_EQ(-1, ret);
	EXPECT_EQ(EMFILE, error);
	/* The failed call does not keep the next one from opening the page. */
	status = look(map(self->ctl));
	EXPECT_EQ(SIZE, status.size);
}

/* A separate channel, to be removed while its status file is open. */
struct doomed {
	int control, status;
	const struct bpipe_status *page;
};

static struct doomed doom(size_t holds)
{
	struct bpipe_config config = {
		.mask = BPIPE_CFG_SIZE | BPIPE_CFG_HIGH, .size = SIZE, .high = HIGH,
	};
	struct doomed d = { .control = open(CONTROL, O_RDWR) };
	int fd;

	if (add_channel(d.control, "status", &config))
		abort();
	fd = open("/dev/bpipe-status", O_WRONLY);
	d.page = map(fd);
	d.status = ioctl(fd, BPIPE_OPEN_STATUS);
	if (d.status < 0 || put(fd, holds) != (ssize_t)holds)
		abort();
	close(fd);
	return d;
}

static void doom_end(struct doomed *d)
{
	munmap((void *)d->page, getpagesize());
	close(d->status);
	close(d->control);
}

TEST_F(channel, status_page_shows_a_removed_channel)
{
	unsigned long long before = memory();
	struct doomed d = doom(HIGH);
	struct bpipe_status status;

	EXPECT_EQ(HIGH, look(d.page).level);
	EXPECT_EQ(BPIPE_STATE_PRESSURED, look(d.page).state);
	EXPECT_EQ(before + SIZE, memory());
	ASSERT_EQ(0, remove_channel(d.control, "status"));
	status = look(d.page);
	EXPECT_EQ(BPIPE_STATE_GONE, status.state);
	EXPECT_EQ(0, status.level);
	for (int i = 0; i < BPIPE_CLASSES; i++)
		EXPECT_EQ(0, status.window[i]);
	/* The buffer is freed although the page is still mapped. */
	EXPECT_EQ(before, memory());
	EXPECT_EQ(-ENOENT, remove_channel(d.control, "status"));
	/* A new channel of that name does not revive the page. */
	ASSERT_EQ(0, add_channel(d.control, "status", NULL));
	EXPECT_EQ(BPIPE_STATE_GONE, look(d.page).state);
	EXPECT_EQ(0, remove_channel(d.control, "status"));
	doom_end(&d);
}

static void *poll_for_ever(void *arg)
{
	struct pollfd p = { .fd = *(int *)arg };

	return (void *)(long)(poll(&p, 1, -1) == 1 ? p.revents : 0);
}

TEST_F(channel, removal_wakes_pollers_of_the_status_file)
{
	struct doomed d = doom(0);
	pthread_t pollers[3];
	void *events;
	int fd;

	EXPECT_EQ(0, ready(d.status, POLLIN | POLLOUT | POLLPRI));
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, pthread_create(&pollers[i], NULL, poll_for_ever, &d.status));
	/* A change in the page is no event. */
	fd = open("/dev/bpipe-status", O_RDWR | O_NONBLOCK);
	ASSERT_EQ(HIGH, put(fd, HIGH));
	EXPECT_EQ(0, ready(d.status, POLLIN | POLLOUT | POLLPRI));
	close(fd);
	ASSERT_EQ(0, remove_channel(d.control, "status"));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, pthread_join(pollers[i], &events));
		EXPECT_EQ(POLLHUP, (long)events);
	}
	EXPECT_EQ(POLLHUP, ready(d.status, POLLIN | POLLOUT | POLLPRI));
	doom_end(&d);
}

#define TRACING	"/sys/kernel/tracing/instances/bpipe-status"

static bool tell(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_TRUNC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return done;
}

/* Return how often the page was written since the last call. */
static int updates(void)
{
	FILE *file = fopen(TRACING "/trace", "r");
	char line[512];
	int n = 0;

	if (!file)
		abort();
	while (fgets(line, sizeof(line), file))
		n += !!strstr(line, "bpipe_page_write_locked");
	fclose(file);
	if (!tell(TRACING "/trace", "\n"))
		abort();
	return n;
}

TEST_F(channel, unused_status_page_is_not_updated)
{
	const struct bpipe_status *page;
	int status;

	if ((mkdir(TRACING, 0700) && errno != EEXIST) ||
	    !tell(TRACING "/set_ftrace_filter", "bpipe_page_write_locked") ||
	    !tell(TRACING "/current_tracer", "function"))
		SKIP(return, "no function tracer");
	ASSERT_EQ(1, put(self->wr, 1));
	EXPECT_EQ(0, updates());
	/* The page is updated as long as one file or one mapping is left. */
	status = ioctl(self->ctl, BPIPE_OPEN_STATUS);
	page = map(self->ctl);
	updates();
	ASSERT_EQ(1, put(self->wr, 1));
	EXPECT_LT(0, updates());
	close(status);
	ASSERT_EQ(1, put(self->wr, 1));
	EXPECT_LT(0, updates());
	EXPECT_EQ(3, look(page).level);
	ASSERT_EQ(0, munmap((void *)page, getpagesize()));
	updates();
	ASSERT_EQ(1, put(self->wr, 1));
	ASSERT_EQ(4, take(self->rd, SIZE));
	EXPECT_EQ(0, updates());
	/* A later mapping is up to date at once. */
	ASSERT_EQ(7, put(self->wr, 7));
	page = map(self->wr);
	EXPECT_EQ(7, look(page).level);
	EXPECT_EQ(7, take(self->rd, SIZE));
	EXPECT_EQ(0, look(page).level);
	EXPECT_EQ(0, munmap((void *)page, getpagesize()));
	tell(TRACING "/current_tracer", "nop");
	rmdir(TRACING);
}

TEST_HARNESS_MAIN
