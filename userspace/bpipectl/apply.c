// SPDX-License-Identifier: GPL-2.0
/*
 * apply: make channels as files declare them. A declared channel gets the configuration of a
 * new channel with the given keys. So the removal of a key from a file takes effect, too.
 *
 * Check everything first. If a step fails then, undo the steps before it. Remove undeclared
 * channels last, because a removal cannot be undone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "bpipectl.h"
#include "declared.h"
#include "fields.h"
#include "set.h"
#include "udev.h"
#include "usual.h"

/* A declared channel, and the change that it needs. */
struct step {
	struct declaration *declared;
	struct channel *now;		/* NULL: create it */
	struct bpipe_config before;	/* the configuration that undoes a change */
	bool changes;
	bool done;
};

struct plan {
	const struct options *opts;
	struct declared declared;
	struct channels there;
	struct step *steps;
	size_t nr;
};

static struct channel *find_there(const struct plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->there.nr; i++)
		if (!strcmp(plan->there.at[i].config.name, name))
			return &plan->there.at[i];
	return NULL;
}

/* Return the configuration to send: all fields that can be set, so that no old value stays. */
static struct bpipe_config wanted(const struct step *step)
{
	struct bpipe_config config = step->declared->want.config;
	const struct field *field;

	for (field = fields; field->name; field++)
		config.mask |= field->config_bit;
	return config;
}

static bool is_pruned(const struct plan *plan, const struct channel *ch)
{
	return plan->opts->prune && strcmp(ch->config.name, BPIPE_DEFAULT) &&
	       !declared_find(&plan->declared, ch->config.name);
}

static void print_change(const struct field *field, const struct channel *from,
			 const struct channel *to, const char *separator)
{
	char old[FIELD_TEXT_MAX], new[FIELD_TEXT_MAX];

	printf("%s%s %s -> %s", separator, field->name, field_format(field, from, false, old),
	       field_format(field, to, false, new));
}

/* Return true if the channel is not as declared. With @print, print the differences. */
static bool differs(const struct step *step, bool print)
{
	struct channel want = step->declared->want;
	struct channel as_set = want, was_set = *step->now;
	const char *separator = ": ";
	const struct field *field;
	bool found = false;

	usual_in_force(&want.config);
	usual_as_set(&was_set.config);
	for (field = fields; field->name; field++) {
		if (!field->config_bit ||
		    field_value(field, &want) == field_value(field, step->now))
			continue;
		found = true;
		/* Do not print a value that follows another one both before and after. */
		if (!field_value(field, &as_set) && !field_value(field, &was_set))
			continue;
		if (print)
			print_change(field, step->now, &want, separator);
		separator = ", ";
	}
	return found;
}

static void print_step(const struct plan *plan, const struct step *step)
{
	const char *name = bpipe_name(step->declared->name);
	bool dry_run = plan->opts->dry_run;

	if (plan->opts->json || !step->changes)
		return;
	if (step->now) {
		printf("%s %s", dry_run ? "would change" : "changed", name);
		differs(step, true);
		putchar('\n');
	} else {
		printf("%s %s\n", dry_run ? "would create" : "created", name);
	}
}

/*
 * Refuse a size above the channel's share of the memory. Do not check whether the memory is
 * free now, because the change itself fails if it is not.
 */
static int check_memory(const struct step *step)
{
	if (step->declared->want.config.size <= class_share())
		return EXIT_OK;
	complain_of_memory(step->declared->name);
	return EXIT_FAILED;
}

/* Refuse a size or a mode that the data in the channel does not allow. */
static int check_change(const struct step *step)
{
	const struct bpipe_config *want = &step->declared->want.config;
	struct bpipe_config set = *want;

	set.mask = BPIPE_CFG_MODE | BPIPE_CFG_SIZE;
	if (step->now->stats.level <= want->size &&
	    (want->mode == step->now->config.mode || !step->now->stats.level))
		return EXIT_OK;
	errno = EBUSY;
	return set_explain(step->now, &set);
}

