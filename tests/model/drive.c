// SPDX-License-Identifier: GPL-2.0
/*
 * Run random operations from several processes on the real device. Compare each result,
 * error, level, poll mask and counter with the model.
 *
 * The operations are done one at a time, each by one of a few workers. A
 * sleeping worker stays asleep until the model says that it must wake; then it must
 * wake, and no other worker may. An operation has ended once results, counters and poll
 * masks match one of the states that the model allows.
 *
 * Operations come in episodes, each on its own channel. A failed episode is
 * shortened as long as it still fails, and printed.
 *
 * To add an operation, add a line to the table of operations and a function that
 * applies it to the model and to the device.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../random.h"
#include "model.h"

#define NAME		"model"
#define DEV		"/dev/bpipe-" NAME
#define EPISODE		300		/* operations */
#define LENGTH_MAX	(256 * 1024)	/* of a read or a write */
#define ARGS		24
#define ENDLESS_NS	3600000000000ULL
#define RATE_ENDLESS	1000000000000ULL
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static unsigned int patience_ms = 20000;

/* Failures: the reason is noted once an episode. */

static char failure[512];
static unsigned int failure_rank;
static bool lost;	/* not a failure, but too many states to follow */

__attribute__((format(printf, 1, 2)))
static bool fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(failure, sizeof(failure), format, args);
	va_end(args);
	return false;
}

/* Keep the reason of the model that is closest to what happened. */
static void fail_best(char *best, unsigned int rank)
{
	if (rank < failure_rank)
		memcpy(failure, best, sizeof(failure));
	else
		memcpy(best, failure, sizeof(failure));
	failure_rank = rank > failure_rank ? rank : failure_rank;
}

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static uint64_t pick(const uint64_t *from, size_t nr)
{
	return from[rnd(nr)];
}

#define PICK(...) pick((const uint64_t[]) { __VA_ARGS__ }, \
		       ARRAY_SIZE(((const uint64_t[]) { __VA_ARGS__ })))

/* Workers: processes that share the driver's file descriptors. */

enum how {
	PLAIN, VECTOR, NOWAIT, POLLING,
};

struct order {
	enum call call;
	enum how how;
	bool framed;
	int fd;
	short events;
	uint32_t id;
	uint32_t len;
};

struct result {
	int proc;
	bool sigpipe;
	int64_t ret;
	uint64_t sum;
};

static struct {
	pid_t pid;
	int orders[2];
	bool busy;
	bool done;
	struct result result;
} worker[MODEL_PROCS];

static int results[2];
static volatile sig_atomic_t sigpipe;

static void on_signal(int signal)
{
	sigpipe |= signal == SIGPIPE;
}

static int64_t transfer(const struct order *o, unsigned char *buf)
{
	struct iovec iov[3] = {
		{ buf, o->len / 3 },
		{ buf + o->len / 3, 0 },
		{ buf + o->len / 3, o->len - o->len / 3 },
	};
	struct iovec whole = { buf, o->len };

	switch (o->how) {
	case PLAIN:
		return o->call == READ ? read(o->fd, buf, o->len) : write(o->fd, buf, o->len);
	case VECTOR:
		return o->call == READ ? readv(o->fd, iov, 3) : writev(o->fd, iov, 3);
	default:
		return o->call == READ ? preadv2(o->fd, &whole, 1, -1, RWF_NOWAIT) :
					 pwritev2(o->fd, &whole, 1, -1, RWF_NOWAIT);
	}
}

/* Clear the times of records: the model does not know them. */
static void forget_times(unsigned char *buf, int64_t len)
{
	struct bpipe_frame frame;

	while (len > 0) {
		memcpy(&frame, buf, sizeof(frame));
		frame.time_ns = 0;
		memcpy(buf, &frame, sizeof(frame));
		buf += sizeof(frame) + frame.len;
		len -= sizeof(frame) + frame.len;
	}
}

static struct result obey(const struct order *o, unsigned char *buf)
{
	struct pollfd pfd = { .fd = o->fd, .events = o->events };
	struct result r = { 0 };

	if (o->how == POLLING) {
		r.ret = ppoll(&pfd, 1, NULL, NULL) < 0 ? -errno : pfd.revents;
		return r;
	}
	for (uint32_t i = 0; o->call == WRITE && i < o->len; i++)
		buf[i] = model_byte(o->id, i);
	sigpipe = 0;
	r.ret = transfer(o, buf);
	if (r.ret < 0)
		r.ret = -errno;
	if (o->framed)
		forget_times(buf, r.ret);
	for (int64_t i = 0; o->call == READ && i < r.ret; i++)
		r.sum = model_sum(r.sum, buf[i]);
	r.sigpipe = sigpipe;
	return r;
}

static void work(int proc)
{
	static unsigned char buf[LENGTH_MAX];
	struct sigaction act = { .sa_handler = on_signal };
	struct order o;
	struct result r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGUSR1, &act, NULL);
	sigaction(SIGPIPE, &act, NULL);
	memset(buf, 1, sizeof(buf));
	while (read(worker[proc].orders[0], &o, sizeof(o)) == sizeof(o)) {
		r = obey(&o, buf);
		r.proc = proc;
		if (write(results[1], &r, sizeof(r)) != sizeof(r))
			_exit(1);
	}
	_exit(0);
}

