// SPDX-License-Identifier: GPL-2.0
/*
 * The configuration of a channel, and the settings of an open file.
 *
 * SET_CONFIG copies the configuration, changes the copy, and checks it as a whole. Then it applies
 * the copy with all locks of the channel held. So a refused change has changed nothing.
 */

#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "band.h"
#include "buffer.h"
#include "config.h"
#include "flow.h"
#include "lock.h"
#include "shed.h"
#include "storage.h"
#include "trace.h"
#include "types.h"
#include "wait.h"

/**
 * bpipe_config_parse() - parse a number with an optional unit
 * @text: decimal digits; K, M or G in either case, for powers of 1024, or nothing; an optional
 *	newline
 * @value: the number, 0..U64_MAX; unchanged after an error
 *
 * memparse() accepts other forms, too, and lets large numbers wrap around.
 *
 * Context: any.
 * Return: 0; -EINVAL if @text has another form; -ERANGE if it has more than 20 digits, or the
 * number exceeds U64_MAX.
 */
int bpipe_config_parse(const char *text, u64 *value)
{
	static const char units[] = "KMG";
	char number[sizeof("18446744073709551615")];
	size_t digits = strspn(text, "0123456789");
	const char *unit;
	u64 count;
	int ret;

	if (digits >= sizeof(number))
		return -ERANGE;
	strscpy(number, text, digits + 1);
	ret = kstrtou64(number, 10, &count);
	if (ret)
		return ret;

	text += digits;
	unit = *text ? strchr(units, toupper(*text)) : NULL;
	if (unit) {
		text++;
		if (check_shl_overflow(count, 10 * (unit - units + 1), &count))
			return -ERANGE;
	}
	if (strcmp(text, "") && strcmp(text, "\n"))
		return -EINVAL;
	*value = count;
	return 0;
}

/**
 * struct bpipe_new_config - a configuration that is not applied yet
 * @flow: the settings of the flow; its state is not used
 * @set: the other settings
 * @overload_after_ns: longest time under pressure, nanoseconds, 0..BPIPE_TIMEOUT_MAX; 0 for no
 *	limit
 *
 * Belongs to one call of bpipe_config_set().
 */
struct bpipe_new_config {
	struct bpipe_flow flow;
	struct bpipe_settings set;
	u64 overload_after_ns;
};

/* Smallest burst that follows a rate: two atomic writes, in bytes; or one record. */
#define BPIPE_BURST_BYTES	(2 * PIPE_BUF)
#define BPIPE_BURST_RECORDS	1

/* Set a rate and its burst. A burst of 0, as in a new channel, follows the rate. */
static void bpipe_new_rate(struct bpipe_new_config *new, struct bpipe_bucket *bucket, u64 least,
			   const struct bpipe_config *set, u64 rate_bit, u64 rate,
			   u64 burst_bit, u64 burst)
{
	if (set->mask & rate_bit)
		bucket->rate = rate;
	if (set->mask & burst_bit) {
		bucket->burst = burst;
		new->set.burst_follows &= ~burst_bit;
		if (!burst)
			new->set.burst_follows |= burst_bit;
	}
	if (new->set.burst_follows & burst_bit)
		bucket->burst = bpipe_flow_default_burst(bucket->rate, least);
}

static void bpipe_new_rates(struct bpipe_new_config *new, const struct bpipe_config *set)
{
	bpipe_new_rate(new, &new->flow.write.bytes, BPIPE_BURST_BYTES, set,
		       BPIPE_CFG_RATE, set->rate, BPIPE_CFG_BURST, set->burst);
	bpipe_new_rate(new, &new->flow.write.records, BPIPE_BURST_RECORDS, set,
		       BPIPE_CFG_RATE_RECORDS, set->rate_records,
		       BPIPE_CFG_BURST_RECORDS, set->burst_records);
	bpipe_new_rate(new, &new->flow.read.bytes, BPIPE_BURST_BYTES, set,
		       BPIPE_CFG_READ_RATE, set->read_rate,
		       BPIPE_CFG_READ_BURST, set->read_burst);
	bpipe_new_rate(new, &new->flow.read.records, BPIPE_BURST_RECORDS, set,
		       BPIPE_CFG_READ_RATE_RECORDS, set->read_rate_records,
		       BPIPE_CFG_READ_BURST_RECORDS, set->read_burst_records);
}

