// SPDX-License-Identifier: GPL-2.0
/*
 * Coverage-guided fuzzing of the device by a program in the guest: a program of the
 * fuzzer is a string of bytes, and any string of bytes is a program. It runs on a clean
 * channel in this process, and a signal ends each wait. Programs that reach something
 * new are kept and mutated. The corpus runs first, and alone reaches every documented
 * error.
 *
 * Something new is an error of a command, and, with KCOV, an edge between two places in
 * the module's code; without KCOV, a call's result after another call's result.
 *
 * To add a command or field, add a line to the tables below. After a long run, replace
 * the corpus by what it found, each program cut down to what it is kept for:
 *
 *	mkdir new && fuzz --seconds 1000 --save new
 *	rm -r tests/fuzz/corpus && mv new tests/fuzz/corpus
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
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <linux/kcov.h>

#include <linux/bpipe.h>

#include "../random.h"

#define DEV		"/dev/bpipe"
#define ADDED		4	/* channels that may be added: DEV "-a" and so on */
#define CLASS		"/sys/class/bpipe/"
#define CGROUP		"/sys/fs/cgroup/bpipe-fuzz"
#define PROGRAM_MAX	256
#define PROGRAMS_MAX	4096
#define FILES		4
#define FILES_MAX	64	/* open at most */
#define FEATURES	(1U << 18)	/* size of the table */
#define NEWS_MAX	256
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

/* Coverage. */

static unsigned long *trace;		/* KCOV's, or NULL */
static int kcov = -1;
static uint32_t seen[FEATURES];		/* the last run that reached it; 0 for never */
static uint32_t this_run;
static uint32_t news[NEWS_MAX];		/* reached first by this run */
static unsigned int nr_news;
static bool only_known;			/* this run must not add anything */
static unsigned int edges, blocks;	/* reached by any run */

/* Note that this run reached something. Return true if no run did before. */
static bool reach(unsigned int kind, uint64_t from, uint64_t to)
{
	uint64_t mixed = (from * 3 + kind) * 0x9e3779b97f4a7c15ULL ^ to * 0xbf58476d1ce4e5b9ULL;
	uint32_t at = mixed / (UINT64_MAX / FEATURES + 1);
	bool new = !seen[at];

	if (new && only_known)
		return false;
	seen[at] = this_run;
	if (new && nr_news < NEWS_MAX)
		news[nr_news++] = at;
	return new;
}

static void edge(uint64_t from, uint64_t to)
{
	edges += reach(0, from, to);
}

static void trace_open(void)
{
	kcov = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	if (kcov < 0 || ioctl(kcov, KCOV_INIT_TRACE, TRACE))
		return;
	trace = mmap(NULL, TRACE * sizeof(*trace), PROT_READ | PROT_WRITE, MAP_SHARED, kcov, 0);
	if (trace == MAP_FAILED)
		trace = NULL;
	if (trace && ioctl(kcov, KCOV_ENABLE, KCOV_TRACE_PC)) {
		perror("KCOV_ENABLE");
		exit(2);
	}
}

static void trace_begin(void)
{
	if (trace)
		__atomic_store_n(&trace[0], 0, __ATOMIC_RELAXED);
}

/* Note what the kernel executed since trace_begin(), for one call. */
static void trace_end(void)
{
	unsigned long nr, i;

	if (!trace)
		return;
	nr = __atomic_load_n(&trace[0], __ATOMIC_RELAXED);
	for (i = 1; i <= nr && i < TRACE; i++) {
		blocks += reach(1, 0, trace[i]);
		if (i > 1)
			edge(trace[i - 1], trace[i]);
	}
}

/* The commands, and their documented errors. */

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
	{ "SET_WRITER", BPIPE_SET_WRITER,
	  { E2BIG, EINVAL, EOPNOTSUPP, EFAULT, EBADF, ENOMEM } },
	{ "GRANT", BPIPE_GRANT, { E2BIG, EINVAL, EOPNOTSUPP, EFAULT, EBADF } },
	{ "unknown", _IO(BPIPE_IOC_MAGIC, 0x3f), { ENOTTY } },
	{ "OPEN_STATUS", BPIPE_OPEN_STATUS, { EINVAL, EMFILE } },
	{ "ADD", BPIPE_ADD,
	  { E2BIG, EINVAL, EOPNOTSUPP, EPERM, EFAULT, EEXIST, ENOSPC, ENOTTY } },
	{ "REMOVE", BPIPE_REMOVE,
	  { E2BIG, EINVAL, EOPNOTSUPP, EPERM, EFAULT, ENOENT, EBUSY, ENOTTY } },
};

static unsigned long reached[ARRAY_SIZE(commands)][256];

