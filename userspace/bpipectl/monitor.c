// SPDX-License-Identifier: GPL-2.0
/* monitor: print changes of state, and run a helper while a channel is overloaded. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "bpipectl.h"
#include "fields.h"
#include "helper.h"

#define NS_PER_MS	1000000ULL
#define LONGEST_NS	(3600 * 1000 * NS_PER_MS)	/* fits poll's argument */
#define INTERVAL_NS	(10 * NS_PER_MS)	/* between reads without an event */
#define STATES		(BPIPE_STATE_OVERLOADED + 1)

struct monitor {
	const struct options *opts;
	struct channel ch;
	struct channel before;	/* at the last read */
	uint32_t said;		/* the state in the last line */
	int watch;		/* file to poll for changes of state; -1 for none */
	int signals;
	uint64_t calm_ns;	/* when to stop the helper; UINT64_MAX if not normal */
	uint64_t helped;	/* overload_events when the helper was started */
	struct helper helper;
};

/* Return how often the channel has entered a state, as counted by the module. */
static uint64_t entered(const struct channel *ch, uint32_t state)
{
	switch (state) {
	case BPIPE_STATE_NORMAL:
		return ch->stats.low_events;
	case BPIPE_STATE_PRESSURED:
		return ch->stats.high_events;
	default:
		return ch->stats.overload_events;
	}
}

static uint64_t entered_since(const struct monitor *m, uint32_t state)
{
	return entered(&m->ch, state) - entered(&m->before, state);
}

static void print_text(const struct monitor *m, const struct channel *ch, uint64_t times)
{
	uint64_t full = channel_full_in(&m->ch, &m->before);
	char buf[FIELD_TEXT_MAX], stamp[32] = "";
	time_t now = time(NULL);

	strftime(stamp, sizeof(stamp), "%F %T", localtime(&now));
	printf("%s %s %s", stamp, ch->config.name,
	       field_format(field_find("state", 5), ch, false, buf));
	if (times > 1)
		printf(" %llu times", (unsigned long long)times);
	/* Print the level only for the current state: that of an earlier one is unknown. */
	if (ch->stats.state == m->ch.stats.state) {
		printf(", level %s", field_format(field_find("level", 5), ch, false, buf));
		printf(" of %s", field_format(field_find("size", 4), ch, false, buf));
		if (full != UINT64_MAX) {
			bpipe_format_time(full, buf, sizeof(buf));
			printf(", full in %s at this rate", buf);
		}
	}
	putchar('\n');
}

/* Print with the time in ISO 8601: strftime() lacks milliseconds, and the colon in the zone. */
static void print_json(const struct channel *ch, uint64_t times)
{
	char date[32] = "", zone[8] = "", stamp[64];
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	strftime(date, sizeof(date), "%FT%T", &tm);
	strftime(zone, sizeof(zone), "%z", &tm);
	snprintf(stamp, sizeof(stamp), "%s.%03d%.3s:%s", date, (int)(now.tv_nsec / NS_PER_MS),
		 zone, zone + 3);
	json_print_line(ch, stamp, times);
}

/*
 * Print a line for each state that the channel has entered since the last read. The current
 * state comes last, so that the order is possible.
 */
static int tell(struct monitor *m, bool first)
{
	struct channel as = m->ch;
	uint64_t times;

	for (uint32_t i = 1; i <= STATES; i++) {
		as.stats.state = (m->ch.stats.state + i) % STATES;
		times = entered_since(m, as.stats.state);
		/* A change of overload_after may end an overload without an event. */
		if (!times && (i < STATES || (!first && m->said == as.stats.state)))
			continue;
		if (m->opts->json)
			print_json(&as, times);
		else
			print_text(m, &as, times);
		m->said = as.stats.state;
	}
	return finish_output();
}

/* Read the channel and print what has happened, by the counters of one snapshot. */
static int look(struct monitor *m, bool first)
{
	uint64_t calm;
	int status;

	channel_watch_again(m->watch);
	if (!first)
		m->before = m->ch;
	status = channel_read(&m->ch);
	if (status)
		return status;
	if (first)
		m->before = m->ch;
	status = tell(m, first);

	calm = m->ch.stats.time_ns - m->ch.stats.state_since_ns;
	calm = calm < m->opts->linger_ns ? m->opts->linger_ns - calm : 0;
	if (__builtin_add_overflow(now_ns(), calm, &m->calm_ns) ||
	    m->ch.stats.state != BPIPE_STATE_NORMAL)
		m->calm_ns = UINT64_MAX;
	/* The channel was normal for a moment between two reads. */
	if (!m->opts->linger_ns && m->ch.stats.state == BPIPE_STATE_PRESSURED &&
	    entered_since(m, BPIPE_STATE_NORMAL))
		m->calm_ns = 0;
	return status;
}