/* Return the level with the same share of @size. The product fits: sizes are at most 2^30. */
static u64 bpipe_share_of(const struct bpipe_share *share, u64 size)
{
	return div64_u64(share->part * size, share->of);
}

/*
 * Set a size, and scale marks and limits to it. Scale what was set, not what is in force, so that
 * rounding does not accumulate: a size that is changed and changed back restores all marks.
 */
static void bpipe_new_size(struct bpipe_new_config *new, u64 size)
{
	const struct bpipe_settings *set = &new->set;
	struct bpipe_flow *flow = &new->flow;
	u32 class;

	flow->size = size;
	/* The products could overflow, and bpipe_flow_valid() refuses the size. */
	if (size > BPIPE_SIZE_MAX)
		return;
	flow->low = bpipe_share_of(&set->low, size);
	flow->high = max(bpipe_share_of(&set->high, size), flow->low + 1);
	for (class = 0; class < BPIPE_CLASSES; class++)
		if (set->limit[class].part)
			flow->limit[class] = max(BPIPE_SIZE_MIN,
						 bpipe_share_of(&set->limit[class], size));
}

/* Set size, marks and limits. The size comes first: marks and limits are kept as shares of it. */
static void bpipe_new_levels(struct bpipe_new_config *new, const struct bpipe_config *set)
{
	struct bpipe_flow *flow = &new->flow;
	u32 class;

	if (set->mask & BPIPE_CFG_SIZE && set->size != flow->size)
		bpipe_new_size(new, set->size);
	if (set->mask & BPIPE_CFG_HIGH) {
		flow->high = set->high;
		new->set.high = (struct bpipe_share) { set->high, flow->size };
	}
	if (set->mask & BPIPE_CFG_LOW) {
		flow->low = set->low;
		new->set.low = (struct bpipe_share) { set->low, flow->size };
	}
	for (class = 0; class < BPIPE_CLASSES; class++) {
		if (!(set->mask & BPIPE_CFG_LIMIT(class)))
			continue;
		flow->limit[class] = set->limit[class];
		new->set.limit[class] = (struct bpipe_share) { set->limit[class], flow->size };
	}
}

static void bpipe_new_times(struct bpipe_new_config *new, const struct bpipe_config *set)
{
	u32 class;

	if (set->mask & BPIPE_CFG_TIMEOUT)
		new->set.timeout_ns = set->timeout;
	if (set->mask & BPIPE_CFG_OVERLOAD_AFTER)
		new->overload_after_ns = set->overload_after;
	for (class = 0; class < BPIPE_CLASSES; class++) {
		if (set->mask & BPIPE_CFG_TTL(class))
			new->set.ttl_ns[class] = set->ttl[class];
		if (set->mask & BPIPE_CFG_SOJOURN(class))
			new->set.sojourn_ns[class] = set->sojourn[class];
	}
	new->set.sheds = memchr_inv(new->set.ttl_ns, 0, sizeof(new->set.ttl_ns)) ||
			  memchr_inv(new->set.sojourn_ns, 0, sizeof(new->set.sojourn_ns));
}

/*
 * Copy the configuration of the channel into @new, and change the copy as @set asks. The caller
 * holds the configuration lock until it applies the copy, so the original does not change.
 */
static void bpipe_new_config_fill(struct bpipe_channel *ch, const struct bpipe_config *set,
				  struct bpipe_new_config *new)
{
	bpipe_channel_lock(ch);
	new->flow = ch->flow;
	new->set = ch->set;
	new->overload_after_ns = ch->overload.after_ns;
	bpipe_channel_unlock(ch);

