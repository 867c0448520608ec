// SPDX-License-Identifier: GPL-2.0
/*
 * Coverage-guided fuzzing of the device from within: a program is a string of
 * bytes, and any string of bytes is a program. It runs on a clean channel, in
 * this one process and without waiting; those that reach something new are kept
 * and changed further.
 *
 * What is new: where the kernel has KCOV, an edge between two places in code;
 * without, an answer of a call after an answer of another.
 *
 * A new command or field is a line in the tables below.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <linux/kcov.h>

#include <linux/bpipe.h>

#define DEV		"/dev/bpipe"
#define CGROUP		"/sys/fs/cgroup/bpipe-fuzz"
#define PROGRAM_MAX	256
#define PROGRAMS_MAX	4096
#define FILES		4
#define EDGES		(1U << 20)	/* size of the table, and of the trace */
#define TRACE		(1U << 16)
#define BUFFER		(128 * 1024)
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

struct program {
	uint8_t bytes[PROGRAM_MAX];
	unsigned int len;
};

static struct program corpus[PROGRAMS_MAX];
static unsigned int programs;
static const char *save_to;

static uint64_t random_state;

static unsigned int rnd(unsigned int below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 20) % below;
}

/* Coverage. */

static unsigned long *trace;		/* KCOV's, or NULL */
static int kcov = -1;
static uint8_t edge_seen[EDGES / 8];
static unsigned int edges;
static bool new_edge;

static void edge(uint64_t from, uint64_t to)
{
	unsigned int at = (from * 0x9e3779b97f4a7c15ULL ^ to * 0xbf58476d1ce4e5b9ULL) >> 44;

	if (edge_seen[at / 8] >> at % 8 & 1)
		return;
	edge_seen[at / 8] |= 1 << at % 8;
	edges++;
	new_edge = true;
}

static void trace_open(void)
{
	kcov = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	if (kcov < 0 || ioctl(kcov, KCOV_INIT_TRACE, TRACE))
		return;
	trace = mmap(NULL, TRACE * sizeof(*trace), PROT_READ | PROT_WRITE, MAP_SHARED, kcov, 0);
	if (trace == MAP_FAILED)
		trace = NULL;
}

static void trace_start(void)
{
	if (!trace)
		return;
	if (ioctl(kcov, KCOV_ENABLE, KCOV_TRACE_PC)) {
		perror("KCOV_ENABLE");
		exit(2);
	}
	__atomic_store_n(&trace[0], 0, __ATOMIC_RELAXED);
}

static void trace_stop(void)
{
	unsigned long nr, i;

	if (!trace)
		return;
	nr = __atomic_load_n(&trace[0], __ATOMIC_RELAXED);
	ioctl(kcov, KCOV_DISABLE, 0);
	for (i = 2; i <= nr && i < TRACE; i++)
		edge(trace[i - 1], trace[i]);
}

/* The commands, and the errors that the header has for each. */

static const struct {
	const char *name;
	unsigned int cmd;
	int errors[8];
} commands[] = {
	{ "GET_FEATURES", BPIPE_GET_FEATURES, { EINVAL, EFAULT } },
	{ "SET_CONFIG", BPIPE_SET_CONFIG,
	  { E2BIG, EINVAL, EOPNOTSUPP, EPERM, EFAULT, EBUSY, ENOSPC, ENOMEM } },
	{ "GET_CONFIG", BPIPE_GET_CONFIG, { EINVAL, EFAULT } },
	{ "GET_STATS", BPIPE_GET_STATS, { EINVAL, EFAULT } },
	{ "GET_WINDOW", BPIPE_GET_WINDOW, { EINVAL, EFAULT } },
	{ "RESET_PEAKS", BPIPE_RESET_PEAKS, { EINVAL, EPERM } },
	{ "SET_READER", BPIPE_SET_READER, { E2BIG, EINVAL, EOPNOTSUPP, EFAULT, EBADF } },
	{ "GET_EVENTS", BPIPE_GET_EVENTS, { EINVAL, EFAULT } },
	{ "unknown", _IO(BPIPE_IOC_MAGIC, 0x3f), { ENOTTY } },
};

static unsigned long reached[ARRAY_SIZE(commands)][256];

static const uint64_t numbers[] = {
	0, 1, 2, 4095, 4096, 4097, 8192, 16384, 65535, 65536, 1 << 20, 24 << 20, 200 << 20,
	BPIPE_SIZE_MAX, BPIPE_SIZE_MAX + 1, BPIPE_BURST_MAX, BPIPE_BURST_MAX + 1,
	BPIPE_RATE_MAX, BPIPE_RATE_MAX + 1, BPIPE_DELAY_MAX, BPIPE_DELAY_MAX + 1,
	1ULL << 63, UINT64_MAX,
};

