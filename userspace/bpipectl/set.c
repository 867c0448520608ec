// SPDX-License-Identifier: GPL-2.0
/* set and reset-peaks: the verbs that change a channel. */
#include <errno.h>
#include <string.h>

#include "bpipectl.h"
#include "fields.h"
#include "set.h"
#include "udev.h"

/* Return the first class whose new limit is invalid, or BPIPE_CLASSES if none is. */
static int worst_limit(const struct bpipe_config *want)
{
	int i;

	for (i = 0; i < BPIPE_CLASSES; i++)
		if (want->mask & BPIPE_CFG_LIMIT(i) && want->limit[i] &&
		    (want->limit[i] > want->size || want->limit[i] < BPIPE_SIZE_MIN))
			break;
	return i;
}

#define LIMITS		(((1ULL << BPIPE_CLASSES) - 1) * BPIPE_CFG_LIMIT(0))
#define TTLS		(((1ULL << BPIPE_CLASSES) - 1) * BPIPE_CFG_TTL(0))
#define SOJOURNS	(((1ULL << BPIPE_CLASSES) - 1) * BPIPE_CFG_SOJOURN(0))

/* Return a field whose value needs records, or NULL if none does. */
static const struct field *find_of_records(const struct channel *want)
{
	const struct field *field;

	for (field = fields; field->name; field++) {
		uint64_t value = field_value(field, want);

		if ((field->config_bit == BPIPE_CFG_POLICY && value == BPIPE_POLICY_DROP_OLDEST) ||
		    (field->config_bit == BPIPE_CFG_CREDIT && value == BPIPE_CREDIT_RECORDS) ||
		    (field->config_bit & (BPIPE_CFG_ORDER | BPIPE_CFG_RATE_RECORDS |
					  BPIPE_CFG_READ_RATE_RECORDS | TTLS | SOJOURNS) && value))
			return field;
	}
	return NULL;
}

static void complain_of_records(const char *path, const struct channel *want)
{
	const struct field *field = find_of_records(want);
	char buf[FIELD_TEXT_MAX];

	complain("%s: %s=%s: order, drop-oldest, credit and rates of records, ttl and sojourn need mode=record",
		 path, field->name, field_format(field, want, false, buf));
}

/* Return a field whose new value exceeds its maximum, and that @bound; NULL if none does. */
static const struct field *find_excess(const struct channel *want, uint64_t *bound)
{
	const struct field *field;

	for (field = fields; field->name; field++) {
		switch (field->kind) {
		case FIELD_TIME:
			*bound = BPIPE_TIMEOUT_MAX;
			break;
		case FIELD_RATE:
		case FIELD_COUNT_RATE:
			*bound = BPIPE_RATE_MAX;
			break;
		case FIELD_BYTES:
		case FIELD_COUNT:
			*bound = field->config_bit == BPIPE_CFG_SIZE ? BPIPE_SIZE_MAX :
				 BPIPE_BURST_MAX;
			break;
		default:
			continue;
		}
		if (want->config.mask & field->config_bit && field_value(field, want) > *bound)
			return field;
	}
	return NULL;
}

/* Report that @name would be @value. Print exact numbers if rounding makes the two equal. */
static void explain_bound(const struct channel *ch, const char *name, const char *must,
			  const struct field *like, uint64_t value, uint64_t bound)
{
	char text[FIELD_TEXT_MAX], other[FIELD_TEXT_MAX];
	const char *is, *be;
	bool exact = false;

	do {
		struct channel one = *ch, two = *ch;

		field_store(like, &one, value);
		field_store(like, &two, bound);
		is = field_format(like, &one, exact, text);
		be = field_format(like, &two, exact, other);
		exact = !exact;
	} while (exact && !strcmp(is, be));
	complain("%s: %s would be %s, but must be %s %s; nothing was changed", ch->path, name, is,
		 must, be);
}

