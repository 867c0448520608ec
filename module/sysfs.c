// SPDX-License-Identifier: GPL-2.0
/*
 * Attributes under /sys/class/bpipe: one value a file, under the names of the
 * fields in uapi/linux/bpipe.h.
 */

#include <linux/capability.h>
#include <linux/device.h>
#include <linux/kernel.h>
#include <linux/sysfs.h>

#include "buffer.h"
#include "channel.h"
#include "config.h"
#include "compat.h"

static struct bpipe_channel *to_channel(struct device *dev)
{
	return container_of(dev, struct bpipe_channel, dev);
}

static ssize_t bpipe_store(struct device *dev, const char *buf, size_t count,
			   struct bpipe_config *set, u64 value)
{
	int ret;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	set->size = value;
	set->high = value;
	set->low = value;
	set->rate = value;
	set->burst = value;
	set->hold = min_t(u64, value, U32_MAX);
	set->epipe = min_t(u64, value, U32_MAX);
	ret = bpipe_config_set(to_channel(dev), set);
	return ret ?: count;
}

#define BPIPE_CONFIG_SHOW(_name)						\
static ssize_t _name##_show(struct device *dev, struct device_attribute *attr,	\
			    char *buf)						\
{										\
	struct bpipe_config config;						\
										\
	bpipe_config_get(to_channel(dev), &config);				\
	return sysfs_emit(buf, "%llu\n", (u64)config._name);			\
}

/* A setting: reads and writes struct bpipe_config's field of that name. */
#define BPIPE_CONFIG_ATTR(_name, _bit)						\
BPIPE_CONFIG_SHOW(_name)							\
static ssize_t _name##_store(struct device *dev, struct device_attribute *attr,	\
			     const char *buf, size_t count)			\
{										\
	struct bpipe_config set = { .mask = (_bit) };				\
	u64 value;								\
	int ret = bpipe_config_parse(buf, &value);					\
										\
	return ret ?: bpipe_store(dev, buf, count, &set, value);		\
}										\
static DEVICE_ATTR_RW(_name)

BPIPE_CONFIG_ATTR(size, BPIPE_CFG_SIZE);
BPIPE_CONFIG_ATTR(high, BPIPE_CFG_HIGH);
BPIPE_CONFIG_ATTR(low, BPIPE_CFG_LOW);
BPIPE_CONFIG_ATTR(rate, BPIPE_CFG_RATE);
BPIPE_CONFIG_ATTR(burst, BPIPE_CFG_BURST);
BPIPE_CONFIG_ATTR(hold, BPIPE_CFG_HOLD);
BPIPE_CONFIG_ATTR(epipe, BPIPE_CFG_EPIPE);

static ssize_t mode_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "stream\n");
}
static DEVICE_ATTR_RO(mode);

static ssize_t state_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct bpipe_stats stats;

	bpipe_stats_snapshot(to_channel(dev), &stats);
	return sysfs_emit(buf, "%s\n",
			  stats.state == BPIPE_STATE_PRESSURED ? "pressured" : "normal");
}
static DEVICE_ATTR_RO(state);

/* A counter: reads struct bpipe_stats' field of that name. */
#define BPIPE_STATS_ATTR(_name)							\
static ssize_t _name##_show(struct device *dev, struct device_attribute *attr,	\
			    char *buf)						\
{										\
	struct bpipe_stats stats;						\
										\
	bpipe_stats_snapshot(to_channel(dev), &stats);				\
	return sysfs_emit(buf, "%llu\n", (u64)stats._name);			\
}										\
static DEVICE_ATTR_RO(_name)

