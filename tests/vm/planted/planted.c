// SPDX-License-Identifier: GPL-2.0
/*
 * Bugs that a debug kernel must report; tests/vm/planted/run checks that it does. Each load
 * plants one bug: insmod planted.ko bug=NAME
 */

#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timer.h>
#include <linux/vmalloc.h>

static char *bug = "";
module_param(bug, charp, 0444);
MODULE_PARM_DESC(bug, "name of the bug to plant");

/* Volatile, so that the compiler removes none of the accesses. */
static char *volatile memory;
static volatile size_t index;

static void planted_slab(void)
{
	index = 40;
	memory = kmalloc(40, GFP_KERNEL);
	memory[index] = 1;
	kfree(memory);
}

/* A channel's data is in vmalloc memory, whose size need not be a multiple of the page size. */
static void planted_vmalloc(void)
{
	index = PAGE_SIZE - 100;
	memory = vmalloc(PAGE_SIZE - 100);
	memory[index] = 1;
	vfree(memory);
}

static void planted_free(void)
{
	memory = kmalloc(40, GFP_KERNEL);
	kfree(memory);
	memory[8] = 1;
}

static DEFINE_MUTEX(planted_a);
static DEFINE_MUTEX(planted_b);

static void planted_inversion(void)
{
	mutex_lock(&planted_a);
	mutex_lock(&planted_b);
	mutex_unlock(&planted_b);
	mutex_unlock(&planted_a);
	mutex_lock(&planted_b);
	mutex_lock(&planted_a);
	mutex_unlock(&planted_a);
	mutex_unlock(&planted_b);
}

static DEFINE_SPINLOCK(planted_lock);

static void planted_sleep(void)
{
	spin_lock(&planted_lock);
	mutex_lock(&planted_a);
	mutex_unlock(&planted_a);
	spin_unlock(&planted_lock);
}

static void planted_nothing(struct timer_list *timer)
{
}

static void planted_timer(void)
{
	struct timer_list *timer = kmalloc(sizeof(*timer), GFP_KERNEL);

	timer_setup(timer, planted_nothing, 0);
	mod_timer(timer, jiffies + 3600 * HZ);
	kfree(timer);
}

/* Leak many objects, because kmemleak misses an object to which a stale pointer remains. */
static void planted_leak(void)
{
	int i;

	for (i = 0; i < 100; i++)
		memory = kmalloc(40, GFP_KERNEL);
	memory = NULL;
}

static int planted_shared;

static int planted_racer(void *done)
{
	int i;

	for (i = 0; i < 1000000; i++) {
		planted_shared++;
		barrier();
	}
	complete(done);
	return 0;
}

static void planted_race(void)
{
	DECLARE_COMPLETION_ONSTACK(one);
	DECLARE_COMPLETION_ONSTACK(two);

	kthread_run(planted_racer, &one, "planted1");
	kthread_run(planted_racer, &two, "planted2");
	wait_for_completion(&one);
	wait_for_completion(&two);
}

static const struct {
	const char *name;
	void (*plant)(void);
} planted[] = {
	{ "slab", planted_slab },
	{ "vmalloc", planted_vmalloc },
	{ "free", planted_free },
	{ "inversion", planted_inversion },
	{ "sleep", planted_sleep },
	{ "timer", planted_timer },
	{ "leak", planted_leak },
	{ "race", planted_race },
};

static int __init planted_init(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(planted); i++) {
		if (!strcmp(bug, planted[i].name)) {
			planted[i].plant();
			return 0;
		}
	}
	return -EINVAL;
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);

MODULE_DESCRIPTION("Bugs that a debug kernel must report");
MODULE_LICENSE("GPL");
