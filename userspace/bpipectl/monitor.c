// SPDX-License-Identifier: GPL-2.0
/* monitor: tell of changes of state, and have help while a channel is overloaded. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bpipectl.h"
#include "fields.h"

/* A helper that was told to stop has ten seconds. */
#define GRACE_NAPS	100
#define GRACE_NS	10000000000L

struct monitor {
	const struct options *opts;
	struct channel ch;
	struct channel before;	/* at the last change */
	int signals;
	pid_t helper;		/* the command, and its process group; 0: all are gone */
};

/* A line for people, or a JSON object in one, for each change. */
static void tell(struct monitor *m)
{
	uint64_t full = channel_full_in(&m->ch, &m->before);
	char buf[FIELD_TEXT_MAX], stamp[32];
	time_t now = time(NULL);

	if (m->opts->json) {
		json_print_line(&m->ch);
	} else {
		strftime(stamp, sizeof(stamp), "%F %T", localtime(&now));
		printf("%s %s", stamp, m->ch.config.name);
		printf(" %s", field_format(field_find("state", 5), &m->ch, false, buf));
		printf(", level %s", field_format(field_find("level", 5), &m->ch, false, buf));
		printf(" of %s", field_format(field_find("size", 4), &m->ch, false, buf));
		if (full != UINT64_MAX) {
			bpipe_format_time(full, buf, sizeof(buf));
			printf(", full in %s if it goes on like this", buf);
		}
		putchar('\n');
	}
	fflush(stdout);
	m->before = m->ch;
}

static void start(struct monitor *m)
{
	sigset_t none;
	pid_t pid = fork();

	if (pid < 0) {
		complain("%s: %s", m->opts->exec, strerror(errno));
		return;
	}
	if (!pid) {
		setpgid(0, 0);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		setenv("BPIPE_CHANNEL", m->ch.config.name, 1);
		setenv("BPIPE_DEVICE", m->ch.path, 1);
		execl("/bin/sh", "sh", "-c", m->opts->exec, NULL);
		_exit(127);
	}
	setpgid(pid, pid);
	m->helper = pid;
}

/* Says how the helper went, if that was wrong. */
static void explain(const struct monitor *m, int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status))
		complain("%s: exited with status %d", m->opts->exec, WEXITSTATUS(status));
	else if (WIFSIGNALED(status) && WTERMSIG(status) != SIGTERM)
		complain("%s: ended by signal %d", m->opts->exec, WTERMSIG(status));
}

/* Whether the helper, if there is one, is gone, and all that it started. */
static bool is_gone(struct monitor *m)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == m->helper)
			explain(m, status);
	if (m->helper && kill(-m->helper, 0) && errno == ESRCH)
		m->helper = 0;
	return !m->helper;
}

/* The helper and all it started are told to stop, and, if they do not, made to. */
static void stop(struct monitor *m)
{
	const struct timespec nap = { .tv_nsec = GRACE_NS / GRACE_NAPS };
	sigset_t child;
	int naps = GRACE_NAPS;

	if (is_gone(m))
		return;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	kill(-m->helper, SIGTERM);
	while (!is_gone(m)) {
		if (sigtimedwait(&child, NULL, &nap) >= 0 || naps--)
			continue;
		kill(-m->helper, SIGKILL);
		break;
	}
}

/* Something happened: the states that came, and what is now. */
static int look(struct monitor *m)
{
	struct bpipe_events events;
	int status;

	if (bpipe_get_events(m->ch.fd, &events))
		return channel_failed(&m->ch, "cannot be watched");
	status = channel_read(&m->ch);
	if (status)
		return status;
	tell(m);
	if (!m->opts->exec)
		return EXIT_OK;
	if (m->ch.stats.state == BPIPE_STATE_OVERLOADED && is_gone(m))
		start(m);
	else if (m->ch.stats.state == BPIPE_STATE_NORMAL)
		stop(m);
	return EXIT_OK;
}

/* Until a signal ends it: that is how it is meant to end. */
static int watch(struct monitor *m)
{
	struct pollfd pollfds[] = {
		{ .fd = m->ch.fd, .events = POLLPRI },
		{ .fd = m->signals, .events = POLLIN },
	};
	struct signalfd_siginfo info;
	int status = look(m);

	while (!status) {
		if (poll(pollfds, ARRAY_SIZE(pollfds), -1) < 0) {
			complain("poll: %s", strerror(errno));
			return EXIT_FAILED;
		}
		if (pollfds[1].revents) {
			if (read(m->signals, &info, sizeof(info)) != sizeof(info))
				continue;
			if (info.ssi_signo != SIGCHLD)
				return EXIT_OK;
			is_gone(m);
		}
		if (pollfds[0].revents)
			status = look(m);
	}
	return status;
}

int monitor(const struct options *opts, char **args)
{
	struct monitor m = { .opts = opts };
	struct sigaction hangup;
	sigset_t set;
	int status;

	if (*args && args[1]) {
		complain("monitor: one channel at a time");
		return EXIT_USAGE;
	}
	status = channel_open(&m.ch, *args ? *args : BPIPE_DEFAULT);
	if (status)
		return status;
	m.before = m.ch;
	/* What the helper started is left to us once the helper is gone. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGPIPE);
	sigaddset(&set, SIGCHLD);
	/* nohup's way to let it live on: what is blocked would be told all the same. */
	if (!sigaction(SIGHUP, NULL, &hangup) && hangup.sa_handler != SIG_IGN)
		sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	m.signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (m.signals < 0) {
		complain("signalfd: %s", strerror(errno));
		status = EXIT_FAILED;
	} else {
		status = watch(&m);
		stop(&m);
		close(m.signals);
	}
	channel_close(&m.ch);
	return status;
}
