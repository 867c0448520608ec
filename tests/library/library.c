// SPDX-License-Identifier: GPL-2.0
/* Test libbpipe as a program uses it: only through the shared library and <bpipe.h>. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpipe.h>

#include "kselftest_harness.h"

#define NAME	"library"
#define NODE	"bpipe-library"

/* Expect that a call returns -1 and sets this error. */
#define EXPECT_FAILS(error, call) do {		\
	errno = 0;				\
	EXPECT_EQ(-1, call);			\
	EXPECT_EQ(error, errno);		\
} while (0)

/* For tests that need no channel. */
FIXTURE(text) {
};

FIXTURE_SETUP(text)
{
}

FIXTURE_TEARDOWN(text)
{
}

/* A channel in record mode, which each test creates. */
FIXTURE(channel) {
	int in, out;
	struct bpipe_frames *frames;
};

FIXTURE_SETUP(channel)
{
	static const char *const words[] = { "mode=record", "size=64K", NULL };

	ASSERT_EQ(0, bpipe_add(NAME, NULL, 0));
	self->in = bpipe_open(NAME, O_WRONLY | O_NONBLOCK);
	ASSERT_GE(self->in, 0);
	ASSERT_EQ(0, bpipe_configure(self->in, words));
	self->out = bpipe_open("/dev/" NODE, O_RDONLY | O_NONBLOCK);
	ASSERT_GE(self->out, 0);
	self->frames = NULL;
}

FIXTURE_TEARDOWN(channel)
{
	bpipe_frames_free(self->frames);
	EXPECT_EQ(0, bpipe_remove(NODE, BPIPE_REMOVE_FORCE));
	close(self->in);
	close(self->out);
}

TEST_F(text, names_expand_to_paths)
{
	char buf[BPIPE_PATH_MAX], little[10];
	static const char other[] = "/tmp/other", longest[] = "a-name-of-25-characters-x";

	EXPECT_STREQ("/dev/bpipe", bpipe_path("bpipe", buf, sizeof(buf)));
	EXPECT_STREQ("/dev/bpipe-jobs", bpipe_path("jobs", buf, sizeof(buf)));
	EXPECT_STREQ("/dev/bpipe-jobs", bpipe_path("bpipe-jobs", buf, sizeof(buf)));
	EXPECT_EQ(&other[0], bpipe_path(other, buf, sizeof(buf)));
	EXPECT_EQ(&buf[0], bpipe_path(longest, buf, sizeof(buf)));
	EXPECT_EQ(NULL, bpipe_path("jobs", little, sizeof(little)));
	EXPECT_EQ(ENAMETOOLONG, errno);
	EXPECT_EQ(NULL, bpipe_path("a-name-of-more-than-25-characters", buf, sizeof(buf)));
	EXPECT_STREQ("jobs", bpipe_name("/dev/bpipe-jobs"));
	EXPECT_STREQ("jobs", bpipe_name("bpipe-jobs"));
	EXPECT_STREQ("jobs", bpipe_name("jobs"));
	EXPECT_STREQ("bpipe", bpipe_name("/dev/bpipe"));
	EXPECT_STREQ(other, bpipe_name(other));
}

TEST_F(text, words_are_parsed_and_formatted)
{
	uint32_t value = 99, nr;
	const char *word;

	for (enum bpipe_words words = BPIPE_WORDS_MODE; words <= BPIPE_WORDS_DROP; words++) {
		for (nr = 0; (word = bpipe_word(words, nr)); nr++) {
			EXPECT_EQ(0, bpipe_parse_word(words, word, &value));
			EXPECT_EQ(nr, value);
		}
		EXPECT_GE(nr, 2);
	}
	EXPECT_EQ(0, bpipe_parse_word(BPIPE_WORDS_POLICY, "Drop-Oldest", &value));
	EXPECT_EQ(BPIPE_POLICY_DROP_OLDEST, value);
	EXPECT_FAILS(EINVAL, bpipe_parse_word(BPIPE_WORDS_POLICY, "drop", &value));
	EXPECT_EQ(BPIPE_POLICY_DROP_OLDEST, value);
	EXPECT_EQ(NULL, bpipe_word(99, 0));
}

