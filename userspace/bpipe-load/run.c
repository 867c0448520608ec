// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "report.h"
#include "run.h"

/*
 * How long workers may take to write their last unit, after a signal and after --duration.
 * The latter is longer, because a slow consumer may have to catch up first.
 */
#define GRACE_SIGNAL_NS		NSEC_PER_SEC
#define GRACE_DURATION_NS	(10 * NSEC_PER_SEC)

#define TICK_NS			(100 * NSEC_PER_MSEC)

/* Longest delay that a paced run makes up for */
#define PACE_SLACK_NS		(100 * NSEC_PER_MSEC)

/* 292 years, which is as good as never. The sum of two does not overflow. */
#define FOREVER			((uint64_t)INT64_MAX)

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec) {
		.tv_sec = (time_t)(ns / NSEC_PER_SEC),
		.tv_nsec = (long)(ns % NSEC_PER_SEC),
	};
}

/*
 * Stop the run; workers give up at @give_up_ns. A later call can only make that time
 * earlier, so a second ^C ends the run at once.
 */
static void run_stop(struct run *run, uint64_t give_up_ns)
{
	uint64_t old = atomic_load(&run->give_up_ns);

	while (!old || old > give_up_ns)
		if (atomic_compare_exchange_weak(&run->give_up_ns, &old, give_up_ns))
			break;
}

void run_fail(struct run *run, const char *fmt, ...)
{
	va_list args;

	if (atomic_exchange(&run->failed, true))
		return;
	va_start(args, fmt);
	vcomplain(fmt, args);
	va_end(args);
	run_stop(run, now_ns());
}

/* Return value * mul / div, at most FOREVER; exact up to 104 days of nanoseconds, or 9 PB. */
static uint64_t scale(uint64_t value, uint64_t mul, uint64_t div)
{
	double scaled = (double)value * (double)mul / (double)div;

	return scaled < (double)FOREVER ? (uint64_t)scaled : FOREVER;
}

/*
 * The schedule is absolute, so late wake-ups do not add up. The next byte is due when the
 * rate has had the time for the @pace bytes before it.
 */
void run_pace_wait(struct run *run)
{
	struct timespec ts;
	uint64_t due;

	while (run->opt->rate && !run_stopping(run)) {
		due = run->opened_ns + scale(run->pace, NSEC_PER_SEC, run->opt->rate);
		if (due <= now_ns())
			break;
		ts = to_timespec(due);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
	}
}

void run_pace_take(struct run *run, uint64_t bytes)
{
	uint64_t elapsed, floor = 0, old;

	if (!run->opt->rate)
		return;

	elapsed = now_ns() - run->opened_ns;
	if (elapsed > PACE_SLACK_NS)
		floor = scale(elapsed - PACE_SLACK_NS, run->opt->rate, NSEC_PER_SEC);
	old = run->pace;
	while (!atomic_compare_exchange_weak(&run->pace, &old,
					     (old > floor ? old : floor) + bytes))
		;
}

void worker_stalled(struct worker *w, uint64_t ns)
{
	if (ns < STALL_NS)
		return;
	tally(&w->stalls, 1);
	tally(&w->stalled_ns, ns);
}

static const char *open_advice(int error)
{
	switch (error) {
	case ENOENT:
		return " (load the module, make a FIFO with mkfifo, or use - and a redirection)";
	case EACCES:
	case EPERM:
		return " (for a bpipe device, join the group bpipe or use sudo)";
	default:
		return "";
	}
}

/*
 * Open the path for one worker, as a separate program would. Never create it: without the
 * module, that would leave a regular file in /dev, and fill it.
 */
static bool worker_open(struct worker *w)
{
	const struct options *opt = w->opt;
	struct run *run = w->run;

	w->fd = opt->verb->std_fd;
	if (strcmp(opt->path, "-") != 0) {
		/* Open without O_NONBLOCK, so that a FIFO waits for the other side. */
		do {
			w->fd = open(opt->path, opt->verb->open_flags | O_CLOEXEC);
		} while (w->fd < 0 && errno == EINTR && !run_stopping(run));

		if (w->fd < 0 && errno == EINTR)
			return false;
		if (w->fd < 0) {
			run_fail(run, "%s: open: %s%s", opt->path, strerror(errno),
				 open_advice(errno));
			return false;
		}
		if (opt->nonblock)
			fcntl(w->fd, F_SETFL, fcntl(w->fd, F_GETFL) | O_NONBLOCK);
	}
	return true;
}

/*
 * Wait until all workers have opened the path. Otherwise the other side could get
 * end-of-file from the first before the last has opened it.
 */
static void worker_line_up(struct run *run)
{
	struct timespec ts = to_timespec(NSEC_PER_MSEC);
	uint64_t none = 0;

	atomic_fetch_add(&run->opened, 1);
	while (run->opened < run->opt->workers && !run_stopping(run))
		nanosleep(&ts, NULL);
	atomic_compare_exchange_strong(&run->opened_ns, &none, now_ns());
}

