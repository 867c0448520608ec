// SPDX-License-Identifier: GPL-2.0
/*
 * Read files that declare channels. Each channel has a section with keys of "set":
 *
 *	# comment, also with ;
 *	[jobs]
 *	size = 4M
 *	policy = drop-oldest
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpipectl.h"
#include "declared.h"
#include "fields.h"
#include "set.h"
#include "usual.h"

/* A line KEY=VALUE, kept until its section ends, because 25% needs the size. */
struct line {
	char *text;
	unsigned int number;
};

struct reader {
	struct declared *all;
	const char *file;
	unsigned int number;
	bool in_section;		/* the last declaration in @all is this section */
	bool in_refused;		/* the heading of this section was refused */
	struct line *lines;		/* of the section */
	size_t nr;
	int status;
};

static void mistake(struct reader *r, unsigned int number)
{
	complain_at(r->file, number);
	r->status = EXIT_FAILED;
}

static struct declaration *section(const struct reader *r)
{
	return &r->all->at[r->all->nr - 1];
}

/* End the section: assign its lines, and check the result. */
static void end_section(struct reader *r)
{
	struct declaration *d = r->in_section ? section(r) : NULL;
	struct bpipe_config *config;
	bool good = true;
	size_t i, pass;

	/* Assign the size first, because other values may be shares of it. */
	for (pass = 0; d && pass < 2; pass++) {
		for (i = 0; i < r->nr; i++) {
			if (set_is_size(r->lines[i].text) == pass)
				continue;
			complain_at(r->file, r->lines[i].number);
			if (set_assign_one(&d->want, r->lines[i].text))
				good = false;
		}
	}
	if (d && good) {
		config = &d->want.config;
		if (!(config->mask & BPIPE_CFG_HIGH))
			config->high = config->size - config->size / 4;
		if (!(config->mask & BPIPE_CFG_LOW))
			config->low = config->size / 4;
		complain_at(r->file, d->line);
		d->want.path = d->name;
		if (set_check(&d->want))
			good = false;
	}
	if (!good)
		r->status = EXIT_FAILED;
	complain_at(NULL, 0);
	while (r->nr)
		free(r->lines[--r->nr].text);
	r->in_section = false;
	r->in_refused = false;
}

static void begin_section(struct reader *r, char *name)
{
	struct declaration *other, *d;
	struct channel usual;
	char node[BPIPE_NAME_MAX];
	const char *fault;

	end_section(r);
	r->in_refused = true;
	fault = channel_node_name(name, node);
	if (fault) {
		mistake(r, r->number);
		complain("[%s]: not a name for a channel: %s", name, fault);
		return;
	}
	other = declared_find(r->all, node);
	if (other) {
		mistake(r, r->number);
		complain("[%s]: declared before, at %s:%u", name, other->file, other->line);
		return;
	}
	if (usual_new(&usual)) {
		r->status = EXIT_NO_CHANNEL;
		return;
	}
	r->all->at = checked(realloc(r->all->at, (r->all->nr + 1) * sizeof(*r->all->at)));
	d = &r->all->at[r->all->nr++];
	*d = (struct declaration) {
		.file = checked(strdup(r->file)), .line = r->number, .want = usual,
	};
	stpcpy(d->name, node);
	r->in_section = true;
	r->in_refused = false;
}

/* Remove blanks at both ends. */
static char *trim(char *text)
{
	char *end;

	while (isspace((unsigned char)*text))
		text++;
	end = text + strlen(text);
	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return text;
}

/* Return true if the section has this key already: one of the two lines is a mistake. */
static bool is_repeated(const struct reader *r, const char *text)
{
	size_t len = strcspn(text, "=") + 1;

	for (size_t i = 0; i < r->nr; i++)
		if (!strncasecmp(r->lines[i].text, text, len))
			return true;
	return false;
}

