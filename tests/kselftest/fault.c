// SPDX-License-Identifier: GPL-2.0
/*
 * Fault injection: failed allocations and failed accesses to user memory, at every place
 * where the module makes either.
 *
 * Each system call is repeated. Run n injects a fault into the nth operation that can fail,
 * until a run has no nth operation. The kernel's log names the caller of the failed
 * operation. The places are read from the module's code, so that a new place that no test
 * reaches is noticed. Unmapped memory serves where the kernel injects no fault.
 *
 * Needs a kernel with fault injection, and the module as it is loaded: BPIPE_KO.
 */
#define _GNU_SOURCE
#include <liburing.h>
#include <regex.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "bpipe_test.h"

#define DEBUG		"/sys/kernel/debug/"
#define CLASS		"/sys/class/bpipe/"
#define FAULTS_MAX	20000	/* in one call; with more, the call is endless */
#define SWEEPS_MAX	5	/* over the load of the module */
#define SITES_MAX	128
#define OUTCOMES_MAX	2048
#define NR_POLLED	64	/* more files than poll() handles without an allocation */

/*
 * Functions that allocate memory or access the user's. add_uevent_var() does neither: it fails
 * only if its buffer is full.
 */
#define MAY_FAIL	"k[a-z]*alloc|vmalloc|vmap|alloc_page|get_free_page|memdup|strn?dup|asprintf|" \
			"copy_.*(user|iter)|(put|get|zeroed)_user|strn.*_user|fault_in_|" \
			"fasync_helper|set_name|device_add|cdev_add|class_register|alloc_chrdev|" \
			"id[ar]_alloc|misc_register|anon_inode|vm_insert|kobject_uevent"

/* Calls in which the kernel tolerates some failed allocations. */
#define CAN_DO_WITHOUT	"^(__pollwait|cdev_device_(add|del)|class_register|misc_register|" \
			"anon_inode_getfd)$"

/* Records the memory cgroup of each object in a new slab. */
#define SLAB_RECORDS	"alloc_slab_obj_exts"

/* Functions that no system call reaches in a way that can fail, except a load. */
#define LOADS		"^bpipe_(init|control_(init|create)|list_add_control|band_create)$"

/* In each of these functions, one such call is never made, or allocates nothing. */
static const char *const exempt[][2] = {
	{ "bpipe_channel_fasync", "fasync_helper" },	/* to take back what was added */
	{ "bpipe_buffer_alloc", "vmap" },		/* of no pages, thinks the compiler */
	{ "bpipe_overload_notify", "kobject_uevent_env" },	/* by a thread of the kernel's */
};

/* The allocations for a buffer, in order. The kernel does not log their faults. */
static const char *const silent[] = { "__kvmalloc_node_noprof", "__alloc_pages_noprof" };

/* A place in the module's code: a call, by its return address. */
struct site {
	char function[64];
	unsigned int from, to;	/* range of offsets in the function */
	char callee[64];
	bool reached;
};

/* The outcome of a fault: the system call, the place and callee that failed, the result. */
struct outcome {
	char call[32];
	char at[80];
	char callee[64];
	int ret;
	unsigned int times;
};

/* Shared by the tests, which run as separate processes. */
static struct shared {
	unsigned int nr_sites;
	unsigned int nr_outcomes;
	struct site sites[SITES_MAX];
	struct outcome outcomes[OUTCOMES_MAX];
} *shared;

static int fail_nth, kmsg;

static bool put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == strlen(text);

	close(fd);
	return done;
}

static long long get_number(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool done = fd >= 0 && read(fd, text, sizeof(text) - 1) > 0;

	close(fd);
	return done ? atoll(text) : -1;
}

/* Places. */

static bool matches(const char *text, const char *pattern)
{
	static const char *compiled;
	static regex_t regex;

	if (pattern != compiled && regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB))
		abort();
	compiled = pattern;
	return !regexec(&regex, text, 0, NULL, 0);
}

static void site_add(const char *function, unsigned int from, unsigned int to, const char *callee)
{
	struct site *site = &shared->sites[shared->nr_sites++];

	if (shared->nr_sites > SITES_MAX)
		abort();
	/* The module's init function has two names. */
	snprintf(site->function, sizeof(site->function), "%s",
		 strcmp(function, "init_module") ? function : "bpipe_init");
	snprintf(site->callee, sizeof(site->callee), "%s", callee);
	site->from = from;
	site->to = to;
}

/* Return the place at "function+0xoffset", or NULL. */
static struct site *site_find(const char *at)
{
	size_t n = strcspn(at, "+");
	unsigned int offset = at[n] ? strtoul(at + n + 1, NULL, 16) : 0;

	for (struct site *s = shared->sites; s < shared->sites + shared->nr_sites; s++)
		if (!strncmp(s->function, at, n) && !s->function[n] &&
		    s->from <= offset && offset <= s->to)
			return s;
	return NULL;
}

/* Collect the module's calls of functions that may fail, from its relocations. */
static bool sites_read(void)
{
	char command[512], line[512], function[64] = "", callee[64];
	unsigned long start = 0, at;
	FILE *objdump;

	snprintf(command, sizeof(command), "objdump -dr --no-show-raw-insn '%s'",
		 getenv("BPIPE_KO"));
	objdump = popen(command, "r");
	while (objdump && fgets(line, sizeof(line), objdump)) {
		if (sscanf(line, "%lx <%63[^>]>:", &at, function) == 2)
			start = at;
		/* clear_user() is an instruction, or a call patched in its place. */
		if (sscanf(line, " %lx: rep stos %%al%c", &at, callee) == 2)
			site_add(function, at - start, at - start + 5, "clear_user");
		/* The relocation covers the last four bytes of the call. */
		if (sscanf(line, " %lx: R_X86_64_PLT32 %63[^-+]", &at, callee) == 2 &&
		    strncmp(callee, "bpipe_", 6) && matches(callee, MAY_FAIL))
			site_add(function, at + 4 - start, at + 4 - start, callee);
	}
	return objdump && !pclose(objdump) && shared->nr_sites;
}

