// SPDX-License-Identifier: GPL-2.0
/*
 * SIGKILL: a killed reader takes along only what it had read itself, and no other task
 * waits for a killed one.
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "bpipe_test.h"

#define KILLS	50
#define SHARE	150000	/* most bytes that a reader reads before it is killed */
#define TOTAL	((KILLS + 1) * SHARE)

/* Write the whole stream in pieces of random length. */
static void write_stream(int fd)
{
	static unsigned char buf[9973];
	size_t at, n;

	for (at = 0; at < TOTAL; at += n) {
		n = 1 + rand() % sizeof(buf);
		if (n > TOTAL - at)
			n = TOTAL - at;
		pattern(buf, at, n);
		if (write(fd, buf, n) != (ssize_t)n)
			_exit(1);
	}
	_exit(0);
}

/*
 * Read the stream from @at to its place in @map. The map outlives the reader, so it also
 * has the bytes of a read that was killed before it returned.
 */
static void read_stream(unsigned char *map, size_t at, size_t end)
{
	int fd = open(DEV, O_RDONLY);
	ssize_t n;

	srand(at);
	while (at < end) {
		n = 1 + rand() % 20000;
		if (n > end - at)
			n = end - at;
		n = read(fd, map + at, n);
		if (n <= 0)
			_exit(1);
		at += n;
	}
	if (at < TOTAL)
		pause();
	_exit(take(fd, 1) != 0);	/* end-of-file */
}

TEST_F_TIMEOUT(channel, killed_readers_neither_lose_nor_duplicate_bytes, 100)
{
	unsigned char *map = mmap(NULL, TOTAL, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned char *sent = malloc(TOTAL);
	unsigned long long base;
	size_t at = 0, until;
	pid_t wr, rd;

	ASSERT_NE(MAP_FAILED, (void *)map);
	base = get_stats(self->ctl).read_bytes;
	BLOCKING_WRITER();
	wr = spawn();
	if (!wr) {
		close(self->wr);
		write_stream(self->wrb);
	}
	close(self->wr);
	close(self->wrb);

	for (int kills = 0; kills < KILLS; kills++) {
		until = at + 1 + rand() % SHARE;
		rd = spawn();
		if (!rd)
			read_stream(map, at, at + SHARE);
		ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).read_bytes - base >= until));
		ASSERT_EQ(0, kill(rd, SIGKILL));
		ASSERT_EQ(-SIGKILL, reap(rd));
		at = get_stats(self->ctl).read_bytes - base;
	}
	rd = spawn();
	if (!rd)
		read_stream(map, at, TOTAL);
	EXPECT_EQ(0, reap(wr));
	EXPECT_EQ(0, reap(rd));

	EXPECT_EQ(TOTAL, get_stats(self->ctl).read_bytes - base);
	pattern(sent, 0, TOTAL);
	EXPECT_EQ(0, memcmp(sent, map, TOTAL));
}

TEST_F(channel, sleeping_writer_hands_off_when_killed)
{
	struct helper h;
	pid_t pid;

	BLOCKING_WRITER();
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	pid = spawn();
	if (!pid)
		_exit(put(self->wrb, 100) == 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	helper_start(&h, self->wrb, true, 200);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 2));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, reap(pid));
	ASSERT_EQ(SIZE, take(self->rd, SIZE));
	EXPECT_EQ(200, helper_end(&h));
	/* The killed atomic write has stored nothing. */
	EXPECT_EQ(200, queued(self->rd));
}

TEST_F(channel, sleeping_reader_hands_off_when_killed)
{
	struct helper h;
	pid_t pid;

	BLOCKING_READER();
	pid = spawn();
	if (!pid)
		_exit(take(self->rdb, 100) == 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 1));
	helper_start(&h, self->rdb, false, 200);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 2));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, reap(pid));
	ASSERT_EQ(100, put(self->wr, 100));
	EXPECT_EQ(100, helper_end(&h));
}

TEST_F(channel, killed_last_writer_causes_end_of_file)
{
	struct helper h;
	pid_t pid = spawn();

	if (!pid) {
		close(self->wr);
		put(open(DEV, O_WRONLY), 10 * SIZE);
		_exit(0);
	}
	close(self->wr);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, reap(pid));
	BLOCKING_READER();
	EXPECT_EQ(SIZE, take(self->rdb, 10 * SIZE));
	helper_start(&h, self->rdb, false, 1);
	EXPECT_EQ(0, helper_end(&h));
}

TEST_HARNESS_MAIN