/*
 * Start or stop the helper if that is due. Return when to call this again if no event comes
 * earlier.
 */
static uint64_t steer(struct monitor *m)
{
	struct helper *helper = &m->helper;
	uint64_t events = m->ch.stats.overload_events;

	helper_reap(helper);
	if (helper->group) {
		if (helper->stopping || now_ns() >= m->calm_ns)
			helper_stop(helper);
		return helper->stopping ? helper->kill_ns : m->calm_ns;
	}
	/* After status 0, start the command only at the next overload. */
	if (!helper->command || m->ch.stats.state != BPIPE_STATE_OVERLOADED ||
	    (m->helped == events && !helper->failed))
		return UINT64_MAX;
	if (helper->retry_ns > now_ns())
		return helper->retry_ns;
	m->helped = events;
	helper_start(helper, &m->ch);
	return helper->group ? UINT64_MAX : helper->retry_ns;
}

/* Return the milliseconds until @then, for poll(). */
static int time_until(uint64_t then)
{
	uint64_t now = now_ns(), left = then > now ? then - now : 0;

	if (then == UINT64_MAX)
		return -1;
	return ((left < LONGEST_NS ? left : LONGEST_NS) + NS_PER_MS - 1) / NS_PER_MS;
}

/* Watch the channel until a signal comes, which is the regular end. */
static int watch(struct monitor *m)
{
	struct pollfd pollfds[] = {
		{ .fd = m->watch, .events = POLLPRI },
		{ .fd = m->signals, .events = POLLIN },
		{ .fd = STDOUT_FILENO },	/* for the error when its reader ends */
	};
	struct signalfd_siginfo info;
	int status = look(m, true);
	uint64_t until;

	while (!status) {
		until = steer(m);
		if (m->watch < 0 && until > now_ns() + INTERVAL_NS)
			until = now_ns() + INTERVAL_NS;
		if (poll(pollfds, ARRAY_SIZE(pollfds), time_until(until)) < 0) {
			complain("poll: %s", strerror(errno));
			return EXIT_FAILED;
		}
		if (pollfds[2].revents) {
			complain("standard output: %s", strerror(EPIPE));
			return EXIT_FAILED;
		}
		if (pollfds[1].revents && read(m->signals, &info, sizeof(info)) == sizeof(info) &&
		    info.ssi_signo != SIGCHLD)
			return EXIT_OK;
		if (pollfds[0].revents || m->watch < 0)
			status = look(m, false);
	}
	return status;
}

/* End the helper with the monitor. Do not wait for processes after SIGKILL was sent. */
static void finish(struct monitor *m)
{
	struct pollfd signals = { .fd = m->signals, .events = POLLIN };
	struct helper *helper = &m->helper;
	struct signalfd_siginfo info;

	for (helper_reap(helper); helper->group; helper_reap(helper)) {
		helper_stop(helper);
		if (helper->kill_ns == UINT64_MAX)
			return;
		if (poll(&signals, 1, time_until(helper->kill_ns)) > 0 &&
		    read(m->signals, &info, sizeof(info)) < 0)
			return;
	}
}

int monitor(const struct options *opts, char **args)
{
	struct monitor m = {
		.opts = opts,
		.helper.command = opts->exec,
		.helped = UINT64_MAX,
	};
	struct sigaction hangup;
	sigset_t set;
	int status;

	if (*args && args[1]) {
		complain("monitor: one channel at a time");
		return EXIT_USAGE;
	}
	if (opts->exec && !*opts->exec) {
		complain("monitor: --exec: the command is empty");
		return EXIT_USAGE;
	}
	status = channel_open(&m.ch, *args ? *args : BPIPE_DEFAULT);
	if (status)
		return status;
	m.watch = channel_watch(&m.ch);
	/* Adopt the processes that the helper leaves, to reap them. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGPIPE);
	sigaddset(&set, SIGCHLD);
	/* Leave SIGHUP ignored under nohup: if blocked, signalfd would report it anyway. */
	if (!sigaction(SIGHUP, NULL, &hangup) && hangup.sa_handler != SIG_IGN)
		sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	m.signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (m.signals < 0) {
		complain("signalfd: %s", strerror(errno));
		status = EXIT_FAILED;
	} else {
		status = watch(&m);
		finish(&m);
		close(m.signals);
	}
	if (m.watch >= 0)
		close(m.watch);
	channel_close(&m.ch);
	return status;
}
