// SPDX-License-Identifier: MIT OR GPL-2.0
/* Numbers with units: from text and back. */
#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib.h"

#define NS_PER_SEC	1000000000ULL
#define FRACTION_DIGITS	6	/* more would overflow with the largest units */
#define COUNT_DIGITS	20	/* of UINT64_MAX */

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{ "", 1 },
	{ "B", 1 },
	{ "K", 1ULL << 10 },	{ "KiB", 1ULL << 10 },	{ "kB", 1000ULL },
	{ "M", 1ULL << 20 },	{ "MiB", 1ULL << 20 },	{ "MB", 1000000ULL },
	{ "G", 1ULL << 30 },	{ "GiB", 1ULL << 30 },	{ "GB", 1000000000ULL },
	{ "T", 1ULL << 40 },	{ "TiB", 1ULL << 40 },	{ "TB", 1000000000000ULL },
	{ 0 }
};

/* A number alone would be seconds to some and, as in sysfs, nanoseconds to others. */
static const struct unit time_units[] = {
	{ "ns", 1 },
	{ "us", 1000 },
	{ "ms", 1000000 },
	{ "s", NS_PER_SEC },
	{ "m", 60 * NS_PER_SEC },
	{ "min", 60 * NS_PER_SEC },
	{ "h", 3600 * NS_PER_SEC },
	{ "d", 86400 * NS_PER_SEC },
	{ 0 }
};

/* In millionths, so that no digit that is allowed is lost. */
static const struct unit percent_units[] = {
	{ "%", 1000000 },
	{ 0 }
};

static const struct unit *find_unit(const struct unit *units, const char *name, size_t len)
{
	for (; units->name; units++)
		if (strlen(units->name) == len && !strncasecmp(units->name, name, len))
			return units;
	return NULL;
}

/* Take at most @max digits off the text. Return their number, or -1. */
static int take_digits(const char **text, int max, uint64_t *number)
{
	int digits = 0;

	*number = 0;
	for (; isdigit((unsigned char)**text); (*text)++, digits++)
		if (digits == max || __builtin_mul_overflow(*number, 10, number) ||
		    __builtin_add_overflow(*number, **text - '0', number))
			return fail(ERANGE);
	return digits;
}

/* Parse a number with a unit, which are all of the first @len bytes of @text. */
static int parse(const char *text, size_t len, const struct unit *units, uint64_t *value)
{
	const char *end = text + len;
	uint64_t whole, fraction = 0, scale = 1, result;
	int digits, decimals = 0;
	const struct unit *unit;

	digits = take_digits(&text, COUNT_DIGITS, &whole);
	if (digits > 0 && *text == '.') {
		text++;
		decimals = take_digits(&text, FRACTION_DIGITS, &fraction);
	}
	if (digits < 0 || decimals < 0)
		return -1;
	if (!digits)
		return fail(EINVAL);
	if (*text == ' ')
		text++;
	/* 0 is 0 in every unit. */
	if (text == end && !whole && !fraction) {
		*value = 0;
		return 0;
	}
	unit = text <= end ? find_unit(units, text, end - text) : NULL;
	if (!unit)
		return fail(EINVAL);

	/* There is no part of a byte or of a nanosecond. */
	if (fraction && unit->factor == 1)
		return fail(EDOM);
	while (decimals--)
		scale *= 10;
	if (__builtin_mul_overflow(whole, unit->factor, &result) ||
	    __builtin_add_overflow(result, fraction * unit->factor / scale, &result))
		return fail(ERANGE);
	/* 0 often means "without limit", which a tiny number does not ask for. */
	if (!result && fraction)
		return fail(ERANGE);
	*value = result;
	return 0;
}

int bpipe_parse_size(const char *text, uint64_t *bytes)
{
	return parse(text, strlen(text), size_units, bytes);
}

int bpipe_parse_rate(const char *text, uint64_t *bytes_per_second)
{
	size_t len = strlen(text);

	if (len > 2 && !strcasecmp(text + len - 2, "/s"))
		len -= 2;
	return parse(text, len, size_units, bytes_per_second);
}

int bpipe_parse_time(const char *text, uint64_t *ns)
{
	return parse(text, strlen(text), time_units, ns);
}

int bpipe_parse_percent(const char *text, uint64_t *millionths)
{
	uint64_t value;

	if (parse(text, strlen(text), percent_units, &value))
		return -1;
	if (value > BPIPE_PERCENT_MAX)
		return fail(ERANGE);
	*millionths = value;
	return 0;
}

int bpipe_parse_level(const char *text, uint64_t size, uint64_t *bytes)
{
	uint64_t part, value;

	if (!strchr(text, '%'))
		return bpipe_parse_size(text, bytes);
	if (bpipe_parse_percent(text, &part))
		return -1;
	/* In two steps, so that no size overflows. */
	value = size / BPIPE_PERCENT_MAX * part;
	value += size % BPIPE_PERCENT_MAX * part / BPIPE_PERCENT_MAX;
	if (part && !value)
		return fail(ERANGE);
	*bytes = value;
	return 0;
}

int bpipe_parse_count(const char *text, uint64_t *count)
{
	uint64_t value;
	int digits = take_digits(&text, COUNT_DIGITS, &value);

	if (digits < 0)
		return -1;
	if (!digits || *text)
		return fail(EINVAL);
	*count = value;
	return 0;
}

/*
 * Print three digits: one decimal below a hundred, unless it is zero, and none above.
 * Rounding up may reach the next unit.
 */
static void format(uint64_t number, unsigned int base, const char *const *names,
		   const char *suffix, char *buf, size_t len)
{
	double value = number;

	while (value >= base - 0.5 && names[1]) {
		value /= base;
		names++;
	}
	snprintf(buf, len, "%.1f", value);
	if (value >= 99.95 || !strcmp(strchr(buf, '.'), ".0"))
		snprintf(buf, len, "%.0f", value);
	len -= strlen(buf);
	buf += strlen(buf);
	snprintf(buf, len, " %s%s", *names, suffix);
}

void bpipe_format_size(uint64_t bytes, char *buf, size_t len)
{
	static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", NULL };

	format(bytes, 1024, names, "", buf, len);
}

void bpipe_format_rate(uint64_t bytes_per_second, char *buf, size_t len)
{
	static const char *const names[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB", NULL };

	format(bytes_per_second, 1000, names, "/s", buf, len);
}

void bpipe_format_time(uint64_t ns, char *buf, size_t len)
{
	static const char *const names[] = { "ns", "us", "ms", "s", NULL };
	static const struct {
		uint64_t seconds;
		uint64_t part;
		const char *name, *part_name;
	} longer[] = {
		{ 86400, 3600, "d", "h" },
		{ 3600, 60, "h", "min" },
		{ 60, 1, "min", "s" },
	};
	uint64_t seconds = ns / NS_PER_SEC;
	size_t i;

	for (i = 0; i < sizeof(longer) / sizeof(longer[0]); i++) {
		if (seconds < longer[i].seconds)
			continue;
		snprintf(buf, len, "%" PRIu64 " %s %" PRIu64 " %s",
			 seconds / longer[i].seconds, longer[i].name,
			 seconds % longer[i].seconds / longer[i].part, longer[i].part_name);
		return;
	}
	format(ns, 1000, names, "", buf, len);
}