static const uint64_t numbers[] = {
	0, 1, 2, 4095, 4096, 4097, 8192, 16384, 65535, 65536, 1 << 20, 3 << 20, 200 << 20,
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

static int ctl, control;
static int files[FILES];
static char *buffer;		/* BUFFER bytes, followed by an unmapped page */

/* Return memory of @size bytes, or NULL, or memory that ends too early. */
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
	*fd = open(b & 0xc0 ? DEV "-a" : DEV,
		   (b / FILES % 4) | (b & 0x30 ? O_NONBLOCK : 0) | O_CLOEXEC);
	return *fd;
}

static int do_close(struct input *in)
{
	int *fd = &files[byte(in) % FILES], ret = close(*fd);

	*fd = -1;
	return ret;
}

/*
 * Make most settings valid: limit choices to valid ones. ADD's pointer to a
 * configuration gets the fields that follow its own.
 */
static void make_sense(unsigned int cmd, uint64_t *fields)
{
	char name[BPIPE_NAME_MAX] = { 'a' + fields[0] % ADDED };
	uint32_t size[2] = { 0 };

	switch (cmd) {
	case BPIPE_ADD:
		size[0] = fields[4] & 1 ? sizeof(struct bpipe_config) : 0;
		fields[4] = size[0] ? (uintptr_t)&fields[6] : 0;
		memcpy(&fields[5], size, sizeof(size));
		make_sense(BPIPE_SET_CONFIG, &fields[6]);
		memcpy(fields, name, sizeof(name));
		break;
	case BPIPE_REMOVE:
		memcpy(fields, name, sizeof(name));
		fields[4] %= 3;			/* no flag, or one */
		break;
	case BPIPE_SET_CONFIG:
		fields[6] &= 1ULL << 32 | 1;	/* mode, hold */
		fields[7] &= 1;			/* epipe */
		fields[12] &= 3ULL << 32 | 1;	/* order, policy */
		fields[13] &= 3;		/* credit */
		fields[48] &= 1;		/* drop_to_low */
		break;
	case BPIPE_SET_READER:
		fields[3] &= 1;			/* framed */
		break;
	case BPIPE_SET_WRITER:
		fields[0] &= 31;
		fields[1] &= 3ULL << 32 | 7;	/* class, policy */
		break;
	}
}

/* Read the state from a status file that was opened. */
static int look_at(int fd)
{
	const struct bpipe_status *status = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	int state = status == MAP_FAILED ? -errno : (int)status->state;

	if (state >= 0)
		munmap((void *)status, 4096);
	close(fd);
	return state < 0 ? state : 0;
}

