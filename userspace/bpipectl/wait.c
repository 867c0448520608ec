// SPDX-License-Identifier: GPL-2.0
/* wait: sleep until a field of a channel meets a condition. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bpipectl.h"
#include "fields.h"

#define NS_PER_MS	1000000ULL
#define INTERVAL_NS	(10 * NS_PER_MS)	/* for fields without an event */
#define LONGEST_NS	(3600 * 1000 * NS_PER_MS)	/* fits poll's argument */

/* Operators of two characters come first, because "<" begins "<=". */
static const struct operator {
	const char *text;
	bool less, equal, greater;
} operators[] = {
	{ "<=", true, true, false },
	{ ">=", false, true, true },
	{ "!=", true, false, true },
	{ "<", true, false, false },
	{ ">", false, false, true },
	{ "=", false, true, false },
};

struct condition {
	const struct field *field;
	const struct operator *operator;
	uint64_t value;
};

#define OPERATOR_CHARS	"<>!="

static const struct operator *find_operator(const char *text)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(operators); i++)
		if (!strncmp(text, operators[i].text, strlen(operators[i].text)))
			return &operators[i];
	return NULL;
}

static int parse_condition(struct condition *condition, const char *text, uint64_t size)
{
	size_t len = strcspn(text, OPERATOR_CHARS);

	condition->field = field_find(text, len);
	condition->operator = find_operator(text + len);
	if (!condition->field || !condition->operator) {
		complain("wait: %s: %s", text,
			 condition->field ? "write it like state=normal or 'level<=64K'" :
			 "no such field; bpipectl --help lists them");
		return EXIT_USAGE;
	}
	return field_parse(condition->field, text + len + strlen(condition->operator->text),
			   size, &condition->value);
}

static bool is_met(const struct condition *condition, uint64_t value)
{
	return value < condition->value ? condition->operator->less :
	       value > condition->value ? condition->operator->greater :
	       condition->operator->equal;
}

/*
 * Return true if the channel has entered a state that meets the condition since @before. The
 * counters also show a state that ended before it could be read.
 */
static bool has_been_met(const struct condition *condition, const struct channel *ch,
			 const struct bpipe_stats *before)
{
	const bool entered[] = {
		[BPIPE_STATE_NORMAL]	= ch->stats.low_events != before->low_events,
		[BPIPE_STATE_PRESSURED]	= ch->stats.high_events != before->high_events,
		[BPIPE_STATE_OVERLOADED] = ch->stats.overload_events != before->overload_events,
	};

	if (condition->field != field_find("state", strlen("state")))
		return false;
	for (uint64_t state = 0; state < ARRAY_SIZE(entered); state++)
		if (entered[state] && is_met(condition, state))
			return true;
	return false;
}

static int wait_until(const struct condition *condition, struct channel *ch, uint64_t timeout_ns,
		      int watch)
{
	struct pollfd pollfd = { .fd = watch, .events = POLLPRI };
	const struct bpipe_stats before = ch->stats;
	uint64_t start = now_ns(), passed, left, nap;
	int status;

	for (;;) {
		channel_watch_again(watch);
		status = channel_read(ch);
		if (status || is_met(condition, field_value(condition->field, ch)) ||
		    has_been_met(condition, ch, &before))
			return status;
		passed = now_ns() - start;
		if (passed >= timeout_ns)
			return EXIT_TIMEOUT;
		left = timeout_ns - passed;
		nap = watch < 0 ? INTERVAL_NS : LONGEST_NS;
		if (nap > left)
			nap = left;
		poll(&pollfd, 1, (nap + NS_PER_MS - 1) / NS_PER_MS);
	}
}

int wait_for(const struct options *opts, char **args)
{
	const char *which = BPIPE_DEFAULT;
	char value[FIELD_TEXT_MAX], waited[BPIPE_TEXT_MAX];
	struct condition condition;
	int status, watch = -1;
	struct channel ch;

	if (*args && !strpbrk(*args, OPERATOR_CHARS))
		which = *args++;
	if (!*args || args[1]) {
		complain("wait: one condition is needed, like state=normal or 'level<=64K'");
		return EXIT_USAGE;
	}
	status = channel_open(&ch, which);
	if (status)
		return status;
	status = parse_condition(&condition, *args, ch.config.size);
	/* Only changes of state have an event. */
	if (!status && condition.field == field_find("state", strlen("state")))
		watch = channel_watch(&ch);
	if (!status)
		status = wait_until(&condition, &ch, opts->timeout_ns, watch);
	if (watch >= 0)
		close(watch);
	if (status == EXIT_TIMEOUT) {
		bpipe_format_time(opts->timeout_ns, waited, sizeof(waited));
		complain("%s: not %s within %s; %s is %s", ch.path, *args, waited,
			 condition.field->name, field_format(condition.field, &ch, false, value));
	}
	if (opts->json && (status == EXIT_OK || status == EXIT_TIMEOUT))
		json_print(&(struct channels) { &ch, 1 }, NULL);
	channel_close(&ch);
	return status;
}