	bpipe_new_levels(new, set);
	bpipe_new_rates(new, set);
	bpipe_new_times(new, set);
	if (set->mask & BPIPE_CFG_MODE)
		new->set.mode = set->mode;
	if (set->mask & BPIPE_CFG_ORDER)
		new->set.order = set->order;
	if (set->mask & BPIPE_CFG_POLICY)
		new->set.policy = set->policy;
	if (set->mask & BPIPE_CFG_CREDIT)
		new->flow.credit_unit = set->credit;
	if (set->mask & BPIPE_CFG_HOLD)
		new->set.hold = set->hold;
	if (set->mask & BPIPE_CFG_EPIPE)
		new->set.epipe = set->epipe;
	if (set->mask & BPIPE_CFG_DROP_TO_LOW)
		new->flow.drop_to_low = set->drop_to_low;
	if (set->mask & BPIPE_CFG_UID)
		new->set.uid = set->uid;
	if (set->mask & BPIPE_CFG_GID)
		new->set.gid = set->gid;
	if (set->mask & BPIPE_CFG_PERMISSIONS)
		new->set.permissions = set->permissions;
	new->flow.overhead = new->set.mode == BPIPE_MODE_RECORD ? BPIPE_RECORD_OVERHEAD : 0;
}

/* Check each field of @set by itself. */
static int bpipe_config_check(const struct bpipe_config *set)
{
	u32 class;

	if (set->mask & ~BPIPE_CFG_KNOWN ||
	    (set->mask & BPIPE_CFG_MODE && set->mode > BPIPE_MODE_RECORD) ||
	    (set->mask & BPIPE_CFG_ORDER && set->order > BPIPE_ORDER_PRIORITY) ||
	    (set->mask & BPIPE_CFG_POLICY && set->policy > BPIPE_POLICY_DROP_OLDEST) ||
	    (set->mask & BPIPE_CFG_CREDIT && set->credit > BPIPE_CREDIT_RECORDS))
		return -EOPNOTSUPP;
	if (set->pad || set->pad2 || set->pad3 || set->pad4 ||
	    (set->mask & BPIPE_CFG_PERMISSIONS && set->permissions > 0777 &&
	     set->permissions != BPIPE_UNSET) ||
	    (set->mask & BPIPE_CFG_HOLD && set->hold > 1) ||
	    (set->mask & BPIPE_CFG_EPIPE && set->epipe > 1) ||
	    (set->mask & BPIPE_CFG_DROP_TO_LOW && set->drop_to_low > 1) ||
	    (set->mask & BPIPE_CFG_TIMEOUT && set->timeout > BPIPE_TIMEOUT_MAX) ||
	    (set->mask & BPIPE_CFG_OVERLOAD_AFTER && set->overload_after > BPIPE_TIMEOUT_MAX))
		return -EINVAL;
	for (class = 0; class < BPIPE_CLASSES; class++)
		if ((set->mask & BPIPE_CFG_TTL(class) && set->ttl[class] > BPIPE_TIMEOUT_MAX) ||
		    (set->mask & BPIPE_CFG_SOJOURN(class) &&
		     set->sojourn[class] > BPIPE_TIMEOUT_MAX))
			return -EINVAL;
	return 0;
}

/* Check that the settings are consistent with each other. */
static int bpipe_new_config_check(const struct bpipe_new_config *new)
{
	const struct bpipe_flow *flow = &new->flow;

	if (!bpipe_flow_valid(flow))
		return -EINVAL;
	if (new->set.mode == BPIPE_MODE_STREAM &&
	    (new->set.order != BPIPE_ORDER_FIFO || new->set.policy == BPIPE_POLICY_DROP_OLDEST ||
	     flow->credit_unit == BPIPE_CREDIT_RECORDS ||
	     flow->write.records.rate || flow->read.records.rate || new->set.sheds))
		return -EOPNOTSUPP;
	return 0;
}

/*
 * Fill in and check @new, allocate the buffers that it needs, and lock the configuration. Buffers
 * are allocated without the lock, so fill in and check @new again after each allocation.
 *
 * Return: 0 with the configuration lock held; an error without it. The caller frees @spare.
 */
