// SPDX-License-Identifier: GPL-2.0
/* show: print channels for people. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bpipectl.h"
#include "fields.h"

#define SAMPLE_NS	200000000L	/* time over which rates are measured */
#define BAR_WIDTH	32

/*
 * The output for a channel.
 *	{field}		its value
 *	{field:word}	a count with its noun: "1 write", "2 writes"
 *	{field/s}	its growth per second
 *	{field~}	its age
 *	{bar}, {fill}	the level as a bar, and in percent of the size
 *	{pace}		when the channel is full, if the level keeps rising
 *	[field|text]	the text, if the field is not 0
 */
static const char portrait[] =
	"{name}: {mode}[order|, by {order}], {size}[policy|, {policy}][timeout|, timeout {timeout}]"
		"[hold|, hold][epipe|, epipe][drop_to_low|, drop to low], {state} for {state_since_ns~}\n"
	"  level    {bar} {level} ({fill}), peak {peak_level}{pace}\n"
	"  marks    low {low}, high {high}[high_events|; high reached {high_events:time}]\n"
	"  written  {written_bytes} in {writes:write}, now {written_bytes/s}\n"
	"  read     {read_bytes} in {reads:read}, now {read_bytes/s}\n"
	"[dropped_bytes|  dropped  {dropped_bytes}]"
		"[dropped_records| in {dropped_records:record}]"
		"[dropped_bytes.full|; full {dropped_bytes.full}]"
		"[dropped_bytes.shed|; shed {dropped_bytes.shed}]"
		"[dropped_bytes.evicted|; evicted {dropped_bytes.evicted}]"
		"[dropped_bytes.expired|; expired {dropped_bytes.expired}]"
		"[dropped_bytes.sojourn|; waited too long {dropped_bytes.sojourn}]"
		"[dropped_bytes|, now {dropped_bytes/s}\n]"
	"  writers  {writers} open"
		"[writers_waiting|, {writers_waiting} waiting, the longest for {write_wait_ns}]"
		"[blocked|; blocked {blocked:time}, {blocked_ns} in all]"
		"[again|; refused with EAGAIN {again:time}][timeouts|; timed out {timeouts:time}]\n"
	"  readers  {readers} open"
		"[readers_waiting|, {readers_waiting} waiting, the longest for {read_wait_ns}]"
		"[starved|; waited for data {starved:time}, {starved_ns} in all]\n"
	"  rate     {rate}[rate|, burst {burst}]"
		"[rate_records|; records {rate_records}, burst {burst_records}]"
		"[throttled|; throttled {throttled:time}, {throttled_ns} in all]\n"
	"[read_rate|  read at  {read_rate}, burst {read_burst}\n]"
	"[read_rate_records|  read at  {read_rate_records}, burst {read_burst_records}\n]"
	"[credit|  credit   of {credit}, {credit_left} left\n]"
	"[stalled_ns|  stalls   {stalled.10} of the last 10 s, {stalled.300} of 5 min,"
		" {stalled_ns} in all][longest_stall_ns|, the longest {longest_stall_ns}]"
		"[stalled_ns|\n]"
	"[alarm_since_ns|  alarm    overloaded {overload_events:time}, first {alarm_since_ns~} ago\n]"
	"[memory|  memory   {memory} for its buffers\n]"
	"  window   {window} can be written now\n"
	"  id       {id}\n";

static bool coloured(void)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color) && term && strcmp(term, "dumb");
}

static void print_coloured(const struct channel *ch, const char *text)
{
	if (coloured())
		printf("\033[%dm%s\033[0m", ch->stats.state == BPIPE_STATE_NORMAL ? 32 : 31, text);
	else
		fputs(text, stdout);
}

/* Print the level as a bar, with the watermarks at their places. */
static void print_bar(const struct channel *ch)
{
	uint64_t size = ch->config.size;
	uint64_t fill = (ch->stats.level * BAR_WIDTH + size - 1) / size;
	char bar[BAR_WIDTH + 3] = "[";

	memset(bar + 1, '-', BAR_WIDTH);
	memset(bar + 1, '#', fill < BAR_WIDTH ? fill : BAR_WIDTH);
	bar[BAR_WIDTH + 1] = ']';
	if (ch->config.low)
		bar[1 + ch->config.low * BAR_WIDTH / size] = '|';
	if (ch->config.high < size)
		bar[1 + ch->config.high * BAR_WIDTH / size] = '|';
	print_coloured(ch, bar);
}

static void print_pace(const struct channel *ch, const struct channel *before)
{
	uint64_t full = channel_full_in(ch, before);
	char buf[FIELD_TEXT_MAX];

	if (full == UINT64_MAX)
		return;
	bpipe_format_time(full, buf, sizeof(buf));
	printf(", full in %s at this rate", buf);
}

/* Print the value for braces; @before is the channel at the start of the sample. */
static void print_field(const char *text, const struct channel *ch, const struct channel *before)
{
	size_t len = strcspn(text, "}:/~");
	const struct field *field = field_find(text, len);
	char buf[FIELD_TEXT_MAX];
	uint64_t value, elapsed;

	if (!field) {
		if (*text == 'b')
			print_bar(ch);
		else if (*text == 'p')
			print_pace(ch, before);
		else
			printf("%.0f %%", 100.0 * ch->stats.level / ch->config.size);
		return;
	}
	switch (text[len++]) {
	case ':':
		value = field_value(field, ch);
		printf("%" PRIu64 " %.*s%s", value, (int)strcspn(text + len, "}"), text + len,
		       value == 1 ? "" : "s");
		return;
	case '/':
		value = field_value(field, ch) - field_value(field, before);
		elapsed = ch->stats.time_ns - before->stats.time_ns;
		bpipe_format_rate(value * 1e9 / elapsed, buf, sizeof(buf));
		fputs(buf, stdout);
		return;
	case '~':
		bpipe_format_time(ch->stats.time_ns - field_value(field, ch), buf, sizeof(buf));
		fputs(buf, stdout);
		return;
	}
	if (field == field_find("state", strlen("state")))
		print_coloured(ch, field_format(field, ch, false, buf));
	else
		fputs(field_format(field, ch, false, buf), stdout);
}

/* Print the channel in the format of @text. */
static void print(const char *text, const struct channel *ch, const struct channel *before)
{
	bool shown = true;
	size_t len;

	for (; *text; text++) {
		switch (*text) {
		case '[':
			len = strcspn(++text, "|");
			shown = field_value(field_find(text, len), ch);
			text += len;
			break;
		case ']':
			shown = true;
			break;
		case '{':
			if (shown)
				print_field(text + 1, ch, before);
			text += strcspn(text, "}");
			break;
		default:
			if (shown)
				putchar(*text);
		}
	}
}

int show(const struct options *opts, char **args)
{
	const struct timespec sample = { .tv_nsec = SAMPLE_NS };
	struct channel *before;
	struct channels all;
	bool shown = false;
	int status, failed;
	size_t i;

	status = channels_open(&all, args);
	if (opts->json) {
		json_print(&all, NULL);
		channels_close(&all);
		return status;
	}
	before = checked(calloc(all.nr + 1, sizeof(*before)));
	for (i = 0; i < all.nr; i++)
		before[i] = all.at[i];
	if (all.nr)
		nanosleep(&sample, NULL);
	for (i = 0; i < all.nr; i++) {
		failed = channel_read(&all.at[i]);
		if (!status && failed != CHANNEL_GONE)
			status = failed;
		if (failed)
			continue;
		if (shown)
			putchar('\n');
		shown = true;
		print(portrait, &all.at[i], &before[i]);
	}
	free(before);
	channels_close(&all);
	return status;
}
