// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bpipectl.h"
#include "fields.h"

static const char *const mode_words[] = {
	[BPIPE_MODE_STREAM]	= "stream",
	[BPIPE_MODE_RECORD]	= "record",
	NULL
};

static const char *const order_words[] = {
	[BPIPE_ORDER_FIFO]	= "fifo",
	[BPIPE_ORDER_PRIORITY]	= "priority",
	NULL
};

static const char *const policy_words[] = {
	[BPIPE_POLICY_BLOCK]		= "block",
	[BPIPE_POLICY_ERROR]		= "error",
	[BPIPE_POLICY_DROP_NEWEST]	= "drop-newest",
	[BPIPE_POLICY_DROP_OLDEST]	= "drop-oldest",
	NULL
};

static const char *const credit_words[] = {
	[BPIPE_CREDIT_OFF]	= "off",
	[BPIPE_CREDIT_BYTES]	= "bytes",
	[BPIPE_CREDIT_RECORDS]	= "records",
	NULL
};

static const char *const state_words[] = {
	[BPIPE_STATE_NORMAL]	= "normal",
	[BPIPE_STATE_PRESSURED]	= "pressured",
	[BPIPE_STATE_OVERLOADED] = "overloaded",
	NULL
};

const char *const drop_words[] = {
	[BPIPE_DROP_FULL]	= "full",
	[BPIPE_DROP_SHED]	= "shed",
	[BPIPE_DROP_EVICTED]	= "evicted",
	[BPIPE_DROP_EXPIRED]	= "expired",
	[BPIPE_DROP_SOJOURN]	= "sojourn",
	NULL
};

#define FIELD_AS(text, where, member, what, ...) {				\
	.name = text,								\
	.kind = FIELD_##what,							\
	.offset = offsetof(struct channel, where.member),			\
	.width = sizeof(((struct channel *)NULL)->where.member),		\
	__VA_ARGS__								\
}

#define CONFIG(member, ...)	FIELD_AS(#member, config, member, __VA_ARGS__)
#define STATS(member, ...)	FIELD_AS(#member, stats, member, __VA_ARGS__)
#define LIMIT(class)		FIELD_AS("limit." #class, config, limit[class], LEVEL,	\
					 .config_bit = BPIPE_CFG_LIMIT(class))
#define TTL(class)		FIELD_AS("ttl." #class, config, ttl[class], TIME,	\
					 .config_bit = BPIPE_CFG_TTL(class))
#define SOJOURN(class)		FIELD_AS("sojourn." #class, config, sojourn[class], TIME,	\
					 .config_bit = BPIPE_CFG_SOJOURN(class))