/* Report the rule that the configuration breaks. Return false if it breaks none. */
static bool explain_rule(const struct channel *ch, const struct bpipe_config *want, uint64_t high,
			 uint64_t low)
{
	int class = worst_limit(want);
	uint64_t limit = class < BPIPE_CLASSES ? want->limit[class] : 0, bound;
	char name[] = "limit.0";
	const struct field *size = field_find("size", strlen("size"));
	const struct channel as = { .config = *want };
	const struct field *excess = find_excess(&as, &bound);
	const struct {
		bool broken;
		const char *name, *must;
		uint64_t value, bound;
	} rules[] = {
		{ want->size < BPIPE_SIZE_MIN, "size", "at least", want->size, BPIPE_SIZE_MIN },
		{ high > want->size, "high", "at most the size,", high, want->size },
		{ low >= high, "low", "below high,", low, high },
		{ limit > want->size, name, "at most the size,", limit, want->size },
		{ limit && limit < BPIPE_SIZE_MIN, name, "at least", limit, BPIPE_SIZE_MIN },
	};
	size_t i;

	name[strlen("limit.")] += class;

	if (excess) {
		explain_bound(ch, excess->name, "at most", excess, field_value(excess, &as), bound);
		return true;
	}
	for (i = 0; i < ARRAY_SIZE(rules) && !rules[i].broken; i++)
		;
	if (i == ARRAY_SIZE(rules))
		return false;
	explain_bound(ch, rules[i].name, rules[i].must, size, rules[i].value, rules[i].bound);
	return true;
}

/* Report why the module refuses the resulting configuration. */
static void explain_invalid(const struct channel *ch, const struct bpipe_config *want)
{
	/* A mark that is not set keeps its share of the size. */
	uint64_t high = want->mask & BPIPE_CFG_HIGH ? want->high :
			ch->config.high * want->size / ch->config.size;
	uint64_t low = want->mask & BPIPE_CFG_LOW ? want->low :
		       ch->config.low * want->size / ch->config.size;

	if (!explain_rule(ch, want, high, low))
		complain("%s: the module refuses this configuration", ch->path);
}

