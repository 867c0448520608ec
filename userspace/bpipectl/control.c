// SPDX-License-Identifier: GPL-2.0
/* create and delete: which channels there are. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpipectl.h"
#include "fields.h"
#include "set.h"
#include "usual.h"

static int explain_control(const char *name, struct channel *want)
{
	switch (errno) {
	case EACCES:
	case EPERM:
		complain("%s: only root may create or delete a channel; try sudo", name);
		return EXIT_FAILED;
	case EEXIST:
		complain("%s: there is a channel of that name", name);
		return EXIT_FAILED;
	case ENOENT:
		complain("%s: no such channel; to see those there are: bpipectl list", name);
		return EXIT_NO_CHANNEL;
	case EBUSY:
		complain("%s: it is open; see who has it: bpipectl who %s", name, name);
		return EXIT_FAILED;
	}
	/* The rest is about what it was to be like; but the name may be the reason. */
	want->path = (char *)name;
	if (errno == EINVAL && !want->config.mask) {
		complain("%s: not a name; it takes 1 to 25 letters, digits, dots, underscores and dashes",
			 name);
		return EXIT_FAILED;
	}
	return set_explain(want, &want->config);
}

/* --owner USER is uid=USER, and so on. */
static int assign_option(struct channel *want, const char *key, const char *value)
{
	char *arg;
	int status;

	if (!value)
		return EXIT_OK;
	if (asprintf(&arg, "%s=%s", key, value) < 0)
		arg = checked(NULL);
	status = set_assign_one(want, arg);
	free(arg);
	return status;
}

int create(const struct options *opts, char **args)
{
	const char *name = *args && !strchr(*args, '=') ? channel_bare_name(*args++) : NULL;
	struct channel ch, want;
	int status;

	if (!name) {
		complain("create: a name is needed, and then KEY=VALUE if you like");
		return EXIT_USAGE;
	}
	status = usual_new(&want);
	if (!status)
		status = set_assign(&want, args);
	if (!status)
		status = assign_option(&want, "uid", opts->owner);
	if (!status)
		status = assign_option(&want, "gid", opts->group);
	if (!status)
		status = assign_option(&want, "permissions", opts->permissions);
	if (status)
		return status;
	if (bpipe_add(name, &want.config))
		return explain_control(name, &want);
	if (!opts->json)
		return EXIT_OK;
	status = channel_open(&ch, name);
	if (status)
		return status;
	json_print(&(struct channels) { &ch, 1 }, NULL);
	channel_close(&ch);
	return EXIT_OK;
}

int delete(const struct options *opts, char **args)
{
	struct channel none = { 0 };
	int status = EXIT_OK, failed;

	if (!*args) {
		complain("delete: which one?");
		return EXIT_USAGE;
	}
	for (; *args; args++) {
		failed = EXIT_OK;
		if (bpipe_remove(channel_bare_name(*args)))
			failed = explain_control(*args, &none);
		if (!status)
			status = failed;
	}
	if (opts->json)
		json_print(&(struct channels) { 0 }, NULL);
	return status;
}