/* Count an outcome, and mark its place as reached. */
static void outcome_add(const char *call, const char *at, const char *callee, int ret)
{
	struct site *site = site_find(at);
	struct outcome *o;
	unsigned int i;

	if (site)
		site->reached = true;
	ret = ret > 0 ? 0 : ret;
	for (i = 0; i < shared->nr_outcomes; i++) {
		o = &shared->outcomes[i];
		if (!strcmp(o->call, call) && !strcmp(o->at, at) && o->ret == ret)
			break;
	}
	if (i == OUTCOMES_MAX)
		abort();
	o = &shared->outcomes[i];
	if (i == shared->nr_outcomes) {
		snprintf(o->call, sizeof(o->call), "%s", call);
		snprintf(o->at, sizeof(o->at), "%s", at);
		snprintf(o->callee, sizeof(o->callee), "%s", callee);
		o->ret = ret;
		shared->nr_outcomes++;
	}
	o->times++;
}

static const char *outcome_of(int ret)
{
	return ret < 0 ? strerrorname_np(-ret) : "success";
}

/* Count the same outcome for all places that call @callee. */
static void outcome_add_all(const char *call, const char *callee, int ret)
{
	char at[80];

	for (struct site *s = shared->sites; s < shared->sites + shared->nr_sites; s++) {
		if (strcmp(s->callee, callee))
			continue;
		snprintf(at, sizeof(at), "%.60s+0x%x", s->function, s->to);
		outcome_add(call, at, callee, ret);
	}
}

/* Print all outcomes; return the number of places that were never reached. */
static unsigned int sites_report(void)
{
	struct outcome *o, *end = shared->outcomes + shared->nr_outcomes;
	bool spared[ARRAY_SIZE(exempt)] = { false };
	unsigned int missed = 0;

	printf("# Places in the module, and the outcomes of a fault there:\n");
	for (struct site *s = shared->sites; s < shared->sites + shared->nr_sites; s++) {
		printf("# %s+0x%x %s%s\n", s->function, s->to, s->callee,
		       s->reached ? "" : ": never reached");
		missed += !s->reached;
		for (unsigned int i = 0; i < ARRAY_SIZE(exempt); i++) {
			if (s->reached || spared[i] || strcmp(s->function, exempt[i][0]) ||
			    strcmp(s->callee, exempt[i][1]))
				continue;
			spared[i] = true;
			missed--;
		}
		for (o = shared->outcomes; o < end; o++)
			if (site_find(o->at) == s)
				printf("#\t%-16s %s\n", o->call, outcome_of(o->ret));
	}
	printf("# Faults in the kernel before, after, or on behalf of the module:\n");
	for (o = shared->outcomes; o < end; o++)
		if (!site_find(o->at))
			printf("#\t%-16s %s, %u times, at %s %s\n", o->call, outcome_of(o->ret),
			       o->times, o->at, o->callee);
	return missed;
}

/* Faults. */

/*
 * Find the module's innermost function in a stack trace, and the function that it called.
 * The trace is given line by line from the inside. Return true once the former is found.
 */
static bool find_frame(const char *line, char *at, char *callee)
{
	const char *plus = strstr(line, "+0x"), *name = plus;
	bool ours = strstr(line, " [bpipe]");

	if (!plus || strstr(line, " ? "))
		return false;
	while (name > line && !strchr(" ;", name[-1]))
		name--;
	if (ours)
		snprintf(at, 80, "%.*s", (int)strcspn(name, "/"), name);
	else
		snprintf(callee, 64, "%.*s", (int)(plus - name), name);
	return ours;
}

static void faults_open(void)
{
	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fail_nth < 0 || kmsg < 0)
		abort();
}

/* Make the nth operation from now fail. */
static void arm(unsigned int nth)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", nth);

	lseek(kmsg, 0, SEEK_END);
	if (pwrite(fail_nth, text, n, 0) != n)
		abort();
}

/*
 * Cancel the fault. Return how many operations remained until it, 0 if it was injected. The
 * fault may also hit this read, and then counts as not injected.
 */
static unsigned int disarm(void)
{
	char text[16] = "";
	unsigned int left = pread(fail_nth, text, sizeof(text) - 1, 0) > 0 ? atoi(text) : 1;

	while (pwrite(fail_nth, "0", 1, 0) != 1)
		;
	return left;
}

/*
 * Find the place of the last fault: @at is "elsewhere" if the module is not in its stack
 * trace. @callee is "?" if the log has no record, which some allocations suppress, and if the
 * fault was in SLAB_RECORDS. The allocator makes those only with a new slab, and works without
 * them. Return true if the fault was in an access to user memory.
 */
static bool fault_seen(char *at, char *callee)
{
	bool usercopy = false, found = false, dump = false;
	char record[1024];
	ssize_t n;

	snprintf(at, 80, "elsewhere");
	*callee = 0;
	while ((n = read(kmsg, record, sizeof(record) - 1)) > 0) {
		record[n] = 0;
		dump |= !!strstr(record, "forcing a failure");
		if (!dump || found)
			continue;
		usercopy |= !!strstr(record, "name fail_usercopy");
		found = find_frame(strchr(record, ';'), at, callee);
		if (!strcmp(callee, SLAB_RECORDS)) {
			dump = false;
			break;
		}
	}
	if (!found)
		snprintf(callee, 64, dump ? "" : "?");
	return usercopy;
}

/* Calls. */

struct call {
	const char *name;
	void (*ready)(void);
	int (*call)(void);		/* returns a result >= 0, or -errno */
	void (*done)(void);		/* undoes a successful call */
	bool writes, reads;		/* as many bytes as the call returns */
	int whole;			/* all of these bytes or none; 0: any number */
	bool buffer;			/* the call allocates one */
	bool sleeps;			/* counters of waits change even if the call fails */
};

static int ctl, rd, wr;			/* the fixture's */
static unsigned char buf[2 * SIZE];
static int fds[2] = { -1, -1 };		/* a pipe, or files that a call needs */

#define RETURNED(call) ({ long _ret = (call); _ret < 0 ? -errno : (int)_ret; })