/* Keep a line KEY = VALUE, without the blanks. */
static void take_setting(struct reader *r, char *text)
{
	char *value = strchr(text, '=');
	char *joined;

	if (r->in_refused)
		return;
	if (!value || !r->in_section) {
		mistake(r, r->number);
		complain("%s: %s", text, !value ? "write it as KEY = VALUE" :
			 "a [CHANNEL] line must come first");
		return;
	}
	*value++ = '\0';
	if (asprintf(&joined, "%s=%s", trim(text), trim(value)) < 0)
		joined = checked(NULL);
	if (is_repeated(r, joined)) {
		mistake(r, r->number);
		complain("%s: given twice", trim(text));
		free(joined);
		return;
	}
	r->lines = checked(realloc(r->lines, (r->nr + 1) * sizeof(*r->lines)));
	r->lines[r->nr++] = (struct line) { joined, r->number };
}

static void take_line(struct reader *r, char *line)
{
	char *text = trim(line);
	size_t len = strlen(text);

	if (!len || *text == '#' || *text == ';')
		return;
	if (*text == '[' && text[len - 1] == ']') {
		text[len - 1] = '\0';
		begin_section(r, trim(text + 1));
	} else if (*text == '[') {
		end_section(r);
		r->in_refused = true;
		mistake(r, r->number);
		complain("%s: no ] at the end", text);
	} else {
		take_setting(r, text);
	}
}

static int read_stream(struct declared *all, const char *name, FILE *file)
{
	struct reader r = { .all = all, .file = name };
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	while (r.status != EXIT_NO_CHANNEL && (len = getline(&line, &room, file)) > 0) {
		r.number++;
		if (strlen(line) == (size_t)len) {
			take_line(&r, line);
		} else {
			mistake(&r, r.number);
			complain("the line has a NUL byte; this is not a text file");
		}
		complain_at(NULL, 0);
	}
	if (ferror(file)) {
		complain("%s: %s", name, strerror(errno));
		r.status = EXIT_FAILED;
	}
	end_section(&r);
	free(r.lines);
	free(line);
	return r.status;
}

static int read_file(struct declared *all, const char *path)
{
	bool standard = !strcmp(path, "-");
	FILE *file = standard ? stdin : fopen(path, "re");
	int status;

	if (!file) {
		complain("%s: %s", path, strerror(errno));
		return EXIT_FAILED;
	}
	status = read_stream(all, standard ? "standard input" : path, file);
	if (!standard)
		fclose(file);
	return status;
}

static int is_conf(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name), end = strlen(".conf");

	return *entry->d_name != '.' && len > end && !strcmp(entry->d_name + len - end, ".conf");
}

static int read_dir(struct declared *all)
{
	struct dirent **entries;
	int status = EXIT_OK, failed, i, nr;
	char *path;

	nr = scandir(DECLARED_DIR, &entries, is_conf, alphasort);
	if (nr < 0 && errno == ENOENT) {
		all->nothing_read = true;
		return EXIT_OK;
	}
	if (nr < 0) {
		complain(DECLARED_DIR ": %s", strerror(errno));
		return EXIT_FAILED;
	}
	for (i = 0; i < nr; i++) {
		if (asprintf(&path, DECLARED_DIR "/%s", entries[i]->d_name) < 0)
			path = checked(NULL);
		failed = read_file(all, path);
		if (!status)
			status = failed;
		free(path);
		free(entries[i]);
	}
	free(entries);
	return status;
}

int declared_read(struct declared *all, char **files)
{
	int status = EXIT_OK, failed;

	*all = (struct declared) { 0 };
	if (!*files)
		return read_dir(all);
	for (; *files; files++) {
		failed = read_file(all, *files);
		if (!status)
			status = failed;
	}
	return status;
}

struct declaration *declared_find(const struct declared *all, const char *name)
{
	for (size_t i = 0; i < all->nr; i++)
		if (!strcmp(all->at[i].name, name))
			return &all->at[i];
	return NULL;
}

void declared_free(struct declared *all)
{
	while (all->nr)
		free(all->at[--all->nr].file);
	free(all->at);
}