TEST_F(text, numbers_are_parsed_and_formatted)
{
	char text[BPIPE_TEXT_MAX];
	uint64_t value = 99;

	EXPECT_EQ(0, bpipe_parse_size("1.5 MiB", &value));
	EXPECT_EQ(3 << 19, value);
	EXPECT_EQ(0, bpipe_parse_level("25%", 1 << 20, &value));
	EXPECT_EQ(1 << 18, value);
	EXPECT_EQ(0, bpipe_parse_level("4K", 1 << 20, &value));
	EXPECT_EQ(4096, value);
	EXPECT_EQ(0, bpipe_parse_rate("1MB/s", &value));
	EXPECT_EQ(1000000, value);
	EXPECT_EQ(0, bpipe_parse_time("250ms", &value));
	EXPECT_EQ(250000000, value);
	EXPECT_EQ(0, bpipe_parse_count("18446744073709551615", &value));
	EXPECT_EQ(UINT64_MAX, value);
	value = 99;
	EXPECT_FAILS(ERANGE, bpipe_parse_count("18446744073709551616", &value));
	EXPECT_FAILS(EINVAL, bpipe_parse_count("1 ", &value));
	EXPECT_FAILS(EINVAL, bpipe_parse_count("-1", &value));
	EXPECT_FAILS(EINVAL, bpipe_parse_time("10", &value));
	EXPECT_FAILS(EDOM, bpipe_parse_size("1.5", &value));
	EXPECT_FAILS(ERANGE, bpipe_parse_level("0.000001%", 4096, &value));
	EXPECT_FAILS(ERANGE, bpipe_parse_percent("101%", &value));
	EXPECT_EQ(99, value);
	bpipe_format_size(3 << 19, text, sizeof(text));
	EXPECT_STREQ("1.5 MiB", text);
	bpipe_format_rate(1000000, text, sizeof(text));
	EXPECT_STREQ("1 MB/s", text);
	bpipe_format_time(125000000000, text, sizeof(text));
	EXPECT_STREQ("2 min 5 s", text);
}

TEST_F(text, formatted_values_are_parsed_back)
{
	static const struct {
		const char *key, *value;
	} all[] = {
		{ "size", "1M" }, { "high", "768K" }, { "low", "1000" }, { "limit.3", "0" },
		{ "mode", "record" }, { "policy", "drop-oldest" }, { "timeout", "250ms" },
		{ "ttl.7", "1500ms" }, { "sojourn.0", "1h" }, { "rate", "10MB/s" },
		{ "rate", "1234567B/s" }, { "burst", "1G" }, { "read_rate_records", "100/s" },
		{ "burst_records", "7" }, { "hold", "yes" }, { "epipe", "no" },
		{ "uid", "nobody" }, { "uid", "4242" }, { "gid", "default" },
		{ "permissions", "0604" },
	};
	struct bpipe_config config = { .mode = 99 };
	char text[BPIPE_TEXT_MAX];

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		const char *key = all[i].key;

		EXPECT_EQ(0, bpipe_config_assign(&config, sizeof(config), key, all[i].value));
		EXPECT_EQ(0, bpipe_config_format(&config, sizeof(config), key, text, sizeof(text)));
		EXPECT_STREQ(all[i].value, text);
	}
	EXPECT_FAILS(ENOENT, bpipe_config_format(&config, sizeof(config), "level", text, 32));
	EXPECT_FAILS(ERANGE, bpipe_config_format(&config, sizeof(config), "policy", text, 11));
	/* A mode that only a newer module has is printed as a number. */
	config.mode = 99;
	EXPECT_EQ(0, bpipe_config_format(&config, sizeof(config), "mode", text, sizeof(text)));
	EXPECT_STREQ("99", text);
}