static void hire(int proc)
{
	struct clone_args args = { .flags = CLONE_FILES, .exit_signal = SIGCHLD };

	/* A new pipe: the worker before may have left an order unread. */
	if (pipe2(worker[proc].orders, O_CLOEXEC))
		die("pipe");
	worker[proc].busy = false;
	worker[proc].done = false;
	worker[proc].pid = syscall(SYS_clone3, &args, sizeof(args));
	if (worker[proc].pid < 0)
		die("clone");
	if (!worker[proc].pid)
		work(proc);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

/* Show what a call that does not end is doing. */
static void show_stack(pid_t pid)
{
	char path[64], line[256];
	FILE *stack;

	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	stack = fopen(path, "r");
	while (stack && fgets(line, sizeof(line), stack))
		printf("# %s", line);
}

static void dismiss(int proc)
{
	uint64_t end = now_ms() + 60000;

	kill(worker[proc].pid, SIGKILL);
	while (!waitpid(worker[proc].pid, NULL, WNOHANG)) {
		if (now_ms() > end) {
			printf("worker %d cannot be killed\n", proc);
			show_stack(worker[proc].pid);
			exit(1);
		}
		sched_yield();
	}
	close(worker[proc].orders[0]);
	close(worker[proc].orders[1]);
}

static void order(int proc, struct order o)
{
	worker[proc].busy = true;
	if (write(worker[proc].orders[1], &o, sizeof(o)) != sizeof(o))
		die("order");
}

static void collect(void)
{
	struct result r;

	while (read(results[0], &r, sizeof(r)) == sizeof(r)) {
		worker[r.proc].result = r;
		worker[r.proc].done = true;
	}
}

/* The device. */

static int control;			/* makes channels */
static int ctl = -1;			/* queries and configures, without being counted */
static int files[MODEL_FILES];		/* descriptors, or -1 */
static struct models now;		/* all possible states */

static struct bpipe_stats last_stats;

#define FOR_EACH_MODEL(m) \
	for (struct model *(m) = now.at; (m) < now.at + now.nr; (m)++)

/* The device's counters that the model has too; it has none of time. */
#define STAT(name) { #name, offsetof(struct bpipe_stats, name), \
		     sizeof(((struct bpipe_stats *)0)->name) }

static const struct {
	const char *name;
	size_t offset, size;
} stats_fields[] = {
	STAT(level), STAT(window), STAT(queued_bytes), STAT(peak_level), STAT(written_bytes),
	STAT(read_bytes), STAT(writes), STAT(reads), STAT(again), STAT(blocked), STAT(starved),
	STAT(high_events), STAT(low_events), STAT(wakeups_read), STAT(wakeups_write),
	STAT(throttled), STAT(throttled_ns), STAT(state), STAT(readers), STAT(writers),
	STAT(readers_waiting), STAT(writers_waiting), STAT(written_records), STAT(read_records),
	STAT(queued_records), STAT(dropped_bytes), STAT(dropped_records), STAT(timeouts),
	STAT(read_throttled), STAT(read_throttled_ns), STAT(credit),
	STAT(overload_events),
};

static uint64_t stat_of(const struct bpipe_stats *stats, size_t field)
{
	uint64_t value = 0;

	memcpy(&value, (const char *)stats + stats_fields[field].offset,
	       stats_fields[field].size);
	return value;
}

/* Return true if written == read + queued + dropped, for a class, or for all (-1). */
static bool balanced(uint64_t written, uint64_t read, uint64_t queued, uint64_t dropped,
		     const char *what, int class)
{
	return written == read + queued + dropped ||
	       fail("the law is broken for %s of class %d: %" PRIu64 " written, %" PRIu64
		    " read, %" PRIu64 " queued, %" PRIu64 " dropped", what, class, written, read,
		    queued, dropped);
}

static bool class_balanced(const struct bpipe_class_stats *c, int class)
{
	uint64_t bytes = 0, records = 0;

	for (int i = 0; i < BPIPE_DROP_REASONS; i++) {
		bytes += c->dropped_bytes[i];
		records += c->dropped_records[i];
	}
	return balanced(c->written_bytes, c->read_bytes, c->queued_bytes, bytes, "bytes", class) &&
	       balanced(c->written_records, c->read_records, c->queued_records, records,
			"records", class);
}

/* Check what holds in each snapshot, whatever the state of the model. */
static bool check_law(const struct bpipe_stats *s)
{
	const struct bpipe_stats *l = &last_stats;

	for (int i = 0; i < BPIPE_CLASSES; i++)
		if (!class_balanced(&s->classes[i], i))
			return false;
	if (!balanced(s->written_bytes, s->read_bytes, s->queued_bytes, s->dropped_bytes,
		      "bytes", -1) ||
	    !balanced(s->written_records, s->read_records, s->queued_records,
		      s->dropped_records, "records", -1))
		return false;
	if (s->level != s->queued_bytes + s->queued_records * BPIPE_RECORD_OVERHEAD)
		return fail("a level of %llu with %llu bytes in %llu records",
			    s->level, s->queued_bytes, s->queued_records);
	if (s->time_ns < l->time_ns || s->blocked_ns < l->blocked_ns ||
	    s->starved_ns < l->starved_ns || s->state_since_ns < l->state_since_ns ||
	    s->state_since_ns > s->time_ns)
		return fail("time goes back");
	if (!s->writers_waiting != !s->write_wait_ns || !s->readers_waiting != !s->read_wait_ns)
		return fail("%u writers wait for %llu ns, %u readers for %llu ns",
			    s->writers_waiting, s->write_wait_ns,
			    s->readers_waiting, s->read_wait_ns);
	last_stats = *s;
	return true;
}

/* Find the first difference between a state of the model and the device. */

static bool results_agree(const struct model *m)
{
	for (int i = 0; i < MODEL_PROCS; i++) {
		const struct model_proc *p = &m->proc[i];
		const struct result *r = &worker[i].result;

		if (p->where == DONE && !worker[i].done)
			return fail("worker %d should have returned %" PRId64 ", and has not",
				    i, p->result);
		if (p->where != DONE && worker[i].done)
			return fail("worker %d should sleep, and has returned %" PRId64,
				    i, r->ret);
		if (p->where != DONE)
			continue;
		if (p->result != r->ret)
			return fail("worker %d should have returned %" PRId64 ", not %" PRId64,
				    i, p->result, r->ret);
		if (p->call == READ && p->sum != r->sum)
			return fail("worker %d has read something else than was written", i);
		if (p->sigpipe != r->sigpipe)
			return fail("worker %d: SIGPIPE should have come: %d", i, p->sigpipe);
	}
	return true;
}

static bool stats_agree(const struct model *m, const struct bpipe_stats *real)
{
	struct bpipe_stats stats;

	model_stats(m, &stats);
	for (size_t i = 0; i < ARRAY_SIZE(stats_fields); i++)
		if (stat_of(&stats, i) != stat_of(real, i))
			return fail("%s should be %" PRIu64 ", not %" PRIu64,
				    stats_fields[i].name, stat_of(&stats, i), stat_of(real, i));
	return !memcmp(stats.classes, real->classes, sizeof(stats.classes)) ||
	       fail("the counts of the classes differ");
}

static bool masks_agree(const struct model *m, const struct pollfd *pfd)
{
	for (int i = 0; i < MODEL_FILES; i++)
		if (files[i] >= 0 && model_poll(m, i) != pfd[i].revents)
			return fail("poll of file %d should give %#x, not %#x", i,
				    model_poll(m, i), pfd[i].revents);
	return true;
}

