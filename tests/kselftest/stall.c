// SPDX-License-Identifier: GPL-2.0
/*
 * Isolation: a page fault or SIGSTOP, however long it lasts, holds up its own task and no
 * other writer or reader.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <linux/userfaultfd.h>

#include "bpipe_test.h"

#define PAGE	4096

/* Two pages. A task that touches one before pages_fill() sleeps in its page fault. */
struct pages {
	int uffd;
	char *at;
};

static bool pages_make(struct pages *pages)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range.len = 2 * PAGE,
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	pages->uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (pages->uffd < 0)
		return false;
	pages->at = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	reg.range.start = (unsigned long)pages->at;
	if (ioctl(pages->uffd, UFFDIO_API, &api) || ioctl(pages->uffd, UFFDIO_REGISTER, &reg))
		abort();
	return true;
}

/* Wait until a task sleeps in a page fault; return false after ten seconds. */
static bool pages_touched(const struct pages *pages)
{
	struct pollfd p = { .fd = pages->uffd, .events = POLLIN };
	struct uffd_msg msg;

	return poll(&p, 1, 10000) == 1 && read(pages->uffd, &msg, sizeof(msg)) == sizeof(msg) &&
	       msg.event == UFFD_EVENT_PAGEFAULT;
}

/* Fill page @nr with its letter, which ends the page fault there. */
static void pages_fill(const struct pages *pages, int nr)
{
	char from[PAGE];
	struct uffdio_copy copy = {
		.dst = (unsigned long)pages->at + nr * PAGE,
		.src = (unsigned long)from,
		.len = PAGE,
	};

	memset(from, 'a' + nr, PAGE);
	if (ioctl(pages->uffd, UFFDIO_COPY, &copy))
		abort();
}

/* Return true if many times the size can be written and read. */
static bool others_go_on(int wr, int rd)
{
	for (int i = 0; i < 500; i++)
		if (put(wr, ATOMIC) != ATOMIC || put(wr, 30000) != 30000 ||
		    take(rd, SIZE) != ATOMIC + 30000)
			return false;
	return true;
}

TEST_F(channel, faulting_writer_does_not_stall_others)
{
	char got[ATOMIC] = { 0 };
	struct pages pages;
	struct helper h;

	if (!pages_make(&pages))
		SKIP(return, "no userfaultfd on this kernel");
	BLOCKING_WRITER();
	helper_start_with(&h, self->wrb, true, pages.at, ATOMIC);
	ASSERT_TRUE(pages_touched(&pages));
	EXPECT_TRUE(others_go_on(self->wr, self->rd));
	EXPECT_EQ(0, queued(self->rd));
	EXPECT_FALSE(h.done);
	pages_fill(&pages, 0);
	EXPECT_EQ(ATOMIC, helper_end(&h));
	EXPECT_EQ(ATOMIC, read(self->rd, got, ATOMIC));
	EXPECT_EQ('a', got[0]);
	EXPECT_EQ('a', got[ATOMIC - 1]);
}

TEST_F(channel, writer_faulting_half_way_does_not_stall_others)
{
	struct pages pages;
	struct helper h;

	if (!pages_make(&pages))
		SKIP(return, "no userfaultfd on this kernel");
	BLOCKING_WRITER();
	pages_fill(&pages, 0);
	helper_start_with(&h, self->wrb, true, pages.at, 2 * PAGE);
	ASSERT_TRUE(pages_touched(&pages));
	EXPECT_EQ(PAGE, take(self->rd, SIZE));
	EXPECT_TRUE(others_go_on(self->wr, self->rd));
	EXPECT_FALSE(h.done);
	pages_fill(&pages, 1);
	EXPECT_EQ(2 * PAGE, helper_end(&h));
	EXPECT_EQ(PAGE, take(self->rd, SIZE));
}

TEST_F(channel, woken_writer_hands_off_when_faulting)
{
	struct pages pages;
	struct helper a, b;

	if (!pages_make(&pages))
		SKIP(return, "no userfaultfd on this kernel");
	BLOCKING_WRITER();
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	helper_start_with(&a, self->wrb, true, pages.at, ATOMIC);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	helper_start(&b, self->wrb, true, 200);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 2));
	ASSERT_EQ(SIZE, take(self->rd, SIZE));
	ASSERT_TRUE(pages_touched(&pages));
	EXPECT_EQ(200, helper_end(&b));
	EXPECT_FALSE(a.done);
	pages_fill(&pages, 0);
	EXPECT_EQ(ATOMIC, helper_end(&a));
}

TEST_F(channel, faulting_reader_does_not_stall_others)
{
	struct pages pages;
	struct helper h;

	if (!pages_make(&pages))
		SKIP(return, "no userfaultfd on this kernel");
	BLOCKING_READER();
	ASSERT_EQ(100, put(self->wr, 100));
	helper_start_with(&h, self->rdb, false, pages.at, 100);
	ASSERT_TRUE(pages_touched(&pages));
	/* The faulting read has consumed nothing. */
	EXPECT_EQ(100, take(self->rd, 100));
	EXPECT_TRUE(others_go_on(self->wr, self->rd));
	EXPECT_FALSE(h.done);
	pages_fill(&pages, 0);
	ASSERT_EQ(5, write(self->wr, "later", 5));
	EXPECT_EQ(5, helper_end(&h));
	EXPECT_EQ(0, memcmp(pages.at, "later", 5));
}