/* Return the bytes stored since the module was loaded, less those dropped by other tests. */
static size_t stored(void)
{
	struct bpipe_stats stats = get_stats(ctl);

	return stats.written_bytes - stats.dropped_bytes;
}

/* Write the next @n bytes of the pattern. */
static void fill(size_t n)
{
	pattern(buf, stored(), n);
	if (write(wr, buf, n) != n)
		abort();
}

/* Return true if @got holds the @n bytes of the pattern at @at. */
static bool holds(const unsigned char *got, size_t at, size_t n)
{
	static unsigned char expected[2 * SIZE];

	pattern(expected, at, n);
	return !memcmp(got, expected, n);
}

static void drain(void)
{
	size_t at = get_stats(ctl).read_bytes;
	ssize_t n = read(rd, buf, sizeof(buf));

	if (n > 0 && !holds(buf, at, n))
		abort();
}

/* Empty the channel, and leave @room bytes between the next write and the wrap. */
static void before_wrap(size_t room)
{
	struct bpipe_config config = { .mask = BPIPE_CFG_SIZE, .size = 2 * SIZE };

	drain();
	if (set_config(ctl, config))
		abort();
	config.size = SIZE;
	if (set_config(ctl, config))
		abort();
	fill(SIZE - room);
	drain();
}

static void ready_empty(void)
{
	before_wrap(SIZE);
	pattern(buf, stored(), sizeof(buf));
}

static void ready_empty_wrap(void)
{
	before_wrap(1000);
	pattern(buf, stored(), sizeof(buf));
}

static void ready_data(void)
{
	before_wrap(SIZE);
	fill(3 * ATOMIC);
	memset(buf, 0, sizeof(buf));
}

static void ready_data_wrap(void)
{
	before_wrap(1000);
	fill(3 * ATOMIC);
	memset(buf, 0, sizeof(buf));
}

static int do_open(void)
{
	return fds[0] = RETURNED(open(DEV, O_RDWR | O_NONBLOCK));
}

static void done_open(void)
{
	close(fds[0]);
}

static int do_write(void)
{
	return RETURNED(write(wr, buf, ATOMIC));
}

static int do_writev(void)
{
	struct iovec iov[] = { { buf, ATOMIC }, { buf + ATOMIC, 1000 } };

	return RETURNED(writev(wr, iov, 2));
}

static int do_read(void)
{
	return RETURNED(read(rd, buf, SIZE));
}

static int do_readv(void)
{
	struct iovec iov[] = { { buf, ATOMIC }, { buf + ATOMIC, SIZE } };

	return RETURNED(readv(rd, iov, 2));
}

static void done_write(void)
{
	drain();
}

#define IOCTL(name, command, type)						\
static int do_##name(void)				\
{										\
	type arg;								\
										\
	return RETURNED(ioctl(ctl, command, &arg));			\
}

IOCTL(get_features, BPIPE_GET_FEATURES, struct bpipe_features)
IOCTL(get_config, BPIPE_GET_CONFIG, struct bpipe_config)
IOCTL(get_stats, BPIPE_GET_STATS, struct bpipe_stats)
IOCTL(get_window, BPIPE_GET_WINDOW, struct bpipe_window)
IOCTL(get_events, BPIPE_GET_EVENTS, struct bpipe_events)
IOCTL(reset_peaks, BPIPE_RESET_PEAKS, int)
IOCTL(fionread, FIONREAD, int)

static pid_t tracer;			/* child that interrupts this process, or 0 */

static void end_tracer(void)
{
	if (tracer > 0) {
		kill(tracer, SIGKILL);
		reap(tracer);
	}
	tracer = 0;
}

/*
 * Interrupt a waiting writer once, without a signal, as the freezer does. Then make room for
 * the restarted write.
 */
static void trace_writer(pid_t writer)
{
	const struct bpipe_config roomy = { .mask = BPIPE_CFG_SIZE, .size = 2 * SIZE };

	if (!EVENTUALLY(get_stats(ctl).writers_waiting == 1) ||
	    ptrace(PTRACE_SEIZE, writer, NULL, NULL) ||
	    ptrace(PTRACE_INTERRUPT, writer, NULL, NULL) ||
	    waitpid(writer, NULL, __WALL) != writer ||
	    ptrace(PTRACE_DETACH, writer, NULL, NULL) ||
	    !EVENTUALLY(get_stats(ctl).writers_waiting == 1))
		_exit(1);
	_exit(!!set_config(ctl, roomy));
}

/* Fill the channel, and let a tracer wait for a writer with a timeout. */
static void ready_interrupted(void)
{
	const struct bpipe_config config = {
		.mask = BPIPE_CFG_SIZE | BPIPE_CFG_POLICY | BPIPE_CFG_TIMEOUT,
		.size = SIZE, .policy = BPIPE_POLICY_BLOCK, .timeout = 3600000000000,
	};
	pid_t writer = getpid();

	end_tracer();
	drain();
	if (set_config(ctl, config))
		abort();
	if (fds[0] < 0)
		fds[0] = open(DEV, O_WRONLY);
	fill(SIZE);
	pattern(buf, stored(), 1);
	tracer = spawn();
	if (!tracer)
		trace_writer(writer);
}

static int do_write_interrupted(void)
{
	return RETURNED(write(fds[0], buf, 1));
}

static void done_interrupted(void)
{
	end_tracer();
	drain();
}

/* Cause an event, which stays pending until a program fetches it. */
static void ready_event(void)
{
	drain();
	fill(SIZE);
	drain();
	if (!(ready(ctl, POLLPRI) & POLLPRI))
		abort();
}

static int do_resize(void)
{
	const struct bpipe_config config = {
		.mask = BPIPE_CFG_SIZE | BPIPE_CFG_RATE | BPIPE_CFG_HOLD,
		.size = 2 * SIZE, .rate = 1 << 30, .hold = 1,
	};

	return RETURNED(ioctl(ctl, BPIPE_SET_CONFIG, &config));
}

static void done_config(void)
{
	const struct bpipe_config config = {
		.mask = BPIPE_CFG_SIZE | BPIPE_CFG_RATE | BPIPE_CFG_HOLD, .size = SIZE,
	};

	drain();
	if (set_config(ctl, config))
		abort();
}

