// SPDX-License-Identifier: GPL-2.0
/*
 * Tracepoints: the text of each event, and that disabled events are not traced.
 */
#define _GNU_SOURCE
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "bpipe_test.h"

#define TRACING	"/sys/kernel/tracing"
#define OURS	TRACING "/instances/bpipe-test"	/* a separate trace instance */

static void tell(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_TRUNC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	close(fd);
}

/* Empty the trace and enable the module's events; return false without tracefs. */
static bool trace_start(void)
{
	if (access(TRACING "/instances", F_OK) || (mkdir(OURS, 0700) && errno != EEXIST))
		return false;
	tell(OURS "/trace", "\n");
	tell(OURS "/events/bpipe/enable", "1");
	return true;
}

/* Return the number of traced events of the channel with the name @event and text @what. */
static int traced(int fd, const char *event, const char *what)
{
	FILE *f = fopen(OURS "/trace", "r");
	char line[512], wanted[256];
	struct stat st;
	int n = 0;

	if (!f || fstat(fd, &st))
		abort();
	snprintf(wanted, sizeof(wanted), ": %s: dev=%u:%u %s\n", event, major(st.st_rdev),
		 minor(st.st_rdev), what);
	while (fgets(line, sizeof(line), f))
		n += !!strstr(line, wanted);
	fclose(f);
	return n;
}

TEST_F(channel, writes_and_reads_are_traced)
{
	if (!trace_start())
		SKIP(return, "no tracefs at " TRACING);
	ASSERT_EQ(300, put(self->wr, 300));
	ASSERT_EQ(200, put(self->wr, 200));
	ASSERT_EQ(100, take(self->rd, 100));
	EXPECT_EQ(1, traced(self->ctl, "bpipe_write", "bytes=300 level=300"));
	EXPECT_EQ(1, traced(self->ctl, "bpipe_write", "bytes=200 level=500"));
	EXPECT_EQ(1, traced(self->ctl, "bpipe_read", "bytes=100 level=400"));
	tell(OURS "/events/bpipe/enable", "0");
	ASSERT_EQ(300, put(self->wr, 300));
	EXPECT_EQ(0, traced(self->ctl, "bpipe_write", "bytes=300 level=700"));
}

TEST_F(channel, state_changes_are_traced)
{
	if (!trace_start())
		SKIP(return, "no tracefs at " TRACING);
	ASSERT_EQ(HIGH + 1, put(self->wr, HIGH + 1));
	ASSERT_EQ(HIGH, take(self->rd, HIGH));
	EXPECT_EQ(1, traced(self->ctl, "bpipe_state", "state=pressured level=49153"));
	EXPECT_EQ(1, traced(self->ctl, "bpipe_state", "state=normal level=1"));
}

TEST_F(channel, refused_writes_are_traced)
{
	const struct bpipe_config limit = {
		.mask = BPIPE_CFG_RATE | BPIPE_CFG_BURST, .rate = 1, .burst = ATOMIC,
	};
	struct helper a, b;

	if (!trace_start())
		SKIP(return, "no tracefs at " TRACING);
	BLOCKING_WRITER();
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	EXPECT_EQ(-1, put(self->wr, 10));
	helper_start(&a, self->wrb, true, 20);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	helper_start(&b, self->wrb, true, 30);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 2));
	ASSERT_EQ(SIZE, take(self->rd, SIZE));
	EXPECT_EQ(20, helper_end(&a));
	EXPECT_EQ(30, helper_end(&b));
	EXPECT_EQ(1, traced(self->ctl, "bpipe_refuse", "wants=space bytes=10 again"));
	EXPECT_EQ(1, traced(self->ctl, "bpipe_refuse", "wants=space bytes=20"));
	EXPECT_EQ(1, traced(self->ctl, "bpipe_refuse", "wants=turn bytes=30"));

	ASSERT_EQ(0, set_config(self->ctl, limit));
	ASSERT_EQ(ATOMIC, put(self->wr, ATOMIC));
	EXPECT_EQ(-1, put(self->wr, 40));
	EXPECT_EQ(1, traced(self->ctl, "bpipe_refuse", "wants=tokens bytes=40 again"));
}

TEST_F(channel, configuration_changes_are_traced)
{
	const struct bpipe_config set = {
		.mask = BPIPE_CFG_SIZE | BPIPE_CFG_HIGH | BPIPE_CFG_LOW | BPIPE_CFG_RATE |
			BPIPE_CFG_BURST,
		.size = 50000, .high = 40000, .low = 10000, .rate = 2000000, .burst = 9000,
	};

	if (!trace_start())
		SKIP(return, "no tracefs at " TRACING);
	ASSERT_EQ(0, set_config(self->ctl, set));
	EXPECT_EQ(1, traced(self->ctl, "bpipe_config",
			    "size=50000 high=40000 low=10000 rate=2000000 burst=9000"));
}

TEST_HARNESS_MAIN
