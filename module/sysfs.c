// SPDX-License-Identifier: GPL-2.0
/*
 * Attributes under /sys/class/bpipe: one value a file, with the names of the fields in
 * uapi/linux/bpipe.h. docs/ABI documents them.
 */

#include <linux/capability.h>
#include <linux/device.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "buffer.h"
#include "channel.h"
#include "compat.h"
#include "config.h"
#include "node.h"
#include "stats.h"
#include "storage.h"
#include "sysfs.h"
#include "types.h"

static struct bpipe_channel *to_channel(struct device *dev)
{
	return container_of(dev, struct bpipe_channel, dev);
}

/**
 * struct bpipe_attribute - an attribute that shows one field of a structure
 * @attr: the attribute
 * @offset: offset of the field in its structure, bytes
 * @width: size of the field, bytes, 4 or 8
 * @bit: BPIPE_CFG_* bit of a setting; 0 for other fields
 * @words: names of the values, with NULL at the end; NULL for a number
 * @base: base of an id or of mode bits, 10 or 8; -1 then stands for BPIPE_UNSET. 0 for other
 *	fields.
 *
 * Does not change.
 */
struct bpipe_attribute {
	struct device_attribute attr;
	size_t offset;
	size_t width;
	u64 bit;
	const char *const *words;
	unsigned int base;
};

static const struct bpipe_attribute *to_attribute(const struct device_attribute *attr)
{
	return container_of(attr, struct bpipe_attribute, attr);
}

static ssize_t bpipe_emit(const struct bpipe_attribute *at, const void *from, char *buf)
{
	const void *field = from + at->offset;
	u64 value = at->width == sizeof(u32) ? *(const u32 *)field : *(const u64 *)field;

	if (at->words)
		return sysfs_emit(buf, "%s\n", at->words[value]);
	if (at->base && value == BPIPE_UNSET)
		return sysfs_emit(buf, "-1\n");
	if (at->base == 8)
		return sysfs_emit(buf, "%04llo\n", value);
	return sysfs_emit(buf, "%llu\n", value);
}

static ssize_t bpipe_config_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct bpipe_config config;

	bpipe_config_get(to_channel(dev), &config);
	return bpipe_emit(to_attribute(attr), &config, buf);
}

static int bpipe_parse_word(const char *text, const char *const *words, u64 *value)
{
	for (*value = 0; words[*value]; ++*value)
		if (sysfs_streq(text, words[*value]))
			return 0;
	return -EINVAL;
}

static int bpipe_parse(const struct bpipe_attribute *at, const char *text, u64 *value)
{
	u32 id = BPIPE_UNSET;
	int ret = 0;

	if (at->words)
		return bpipe_parse_word(text, at->words, value);
	if (!at->base)
		return bpipe_config_parse(text, value);
	if (!sysfs_streq(text, "-1"))
		ret = kstrtou32(text, at->base, &id);
	*value = id;
	return ret;
}

static ssize_t bpipe_config_store(struct device *dev, struct device_attribute *attr,
				  const char *buf, size_t count)
{
	const struct bpipe_attribute *at = to_attribute(attr);
	struct bpipe_channel *ch = to_channel(dev);
	struct bpipe_config set = { .mask = at->bit };
	void *field = (void *)&set + at->offset;
	u64 value;
	int ret;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	ret = bpipe_parse(at, buf, &value);
	if (ret)
		return ret;
	/* Truncation could make a valid value of one that is too large. */
	if (at->width == sizeof(u32))
		*(u32 *)field = min_t(u64, value, U32_MAX);
	else
		*(u64 *)field = value;
	/*
	 * Removal of an attribute waits for this write, with the control lock held, and the write
	 * may wait for memory. So count the write as an open file: REMOVE fails with EBUSY, and
	 * REMOVE by force ends the wait for memory first.
	 */
	ret = bpipe_channel_get(ch);
	if (ret)
		return ret;
	ret = bpipe_node_configure(ch, &set);
	bpipe_channel_put(ch);
	return ret ?: count;
}

static ssize_t bpipe_stats_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct bpipe_stats *stats = kmalloc(sizeof(*stats), GFP_KERNEL);
	ssize_t ret;

	if (!stats)
		return -ENOMEM;
	ret = bpipe_stats_snapshot(to_channel(dev), stats);
	if (!ret)
		ret = bpipe_emit(to_attribute(attr), stats, buf);
	kfree(stats);
	return ret;
}

static ssize_t bpipe_memory_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct bpipe_storage_bytes bytes;

	bpipe_storage_bytes(to_channel(dev), &bytes);
	return bpipe_emit(to_attribute(attr), &bytes, buf);
}