#define DROPPED(what, reason, index, ...)					\
	FIELD_AS("dropped_" #what "." #reason, dropped, what[index], __VA_ARGS__)

/* In the order in which they are shown. */
const struct field fields[] = {
	CONFIG(name, NAME, .listed = true),
	CONFIG(size, BYTES, .config_bit = BPIPE_CFG_SIZE, .listed = true),
	CONFIG(high, LEVEL, .config_bit = BPIPE_CFG_HIGH, .listed = true),
	CONFIG(low, LEVEL, .config_bit = BPIPE_CFG_LOW, .listed = true),
	CONFIG(mode, WORD, .config_bit = BPIPE_CFG_MODE, .words = mode_words),
	CONFIG(order, WORD, .config_bit = BPIPE_CFG_ORDER, .words = order_words),
	CONFIG(policy, WORD, .config_bit = BPIPE_CFG_POLICY, .words = policy_words),
	CONFIG(timeout, TIME, .config_bit = BPIPE_CFG_TIMEOUT),
	LIMIT(0), LIMIT(1), LIMIT(2), LIMIT(3), LIMIT(4), LIMIT(5), LIMIT(6), LIMIT(7),
	TTL(0), TTL(1), TTL(2), TTL(3), TTL(4), TTL(5), TTL(6), TTL(7),
	SOJOURN(0), SOJOURN(1), SOJOURN(2), SOJOURN(3),
	SOJOURN(4), SOJOURN(5), SOJOURN(6), SOJOURN(7),
	STATS(state, WORD, .words = state_words, .listed = true),
	STATS(level, LEVEL, .listed = true),
	STATS(window, LEVEL),
	STATS(readers, COUNT, .listed = true),
	STATS(writers, COUNT, .listed = true),
	STATS(queued_bytes, LEVEL),
	STATS(queued_records, COUNT),
	STATS(peak_level, LEVEL),
	STATS(written_bytes, BYTES, .listed = true),
	STATS(read_bytes, BYTES, .listed = true),
	STATS(written_records, COUNT),
	STATS(read_records, COUNT),
	STATS(dropped_bytes, BYTES),
	STATS(dropped_records, COUNT),
	DROPPED(bytes, full, BPIPE_DROP_FULL, BYTES),
	DROPPED(bytes, shed, BPIPE_DROP_SHED, BYTES),
	DROPPED(bytes, evicted, BPIPE_DROP_EVICTED, BYTES),
	DROPPED(bytes, expired, BPIPE_DROP_EXPIRED, BYTES),
	DROPPED(bytes, sojourn, BPIPE_DROP_SOJOURN, BYTES),
	DROPPED(records, full, BPIPE_DROP_FULL, COUNT),
	DROPPED(records, shed, BPIPE_DROP_SHED, COUNT),
	DROPPED(records, evicted, BPIPE_DROP_EVICTED, COUNT),
	DROPPED(records, expired, BPIPE_DROP_EXPIRED, COUNT),
	DROPPED(records, sojourn, BPIPE_DROP_SOJOURN, COUNT),
	STATS(writes, COUNT),
	STATS(reads, COUNT),
	STATS(again, COUNT),
	STATS(timeouts, COUNT),
	STATS(blocked, COUNT),
	STATS(blocked_ns, TIME),
	STATS(starved, COUNT),
	STATS(starved_ns, TIME),
	STATS(high_events, COUNT),
	STATS(low_events, COUNT),
	STATS(wakeups_read, COUNT),
	STATS(wakeups_write, COUNT),
	CONFIG(rate, RATE, .config_bit = BPIPE_CFG_RATE, .listed = true),
	CONFIG(burst, BYTES, .config_bit = BPIPE_CFG_BURST),
	CONFIG(rate_records, COUNT_RATE, .config_bit = BPIPE_CFG_RATE_RECORDS),
	CONFIG(burst_records, COUNT, .config_bit = BPIPE_CFG_BURST_RECORDS),
	STATS(throttled, COUNT),
	STATS(throttled_ns, TIME),
	CONFIG(read_rate, RATE, .config_bit = BPIPE_CFG_READ_RATE),
	CONFIG(read_burst, BYTES, .config_bit = BPIPE_CFG_READ_BURST),
	CONFIG(read_rate_records, COUNT_RATE, .config_bit = BPIPE_CFG_READ_RATE_RECORDS),
	CONFIG(read_burst_records, COUNT, .config_bit = BPIPE_CFG_READ_BURST_RECORDS),
	STATS(read_throttled, COUNT),
	STATS(read_throttled_ns, TIME),
	CONFIG(credit, WORD, .config_bit = BPIPE_CFG_CREDIT, .words = credit_words),
	FIELD_AS("credit_left", stats, credit, COUNT),
	CONFIG(overload_after, TIME, .config_bit = BPIPE_CFG_OVERLOAD_AFTER),
	STATS(overload_events, COUNT),
	STATS(alarm_since_ns, STAMP),
	STATS(longest_stall_ns, TIME),
	STATS(stalled_ns, TIME),
	STATS(stalled_all_ns, TIME),
	FIELD_AS("stalled.10", stats, stalled[0], SHARE),
	FIELD_AS("stalled.60", stats, stalled[1], SHARE),
	FIELD_AS("stalled.300", stats, stalled[2], SHARE),
	FIELD_AS("stalled_all.10", stats, stalled_all[0], SHARE),
	FIELD_AS("stalled_all.60", stats, stalled_all[1], SHARE),
	FIELD_AS("stalled_all.300", stats, stalled_all[2], SHARE),
	CONFIG(hold, BOOL, .config_bit = BPIPE_CFG_HOLD),
	CONFIG(epipe, BOOL, .config_bit = BPIPE_CFG_EPIPE),
	CONFIG(drop_to_low, BOOL, .config_bit = BPIPE_CFG_DROP_TO_LOW),
	CONFIG(uid, UID, .config_bit = BPIPE_CFG_UID),
	CONFIG(gid, GID, .config_bit = BPIPE_CFG_GID),
	CONFIG(permissions, PERMISSIONS, .config_bit = BPIPE_CFG_PERMISSIONS),
	CONFIG(id, ID),
	STATS(readers_waiting, COUNT),
	STATS(writers_waiting, COUNT),
	STATS(read_wait_ns, TIME),
	STATS(write_wait_ns, TIME),
	STATS(state_since_ns, STAMP),
	STATS(time_ns, STAMP),
	FIELD_AS("memory", memory, all, BYTES),
	{ 0 }
};

const struct field *field_find(const char *name, size_t len)
{
	const struct field *field;

	for (field = fields; field->name; field++)
		if (strlen(field->name) == len && !strncasecmp(field->name, name, len))
			return field;
	return NULL;
}

/* The contract has numbers of two widths. */
uint64_t field_value(const struct field *field, const struct channel *ch)
{
	const char *at = (const char *)ch + field->offset;

	return field->width == sizeof(uint32_t) ? *(const uint32_t *)at : *(const uint64_t *)at;
}

bool field_is_unset(const struct field *field, const struct channel *ch)
{
	return (field->kind == FIELD_UID || field->kind == FIELD_GID ||
		field->kind == FIELD_PERMISSIONS) && field_value(field, ch) == BPIPE_UNSET;
}

void field_store(const struct field *field, struct channel *ch, uint64_t value)
{
	char *at = (char *)ch + field->offset;

	if (field->width == sizeof(uint32_t))
		*(uint32_t *)at = value;
	else
		*(uint64_t *)at = value;
}

/* NULL if the module is newer and knows more words. */
static const char *word_of(uint64_t value, const char *const *words)
{
	while (*words && value--)
		words++;
	return *words;
}

static int parse_word(const char *text, const char *const *words, uint64_t *value)
{
	for (*value = 0; words[*value]; ++*value)
		if (!strcasecmp(words[*value], text))
			return 0;
	return -1;
}

/* The words of a switch come in pairs. */
static int parse_bool(const char *text, uint64_t *value)
{
	static const char *const words[] = {
		"0", "1", "no", "yes", "off", "on", "false", "true", NULL
	};
	int error = parse_word(text, words, value);

	*value %= 2;
	return error;
}

static int out_of_range(void)
{
	errno = ERANGE;
	return -1;
}

static int parse_count(const char *text, uint64_t *value)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return -1;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return errno || *end ? -1 : 0;
}