static int bpipe_new_lock_config(struct bpipe_channel *ch, const struct bpipe_config *set,
				 struct bpipe_new_config *new, struct bpipe_storage *spare)
{
	u32 missing;
	int ret;

	do {
		ret = bpipe_channel_lock_config(ch);
		if (ret)
			return ret;
		bpipe_new_config_fill(ch, set, new);
		ret = bpipe_new_config_check(new);
		if (!ret && new->flow.size != ch->flow.size &&
		    PAGE_ALIGN(new->flow.size) > bpipe_buffer_share())
			ret = -ENOSPC;
		missing = ret ? 0 : bpipe_storage_missing_config(ch, new->set.mode,
								 new->flow.size, spare);
		if (!ret && !missing) {
			bpipe_storage_fit(ch, spare, new->flow.size);
			return 0;
		}
		mutex_unlock(&ch->config);
		if (!ret)
			ret = bpipe_storage_alloc(ch, spare, missing, new->flow.size);
	} while (!ret);
	return ret;
}

/*
 * Return -EBUSY if the level is above the new size, or if data, a waiting writer or an open file
 * prevents the change of the mode.
 */
static int bpipe_new_config_busy_locked(struct bpipe_channel *ch,
					const struct bpipe_new_config *new)
	__must_hold(&ch->lock)
{
	size_t level = bpipe_level_now(&ch->level);

	lockdep_assert_held(&ch->config);
	lockdep_assert_held(&ch->wr.lock);
	lockdep_assert_held(&ch->rd.lock);
	lockdep_assert_held(&ch->lock);
	if (level > new->flow.size)
		return -EBUSY;
	if (new->set.mode == ch->set.mode)
		return 0;
	if (level || ch->wr.waiting || !list_empty(&ch->wr.rate_waiters))
		return -EBUSY;
	return new->set.mode == BPIPE_MODE_STREAM && ch->record_files ? -EBUSY : 0;
}

/*
 * Return true if what one poller finds may differ from what another finds, so that a wake-up must
 * reach all of them. Limits differ by class. Reservations of tokens and credit bind only some
 * classes, and writers need different amounts.
 */
static bool bpipe_flow_wakes_all(const struct bpipe_flow *flow)
{
	u32 class;

	if (flow->limited)
		return true;
	for (class = 0; class < BPIPE_CLASSES; class++)
		if (flow->mark[class].limit != flow->size)
			return true;
	return false;
}

static void bpipe_apply_rate(struct bpipe_bucket *bucket, const struct bpipe_bucket *new, u64 now)
{
	bpipe_bucket_set(bucket, new->rate, new->burst, now);
}

/*
 * Apply a configuration, and wake sleepers and pollers to look at it. The caller wakes the
 * remaining sleepers with bpipe_wait_kick_rest().
 */
static void bpipe_apply_locked(struct bpipe_channel *ch, const struct bpipe_new_config *new)
	__must_hold(&ch->lock)
{
	struct bpipe_flow *flow = &ch->flow;
	u64 now = ktime_get_ns();

	lockdep_assert_held(&ch->config);
	lockdep_assert_held(&ch->wr.lock);
	lockdep_assert_held(&ch->rd.lock);
	lockdep_assert_held(&ch->lock);
	ch->wr.wake_all_reasons -= bpipe_flow_wakes_all(flow);
	flow->size = new->flow.size;
	flow->high = new->flow.high;
	flow->low = new->flow.low;
	memcpy(flow->limit, new->flow.limit, sizeof(flow->limit));
	flow->overhead = new->flow.overhead;
	flow->drop_to_low = new->flow.drop_to_low;
	if (flow->credit_unit != new->flow.credit_unit)
		flow->credit = 0;
	flow->credit_unit = new->flow.credit_unit;
	bpipe_apply_rate(&flow->write.bytes, &new->flow.write.bytes, now);
	bpipe_apply_rate(&flow->write.records, &new->flow.write.records, now);
	bpipe_apply_rate(&flow->read.bytes, &new->flow.read.bytes, now);
	bpipe_apply_rate(&flow->read.records, &new->flow.read.records, now);
	bpipe_flow_set_marks(flow);
	ch->wr.wake_all_reasons += bpipe_flow_wakes_all(flow);

	if (new->set.mode != ch->set.mode)
		bpipe_band_end_stream_locked(ch);
	ch->set = new->set;
	ch->retry_gen++;
	ch->poll_level = BPIPE_POLL_NONE;
	/* The old marks closed these gates. The update below applies the new marks. */
	flow->closed = 0;
	/* A shorter ttl may make records expire now. The work item finds the next time. */
	if (ch->set.sheds)
		bpipe_shed_by_locked(ch, now);

	/*
	 * The timers were armed for the old rates. Waiters that lack tokens are woken below, and
	 * arm them again.
	 */
	hrtimer_try_to_cancel(&ch->wr.tokens);
	hrtimer_try_to_cancel(&ch->rd.tokens);
	bpipe_wait_update_locked(ch);
	ch->overload.after_ns = new->overload_after_ns;
	bpipe_wait_state_locked(ch, false, bpipe_level_now(&ch->level), ktime_get_ns());
	bpipe_wait_kick_locked(ch, &ch->wr);
	bpipe_wait_kick_locked(ch, &ch->rd);
}