/* Keep the models that agree with the device. Return true if any do. */
static bool look(void)
{
	struct pollfd pfd[MODEL_FILES];
	char best[sizeof(failure)] = "";
	struct bpipe_stats stats;
	size_t kept = 0;

	failure_rank = 0;
	collect();
	if (ioctl(ctl, BPIPE_GET_STATS, &stats))
		die("GET_STATS");
	if (!check_law(&stats))
		return false;
	for (int i = 0; i < MODEL_FILES; i++)
		pfd[i] = (struct pollfd) {
			.fd = files[i],
			.events = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLPRI,
		};
	if (poll(pfd, MODEL_FILES, 0) < 0)
		die("poll");
	for (size_t i = 0; i < now.nr; i++) {
		unsigned int rank = 0;

		if (results_agree(&now.at[i]) && ++rank && stats_agree(&now.at[i], &stats) &&
		    ++rank && masks_agree(&now.at[i], pfd))
			memmove(&now.at[kept++], &now.at[i], sizeof(now.at[0]));
		else
			fail_best(best, rank);
	}
	if (!kept)
		return false;
	now.nr = kept;
	return true;
}

/* Forget the results of all calls that have ended. */
static void acknowledge(void)
{
	FOR_EACH_MODEL(m)
		for (int p = 0; p < MODEL_PROCS; p++)
			if (m->proc[p].where == DONE)
				memset(&m->proc[p], 0, sizeof(m->proc[p]));
	for (int p = 0; p < MODEL_PROCS; p++) {
		worker[p].busy &= !worker[p].done;
		worker[p].done = false;
	}
}

/* Wait until the worker is in ppoll(): no counter of the device changes when a poll begins. */
static void await_poll(int proc)
{
	uint64_t end = now_ms() + patience_ms;
	char path[64], line[16];
	FILE *file;
	long nr;

	snprintf(path, sizeof(path), "/proc/%d/syscall", worker[proc].pid);
	do {
		sched_yield();
		collect();
		file = fopen(path, "r");
		if (!file)
			die(path);
		nr = fgets(line, sizeof(line), file) ? strtol(line, NULL, 10) : 0;
		fclose(file);
	} while (nr != SYS_ppoll && !worker[proc].done && now_ms() < end);
}

/* Return true if all busy workers sleep. */
static bool all_sleep(void)
{
	char path[64], line[64], state;
	FILE *file;
	bool sleeps;

	for (int i = 0; i < MODEL_PROCS; i++) {
		if (!worker[i].busy || worker[i].done)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/stat", worker[i].pid);
		file = fopen(path, "r");
		sleeps = file && fgets(line, sizeof(line), file) &&
			 sscanf(line, "%*d (%*[^)]) %c", &state) == 1 && state == 'S';
		if (file)
			fclose(file);
		if (!sleeps)
			return false;
	}
	return true;
}

/*
 * Return true if no worker is still running. With one possible state, its result decides.
 * Check twice: a worker seen asleep may have been woken by one that was checked later.
 */
static bool all_is_quiet(void)
{
	return now.nr == 1 || (all_sleep() && all_sleep());
}

/* Wait until the device agrees with the model. */
static bool update(void)
{
	struct pollfd pfd = { .fd = results[0], .events = POLLIN };
	uint64_t end = now_ms() + patience_ms;

	if (!model_explore(&now)) {
		lost = true;
		return false;
	}
	for (unsigned int round = 0; !all_is_quiet() || !look(); round++) {
		if (now_ms() > end)
			return false;
		if (round < 10)
			sched_yield();
		else
			poll(&pfd, 1, 1);
	}
	acknowledge();
	return true;
}

/* Operations. */

struct op {
	unsigned int kind;
	uint32_t id;
	uint64_t v[ARGS];
};

static const struct model *any(void)
{
	return &now.at[0];
}

static bool polled(int file)
{
	for (int i = 0; i < MODEL_PROCS; i++)
		if (any()->proc[i].where == POLL && any()->proc[i].file == file)
			return true;
	return false;
}

/* Keep the models in which the call returned @real; @gave has their results. */
static bool expect(const int *gave, int real, const char *what)
{
	size_t kept = 0;

	for (size_t i = 0; i < now.nr; i++)
		if (gave[i] == real)
			memmove(&now.at[kept++], &now.at[i], sizeof(now.at[0]));
	if (!kept)
		return fail("%s should have given %d, not %d", what, gave[0], real);
	now.nr = kept;
	return true;
}

static int may_be_nobody(bool nobody, int fd, unsigned long cmd, void *arg)
{
	int ret;

	if (nobody && seteuid(65534))
		die("seteuid");
	ret = ioctl(fd, cmd, arg) ? -errno : 0;
	if (nobody && seteuid(0))
		die("seteuid");
	return ret;
}

/* open FILE READER WRITER NONBLOCK */
static bool can_open(const struct op *op)
{
	const struct model_file *f = &any()->file[op->v[0]];

	return !f->fd && !f->calls;
}

static bool do_open(const struct op *op)
{
	int mode = op->v[1] ? op->v[2] ? O_RDWR : O_RDONLY : op->v[2] ? O_WRONLY : O_ACCMODE;

	files[op->v[0]] = open(DEV, mode | O_CLOEXEC | (op->v[3] ? O_NONBLOCK : 0));
	if (any()->draining && op->v[2])
		return (files[op->v[0]] < 0 && errno == ENXIO) ||
		       fail("open for writing should give ENXIO");
	if (files[op->v[0]] < 0)
		return fail("open: %s", strerror(errno));
	FOR_EACH_MODEL(m)
		model_open(m, op->v[0], op->v[1], op->v[2], op->v[3]);
	return update();
}

static void gen_open(uint64_t *v)
{
	uint64_t mode = PICK(1, 1, 1, 2, 2, 2, 3, 0);

	v[1] = mode & 1;
	v[2] = mode >> 1;
	v[3] = PICK(0, 0, 1);
}

/* close FILE */
static bool is_open(const struct op *op)
{
	return any()->file[op->v[0]].fd;
}

static bool can_close(const struct op *op)
{
	return is_open(op) && !polled(op->v[0]);
}