static int check_prune(const struct plan *plan, const struct channel *ch)
{
	if (ch->stats.readers || ch->stats.writers) {
		complain("%s: not declared, but open; nothing was changed; to list its open files: bpipectl who %s",
			 ch->path,
			 bpipe_name(ch->config.name));
		return EXIT_FAILED;
	}
	if (ch->stats.level && !plan->opts->force) {
		complain("%s: not declared, but holds data; nothing was changed; to remove it anyway, use --force",
			 ch->path);
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

/* Find the changes to make, and report everything that prevents them. */
static int make_plan(struct plan *plan)
{
	int status = EXIT_OK, failed;

	plan->steps = checked(calloc(plan->declared.nr + 1, sizeof(*plan->steps)));
	for (plan->nr = 0; plan->nr < plan->declared.nr; plan->nr++) {
		struct step *step = &plan->steps[plan->nr];

		step->declared = &plan->declared.at[plan->nr];
		step->now = find_there(plan, step->declared->name);
		step->changes = !step->now || differs(step, false);
		if (!step->changes)
			continue;
		complain_at(step->declared->file, step->declared->line);
		failed = check_memory(step);
		complain_at(NULL, 0);
		/* A channel that exists but could not be opened has been reported. */
		if (failed || (!step->now && channel_exists(step->declared->name)))
			status = EXIT_FAILED;
		if (!step->now)
			continue;
		step->before = step->now->config;
		usual_as_set(&step->before);
		complain_at(step->declared->file, step->declared->line);
		failed = check_change(step);
		if (!failed)
			failed = channel_steer(step->now, 0);
		complain_at(NULL, 0);
		if (failed)
			status = failed;
	}
	for (size_t i = 0; i < plan->there.nr; i++) {
		failed = is_pruned(plan, &plan->there.at[i]) ?
			 check_prune(plan, &plan->there.at[i]) : EXIT_OK;
		if (failed)
			status = failed;
	}
	return status;
}

static int create_declared(struct step *step)
{
	struct bpipe_config config = wanted(step);
	struct channel new = { .path = step->declared->name, .config = config };

	if (bpipe_add(step->declared->name, &config, sizeof(config)))
		return set_explain(&new, &config);
	step->done = true;
	return EXIT_OK;
}

static int change_declared(struct step *step)
{
	struct bpipe_config config = wanted(step);

	if (bpipe_set_config(step->now->fd, &config, sizeof(config)))
		return set_explain(step->now, &config);
	step->done = true;
	return channel_own(step->now, &config);
}

static void undo(const struct step *step)
{
	const char *name = bpipe_name(step->declared->name);

	if (!step->now ? bpipe_remove(name, 0) :
	    bpipe_set_config(step->now->fd, &step->before, sizeof(step->before)))
		complain("%s: cannot undo the change: %s", name, strerror(errno));
	else if (step->now)
		channel_own(step->now, &step->before);
}

/* Return true if udev's rules may give the node another owner, group or permissions. */
static bool concerns_udev(const struct step *step)
{
	const struct bpipe_config *want = &step->declared->want.config;
	const struct bpipe_config *now = step->now ? &step->now->config : NULL;

	return step->done && (!now || want->uid != now->uid || want->gid != now->gid ||
			      want->permissions != now->permissions);
}

static void wait_for_udev(const struct plan *plan, struct udev *udev)
{
	for (const struct step *step = plan->steps; step < plan->steps + plan->nr; step++)
		if (concerns_udev(step))
			udev_wait(udev, step->declared->name, &step->declared->want.config);
}

static int carry_out(struct plan *plan)
{
	int status = EXIT_OK;
	struct udev udev;
	size_t i;

	udev_begin(&udev);

	for (i = 0; i < plan->nr && !status; i++) {
		struct step *step = &plan->steps[i];

		if (!step->changes)
			continue;
		complain_at(step->declared->file, step->declared->line);
		status = step->now ? change_declared(step) : create_declared(step);
		complain_at(NULL, 0);
	}
	while (status && i--)
		if (plan->steps[i].done)
			undo(&plan->steps[i]);
	if (!status)
		wait_for_udev(plan, &udev);
	udev_end(&udev);
	return status;
}

/*
 * Remove a channel that is not declared. Without --force, drain it, because a writer may
 * have written to it since the check.
 */
static int prune_channel(const struct plan *plan, const struct channel *ch)
{
	const char *name = bpipe_name(ch->config.name), *done = "removed";
	uint32_t flags = plan->opts->force ? 0 : BPIPE_REMOVE_DRAIN;

	if (plan->opts->dry_run) {
		done = "would remove";
	} else if (bpipe_remove(name, flags)) {
		complain("%s: not declared, but cannot be removed: %s", name, strerror(errno));
		return EXIT_FAILED;
	} else if (channel_exists(ch->config.name)) {
		done = "draining";
	}
	if (!plan->opts->json)
		printf("%s %s\n", done, name);
	return EXIT_OK;
}

static int prune(struct plan *plan)
{
	int status = EXIT_OK;

	for (size_t i = 0; i < plan->there.nr; i++) {
		struct channel *ch = &plan->there.at[i];

		if (!is_pruned(plan, ch))
			continue;
		if (prune_channel(plan, ch))
			status = EXIT_FAILED;
	}
	return status;
}

/* Run one apply at a time: two that create a channel would undo each other's changes. */
static int lock_control(void)
{
	int fd = open(BPIPE_CONTROL, O_RDWR | O_CLOEXEC);

	if (fd >= 0 && !flock(fd, LOCK_EX))
		return fd;
	if (errno == EACCES)
		complain("apply: only root may create and change channels; try sudo");
	else
		complain(BPIPE_CONTROL ": %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static int apply_declared(struct plan *plan)
{
	char *none[] = { NULL };
	bool unusable;
	int status;

	/* Also open undeclared channels, because a node that cannot be used is an error. */
	unusable = channels_open(&plan->there, none);
	status = make_plan(plan);
	if (!status && !plan->opts->dry_run)
		status = carry_out(plan);
	for (size_t i = 0; i < plan->nr && !status; i++)
		print_step(plan, &plan->steps[i]);
	if (!status && plan->opts->prune)
		status = prune(plan);
	return status ? status : unusable ? EXIT_FAILED : EXIT_OK;
}

static void print_json(void)
{
	char *none[] = { NULL };
	struct channels all;

	channels_open(&all, none);
	json_print(&all, NULL);
	channels_close(&all);
}

int apply(const struct options *opts, char **args)
{
	struct plan plan = { .opts = opts };
	struct channel usual;
	int status, lock = -1;

	if (opts->force && !opts->prune) {
		complain("apply: --force needs --prune");
		return EXIT_USAGE;
	}
	status = usual_new(&usual);
	if (!status)
		status = declared_read(&plan.declared, args);
	if (!status && opts->prune && plan.declared.nothing_read) {
		complain(DECLARED_DIR ": does not exist; --prune would remove all channels");
		status = EXIT_FAILED;
	}
	if (!status && !opts->dry_run) {
		lock = lock_control();
		if (lock < 0)
			status = EXIT_FAILED;
	}
	if (!status)
		status = apply_declared(&plan);
	if (lock >= 0)
		close(lock);
	free(plan.steps);
	channels_close(&plan.there);
	declared_free(&plan.declared);
	if (opts->json && !status)
		print_json();
	return status;
}