static int do_set_node(void)
{
	return set_config(ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_UID | BPIPE_CFG_GID | BPIPE_CFG_PERMISSIONS,
		.uid = 1234, .gid = 5678, .permissions = 0640 });
}

static void done_set_node(void)
{
	const struct bpipe_config config = {
		.mask = BPIPE_CFG_UID | BPIPE_CFG_GID | BPIPE_CFG_PERMISSIONS,
		.uid = BPIPE_UNSET, .gid = BPIPE_UNSET, .permissions = BPIPE_UNSET,
	};

	if (get_config(ctl).uid != 1234 || set_config(ctl, config))
		abort();
}

static void ready_records(void)
{
	drain();
	if (set_records(ctl, BPIPE_ORDER_FIFO, BPIPE_POLICY_BLOCK))
		abort();
	pattern(buf, stored(), sizeof(buf));
}

/* A class has no storage before its first writer. */
static void ready_set_writer(void)
{
	if (fds[0] >= 0)
		close(fds[0]);
	ready_records();
	fds[0] = open(DEV, O_WRONLY | O_NONBLOCK);
	if (fds[0] < 0)
		abort();
}

static int do_set_writer(void)
{
	return set_writer(fds[0], (struct bpipe_writer) {
		.mask = BPIPE_WRITER_CLASS, .class = 7 });
}

static void ready_framed(void)
{
	const struct bpipe_reader framed = { .mask = BPIPE_READER_FRAMED, .framed = 1 };
	const struct bpipe_reader bare = { .mask = BPIPE_READER_FRAMED };

	if (ioctl(rd, BPIPE_SET_READER, &bare))
		abort();
	ready_records();
	fill(ATOMIC);
	memset(buf, 0, sizeof(buf));
	if (ioctl(rd, BPIPE_SET_READER, &framed))
		abort();
}

/* Read a record and remove its frame; return the record's length. */
static int do_read_framed(void)
{
	const struct bpipe_frame *frame = (void *)buf;
	int ret = RETURNED(read(rd, buf, SIZE));

	if (ret < 0)
		return ret;
	if (ret != sizeof(*frame) + frame->len)
		abort();
	ret = frame->len;
	memmove(buf, frame + 1, ret);
	return ret;
}

static void ready_grant(void)
{
	const struct bpipe_config config = {
		.mask = BPIPE_CFG_CREDIT, .credit = BPIPE_CREDIT_BYTES,
	};

	if (set_config(ctl, config))
		abort();
}

static int do_grant(void)
{
	return grant(rd, 1);
}

/*
 * Add a channel whose first writer allocates its buffer. Adding itself needs no test here:
 * it makes the same calls as loading.
 */
static void ready_open_first(void)
{
	const struct bpipe_config small = { .mask = BPIPE_CFG_SIZE, .size = 4096 };
	const struct bpipe_remove old = { .name = "fault" };
	const struct bpipe_add add = {
		.name = "fault", .config = (unsigned long)&small, .config_size = sizeof(small),
	};
	int control = open("/dev/bpipe-control", O_RDWR);

	ioctl(control, BPIPE_REMOVE, &old);
	if (ioctl(control, BPIPE_ADD, &add))
		abort();
	close(control);
}

static int do_open_first(void)
{
	return fds[0] = RETURNED(open("/dev/bpipe-fault", O_WRONLY));
}

static int do_open_status(void)
{
	return fds[0] = RETURNED(ioctl(ctl, BPIPE_OPEN_STATUS));
}

static void ready_map_status(void)
{
	if (fds[0] < 0)
		fds[0] = ioctl(ctl, BPIPE_OPEN_STATUS);
}

static int do_map_status(void)
{
	/* Far from other mappings, so that page tables are allocated. */
	void *at = mmap((void *)(1ULL << 44), ATOMIC, PROT_READ,
			MAP_SHARED | MAP_FIXED_NOREPLACE, fds[0], 0);

	if (at == MAP_FAILED)
		return -errno;
	munmap(at, ATOMIC);
	return 0;
}

static int do_set_reader(void)
{
	return RETURNED(ioctl(rd, BPIPE_SET_READER, &(struct bpipe_reader) {
		.mask = BPIPE_READER_THRESHOLD, .threshold = 1 }));
}

static int do_poll(void)
{
	struct pollfd polled[NR_POLLED];

	for (int i = 0; i < NR_POLLED; i++)
		polled[i] = (struct pollfd) { .fd = ctl, .events = POLLPRI };
	/* The last file is ready, so poll() allocates its tables but never sleeps. */
	polled[NR_POLLED - 1] = (struct pollfd) { .fd = wr, .events = POLLOUT };
	return RETURNED(poll(polled, NR_POLLED, -1));
}

/* Open a file for both sides, and an epoll instance. */
static void ready_both(void)
{
	if (fds[0] < 0)
		fds[0] = open(DEV, O_RDWR | O_NONBLOCK);
	if (fds[1] < 0)
		fds[1] = epoll_create1(0);
}

static int do_epoll_ctl(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLPRI };

	return RETURNED(epoll_ctl(fds[1], EPOLL_CTL_ADD, fds[0], &event));
}

static void done_epoll_ctl(void)
{
	if (epoll_ctl(fds[1], EPOLL_CTL_DEL, fds[0], NULL))
		abort();
}

/* Open a file for neither side: its SIGIO is for events. */
static void ready_neither(void)
{
	if (fds[0] < 0)
		fds[0] = open(DEV, O_ACCMODE | O_NONBLOCK);
}

static int do_fasync(void)
{
	return RETURNED(fcntl(fds[0], F_SETFL, O_NONBLOCK | O_ASYNC));
}

static void done_fasync(void)
{
	if (fcntl(fds[0], F_SETFL, O_NONBLOCK))
		abort();
}

/* Fill a pipe with the bytes to be written next. */
static void ready_splice_in(void)
{
	ready_empty();
	if (fds[0] < 0 && pipe2(fds, O_NONBLOCK))
		abort();
	while (take(fds[0], SIZE) > 0)
		;
	if (write(fds[1], buf, 2 * ATOMIC) != 2 * ATOMIC)
		abort();
}