/**
 * bpipe_config_init() - initialise the configuration of a channel
 * @ch: the channel, not yet used, filled with zeros
 * @size: capacity, bytes; the caller checks its range with bpipe_flow_valid()
 *
 * Context: does not sleep.
 */
void bpipe_config_init(struct bpipe_channel *ch, u64 size)
{
	struct bpipe_flow *flow = &ch->flow;

	flow->size = size;
	flow->high = size - size / 4;
	flow->low = size / 4;
	ch->set.high = (struct bpipe_share) { flow->high, size };
	ch->set.low = (struct bpipe_share) { flow->low, size };
	flow->write.bytes.burst = bpipe_flow_default_burst(0, BPIPE_BURST_BYTES);
	flow->write.records.burst = bpipe_flow_default_burst(0, BPIPE_BURST_RECORDS);
	flow->read = flow->write;
	ch->set.uid = BPIPE_UNSET;
	ch->set.gid = BPIPE_UNSET;
	ch->set.permissions = BPIPE_UNSET;
	ch->set.burst_follows = BPIPE_CFG_BURST | BPIPE_CFG_BURST_RECORDS |
			    BPIPE_CFG_READ_BURST | BPIPE_CFG_READ_BURST_RECORDS;
}

/**
 * bpipe_config_set() - change the configuration of a channel, for SET_CONFIG
 * @ch: the channel
 * @set: the mask of the fields to set, and their values; ranges as in struct bpipe_config
 *
 * Sets all fields of the mask, or none. Wakes all sleepers and pollers to apply the change. A new
 * size replaces the buffers. Most queued bytes are copied while writers go on.
 *
 * Context: may sleep; called without the channel's locks.
 * Return: 0. If nothing was changed: -EINVAL if a field is out of range, or marks and size are
 * inconsistent; -EOPNOTSUPP if a bit or a value is unknown, or a stream would get a setting for
 * records; -EBUSY if the level is above the new size, or the mode cannot change now; -EINTR if
 * the caller was killed; -ENODEV if the channel is gone; -ENOMEM if a buffer cannot be allocated;
 * -ENOSPC if the buffers would exceed the cap, or the channel's share of it.
 */
