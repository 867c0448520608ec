// SPDX-License-Identifier: GPL-2.0
/*
 * Two pairs of a writer and a reader that misuse nothing, each a separate process:
 * one pair on a channel that no other process opens, one on the channel where the
 * hostile openers move data. The pairs measure the time from the start of a write
 * to the end of the read that returns the record, without torture and then during it. These
 * processes have a real-time priority, so the time is the module's and not the
 * scheduler's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/bpipe.h>

#include "torture.h"

#define PAIRS		2
#define PHASES		(INNOCENT_DONE + 1)
#define READ_MAX	(2U << 20)
/* Eight buckets for each power of two, in nanoseconds. */
#define BUCKET_BITS	3
#define BUCKETS		(64 << BUCKET_BITS)
#define PAUSE_US	1000

struct record {
	char magic[16];
	uint64_t seq;
	uint64_t time_ns;
	uint32_t phase;
	char rest[128 - 36];
} __attribute__((packed));

static const char magic[16] = "innocent record";

static const char *const names[PAIRS] = { CALM, ARENA };

static struct innocents {
	atomic_uint phase;
	struct {
		atomic_ullong sent, came, worst;
		atomic_uint bucket[BUCKETS];
	} seen[PAIRS][PHASES];
} *innocents;

static pid_t writers[PAIRS], readers[PAIRS];

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static unsigned int bucket_of(uint64_t ns)
{
	unsigned int top = 63 - __builtin_clzll(ns | 1 << BUCKET_BITS);

	return (top << BUCKET_BITS) + (ns >> (top - BUCKET_BITS) & ((1 << BUCKET_BITS) - 1));
}

/* Return the upper bound of a bucket. */
static uint64_t bucket_end(unsigned int bucket)
{
	unsigned int top = bucket >> BUCKET_BITS;

	return ((1ULL << BUCKET_BITS) + (bucket & ((1 << BUCKET_BITS) - 1)) + 1)
		<< (top > BUCKET_BITS ? top - BUCKET_BITS : 0);
}

static void became(unsigned int pair, const struct record *r)
{
	uint64_t ns = now_ns() - r->time_ns;

	if (r->phase >= PHASES) {
		fail("an innocent record says phase %u", r->phase);
		return;
	}
	innocents->seen[pair][r->phase].came++;
	innocents->seen[pair][r->phase].bucket[bucket_of(ns)]++;
	if (innocents->seen[pair][r->phase].worst < ns)
		innocents->seen[pair][r->phase].worst = ns;
}

static int open_end(unsigned int pair, int mode)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), DEV "-%s", names[pair]);
	fd = open(path, mode | O_CLOEXEC);
	if (fd < 0)
		fail("%s: %s", path, strerror(errno));
	return fd;
}

static void be_innocent_writer(unsigned int pair)
{
	struct record r = { .seq = 0 };
	int fd = open_end(pair, O_WRONLY);
	ssize_t n;

	memcpy(r.magic, magic, sizeof(magic));
	while (fd >= 0 && innocents->phase != INNOCENT_DONE) {
		r.phase = innocents->phase;
		r.time_ns = now_ns();
		n = write(fd, &r, sizeof(r));
		if (n == sizeof(r)) {
			innocents->seen[pair][r.phase].sent++;
			r.seq++;
		} else if (!pair || n >= 0) {
			fail("an innocent write returns %zd: %s", n, strerror(errno));
			break;
		}
		nap_us(PAUSE_US);
	}
}

/* Find records: the arena may be a stream by now, with others' bytes between them. */
static void find_records(unsigned int pair, const char *at, size_t n)
{
	const char *end = at + n;
	struct record r;

	while ((at = memmem(at, end - at, magic, sizeof(magic)))) {
		if ((size_t)(end - at) < sizeof(r))
			break;
		memcpy(&r, at, sizeof(r));
		became(pair, &r);
		at += sizeof(r);
	}
}

