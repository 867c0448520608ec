// SPDX-License-Identifier: GPL-2.0
/*
 * Restarted writes. The freezer, of a cgroup or of the whole system, interrupts tasks in the
 * system calls in which they sleep. Once thawed, they restart the calls. A restarted write
 * would get its whole timeout again, so the open file keeps the deadline until the same task
 * comes back.
 *
 * A task's restart block cannot be used: the task may call its function at any time, even
 * after the module is unloaded.
 */

#include <linux/list.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "lock.h"
#include "restart.h"
#include "types.h"

/* Most deadlines that an open file keeps: a task may exit instead of coming back. */
#define BPIPE_RESTARTS_MAX	64

/**
 * struct bpipe_restart - the deadline of a write that will be restarted
 * @node: in the restarts of its open file; protected by channel.lock
 * @pid: the task that will restart it, with a reference; does not change
 * @count: length of the write, bytes, at least 1; does not change
 * @deadline: time at which the write times out; does not change
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

/* Return true if a signal interrupted the caller, and not the freezer alone. */
static bool bpipe_restart_signalled(void)
{
	sigset_t set;

	sigorsets(&set, &current->pending.signal, &current->signal->shared_pending.signal);
	sigandnsets(&set, &set, &current->blocked);
	return !sigisemptyset(&set);
}

/**
 * bpipe_restart_error() - choose the error of an interrupted write, and keep its deadline
 * @bf: the open file
 * @count: length of the write, bytes, at least 1; no byte of it is written
 * @deadline: time at which the write times out; KTIME_MAX for never
 *
 * The oldest deadline is forgotten if BPIPE_RESTARTS_MAX are kept already.
 *
 * Context: may sleep.
 * Return: -ERESTARTSYS without a deadline; -ERESTARTNOHAND if the deadline is kept; -EINTR
 * after a signal, in an io_uring worker, or if memory is lacking.
 */
int bpipe_restart_error(struct bpipe_file *bf, size_t count, ktime_t deadline)
{
	struct bpipe_restart *restart, *old = NULL;

	if (deadline == KTIME_MAX)
		return -ERESTARTSYS;
	/* A worker of io_uring does not restart an interrupted call. */
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
 * bpipe_restart_take() - take the deadline that was kept for the caller
 * @bf: the open file
 * @count: length of the write, bytes, at least 1
 *
 * The deadline is no longer kept. A different count shows another write: a signal came while
 * the caller was frozen. A write of the same count after a signal is taken for a restart, as
 * documented in bpipe(4).
 *
 * Context: does not sleep.
 * Return: the deadline; 0 if the write is not restarted.
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
 * bpipe_restart_forget() - free all deadlines of an open file
 * @bf: the open file, about to be freed, without a call in progress
 *
 * Context: does not sleep.
 */
void bpipe_restart_forget(struct bpipe_file *bf)
{
	struct bpipe_restart *restart, *next;

	list_for_each_entry_safe(restart, next, &bf->restarts, node)
		bpipe_restart_free(restart);
}