int bpipe_config_set(struct bpipe_channel *ch, const struct bpipe_config *set)
{
	struct bpipe_storage spare = { }, old = { };
	struct bpipe_new_config *new;
	bool kick = false;
	u64 sleeps = 0;
	int ret;

	ret = bpipe_config_check(set);
	if (ret)
		return ret;
	/* Too large for the stack of a 32-bit kernel. */
	new = kmalloc(sizeof(*new), GFP_KERNEL);
	if (!new)
		return -ENOMEM;

	ret = bpipe_new_lock_config(ch, set, new, &spare);
	if (ret)
		goto out;
	ret = bpipe_storage_copy(ch, &spare, false);
	if (ret)
		goto out_config;
	/* Stop writers, so that what remains to be copied no longer grows. */
	ret = mutex_lock_killable(&ch->wr.lock);
	if (ret)
		goto out_config;
	for (;;) {
		ret = bpipe_storage_copy(ch, &spare, true);
		if (ret)
			goto out_wr;
		ret = mutex_lock_killable(&ch->rd.lock);
		if (ret)
			goto out_wr;
		if (bpipe_storage_copied_rd(ch, &spare))
			break;
		/* Readers took enough that a class fits into its new buffer now: copy it, too. */
		mutex_unlock(&ch->rd.lock);
	}

	bpipe_channel_lock(ch);
	ret = bpipe_new_config_busy_locked(ch, new);
	if (!ret) {
		bpipe_storage_swap_locked(ch, new->set.mode, &spare, &old);
		bpipe_apply_locked(ch, new);
	}
	sleeps = ch->sleeps;
	bpipe_channel_unlock(ch);
	if (ret)
		goto out_rd;
	trace_bpipe_config(ch, &ch->flow);
	kick = true;

out_rd:
	mutex_unlock(&ch->rd.lock);
out_wr:
	mutex_unlock(&ch->wr.lock);
out_config:
	mutex_unlock(&ch->config);
	/* Waking many sleepers can take long, so hold no lock meanwhile. */
	if (kick) {
		bpipe_wait_kick_rest(ch, &ch->wr, sleeps);
		bpipe_wait_kick_rest(ch, &ch->rd, sleeps);
	}
out:
	bpipe_storage_free(ch, &old);
	bpipe_storage_free(ch, &spare);
	kfree(new);
	return ret;
}

/**
 * bpipe_config_get() - return the configuration in force, for GET_CONFIG
 * @ch: the channel
 * @config: the configuration, a consistent snapshot
 *
 * Context: does not sleep.
 */
void bpipe_config_get(struct bpipe_channel *ch, struct bpipe_config *config)
{
	const struct bpipe_flow *flow = &ch->flow;
	u32 class;

	bpipe_channel_lock(ch);
	*config = (struct bpipe_config) {
		.mask = BPIPE_CFG_KNOWN,
		.size = flow->size,
		.high = flow->high,
		.low = flow->low,
		.rate = flow->write.bytes.rate,
		.burst = flow->write.bytes.burst,
		.mode = ch->set.mode,
		.hold = ch->set.hold,
		.epipe = ch->set.epipe,
		.order = ch->set.order,
		.policy = ch->set.policy,
		.credit = flow->credit_unit,
		.timeout = ch->set.timeout_ns,
		.overload_after = ch->overload.after_ns,
		.rate_records = flow->write.records.rate,
		.burst_records = flow->write.records.burst,
		.read_rate = flow->read.bytes.rate,
		.read_burst = flow->read.bytes.burst,
		.read_rate_records = flow->read.records.rate,
		.read_burst_records = flow->read.records.burst,
		.uid = ch->set.uid,
		.gid = ch->set.gid,
		.permissions = ch->set.permissions,
		.drop_to_low = flow->drop_to_low,
	};
	for (class = 0; class < BPIPE_CLASSES; class++)
		config->limit[class] = flow->mark[class].limit;
	memcpy(config->ttl, ch->set.ttl_ns, sizeof(config->ttl));
	memcpy(config->sojourn, ch->set.sojourn_ns, sizeof(config->sojourn));
	memcpy(config->id, ch->id, sizeof(config->id));
	bpipe_channel_unlock(ch);
	strscpy(config->name, dev_name(&ch->dev), sizeof(config->name));
}

/**
 * bpipe_config_set_reader() - change the settings of an open file for its reads, for SET_READER
 * @bf: the open file
 * @set: the mask of the fields to set, and their values; ranges as in struct bpipe_reader
 *
 * Sets all fields of the mask, or none. Wakes the sleepers of the file to apply the change.
 *
 * Context: may sleep; called without the channel's locks.
 * Return: 0. If nothing was changed: -EBADF if the file is not open for reading; -EOPNOTSUPP if
 * a bit is unknown, or a stream would get framed reads; -EINVAL if a field is out of range;
 * -EINTR if the caller was killed.
 */
