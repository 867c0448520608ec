// SPDX-License-Identifier: GPL-2.0
/*
 * Overload: when it begins, how it is reported, and what remains on record; and the share
 * of time in which writers stall.
 */
#define _GNU_SOURCE

#include "bpipe_test.h"

#define MS	1000000ULL
#define HOUR	(3600000 * MS)
#define STATE	"/sys/class/bpipe/bpipe-t/state"

static int set_after(int fd, unsigned long long after)
{
	return set_config(fd, (struct bpipe_config) {
		.mask = BPIPE_CFG_OVERLOAD_AFTER, .overload_after = after });
}

static unsigned int state(int fd)
{
	return get_stats(fd).state;
}

static bool is_past(unsigned long long when)
{
	return now_ns() > when;
}

TEST_F(channel, lasting_pressure_becomes_overload)
{
	struct bpipe_stats before = get_stats(self->ctl), after;
	struct bpipe_events events;
	unsigned long long rose;

	ASSERT_EQ(0, set_after(self->ctl, HOUR));
	ASSERT_EQ(HIGH, put(self->wr, HIGH));
	events = get_events(self->ctl);
	rose = events.time_ns;
	EXPECT_EQ(BPIPE_EVENT_HIGH, events.events);
	EXPECT_EQ(BPIPE_STATE_PRESSURED, events.state);
	ASSERT_EQ(0, set_after(self->ctl, 50 * MS));
	ASSERT_TRUE(EVENTUALLY(ready(self->ctl, POLLPRI) & POLLPRI));
	events = get_events(self->ctl);
	EXPECT_EQ(BPIPE_EVENT_OVERLOAD, events.events);
	EXPECT_EQ(BPIPE_STATE_OVERLOADED, events.state);
	EXPECT_EQ(before.overload_events + 1, events.overload_events);
	EXPECT_LE(rose + 50 * MS, events.time_ns);
	after = get_stats(self->ctl);
	EXPECT_EQ(BPIPE_STATE_OVERLOADED, after.state);
	EXPECT_EQ(events.time_ns, after.state_since_ns);

	ASSERT_EQ(HIGH, take(self->rd, SIZE));
	EXPECT_EQ(BPIPE_STATE_NORMAL, state(self->ctl));
	EXPECT_EQ(BPIPE_EVENT_LOW, get_events(self->ctl).events);
	EXPECT_EQ(before.overload_events + 1, get_stats(self->ctl).overload_events);
}

TEST_F(channel, overload_wakes_a_sleeping_poller)
{
	struct pollfd p = { .fd = self->ctl, .events = POLLPRI };

	ASSERT_EQ(0, set_after(self->ctl, HOUR));
	ASSERT_EQ(HIGH, put(self->wr, HIGH));
	get_events(self->ctl);
	ASSERT_EQ(0, set_after(self->ctl, now_ns() - get_stats(self->ctl).state_since_ns +
				     20 * MS));
	EXPECT_EQ(1, poll(&p, 1, 10000));
	EXPECT_EQ(BPIPE_EVENT_OVERLOAD, get_events(self->ctl).events);
}

TEST_F(channel, short_pressure_is_no_overload)
{
	unsigned long long before = get_stats(self->ctl).overload_events;

	ASSERT_EQ(0, set_after(self->ctl, HOUR));
	for (int i = 0; i < 20; i++) {
		ASSERT_EQ(HIGH, put(self->wr, HIGH));
		EXPECT_EQ(BPIPE_STATE_PRESSURED, state(self->ctl));
		ASSERT_EQ(HIGH, take(self->rd, SIZE));
		EXPECT_EQ(BPIPE_STATE_NORMAL, state(self->ctl));
	}
	EXPECT_EQ(before, get_stats(self->ctl).overload_events);
}

TEST_F(channel, level_wavering_around_high_is_one_overload)
{
	struct bpipe_stats before = get_stats(self->ctl), after;

	ASSERT_EQ(0, set_after(self->ctl, MS));
	ASSERT_EQ(HIGH, put(self->wr, HIGH));
	for (int i = 0; i < 500; i++) {
		ASSERT_EQ(100, take(self->rd, 100));
		ASSERT_EQ(100, put(self->wr, 100));
	}
	ASSERT_TRUE(EVENTUALLY(state(self->ctl) == BPIPE_STATE_OVERLOADED));
	for (int i = 0; i < 500; i++) {
		ASSERT_EQ(100, take(self->rd, 100));
		EXPECT_EQ(BPIPE_STATE_OVERLOADED, state(self->ctl));
		ASSERT_EQ(100, put(self->wr, 100));
	}
	after = get_stats(self->ctl);
	EXPECT_EQ(before.high_events + 1, after.high_events);
	EXPECT_EQ(before.low_events, after.low_events);
	EXPECT_EQ(before.overload_events + 1, after.overload_events);
}