static void be_innocent_reader(unsigned int pair)
{
	static char buf[READ_MAX];
	const struct bpipe_grant_credit credit = { .amount = READ_MAX };
	int fd = open_end(pair, O_RDONLY);
	uint64_t next = 0;
	struct record r;
	ssize_t n;

	while (fd >= 0) {
		if (pair)
			ioctl(fd, BPIPE_GRANT, &credit);
		n = read(fd, buf, sizeof(buf));
		if (!n && innocents->phase == INNOCENT_DONE)
			break;
		if (pair) {
			find_records(pair, buf, n > 0 ? n : 0);
			if (n <= 0)
				nap_us(PAUSE_US);
			continue;
		}
		if (n != sizeof(r)) {
			fail("an innocent read returns %zd: %s", n, strerror(errno));
			break;
		}
		memcpy(&r, buf, sizeof(r));
		if (memcmp(r.magic, magic, sizeof(magic)) || r.seq != next++)
			fail("innocent record %llu comes as number %llu",
			     (unsigned long long)r.seq, (unsigned long long)next - 1);
		became(pair, &r);
	}
}

static pid_t start(unsigned int pair, void (*be)(unsigned int pair))
{
	const struct sched_param first = { .sched_priority = 1 };
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	sched_setscheduler(0, SCHED_FIFO, &first);
	be(pair);
	_exit(0);
}

bool innocents_start(void)
{
	innocents = mmap(NULL, sizeof(*innocents), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (innocents == MAP_FAILED)
		return false;
	for (unsigned int pair = 0; pair < PAIRS; pair++) {
		readers[pair] = start(pair, be_innocent_reader);
		writers[pair] = start(pair, be_innocent_writer);
		if (readers[pair] < 0 || writers[pair] < 0)
			return false;
	}
	return true;
}

void innocents_phase(enum innocent_phase phase)
{
	innocents->phase = phase;
}

static void end_of(pid_t pid, const char *what, bool itself, uint64_t patience_ms)
{
	uint64_t end = now_ms() + patience_ms;

	if (!itself)
		kill(pid, SIGKILL);
	while (!waitpid(pid, NULL, WNOHANG)) {
		if (now_ms() > end) {
			fail("an innocent %s does not end", what);
			kill(pid, SIGKILL);
			return;
		}
		nap_us(2000);
	}
}

void innocents_end(uint64_t patience_ms)
{
	unsigned long long sent, came;

	innocents_phase(INNOCENT_DONE);
	for (unsigned int pair = 0; pair < PAIRS; pair++) {
		end_of(writers[pair], "writer", true, patience_ms);
		/* The arena may hold back the end-of-file. */
		end_of(readers[pair], "reader", !pair, patience_ms);
	}
	for (unsigned int phase = 0; phase < PHASES; phase++) {
		sent = innocents->seen[0][phase].sent;
		came = innocents->seen[0][phase].came;
		if (sent != came)
			fail("of %llu innocent records, %llu arrived", sent, came);
	}
}

static void print_phase(unsigned int pair, enum innocent_phase phase)
{
	unsigned long long came = innocents->seen[pair][phase].came, below = 0;
	unsigned int i;

	for (i = 0; i < BUCKETS - 1; i++) {
		below += innocents->seen[pair][phase].bucket[i];
		if (below && below >= came - came / 100)
			break;
	}
	printf("torture: innocent 128 B, %s channel, %s: 99 %% within %.3f ms, worst %.3f ms;",
	       pair ? "same" : "another", phase == INNOCENT_QUIET ? "quiet" : "torture",
	       came ? bucket_end(i) / 1e6 : 0., innocents->seen[pair][phase].worst / 1e6);
	printf(" %llu of %llu records\n", came,
	       (unsigned long long)innocents->seen[pair][phase].sent);
}

void innocents_print(void)
{
	for (unsigned int pair = 0; pair < PAIRS; pair++) {
		print_phase(pair, INNOCENT_QUIET);
		print_phase(pair, INNOCENT_TORTURE);
	}
}