BPIPE_STATS_ATTR(level);
BPIPE_STATS_ATTR(window);
BPIPE_STATS_ATTR(readers);
BPIPE_STATS_ATTR(writers);
BPIPE_STATS_ATTR(queued_bytes);
BPIPE_STATS_ATTR(peak_level);
BPIPE_STATS_ATTR(written_bytes);
BPIPE_STATS_ATTR(read_bytes);
BPIPE_STATS_ATTR(writes);
BPIPE_STATS_ATTR(reads);
BPIPE_STATS_ATTR(again);
BPIPE_STATS_ATTR(blocked);
BPIPE_STATS_ATTR(blocked_ns);
BPIPE_STATS_ATTR(starved);
BPIPE_STATS_ATTR(starved_ns);
BPIPE_STATS_ATTR(high_events);
BPIPE_STATS_ATTR(low_events);
BPIPE_STATS_ATTR(wakeups_read);
BPIPE_STATS_ATTR(wakeups_write);
BPIPE_STATS_ATTR(throttled);
BPIPE_STATS_ATTR(throttled_ns);
BPIPE_STATS_ATTR(state_since_ns);
BPIPE_STATS_ATTR(write_wait_ns);
BPIPE_STATS_ATTR(read_wait_ns);
BPIPE_STATS_ATTR(readers_waiting);
BPIPE_STATS_ATTR(writers_waiting);

static struct attribute *bpipe_channel_attrs[] = {
	&dev_attr_size.attr,
	&dev_attr_high.attr,
	&dev_attr_low.attr,
	&dev_attr_rate.attr,
	&dev_attr_burst.attr,
	&dev_attr_hold.attr,
	&dev_attr_epipe.attr,
	&dev_attr_mode.attr,
	&dev_attr_state.attr,
	&dev_attr_level.attr,
	&dev_attr_window.attr,
	&dev_attr_readers.attr,
	&dev_attr_writers.attr,
	&dev_attr_queued_bytes.attr,
	&dev_attr_peak_level.attr,
	&dev_attr_written_bytes.attr,
	&dev_attr_read_bytes.attr,
	&dev_attr_writes.attr,
	&dev_attr_reads.attr,
	&dev_attr_again.attr,
	&dev_attr_blocked.attr,
	&dev_attr_blocked_ns.attr,
	&dev_attr_starved.attr,
	&dev_attr_starved_ns.attr,
	&dev_attr_high_events.attr,
	&dev_attr_low_events.attr,
	&dev_attr_wakeups_read.attr,
	&dev_attr_wakeups_write.attr,
	&dev_attr_throttled.attr,
	&dev_attr_throttled_ns.attr,
	&dev_attr_state_since_ns.attr,
	&dev_attr_write_wait_ns.attr,
	&dev_attr_read_wait_ns.attr,
	&dev_attr_readers_waiting.attr,
	&dev_attr_writers_waiting.attr,
	NULL
};

static const struct attribute_group bpipe_channel_group = {
	.attrs = bpipe_channel_attrs,
};

const struct attribute_group *bpipe_channel_groups[] = { &bpipe_channel_group, NULL };

/* /sys/class/bpipe/memory: bytes of all buffers; memory_max: their cap. */
static ssize_t memory_show(BPIPE_CLASS_ATTR_CONST struct class *class,
			   BPIPE_CLASS_ATTR_CONST struct class_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", bpipe_buffer_used());
}
static CLASS_ATTR_RO(memory);

static ssize_t memory_max_show(BPIPE_CLASS_ATTR_CONST struct class *class,
			       BPIPE_CLASS_ATTR_CONST struct class_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", bpipe_buffer_max());
}

static ssize_t memory_max_store(BPIPE_CLASS_ATTR_CONST struct class *class,
				BPIPE_CLASS_ATTR_CONST struct class_attribute *attr,
				const char *buf, size_t count)
{
	u64 value;
	int ret = capable(CAP_SYS_ADMIN) ? bpipe_config_parse(buf, &value) : -EPERM;

	if (ret)
		return ret;
	bpipe_buffer_set_max(value);
	return count;
}
static CLASS_ATTR_RW(memory_max);

static struct attribute *bpipe_class_attrs[] = {
	&class_attr_memory.attr,
	&class_attr_memory_max.attr,
	NULL
};

static const struct attribute_group bpipe_class_group = {
	.attrs = bpipe_class_attrs,
};

const struct attribute_group *bpipe_class_groups[] = { &bpipe_class_group, NULL };