TEST_F(channel, new_overload_after_applies_to_present_pressure)
{
	unsigned long long events = get_stats(self->ctl).overload_events;

	ASSERT_EQ(0, set_after(self->ctl, HOUR));
	ASSERT_EQ(HIGH, put(self->wr, HIGH));
	EXPECT_EQ(BPIPE_STATE_PRESSURED, state(self->ctl));
	ASSERT_EQ(0, set_after(self->ctl, 1));
	EXPECT_EQ(BPIPE_STATE_OVERLOADED, state(self->ctl));
	ASSERT_EQ(0, set_after(self->ctl, HOUR));
	EXPECT_EQ(BPIPE_STATE_PRESSURED, state(self->ctl));
	ASSERT_EQ(0, set_after(self->ctl, 1));
	ASSERT_EQ(0, set_after(self->ctl, 0));
	EXPECT_EQ(BPIPE_STATE_PRESSURED, state(self->ctl));
	EXPECT_EQ(events + 2, get_stats(self->ctl).overload_events);
}

TEST_F(channel, alarm_stays_until_reset)
{
	struct bpipe_stats stats;
	unsigned long long first;

	ASSERT_EQ(0, ioctl(self->ctl, BPIPE_RESET_PEAKS));
	EXPECT_EQ(0, get_stats(self->ctl).alarm_since_ns);
	ASSERT_EQ(0, set_after(self->ctl, 1));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(HIGH, put(self->wr, HIGH));
		ASSERT_TRUE(EVENTUALLY(state(self->ctl) == BPIPE_STATE_OVERLOADED));
		stats = get_stats(self->ctl);
		if (!i)
			first = stats.state_since_ns;
		EXPECT_EQ(first, stats.alarm_since_ns);
		ASSERT_EQ(HIGH, take(self->rd, SIZE));
		EXPECT_EQ(first, get_stats(self->ctl).alarm_since_ns);
	}
	ASSERT_EQ(HIGH, put(self->wr, HIGH));
	ASSERT_TRUE(EVENTUALLY(state(self->ctl) == BPIPE_STATE_OVERLOADED));
	/* A reset during an overload leaves an alarm, with the time of that overload. */
	ASSERT_EQ(0, ioctl(self->ctl, BPIPE_RESET_PEAKS));
	stats = get_stats(self->ctl);
	EXPECT_LT(first, stats.alarm_since_ns);
	EXPECT_EQ(stats.state_since_ns, stats.alarm_since_ns);
	ASSERT_EQ(HIGH, take(self->rd, SIZE));
	ASSERT_EQ(0, ioctl(self->ctl, BPIPE_RESET_PEAKS));
	EXPECT_EQ(0, get_stats(self->ctl).alarm_since_ns);
}

TEST_F(channel, longest_stall_includes_the_present_one)
{
	unsigned long long since;
	struct helper h;

	BLOCKING_WRITER();
	ASSERT_EQ(0, ioctl(self->ctl, BPIPE_RESET_PEAKS));
	EXPECT_EQ(0, get_stats(self->ctl).longest_stall_ns);
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	helper_start(&h, self->wrb, true, 1);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	since = now_ns();
	ASSERT_TRUE(EVENTUALLY(is_past(since + 20 * MS)));
	EXPECT_LE(20 * MS, get_stats(self->ctl).longest_stall_ns);
	ASSERT_EQ(SIZE, take(self->rd, SIZE));
	EXPECT_EQ(1, helper_end(&h));
	EXPECT_LE(20 * MS, get_stats(self->ctl).longest_stall_ns);
	ASSERT_EQ(0, ioctl(self->ctl, BPIPE_RESET_PEAKS));
	EXPECT_EQ(0, get_stats(self->ctl).longest_stall_ns);
}

TEST_F(channel, waiting_for_tokens_is_no_stall)
{
	unsigned long long since, blocked = get_stats(self->ctl).blocked;
	struct helper first, next;

	BLOCKING_WRITER();
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_MODE | BPIPE_CFG_RATE | BPIPE_CFG_BURST,
		.mode = BPIPE_MODE_RECORD, .rate = 1, .burst = 1 }));
	ASSERT_EQ(0, ioctl(self->ctl, BPIPE_RESET_PEAKS));
	/* The debt takes longer to pay than the test runs. */
	ASSERT_EQ(1000, put(self->wr, 1000));
	helper_start(&first, self->wrb, true, 40000);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	helper_start(&next, self->wrb, true, 40000);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 2));
	since = now_ns();
	ASSERT_TRUE(EVENTUALLY(is_past(since + 20 * MS)));

	/* Without the rate, the first writer goes, and the second finds no room. */
	since = now_ns();
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_RATE }));
	EXPECT_EQ(40000, helper_end(&first));
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).blocked > blocked));
	EXPECT_GT(now_ns() - since, get_stats(self->ctl).longest_stall_ns);
	while (take(self->rd, SIZE) > 0)
		;
	EXPECT_EQ(40000, helper_end(&next));
	EXPECT_GT(now_ns() - since, get_stats(self->ctl).longest_stall_ns);
}

