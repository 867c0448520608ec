// SPDX-License-Identifier: GPL-2.0
/* bpipe-load: write to and read from a pipe of any kind, check and measure. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpipe.h"
#include "output.h"
#include "report.h"
#include "unit.h"
#include "work.h"

#define WORKERS_MAX	1024
#define ID_RANDOM	UINT64_MAX

#define PRODUCE	(1U << 0)
#define CONSUME	(1U << 1)
#define BOTH	(PRODUCE | CONSUME)

static const struct verb verbs[] = {
	{ "produce", PRODUCE, "write units to PATH", "write", O_WRONLY | O_APPEND,
	  STDOUT_FILENO, produce },
	{ "consume", CONSUME, "read PATH until end-of-file", "latency", O_RDONLY,
	  STDIN_FILENO, consume },
};

#define VERBS	(sizeof(verbs) / sizeof(verbs[0]))

static int parse_policy(const char *text, uint64_t *policy)
{
	uint32_t value;

	if (bpipe_parse_word(BPIPE_WORDS_POLICY, text, &value))
		return -1;
	/* Refuse the default: the option is there to override it. */
	if (value == BPIPE_POLICY_CHANNEL) {
		errno = EINVAL;
		return -1;
	}
	*policy = value;
	return 0;
}

static const struct option_spec {
	const char *name;
	char letter;
	unsigned int verbs;
	const char *arg;			/* NULL: takes none, sets 1 */
	int (*parse)(const char *text, uint64_t *value);
	size_t field;
	uint64_t min;
	uint64_t max;
	const char *help;
} specs[] = {
#define FIELD(name)	offsetof(struct options, name)
	{ "size", 's', BOTH, "SIZE", bpipe_parse_size, FIELD(size), 1, UNIT_MAX,
	  "bytes per write (4K) or read (64K)" },
	{ "count", 'n', PRODUCE, "N", bpipe_parse_count, FIELD(count), 1, INT64_MAX,
	  "stop each worker after N writes" },
	{ "bytes", 'b', BOTH, "SIZE", bpipe_parse_size, FIELD(bytes), 1, INT64_MAX,
	  "stop each worker after this many bytes" },
	{ "duration", 'd', BOTH, "TIME", bpipe_parse_time, FIELD(duration_ns), 1, INT64_MAX,
	  "stop after this time" },
	{ "rate", 'r', BOTH, "RATE", bpipe_parse_rate, FIELD(rate), 0, INT64_MAX,
	  "move at most this much a second, all workers together" },
	{ "threads", 't', BOTH, "N", bpipe_parse_count, FIELD(threads), 1, WORKERS_MAX,
	  "use N threads" },
	{ "processes", 'p', BOTH, "N", bpipe_parse_count, FIELD(processes), 1, WORKERS_MAX,
	  "use N processes" },
	{ "nonblock", 'N', BOTH, NULL, NULL, FIELD(nonblock), 0, 1,
	  "use O_NONBLOCK and poll" },
	{ "id", 'i', PRODUCE, "N", bpipe_parse_count, FIELD(id), 0, INT64_MAX,
	  "number of the first producer (random)" },
	{ "class", 'c', PRODUCE, "N", bpipe_parse_count, FIELD(class), 0, BPIPE_CLASSES - 1,
	  "bpipe: write in this class" },
	{ "policy", 'P', PRODUCE, "POLICY", parse_policy, FIELD(policy), 0, BPIPE_POLICY_CHANNEL,
	  "bpipe: block, error, drop-newest, drop-oldest" },
	{ "verify", 'v', CONSUME, NULL, NULL, FIELD(verify), 0, 1,
	  "check each byte, order and completeness" },
	{ "threshold", 'T', CONSUME, "SIZE", bpipe_parse_size, FIELD(threshold), 1, INT64_MAX,
	  "bpipe: wake this reader at this level" },
	{ "delay", 'D', CONSUME, "TIME", bpipe_parse_time, FIELD(delay_ns), 0, INT64_MAX,
	  "bpipe: or when data has waited this long" },
	{ "json", 'j', BOTH, NULL, NULL, FIELD(json), 0, 1,
	  "print the report as JSON instead of a table" },
	{ "quiet", 'q', BOTH, NULL, NULL, FIELD(quiet), 0, 1,
	  "print neither progress nor table" },
};