/* Names of the values of enum bpipe_mode, bpipe_order, bpipe_policy, bpipe_credit, bpipe_state. */
static const char *const bpipe_mode_words[] = { "stream", "record", NULL };
static const char *const bpipe_order_words[] = { "fifo", "priority", NULL };
static const char *const bpipe_policy_words[] = { "block", "error", "drop-newest", "drop-oldest",
						  NULL };
static const char *const bpipe_credit_words[] = { "off", "bytes", "records", NULL };
static const char *const bpipe_state_words[] = { "normal", "pressured", "overloaded", "gone",
						 NULL };

#define BPIPE_ATTR(_name, _mode, _show, _store, _struct, _field, ...) {		\
	.attr = {								\
		.attr = { .name = _name, .mode = _mode },			\
		.show = _show, .store = _store,					\
	},									\
	.offset = offsetof(struct _struct, _field),				\
	.width = sizeof_field(struct _struct, _field),				\
	__VA_ARGS__								\
}

/* A setting: shows and sets a field of struct bpipe_config. */
#define BPIPE_CONFIG_AS(_name, _field, _bit, ...)				\
	BPIPE_ATTR(_name, 0644, bpipe_config_show, bpipe_config_store,		\
		   bpipe_config, _field, .bit = (_bit), __VA_ARGS__)