static int do_splice_in(void)
{
	return RETURNED(splice(fds[0], NULL, wr, NULL, SIZE, SPLICE_F_NONBLOCK));
}

static void ready_splice_out(void)
{
	ready_data();
	if (fds[0] < 0 && pipe2(fds, O_NONBLOCK))
		abort();
}

static int do_splice_out(void)
{
	return RETURNED(splice(rd, NULL, fds[1], NULL, SIZE, SPLICE_F_NONBLOCK));
}

static int do_sendfile_out(void)
{
	return RETURNED(sendfile(fds[1], rd, NULL, SIZE));
}

/* Move the bytes to where sweep() expects them after a read. */
static void done_splice_out(void)
{
	if (read(fds[0], buf, sizeof(buf)) <= 0)
		abort();
}

static void ready_sendfile_in(void)
{
	ready_empty();
	if (fds[0] < 0)
		fds[0] = memfd_create("fault", 0);
	if (pwrite(fds[0], buf, 2 * ATOMIC, 0) != 2 * ATOMIC)
		abort();
}

static int do_sendfile_in(void)
{
	off_t at = 0;

	return RETURNED(sendfile(wr, fds[0], &at, 2 * ATOMIC));
}

/* Calls that write to an attribute. Its file keeps no state of a failed write. */
#define STORE(name, file, text)							\
static void ready_##name(void)				\
{										\
	if (fds[0] < 0)								\
		fds[0] = open(file, O_WRONLY);					\
}										\
										\
static int do_##name(void)				\
{										\
	return RETURNED(pwrite(fds[0], text, strlen(text), 0));			\
}

STORE(store_size, SYSFS "size", "128K")
STORE(store_epipe, SYSFS "epipe", "0")
STORE(store_memory_max, CLASS "memory_max", "64M")
STORE(store_memory_share, CLASS "memory_share", "50")

static void ready_show(const char *path)
{
	close(fds[0]);
	fds[0] = open(path, O_RDONLY);
}

static void ready_show_level(void)
{
	ready_show(SYSFS "level");
}

static void ready_show_memory(void)
{
	ready_show(SYSFS "memory");
}

static void ready_show_pressure(void)
{
	ready_show(SYSFS "pressure");
}

static void ready_show_stats(void)
{
	ready_show(SYSFS "stats");
}

static void ready_show_fdinfo(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", rd);
	ready_show(path);
}

static int do_show(void)
{
	return RETURNED(pread(fds[0], buf, 1000, 0));
}

static struct io_uring ring;

static void ready_uring(void)
{
	if (!ring.ring_fd && io_uring_queue_init(4, &ring, 0))
		abort();
}

static void ready_uring_write(void)
{
	ready_empty();
	ready_uring();
	io_uring_prep_write(io_uring_get_sqe(&ring), wr, buf, ATOMIC, 0);
}

static void ready_uring_read(void)
{
	ready_data();
	ready_uring();
	io_uring_prep_read(io_uring_get_sqe(&ring), rd, buf, SIZE, 0);
}

static void ready_uring_poll(void)
{
	ready_both();
	ready_uring();
	drain();
	if (get_events(fds[0]).events)
		abort();
	io_uring_prep_poll_add(io_uring_get_sqe(&ring), fds[0], POLLPRI | POLLIN);
}

/* Discard a ring with an entry that was not submitted, so that the next try starts clean. */
static int do_uring(void)
{
	struct io_uring_cqe *cqe;
	int ret = io_uring_submit(&ring);

	if (ret <= 0) {
		io_uring_queue_exit(&ring);
		ring.ring_fd = 0;
	}
	if (ret > 0 && !io_uring_peek_cqe(&ring, &cqe)) {
		ret = cqe->res;
		io_uring_cqe_seen(&ring, cqe);
	}
	return ret;
}

static void done_uring_poll(void)
{
	struct io_uring_cqe *cqe;

	fill(1);
	if (io_uring_wait_cqe(&ring, &cqe))
		abort();
	io_uring_cqe_seen(&ring, cqe);
	drain();
}

/* The state that a failed call must not change. */
struct state {
	struct bpipe_config config;
	struct bpipe_stats stats;
	long long memory;
	int flags;
	int events;
};

static struct state state_now(void)
{
	struct state s = {
		.config = get_config(ctl),
		.stats = get_stats(ctl),
		.memory = get_number(CLASS "memory"),
		.flags = fcntl(fds[0], F_GETFL),
		.events = ready(ctl, POLLPRI),
	};

	/* These fields change with time. */
	s.stats.time_ns = 0;
	memset(s.stats.stalled, 0, sizeof(s.stats.stalled));
	memset(s.stats.stalled_all, 0, sizeof(s.stats.stalled_all));
	return s;
}

/* Check the counters, and that a failed call changed nothing. */
static void check(struct __test_metadata *_metadata, const struct call *call, int ret,
		  const struct state *before, const struct state *after)
{
	const struct bpipe_stats *b = &before->stats, *a = &after->stats;
	int in = call->writes && ret > 0 ? ret : 0;
	int out = call->reads && ret > 0 ? ret : 0;

	EXPECT_TRUE(lawful(a));
	EXPECT_EQ(in, a->written_bytes - b->written_bytes);
	EXPECT_EQ(out, a->read_bytes - b->read_bytes);
	EXPECT_EQ(0, a->readers_waiting);
	EXPECT_EQ(0, a->writers_waiting);
	if (call->whole && ret >= 0)
		EXPECT_EQ(call->whole, ret);
	if (ret >= 0)
		return;
	EXPECT_EQ(0, memcmp(&before->config, &after->config, sizeof(after->config)));
	EXPECT_EQ(b->level, a->level);
	if (!call->sleeps)
		EXPECT_EQ(0, memcmp(b, a, sizeof(*a)));
	EXPECT_EQ(before->memory, after->memory);
	EXPECT_EQ(before->flags, after->flags);
	EXPECT_EQ(before->events, after->events);
}

