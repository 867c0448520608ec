// SPDX-License-Identifier: GPL-2.0
/* create and delete: add and remove channels. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpipectl.h"
#include "fields.h"
#include "set.h"
#include "udev.h"
#include "usual.h"

/* Explain why channels can be neither created nor deleted here. */
static int explain_absent(void)
{
	if (module_loaded())
		complain(BPIPE_CONTROL ": the module is loaded, but this /dev does not have the node, as in a container or chroot; run bpipectl outside of it");
	else
		complain(BPIPE_CONTROL ": is the module loaded? try: modprobe bpipe");
	return EXIT_NO_CHANNEL;
}

static int explain_control(const char *name, struct channel *want)
{
	const char *fault = channel_name_fault(bpipe_name(name));
	int error = errno;
	struct stat st;

	switch (error) {
	case EACCES:
		complain("%s: only root may create or delete a channel; try sudo", name);
		return EXIT_FAILED;
	case EPERM:
		complain("%s: only root may create or delete a channel; %s", name,
			 geteuid() ? "try sudo" : "this root lacks CAP_SYS_ADMIN, as in a container");
		return EXIT_FAILED;
	case EEXIST:
		complain("%s: a channel with this name exists, or is still draining", name);
		return EXIT_FAILED;
	case ENXIO:
	case ENODEV:
		if (!module_loaded())
			return explain_absent();
		complain(BPIPE_CONTROL ": this node has no driver");
		return EXIT_NO_CHANNEL;
	case ENOENT:
		if (!module_loaded() || access(BPIPE_CONTROL, F_OK))
			return explain_absent();
		if (!strcmp(bpipe_name(name), BPIPE_DEFAULT)) {
			complain("%s: the module's own channel, which exists until the module is unloaded: rmmod bpipe",
				 name);
			return EXIT_FAILED;
		}
		complain("%s: no such channel; to list the channels: bpipectl list", name);
		return EXIT_NO_CHANNEL;
	case ENOTTY:
		if (stat(BPIPE_CONTROL, &st) || S_ISCHR(st.st_mode))
			break;
		complain(BPIPE_CONTROL ": not a device; try: rm " BPIPE_CONTROL "; modprobe -r bpipe; modprobe bpipe");
		return EXIT_NO_CHANNEL;
	case EBUSY:
		complain("%s: it is open; to list its open files: bpipectl who %s; or use --drain or --force",
			 name, name);
		return EXIT_FAILED;
	case ENOSPC:
		if (!channels_full())
			break;
		complain("%s: the maximum of %u channels exists already", name,
			 BPIPE_CHANNELS_MAX);
		return EXIT_FAILED;
	case EINVAL:
		if (!fault)
			break;
		complain("%s: not a name for a channel: %s", name, fault);
		return EXIT_FAILED;
	}
	/* The configuration of the channel is the cause. */
	want->path = (char *)name;
	errno = error;
	return set_explain(want, &want->config);
}

/* Assign the key that an option stands for: --owner USER is uid=USER. */
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
	const char *name = *args && !strchr(*args, '=') ? bpipe_name(*args++) : NULL;
	char node[BPIPE_NAME_MAX];
	struct channel ch, want;
	struct udev udev;
	int status;

	if (!name) {
		complain("create: a name is needed; KEY=VALUE may follow");
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
	udev_begin(&udev);
	if (bpipe_add(name, &want.config, sizeof(want.config)))
		return explain_control(name, &want);
	if (!channel_node_name(name, node))
		udev_wait(&udev, node, &want.config);
	udev_end(&udev);
	if (!opts->json)
		return EXIT_OK;
	status = channel_open(&ch, name);
	if (status)
		return status;
	json_print(&(struct channels) { &ch, 1 }, NULL);
	channel_close(&ch);
	return EXIT_OK;
}

/*
 * Remove a channel. Retry for a second while neither reader nor writer has it open, because
 * another bpipectl keeps it busy only briefly.
 */
static int remove_channel(const char *name, uint32_t flags)
{
	int naps = 100;

	while (bpipe_remove(name, flags)) {
		if (errno != EBUSY)
			return -1;
		if (channel_is_used(name) || !naps--) {
			errno = EBUSY;
			return -1;
		}
		nap();
	}
	return 0;
}

int delete(const struct options *opts, char **args)
{
	uint32_t flags = opts->drain ? BPIPE_REMOVE_DRAIN : opts->force ? BPIPE_REMOVE_FORCE : 0;
	struct channel none = { 0 };
	int status = EXIT_OK, failed;

	if (opts->drain && opts->force) {
		complain("delete: --drain and --force exclude each other");
		return EXIT_USAGE;
	}
	if (!*args) {
		complain("delete: a name is needed");
		return EXIT_USAGE;
	}
	for (; *args; args++) {
		failed = EXIT_OK;
		if (remove_channel(bpipe_name(*args), flags))
			failed = explain_control(*args, &none);
		if (!status)
			status = failed;
	}
	if (opts->json)
		json_print(&(struct channels) { 0 }, NULL);
	return status;
}