static bool do_close(const struct op *op)
{
	close(files[op->v[0]]);
	files[op->v[0]] = -1;
	FOR_EACH_MODEL(m)
		model_close(m, op->v[0]);
	return update();
}

/* nonblock FILE YES */
static bool do_nonblock(const struct op *op)
{
	if (fcntl(files[op->v[0]], F_SETFL, op->v[1] ? O_NONBLOCK : 0))
		return fail("fcntl: %s", strerror(errno));
	FOR_EACH_MODEL(m)
		m->file[op->v[0]].nonblock = op->v[1];
	return update();
}

static void gen_flag(uint64_t *v)
{
	v[1] = rnd(2);
}

/*
 * read, write FILE WORKER LENGTH HOW
 *
 * While the other side sleeps, two long transfers can share the buffer in too
 * many ways to follow.
 */
static bool can_transfer(const struct op *op)
{
	uint64_t most = LENGTH_MAX;

	if (any()->nr_waiting[READ] || any()->nr_waiting[WRITE])
		most = any()->stats.level + any()->config.size;
	return is_open(op) && !worker[op->v[1]].busy && op->v[2] <= most &&
	       any()->nr_pieces < MODEL_PIECES - MODEL_PROCS * 4;
}

static bool transfers(const struct op *op, enum call call)
{
	FOR_EACH_MODEL(m)
		model_begin(m, op->v[1], call, op->v[0], op->v[2], op->v[3] == NOWAIT, op->id);
	order(op->v[1], (struct order) {
		.call = call, .how = op->v[3], .fd = files[op->v[0]],
		.framed = any()->proc[op->v[1]].framed,
		.id = op->id, .len = op->v[2],
	});
	/* Wait first: a call with RWF_NOWAIT would find the lock that GET_STATS takes. */
	if (op->v[3] == NOWAIT) {
		struct pollfd pfd = { .fd = results[0], .events = POLLIN };

		poll(&pfd, 1, patience_ms);
	}
	return update();
}

static bool do_read(const struct op *op)
{
	return transfers(op, READ);
}

static bool do_write(const struct op *op)
{
	return transfers(op, WRITE);
}

/* Return a length near a value where the behaviour changes, or any length. */
static uint64_t some_length(void)
{
	const struct bpipe_config *c = &any()->config;
	uint64_t level = any()->stats.level;
	uint64_t edge = PICK(1, 1, 4095, 4096, 4096, 4097, level, level - c->low, c->high - level,
			     c->size - level, c->size, model_window(any(), 0),
			     model_window(any(), 7), model_readable(any()), 100, 1000,
			     c->limit[7] - level, c->size - BPIPE_RECORD_OVERHEAD);

	switch (rnd(8)) {
	case 0:
		return rnd(1 + 2 * c->size) % LENGTH_MAX;
	case 1:
		return rnd(4096) + 1;
	case 2:
		return (edge + 1) % LENGTH_MAX;
	case 3:
		return (edge - 1) % LENGTH_MAX;
	default:
		return edge % LENGTH_MAX;
	}
}

static void gen_transfer(uint64_t *v)
{
	v[2] = some_length();
	v[3] = PICK(PLAIN, PLAIN, PLAIN, VECTOR, NOWAIT);
}

/* poll FILE WORKER EVENTS */
static bool can_poll(const struct op *op)
{
	return is_open(op) && !worker[op->v[1]].busy && any()->file[op->v[0]].threshold == 1;
}

static bool do_poll(const struct op *op)
{
	FOR_EACH_MODEL(m)
		model_begin_poll(m, op->v[1], op->v[0], op->v[2]);
	order(op->v[1], (struct order) {
		.how = POLLING, .fd = files[op->v[0]], .events = op->v[2],
	});
	await_poll(op->v[1]);
	return update();
}

static void gen_poll(uint64_t *v)
{
	v[2] = PICK(POLLIN, POLLOUT, POLLPRI, POLLIN | POLLOUT, POLLIN | POLLPRI,
		    POLLPRI | POLLOUT);
}

/* signal, kill - WORKER */
static bool is_asleep(const struct op *op)
{
	return worker[op->v[1]].busy;
}

static bool do_signal(const struct op *op)
{
	FOR_EACH_MODEL(m)
		model_interrupt(m, op->v[1], false);
	kill(worker[op->v[1]].pid, SIGUSR1);
	return update();
}

static bool do_kill(const struct op *op)
{
	FOR_EACH_MODEL(m)
		model_interrupt(m, op->v[1], true);
	dismiss(op->v[1]);
	hire(op->v[1]);
	return update();
}

/*
 * config MASK SIZE HIGH LOW RATE BURST MODE HOLD EPIPE PAD NOBODY ORDER POLICY CREDIT
 * TIMEOUT LIMIT RATE_RECORDS READ_RATE READ_RATE_RECORDS BURSTS OVERLOAD_AFTER TTL SOJOURN
 * DROP_TO_LOW
 *
 * All bursts but the first are equal, and settings by class are equal for all classes.
 * Owner, group and permissions are derived from ORDER, CREDIT and POLICY.
 */
static bool do_config(const struct op *op)
{
	const uint64_t *v = op->v;
	struct bpipe_config set = {
		.mask = v[0], .size = v[1], .high = v[2], .low = v[3], .rate = v[4],
		.burst = v[5], .mode = v[6], .hold = v[7], .epipe = v[8], .pad = v[9],
		.pad2 = v[9] >> 1, .order = v[11], .policy = v[12], .credit = v[13],
		.timeout = v[14], .rate_records = v[16], .read_rate = v[17],
		.read_rate_records = v[18], .burst_records = v[19], .read_burst = v[19],
		.read_burst_records = v[19], .overload_after = v[20],
		.uid = v[11], .gid = v[13], .permissions = v[12] << 7,
		.drop_to_low = v[23],
	};
	int gave[now.nr];

	for (int i = 0; i < BPIPE_CLASSES; i++) {
		set.limit[i] = v[15];
		set.ttl[i] = v[21];
		set.sojourn[i] = v[22];
	}
	FOR_EACH_MODEL(m)
		gave[m - now.at] = model_set_config(m, &set, !v[10]);
	return expect(gave, may_be_nobody(v[10], ctl, BPIPE_SET_CONFIG, &set), "SET_CONFIG") &&
	       update();
}

