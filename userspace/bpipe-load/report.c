// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpipe.h"
#include "output.h"
#include "report.h"
#include "text.h"

#define PROGRESS_NS	(500 * NSEC_PER_MSEC)

static bool progress_shown;

/* The counts of all workers together. */
struct sum {
	uint64_t bytes;
	uint64_t units;
	uint64_t calls;
	uint64_t again;
	uint64_t shorts;
	uint64_t stalls;
	uint64_t stalled_ns;
	uint64_t first_ns;
	uint64_t last_ns;
	bool eof;
};

static struct sum sum_up(const struct run *run)
{
	struct sum sum = { 0 };
	unsigned int i;

	for (i = 0; i < run->opt->workers; i++) {
		const struct worker *w = &run->worker[i];

		sum.bytes += w->bytes;
		sum.units += w->units;
		sum.calls += w->calls;
		sum.again += w->again;
		sum.shorts += w->shorts;
		sum.stalls += w->stalls;
		sum.stalled_ns += w->stalled_ns;
		if (w->first_ns && (!sum.first_ns || w->first_ns < sum.first_ns))
			sum.first_ns = w->first_ns;
		if (w->last_ns > sum.last_ns)
			sum.last_ns = w->last_ns;
		sum.eof |= w->eof;
	}
	return sum;
}

static double seconds_of(const struct sum *sum)
{
	if (sum->last_ns <= sum->first_ns)
		return 0;
	return (double)(sum->last_ns - sum->first_ns) / NSEC_PER_SEC;
}

static uint64_t rate_of(uint64_t bytes, double seconds)
{
	return seconds > 0 ? (uint64_t)((double)bytes / seconds + 0.5) : 0;
}

void vcomplain(const char *fmt, va_list args)
{
	char text[512], *line = NULL;
	size_t len;
	FILE *to;

	/* Write the line at once, so that lines of several workers do not mix. */
	vsnprintf(text, sizeof(text), fmt, args);
	to = open_memstream(&line, &len);
	if (!to)
		return;
	fprintf(to, "%sbpipe-load: ", progress_shown ? "\r\033[K" : "");
	text_print(to, text);
	fputc('\n', to);
	if (!fclose(to))
		fputs(line, stderr);
	free(line);
}

void complain(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vcomplain(fmt, args);
	va_end(args);
}

void report_progress(const struct run *run, uint64_t now)
{
	static uint64_t last_ns, last_bytes;
	char size[BPIPE_TEXT_MAX], rate[BPIPE_TEXT_MAX];
	struct sum sum;

	if (run->opt->quiet || !isatty(STDERR_FILENO) || now - last_ns < PROGRESS_NS)
		return;

	sum = sum_up(run);
	if (last_ns) {
		bpipe_format_size(sum.bytes, size, sizeof(size));
		bpipe_format_rate(rate_of(sum.bytes - last_bytes,
					  (double)(now - last_ns) / NSEC_PER_SEC),
				  rate, sizeof(rate));
		fprintf(stderr, "\r%s: %.1f s  %s  %s  %" PRIu64 " stalls\033[K",
			run->opt->verb->name,
			run->opened_ns ? (double)(now - run->opened_ns) / NSEC_PER_SEC : 0,
			size, rate, sum.stalls);
		progress_shown = true;
	}
	last_ns = now;
	last_bytes = sum.bytes;
}

void report_progress_end(void)
{
	if (progress_shown)
		fputs("\r\033[K", stderr);
	progress_shown = false;
}

static const struct {
	const char *key;
	const char *title;
	double percent;
} percentiles[] = {
	{ "p50",  "P50",   50 },
	{ "p90",  "P90",   90 },
	{ "p99",  "P99",   99 },
	{ "p999", "P99.9", 99.9 },
};

#define PERCENTILES	(sizeof(percentiles) / sizeof(percentiles[0]))