TEST_F(text, keys_set_fields_of_a_structure)
{
	struct bpipe_config config = { .size = 1 << 20 };
	size_t size = sizeof(config);

	EXPECT_EQ(0, bpipe_config_assign(&config, size, "HIGH", "75%"));
	EXPECT_EQ(0, bpipe_config_assign(&config, size, "limit.7", "4K"));
	EXPECT_EQ(0, bpipe_config_assign(&config, size, "uid", "root"));
	EXPECT_EQ(0, bpipe_config_assign(&config, size, "gid", "default"));
	EXPECT_EQ(0, bpipe_config_assign(&config, size, "permissions", "0640"));
	EXPECT_EQ(0, bpipe_config_assign(&config, size, "hold", "yes"));
	EXPECT_EQ(0, bpipe_config_assign(&config, size, "rate_records", "100/s"));
	EXPECT_EQ(3 << 18, config.high);
	EXPECT_EQ(4096, config.limit[7]);
	EXPECT_EQ(0, config.uid);
	EXPECT_EQ(BPIPE_UNSET, config.gid);
	EXPECT_EQ(0640, config.permissions);
	EXPECT_EQ(1, config.hold);
	EXPECT_EQ(100, config.rate_records);
	EXPECT_EQ(BPIPE_CFG_HIGH | BPIPE_CFG_LIMIT(7) | BPIPE_CFG_UID | BPIPE_CFG_GID |
		  BPIPE_CFG_PERMISSIONS | BPIPE_CFG_HOLD | BPIPE_CFG_RATE_RECORDS, config.mask);

	config.mask = 0;
	EXPECT_FAILS(ENOENT, bpipe_config_assign(&config, size, "level", "1"));
	EXPECT_FAILS(EINVAL, bpipe_config_assign(&config, size, "mode", "records"));
	EXPECT_FAILS(EINVAL, bpipe_config_assign(&config, size, "policy", "channel"));
	EXPECT_FAILS(ERANGE, bpipe_config_assign(&config, size, "limit.7", "0%"));
	EXPECT_FAILS(ERANGE, bpipe_config_assign(&config, size, "permissions", "1777"));
	EXPECT_FAILS(EINVAL, bpipe_config_assign(&config, size, "uid", "no-such-user"));
	/* A program built before the key existed passes a shorter structure. */
	EXPECT_FAILS(ENOENT, bpipe_config_assign(&config, BPIPE_CONFIG_SIZE_VER0, "ttl.0", "1s"));
	EXPECT_EQ(0, config.mask);
	EXPECT_EQ(0, config.ttl[0]);
}

TEST_F(text, calls_fail_without_a_channel)
{
	EXPECT_FAILS(ENOENT, bpipe_open("no-such-channel", O_RDONLY));
	EXPECT_FAILS(ENOTTY, bpipe_open("/dev/null", O_RDONLY));
	EXPECT_FAILS(ENOTTY, bpipe_open(BPIPE_CONTROL, O_RDONLY));
	EXPECT_FAILS(ENAMETOOLONG, bpipe_open("a-name-of-more-than-25-characters", O_RDONLY));
	EXPECT_FAILS(ENOENT, bpipe_look("no-such-channel"));
	EXPECT_FAILS(ENOENT, bpipe_remove("no-such-channel", 0));
	EXPECT_FAILS(EINVAL, bpipe_add("no/name", NULL, 0));
}