static void gen_config(uint64_t *v)
{
	const struct bpipe_config *c = &any()->config;
	uint64_t level = any()->stats.level, size;

	v[0] = PICK(BPIPE_CFG_SIZE, BPIPE_CFG_SIZE, BPIPE_CFG_HIGH, BPIPE_CFG_LOW,
		    BPIPE_CFG_HOLD, BPIPE_CFG_EPIPE, BPIPE_CFG_RATE, BPIPE_CFG_BURST,
		    BPIPE_CFG_SIZE | BPIPE_CFG_HIGH | BPIPE_CFG_LOW, rnd(256),
		    BPIPE_CFG_MODE, BPIPE_CFG_MODE, BPIPE_CFG_MODE | BPIPE_CFG_POLICY,
		    BPIPE_CFG_POLICY, BPIPE_CFG_POLICY, BPIPE_CFG_ORDER, BPIPE_CFG_CREDIT,
		    BPIPE_CFG_CREDIT, BPIPE_CFG_LIMIT(rnd(8)), BPIPE_CFG_LIMIT(7),
		    BPIPE_CFG_LIMIT(0) * rnd(256), BPIPE_CFG_TIMEOUT,
		    BPIPE_CFG_TTL(rnd(8)), BPIPE_CFG_TTL(0) * rnd(256), BPIPE_CFG_TTL(0) * 255,
		    BPIPE_CFG_SOJOURN(rnd(8)), BPIPE_CFG_OVERLOAD_AFTER,
		    BPIPE_CFG_OVERLOAD_AFTER, rnd(1 << 23), 1ULL << (8 + rnd(15)),
		    BPIPE_CFG_DROP_TO_LOW, BPIPE_CFG_DROP_TO_LOW | BPIPE_CFG_POLICY,
		    1ULL << rnd(64));
	size = PICK(4096, 4096, 4097, 5000, 8192, 10007, 16384, 65536, 100000, level, level + 1,
		    level - 1, 4095, BPIPE_SIZE_MAX + 1);
	v[1] = size;
	if (!(v[0] & BPIPE_CFG_SIZE) || size - 1 >= BPIPE_SIZE_MAX)
		size = c->size;
	v[2] = PICK(size, size - 1, size / 2, size - size / 4, level, level + 1, c->low + 1,
		    c->low, 1 + rnd(size), 1 + rnd(size), size + 1);
	v[3] = PICK(0, 0, v[2] - 1, c->high - 1, size / 4, level, level - 1, c->high,
		    rnd(v[2] % size + 1), rnd(v[2] % size + 1));
	v[4] = PICK(0, RATE_ENDLESS, RATE_ENDLESS, BPIPE_RATE_MAX + 1);
	v[5] = PICK(0, 1 << 30, BPIPE_BURST_MAX, BPIPE_BURST_MAX + 1);
	v[6] = PICK(0, 0, 1, 1, 1, 1, 1, 2);
	v[7] = PICK(0, 0, 0, 1, 1, 2);
	v[8] = PICK(0, 0, 0, 1, 1, 2);
	v[9] = PICK(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2);
	v[10] = !rnd(20);
	v[11] = PICK(0, 1, 1, 2);
	v[12] = PICK(0, 1, 2, 2, 3, 3, 3, 4);
	v[13] = PICK(0, 0, 0, 1, 2, 3);
	v[14] = PICK(0, 0, BPIPE_TIMEOUT_MAX, BPIPE_TIMEOUT_MAX + 1);
	v[15] = PICK(0, 0, size, size / 2, size / 4, 4096, 4095, size + 1, 4096 + rnd(size),
		     level, level + 1);
	for (int i = 16; i <= 18; i++)
		v[i] = PICK(0, RATE_ENDLESS, RATE_ENDLESS, BPIPE_RATE_MAX + 1);
	v[20] = PICK(0, 1, 1, ENDLESS_NS, BPIPE_TIMEOUT_MAX + 1);
	v[21] = PICK(0, 0, 0, 1, ENDLESS_NS, BPIPE_TIMEOUT_MAX + 1);
	v[22] = PICK(0, ENDLESS_NS, ENDLESS_NS, BPIPE_TIMEOUT_MAX + 1);
	v[19] = PICK(0, 1 << 30, BPIPE_BURST_MAX, BPIPE_BURST_MAX + 1);
	v[23] = PICK(0, 1, 1, 1, 2);
}

/* writer FILE MASK CLASS POLICY TIMEOUT RATE BURST */
static bool can_writer(const struct op *op)
{
	return is_open(op) && !polled(op->v[0]);
}

static bool do_writer(const struct op *op)
{
	struct bpipe_writer set = {
		.mask = op->v[1], .class = op->v[2], .policy = op->v[3], .timeout = op->v[4],
		.rate = op->v[5], .burst = op->v[6],
	};
	int gave[now.nr];

	FOR_EACH_MODEL(m)
		gave[m - now.at] = model_set_writer(m, op->v[0], &set);
	return expect(gave, ioctl(files[op->v[0]], BPIPE_SET_WRITER, &set) ? -errno : 0,
		      "SET_WRITER") && update();
}

static void gen_writer(uint64_t *v)
{
	v[1] = PICK(1, 1, 1, 2, 2, 3, 4, 8, 24, 0, rnd(32), 32);
	v[2] = PICK(0, 7, 7, 3, rnd(8), 8);
	v[3] = PICK(0, 1, 2, 2, 3, 3, 4, 5);
	v[4] = PICK(0, BPIPE_TIMEOUT_MAX, BPIPE_TIMEOUT_MAX + 1);
	v[5] = PICK(0, 0, RATE_ENDLESS, RATE_ENDLESS, BPIPE_RATE_MAX + 1);
	v[6] = PICK(0, 1 << 30, BPIPE_BURST_MAX, BPIPE_BURST_MAX + 1);
}

/* grant FILE AMOUNT */
static bool do_grant(const struct op *op)
{
	struct bpipe_grant_credit grant = { .amount = op->v[1] };
	int gave[now.nr];

	FOR_EACH_MODEL(m)
		gave[m - now.at] = model_grant(m, op->v[0], grant.amount);
	return expect(gave, ioctl(files[op->v[0]], BPIPE_GRANT, &grant) ? -errno : 0, "GRANT") &&
	       update();
}

static void gen_grant(uint64_t *v)
{
	v[1] = PICK(1, 1, 2, 3, 100, 4096, 10000, any()->config.size, 0, BPIPE_CREDIT_MAX,
		    1 + rnd(any()->config.size));
}

