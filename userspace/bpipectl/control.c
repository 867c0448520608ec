// SPDX-License-Identifier: GPL-2.0
/* create and delete: which channels there are. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bpipectl.h"
#include "fields.h"
#include "set.h"

/* What a new channel is like, as far as it matters to what is to be set: its size. */
static int describe_new(struct channel *want)
{
	FILE *file = fopen("/sys/module/bpipe/parameters/size", "re");
	unsigned long long size = 0;

	*want = (struct channel) { 0 };
	if (file) {
		if (fscanf(file, "%llu", &size) != 1)
			size = 0;
		fclose(file);
	}
	if (!size) {
		complain(BPIPE_CONTROL ": is the module loaded? try: modprobe bpipe");
		return EXIT_NO_CHANNEL;
	}
	want->config.size = size;
	want->config.high = size - size / 4;
	want->config.low = size / 4;
	return EXIT_OK;
}

/* The name as it is to be given, of one that may be that of the node. */
static const char *bare_name(const char *name)
{
	size_t len = strlen(BPIPE_NAME_PREFIX);

	return strncmp(name, BPIPE_NAME_PREFIX, len) ? name : name + len;
}

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

int create(const struct options *opts, char **args)
{
	const char *name = *args && !strchr(*args, '=') ? bare_name(*args++) : NULL;
	struct channel ch, want;
	int status;

	if (!name) {
		complain("create: a name is needed, and then KEY=VALUE if you like");
		return EXIT_USAGE;
	}
	status = describe_new(&want);
	if (!status)
		status = set_assign(&want, args);
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
		failed = bpipe_remove(bare_name(*args)) ? explain_control(*args, &none) : EXIT_OK;
		if (!status)
			status = failed;
	}
	if (opts->json)
		json_print(&(struct channels) { 0 }, NULL);
	return status;
}