/* Call a command with a structure that varies in size and fields, or is missing. */
static int do_ioctl(struct input *in)
{
	unsigned int nr = byte(in) % ARRAY_SIZE(commands), cmd = commands[nr].cmd;
	unsigned int how = byte(in), size = _IOC_SIZE(cmd);
	int fd = files[byte(in) % FILES], ret;
	uint64_t fields[64] = { 0 };
	bool nobody = how / 16 == 15, no_more = how % 16 == 2;
	void *arg;

	if (how % 16 == 0)
		size = byte(in) * 2 % (sizeof(fields) + 1);
	else if (how % 16 == 1)
		size += 8;
	for (unsigned int i = 0; i < (how & 0x80 ? 29 : 14); i++)
		fields[i] = number(in);
	/* Times to live and so on: copy the fields before them. */
	for (unsigned int i = 29; i < sizeof(struct bpipe_config) / 8; i++)
		fields[i] = fields[i - 15];
	/* Set the part beyond the structure that the module knows. */
	if (how % 16 == 1)
		fields[size / 8 - 1] = fields[13];
	if (how & 0x20)
		fields[0] &= 0xff;
	/* Their bits are the high ones. */
	if (how & 0x10 && cmd == BPIPE_SET_CONFIG)
		fields[0] <<= 32;
	if (how & 0x40)
		make_sense(cmd, fields);
	arg = memory(in, size);
	if (arg >= (void *)buffer && arg < (void *)(buffer + BUFFER))
		memcpy(arg, fields, (char *)arg + size <= buffer + BUFFER ? size : size / 2);

	if (nobody && seteuid(65534))
		exit(2);
	if (fd < 0)
		fd = cmd == BPIPE_ADD || cmd == BPIPE_REMOVE ? control : ctl;
	if (no_more && setrlimit(RLIMIT_NOFILE, &(struct rlimit) { 0, FILES_MAX }))
		exit(2);
	ret = ioctl(fd, _IOC(_IOC_DIR(cmd), BPIPE_IOC_MAGIC, _IOC_NR(cmd), size), arg);
	ret = ret < 0 ? -errno : ret;
	if (no_more && setrlimit(RLIMIT_NOFILE, &(struct rlimit) { FILES_MAX, FILES_MAX }))
		exit(2);
	if (nobody && seteuid(0))
		exit(2);
	if (cmd == BPIPE_OPEN_STATUS && ret >= 0)
		ret = look_at(ret);
	if (ret <= 0 && ret > -256) {
		reached[nr][-ret]++;
		reach(2, nr, -ret);
	}
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

/* Splice into or out of a pipe, which may hold data. */
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

/* Give each program the same start: an empty channel that no other process has open. */
static void clean(void)
{
	struct bpipe_config config = { 0 }, old;
	struct bpipe_remove gone = { 0 };
	int fd;

	for (unsigned int i = 0; i < FILES; i++) {
		if (files[i] >= 0)
			close(files[i]);
		files[i] = -1;
	}
	for (unsigned int i = 0; i < ADDED; i++) {
		gone.name[0] = 'a' + i;
		ioctl(control, BPIPE_REMOVE, &gone);
	}
	config.mask = BPIPE_CFG_READ_RATE | BPIPE_CFG_READ_RATE_RECORDS;
	ioctl(ctl, BPIPE_SET_CONFIG, &config);
	fd = open(DEV, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	while (read(fd, buffer, BUFFER) > 0)
		;
	close(fd);
	if (ioctl(ctl, BPIPE_GET_CONFIG, &old)) {
		perror("GET_CONFIG");
		exit(1);
	}
	config = (struct bpipe_config) {
		.mask = old.mask, .size = 16384, .high = 12288, .low = 4096,
		.uid = BPIPE_UNSET, .gid = BPIPE_UNSET,
		.permissions = BPIPE_UNSET,
	};
	if (ioctl(ctl, BPIPE_SET_CONFIG, &config)) {
		perror("a clean channel");
		exit(1);
	}
}

static void check_law(void)
{
	struct bpipe_stats s;

	if (ioctl(ctl, BPIPE_GET_STATS, &s) ||
	    s.written_bytes != s.read_bytes + s.queued_bytes + s.dropped_bytes ||
	    s.written_records != s.read_records + s.queued_records + s.dropped_records ||
	    s.level != s.queued_bytes + s.queued_records * BPIPE_RECORD_OVERHEAD) {
		printf("fuzz: FAILED: sums differ: %llu written, %llu read, %llu queued, "
		       "%llu dropped, at a level of %llu\n", s.written_bytes, s.read_bytes,
		       s.queued_bytes, s.dropped_bytes, s.level);
		exit(1);
	}
}

static void ignore(int signal)
{
	(void)signal;
}

/* Interrupt a call that takes longer: nothing in a program will end its wait. */
static void patience(unsigned int us)
{
	const struct itimerval timer = { { 0, us }, { 0, us } };

	setitimer(ITIMER_REAL, &timer, NULL);
}

/* Run a program. Return true if it reached something new. */
static bool run(const struct program *p)
{
	struct input in = { p->bytes, p->bytes + p->len };
	uint64_t before = 0, after;

	clean();
	this_run++;
	nr_news = 0;
	while (in.at < in.end) {
		unsigned int op = byte(&in) % ARRAY_SIZE(operations);
		int ret;

		patience(5000);
		errno = 0;
		trace_begin();
		ret = operations[op](&in);
		trace_end();
		/* The order of magnitude of the result, or the error. */
		after = ret < -1 ? -ret : ret < 0 ? errno : ret ? 32 - __builtin_clz(ret) : 0;
		after |= op << 16;
		patience(0);
		if (!trace)
			edge(before, after);
		before = after;
	}
	check_law();
	return nr_news;
}

/* Leave out of a program what it does not need to reach what was new in it. */
static void cut_down(struct program *p)
{
	uint32_t wanted[NEWS_MAX];
	unsigned int nr = nr_news, i;
	struct program less;

	memcpy(wanted, news, sizeof(news));
	only_known = true;
	for (unsigned int n = 64; n >= 4; n /= 2) {
		for (unsigned int at = 0; at + n <= p->len;) {
			less = *p;
			less.len -= n;
			memmove(less.bytes + at, less.bytes + at + n, less.len - at);
			run(&less);
			for (i = 0; i < nr && seen[wanted[i]] == this_run; i++)
				;
			if (i == nr)
				*p = less;
			else
				at += n;
		}
	}
	only_known = false;
}

/* Make another program from one or two known ones. */
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

static void keep(struct program *p)
{
	char path[512];
	FILE *file;

	if (programs == PROGRAMS_MAX)
		return;
	if (save_to)
		cut_down(p);
	corpus[programs++] = *p;
	if (!save_to)
		return;
	snprintf(path, sizeof(path), "%s/%04u", save_to, programs);
	file = fopen(path, "w");
	if (!file || fwrite(p->bytes, 1, p->len, file) != p->len || fclose(file)) {
		perror(path);
		exit(2);
	}
}

static int by_length(const void *a, const void *b)
{
	const struct program *p = a, *q = b;

	return p->len < q->len ? -1 : p->len > q->len;
}

/* Load the corpus: shortest first, and only programs that reach something new. */
static void load(const char *dir)
{
	static struct program all[PROGRAMS_MAX];
	unsigned int nr = 0;
	struct dirent **names;
	char path[512];
	int found = scandir(dir, &names, NULL, alphasort);
	FILE *file;

	for (int i = 0; i < found && nr < PROGRAMS_MAX; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
		file = names[i]->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (!file)
			continue;
		all[nr].len = fread(all[nr].bytes, 1, PROGRAM_MAX, file);
		nr++;
		fclose(file);
	}
	qsort(all, nr, sizeof(all[0]), by_length);
	for (unsigned int i = 0; i < nr; i++)
		if (run(&all[i]))
			keep(&all[i]);
}

static bool put_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	bool ok = file && fputs(text, file) >= 0;

	return file && !fclose(file) && ok;
}

/*
 * Limit memory, so that allocations of large buffers fail; memory used so far does not
 * count. Return false without cgroups.
 */
static bool confine(void)
{
	put_text(CLASS "memory_max", "64M\n");
	mkdir(CGROUP, 0755);
	return put_text(CGROUP "/memory.max", "2M") && !mlockall(MCL_CURRENT) &&
	       put_text(CGROUP "/cgroup.procs", "0");
}

/* Print which documented errors were reached. Return true if all were. */
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

/* How long to run: a number of programs, or of seconds if not 0. */
struct extent {
	uint64_t programs;
	uint64_t seconds;
};

/* Write a line of the coverage over time: seconds, programs, kept, blocks, edges. */
static void tell(FILE *to, double seconds, unsigned long execs)
{
	fprintf(to, "%.1f\t%lu\t%u\t%u\t%u\n", seconds, execs, programs, blocks, edges);
	fflush(to);
}

static int fuzz(const struct extent *extent, uint64_t seed, const char *dir, FILE *coverage)
{
	unsigned long execs = 0, told = 0;
	struct program p = { .len = 1 };
	bool confined, complete;
	double start = now();

	ctl = open(DEV, O_ACCMODE | O_CLOEXEC);
	control = open(DEV "-control", O_RDWR | O_CLOEXEC);
	if (ctl < 0 || control < 0) {
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
	sigaction(SIGALRM, &(struct sigaction) { .sa_handler = ignore }, NULL);
	rnd_seed(seed, 0);
	trace_open();
	confined = confine();
	load(dir);
	printf("fuzz: seed %llu, guided by %s; the corpus has %u programs, which reach this:\n",
	       (unsigned long long)seed, trace ? "KCOV" : "answers", programs);
	complete = report(confined);
	if (!programs)
		keep(&p);
	printf("seconds\tprograms\tkept\tblocks\tedges\n");
	while (extent->seconds ? now() - start < extent->seconds : execs < extent->programs) {
		if (execs >= told) {
			tell(stdout, now() - start, execs);
			if (coverage)
				tell(coverage, now() - start, execs);
			told = told * 1.1 + 10;
		}
		mutate(&p);
		if (run(&p))
			keep(&p);
		execs++;
	}
	clean();
	tell(stdout, now() - start, execs);
	if (coverage)
		tell(coverage, now() - start, execs);
	if (!complete) {
		printf("fuzz: FAILED: the corpus does not reach every error that is documented\n");
		return 1;
	}
	printf("fuzz: passed: %lu programs run, %u kept, %u edges\n", execs, programs, edges);
	return 0;
}

int main(int argc, char **argv)
{
	const char *dir = "tests/fuzz/corpus", *log = NULL;
	struct extent extent = { .programs = 10000 };
	uint64_t seed = time(NULL);
	const struct setting settings[] = {
		{ "--programs", .number = &extent.programs },
		{ "--seconds", .number = &extent.seconds },
		{ "--seed", .number = &seed },
		{ "--corpus", .text = &dir },
		{ "--save", .text = &save_to },
		{ "--coverage", .text = &log },
		{ 0 },
	};
	FILE *coverage;

	if (!settings_get(argc, argv, settings)) {
		fprintf(stderr, "usage: fuzz [--programs N] [--seconds N] [--seed N] "
			"[--corpus DIR] [--save DIR] [--coverage FILE]\n");
		return 2;
	}
	coverage = log ? fopen(log, "w") : NULL;
	if (log && !coverage) {
		perror(log);
		return 2;
	}
	return fuzz(&extent, seed, dir, coverage);
}