#define BPIPE_CONFIG(_field, _bit, ...)						\
	BPIPE_CONFIG_AS(#_field, _field, _bit, __VA_ARGS__)
#define BPIPE_LIMIT(_class)							\
	BPIPE_CONFIG_AS("limit." #_class, limit[_class], BPIPE_CFG_LIMIT(_class))
#define BPIPE_TTL(_class)							\
	BPIPE_CONFIG_AS("ttl." #_class, ttl[_class], BPIPE_CFG_TTL(_class))
#define BPIPE_SOJOURN(_class)							\
	BPIPE_CONFIG_AS("sojourn." #_class, sojourn[_class], BPIPE_CFG_SOJOURN(_class))

/* A counter: shows the field of struct bpipe_stats of that name. */
#define BPIPE_STATS(_field, ...)						\
	BPIPE_ATTR(#_field, 0444, bpipe_stats_show, NULL, bpipe_stats, _field, __VA_ARGS__)

/* Memory in use: shows a field of struct bpipe_storage_bytes. */
#define BPIPE_MEMORY_AS(_name, _field)						\
	BPIPE_ATTR(_name, 0444, bpipe_memory_show, NULL, bpipe_storage_bytes, _field)
#define BPIPE_MEMORY(_class)							\
	BPIPE_MEMORY_AS("memory." #_class, class[_class])

static const struct bpipe_attribute bpipe_attributes[] = {
	BPIPE_CONFIG(size, BPIPE_CFG_SIZE),
	BPIPE_CONFIG(high, BPIPE_CFG_HIGH),
	BPIPE_CONFIG(low, BPIPE_CFG_LOW),
	BPIPE_CONFIG(mode, BPIPE_CFG_MODE, .words = bpipe_mode_words),
	BPIPE_CONFIG(order, BPIPE_CFG_ORDER, .words = bpipe_order_words),
	BPIPE_CONFIG(policy, BPIPE_CFG_POLICY, .words = bpipe_policy_words),
	BPIPE_CONFIG(timeout, BPIPE_CFG_TIMEOUT),
	BPIPE_LIMIT(0), BPIPE_LIMIT(1), BPIPE_LIMIT(2), BPIPE_LIMIT(3),
	BPIPE_LIMIT(4), BPIPE_LIMIT(5), BPIPE_LIMIT(6), BPIPE_LIMIT(7),
	BPIPE_TTL(0), BPIPE_TTL(1), BPIPE_TTL(2), BPIPE_TTL(3),
	BPIPE_TTL(4), BPIPE_TTL(5), BPIPE_TTL(6), BPIPE_TTL(7),
	BPIPE_SOJOURN(0), BPIPE_SOJOURN(1), BPIPE_SOJOURN(2), BPIPE_SOJOURN(3),
	BPIPE_SOJOURN(4), BPIPE_SOJOURN(5), BPIPE_SOJOURN(6), BPIPE_SOJOURN(7),
	BPIPE_CONFIG(rate, BPIPE_CFG_RATE),
	BPIPE_CONFIG(burst, BPIPE_CFG_BURST),
	BPIPE_CONFIG(rate_records, BPIPE_CFG_RATE_RECORDS),
	BPIPE_CONFIG(burst_records, BPIPE_CFG_BURST_RECORDS),
	BPIPE_CONFIG(read_rate, BPIPE_CFG_READ_RATE),
	BPIPE_CONFIG(read_burst, BPIPE_CFG_READ_BURST),
	BPIPE_CONFIG(read_rate_records, BPIPE_CFG_READ_RATE_RECORDS),
	BPIPE_CONFIG(read_burst_records, BPIPE_CFG_READ_BURST_RECORDS),
	BPIPE_CONFIG_AS("credit", credit, BPIPE_CFG_CREDIT, .words = bpipe_credit_words),
	BPIPE_CONFIG(overload_after, BPIPE_CFG_OVERLOAD_AFTER),
	BPIPE_CONFIG(hold, BPIPE_CFG_HOLD),
	BPIPE_CONFIG(epipe, BPIPE_CFG_EPIPE),
	BPIPE_CONFIG(drop_to_low, BPIPE_CFG_DROP_TO_LOW),
	BPIPE_CONFIG(uid, BPIPE_CFG_UID, .base = 10),
	BPIPE_CONFIG(gid, BPIPE_CFG_GID, .base = 10),
	BPIPE_CONFIG(permissions, BPIPE_CFG_PERMISSIONS, .base = 8),

	BPIPE_STATS(state, .words = bpipe_state_words),
	BPIPE_STATS(level),
	BPIPE_STATS(window),
	BPIPE_STATS(readers),
	BPIPE_STATS(writers),
	BPIPE_STATS(queued_bytes),
	BPIPE_STATS(queued_records),
	BPIPE_STATS(peak_level),
	BPIPE_STATS(written_bytes),
	BPIPE_STATS(written_records),
	BPIPE_STATS(read_bytes),
	BPIPE_STATS(read_records),
	BPIPE_STATS(dropped_bytes),
	BPIPE_STATS(dropped_records),
	BPIPE_STATS(writes),
	BPIPE_STATS(reads),
	BPIPE_STATS(again),
	BPIPE_STATS(timeouts),
	BPIPE_STATS(blocked),
	BPIPE_STATS(blocked_ns),
	BPIPE_STATS(starved),
	BPIPE_STATS(starved_ns),
	BPIPE_STATS(high_events),
	BPIPE_STATS(low_events),
	BPIPE_STATS(wakeups_read),
	BPIPE_STATS(wakeups_write),
	BPIPE_STATS(throttled),
	BPIPE_STATS(throttled_ns),
	BPIPE_STATS(read_throttled),
	BPIPE_STATS(read_throttled_ns),
	BPIPE_STATS(state_since_ns),
	BPIPE_STATS(overload_events),
	BPIPE_STATS(alarm_since_ns),
	BPIPE_STATS(longest_stall_ns),
	BPIPE_STATS(stalled_ns),
	BPIPE_STATS(stalled_all_ns),
	BPIPE_STATS(write_wait_ns),
	BPIPE_STATS(read_wait_ns),
	BPIPE_STATS(readers_waiting),
	BPIPE_STATS(writers_waiting),

	BPIPE_MEMORY_AS("memory", all),
	BPIPE_MEMORY(0), BPIPE_MEMORY(1), BPIPE_MEMORY(2), BPIPE_MEMORY(3),
	BPIPE_MEMORY(4), BPIPE_MEMORY(5), BPIPE_MEMORY(6), BPIPE_MEMORY(7),
};

/* Append a line of the format of /proc/pressure. @shares are in units of 0.01 %. */
static int bpipe_emit_pressure(char *buf, int at, const char *what, const u32 *shares, u64 ns)
{
	return sysfs_emit_at(buf, at, "%s avg10=%u.%02u avg60=%u.%02u avg300=%u.%02u total=%llu\n",
			     what, shares[0] / 100, shares[0] % 100, shares[1] / 100,
			     shares[1] % 100, shares[2] / 100, shares[2] % 100,
			     div_u64(ns, NSEC_PER_USEC));
}

static ssize_t id_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct bpipe_channel *ch = to_channel(dev);

	return sysfs_emit(buf, "%016llx%016llx\n", ch->id[0], ch->id[1]);
}
static DEVICE_ATTR_RO(id);

/* In the format of /proc/pressure: "some" while a writer stalls, "full" while all writers do. */
static ssize_t pressure_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct bpipe_stats *stats = kmalloc(sizeof(*stats), GFP_KERNEL);
	ssize_t ret;

	if (!stats)
		return -ENOMEM;
	ret = bpipe_stats_snapshot(to_channel(dev), stats);
	if (ret)
		goto out;
	ret = bpipe_emit_pressure(buf, 0, "some", stats->stalled, stats->stalled_ns);
	ret += bpipe_emit_pressure(buf, ret, "full", stats->stalled_all, stats->stalled_all_ns);
out:
	kfree(stats);
	return ret;
}
static DEVICE_ATTR_RO(pressure);

/* bpipe_sysfs_init() copies bpipe_attributes[] into the first elements. The last one is NULL. */
static struct attribute *bpipe_channel_attrs[ARRAY_SIZE(bpipe_attributes) + 3] = {
	[ARRAY_SIZE(bpipe_attributes)] = &dev_attr_pressure.attr,
	[ARRAY_SIZE(bpipe_attributes) + 1] = &dev_attr_id.attr,
};

/**
 * bpipe_sysfs_init() - fill in the list of attributes of a channel
 *
 * Context: called once, before the first channel is created; does not sleep.
 */
void __init bpipe_sysfs_init(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bpipe_attributes); i++)
		bpipe_channel_attrs[i] = (struct attribute *)&bpipe_attributes[i].attr.attr;
}

/*
 * All counters, as one snapshot. Attributes that are read one after the other are different
 * snapshots, so sums over them are not exact.
 */
static ssize_t stats_read(struct file *file, struct kobject *kobj,
			  BPIPE_BIN_ATTR_CONST struct bin_attribute *attr, char *buf,
			  loff_t pos, size_t count)
{
	struct bpipe_stats *stats = kmalloc(sizeof(*stats), GFP_KERNEL);
	ssize_t ret;

	if (!stats)
		return -ENOMEM;
	ret = bpipe_stats_snapshot(to_channel(kobj_to_dev(kobj)), stats);
	if (!ret)
		ret = memory_read_from_buffer(buf, count, &pos, stats, sizeof(*stats));
	kfree(stats);
	return ret;
}
static BPIPE_BIN_ATTR_CONST BIN_ATTR_RO(stats, sizeof(struct bpipe_stats));

static ssize_t config_read(struct file *file, struct kobject *kobj,
			   BPIPE_BIN_ATTR_CONST struct bin_attribute *attr, char *buf,
			   loff_t pos, size_t count)
{
	struct bpipe_config config;

	bpipe_config_get(to_channel(kobj_to_dev(kobj)), &config);
	return memory_read_from_buffer(buf, count, &pos, &config, sizeof(config));
}
static BPIPE_BIN_ATTR_CONST BIN_ATTR_RO(config, sizeof(struct bpipe_config));

static BPIPE_BIN_ATTR_CONST struct bin_attribute *BPIPE_BIN_ATTR_CONST bpipe_channel_bin_attrs[] = {
	&bin_attr_stats,
	&bin_attr_config,
	NULL
};

static const struct attribute_group bpipe_channel_group = {
	.attrs = bpipe_channel_attrs,
	.bin_attrs = bpipe_channel_bin_attrs,
};

const struct attribute_group *bpipe_channel_groups[] = { &bpipe_channel_group, NULL };

/*
 * Attributes of the class: "memory" is the sum of all buffers, bytes; "memory_max" is the cap on
 * it, bytes; "memory_share" is the part of the cap that one channel may take, percent, 1..100.
 */
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

static ssize_t memory_share_show(BPIPE_CLASS_ATTR_CONST struct class *class,
				 BPIPE_CLASS_ATTR_CONST struct class_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", bpipe_buffer_percent());
}

static ssize_t memory_share_store(BPIPE_CLASS_ATTR_CONST struct class *class,
				  BPIPE_CLASS_ATTR_CONST struct class_attribute *attr,
				  const char *buf, size_t count)
{
	unsigned int percent;
	int ret = capable(CAP_SYS_ADMIN) ? kstrtouint(buf, 10, &percent) : -EPERM;

	if (ret)
		return ret;
	if (percent < 1 || percent > 100)
		return -EINVAL;
	bpipe_buffer_set_percent(percent);
	return count;
}
static CLASS_ATTR_RW(memory_share);

static struct attribute *bpipe_class_attrs[] = {
	&class_attr_memory.attr,
	&class_attr_memory_max.attr,
	&class_attr_memory_share.attr,
	NULL
};

static const struct attribute_group bpipe_class_group = {
	.attrs = bpipe_class_attrs,
};

static const struct attribute_group *bpipe_class_groups[] = { &bpipe_class_group, NULL };

struct class bpipe_class = {
	.name = "bpipe",
	.class_groups = bpipe_class_groups,
};
