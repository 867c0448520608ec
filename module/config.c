// SPDX-License-Identifier: GPL-2.0
/*
 * What users set: of a channel, and of an open file.
 */

#include <linux/ctype.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/overflow.h>
#include <linux/string.h>

#include "buffer.h"
#include "channel.h"
#include "config.h"
#include "trace.h"
#include "wait.h"

/**
 * bpipe_config_parse() - a number as users write it
 * @text: decimal digits, then K, M, G or nothing (powers of 1024), then perhaps
 *	a newline
 * @value: where to put it
 *
 * memparse() would take other things, and let large numbers wrap.
 *
 * Return: 0, -EINVAL, or -ERANGE.
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

/* What @set would make of the flow's settings; the state stays. */
static void bpipe_plan_locked(const struct bpipe_channel *ch, const struct bpipe_config *set,
			      struct bpipe_flow *plan, bool *burst_follows)
{
	const struct bpipe_flow *old = &ch->flow;

	*plan = *old;
	*burst_follows = ch->burst_follows;
	if (set->mask & BPIPE_CFG_SIZE) {
		/* Sizes are below 2^30, so that the products fit. */
		plan->size = set->size;
		if (set->size <= BPIPE_SIZE_MAX) {
			plan->low = div64_u64(old->low * plan->size, old->size);
			plan->high = max(div64_u64(old->high * plan->size, old->size),
					 plan->low + 1);
		}
	}
	if (set->mask & BPIPE_CFG_HIGH)
		plan->high = set->high;
	if (set->mask & BPIPE_CFG_LOW)
		plan->low = set->low;
	if (set->mask & BPIPE_CFG_RATE)
		plan->bucket.rate = set->rate;
	if (set->mask & BPIPE_CFG_BURST) {
		plan->bucket.burst = set->burst;
		*burst_follows = !set->burst;
	}
	if (*burst_follows)
		plan->bucket.burst = bpipe_flow_default_burst(plan->bucket.rate);
}

/* The new settings are in force from here on: all look again. */
static void bpipe_apply_locked(struct bpipe_channel *ch, const struct bpipe_flow *plan)
{
	struct bpipe_flow *flow = &ch->flow;

	flow->size = plan->size;
	flow->high = plan->high;
	flow->low = plan->low;
	bpipe_bucket_set(&flow->bucket, plan->bucket.rate, plan->bucket.burst, ktime_get_ns());
	bpipe_wait_settle_locked(ch);
	bpipe_wait_wake_all_locked(&ch->wr, POLL_OUT);
	bpipe_wait_wake_all_locked(&ch->rd, POLL_IN);
}

/**
 * bpipe_config_set() - SET_CONFIG
 * @ch: the channel
 * @set: which fields to set, and to what
 *
 * Context: may sleep.
 * Return: 0, or -EINVAL, -EOPNOTSUPP, -EBUSY, -ENOMEM or -ENOSPC, and then
 * nothing has changed.
 */
int bpipe_config_set(struct bpipe_channel *ch, const struct bpipe_config *set)
{
	struct bpipe_flow plan;
	bool burst_follows;
	void *data = NULL;
	size_t old_size;
	int ret = 0;

	if (set->mask & ~BPIPE_CFG_KNOWN)
		return -EOPNOTSUPP;
	if (set->mask & BPIPE_CFG_MODE && set->mode != BPIPE_MODE_STREAM)
		return -EOPNOTSUPP;
	if (set->pad || (set->mask & BPIPE_CFG_HOLD && set->hold > 1) ||
	    (set->mask & BPIPE_CFG_EPIPE && set->epipe > 1))
		return -EINVAL;

	mutex_lock(&ch->config);
	spin_lock_bh(&ch->lock);
	bpipe_plan_locked(ch, set, &plan, &burst_follows);
	spin_unlock_bh(&ch->lock);
	old_size = ch->ring.size;
	if (!bpipe_flow_valid(&plan)) {
		ret = -EINVAL;
		goto out;
	}
	if (plan.size != old_size) {
		data = bpipe_buffer_alloc(plan.size);
		if (IS_ERR(data)) {
			ret = PTR_ERR(data);
			data = NULL;
			goto out;
		}
	}

	mutex_lock(&ch->wr.lock);
	mutex_lock(&ch->rd.lock);
	if (bpipe_ring_level(&ch->ring) > plan.size) {
		ret = -EBUSY;
	} else {
		/* A long copy, and nobody else looks at the storage without these. */
		if (data)
			data = bpipe_ring_move(&ch->ring, data, plan.size);
		spin_lock_bh(&ch->lock);
		ch->burst_follows = burst_follows;
		if (set->mask & BPIPE_CFG_HOLD)
			ch->hold = set->hold;
		if (set->mask & BPIPE_CFG_EPIPE)
			ch->epipe = set->epipe;
		bpipe_apply_locked(ch, &plan);
		spin_unlock_bh(&ch->lock);
		trace_bpipe_config(ch, &ch->flow);
	}
	mutex_unlock(&ch->rd.lock);
	mutex_unlock(&ch->wr.lock);
	if (data)
		bpipe_buffer_free(data, ret ? plan.size : old_size);
out:
	mutex_unlock(&ch->config);
	return ret;
}

/**
 * bpipe_config_get() - GET_CONFIG
 * @ch: the channel
 * @config: filled in
 *
 * Context: does not sleep.
 */
void bpipe_config_get(struct bpipe_channel *ch, struct bpipe_config *config)
{
	spin_lock_bh(&ch->lock);
	*config = (struct bpipe_config) {
		.mask = BPIPE_CFG_KNOWN,
		.size = ch->flow.size,
		.high = ch->flow.high,
		.low = ch->flow.low,
		.rate = ch->flow.bucket.rate,
		.burst = ch->flow.bucket.burst,
		.mode = ch->mode,
		.hold = ch->hold,
		.epipe = ch->epipe,
	};
	spin_unlock_bh(&ch->lock);
	strscpy(config->name, dev_name(&ch->dev), sizeof(config->name));
}

/**
 * bpipe_config_set_reader() - SET_READER
 * @bf: the open file
 * @set: which fields to set, and to what
 *
 * Context: does not sleep.
 * Return: 0, -EBADF, -EINVAL or -EOPNOTSUPP.
 */
int bpipe_config_set_reader(struct bpipe_file *bf, const struct bpipe_reader *set)
{
	struct bpipe_channel *ch = bf->ch;
	int ret = 0;

	if (!bpipe_is_reader(bf))
		return -EBADF;
	if (set->mask & ~BPIPE_READER_KNOWN)
		return -EOPNOTSUPP;

	spin_lock_bh(&ch->lock);
	if ((set->mask & BPIPE_READER_THRESHOLD &&
	     (!set->threshold || set->threshold > ch->flow.size)) ||
	    (set->mask & BPIPE_READER_DELAY && set->delay_us > BPIPE_DELAY_MAX)) {
		ret = -EINVAL;
		goto out;
	}
	if (set->mask & BPIPE_READER_THRESHOLD)
		bf->threshold = set->threshold;
	if (set->mask & BPIPE_READER_DELAY)
		bf->delay_ns = set->delay_us * NSEC_PER_USEC;
	bpipe_wait_settle_locked(ch);
out:
	spin_unlock_bh(&ch->lock);
	return ret;
}

