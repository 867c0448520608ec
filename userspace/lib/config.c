// SPDX-License-Identifier: MIT OR GPL-2.0
/* Configurations in words: the keys that can be set, and their values. */
#define _GNU_SOURCE	/* strcasecmp(), getpwnam_r() */
#include <ctype.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib.h"

enum kind {
	WORD,
	BOOL,
	COUNT,		/* records */
	COUNT_RATE,	/* records a second */
	BYTES,
	LEVEL,		/* bytes, or a percentage of the size */
	LIMIT,		/* a level; 0 means the size */
	RATE,		/* bytes a second */
	TIME,		/* nanoseconds */
	UID,
	GID,
	PERMISSIONS,
};

struct key {
	const char *name;
	enum kind kind;
	size_t offset;		/* in struct bpipe_config */
	size_t width;
	uint64_t bit;		/* of the mask */
	enum bpipe_words words;
};

#define KEY_AS(text, member, what, mask_bit, ...) {				\
	.name = text,								\
	.kind = what,								\
	.offset = offsetof(struct bpipe_config, member),			\
	.width = sizeof(((struct bpipe_config *)NULL)->member),			\
	.bit = mask_bit,							\
	__VA_ARGS__								\
}

#define KEY(member, what, mask_bit, ...)					\
	KEY_AS(#member, member, what, mask_bit, __VA_ARGS__)
#define LIMIT_KEY(class)							\
	KEY_AS("limit." #class, limit[class], LIMIT, BPIPE_CFG_LIMIT(class))
#define TTL_KEY(class)								\
	KEY_AS("ttl." #class, ttl[class], TIME, BPIPE_CFG_TTL(class))
#define SOJOURN_KEY(class)							\
	KEY_AS("sojourn." #class, sojourn[class], TIME, BPIPE_CFG_SOJOURN(class))

static const struct key keys[] = {
	KEY(size, BYTES, BPIPE_CFG_SIZE),
	KEY(high, LEVEL, BPIPE_CFG_HIGH),
	KEY(low, LEVEL, BPIPE_CFG_LOW),
	KEY(mode, WORD, BPIPE_CFG_MODE, .words = BPIPE_WORDS_MODE),
	KEY(order, WORD, BPIPE_CFG_ORDER, .words = BPIPE_WORDS_ORDER),
	KEY(policy, WORD, BPIPE_CFG_POLICY, .words = BPIPE_WORDS_POLICY),
	KEY(timeout, TIME, BPIPE_CFG_TIMEOUT),
	LIMIT_KEY(0), LIMIT_KEY(1), LIMIT_KEY(2), LIMIT_KEY(3),
	LIMIT_KEY(4), LIMIT_KEY(5), LIMIT_KEY(6), LIMIT_KEY(7),
	TTL_KEY(0), TTL_KEY(1), TTL_KEY(2), TTL_KEY(3),
	TTL_KEY(4), TTL_KEY(5), TTL_KEY(6), TTL_KEY(7),
	SOJOURN_KEY(0), SOJOURN_KEY(1), SOJOURN_KEY(2), SOJOURN_KEY(3),
	SOJOURN_KEY(4), SOJOURN_KEY(5), SOJOURN_KEY(6), SOJOURN_KEY(7),
	KEY(rate, RATE, BPIPE_CFG_RATE),
	KEY(burst, BYTES, BPIPE_CFG_BURST),
	KEY(rate_records, COUNT_RATE, BPIPE_CFG_RATE_RECORDS),
	KEY(burst_records, COUNT, BPIPE_CFG_BURST_RECORDS),
	KEY(read_rate, RATE, BPIPE_CFG_READ_RATE),
	KEY(read_burst, BYTES, BPIPE_CFG_READ_BURST),
	KEY(read_rate_records, COUNT_RATE, BPIPE_CFG_READ_RATE_RECORDS),
	KEY(read_burst_records, COUNT, BPIPE_CFG_READ_BURST_RECORDS),
	KEY(credit, WORD, BPIPE_CFG_CREDIT, .words = BPIPE_WORDS_CREDIT),
	KEY(overload_after, TIME, BPIPE_CFG_OVERLOAD_AFTER),
	KEY(hold, BOOL, BPIPE_CFG_HOLD),
	KEY(epipe, BOOL, BPIPE_CFG_EPIPE),
	KEY(drop_to_low, BOOL, BPIPE_CFG_DROP_TO_LOW),
	KEY(uid, UID, BPIPE_CFG_UID),
	KEY(gid, GID, BPIPE_CFG_GID),
	KEY(permissions, PERMISSIONS, BPIPE_CFG_PERMISSIONS),
};

static const struct key *find_key(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strlen(keys[i].name) == len && !strncasecmp(keys[i].name, name, len))
			return &keys[i];
	return NULL;
}

static int parse_word(enum bpipe_words words, const char *text, uint64_t *value)
{
	uint32_t number;

	if (bpipe_parse_word(words, text, &number))
		return -1;
	/* A channel cannot leave its policy to the channel. */
	if (words == BPIPE_WORDS_POLICY && number == BPIPE_POLICY_CHANNEL)
		return fail(EINVAL);
	*value = number;
	return 0;
}

static int parse_bool(const char *text, uint64_t *value)
{
	static const char *const words[] = {
		"0", "1", "no", "yes", "off", "on", "false", "true"
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!strcasecmp(words[i], text)) {
			*value = i % 2;
			return 0;
		}
	}
	return fail(EINVAL);
}

/* Parse a number, with or without "/s" after it. */
static int parse_count_rate(const char *text, uint64_t *value)
{
	size_t len = strcspn(text, "/");
	char number[32];

	if (text[len] && strcmp(text + len, "/s"))
		return fail(EINVAL);
	if (len >= sizeof(number))
		return fail(strspn(text, "0123456789") == len ? ERANGE : EINVAL);
	memcpy(number, text, len);
	number[len] = '\0';
	return bpipe_parse_count(number, value);
}

/* A limit of 0 is the size, which 0% does not ask for. */
static int parse_limit(const char *text, uint64_t size, uint64_t *value)
{
	uint64_t bytes;

	if (bpipe_parse_level(text, size, &bytes))
		return -1;
	if (!bytes && strchr(text, '%'))
		return fail(ERANGE);
	*value = bytes;
	return 0;
}

/* The word for BPIPE_UNSET. */
static const char unset_word[] = "default";

static bool is_unset(const char *text)
{
	return !strcasecmp(text, unset_word);
}

static int find_user(const char *name, char *buf, size_t size, uint64_t *id)
{
	struct passwd user, *found = NULL;
	int error = getpwnam_r(name, &user, buf, size, &found);

	if (found)
		*id = found->pw_uid;
	return found ? 0 : error == ERANGE ? ENOBUFS : EINVAL;
}

static int find_group(const char *name, char *buf, size_t size, uint64_t *id)
{
	struct group group, *found = NULL;
	int error = getgrnam_r(name, &group, buf, size, &found);

	if (found)
		*id = found->gr_gid;
	return found ? 0 : error == ERANGE ? ENOBUFS : EINVAL;
}

/* Look a name up in a database. A group with many members takes a large buffer. */
static int find_id(int (*find)(const char *name, char *buf, size_t size, uint64_t *id),
		   const char *name, uint64_t *id)
{
	int error = ENOBUFS;
	char *buf;

	for (size_t size = 4096; error == ENOBUFS; size *= 2) {
		buf = malloc(size);
		if (!buf)
			return -1;
		error = find(name, buf, size, id);
		free(buf);
	}
	return error ? fail(error) : 0;
}

/* Parse a user or a group, by name or by number. */
static int parse_id(enum kind kind, const char *text, uint64_t *value)
{
	if (is_unset(text)) {
		*value = BPIPE_UNSET;
		return 0;
	}
	if (!isdigit((unsigned char)*text))
		return find_id(kind == UID ? find_user : find_group, text, value);
	if (bpipe_parse_count(text, value))
		return -1;
	return *value >= BPIPE_UNSET ? fail(ERANGE) : 0;
}

static int parse_permissions(const char *text, uint64_t *value)
{
	size_t digits = strspn(text, "01234567");

	if (is_unset(text)) {
		*value = BPIPE_UNSET;
		return 0;
	}
	if (!digits || text[digits])
		return fail(EINVAL);
	*value = strtoul(text, NULL, 8);
	return digits > 4 || *value > 0777 ? fail(ERANGE) : 0;
}

static int parse_value(const struct key *key, const char *text, uint64_t size, uint64_t *value)
{
	switch (key->kind) {
	case WORD:
		return parse_word(key->words, text, value);
	case BOOL:
		return parse_bool(text, value);
	case COUNT:
		return bpipe_parse_count(text, value);
	case COUNT_RATE:
		return parse_count_rate(text, value);
	case BYTES:
		return bpipe_parse_size(text, value);
	case LEVEL:
		return bpipe_parse_level(text, size, value);
	case LIMIT:
		return parse_limit(text, size, value);
	case RATE:
		return bpipe_parse_rate(text, value);
	case TIME:
		return bpipe_parse_time(text, value);
	case UID:
	case GID:
		return parse_id(key->kind, text, value);
	case PERMISSIONS:
		return parse_permissions(text, value);
	}
	return fail(EINVAL);
}

/* Assign to the key whose name is the first @len bytes of @name. */
static int assign(struct bpipe_config *config, size_t size, const char *name, size_t len,
		  const char *text)
{
	const struct key *key = find_key(name, len);
	uint64_t value;
	char *at;

	/* The program may be older than the key, and its structure too short. */
	if (!key || key->offset + key->width > size)
		return fail(ENOENT);
	if (parse_value(key, text, config->size, &value))
		return -1;
	at = (char *)config + key->offset;
	if (key->width == sizeof(uint32_t))
		*(uint32_t *)at = value;
	else
		*(uint64_t *)at = value;
	config->mask |= key->bit;
	return 0;
}

int bpipe_config_assign(struct bpipe_config *config, size_t size, const char *key,
			const char *value)
{
	return assign(config, size, key, strlen(key), value);
}

static uint64_t value_of(const struct bpipe_config *config, const struct key *key)
{
	const char *at = (const char *)config + key->offset;

	return key->width == sizeof(uint32_t) ? *(const uint32_t *)at : *(const uint64_t *)at;
}

struct unit {
	const char *name;
	uint64_t factor;
};

/* The largest first. */
static const struct unit size_units[] = {
	{ "G", 1ULL << 30 }, { "M", 1ULL << 20 }, { "K", 1ULL << 10 }, { "", 1 },
};

static const struct unit rate_units[] = {
	{ "GB/s", 1000000000 }, { "MB/s", 1000000 }, { "kB/s", 1000 }, { "B/s", 1 },
};

static const struct unit time_units[] = {
	{ "h", 3600000000000ULL }, { "m", 60000000000ULL }, { "s", 1000000000 },
	{ "ms", 1000000 }, { "us", 1000 }, { "ns", 1 },
};

/* Print in the largest unit that needs no rounding. */
static int print_number(uint64_t value, const struct unit *unit, char *buf, size_t len)
{
	while (value % unit->factor)
		unit++;
	return snprintf(buf, len, "%" PRIu64 "%s", value / unit->factor, value ? unit->name : "");
}

/* Print a user or a group by name, or by number where the name would not be read back. */
static int print_id(enum kind kind, uint64_t id, char *buf, size_t len)
{
	union {
		struct passwd user;
		struct group group;
	} entry;
	struct passwd *user = NULL;
	struct group *group = NULL;
	char strings[4096];
	const char *name = NULL;

	if (kind == UID && !getpwuid_r(id, &entry.user, strings, sizeof(strings), &user) && user)
		name = user->pw_name;
	if (kind == GID && !getgrgid_r(id, &entry.group, strings, sizeof(strings), &group) && group)
		name = group->gr_name;
	if (name && *name && strlen(name) < len && !isdigit((unsigned char)*name) &&
	    !is_unset(name))
		return snprintf(buf, len, "%s", name);
	return snprintf(buf, len, "%" PRIu64, id);
}

static int print_value(const struct key *key, uint64_t value, char *buf, size_t len)
{
	const char *word = key->kind == WORD ? bpipe_word(key->words, value) : NULL;

	if ((key->kind == UID || key->kind == GID || key->kind == PERMISSIONS) &&
	    value == BPIPE_UNSET)
		word = unset_word;
	if (key->kind == BOOL)
		word = value ? "yes" : "no";
	if (word)
		return snprintf(buf, len, "%s", word);
	switch (key->kind) {
	case BYTES:
	case LEVEL:
	case LIMIT:
		return print_number(value, size_units, buf, len);
	case RATE:
		return print_number(value, rate_units, buf, len);
	case TIME:
		return print_number(value, time_units, buf, len);
	case COUNT_RATE:
		return snprintf(buf, len, "%" PRIu64 "/s", value);
	case UID:
	case GID:
		return print_id(key->kind, value, buf, len);
	case PERMISSIONS:
		return snprintf(buf, len, "%04" PRIo64, value);
	default:
		/* A word of a newer module is a number. */
		return snprintf(buf, len, "%" PRIu64, value);
	}
}

int bpipe_config_format(const struct bpipe_config *config, size_t size, const char *key, char *buf,
			size_t len)
{
	const struct key *found = find_key(key, strlen(key));

	if (!found || found->offset + found->width > size)
		return fail(ENOENT);
	if ((size_t)print_value(found, value_of(config, found), buf, len) >= len)
		return fail(ERANGE);
	return 0;
}

/* Assign the words that set the size if @sizes is true, else the other words. */
static int assign_words(struct bpipe_config *config, const char *const *words, bool sizes)
{
	const struct key *key;
	size_t len;

	for (; *words; words++) {
		len = strcspn(*words, "=");
		if (!(*words)[len])
			return fail(EINVAL);
		key = find_key(*words, len);
		if ((key && key->bit == BPIPE_CFG_SIZE) != sizes)
			continue;
		if (assign(config, sizeof(*config), *words, len, *words + len + 1))
			return -1;
	}
	return 0;
}

int bpipe_configure(int fd, const char *const *words)
{
	struct bpipe_config config;

	if (bpipe_get_config(fd, &config, sizeof(config)))
		return -1;
	config.mask = 0;
	if (assign_words(&config, words, true) || assign_words(&config, words, false))
		return -1;
	return bpipe_set_config(fd, &config, sizeof(config));
}

/* The size that the module gives to new channels. */
static int read_size(uint64_t *size)
{
	FILE *file = fopen("/sys/module/bpipe/parameters/size", "re");
	unsigned long long number;
	int found;

	if (!file)
		return -1;
	found = fscanf(file, "%llu", &number);
	fclose(file);
	if (found != 1)
		return fail(EIO);
	*size = number;
	return 0;
}

int bpipe_new_config(struct bpipe_config *config, size_t size)
{
	struct bpipe_config new = {
		.overload_after = BPIPE_OVERLOAD_AFTER,
		.uid = BPIPE_UNSET,
		.gid = BPIPE_UNSET,
		.permissions = BPIPE_UNSET,
	};
	uint64_t bytes;

	if (size < BPIPE_CONFIG_SIZE_VER0)
		return fail(EINVAL);
	if (read_size(&bytes))
		return -1;
	new.size = bytes;
	new.high = bytes - bytes / 4;
	new.low = bytes / 4;
	memset(config, 0, size);
	memcpy(config, &new, size < sizeof(new) ? size : sizeof(new));
	return 0;
}