TEST_F(channel, reader_faulting_half_way_gets_no_gap)
{
	unsigned char all[2 * PAGE], before[100];
	struct pages pages;
	struct helper h;

	if (!pages_make(&pages))
		SKIP(return, "no userfaultfd on this kernel");
	BLOCKING_READER();
	pattern(all, 0, 2 * PAGE);
	pages_fill(&pages, 0);
	ASSERT_EQ(2 * PAGE, write(self->wr, all, 2 * PAGE));
	helper_start_with(&h, self->rdb, false, pages.at, 2 * PAGE);
	ASSERT_TRUE(pages_touched(&pages));
	/* Another reader consumes bytes; each reader must get a range without a gap. */
	EXPECT_EQ(100, read(self->rd, before, 100));
	EXPECT_EQ(0, memcmp(before, all, 100));
	pages_fill(&pages, 1);
	ASSERT_EQ(2 * PAGE - 100, helper_end(&h));
	EXPECT_EQ(0, memcmp(pages.at, all + 100, 2 * PAGE - 100));
}

TEST_F(channel, read_into_partly_mapped_memory_returns_what_fits)
{
	char *at = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);

	ASSERT_EQ(0, munmap(at + PAGE, PAGE));
	ASSERT_EQ(2 * PAGE, put(self->wr, 2 * PAGE));
	EXPECT_EQ(PAGE, read(self->rd, at, 2 * PAGE));
	EXPECT_EQ(-1, read(self->rd, at + PAGE, 1));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(PAGE, take(self->rd, 2 * PAGE));
}

TEST_F(channel, woken_reader_hands_off_when_faulting)
{
	struct pages pages;
	struct helper a, b;

	if (!pages_make(&pages))
		SKIP(return, "no userfaultfd on this kernel");
	BLOCKING_READER();
	helper_start_with(&a, self->rdb, false, pages.at, 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 1));
	helper_start(&b, self->rdb, false, 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 2));
	ASSERT_EQ(60, put(self->wr, 60));
	ASSERT_TRUE(pages_touched(&pages));
	EXPECT_EQ(60, helper_end(&b));
	EXPECT_FALSE(a.done);
	pages_fill(&pages, 0);
	ASSERT_EQ(70, put(self->wr, 70));
	EXPECT_EQ(70, helper_end(&a));
}

/* Stop a child with SIGSTOP; return true once it has stopped. */
static bool stop(pid_t pid)
{
	int status;

	return !kill(pid, SIGSTOP) && waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status);
}

TEST_F(channel, writer_stopped_in_the_queue_does_not_stall_others)
{
	struct helper h;
	pid_t pid;

	BLOCKING_WRITER();
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	pid = spawn();
	if (!pid)
		_exit(put(self->wrb, 100) != 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	helper_start(&h, self->wrb, true, 200);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 2));
	ASSERT_TRUE(stop(pid));
	ASSERT_EQ(SIZE, take(self->rd, SIZE));
	EXPECT_EQ(200, helper_end(&h));
	EXPECT_EQ(200, take(self->rd, SIZE));
	EXPECT_TRUE(others_go_on(self->wr, self->rd));
	/* Once continued, the child completes its write. */
	kill(pid, SIGCONT);
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(100, queued(self->rd));
}

TEST_F(channel, reader_stopped_in_the_queue_does_not_stall_others)
{
	pid_t pid = spawn();

	if (!pid)
		_exit(take(open(DEV, O_RDONLY), 100) != 50);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 1));
	ASSERT_TRUE(stop(pid));
	EXPECT_TRUE(others_go_on(self->wr, self->rd));
	kill(pid, SIGCONT);
	ASSERT_EQ(50, put(self->wr, 50));
	EXPECT_EQ(0, reap(pid));
}

TEST_F(channel, tasks_stopped_anywhere_do_not_stall_others)
{
	pid_t wr, rd;

	BLOCKING_WRITER();
	BLOCKING_READER();
	wr = spawn();
	if (!wr)
		for (;;)
			put(self->wrb, 30000);
	rd = spawn();
	if (!rd)
		for (;;)
			take(self->rdb, 30000);
	for (int round = 0; round < 50; round++) {
		unsigned long long moved = get_stats(self->ctl).read_bytes + SIZE;

		ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).read_bytes > moved));
		ASSERT_TRUE(stop(wr));
		ASSERT_TRUE(stop(rd));
		while (take(self->rd, SIZE) > 0)
			;
		for (int i = 0; i < 20; i++) {
			ASSERT_EQ(30000, put(self->wr, 30000));
			ASSERT_EQ(30000, take(self->rd, SIZE));
		}
		kill(wr, SIGCONT);
		kill(rd, SIGCONT);
	}
	kill(wr, SIGKILL);
	kill(rd, SIGKILL);
	EXPECT_EQ(-SIGKILL, reap(wr));
	EXPECT_EQ(-SIGKILL, reap(rd));
}

struct question {
	int fd;
	void *to;
};

static void *ask_events(void *arg)
{
	struct question *q = arg;

	return (void *)(long)(ioctl(q->fd, BPIPE_GET_EVENTS, q->to) ? -errno : 0);
}

/* The first page is unmapped while the answer is being copied to the second. */
TEST_F(channel, events_are_kept_when_copying_them_faults_half_way)
{
	struct pages pages;
	struct question q;
	pthread_t thread;
	void *ret;

	if (!pages_make(&pages))
		SKIP(return, "no userfaultfd on this kernel");
	pages_fill(&pages, 0);
	q = (struct question) { self->ctl, pages.at + PAGE - offsetof(struct bpipe_events, level) };
	ASSERT_EQ(HIGH, put(self->wr, HIGH));
	ASSERT_EQ(0, pthread_create(&thread, NULL, ask_events, &q));
	ASSERT_TRUE(pages_touched(&pages));
	ASSERT_EQ(0, munmap(pages.at, PAGE));
	pages_fill(&pages, 1);
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(ret ? BPIPE_EVENT_HIGH : 0, get_events(self->ctl).events);
}

TEST_HARNESS_MAIN
