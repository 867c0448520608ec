// SPDX-License-Identifier: GPL-2.0
/*
 * Restarted writes. The freezer, of a cgroup or of the whole system, has tasks leave the
 * system calls in which they sleep, and begin them again once they are thawed. A write with
 * a timeout would have all of its time again: its deadline is kept with the open file
 * until the same task comes back.
 *
 * The restart block of a task is not for this: a task may run its function at any time, also
 * when the module is gone.
 */

#include <linux/list.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "lock.h"
#include "restart.h"
#include "types.h"

/* Deadlines that an open file keeps: tasks may end without coming back for theirs. */
#define BPIPE_RESTARTS_MAX	64

/**
 * struct bpipe_restart - the deadline of a write that will be restarted
 * @node: in the list of its open file
 * @pid: the task that will, referenced
 * @count: bytes that it writes
 * @deadline: when it times out
 */
struct bpipe_restart {
	struct list_head node;
	struct pid *pid;
	size_t count;
	ktime_t deadline;
};

static void bpipe_restart_free(struct bpipe_restart *restart)
{
	if (!restart)
		return;
	put_pid(restart->pid);
	kfree(restart);
}

/* Return true if the caller has a signal to handle, so it does more than freeze. */
static bool bpipe_restart_signalled(void)
{
	sigset_t set;

	sigorsets(&set, &current->pending.signal, &current->signal->shared_pending.signal);
	sigandnsets(&set, &set, &current->blocked);
	return !sigisemptyset(&set);
}

/**
 * bpipe_restart_error() - what a write that was interrupted as it waited returns
 * @bf: the open file
 * @count: bytes that it was to write, of which it has written none
 * @deadline: when it times out; KTIME_MAX for never
 *
 * Context: may sleep.
 * Return: -ERESTARTSYS without a deadline; -EINTR after a signal, or without memory;
 * -ERESTARTNOHAND otherwise, and the deadline is kept.
 */
int bpipe_restart_error(struct bpipe_file *bf, size_t count, ktime_t deadline)
{
	struct bpipe_restart *restart, *old = NULL;

	if (deadline == KTIME_MAX)
		return -ERESTARTSYS;
	/* A worker of io_uring does not come back to what it was told to leave. */
	if (bpipe_restart_signalled() || current->flags & PF_IO_WORKER)
		return -EINTR;
	restart = kmalloc(sizeof(*restart), GFP_KERNEL_ACCOUNT);
	if (!restart)
		return -EINTR;
	restart->pid = get_pid(task_pid(current));
	restart->count = count;
	restart->deadline = deadline;

	bpipe_channel_lock(bf->ch);
	if (bf->nr_restarts == BPIPE_RESTARTS_MAX) {
		old = list_first_entry(&bf->restarts, struct bpipe_restart, node);
		list_del(&old->node);
	} else {
		WRITE_ONCE(bf->nr_restarts, bf->nr_restarts + 1);
	}
	list_add_tail(&restart->node, &bf->restarts);
	bpipe_channel_unlock(bf->ch);
	bpipe_restart_free(old);
	return -ERESTARTNOHAND;
}

/**
 * bpipe_restart_take() - the deadline of a write, if it is restarted
 * @bf: the open file
 * @count: bytes that it writes
 *
 * What was kept for the caller is forgotten by this. If it comes with another count, a signal
 * came while it was frozen, and it does something else by now. With the same count, after a
 * signal, it goes on with what it did: bpipe(4) says so.
 *
 * Context: does not sleep.
 * Return: the deadline; 0 if it is not restarted.
 */
ktime_t bpipe_restart_take(struct bpipe_file *bf, size_t count)
{
	struct bpipe_restart *restart, *found = NULL;
	ktime_t deadline;

	bpipe_channel_lock(bf->ch);
	list_for_each_entry(restart, &bf->restarts, node) {
		if (restart->pid != task_pid(current))
			continue;
		found = restart;
		list_del(&found->node);
		WRITE_ONCE(bf->nr_restarts, bf->nr_restarts - 1);
		break;
	}
	bpipe_channel_unlock(bf->ch);
	deadline = found && found->count == count ? found->deadline : 0;
	bpipe_restart_free(found);
	return deadline;
}

/**
 * bpipe_restart_forget() - forget all deadlines of an open file
 * @bf: the open file, which is about to be freed
 *
 * Context: does not sleep.
 */
void bpipe_restart_forget(struct bpipe_file *bf)
{
	struct bpipe_restart *restart, *next;

	list_for_each_entry_safe(restart, next, &bf->restarts, node)
		bpipe_restart_free(restart);
}