TEST_F(channel, words_configure_a_channel)
{
	static const char *const words[] = {
		"high=75%", "policy=drop-newest", "limit.7=50%", "size=128K", NULL
	};
	static const char *const wrong[] = { "size=64K", "policy=wait", NULL };
	static const char *const bare[] = { "size", NULL };
	struct bpipe_config config;

	EXPECT_EQ(0, bpipe_configure(self->in, words));
	EXPECT_FAILS(EINVAL, bpipe_configure(self->in, wrong));
	EXPECT_FAILS(EINVAL, bpipe_configure(self->in, bare));
	ASSERT_EQ(0, bpipe_get_config(self->out, &config, sizeof(config)));
	EXPECT_EQ(128 << 10, config.size);
	EXPECT_EQ(96 << 10, config.high);
	EXPECT_EQ(64 << 10, config.limit[7]);
	EXPECT_EQ(BPIPE_POLICY_DROP_NEWEST, config.policy);
	EXPECT_STREQ(NODE, config.name);
	EXPECT_FAILS(EEXIST, bpipe_add(NAME, NULL, 0));
	EXPECT_FAILS(EBUSY, bpipe_remove(NAME, 0));
}

/* A structure may be shorter or longer than the module's. */
TEST_F(channel, structures_may_have_any_size)
{
	struct {
		struct bpipe_stats stats;
		uint64_t more;
	} longer = { .more = 99 }, shorter;
	struct {
		struct bpipe_config config;
		uint64_t more;
	} config = { .config.mask = BPIPE_CFG_SIZE, .config.size = 128 << 10 };
	int dir = bpipe_look(NAME);

	ASSERT_GE(dir, 0);
	for (int i = 0; i < 2; i++) {
		int (*get)(int fd, struct bpipe_stats *stats, size_t size) =
			i ? bpipe_look_stats : bpipe_get_stats;
		int fd = i ? dir : self->in;

		memset(&shorter, 0xff, sizeof(shorter));
		longer.more = 99;
		EXPECT_EQ(0, get(fd, &longer.stats, sizeof(longer)));
		EXPECT_EQ(0, longer.more);
		EXPECT_EQ(1, longer.stats.writers);
		EXPECT_EQ(0, get(fd, &shorter.stats, BPIPE_STATS_SIZE_VER0));
		EXPECT_EQ(1, shorter.stats.writers);
		EXPECT_EQ(UINT64_MAX, shorter.stats.written_records);
		EXPECT_FAILS(EINVAL, get(fd, &shorter.stats, BPIPE_STATS_SIZE_VER0 - 8));
	}
	close(dir);
	EXPECT_EQ(0, bpipe_set_config(self->in, &config.config, sizeof(config)));
	config.more = 1;
	EXPECT_FAILS(E2BIG, bpipe_set_config(self->in, &config.config, sizeof(config)));
	EXPECT_FAILS(E2BIG, bpipe_set_config(self->in, &config.config, 1 << 20));
}

TEST_F(channel, list_has_all_channels)
{
	char **names = bpipe_list();
	int found = 0;

	ASSERT_NE(NULL, names);
	EXPECT_STREQ("bpipe", names[0]);
	for (int i = 0; names[i]; i++)
		found += !strcmp(names[i], NODE);
	EXPECT_EQ(1, found);
	free(names);
}

TEST_F(channel, add_sets_the_configuration)
{
	struct bpipe_config config, now;
	int fd;

	ASSERT_EQ(0, bpipe_new_config(&config, sizeof(config)));
	EXPECT_EQ(0, config.mask);
	EXPECT_EQ(0, bpipe_config_assign(&config, sizeof(config), "size", "8K"));
	EXPECT_EQ(0, bpipe_config_assign(&config, sizeof(config), "low", "50%"));
	EXPECT_EQ(0, bpipe_add("library2", &config, sizeof(config)));
	fd = bpipe_open("library2", O_ACCMODE);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, bpipe_get_config(fd, &now, sizeof(now)));
	EXPECT_EQ(8192, now.size);
	EXPECT_EQ(4096, now.low);
	EXPECT_EQ(config.overload_after, now.overload_after);
	close(fd);
	EXPECT_EQ(0, bpipe_remove("/dev/bpipe-library2", 0));
	EXPECT_FAILS(ENOENT, bpipe_open("library2", O_ACCMODE));
}