/* Programs. */

struct input {
	const uint8_t *at, *end;
};

static unsigned int byte(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static uint64_t number(struct input *in)
{
	unsigned int b = byte(in);

	if (b < 2 * ARRAY_SIZE(numbers))
		return numbers[b / 2];
	return b << 8 | byte(in);
}

static int ctl;
static int files[FILES];
static char *buffer;		/* BUFFER bytes, and then no memory */

/* Memory of so many bytes; near the end of what there is, or none at all. */
static void *memory(struct input *in, size_t size)
{
	switch (byte(in) % 16) {
	case 0:
		return NULL;
	case 1:
		return buffer + BUFFER - size / 2;
	case 2:
		return buffer + BUFFER;
	default:
		return buffer + BUFFER - size;
	}
}

static int do_open(struct input *in)
{
	unsigned int b = byte(in);
	int *fd = &files[b % FILES];

	if (*fd >= 0)
		close(*fd);
	*fd = open(DEV, (b / FILES % 4) | O_NONBLOCK | O_CLOEXEC);
	return *fd;
}

static int do_close(struct input *in)
{
	int *fd = &files[byte(in) % FILES], ret = close(*fd);

	*fd = -1;
	return ret;
}

/* A structure of the caller's that differs in size, or a field, or is not there. */
static int do_ioctl(struct input *in)
{
	unsigned int nr = byte(in) % ARRAY_SIZE(commands), cmd = commands[nr].cmd;
	unsigned int how = byte(in), size = _IOC_SIZE(cmd);
	int fd = files[byte(in) % FILES], ret;
	uint64_t fields[32] = { 0 };
	bool nobody = how / 16 == 15;
	void *arg;

	if (how % 16 == 0)
		size = byte(in) % (sizeof(fields) + 1);
	else if (how % 16 == 1)
		size += 8;
	for (unsigned int i = 0; i < 14; i++)
		fields[i] = number(in);
	/* More often than not, what is to be set can be set. */
	if (how & 0x20)
		fields[0] &= 0xff;
	if (how & 0x40)
		fields[6] &= 1ULL << 32, fields[7] &= 1;
	arg = memory(in, size);
	if (arg >= (void *)buffer && arg < (void *)(buffer + BUFFER))
		memcpy(arg, fields, (char *)arg + size <= buffer + BUFFER ? size : size / 2);

	if (nobody && seteuid(65534))
		exit(2);
	ret = ioctl(fd < 0 ? ctl : fd, _IOC(_IOC_DIR(cmd), BPIPE_IOC_MAGIC, _IOC_NR(cmd), size),
		    arg);
	ret = ret ? -errno : 0;
	if (nobody && seteuid(0))
		exit(2);
	if (-ret >= 0 && -ret < 256)
		reached[nr][-ret]++;
	return ret;
}

static int do_read(struct input *in)
{
	int fd = files[byte(in) % FILES];
	size_t n = number(in) % BUFFER;

	return read(fd, memory(in, n), n);
}

static int do_write(struct input *in)
{
	int fd = files[byte(in) % FILES];
	size_t n = number(in) % BUFFER;

	return write(fd, memory(in, n), n);
}

static int do_vector(struct input *in)
{
	int fd = files[byte(in) % FILES];
	unsigned int how = byte(in);
	struct iovec iov[3];

	for (unsigned int i = 0; i < 3; i++) {
		iov[i].iov_len = number(in) % (BUFFER / 4);
		iov[i].iov_base = memory(in, iov[i].iov_len);
	}
	return how & 1 ? preadv2(fd, iov, 3, -1, how & 2 ? RWF_NOWAIT : 0) :
			 pwritev2(fd, iov, 3, -1, how & 2 ? RWF_NOWAIT : 0);
}

/* Into or out of a pipe, which holds something or not. */
static int do_splice(struct input *in)
{
	int fd = files[byte(in) % FILES], ret = -1, p[2];
	unsigned int how = byte(in);
	size_t n = number(in) % BUFFER;
	struct iovec iov = { buffer, n < 4096 ? n : 4096 };

	if (pipe2(p, O_NONBLOCK | O_CLOEXEC))
		return -1;
	switch (how % 4) {
	case 0:
		ret = splice(fd, NULL, p[1], NULL, n, SPLICE_F_NONBLOCK);
		break;
	case 1:
		ret = sendfile(p[1], fd, NULL, n);
		break;
	case 2:
		ret = vmsplice(p[1], &iov, 1, SPLICE_F_NONBLOCK);
		if (ret >= 0)
			ret = splice(p[0], NULL, fd, NULL, n, SPLICE_F_NONBLOCK);
		break;
	default:
		ret = splice(p[0], NULL, fd, NULL, n, SPLICE_F_NONBLOCK);
	}
	close(p[0]);
	close(p[1]);
	return ret;
}

static int do_poll(struct input *in)
{
	struct pollfd p = { .fd = files[byte(in) % FILES], .events = byte(in) };

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

static int do_other(struct input *in)
{
	int fd = files[byte(in) % FILES], n;

	switch (byte(in) % 6) {
	case 0:
		return ioctl(fd, FIONREAD, &n);
	case 1:
		return lseek(fd, number(in), byte(in) % 5);
	case 2:
		return fcntl(fd, F_SETFL, O_NONBLOCK | (byte(in) & 1 ? O_ASYNC : 0));
	case 3:
		return fsync(fd);
	case 4:
		return ftruncate(fd, number(in));
	default:
		return mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0;
	}
}

static int (*const operations[])(struct input *in) = {
	do_open, do_close, do_ioctl, do_ioctl, do_ioctl, do_read, do_write, do_vector,
	do_splice, do_poll, do_other,
};

/* The same for each program: nothing is open but for us, and it is empty. */
static void clean(void)
{
	const struct bpipe_config config = {
		.mask = BPIPE_CFG_SIZE | BPIPE_CFG_HIGH | BPIPE_CFG_LOW | BPIPE_CFG_RATE |
			BPIPE_CFG_BURST | BPIPE_CFG_HOLD | BPIPE_CFG_EPIPE,
		.size = 16384, .high = 12288, .low = 4096,
	};
	int fd;

	for (unsigned int i = 0; i < FILES; i++) {
		if (files[i] >= 0)
			close(files[i]);
		files[i] = -1;
	}
	fd = open(DEV, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	while (read(fd, buffer, BUFFER) > 0)
		;
	close(fd);
	if (ioctl(ctl, BPIPE_SET_CONFIG, &config)) {
		perror("a clean channel");
		exit(1);
	}
}

static void check_law(void)
{
	struct bpipe_stats s;

	if (ioctl(ctl, BPIPE_GET_STATS, &s) ||
	    s.written_bytes != s.read_bytes + s.queued_bytes || s.level != s.queued_bytes) {
		printf("fuzz: FAILED: the law is broken: %llu written, %llu read, %llu queued\n",
		       s.written_bytes, s.read_bytes, s.queued_bytes);
		exit(1);
	}
}

/* Runs a program; whether it reached something new. */
static bool run(const struct program *p)
{
	struct input in = { p->bytes, p->bytes + p->len };
	uint64_t before = 0, after;

	clean();
	new_edge = false;
	trace_start();
	while (in.at < in.end) {
		unsigned int op = byte(&in) % ARRAY_SIZE(operations);
		int ret;

		errno = 0;
		ret = operations[op](&in);
		/* How much, as to order; or why not. */
		after = ret < -1 ? -ret : ret < 0 ? errno : ret ? 32 - __builtin_clz(ret) : 0;
		after |= op << 16;
		if (!trace)
			edge(before, after);
		before = after;
	}
	trace_stop();
	check_law();
	return new_edge;
}

/* Another program, from one or two that are known. */
static void mutate(struct program *p)
{
	unsigned int times = 1 + rnd(6), at, n;

	*p = corpus[rnd(programs)];
	while (times--) {
		at = p->len ? rnd(p->len) : 0;
		switch (rnd(5)) {
		case 0:
			p->bytes[at] = rnd(256);
			break;
		case 1:
			p->bytes[at] += rnd(2) ? 1 : -1;
			break;
		case 2:
			n = 1 + rnd(16);
			if (p->len + n > PROGRAM_MAX)
				break;
			memmove(p->bytes + at + n, p->bytes + at, p->len - at);
			for (unsigned int i = 0; i < n; i++)
				p->bytes[at + i] = rnd(256);
			p->len += n;
			break;
		case 3:
			n = p->len - at < 16 ? p->len - at : 1 + rnd(16);
			memmove(p->bytes + at, p->bytes + at + n, p->len - at - n);
			p->len -= n;
			break;
		default: {
			const struct program *other = &corpus[rnd(programs)];

			n = other->len < PROGRAM_MAX - at ? other->len : PROGRAM_MAX - at;
			memcpy(p->bytes + at, other->bytes, n);
			p->len = at + n;
		}
		}
	}
}

static void keep(const struct program *p)
{
	char path[512];
	FILE *file;

	if (programs == PROGRAMS_MAX)
		return;
	corpus[programs++] = *p;
	if (!save_to)
		return;
	snprintf(path, sizeof(path), "%s/%04u", save_to, programs);
	file = fopen(path, "w");
	if (!file || fwrite(p->bytes, 1, p->len, file) != p->len) {
		perror(path);
		exit(2);
	}
	fclose(file);
}

static void load(const char *dir)
{
	struct program p;
	struct dirent **names;
	char path[512];
	int nr = scandir(dir, &names, NULL, alphasort);
	FILE *file;

	for (int i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
		file = names[i]->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (!file)
			continue;
		p.len = fread(p.bytes, 1, sizeof(p.bytes), file);
		fclose(file);
		if (run(&p))
			keep(&p);
	}
}

/* Little memory, so that large buffers cannot be had; false: no cgroups here. */
static bool confine(void)
{
	FILE *file;
	bool ok;

	mkdir(CGROUP, 0755);
	file = fopen(CGROUP "/memory.max", "w");
	if (!file)
		return false;
	fputs("16M", file);
	ok = !fclose(file);
	file = fopen(CGROUP "/cgroup.procs", "w");
	if (!file)
		return false;
	fputs("0", file);
	return !fclose(file) && ok;
}

/* Which errors of those documented came; whether all did. */
static bool report(bool confined)
{
	bool all = true;

	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++) {
		printf("fuzz: %-12s ok %lu", commands[i].name, reached[i][0]);
		for (unsigned int e = 1; e < 256; e++)
			if (reached[i][e])
				printf(", %s %lu", strerrorname_np(e), reached[i][e]);
		for (unsigned int j = 0; j < 8 && commands[i].errors[j]; j++) {
			int e = commands[i].errors[j];

			if (reached[i][e])
				continue;
			printf(", %s NEVER", strerrorname_np(e));
			all &= e == ENOMEM && !confined;
		}
		printf("\n");
	}
	return all;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static int fuzz(unsigned int seconds, uint64_t seed, const char *dir)
{
	double start = now(), told = 0;
	unsigned long execs = 0;
	bool confined = confine();
	struct program p = { .len = 1 };

	ctl = open(DEV, O_ACCMODE | O_CLOEXEC);
	if (ctl < 0) {
		perror(DEV);
		return 2;
	}
	buffer = mmap(NULL, BUFFER + 4096, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(buffer + BUFFER, 4096);
	for (unsigned int i = 0; i < FILES; i++)
		files[i] = -1;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN);
	random_state = (seed + 1) * 0x9e3779b97f4a7c15ULL | 1;
	trace_open();
	load(dir);
	if (!programs)
		keep(&p);
	printf("fuzz: seed %llu, %s, %u programs to begin with, %u edges\n",
	       (unsigned long long)seed, trace ? "guided by KCOV" : "guided by answers",
	       programs, edges);
	while (now() - start < seconds) {
		mutate(&p);
		if (run(&p))
			keep(&p);
		execs++;
		if (now() - start >= told) {
			printf("%.0f %u %lu\n", now() - start, edges, execs);
			fflush(stdout);
			told = told < 10 ? told + 1 : told * 1.2;
		}
	}
	clean();
	printf("%.0f %u %lu\n", now() - start, edges, execs);
	if (!report(confined)) {
		printf("fuzz: FAILED: not every error that is documented was reached\n");
		return 1;
	}
	printf("fuzz: passed: %lu programs run, %u kept, %u edges\n", execs, programs, edges);
	return 0;
}

int main(int argc, char **argv)
{
	const char *dir = "tests/fuzz/corpus";
	uint64_t seed = time(NULL), seconds = 60;
	int i;

	for (i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--seconds"))
			seconds = strtoull(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--seed"))
			seed = strtoull(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--corpus"))
			dir = argv[i + 1];
		else if (!strcmp(argv[i], "--save"))
			save_to = argv[i + 1];
		else
			break;
	}
	if (i < argc) {
		fprintf(stderr,
			"usage: fuzz [--seconds N] [--seed N] [--corpus DIR] [--save DIR]\n");
		return 2;
	}
	return fuzz(seconds, seed, dir);
}