/*
 * Return true if a call with this fault may return @ret. Copies of data are tried again and
 * succeed. A lost uevent leaves the configuration in force. A write whose deadline cannot be
 * kept gets EINTR instead of a restart. poll() may find a file ready, and the driver core
 * tolerates some faults. All else must fail.
 */
static bool expected(const char *at, const char *callee, bool usercopy, int ret)
{
	int error = usercopy ? -EFAULT : -ENOMEM;

	if (matches(callee, "^(_copy_(from|to)_iter|kobject_uevent)$"))
		return ret >= 0;
	if (!strncmp(at, "bpipe_restart_error+", 20))
		return ret == -EINTR;
	if (strncmp(at, "bpipe_", 6) ||
	    matches(callee, CAN_DO_WITHOUT))
		return ret >= 0 || ret == error || (ret == -EAGAIN && !strncmp(callee, "io_", 3));
	return ret == error;
}

/* Make each operation of the call that can fail do so once. */
static void sweep(struct __test_metadata *_metadata, const struct call *call)
{
	struct state before, after;
	unsigned int nth, quiet = 0;
	char at[80], callee[64];
	bool usercopy;
	int ret;

	for (nth = 1; nth < FAULTS_MAX; nth++) {
		if (call->ready)
			call->ready();
		before = state_now();
		arm(nth);
		ret = call->call();
		if (disarm())
			break;
		usercopy = fault_seen(at, callee);
		after = state_now();
		if (call->buffer && !strcmp(callee, "?") && ret < 0)
			outcome_add_all(call->name, silent[!!quiet++], ret);
		else
			outcome_add(call->name, at, callee, ret);
		EXPECT_TRUE(expected(at, callee, usercopy, ret)) {
			TH_LOG("%s: %s at %s %s", call->name, outcome_of(ret), at, callee);
		}
		check(_metadata, call, ret, &before, &after);
		if (ret >= 0 && call->done)
			call->done();
		if (ret >= 0 && call->reads)
			EXPECT_TRUE(holds(buf, before.stats.read_bytes, ret));
	}
	EXPECT_LE(0, ret);
	EXPECT_LT(nth, FAULTS_MAX);
	if (ret >= 0 && call->done)
		call->done();
}

/*
 * Sweep until two sweeps in a row find nothing new. The kernel's memory debugging also
 * allocates at times, so an operation's number may change between two runs and be skipped.
 */
static void fail_in_turn(struct __test_metadata *_metadata, const struct call *call)
{
	unsigned int known, in_vain = 0;

	faults_open();
	while (in_vain < 2) {
		known = shared->nr_outcomes;
		sweep(_metadata, call);
		in_vain = shared->nr_outcomes == known ? in_vain + 1 : 0;
	}
}

#define CALL(_name, ...)							\
static const struct call call_##_name = { .name = #_name, __VA_ARGS__ };	\
TEST_F_TIMEOUT(channel, failed_##_name##_changes_nothing, 600)			\
{										\
	ctl = self->ctl, rd = self->rd, wr = self->wr;				\
	fail_in_turn(_metadata, &call_##_name);					\
}

CALL(open, .call = do_open, .done = done_open)
CALL(write, .ready = ready_empty, .call = do_write, .done = done_write, .writes = true,
	.whole = ATOMIC)
CALL(write_wrapped, .ready = ready_empty_wrap, .call = do_write, .done = done_write,
	.writes = true, .whole = ATOMIC)
CALL(writev, .ready = ready_empty, .call = do_writev, .done = done_write, .writes = true,
	.whole = ATOMIC + 1000)
CALL(writev_wrapped, .ready = ready_empty_wrap, .call = do_writev, .done = done_write,
	.writes = true, .whole = ATOMIC + 1000)
CALL(write_interrupted, .ready = ready_interrupted, .call = do_write_interrupted,
	.done = done_interrupted, .writes = true, .whole = 1, .sleeps = true)
CALL(read, .ready = ready_data, .call = do_read, .reads = true, .whole = 3 * ATOMIC)
CALL(read_wrapped, .ready = ready_data_wrap, .call = do_read, .reads = true,
	.whole = 3 * ATOMIC)
CALL(readv, .ready = ready_data, .call = do_readv, .reads = true, .whole = 3 * ATOMIC)
CALL(splice_in, .ready = ready_splice_in, .call = do_splice_in, .done = done_write,
	.writes = true)
CALL(splice_out, .ready = ready_splice_out, .call = do_splice_out, .done = done_splice_out,
	.reads = true)
CALL(sendfile_in, .ready = ready_sendfile_in, .call = do_sendfile_in, .done = done_write,
	.writes = true)
CALL(sendfile_out, .ready = ready_splice_out, .call = do_sendfile_out, .done = done_splice_out,
	.reads = true)
CALL(uring_write, .ready = ready_uring_write, .call = do_uring, .done = done_write,
	.writes = true)
CALL(uring_read, .ready = ready_uring_read, .call = do_uring, .reads = true)
CALL(uring_poll, .ready = ready_uring_poll, .call = do_uring, .done = done_uring_poll)
CALL(get_features, .call = do_get_features)
CALL(get_config, .call = do_get_config)
CALL(get_stats, .call = do_get_stats)
CALL(get_window, .call = do_get_window)
CALL(get_events, .ready = ready_event, .call = do_get_events)
CALL(reset_peaks, .call = do_reset_peaks)
CALL(fionread, .call = do_fionread)
CALL(set_config, .ready = ready_data_wrap, .call = do_resize, .done = done_config,
	.buffer = true)
CALL(set_node, .call = do_set_node, .done = done_set_node)
CALL(set_reader, .call = do_set_reader)
CALL(set_writer, .ready = ready_set_writer, .call = do_set_writer, .buffer = true)
CALL(grant, .ready = ready_grant, .call = do_grant)
CALL(write_record, .ready = ready_records, .call = do_write, .done = done_write, .writes = true,
	.whole = ATOMIC)
CALL(read_framed, .ready = ready_framed, .call = do_read_framed, .reads = true,
	.whole = ATOMIC)
CALL(open_first, .ready = ready_open_first, .call = do_open_first, .done = done_open,
	.buffer = true)
CALL(open_status, .call = do_open_status, .done = done_open)
CALL(map_status, .ready = ready_map_status, .call = do_map_status)
CALL(poll, .call = do_poll)
CALL(epoll_ctl, .ready = ready_both, .call = do_epoll_ctl, .done = done_epoll_ctl)
CALL(fasync, .ready = ready_both, .call = do_fasync, .done = done_fasync)
CALL(fasync_events, .ready = ready_neither, .call = do_fasync, .done = done_fasync)
CALL(store_size, .ready = ready_store_size, .call = do_store_size, .done = done_config,
	.buffer = true)
CALL(store_epipe, .ready = ready_store_epipe, .call = do_store_epipe)
CALL(store_memory_max, .ready = ready_store_memory_max, .call = do_store_memory_max)
CALL(store_memory_share, .ready = ready_store_memory_share, .call = do_store_memory_share)
CALL(show_level, .ready = ready_show_level, .call = do_show)
CALL(show_memory, .ready = ready_show_memory, .call = do_show)
CALL(show_pressure, .ready = ready_show_pressure, .call = do_show)
CALL(show_stats, .ready = ready_show_stats, .call = do_show)
CALL(show_fdinfo, .ready = ready_show_fdinfo, .call = do_show)

/* Return the free memory, in KiB. */
static long long memory_free(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];
	long long free = -1;

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "MemFree: %lld", &free);
	if (file)
		fclose(file);
	return free;
}

