// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bpipectl.h"
#include "helper.h"

#define NS_PER_SEC	1000000000ULL
#define GRACE_NS	(10 * NS_PER_SEC)	/* between SIGTERM and SIGKILL */

/* The pause before a failed command is started again doubles from the first to the second. */
#define PAUSE_MIN_NS	NS_PER_SEC
#define PAUSE_MAX_NS	(60 * NS_PER_SEC)

/* Report a failure and schedule a restart. After a long run, the pause is short again. */
static void fail(struct helper *helper, const char *why, int number)
{
	uint64_t now = now_ns();
	char pause[BPIPE_TEXT_MAX];

	helper->failed = true;
	helper->pause_ns *= 2;
	if (!helper->pause_ns || now - helper->started_ns > PAUSE_MAX_NS)
		helper->pause_ns = PAUSE_MIN_NS;
	if (helper->pause_ns > PAUSE_MAX_NS)
		helper->pause_ns = PAUSE_MAX_NS;
	helper->retry_ns = now + helper->pause_ns;
	bpipe_format_time(helper->pause_ns, pause, sizeof(pause));
	complain("%s: %s %d; if still needed, it is started again in %s", helper->command, why,
		 number, pause);
}

void helper_start(struct helper *helper, const struct channel *ch)
{
	sigset_t none;
	pid_t pid;

	helper->failed = false;
	helper->stopping = false;
	helper->started_ns = now_ns();
	pid = fork();
	if (pid < 0) {
		fail(helper, "fork failed with error", errno);
		return;
	}
	if (!pid) {
		setpgid(0, 0);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		setenv("BPIPE_CHANNEL", ch->config.name, 1);
		setenv("BPIPE_DEVICE", ch->path, 1);
		execl("/bin/sh", "sh", "-c", helper->command, NULL);
		_exit(127);
	}
	setpgid(pid, pid);
	helper->group = pid;
}

void helper_reap(struct helper *helper)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != helper->group || helper->stopping)
			continue;
		if (WIFSIGNALED(status))
			fail(helper, "ended by signal", WTERMSIG(status));
		else if (WEXITSTATUS(status))
			fail(helper, "exited with status", WEXITSTATUS(status));
	}
	if (helper->group && kill(-helper->group, 0) && errno == ESRCH)
		helper->group = 0;
}

void helper_stop(struct helper *helper)
{
	uint64_t now = now_ns();

	if (!helper->stopping) {
		helper->stopping = true;
		helper->failed = false;
		helper->pause_ns = 0;
		helper->kill_ns = now + GRACE_NS;
		kill(-helper->group, SIGTERM);
	} else if (now >= helper->kill_ns) {
		helper->kill_ns = UINT64_MAX;
		kill(-helper->group, SIGKILL);
	}
}
