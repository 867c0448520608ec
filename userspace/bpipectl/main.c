// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE	/* vasprintf() */
/* bpipectl: look at channels and steer them. */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpipectl.h"
#include "fields.h"
#include "output.h"
#include "text.h"

/* The Makefile sets the commit that this is built from. */
#ifndef BPIPE_COMMIT
#define BPIPE_COMMIT "unknown"
#endif

/* Default of --linger; the same as overload_after of a new channel. */
#define LINGER_NS	10000000000ULL

static int version(const struct options *opts, char **args);

static const struct verb {
	const char *name;
	const char *options;		/* letters of valid options, in addition to J */
	const char *args;
	const char *help;
	int (*run)(const struct options *opts, char **args);
} verbs[] = {
	{ "show", "", "[CHANNEL...]", "show the state of channels (the default)", show },
	{ "list", "bnor", "[CHANNEL...]", "print a table of channels", list },
	{ "stats", "o", "[CHANNEL...]", "print all fields, one in a line", stats },
	{ "classes", "n", "[CHANNEL...]", "print the counters of each class", classes },
	{ "set", "", "[CHANNEL] KEY=VALUE...", "change the configuration, all keys or none", set },
	{ "create", "OGM", "NAME [KEY=VALUE...]", "create a channel, /dev/bpipe-NAME", create },
	{ "delete", "dF", "NAME...", "remove channels that are not open", delete },
	{ "apply", "PDF", "[FILE...]", "make channels as files declare them", apply },
	{ "save", "", "[CHANNEL...]", "print the declarations of channels", save },
	{ "wait", "t", "[CHANNEL] CONDITION", "wait for a condition, such as 'level<=64K'",
	  wait_for },
	{ "who", "bns", "[CHANNEL...]", "print the open files of channels", who },
	{ "monitor", "el", "[CHANNEL]", "print each change of state",
	  monitor },
	{ "reset-peaks", "", "[CHANNEL...]", "reset peaks, and clear the alarm",
	  reset_peaks },
	{ "version", "", "", "print the versions of tool and module", version },
};

static const struct option long_options[] = {
	{ "json", no_argument, NULL, 'J' },
	{ "output", required_argument, NULL, 'o' },
	{ "bytes", no_argument, NULL, 'b' },
	{ "noheadings", no_argument, NULL, 'n' },
	{ "raw", no_argument, NULL, 'r' },
	{ "timeout", required_argument, NULL, 't' },
	{ "exec", required_argument, NULL, 'e' },
	{ "linger", required_argument, NULL, 'l' },
	{ "sort", required_argument, NULL, 's' },
	{ "owner", required_argument, NULL, 'O' },
	{ "group", required_argument, NULL, 'G' },
	{ "permissions", required_argument, NULL, 'M' },
	{ "prune", no_argument, NULL, 'P' },
	{ "dry-run", no_argument, NULL, 'D' },
	{ "drain", no_argument, NULL, 'd' },
	{ "force", no_argument, NULL, 'F' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ 0 }
};

/* Print the list of fields, in the format that the bash completion parses. */
static void print_fields(void)
{
	const struct field *field;
	int column = 0;

	fputs("\nFields (* can be set):", stdout);
	for (field = fields; field->name; field++) {
		column -= strlen(field->name) + 2;
		if (column < 0) {
			fputs("\n ", stdout);
			column = 76 - strlen(field->name);
		}
		printf(" %s%s", field->name, field->config_bit ? "*" : "");
	}
	putchar('\n');
}