static void table(FILE *to, const struct run *run, const struct sum *sum,
		  const struct hist *latency, const struct verdict *v)
{
	const struct options *opt = run->opt;
	char size[BPIPE_TEXT_MAX], rate[BPIPE_TEXT_MAX], text[BPIPE_TEXT_MAX];
	unsigned int i;

	bpipe_format_size(sum->bytes, size, sizeof(size));
	bpipe_format_rate(rate_of(sum->bytes, seconds_of(sum)), rate, sizeof(rate));
	bpipe_format_time(sum->stalled_ns, text, sizeof(text));
	fprintf(to, "%-8s%12s%12s%12s%10s%14s%8s%13s%8s%8s\n", "", "BYTES", "UNITS", "CALLS",
		"SECONDS", "RATE", "STALLS", "STALLED", "AGAIN", "SHORT");
	fprintf(to, "%-8s%12s%12" PRIu64 "%12" PRIu64 "%10.2f%14s%8" PRIu64 "%13s%8" PRIu64
		"%8" PRIu64 "\n", opt->verb->name, size, sum->units, sum->calls, seconds_of(sum),
		rate, sum->stalls, text, sum->again, sum->shorts);

	if (latency->count) {
		fprintf(to, "\n%-8s", "");
		for (i = 0; i < PERCENTILES; i++)
			fprintf(to, "%12s", percentiles[i].title);
		fprintf(to, "%12s\n%-8s", "MAX", opt->verb->call);
		for (i = 0; i < PERCENTILES; i++) {
			bpipe_format_time(hist_percentile(latency, percentiles[i].percent),
					  text, sizeof(text));
			fprintf(to, "%12s", text);
		}
		bpipe_format_time(latency->max, text, sizeof(text));
		fprintf(to, "%12s\n", text);
	}

	if (opt->verify) {
		fprintf(to, "\n%-8s%12s%12s%12s%12s%12s%12s%12s\n", "", "PRODUCERS", "LOST",
			"DUPLICATED", "REORDERED", "TORN", "CORRUPT", "UNFINISHED");
		fprintf(to, "%-8s%12" PRIu64 "%12" PRIu64 "%12" PRIu64 "%12" PRIu64 "%12" PRIu64
			"%12" PRIu64 "%12" PRIu64 "\n", "verify", v->producers, v->lost,
			v->duplicated, v->reordered, v->torn, v->corrupt, v->unfinished);
	}
}

static void add_count(struct json_object *to, const char *key, uint64_t n)
{
	json_object_object_add(to, key, json_object_new_uint64(n));
}

static void json(FILE *to, const struct run *run, const struct sum *sum,
		 const struct hist *latency, const struct verdict *v)
{
	const struct options *opt = run->opt;
	struct json_object *top = json_object_new_object(), *times = NULL;
	double seconds = seconds_of(sum);
	char text[BPIPE_TEXT_MAX], *path = text_utf8(opt->path);
	unsigned int i;

	json_object_object_add(top, "command", json_object_new_string(opt->verb->name));
	if (path)
		json_object_object_add(top, "path", json_object_new_string(path));
	free(path);
	add_count(top, "workers", opt->workers);
	add_count(top, "bytes", sum->bytes);
	add_count(top, "units", sum->units);
	add_count(top, "calls", sum->calls);
	snprintf(text, sizeof(text), "%.6f", seconds);
	json_object_object_add(top, "seconds", json_object_new_double_s(seconds, text));
	add_count(top, "bytes_per_second", rate_of(sum->bytes, seconds));
	add_count(top, "again", sum->again);
	add_count(top, "short", sum->shorts);
	add_count(top, "stalls", sum->stalls);
	add_count(top, "stalled_ns", sum->stalled_ns);

	if (latency->count) {
		times = json_object_new_object();
		for (i = 0; i < PERCENTILES; i++)
			add_count(times, percentiles[i].key,
				  hist_percentile(latency, percentiles[i].percent));
		add_count(times, "max", latency->max);
	}
	json_object_object_add(top, "latency_ns", times);

	if (opt->verify) {
		add_count(top, "producers", v->producers);
		add_count(top, "lost", v->lost);
		add_count(top, "duplicated", v->duplicated);
		add_count(top, "reordered", v->reordered);
		add_count(top, "torn", v->torn);
		add_count(top, "corrupt", v->corrupt);
		add_count(top, "unfinished", v->unfinished);
	}
	fprintf(to, "%s\n", json_object_to_json_string_ext(top, JSON_C_TO_STRING_PRETTY |
							   JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(top);
}

/* Return the exit status. Wrong data takes precedence over a run that failed. */
static int status_of(const struct run *run, const struct sum *sum, const struct verdict *v)
{
	if (v->lost || v->duplicated || v->reordered || v->torn || v->corrupt)
		return EXIT_WRONG;
	if (run->failed)
		return EXIT_RUN;
	if (run->opt->verify && sum->eof && (v->unfinished || !v->producers))
		return EXIT_OPEN;
	return EXIT_OK;
}

int report_end(const struct run *run)
{
	/* --verify has a single worker, so its verdict is the only one. */
	const struct verdict *v = &run->worker[0].verdict;
	const struct options *opt = run->opt;
	static struct hist latency;
	struct sum sum = sum_up(run);
	const char *error;
	unsigned int i;
	FILE *to;

	/* If no worker could open the path, print no report after the error. */
	if (run->failed && !run->opened)
		return EXIT_RUN;

	for (i = 0; i < opt->workers; i++)
		hist_merge(&latency, &run->worker[i].latency);

	/* If the data went to standard output, keep the report out of it. */
	to = opt->verb->std_fd == STDOUT_FILENO && !strcmp(opt->path, "-") ? stderr : stdout;
	if (opt->json)
		json(to, run, &sum, &latency, v);
	else if (!opt->quiet)
		table(to, run, &sum, &latency, v);
	error = output_error(to);
	if (error) {
		complain("cannot write the report: %s", error);
		return EXIT_RUN;
	}
	return status_of(run, &sum, v);
}