/* A number, of which it can be said that it is one a second. */
static int parse_count_rate(const char *text, uint64_t *value)
{
	size_t len = strcspn(text, "/");
	char number[32];

	if (text[len] && strcmp(text + len, "/s"))
		return -1;
	if (len >= sizeof(number))
		return strspn(text, "0123456789") == len ? out_of_range() : -1;
	memcpy(number, text, len);
	number[len] = '\0';
	return parse_count(number, value);
}

/* A size, or a percentage of the channel's. */
static int parse_level(const char *text, uint64_t size, uint64_t *value)
{
	uint64_t part;

	if (!strchr(text, '%'))
		return bpipe_parse_size(text, value);
	if (bpipe_parse_percent(text, &part))
		return -1;
	/* In two steps, so that no size overflows. */
	*value = size / BPIPE_PERCENT_MAX * part;
	*value += size % BPIPE_PERCENT_MAX * part / BPIPE_PERCENT_MAX;
	/* 0 may mean "without limit": not what a tiny part asks for. */
	return part && !*value ? out_of_range() : 0;
}

static int parse_share(const char *text, uint64_t *value)
{
	uint64_t part;

	if (bpipe_parse_percent(text, &part))
		return -1;
	*value = part / 10000;
	return part % 10000 ? out_of_range() : 0;
}