/* reader FILE MASK THRESHOLD DELAY FRAMED */
static bool can_reader(const struct op *op)
{
	return is_open(op) && !polled(op->v[0]);
}

static bool do_reader(const struct op *op)
{
	struct bpipe_reader set = {
		.mask = op->v[1], .threshold = op->v[2], .delay_us = op->v[3],
		.framed = op->v[4],
	};
	int gave[now.nr];

	FOR_EACH_MODEL(m)
		gave[m - now.at] = model_set_reader(m, op->v[0], &set);
	return expect(gave, ioctl(files[op->v[0]], BPIPE_SET_READER, &set) ? -errno : 0,
		      "SET_READER") && update();
}

static void gen_reader(uint64_t *v)
{
	uint64_t size = any()->config.size;

	v[1] = PICK(1, 1, 1, 2, 3, 3, 0, 4, 4, 4, 7, 8);
	v[2] = PICK(1, 1, 2, 4096, size, size + 1, 0, 1 + rnd(size), any()->stats.level,
		    any()->stats.level + 1);
	v[3] = PICK(0, 0, 0, 1, 100, 1000, BPIPE_DELAY_MAX + 1);
	v[4] = PICK(0, 1, 1, 1, 2);
}

/* events FILE */
static bool do_events(const struct op *op)
{
	struct bpipe_events real, events = { 0 };
	size_t kept = 0;

	if (ioctl(files[op->v[0]], BPIPE_GET_EVENTS, &real))
		return fail("GET_EVENTS: %s", strerror(errno));
	if (real.time_ns > last_stats.time_ns)
		return fail("the time of the event is in the future");
	real.time_ns = 0;
	for (size_t i = 0; i < now.nr; i++) {
		model_events(&now.at[i], op->v[0], &events);
		if (!memcmp(&real, &events, sizeof(real)))
			memmove(&now.at[kept++], &now.at[i], sizeof(now.at[0]));
	}
	if (!kept)
		return fail("GET_EVENTS should give %#x of %llu and %llu, not %#x of %llu and %llu",
			    events.events, events.high_events, events.low_events,
			    real.events, real.high_events, real.low_events);
	now.nr = kept;
	return update();
}

/* peaks - NOBODY */
static bool do_peaks(const struct op *op)
{
	int gave[now.nr];

	memset(gave, 0, sizeof(gave));
	FOR_EACH_MODEL(m)
		gave[m - now.at] = model_reset_peaks(m, !op->v[1]);
	return expect(gave, may_be_nobody(op->v[1], ctl, BPIPE_RESET_PEAKS, NULL),
		      "RESET_PEAKS") && update();
}

/* drain: until the end of the episode */
static bool do_drain(const struct op *op)
{
	const struct bpipe_remove drain = { .name = NAME, .flags = BPIPE_REMOVE_DRAIN };

	(void)op;
	if (ioctl(control, BPIPE_REMOVE, &drain))
		return fail("REMOVE: %s", strerror(errno));
	FOR_EACH_MODEL(m)
		model_drain(m);
	return update();
}

/* look FILE: everything else that a program can observe */
static bool window_agrees(const struct model *m, int file, const struct bpipe_window *w)
{
	unsigned int class = m->file[file].class;

	if (w->window != model_window(m, class) || w->space != model_space(m, class))
		return fail("GET_WINDOW should give %" PRIu64 " of %" PRIu64 ", not %llu of %llu",
			    model_window(m, class), model_space(m, class), w->window, w->space);
	if (w->credit != (m->config.credit ? m->stats.credit : UINT64_MAX))
		return fail("GET_WINDOW should give a credit of %llu, not %llu",
			    m->stats.credit, w->credit);
	if (m->config.rate ? w->tokens > m->config.burst : ~w->tokens)
		return fail("GET_WINDOW: %llu tokens in %llu ns", w->tokens, w->wait_ns);
	return true;
}

static bool config_agrees(const struct model *m, const struct bpipe_config *c)
{
	return !memcmp(c, &m->config, sizeof(*c)) ||
	       fail("GET_CONFIG should give %llu %llu %llu %llu %llu, not %llu %llu %llu %llu %llu",
		    m->config.size, m->config.high, m->config.low, m->config.rate,
		    m->config.burst, c->size, c->high, c->low, c->rate, c->burst);
}

/* Compare the number that follows a name in /proc/self/fdinfo/N. */
static bool fdinfo_agrees(const char *info, const char *name, bool there, uint64_t value)
{
	const char *at = strstr(info, name);

	if (!at != !there)
		return fail("fdinfo should have %s: %d", name, there);
	if (there && strtoull(at + strlen(name), NULL, 10) != value)
		return fail("fdinfo's%s should be %" PRIu64 ", not %.20s", name, value,
			    at + strlen(name));
	return true;
}

static bool file_agrees(const struct model_file *f, const char *info)
{
	return fdinfo_agrees(info, "\nwritten_bytes:\t", f->writer, f->written_bytes) &&
	       fdinfo_agrees(info, "\nwrites:\t", f->writer, f->writes) &&
	       fdinfo_agrees(info, "\nagain:\t", f->writer, f->again) &&
	       fdinfo_agrees(info, "\nblocked:\t", f->writer, f->blocked) &&
	       fdinfo_agrees(info, "\nwritten_records:\t", f->writer, f->written_records) &&
	       fdinfo_agrees(info, "\ndropped_bytes:\t", f->writer, f->dropped_bytes) &&
	       fdinfo_agrees(info, "\ndropped_records:\t", f->writer, f->dropped_records) &&
	       fdinfo_agrees(info, "\nclass:\t", f->writer, f->class) &&
	       fdinfo_agrees(info, "\nread_records:\t", f->reader, f->read_records) &&
	       fdinfo_agrees(info, "\nread_bytes:\t", f->reader, f->read_bytes) &&
	       fdinfo_agrees(info, "\nreads:\t", f->reader, f->reads) &&
	       fdinfo_agrees(info, "\nstarved:\t", f->reader, f->starved) &&
	       fdinfo_agrees(info, "\nthreshold:\t", f->reader, f->threshold) &&
	       fdinfo_agrees(info, "\ndelay_us:\t", f->reader, f->delay_us);
}

