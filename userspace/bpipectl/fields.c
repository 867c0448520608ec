// SPDX-License-Identifier: GPL-2.0
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
	CONFIG(mode, WORD, .config_bit = BPIPE_CFG_MODE, .words = BPIPE_WORDS_MODE),
	CONFIG(order, WORD, .config_bit = BPIPE_CFG_ORDER, .words = BPIPE_WORDS_ORDER),
	CONFIG(policy, WORD, .config_bit = BPIPE_CFG_POLICY, .words = BPIPE_WORDS_POLICY),
	CONFIG(timeout, TIME, .config_bit = BPIPE_CFG_TIMEOUT),
	LIMIT(0), LIMIT(1), LIMIT(2), LIMIT(3), LIMIT(4), LIMIT(5), LIMIT(6), LIMIT(7),
	TTL(0), TTL(1), TTL(2), TTL(3), TTL(4), TTL(5), TTL(6), TTL(7),
	SOJOURN(0), SOJOURN(1), SOJOURN(2), SOJOURN(3),
	SOJOURN(4), SOJOURN(5), SOJOURN(6), SOJOURN(7),
	STATS(state, WORD, .words = BPIPE_WORDS_STATE, .listed = true),
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
	CONFIG(credit, WORD, .config_bit = BPIPE_CFG_CREDIT, .words = BPIPE_WORDS_CREDIT),
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

/* Numbers in struct bpipe_config and struct bpipe_stats have 32 or 64 bits. */
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

/* Return false for words that no channel has: the state "gone" and the policy "channel". */
static bool is_possible(const struct field *field, uint64_t value)
{
	return !(field->words == BPIPE_WORDS_STATE && value == BPIPE_STATE_GONE) &&
	       !(field->words == BPIPE_WORDS_POLICY && value == BPIPE_POLICY_CHANNEL);
}

static int parse_word(const struct field *field, const char *text, uint64_t *value)
{
	uint32_t number;

	if (bpipe_parse_word(field->words, text, &number) || !is_possible(field, number))
		return -1;
	*value = number;
	return 0;
}

/* Format the list of a field's words, for a message. */
static void list_words(const struct field *field, char *buf, size_t size)
{
	const char *word;
	size_t len;

	snprintf(buf, size, "one of:");
	for (uint32_t i = 0; (word = bpipe_word(field->words, i)); i++) {
		len = strlen(buf);
		if (is_possible(field, i))
			snprintf(buf + len, size - len, " %s", word);
	}
}

static int parse_share(const char *text, uint64_t *value)
{
	uint64_t part;

	if (bpipe_parse_percent(text, &part))
		return -1;
	*value = part / 10000;
	if (!(part % 10000))
		return 0;
	errno = ERANGE;
	return -1;
}

/* The word for a value of BPIPE_UNSET. */
static const char unset_word[] = "default";

/* Parse a field of the configuration with the library. */
static int parse_setting(const struct field *field, const char *text, uint64_t size,
			 uint64_t *value)
{
	struct channel ch = { .config.size = size };

	if (bpipe_config_assign(&ch.config, sizeof(ch.config), field->name, text))
		return -1;
	*value = field_value(field, &ch);
	return 0;
}

static int parse_counter(const struct field *field, const char *text, uint64_t size,
			 uint64_t *value)
{
	switch (field->kind) {
	case FIELD_WORD:
		return parse_word(field, text, value);
	case FIELD_SHARE:
		return parse_share(text, value);
	case FIELD_COUNT:
	case FIELD_STAMP:
		return bpipe_parse_count(text, value);
	case FIELD_BYTES:
		return bpipe_parse_size(text, value);
	case FIELD_LEVEL:
		return bpipe_parse_level(text, size, value);
	case FIELD_TIME:
		return bpipe_parse_time(text, value);
	default:
		return -1;
	}
}

static const char *expected(const struct field *field)
{
	static const char *const texts[] = {
		[FIELD_NAME]	= "comparable with this field",
		[FIELD_ID]	= "comparable with this field",
		[FIELD_BOOL]	= "yes or no",
		[FIELD_SHARE]	= "a share like 12.5%",
		[FIELD_COUNT]	= "a number",
		[FIELD_BYTES]	= "a size like 64KiB or 4M",
		[FIELD_LEVEL]	= "a size like 64KiB or 4M, or a share of the channel's like 25%",
		[FIELD_RATE]	= "a rate like 1MB/s or 64K, or 0 for no limit",
		[FIELD_COUNT_RATE] = "a rate like 100/s, or 0 for no limit",
		[FIELD_TIME]	=
			"a time with a unit (" BPIPE_TIME_UNITS "), like 250ms or 10s, or 0",
		[FIELD_STAMP]	=
			"a time as stats prints it, in nanoseconds of CLOCK_MONOTONIC",
		[FIELD_UID]	= "a user's name or number, or default",
		[FIELD_GID]	= "a group's name or number, or default",
		[FIELD_PERMISSIONS] = "octal mode bits like 0640, or default",
	};
	static char words[128];

	if (field->kind != FIELD_WORD)
		return texts[field->kind];
	list_words(field, words, sizeof(words));
	return words;
}

int field_parse(const struct field *field, const char *text, uint64_t size, uint64_t *value)
{
	const char *wanted = expected(field);

	errno = 0;
	if (!(field->config_bit ? parse_setting : parse_counter)(field, text, size, value))
		return EXIT_OK;
	if (errno == ERANGE) {
		complain("%s: '%s' is out of range, or has too many digits", field->name, text);
		return EXIT_USAGE;
	}
	if (errno == EDOM)
		wanted = field->kind == FIELD_TIME ? "a whole number of nanoseconds" :
			 "a whole number of bytes";
	complain("%s: '%s' is not %s", field->name, text, wanted);
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

/* Format the channel's identity with leading zeros, so that all have the same length. */
static const char *format_identity(const struct field *field, const struct channel *ch,
				   char buf[FIELD_TEXT_MAX])
{
	const __u64 *id = (const void *)((const char *)ch + field->offset);

	snprintf(buf, FIELD_TEXT_MAX, "%016" PRIx64 "%016" PRIx64, (uint64_t)id[0],
		 (uint64_t)id[1]);
	return buf;
}

/* Format the age of @stamp at the time of the snapshot. */
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
	/* Print a number without a word as it is, because a newer module may have more words. */
	if (field->kind == FIELD_WORD && bpipe_word(field->words, value))
		return bpipe_word(field->words, value);
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