/* What a value of BPIPE_UNSET is called. */
static const char unset_word[] = "default";

/* A user or a group, by name or by number. */
static int parse_id(enum field_kind kind, const char *text, uint64_t *value)
{
	const struct passwd *user;
	const struct group *group;

	if (!strcasecmp(text, unset_word)) {
		*value = BPIPE_UNSET;
		return 0;
	}
	if (isdigit((unsigned char)*text)) {
		if (parse_count(text, value))
			return -1;
		return *value >= BPIPE_UNSET ? out_of_range() : 0;
	}
	if (kind == FIELD_UID) {
		user = getpwnam(text);
		*value = user ? user->pw_uid : 0;
		return user ? 0 : -1;
	}
	group = getgrnam(text);
	*value = group ? group->gr_gid : 0;
	return group ? 0 : -1;
}

static int parse_permissions(const char *text, uint64_t *value)
{
	size_t digits = strspn(text, "01234567");

	if (!strcasecmp(text, unset_word)) {
		*value = BPIPE_UNSET;
		return 0;
	}
	if (!digits || text[digits])
		return -1;
	*value = strtoul(text, NULL, 8);
	return digits > 4 || *value > 0777 ? out_of_range() : 0;
}

int field_parse(const struct field *field, const char *text, uint64_t size, uint64_t *value)
{
	const char *expected = "something to compare with";
	char known[128] = "one of:";
	const char *const *word;
	int error = -1;

	errno = 0;
	switch (field->kind) {
	case FIELD_NAME:
	case FIELD_ID:
		break;
	case FIELD_WORD:
		error = parse_word(text, field->words, value);
		for (word = field->words; *word; word++)
			strcat(strcat(known, " "), *word);
		expected = known;
		break;
	case FIELD_BOOL:
		error = parse_bool(text, value);
		expected = "yes or no";
		break;
	case FIELD_SHARE:
		error = parse_share(text, value);
		expected = "a share like 12.5%";
		break;
	case FIELD_COUNT:
		error = parse_count(text, value);
		expected = "a number";
		break;
	case FIELD_BYTES:
		error = bpipe_parse_size(text, value);
		expected = "a size like 64KiB or 4M";
		break;
	case FIELD_LEVEL:
		error = parse_level(text, size, value);
		expected = "a size like 64KiB or 4M, or a part of the channel's like 25%";
		break;
	case FIELD_RATE:
		error = bpipe_parse_rate(text, value);
		expected = "a rate like 1MB/s or 64K, or 0 for no limit";
		break;
	case FIELD_COUNT_RATE:
		error = parse_count_rate(text, value);
		expected = "a rate like 100/s, or 0 for no limit";
		break;
	case FIELD_TIME:
		error = bpipe_parse_time(text, value);
		expected = "a time with its unit (" BPIPE_TIME_UNITS "), like 250ms or 10s, or 0";
		break;
	case FIELD_STAMP:
		error = parse_count(text, value);
		expected = "a time as stats prints it, in nanoseconds of CLOCK_MONOTONIC";
		break;
	case FIELD_UID:
		error = parse_id(field->kind, text, value);
		expected = "a user's name or number, or default";
		break;
	case FIELD_GID:
		error = parse_id(field->kind, text, value);
		expected = "a group's name or number, or default";
		break;
	case FIELD_PERMISSIONS:
		error = parse_permissions(text, value);
		expected = "octal mode bits like 0640, or default";
		break;
	}
	if (!error)
		return EXIT_OK;
	if (errno == ERANGE) {
		complain("%s: '%s' is out of range, or has too many digits", field->name, text);
		return EXIT_USAGE;
	}
	if (errno == EDOM)
		expected = field->kind == FIELD_TIME ? "a whole number of nanoseconds" :
			   "a whole number of bytes";
	complain("%s: '%s' is not %s", field->name, text, expected);
	return EXIT_USAGE;
}