TEST_F(channel, stalled_time_advances_only_while_a_writer_sleeps)
{
	struct bpipe_stats before, after, later;
	unsigned long long since;
	struct helper h;

	BLOCKING_WRITER();
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	before = get_stats(self->ctl);
	helper_start(&h, self->wrb, true, 1);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	since = now_ns();
	ASSERT_TRUE(EVENTUALLY(is_past(since + 20 * MS)));
	after = get_stats(self->ctl);
	EXPECT_LE(20 * MS, after.stalled_ns - before.stalled_ns);
	EXPECT_GE(after.time_ns - before.time_ns, after.stalled_ns - before.stalled_ns);
	/* self->wr is a writer, too, and does not sleep. */
	EXPECT_EQ(before.stalled_all_ns, after.stalled_all_ns);
	close(self->wr);
	since = now_ns();
	ASSERT_TRUE(EVENTUALLY(is_past(since + 20 * MS)));
	EXPECT_LE(20 * MS, get_stats(self->ctl).stalled_all_ns - after.stalled_all_ns);
	ASSERT_EQ(SIZE, take(self->rd, SIZE));
	EXPECT_EQ(1, helper_end(&h));
	after = get_stats(self->ctl);
	since = now_ns();
	ASSERT_TRUE(EVENTUALLY(is_past(since + 20 * MS)));
	later = get_stats(self->ctl);
	EXPECT_EQ(after.stalled_ns, later.stalled_ns);
	EXPECT_EQ(after.stalled_all_ns, later.stalled_all_ns);
}

TEST_F(channel, pressure_file_has_the_format_of_proc_pressure)
{
	FILE *file = fopen(SYSFS "pressure", "r");
	struct bpipe_stats stats = get_stats(self->ctl);
	double avg10, avg60, avg300;
	unsigned long long total;

	ASSERT_NE(NULL, file);
	ASSERT_EQ(4, fscanf(file, "some avg10=%lf avg60=%lf avg300=%lf total=%llu\n",
			    &avg10, &avg60, &avg300, &total));
	EXPECT_EQ(stats.stalled_ns / 1000, total);
	EXPECT_GE(100, avg10);
	ASSERT_EQ(4, fscanf(file, "full avg10=%lf avg60=%lf avg300=%lf total=%llu\n",
			    &avg10, &avg60, &avg300, &total));
	EXPECT_EQ(stats.stalled_all_ns / 1000, total);
	EXPECT_EQ(EOF, fgetc(file));
	fclose(file);
}

/*
 * A new channel, without uevents pending from an earlier test. No uevent is sent for a
 * change that is reversed within the pause after the last one.
 */
FIXTURE(announced) {
	int control;
	int ctl;
	int rd;
	int wr;
};

FIXTURE_SETUP(announced)
{
	const struct bpipe_config config = {
		.mask = BPIPE_CFG_SIZE | BPIPE_CFG_HIGH | BPIPE_CFG_LOW,
		.size = SIZE, .high = HIGH, .low = LOW,
	};

	self->control = open(CONTROL, O_RDWR);
	ASSERT_LE(0, self->control);
	ASSERT_EQ(0, add_channel(self->control, "t", &config));
	self->ctl = open(DEV "-t", O_ACCMODE);
	ASSERT_LE(0, self->ctl);
	self->rd = open(DEV "-t", O_RDONLY | O_NONBLOCK);
	ASSERT_LE(0, self->rd);
	self->wr = open(DEV "-t", O_WRONLY | O_NONBLOCK);
	ASSERT_LE(0, self->wr);
}

FIXTURE_TEARDOWN(announced)
{
	EXPECT_EQ(0, remove_with(self->control, "t", BPIPE_REMOVE_FORCE));
}

TEST_F(announced, uevents_report_start_and_end_of_overload)
{
	int fd = uevents_open();

	ASSERT_EQ(0, set_after(self->ctl, 1));
	ASSERT_EQ(HIGH, put(self->wr, HIGH));
	EXPECT_TRUE(uevent(fd, "bpipe-t", "BPIPE_STATE=overloaded"));
	ASSERT_EQ(HIGH, take(self->rd, SIZE));
	EXPECT_TRUE(uevent(fd, "bpipe-t", "BPIPE_STATE=normal"));
	close(fd);
}

