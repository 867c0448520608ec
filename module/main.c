// SPDX-License-Identifier: GPL-2.0
/*
 * Load and unload the module.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/device/class.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/vmalloc.h>

#include "buffer.h"
#include "config.h"
#include "control.h"
#include "sysfs.h"

static u64 bpipe_size = 1024 * 1024;

static int bpipe_size_set(const char *val, const struct kernel_param *kp)
{
	return bpipe_config_parse(val, &bpipe_size);
}

static int bpipe_size_get(char *buf, const struct kernel_param *kp)
{
	return sprintf(buf, "%llu\n", bpipe_size);
}

static const struct kernel_param_ops bpipe_size_ops = {
	.set = bpipe_size_set,
	.get = bpipe_size_get,
};

module_param_cb(size, &bpipe_size_ops, NULL, 0444);
MODULE_PARM_DESC(size, "Size of a new channel, in bytes or with suffix K, M or G (default 1M)");

/* Log why loading failed: insmod shows only the error, not the parameter that caused it. */
static void __init bpipe_explain(int error)
{
	if (bpipe_size < BPIPE_SIZE_MIN || bpipe_size > BPIPE_SIZE_MAX)
		pr_err("parameter size is %llu, but must be %llu to %llu bytes\n", bpipe_size,
		       BPIPE_SIZE_MIN, BPIPE_SIZE_MAX);
	else if (error == -ENOSPC)
		pr_err("parameter size is %llu, but the buffers of a channel may take at most %llu bytes\n",
		       bpipe_size, bpipe_buffer_share());
	else
		pr_err("cannot create /dev/bpipe: error %d\n", error);
}

static int __init bpipe_init(void)
{
	u64 max = (u64)totalram_pages() * PAGE_SIZE / 8;
	int ret;

	/*
	 * Cap on the sum of all buffers, until memory_max is written. Buffers are in vmalloc space,
	 * which is small on a 32-bit kernel, and which modules and drivers need, too.
	 */
	if (!IS_ENABLED(CONFIG_64BIT))
		max = min_t(u64, max, VMALLOC_TOTAL / 2);
	bpipe_buffer_set_max(max);

	bpipe_sysfs_init();
	ret = class_register(&bpipe_class);
	if (ret)
		return ret;
	ret = bpipe_control_init(bpipe_size);
	if (ret) {
		bpipe_explain(ret);
		class_unregister(&bpipe_class);
	}
	return ret;
}

static void __exit bpipe_exit(void)
{
	bpipe_control_uninit();
	class_unregister(&bpipe_class);
}

module_init(bpipe_init);
module_exit(bpipe_exit);

MODULE_AUTHOR("The bpipe maintainers");
MODULE_DESCRIPTION("A pipe with a fixed size, watermarks, classes and rate limits");
MODULE_LICENSE("GPL");
MODULE_VERSION(BPIPE_VERSION);