static bool readable_agrees(const struct model *m, int queued)
{
	return (uint64_t)queued == model_readable(m) ||
	       fail("FIONREAD should give %" PRIu64 ", not %d", model_readable(m), queued);
}

static bool do_look(const struct op *op)
{
	int fd = files[op->v[0]], queued = -1;
	struct bpipe_config config;
	struct bpipe_window window;
	char info[1024], path[64];
	size_t kept = 0;
	FILE *file;

	if (ioctl(fd, BPIPE_GET_WINDOW, &window) || ioctl(fd, BPIPE_GET_CONFIG, &config) ||
	    ioctl(fd, FIONREAD, &queued))
		return fail("GET_WINDOW, GET_CONFIG or FIONREAD: %s", strerror(errno));
	if (lseek(fd, 0, SEEK_CUR) != -1 || errno != ESPIPE)
		return fail("lseek should give ESPIPE");
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	if (!file)
		die(path);
	info[fread(info, 1, sizeof(info) - 1, file)] = 0;
	fclose(file);

	for (size_t i = 0; i < now.nr; i++)
		if (readable_agrees(&now.at[i], queued) &&
		    window_agrees(&now.at[i], op->v[0], &window) &&
		    config_agrees(&now.at[i], &config) &&
		    file_agrees(&now.at[i].file[op->v[0]], info))
			memmove(&now.at[kept++], &now.at[i], sizeof(now.at[0]));
	now.nr = kept;
	return kept;
}

/* The table: operations, their weights and numbers of arguments. */

#define FILE_ARG	0x1	/* the first argument is a file */
#define WORKER_ARG	0x2	/* the second is a worker */

static const struct {
	const char *name;
	unsigned int weight, args, takes;
	bool (*can)(const struct op *op);
	bool (*run)(const struct op *op);
	void (*gen)(uint64_t *v);
} table[] = {
	{ "open", 60, 4, FILE_ARG, can_open, do_open, gen_open },
	{ "close", 12, 1, FILE_ARG, can_close, do_close, NULL },
	{ "nonblock", 6, 2, FILE_ARG, is_open, do_nonblock, gen_flag },
	{ "read", 100, 4, FILE_ARG | WORKER_ARG, can_transfer, do_read, gen_transfer },
	{ "write", 120, 4, FILE_ARG | WORKER_ARG, can_transfer, do_write, gen_transfer },
	{ "poll", 12, 3, FILE_ARG | WORKER_ARG, can_poll, do_poll, gen_poll },
	{ "signal", 4, 2, WORKER_ARG, is_asleep, do_signal, NULL },
	{ "kill", 2, 2, WORKER_ARG, is_asleep, do_kill, NULL },
	{ "config", 20, 24, 0, NULL, do_config, gen_config },
	{ "reader", 8, 5, FILE_ARG, can_reader, do_reader, gen_reader },
	{ "writer", 15, 7, FILE_ARG, can_writer, do_writer, gen_writer },
	{ "grant", 10, 2, FILE_ARG, is_open, do_grant, gen_grant },
	{ "events", 8, 1, FILE_ARG, is_open, do_events, NULL },
	{ "peaks", 3, 2, 0, NULL, do_peaks, gen_flag },
	{ "drain", 1, 0, 0, NULL, do_drain, NULL },
	{ "look", 15, 1, FILE_ARG, is_open, do_look, NULL },
};

static bool op_valid(const struct op *op)
{
	return !(table[op->kind].takes & FILE_ARG && op->v[0] >= MODEL_FILES) &&
	       !(table[op->kind].takes & WORKER_ARG && op->v[1] >= MODEL_PROCS);
}

/*
 * Run an operation; skip it if a shortened history made it impossible. Return false on
 * failure.
 */
static bool op_run(const struct op *op)
{
	if (table[op->kind].can && !table[op->kind].can(op))
		return true;
	/* A delay that no reader waits for may expire now. */
	if (any()->timer && !model_explore(&now)) {
		lost = true;
		return false;
	}
	return table[op->kind].run(op);
}

static void op_print(const struct op *op, FILE *to)
{
	fprintf(to, "%s", table[op->kind].name);
	for (unsigned int i = 0; i < table[op->kind].args; i++)
		fprintf(to, " %" PRIu64, op->v[i]);
	fprintf(to, "\n");
}

static bool op_parse(struct op *op, char *line)
{
	char *word = strtok(line, "\n ");

	memset(op->v, 0, sizeof(op->v));
	for (op->kind = 0; op->kind < ARRAY_SIZE(table); op->kind++)
		if (!strcmp(word, table[op->kind].name))
			break;
	if (op->kind == ARRAY_SIZE(table))
		return false;
	for (unsigned int i = 0; i < table[op->kind].args; i++) {
		word = strtok(NULL, "\n ");
		if (!word)
			return false;
		op->v[i] = strtoull(word, NULL, 10);
	}
	return op_valid(op);
}

/* Choose an operation that is possible now. */
static void op_gen(struct op *op)
{
	unsigned int total = 0, at;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		total += table[i].weight;
	do {
		memset(op->v, 0, sizeof(op->v));
		at = rnd(total);
		for (op->kind = 0; at >= table[op->kind].weight; op->kind++)
			at -= table[op->kind].weight;
		if (table[op->kind].takes & FILE_ARG)
			op->v[0] = rnd(MODEL_FILES);
		if (table[op->kind].takes & WORKER_ARG)
			op->v[1] = rnd(MODEL_PROCS);
		if (table[op->kind].gen)
			table[op->kind].gen(op->v);
	} while (table[op->kind].can && !table[op->kind].can(op));
}

/* Episodes. */

/* Replace the channel of the previous episode by a new one. */
static bool renew(void)
{
	const struct bpipe_config config = {
		.mask = BPIPE_CFG_SIZE | BPIPE_CFG_HIGH | BPIPE_CFG_LOW | BPIPE_CFG_OVERLOAD_AFTER,
		.size = 16384, .high = 12288, .low = 4096,
	};
	const struct bpipe_add add = {
		.name = NAME, .config = (uintptr_t)&config, .config_size = sizeof(config),
	};
	const struct bpipe_remove old = { .name = NAME };

	if (ctl >= 0 && (!ioctl(control, BPIPE_REMOVE, &old) || errno != EBUSY))
		return fail("REMOVE of an open channel should give EBUSY");
	close(ctl);
	ctl = -1;
	if (ioctl(control, BPIPE_REMOVE, &old) && errno != ENOENT)
		return fail("REMOVE: %s", strerror(errno));
	if (ioctl(control, BPIPE_ADD, &add))
		return fail("ADD: %s", strerror(errno));
	ctl = open(DEV, O_ACCMODE | O_CLOEXEC);
	if (ctl < 0)
		die(DEV);
	memset(&last_stats, 0, sizeof(last_stats));
	return true;
}