static void usage(void)
{
	const struct verb *verb;

	fputs("Usage: bpipectl [VERB] [OPTION...] [ARGUMENT...]\n"
	      "Look at the channels of bpipe and steer them. A CHANNEL is a name or a path\n"
	      "(default: all; for set, wait, monitor and reset-peaks: " BPIPE_DEFAULT ").\n"
	      "\nVerbs:\n", stdout);
	for (verb = verbs; verb < verbs + ARRAY_SIZE(verbs); verb++)
		printf("  %-11s %-22s  %s\n", verb->name, verb->args, verb->help);
	fputs("\nOptions:\n"
	      "  -J, --json             print JSON (every verb)\n"
	      "  -o, --output FIELDS    print these fields, separated by commas (list, stats)\n"
	      "  -b, --bytes            print exact numbers without units (list, who)\n"
	      "  -n, --noheadings       print no line of headings (list, who, classes)\n"
	      "  -r, --raw              do not align the columns (list)\n"
	      "  -t, --timeout TIME     give up after TIME, such as 250ms or 10s (wait)\n"
	      "  -s, --sort COUNTER     print the largest of this counter first (who)\n"
	      "  -e, --exec COMMAND     run it while the channel is overloaded (monitor)\n"
	      "  -l, --linger TIME      stop it after TIME (10s) in state normal (monitor)\n"
	      "      --owner USER       set the owner of the node (create)\n"
	      "      --group GROUP      set the group of the node (create)\n"
	      "      --permissions MODE set the mode bits of the node, such as 0640 (create)\n"
	      "      --prune            remove channels that are not declared (apply)\n"
	      "      --dry-run          print what would change, change nothing (apply)\n"
	      "      --drain            remove a channel once its data was read (delete)\n"
	      "      --force            remove a channel even if it is open (delete), or\n"
	      "                         prune it even if it holds data (apply)\n"
	      "  -h, --help             print this help\n"
	      "  -V, --version          print the versions, as the verb does\n", stdout);
	print_fields();
	fputs("\nStatus: 0 done, 1 failed, 2 wrong usage, 3 no such channel, 4 timed out,\n"
	      "5 done, but standard output failed.\n"
	      "See bpipectl(8) and bpipe(4).\n", stdout);
}

static struct {
	const char *file;
	unsigned int line;
} place;

void complain_at(const char *file, unsigned int line)
{
	place.file = file;
	place.line = line;
}

void complain(const char *fmt, ...)
{
	va_list args;
	char *text;

	output_error(stdout);
	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	va_end(args);
	fputs("bpipectl: ", stderr);
	if (place.file) {
		text_print(stderr, place.file);
		fprintf(stderr, ":%u: ", place.line);
	}
	text_print(stderr, text ? text : "out of memory");
	fputc('\n', stderr);
	free(text);
}

int finish_output(void)
{
	static bool said;
	const char *error = output_error(stdout);

	if (error && !said)
		complain("standard output: %s", error);
	said = error;
	return error ? EXIT_FAILED : EXIT_OK;
}

void *checked(void *memory)
{
	if (!memory) {
		complain("out of memory");
		exit(EXIT_FAILED);
	}
	return memory;
}

/* Return the version of the loaded module, or NULL if none is loaded. */
static const char *module_version(char *buf, size_t len)
{
	FILE *file = fopen("/sys/module/bpipe/version", "re");
	char *line = file ? fgets(buf, len, file) : NULL;

	if (file)
		fclose(file);
	if (line)
		line[strcspn(line, "\n")] = '\0';
	return line;
}

static int version(const struct options *opts, char **args)
{
	char buf[64];
	const char *module = module_version(buf, sizeof(buf));

	if (*args) {
		complain("version: takes no argument");
		return EXIT_USAGE;
	}
	if (opts->json)
		json_print_versions(BPIPE_VERSION, BPIPE_COMMIT, module);
	else
		printf("bpipectl " BPIPE_VERSION "\ncommit   " BPIPE_COMMIT "\nmodule   %s\n",
		       module ? module : "not loaded");
	if (module && strcmp(module, BPIPE_VERSION))
		complain("warning: the loaded module has another version; load the one that matches bpipectl");
	return EXIT_OK;
}