static void format_id(enum field_kind kind, uint64_t id, char buf[FIELD_TEXT_MAX])
{
	const struct passwd *user = kind == FIELD_UID ? getpwuid(id) : NULL;
	const struct group *group = kind == FIELD_GID ? getgrgid(id) : NULL;
	const char *name = user ? user->pw_name : group ? group->gr_name : NULL;

	if (name && strlen(name) < FIELD_TEXT_MAX)
		stpcpy(buf, name);
}

/* What tells the channel apart, with all zeros, so that it is as long as any other. */
static const char *format_identity(const struct field *field, const struct channel *ch,
				   char buf[FIELD_TEXT_MAX])
{
	const __u64 *id = (const void *)((const char *)ch + field->offset);

	snprintf(buf, FIELD_TEXT_MAX, "%016" PRIx64 "%016" PRIx64, (uint64_t)id[0],
		 (uint64_t)id[1]);
	return buf;
}

/* How long ago it was when the channel was looked at. */
static const char *format_age(const struct channel *ch, uint64_t stamp, char buf[FIELD_TEXT_MAX])
{
	if (!stamp)
		return "never";
	if (stamp >= ch->stats.time_ns)
		return "now";
	bpipe_format_time(ch->stats.time_ns - stamp, buf, FIELD_TEXT_MAX);
	return buf;
}

const char *field_format(const struct field *field, const struct channel *ch, bool exact,
			 char buf[FIELD_TEXT_MAX])
{
	uint64_t value;

	if (field->kind == FIELD_NAME)
		return (const char *)ch + field->offset;
	if (field->kind == FIELD_ID)
		return format_identity(field, ch, buf);
	value = field_value(field, ch);
	if (field->kind == FIELD_WORD && word_of(value, field->words))
		return word_of(value, field->words);
	if (field->kind == FIELD_BOOL && !exact)
		return value ? "yes" : "no";

	if (field_is_unset(field, ch))
		return unset_word;

	snprintf(buf, FIELD_TEXT_MAX, field->kind == FIELD_PERMISSIONS ? "%04" PRIo64 : "%" PRIu64,
		 value);
	if (exact)
		return buf;
	switch (field->kind) {
	case FIELD_UID:
	case FIELD_GID:
		format_id(field->kind, value, buf);
		break;
	case FIELD_BYTES:
	case FIELD_LEVEL:
		bpipe_format_size(value, buf, FIELD_TEXT_MAX);
		break;
	case FIELD_RATE:
		if (!value)
			return "unlimited";
		bpipe_format_rate(value, buf, FIELD_TEXT_MAX);
		break;
	case FIELD_SHARE:
		snprintf(buf, FIELD_TEXT_MAX, "%.2f%%", value / 100.0);
		break;
	case FIELD_COUNT_RATE:
		if (!value)
			return "unlimited";
		strcat(buf, "/s");
		break;
	case FIELD_TIME:
		bpipe_format_time(value, buf, FIELD_TEXT_MAX);
		break;
	case FIELD_STAMP:
		return format_age(ch, value, buf);
	default:
		break;
	}
	return buf;
}

int columns_choose(struct columns *columns, const char *names, bool all)
{
	const struct field **at = columns->at;
	const struct field **end = at + ARRAY_SIZE(columns->at) - 1;
	const struct field *field;
	size_t len;

	for (field = fields; !names && field->name; field++)
		if (all || field->listed)
			*at++ = field;
	for (; names; names = names[len] ? names + len + 1 : NULL) {
		len = strcspn(names, ",");
		field = field_find(names, len);
		if (!field || at == end) {
			complain("--output: %.*s: %s", (int)len, names,
				 field ? "too many fields" :
				 "no such field; bpipectl --help lists them");
			return EXIT_USAGE;
		}
		*at++ = field;
	}
	*at = NULL;
	return EXIT_OK;
}