/* Resize to 1 MiB with a fault, which the kernel may tolerate, and back. */
static void resize_with_fault(unsigned int nth)
{
	struct bpipe_config config = { .mask = BPIPE_CFG_SIZE, .size = 1 << 20 };

	arm(nth);
	set_config(ctl, config);
	disarm();
	config.size = SIZE;
	if (set_config(ctl, config))
		abort();
}

/* kmemleak does not track pages, so compare the free memory. */
TEST_F_TIMEOUT(channel, pages_are_freed_when_the_buffer_cannot_be_mapped, 600)
{
	char at[80], callee[64] = "";
	unsigned int nth = 0;
	long long before;

	ctl = self->ctl;
	faults_open();
	while (strcmp(callee, "vmap") && nth < FAULTS_MAX) {
		resize_with_fault(++nth);
		fault_seen(at, callee);
	}
	ASSERT_LT(nth, FAULTS_MAX);
	before = memory_free();
	for (int i = 0; i < 60; i++)
		resize_with_fault(nth);
	EXPECT_GT(30 << 10, before - memory_free());
}

/* Loading. */

static int load(int file, const char *parameters)
{
	return RETURNED(syscall(SYS_finit_module, file, parameters, 0));
}

static int unload(void)
{
	return RETURNED(syscall(SYS_delete_module, "bpipe", O_NONBLOCK));
}

FIXTURE(module) {
	int file;
};

FIXTURE_SETUP(module)
{
	const char *ko = getenv("BPIPE_KO");

	if (!ko)
		SKIP(return, "BPIPE_KO does not name the module");
	self->file = open(ko, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->file);
	ASSERT_EQ(0, unload());
}

FIXTURE_TEARDOWN(module)
{
	EXPECT_EQ(0, load(self->file, ""));
}