/* An opener that changes the state all the time must not flood the listeners. */
TEST_F(announced, uevents_are_rate_limited_and_the_last_state_is_sent)
{
	const struct timeval pause = { .tv_sec = 1 };
	unsigned long long start = now_ns(), elapsed_ms;
	int fd = uevents_open(), uevents = 0;
	bool overloaded = false;
	char text[4096];

	ASSERT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &pause, sizeof(pause)));
	ASSERT_EQ(0, set_after(self->ctl, 1));
	for (int i = 0; i < 1000; i++) {
		ASSERT_EQ(HIGH, put(self->wr, HIGH));
		EVENTUALLY(state(self->ctl) == BPIPE_STATE_OVERLOADED);
		ASSERT_EQ(HIGH, take(self->rd, HIGH));
	}
	ASSERT_EQ(HIGH, put(self->wr, HIGH));
	while (next_uevent(fd, "bpipe-t", text, sizeof(text)) >= 0) {
		overloaded = strstr(text, "BPIPE_STATE=overloaded");
		uevents++;
	}
	EXPECT_TRUE(overloaded);
	EXPECT_LE(1, uevents);
	elapsed_ms = (now_ns() - start) / MS;
	EXPECT_GE(2 + elapsed_ms / 190, uevents);
	close(fd);
}

/* Return the word in the attribute; poll then waits for a change after this read. */
static const char *state_word(int fd)
{
	static char word[32];
	ssize_t n = pread(fd, word, sizeof(word) - 1, 0);

	word[n < 0 ? 0 : n] = 0;
	return word;
}

static int poll_state(int fd, int timeout)
{
	struct pollfd p = { .fd = fd, .events = POLLPRI };

	return poll(&p, 1, timeout);
}

TEST_F(announced, state_attribute_wakes_its_pollers)
{
	int fd = open(STATE, O_RDONLY);
	pid_t pid;

	ASSERT_LE(0, fd);
	EXPECT_STREQ("normal\n", state_word(fd));
	pid = spawn();
	if (!pid)
		_exit(poll_state(fd, 10000) == 1 && !strcmp("pressured\n", state_word(fd)) ? 0 : 1);
	ASSERT_EQ(HIGH, put(self->wr, HIGH));
	EXPECT_EQ(0, reap(pid));
	EXPECT_STREQ("pressured\n", state_word(fd));
	ASSERT_EQ(0, set_after(self->ctl, 1));
	EXPECT_EQ(1, poll_state(fd, 10000));
	EXPECT_STREQ("overloaded\n", state_word(fd));
	/* A write that leaves the state alone wakes no poller. */
	EXPECT_EQ(0, poll_state(fd, 0));
	ASSERT_EQ(100, put(self->wr, 100));
	EXPECT_EQ(0, poll_state(fd, 300));
	ASSERT_EQ(HIGH + 100, take(self->rd, SIZE));
	EXPECT_EQ(1, poll_state(fd, 10000));
	EXPECT_STREQ("normal\n", state_word(fd));
	close(fd);
}

TEST_F(announced, state_attribute_wakeups_are_rate_limited)
{
	int fd = open(STATE, O_RDONLY), wakeups = 0;
	unsigned long long start = now_ns(), elapsed_ms;
	bool pressured;
	pid_t pid;

	ASSERT_LE(0, fd);
	pid = spawn();
	if (!pid) {
		for (int i = 0; i < 1000; i++) {
			put(self->wr, HIGH);
			take(self->rd, HIGH);
		}
		put(self->wr, HIGH);
		_exit(0);
	}
	/* A second without a wake-up is longer than any pause of the rate limit. */
	do {
		pressured = !strcmp("pressured\n", state_word(fd));
		wakeups++;
	} while (poll_state(fd, 1000));
	EXPECT_EQ(0, reap(pid));
	EXPECT_TRUE(pressured);
	EXPECT_LE(2, wakeups);
	elapsed_ms = (now_ns() - start) / MS;
	EXPECT_GE(3 + elapsed_ms / 190, wakeups);
	close(fd);
}

TEST_F(channel, overload_after_out_of_range_is_refused)
{
	ASSERT_EQ(0, set_after(self->ctl, BPIPE_TIMEOUT_MAX));
	EXPECT_EQ(-EINVAL, set_after(self->ctl, BPIPE_TIMEOUT_MAX + 1));
	EXPECT_EQ(BPIPE_TIMEOUT_MAX, get_config(self->ctl).overload_after);
}

TEST_HARNESS_MAIN