static const struct verb *find_verb(const char *name)
{
	const struct verb *verb;

	for (verb = verbs; verb < verbs + ARRAY_SIZE(verbs); verb++)
		if (!strcmp(verb->name, name))
			return verb;
	complain("%s: no such verb; see bpipectl --help", name);
	return NULL;
}

/* Refuse options that the verb does not use, instead of ignoring them. */
static int check_options(const struct verb *verb, const char *given)
{
	const struct option *option;
	char letter = given[strspn(given, verb->options)];

	if (!letter)
		return EXIT_OK;
	for (option = long_options; option->val != letter; option++)
		;
	complain("%s: --%s does not apply to this verb", verb->name, option->name);
	return EXIT_USAGE;
}

/* Return true if the verb does more than print. */
static bool changes(const struct verb *verb)
{
	return verb->run == set || verb->run == create || verb->run == delete ||
	       verb->run == apply || verb->run == reset_peaks;
}

static int parse_time_option(const char *name, uint64_t *ns)
{
	if (!bpipe_parse_time(optarg, ns))
		return EXIT_OK;
	complain(errno == ERANGE ? "--%s: '%s' is out of range, or has too many digits" :
		 errno == EDOM ? "--%s: '%s' is not a whole number of nanoseconds" :
		 "--%s: '%s' is not a time with a unit (" BPIPE_TIME_UNITS "), like 250ms or 10s",
		 name, optarg);
	return EXIT_USAGE;
}

static int run(int argc, char **argv)
{
	struct options opts = { .timeout_ns = UINT64_MAX, .linger_ns = LINGER_NS };
	char given[ARRAY_SIZE(long_options)] = "";
	const struct verb *verb = NULL;
	int letter, status;

	opterr = 0;
	while ((letter = getopt_long(argc, argv, ":Jo:bnrt:e:l:s:hV", long_options, NULL)) != -1) {
		switch (letter) {
		case 'J':
			opts.json = true;
			continue;
		case 'o':
			opts.output = optarg;
			break;
		case 'b':
			opts.bytes = true;
			break;
		case 'n':
			opts.noheadings = true;
			break;
		case 'r':
			opts.raw = true;
			break;
		case 't':
			if (parse_time_option("timeout", &opts.timeout_ns))
				return EXIT_USAGE;
			break;
		case 's':
			opts.sort = optarg;
			break;
		case 'e':
			opts.exec = optarg;
			break;
		case 'O':
			opts.owner = optarg;
			break;
		case 'G':
			opts.group = optarg;
			break;
		case 'M':
			opts.permissions = optarg;
			break;
		case 'P':
			opts.prune = true;
			break;
		case 'D':
			opts.dry_run = true;
			break;
		case 'd':
			opts.drain = true;
			break;
		case 'F':
			opts.force = true;
			break;
		case 'l':
			if (parse_time_option("linger", &opts.linger_ns))
				return EXIT_USAGE;
			break;
		case 'h':
			usage();
			return EXIT_OK;
		case 'V':
			verb = find_verb("version");
			continue;
		case ':':
			complain("%s: needs a value; see bpipectl --help", argv[optind - 1]);
			return EXIT_USAGE;
		default:
			if (optopt)
				complain("-%c: no such option, or it takes no value; see bpipectl --help",
					 optopt);
			else
				complain("%s: no such option; see bpipectl --help",
					 argv[optind - 1]);
			return EXIT_USAGE;
		}
		if (!strchr(given, letter))
			given[strlen(given)] = letter;
	}
	argv += optind;
	if (!verb)
		verb = find_verb(*argv ? *argv++ : "show");
	status = verb ? check_options(verb, given) : EXIT_USAGE;
	if (!status)
		status = verb->run(&opts, argv);
	if (!status && changes(verb) && !opts.dry_run && finish_output())
		status = EXIT_UNPRINTED;
	return status;
}

int main(int argc, char **argv)
{
	int status, failed;

	output_init();
	status = run(argc, argv);
	failed = finish_output();
	return failed && status != EXIT_UNPRINTED ? failed : status;
}