static void worker_main(struct worker *w)
{
	if (worker_open(w)) {
		worker_line_up(w->run);
		w->opt->verb->work(w);
	}
	/* Close it now, and not with the last worker, because the other side may wait for it. */
	if (w->fd > STDERR_FILENO)
		close(w->fd);
}

static void *worker_thread(void *arg)
{
	struct worker *w = arg;

	worker_main(w);
	atomic_store(&w->done, true);
	/* Wake the supervisor, as the end of a child does. */
	kill(getpid(), SIGCHLD);
	return NULL;
}

static int worker_start(struct worker *w)
{
	pid_t pid;

	if (!w->opt->processes)
		return pthread_create(&w->thread, NULL, worker_thread, w);

	pid = fork();
	if (pid < 0)
		return errno;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		worker_main(w);
		_exit(EXIT_OK);
	}
	w->pid = pid;	/* set only by the parent: the worker is in shared memory */
	return 0;
}

/* Return true if the worker has ended. If not, interrupt its sleep while the run is stopping. */
static bool worker_reap(struct worker *w)
{
	struct run *run = w->run;
	int status;

	if (w->gone)
		return true;

	if (w->opt->processes) {
		w->gone = waitpid(w->pid, &status, WNOHANG) == w->pid;
		if (w->gone && WIFSIGNALED(status))
			run_fail(run, "worker %u was killed: %s", w->index,
				 strsignal(WTERMSIG(status)));
		else if (!w->gone && run_stopping(run))
			kill(w->pid, SIGUSR1);
	} else if (atomic_load(&w->done)) {
		w->gone = !pthread_join(w->thread, NULL);
	} else if (run_stopping(run)) {
		pthread_kill(w->thread, SIGUSR1);
	}
	return w->gone;
}

static void nudged(int sig)
{
	(void)sig;
}

/* Let SIGUSR1 only interrupt sleeps. Block the signals that the supervisor waits for. */
static void set_signals(sigset_t *mine)
{
	struct sigaction nudge = { .sa_handler = nudged };

	sigemptyset(mine);
	sigaddset(mine, SIGINT);
	sigaddset(mine, SIGTERM);
	sigaddset(mine, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, mine, NULL);
	sigaction(SIGUSR1, &nudge, NULL);
	signal(SIGCHLD, SIG_DFL);	/* the parent may have ignored it */
	signal(SIGPIPE, SIG_IGN);
}

/*
 * Return how long the supervisor may sleep: a tick, or less if --duration ends first. Stop
 * the run once it has ended.
 */
static uint64_t time_to_look(struct run *run, uint64_t now)
{
	uint64_t end = run->opened_ns + run->opt->duration_ns;

	if (!run->opt->duration_ns || !run->opened_ns || run_stopping(run))
		return TICK_NS;
	if (now >= end) {
		run_stop(run, end + GRACE_DURATION_NS);
		return 0;
	}
	return end - now < TICK_NS ? end - now : TICK_NS;
}

static void supervise(struct run *run, unsigned int started, const sigset_t *mine)
{
	unsigned int i, gone;
	struct timespec ts;
	uint64_t now;
	int sig;

	do {
		now = now_ns();
		ts = to_timespec(time_to_look(run, now));
		sig = sigtimedwait(mine, NULL, &ts);
		if (sig == SIGINT || sig == SIGTERM) {
			now = now_ns();
			run_stop(run, run_stopping(run) ? now : now + GRACE_SIGNAL_NS);
		}

		gone = 0;
		for (i = 0; i < started; i++)
			gone += worker_reap(&run->worker[i]);
		report_progress(run, now_ns());
	} while (gone < started);
	report_progress_end();
}

struct run *run_all(const struct options *opt)
{
	size_t len = sizeof(struct run) + opt->workers * sizeof(struct worker);
	int std_flags = -1, error;
	unsigned int started;
	sigset_t mine;
	struct run *run;

	run = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run == MAP_FAILED) {
		complain("no memory for %u workers: %s", opt->workers, strerror(errno));
		return NULL;
	}
	run->opt = opt;
	set_signals(&mine);

	/* "-" is shared with other processes, so restore its flags at the end. */
	if (opt->nonblock && !strcmp(opt->path, "-")) {
		std_flags = fcntl(opt->verb->std_fd, F_GETFL);
		fcntl(opt->verb->std_fd, F_SETFL, std_flags | O_NONBLOCK);
	}

	for (started = 0; started < opt->workers; started++) {
		struct worker *w = &run->worker[started];

		w->run = run;
		w->opt = opt;
		w->index = started;
		error = worker_start(w);
		if (error) {
			run_fail(run, "cannot start worker %u: %s", started, strerror(error));
			break;
		}
	}
	supervise(run, started, &mine);

	if (std_flags >= 0)
		fcntl(opt->verb->std_fd, F_SETFL, std_flags);
	return run;
}