int bpipe_config_set_reader(struct bpipe_file *bf, const struct bpipe_reader *set)
{
	struct bpipe_channel *ch = bf->ch;
	u64 sleeps;
	int ret;

	if (!bpipe_is_reader(bf))
		return -EBADF;
	if (set->mask & ~BPIPE_READER_KNOWN)
		return -EOPNOTSUPP;
	if (set->pad || (set->mask & BPIPE_READER_FRAMED && set->framed > 1) ||
	    (set->mask & BPIPE_READER_DELAY && set->delay_us > BPIPE_DELAY_MAX))
		return -EINVAL;

	ret = mutex_lock_killable(&ch->rd.lock);
	if (ret)
		return ret;
	bpipe_channel_lock(ch);
	if (set->mask & BPIPE_READER_THRESHOLD &&
	    (!set->threshold || set->threshold > ch->flow.size)) {
		ret = -EINVAL;
		goto out;
	}
	if (set->mask & BPIPE_READER_FRAMED && set->framed && !bpipe_is_record(ch)) {
		ret = -EOPNOTSUPP;
		goto out;
	}
	bpipe_wait_unwatch_locked(bf);
	if (set->mask & BPIPE_READER_THRESHOLD)
		bf->reader.threshold = set->threshold;
	if (set->mask & BPIPE_READER_DELAY)
		bf->reader.delay_ns = set->delay_us * NSEC_PER_USEC;
	bpipe_wait_watch_locked(bf);
	ch->record_files -= bpipe_file_for_records(bf);
	if (set->mask & BPIPE_READER_FRAMED)
		bf->reader.framed = set->framed;
	ch->record_files += bpipe_file_for_records(bf);
	bpipe_wait_update_locked(ch);
	bpipe_wait_kick_file_locked(bf);
out:
	sleeps = ch->sleeps;
	bpipe_channel_unlock(ch);
	mutex_unlock(&ch->rd.lock);
	if (!ret)
		bpipe_wait_kick_file_rest(bf, sleeps);
	return ret;
}

/*
 * Apply settings of a file, and wake its sleepers. Forget the write last refused: the settings
 * that refused it are no longer in force.
 */
static void bpipe_writer_apply_locked(struct bpipe_file *bf, const struct bpipe_writer *set)
	__must_hold(&bf->ch->lock)
{
	struct bpipe_channel *ch = bf->ch;
	u64 rate = set->mask & BPIPE_WRITER_RATE ? set->rate : bf->writer.rate.rate;
	u64 burst = bf->writer.rate.burst;

	lockdep_assert_held(&ch->config);
	lockdep_assert_held(&ch->wr.lock);
	lockdep_assert_held(&ch->lock);
	ch->record_files -= bpipe_file_for_records(bf);
	ch->wr.wake_all_reasons -= !!bf->writer.rate.rate;
	if (set->mask & BPIPE_WRITER_CLASS)
		bf->writer.class = set->class;
	if (set->mask & BPIPE_WRITER_POLICY)
		bf->writer.policy = set->policy;
	if (set->mask & BPIPE_WRITER_TIMEOUT)
		bf->writer.timeout_ns = set->timeout;
	if (set->mask & BPIPE_WRITER_BURST) {
		burst = set->burst;
		bf->writer.burst_follows = !burst;
	}
	if (bf->writer.burst_follows)
		burst = bpipe_flow_default_burst(rate, BPIPE_BURST_BYTES);
	bpipe_bucket_set(&bf->writer.rate, rate, burst, ktime_get_ns());
	ch->record_files += bpipe_file_for_records(bf);
	ch->wr.wake_all_reasons += !!bf->writer.rate.rate;
	bf->refused_gen = 0;
	bf->refused_len = 0;
	bpipe_wait_update_locked(ch);
	bpipe_wait_kick_file_locked(bf);
}