TEST_F(channel, frames_iterate_over_records)
{
	const struct bpipe_writer writer = {
		.mask = BPIPE_WRITER_CLASS | BPIPE_WRITER_POLICY,
		.class = 3,
		.policy = BPIPE_POLICY_DROP_NEWEST,
	};
	static char large[40000];
	struct bpipe_frame frame;
	const char *record;

	/* The channel is still empty. */
	self->frames = bpipe_frames_new(self->out, 100);
	ASSERT_NE(NULL, self->frames);
	EXPECT_FAILS(EAGAIN, bpipe_frames_read(self->frames));
	EXPECT_EQ(NULL, bpipe_frames_next(self->frames, &frame));

	ASSERT_EQ(0, bpipe_set_writer(self->in, &writer, sizeof(writer)));
	EXPECT_EQ(3, write(self->in, "one", 3));
	EXPECT_EQ(3, write(self->in, "two", 3));
	large[39999] = 'x';
	EXPECT_EQ(40000, write(self->in, large, 40000));
	EXPECT_EQ(40000, write(self->in, large, 40000));	/* dropped */
	EXPECT_EQ(3, write(self->in, "end", 3));
	close(self->in);

	/* Two records fit; the one that was not returned is not lost. */
	EXPECT_EQ(2, bpipe_frames_read(self->frames));
	record = bpipe_frames_next(self->frames, &frame);
	ASSERT_NE(NULL, record);
	EXPECT_EQ(3, frame.len);
	EXPECT_EQ(3, frame.class);
	EXPECT_EQ(0, memcmp(record, "one", 3));
	EXPECT_EQ(1, bpipe_frames_read(self->frames));
	record = bpipe_frames_next(self->frames, &frame);
	ASSERT_NE(NULL, record);
	EXPECT_EQ(1, frame.seq);
	EXPECT_EQ(0, memcmp(record, "two", 3));
	EXPECT_EQ(NULL, bpipe_frames_next(self->frames, &frame));

	/* The buffer grows to hold a longer record. */
	EXPECT_GE(bpipe_frames_read(self->frames), 1);
	record = bpipe_frames_next(self->frames, &frame);
	ASSERT_NE(NULL, record);
	EXPECT_EQ(40000, frame.len);
	EXPECT_EQ('x', record[39999]);
	record = bpipe_frames_next(self->frames, &frame);
	if (!record) {
		EXPECT_EQ(1, bpipe_frames_read(self->frames));
		record = bpipe_frames_next(self->frames, &frame);
	}
	ASSERT_NE(NULL, record);
	EXPECT_EQ(0, memcmp(record, "end", 3));
	EXPECT_EQ(1, frame.lost);
	EXPECT_EQ(0, bpipe_frames_read(self->frames));
	EXPECT_EQ(0, bpipe_frames_read(self->frames));
}

TEST_F(channel, frames_fail_on_a_stream)
{
	static const char *const words[] = { "mode=stream", NULL };

	ASSERT_EQ(0, bpipe_configure(self->in, words));
	EXPECT_EQ(NULL, bpipe_frames_new(self->out, 100));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(NULL, bpipe_frames_new(self->in, 100));
	EXPECT_EQ(EBADF, errno);
}

TEST_F(channel, status_page_follows_the_channel)
{
	const struct bpipe_status *page = bpipe_status_map(self->out);
	struct {
		struct bpipe_status status;
		uint64_t more;
	} now = { .more = 99 };

	ASSERT_NE(NULL, page);
	EXPECT_EQ(3, write(self->in, "one", 3));
	bpipe_status_read(page, &now.status, sizeof(now));
	EXPECT_EQ(65536, now.status.size);
	EXPECT_EQ(3 + BPIPE_RECORD_OVERHEAD, now.status.level);
	EXPECT_EQ(BPIPE_STATE_NORMAL, now.status.state);
	EXPECT_EQ(0, now.more);
	now.status.size = 99;
	bpipe_status_read(page, &now.status, offsetof(struct bpipe_status, size));
	EXPECT_EQ(99, now.status.size);
	EXPECT_EQ(0, bpipe_remove(NAME, BPIPE_REMOVE_FORCE));
	bpipe_status_read(page, &now.status, sizeof(now.status));
	EXPECT_STREQ("gone", bpipe_word(BPIPE_WORDS_STATE, now.status.state));
	bpipe_status_unmap(page);
	ASSERT_EQ(0, bpipe_add(NAME, NULL, 0));
}