int set_check(const struct channel *want)
{
	const struct bpipe_config *config = &want->config;

	if (explain_rule(want, config, config->high, config->low))
		return EXIT_FAILED;
	if (config->mode == BPIPE_MODE_STREAM && find_of_records(want)) {
		complain_of_records(want->path, want);
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

void complain_of_memory(const char *path)
{
	char used[BPIPE_TEXT_MAX], max[BPIPE_TEXT_MAX], share[BPIPE_TEXT_MAX];

	bpipe_format_size(class_number("memory"), used, sizeof(used));
	bpipe_format_size(class_number("memory_max"), max, sizeof(max));
	bpipe_format_size(class_share(), share, sizeof(share));
	complain("%s: its buffers would exceed the share of %s in /sys/class/bpipe/memory_share, or all buffers together the cap of %s in /sys/class/bpipe/memory_max; %s are in use",
		 path, share, max, used);
}

int set_explain(const struct channel *ch, const struct bpipe_config *want)
{
	const struct channel as = { .config = *want };
	char level[BPIPE_TEXT_MAX];

	switch (errno) {
	case EINVAL:
		explain_invalid(ch, want);
		break;
	case EPERM:
		complain("%s: %s; try sudo", ch->path, channel_changers(want->mask));
		break;
	case EBUSY:
		if (want->mask & BPIPE_CFG_MODE && want->mode != ch->config.mode) {
			complain("%s: the mode changes only while nothing is queued, no writer waits, and no open file has a setting for records",
				 ch->path);
			break;
		}
		bpipe_format_size(ch->stats.level, level, sizeof(level));
		complain("%s: more is queued (%s) than the new size holds; try again when it has been read",
			 ch->path, level);
		break;
	case ENOMEM:
		complain("%s: no memory for a buffer of this size, in the system or in this memory cgroup",
			 ch->path);
		break;
	case ENOSPC:
		complain_of_memory(ch->path);
		break;
	case EOPNOTSUPP:
		if ((want->mask & BPIPE_CFG_MODE ? want->mode : ch->config.mode) ==
		    BPIPE_MODE_STREAM && find_of_records(&as)) {
			complain_of_records(ch->path, &as);
			break;
		}
		return channel_failed(ch, "cannot be set");
	default:
		return channel_failed(ch, "cannot be set");
	}
	return EXIT_FAILED;
}

bool set_is_size(const char *arg)
{
	return field_find(arg, strcspn(arg, "=")) == field_find("size", strlen("size"));
}

int set_assign_one(struct channel *want, const char *arg)
{
	size_t len = strcspn(arg, "=");
	const struct field *field = field_find(arg, len);
	uint64_t value;
	int status;

	if (!arg[len] || !field || !field->config_bit) {
		complain("%s: %s", arg,
			 !arg[len] ? "write it as KEY=VALUE" :
			 field ? "cannot be set" :
			 "no such key; bpipectl --help lists them");
		return EXIT_USAGE;
	}
	if (field->config_bit & LIMITS && strchr(arg, '%') &&
	    !bpipe_parse_percent(arg + len + 1, &value) && !value) {
		complain("%s: would be 0 B, but must be at least 4 KiB; %s=0 is no limit", arg,
			 field->name);
		return EXIT_FAILED;
	}
	status = field_parse(field, arg + len + 1, want->config.size, &value);
	if (status)
		return status;
	field_store(field, want, value);
	want->config.mask |= field->config_bit;
	return EXIT_OK;
}

int set_assign(struct channel *want, char **args)
{
	int status = EXIT_OK;

	for (int i = 0; !status && args[i]; i++)
		if (set_is_size(args[i]))
			status = set_assign_one(want, args[i]);
	for (int i = 0; !status && args[i]; i++)
		if (!set_is_size(args[i]))
			status = set_assign_one(want, args[i]);
	return status;
}

int set(const struct options *opts, char **args)
{
	const char *which = BPIPE_DEFAULT;
	struct channel ch, want;
	struct udev udev;
	int status;

	if (*args && !strchr(*args, '='))
		which = *args++;
	if (!*args) {
		complain("set: nothing to set; write it as KEY=VALUE");
		return EXIT_USAGE;
	}
	status = channel_open(&ch, which);
	if (status)
		return status;
	want = ch;
	want.config.mask = 0;
	status = set_assign(&want, args);
	if (!status)
		status = channel_steer(&ch, want.config.mask);
	udev_begin(&udev);
	if (!status && bpipe_set_config(ch.fd, &want.config, sizeof(want.config)))
		status = set_explain(&ch, &want.config);
	if (!status)
		status = channel_own(&ch, &want.config);
	if (!status && want.config.mask & CHANNEL_NODE_KEYS)
		udev_wait(&udev, ch.config.name, &want.config);
	udev_end(&udev);
	if (!status && opts->json)
		status = channel_read(&ch);
	if (!status && opts->json)
		json_print(&(struct channels) { &ch, 1 }, NULL);
	channel_close(&ch);
	return status;
}

int reset_peaks(const struct options *opts, char **args)
{
	char *standard[] = { BPIPE_DEFAULT, NULL };
	const struct bpipe_config none = { 0 };
	struct channels all;
	struct channel *ch;
	int status, failed;

	status = channels_open(&all, *args ? args : standard);
	for (ch = all.at; ch < all.at + all.nr; ch++) {
		failed = channel_steer(ch, 0);
		if (!failed)
			failed = bpipe_reset_peaks(ch->fd) ? set_explain(ch, &none) :
				 channel_read(ch);
		if (!status)
			status = failed;
	}
	if (opts->json)
		json_print(&all, NULL);
	channels_close(&all);
	return status;
}