/**
 * bpipe_config_set_writer() - change the settings of an open file for its writes, for SET_WRITER
 * @bf: the open file
 * @set: the mask of the fields to set, and their values; ranges as in struct bpipe_writer
 *
 * Sets all fields of the mask, or none. Allocates the buffer of the class, so that no write lacks
 * it. Wakes the sleepers of the file to apply the change.
 *
 * Context: may sleep, for minutes if the memory cgroup is throttled; called without the
 * channel's locks.
 * Return: 0. If no setting was changed: -EBADF if the file is not open for writing; -EOPNOTSUPP
 * if a bit or the policy is unknown, or a stream would get drop-oldest; -EINVAL if a field is out
 * of range; -EINTR if the caller was killed; -ENODEV if the channel is gone; -ENOMEM if the
 * buffer cannot be allocated; -ENOSPC if it would exceed the cap, or the channel's share of it.
 */
int bpipe_config_set_writer(struct bpipe_file *bf, const struct bpipe_writer *set)
{
	struct bpipe_channel *ch = bf->ch;
	u64 sleeps;
	int ret;

	if (!bpipe_is_writer(bf))
		return -EBADF;
	if (set->mask & ~BPIPE_WRITER_KNOWN ||
	    (set->mask & BPIPE_WRITER_POLICY && set->policy > BPIPE_POLICY_CHANNEL))
		return -EOPNOTSUPP;
	if ((set->mask & BPIPE_WRITER_CLASS && set->class >= BPIPE_CLASSES) ||
	    (set->mask & BPIPE_WRITER_TIMEOUT && set->timeout > BPIPE_TIMEOUT_MAX) ||
	    (set->mask & BPIPE_WRITER_RATE && set->rate > BPIPE_RATE_MAX) ||
	    (set->mask & BPIPE_WRITER_BURST && set->burst > BPIPE_BURST_MAX))
		return -EINVAL;

	/* This takes the configuration lock, too. Class 0 stands for none: every writer has it. */
	ret = bpipe_storage_claim(bf, set->mask & BPIPE_WRITER_CLASS ? set->class : 0,
				  set->mask & BPIPE_WRITER_POLICY &&
				  set->policy == BPIPE_POLICY_DROP_OLDEST);
	if (ret)
		return ret;
	ret = mutex_lock_killable(&ch->wr.lock);
	if (ret)
		goto unlock_config;
	bpipe_channel_lock(ch);
	bpipe_writer_apply_locked(bf, set);
	sleeps = ch->sleeps;
	bpipe_channel_unlock(ch);
	mutex_unlock(&ch->wr.lock);

unlock_config:
	mutex_unlock(&ch->config);
	if (!ret)
		bpipe_wait_kick_file_rest(bf, sleeps);
	return ret;
}

/**
 * bpipe_config_grant() - grant credit to writers, for GRANT
 * @bf: the open file
 * @amount: credit to add, in the unit of the channel's credit, 1..BPIPE_CREDIT_MAX
 *
 * Context: may sleep; called without the channel's locks.
 * Return: 0. If no credit was added: -EBADF if the file is not open for reading; -EOPNOTSUPP if
 * the channel has no credit; -EINVAL if @amount is 0, or the sum would exceed BPIPE_CREDIT_MAX;
 * -EINTR if the caller was killed.
 */
int bpipe_config_grant(struct bpipe_file *bf, u64 amount)
{
	struct bpipe_channel *ch = bf->ch;
	int ret;

	if (!bpipe_is_reader(bf))
		return -EBADF;
	ret = mutex_lock_killable(&ch->wr.lock);
	if (ret)
		return ret;
	bpipe_channel_lock(ch);
	if (!ch->flow.credit_unit)
		ret = -EOPNOTSUPP;
	else if (!amount || !bpipe_flow_grant(&ch->flow, amount))
		ret = -EINVAL;
	else
		bpipe_wait_granted_locked(ch);
	bpipe_channel_unlock(ch);
	mutex_unlock(&ch->wr.lock);
	return ret;
}