/* Start an episode: a new channel that no worker has open. */
static bool begin(void)
{
	struct bpipe_config config;
	struct bpipe_stats stats;
	struct model m;
	int p;

	for (p = 0; p < MODEL_FILES; p++) {
		if (files[p] >= 0)
			close(files[p]);
		files[p] = -1;
	}
	for (p = 0; p < MODEL_PROCS; p++) {
		if (worker[p].busy) {
			dismiss(p);
			hire(p);
		}
	}
	collect();
	for (p = 0; p < MODEL_PROCS; p++)
		worker[p].done = false;

	if (!renew())
		return false;
	if (ioctl(ctl, BPIPE_GET_CONFIG, &config) || ioctl(ctl, BPIPE_GET_STATS, &stats))
		die("a new channel");
	if (stats.level || stats.readers || stats.writers || stats.readers_waiting ||
	    stats.writers_waiting || stats.state || stats.written_bytes)
		return fail("the channel is not new");
	lost = false;
	model_init(&m, &config, &stats);
	models_free(&now);
	models_add(&now, &m);
	return true;
}

/* Return true if a history fails, with the failed operation in @at. */
static bool history_fails(const struct op *ops, size_t nr, size_t *at)
{
	*at = 0;
	if (!begin())
		return true;
	for (; *at < nr; ++*at)
		if (!op_run(&ops[*at]))
			return !lost;
	return false;
}

/* Leave out operations while the history still fails. Return the number left. */
static size_t shrink(struct op *ops, size_t nr)
{
	struct op *fewer = malloc(nr * sizeof(*ops));
	size_t part = nr / 2, from, at = 0;

	while (fewer && part) {
		bool better = false;

		for (from = 0; from < nr;) {
			size_t gone = part < nr - from ? part : nr - from;

			memcpy(fewer, ops, from * sizeof(*ops));
			memcpy(fewer + from, ops + from + gone, (nr - from - gone) * sizeof(*ops));
			if (nr > gone && history_fails(fewer, nr - gone, &at)) {
				nr = at < nr - gone ? at + 1 : nr - gone;
				memcpy(ops, fewer, nr * sizeof(*ops));
				better = true;
			} else {
				from += gone;
			}
		}
		if (!better || part > nr)
			part = part > nr ? nr / 2 : part / 2;
	}
	free(fewer);
	return nr;
}

static void print_history(const struct op *ops, size_t nr, const char *seed)
{
	printf("# %s; save this and run: drive --replay FILE\n", seed);
	for (size_t i = 0; i < nr; i++)
		op_print(&ops[i], stdout);
}

/* Print the whole history first: shrinking it may not end. */
static void report(struct op *ops, size_t nr, const char *seed)
{
	size_t at;

	printf("drive: operation %zu of an episode failed: %s\n", nr, failure);
	print_history(ops, nr, seed);
	patience_ms = 3000;
	if (!history_fails(ops, nr, &at)) {
		printf("drive: the failure does not repeat\n");
		return;
	}
	nr = shrink(ops, at < nr ? at + 1 : nr);
	history_fails(ops, nr, &at);
	printf("drive: %zu operations fail: %s\n", nr, failure);
	print_history(ops, nr, seed);
}

static int drive(uint64_t seed, uint64_t total)
{
	struct op ops[EPISODE];
	uint64_t done = 0, left_off = 0;
	char text[64];
	size_t nr;

	snprintf(text, sizeof(text), "seed %" PRIu64, seed);
	printf("drive: %s, %" PRIu64 " operations\n", text, total);
	setlinebuf(stdout);
	for (uint64_t episode = 0; done < total; episode++) {
		rnd_seed(seed, episode);
		if (!begin()) {
			printf("drive: %s\n", failure);
			return 1;
		}
		for (nr = 0; nr < EPISODE && done < total; nr++, done++) {
			ops[nr].id = nr;
			op_gen(&ops[nr]);
			if (op_run(&ops[nr]))
				continue;
			if (!lost) {
				report(ops, nr + 1, text);
				return 1;
			}
			left_off++;
			break;
		}
	}
	printf("drive: all as the model predicts (%" PRIu64 " episodes ended early: "
	       "too many states to follow)\n", left_off);
	return 0;
}

static int replay(const char *name)
{
	FILE *file = fopen(name, "r");
	struct op ops[EPISODE];
	size_t nr = 0, at;
	char line[512];

	if (!file)
		die(name);
	while (nr < EPISODE && fgets(line, sizeof(line), file)) {
		ops[nr].id = nr;
		if (line[0] == '#' || line[0] == '\n')
			continue;
		if (!op_parse(&ops[nr++], line)) {
			fprintf(stderr, "drive: %s: operation %zu is not valid\n", name, nr);
			return 2;
		}
	}
	fclose(file);
	if (!history_fails(ops, nr, &at)) {
		printf("drive: all as the model predicts\n");
		return 0;
	}
	printf("drive: operation %zu failed: %s\n", at + 1, failure);
	return 1;
}

int main(int argc, char **argv)
{
	uint64_t seed = time(NULL), ops = 20000;
	const char *script = NULL;
	const struct setting settings[] = {
		{ "--seed", .number = &seed }, { "--ops", .number = &ops },
		{ "--replay", .text = &script }, { 0 },
	};
	int i;

	if (!settings_get(argc, argv, settings)) {
		fprintf(stderr, "usage: drive [--seed N] [--ops N] | --replay FILE\n");
		return 2;
	}

	control = open("/dev/bpipe-control", O_RDWR | O_CLOEXEC);
	if (control < 0)
		die("/dev/bpipe-control");
	if (pipe2(results, O_CLOEXEC) || fcntl(results[0], F_SETFL, O_NONBLOCK))
		die("pipe");
	for (i = 0; i < MODEL_FILES; i++)
		files[i] = -1;
	for (i = 0; i < MODEL_PROCS; i++)
		hire(i);
	return script ? replay(script) : drive(seed, ops);
}