/* Check the state after a load that returned @ret; unload the module if it is loaded. */
static void check_load(struct __test_metadata *_metadata, int ret)
{
	int fd;

	if (ret) {
		EXPECT_EQ(-1, access("/sys/class/bpipe", F_OK));
		EXPECT_EQ(-1, access(DEV, F_OK));
		return;
	}
	fd = open(DEV, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(4096, get_number(SYSFS "size"));
	EXPECT_EQ(4096, get_config(fd).size);
	EXPECT_EQ(100, put(fd, 100));
	EXPECT_EQ(100, take(fd, SIZE));
	close(fd);
	ASSERT_EQ(0, unload());
}

/* A fault in a load; its place, and its callee, empty if that is not known. */
struct fault {
	unsigned int nth;
	char at[80], callee[64];
};

static struct fault load_with_fault(struct __test_metadata *_metadata, int file, unsigned int nth)
{
	struct fault fault = { .nth = nth };
	bool usercopy;
	int ret;

	arm(nth);
	ret = load(file, "size=4096");
	disarm();
	usercopy = fault_seen(fault.at, fault.callee);
	check_load(_metadata, ret);
	/* Faults before the module's part of the load are not tested here. */
	if (*fault.callee) {
		outcome_add("load", fault.at, fault.callee, ret);
		EXPECT_TRUE(expected(fault.at, fault.callee, usercopy, ret)) {
			TH_LOG("load: %s at %s %s", outcome_of(ret), fault.at, fault.callee);
		}
	}
	return fault;
}

/* Return true if the log had a record of the fault. */
static bool is_told(const struct fault *fault)
{
	return strcmp(fault->callee, "?");
}

/*
 * Test the faults between two by bisection: the driver core makes a thousand allocations for
 * the module. If both ends are in one call of the module, so are all faults in between.
 */
static void load_between(struct __test_metadata *_metadata, int file, const struct fault *low,
			 const struct fault *high)
{
	unsigned int middle = (low->nth + high->nth) / 2;
	struct fault end = *high, found;

	if (middle == low->nth ||
	    (!strcmp(low->at, high->at) && !strcmp(low->callee, high->callee)))
		return;
	found.nth = middle - 1;
	do
		found = load_with_fault(_metadata, file, found.nth + 1);
	while (!is_told(&found) && found.nth + 1 < high->nth);
	if (is_told(&found)) {
		load_between(_metadata, file, &found, high);
		end = found;
	}
	end.nth = middle;
	load_between(_metadata, file, low, &end);
}

/* Test the faults in a load, from the first to the last in the module's part. */
static void sweep_load(struct __test_metadata *_metadata, int file)
{
	struct fault first, last;
	unsigned int nth;

	arm(FAULTS_MAX);
	ASSERT_EQ(0, load(file, "size=4096"));
	nth = FAULTS_MAX - disarm();
	ASSERT_LT(nth, FAULTS_MAX);
	ASSERT_EQ(0, unload());
	do
		last = load_with_fault(_metadata, file, nth);
	while (strncmp(last.at, "bpipe_", 6) && --nth);
	ASSERT_NE(0, nth);
	first = load_with_fault(_metadata, file, 1);
	load_between(_metadata, file, &first, &last);
}

/* Return true if a place that only a load reaches has not been reached. */
static bool load_missed(void)
{
	for (struct site *s = shared->sites; s < shared->sites + shared->nr_sites; s++)
		if (!s->reached && matches(s->function, LOADS))
			return true;
	return false;
}

/*
 * Inject no faults into page allocations, which slabs make only when they happen to be full:
 * all other allocations are the same in each load. Expedite RCU, since a load waits for a
 * dozen grace periods.
 */
TEST_F_TIMEOUT(module, failed_load_leaves_nothing, 900)
{
	faults_open();
	put_text(DEBUG "fail_page_alloc/min-order", "10");
	put_text("/sys/kernel/rcu_expedited", "1");
	for (int i = 0; i < SWEEPS_MAX && (!i || load_missed()); i++)
		sweep_load(_metadata, self->file);
	put_text("/sys/kernel/rcu_expedited", "0");
	put_text(DEBUG "fail_page_alloc/min-order", "0");
}

/* Unmapped memory. */

static void *nowhere;		/* unmapped; the page before it is zero */

/* The command for a structure that is longer by eight bytes. */
#define LONGER(cmd)	((cmd) + (8U << _IOC_SIZESHIFT))

static int bad_put_struct(void)
{
	return RETURNED(ioctl(ctl, BPIPE_GET_STATS, nowhere));
}

static int bad_put_tail(void)
{
	struct bpipe_stats *last = (struct bpipe_stats *)nowhere - 1;

	return RETURNED(ioctl(ctl, LONGER(BPIPE_GET_STATS), last));
}

static int bad_get_events(void)
{
	return RETURNED(ioctl(ctl, BPIPE_GET_EVENTS, nowhere));
}

static int bad_get_struct(void)
{
	return RETURNED(ioctl(ctl, BPIPE_SET_CONFIG, nowhere - 8));
}

static int bad_get_tail(void)
{
	struct bpipe_config *last = (struct bpipe_config *)nowhere - 1;

	return RETURNED(ioctl(ctl, LONGER(BPIPE_SET_CONFIG), last));
}

static int bad_fionread(void)
{
	return RETURNED(ioctl(rd, FIONREAD, nowhere));
}

static int bad_write(void)
{
	return RETURNED(write(wr, nowhere - 100, ATOMIC));
}

static int bad_read(void)
{
	return RETURNED(read(rd, nowhere, ATOMIC));
}

/*
 * Calls with unmapped memory, and the kernel's function that finds it. All calls that the
 * module makes of that function handle its failure alike.
 */
static const struct {
	const char *callee;
	struct call call;
} bad_calls[] = {
#define BAD_CALL(n, r, c) { .name = n, .ready = r, .call = c }
	{ "_copy_to_user", BAD_CALL("get_stats", ready_event, bad_put_struct) },
	{ "clear_user", BAD_CALL("get_stats", ready_event, bad_put_tail) },
	{ "_copy_to_user", BAD_CALL("get_events", ready_event, bad_get_events) },
	{ "_copy_from_user", BAD_CALL("set_config", ready_data, bad_get_struct) },
	{ "check_zeroed_user", BAD_CALL("set_config", ready_data, bad_get_tail) },
	{ "__put_user_4", BAD_CALL("fionread", ready_data, bad_fionread) },
	{ "fault_in_iov_iter_readable", BAD_CALL("write", ready_empty, bad_write) },
	{ "fault_in_iov_iter_readable", BAD_CALL("write", ready_empty_wrap, bad_write) },
	{ "fault_in_iov_iter_writeable", BAD_CALL("read", ready_data, bad_read) },
	{ "fault_in_iov_iter_writeable", BAD_CALL("read", ready_data_wrap, bad_read) },
};

TEST_F(channel, unmapped_memory_gives_efault_and_changes_nothing)
{
	struct state before, after;
	int ret;

	ctl = self->ctl, rd = self->rd, wr = self->wr;
	nowhere = mmap(NULL, 2 * ATOMIC, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0) + ATOMIC;
	ASSERT_EQ(0, munmap(nowhere, ATOMIC));
	for (size_t i = 0; i < ARRAY_SIZE(bad_calls); i++) {
		bad_calls[i].call.ready();
		before = state_now();
		ret = bad_calls[i].call.call();
		EXPECT_EQ(-EFAULT, ret);
		after = state_now();
		check(_metadata, &bad_calls[i].call, ret, &before, &after);
		outcome_add_all(bad_calls[i].call.name, bad_calls[i].callee, ret);
	}
}

int main(int argc, char **argv)
{
	unsigned int missed;
	int status;
	pid_t pid;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (access("/proc/self/fail-nth", F_OK) || access(DEBUG "failslab", F_OK)) {
		ksft_print_header();
		ksft_set_plan(1);
		ksft_test_result_skip("this kernel has no fault injection\n");
		return KSFT_PASS;
	}
	if (!sites_read()) {
		ksft_print_header();
		ksft_set_plan(1);
		ksft_test_result_skip("BPIPE_KO does not name the module\n");
		return KSFT_SKIP;
	}
	put_text(DEBUG "failslab/ignore-gfp-wait", "N");
	put_text(DEBUG "failslab/cache-filter", "N");
	put_text(DEBUG "fail_page_alloc/ignore-gfp-wait", "N");
	put_text(DEBUG "fail_page_alloc/ignore-gfp-highmem", "N");
	put_text(DEBUG "fail_page_alloc/min-order", "0");

	fflush(NULL);
	pid = fork();
	if (!pid)
		return test_harness_run(argc, argv);
	status = reap(pid);
	missed = sites_report();
	if (missed)
		printf("# FAILED: %u places were not reached\n", missed);
	return status || missed ? KSFT_FAIL : KSFT_PASS;
}