#define SPECS	(sizeof(specs) / sizeof(specs[0]))

static void usage(FILE *to)
{
	const struct option_spec *spec;
	const struct verb *verb;

	fputs("Usage: bpipe-load VERB [OPTION...] PATH\n"
	      "Put load on a bpipe, a pipe, a FIFO or a file (- is standard input or output),\n"
	      "check what comes out, and measure.\n\nVerbs:\n", to);
	for (verb = verbs; verb < verbs + VERBS; verb++)
		fprintf(to, "  %-24s%s\n", verb->name, verb->summary);
	fputs("\nOptions:\n", to);
	for (spec = specs; spec < specs + SPECS; spec++)
		fprintf(to, "  -%c, --%-9s %-7s %s%s\n", spec->letter, spec->name,
			spec->arg ? spec->arg : "", spec->help,
			spec->verbs == PRODUCE ? " [produce]" :
			spec->verbs == CONSUME ? " [consume]" : "");
	fputs("  -h, --help              print this help\n\n"
	      "SIZE is in bytes, as in 64, 4K, 64KiB or 1MB. RATE is per second, as in 1MB/s.\n"
	      "TIME needs a unit, as in 250ms or 2m: " BPIPE_TIME_UNITS ".\n"
	      "Status: 0 done, 1 failed, 2 wrong usage, 3 --verify found wrong data,\n"
	      "4 --verify found no fault, but data ended before each producer's last unit.\n", to);
}

static int __attribute__((format(printf, 1, 2))) misused(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vcomplain(fmt, args);
	va_end(args);
	return -1;
}

static const struct option_spec *spec_of(int letter)
{
	const struct option_spec *spec;

	for (spec = specs; spec < specs + SPECS; spec++)
		if (spec->letter == letter)
			return spec;
	return NULL;
}

static int set_option(struct options *opt, const struct option_spec *spec, const char *text)
{
	uint64_t *field = (uint64_t *)((char *)opt + spec->field);
	uint64_t value = 1;

	if (!(spec->verbs & opt->verb->bit))
		return misused("--%s: not an option of %s", spec->name, opt->verb->name);
	if (spec->parse && spec->parse(text, &value)) {
		bool time = spec->parse == bpipe_parse_time;

		if (errno == EDOM)
			return misused("--%s: %s: not a whole number of %s", spec->name, text,
				       time ? "nanoseconds" : "bytes");
		if (errno == ERANGE)
			return misused("--%s: %s: out of range, or has too many digits",
				       spec->name, text);
		return misused("--%s: %s: not a %s%s (see bpipe-load --help)", spec->name, text,
			       spec->parse == bpipe_parse_count ? "number" : spec->arg,
			       time ? " with a unit" : "");
	}
	if (value < spec->min || value > spec->max)
		return misused("--%s: %s: too %s", spec->name, text,
			       value < spec->min ? "small" : "large");
	*field = value;
	return 0;
}

static int give_help(void)
{
	const char *error;

	usage(stdout);
	error = output_error(stdout);
	if (!error)
		return EXIT_OK;
	complain("standard output: %s", error);
	return EXIT_RUN;
}