/* A look takes no permission and keeps no channel, and poll reports each state. */
TEST_F(channel, look_needs_no_permission_and_no_open)
{
	struct bpipe_config config;
	struct pollfd pollfd = { .events = POLLPRI };
	struct bpipe_stats stats;
	int dir, status;
	pid_t pid = fork();

	if (!pid) {
		if (setgroups(0, NULL) || setgid(65534) || setuid(65534) ||
		    bpipe_open(NAME, O_ACCMODE) >= 0)
			_exit(1);
		dir = bpipe_look(NAME);
		_exit(dir < 0 || bpipe_look_config(dir, &config, sizeof(config)) ||
		      config.size != 65536 || bpipe_look_stats(dir, &stats, sizeof(stats)));
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);

	dir = bpipe_look(NODE);
	ASSERT_GE(dir, 0);
	pollfd.fd = bpipe_watch(dir);
	ASSERT_GE(pollfd.fd, 0);
	EXPECT_EQ(0, bpipe_watch_again(pollfd.fd));
	EXPECT_EQ(0, poll(&pollfd, 1, 0));
	while (write(self->in, &status, sizeof(status)) > 0)
		;
	EXPECT_EQ(1, poll(&pollfd, 1, 10000));
	EXPECT_EQ(0, bpipe_watch_again(pollfd.fd));
	EXPECT_EQ(0, bpipe_look_stats(dir, &stats, sizeof(stats)));
	EXPECT_EQ(BPIPE_STATE_PRESSURED, stats.state);

	EXPECT_EQ(0, bpipe_remove(NAME, BPIPE_REMOVE_FORCE));
	EXPECT_EQ(1, poll(&pollfd, 1, 10000));
	EXPECT_FAILS(ENODEV, bpipe_look_stats(dir, &stats, sizeof(stats)));
	close(pollfd.fd);
	close(dir);
	ASSERT_EQ(0, bpipe_add(NAME, NULL, 0));
}

TEST_F(channel, commands_work_through_the_library)
{
	static const char *const words[] = { "credit=records", NULL };
	const struct bpipe_reader reader = {
		.mask = BPIPE_READER_THRESHOLD,
		.threshold = 100,
	};
	struct bpipe_features features;
	struct bpipe_window window;
	struct bpipe_events events;

	EXPECT_EQ(0, bpipe_get_features(self->in, &features, sizeof(features)));
	EXPECT_NE(0, features.features & BPIPE_FEATURE_CREDIT);
	EXPECT_EQ(0, bpipe_get_events(self->in, &events, sizeof(events)));
	EXPECT_EQ(0, events.events);
	EXPECT_EQ(0, bpipe_set_reader(self->out, &reader, sizeof(reader)));
	EXPECT_FAILS(EBADF, bpipe_set_reader(self->in, &reader, sizeof(reader)));
	EXPECT_FAILS(EOPNOTSUPP, bpipe_grant(self->out, 1));
	EXPECT_EQ(0, bpipe_configure(self->in, words));
	EXPECT_FAILS(EAGAIN, write(self->in, "one", 3));
	EXPECT_EQ(0, bpipe_grant(self->out, 2));
	EXPECT_EQ(0, bpipe_get_window(self->in, &window, sizeof(window)));
	EXPECT_EQ(2, window.credit);
	EXPECT_EQ(3, write(self->in, "one", 3));
	EXPECT_EQ(0, bpipe_reset_peaks(self->in));
}

TEST_HARNESS_MAIN