/* Return 0 to run, 1 to print the help, or -1 with a message after wrong usage. */
static int parse_options(struct options *opt, int argc, char **argv)
{
	struct option longs[SPECS + 2] = { 0 };
	char shorts[2 * SPECS + 3], *s = shorts;
	unsigned int i;
	int letter;

	opterr = 0;
	*s++ = ':';
	for (i = 0; i < SPECS; i++) {
		longs[i] = (struct option) { specs[i].name, specs[i].arg ? required_argument :
					     no_argument, NULL, specs[i].letter };
		*s++ = specs[i].letter;
		if (specs[i].arg)
			*s++ = ':';
	}
	longs[SPECS] = (struct option) { "help", no_argument, NULL, 'h' };
	*s++ = 'h';
	*s = '\0';

	while ((letter = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct option_spec *spec = spec_of(letter);

		if (letter == 'h')
			return 1;
		if (letter == ':')
			return misused("%s: needs a value (see bpipe-load --help)",
				       argv[optind - 1]);
		if (!spec && optopt)
			return misused("-%c: no such option, or it takes no value (see bpipe-load --help)",
				       optopt);
		if (!spec)
			return misused("%s: no such option (see bpipe-load --help)",
				       argv[optind - 1]);
		if (set_option(opt, spec, optarg))
			return -1;
	}
	if (optind != argc - 1)
		return misused("%s: give one PATH, - for standard %s", opt->verb->name,
			       opt->verb->bit == PRODUCE ? "output" : "input");
	opt->path = argv[optind];
	return 0;
}

static bool is_regular(const struct options *opt)
{
	struct stat st;
	int error = strcmp(opt->path, "-") ? stat(opt->path, &st) : fstat(opt->verb->std_fd, &st);

	return !error && S_ISREG(st.st_mode);
}

static int check_produce(struct options *opt)
{
	if (!opt->size)
		opt->size = 4096;
	if (opt->size < UNIT_HEADER)
		return misused("--size: must be at least %u, the length of a unit's header",
			       UNIT_HEADER);
	if (opt->workers > 1 && opt->size > PIPE_BUF && !is_regular(opt))
		return misused("--size: must be at most %u (PIPE_BUF) with several workers,"
			       " because larger writes are not atomic", PIPE_BUF);
	if (!strcmp(opt->path, "-") && isatty(STDOUT_FILENO))
		return misused("-: refusing to write binary data to a terminal; redirect it");
	if (opt->bytes) {
		uint64_t count = opt->bytes / opt->size + !!(opt->bytes % opt->size);

		if (!opt->count || count < opt->count)
			opt->count = count;
	}
	/* Choose at random, so that the numbers of independent instances differ. */
	if (opt->id == ID_RANDOM) {
		if (getrandom(&opt->id, sizeof(opt->id), 0) != sizeof(opt->id))
			return misused("cannot get a random producer number: %m; set one with --id");
		opt->id >>= 1;
	}
	return 0;
}

static int check_consume(struct options *opt)
{
	if (!opt->size)
		opt->size = 65536;
	if (opt->verify && opt->workers > 1)
		return misused("--verify: needs a single worker, because several readers each get"
			       " parts of the stream, whose order cannot be checked");
	return 0;
}

static int check_options(struct options *opt)
{
	if (opt->threads && opt->processes)
		return misused("--threads and --processes: choose one");
	opt->workers = (unsigned int)(opt->threads + opt->processes);
	if (!opt->workers)
		opt->workers = 1;
	return opt->verb->bit == PRODUCE ? check_produce(opt) : check_consume(opt);
}

int main(int argc, char **argv)
{
	struct options opt = { .id = ID_RANDOM, .policy = BPIPE_POLICY_CHANNEL };
	const struct verb *verb;
	struct run *run;
	int ret;

	output_init();
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return give_help();
	for (verb = verbs; verb < verbs + VERBS; verb++)
		if (!strcmp(verb->name, argv[1]))
			opt.verb = verb;
	if (!opt.verb) {
		complain("%s: no such verb: use produce or consume (bpipe-load --help)", argv[1]);
		return EXIT_USAGE;
	}

	ret = parse_options(&opt, argc - 1, argv + 1);
	if (ret > 0)
		return give_help();
	if (ret || check_options(&opt))
		return EXIT_USAGE;

	run = run_all(&opt);
	return run ? report_end(run) : EXIT_RUN;
}
