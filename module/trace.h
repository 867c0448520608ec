/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints bpipe:*. Each names the channel by the device number of its node. Lengths and levels
 * are in bytes. Lengths leave out the overhead of records, and levels include it.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM bpipe

#if !defined(BPIPE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define BPIPE_TRACE_H

#include <linux/tracepoint.h>

#include "types.h"

/* A call moved bytes in or out; the level afterwards. */
DECLARE_EVENT_CLASS(bpipe_move,
	TP_PROTO(const struct bpipe_channel *ch, u64 bytes, u64 level),
	TP_ARGS(ch, bytes, level),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, bytes)
		__field(u64, level)
	),
	TP_fast_assign(
		__entry->dev = ch->dev.devt;
		__entry->bytes = bytes;
		__entry->level = level;
	),
	TP_printk("dev=%d:%d bytes=%llu level=%llu",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->bytes, __entry->level)
);

DEFINE_EVENT(bpipe_move, bpipe_write,
	TP_PROTO(const struct bpipe_channel *ch, u64 bytes, u64 level),
	TP_ARGS(ch, bytes, level)
);

DEFINE_EVENT(bpipe_move, bpipe_read,
	TP_PROTO(const struct bpipe_channel *ch, u64 bytes, u64 level),
	TP_ARGS(ch, bytes, level)
);

/* The state of a channel changed. */
TRACE_EVENT(bpipe_state,
	TP_PROTO(const struct bpipe_channel *ch, u32 state, u64 level),
	TP_ARGS(ch, state, level),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u32, state)
		__field(u64, level)
	),
	TP_fast_assign(
		__entry->dev = ch->dev.devt;
		__entry->state = state;
		__entry->level = level;
	),
	TP_printk("dev=%d:%d state=%s level=%llu",
		  MAJOR(__entry->dev), MINOR(__entry->dev),
		  __print_symbolic(__entry->state,
				   { BPIPE_STATE_NORMAL, "normal" },
				   { BPIPE_STATE_OVERLOADED, "overloaded" },
				   { BPIPE_STATE_GONE, "gone" },
				   { BPIPE_STATE_PRESSURED, "pressured" }),
		  __entry->level)
);

/* A write was not admitted at once; what it lacked. "again": it fails with EAGAIN. */
TRACE_EVENT(bpipe_refuse,
	TP_PROTO(const struct bpipe_channel *ch, u32 verdict, u64 bytes, int ret),
	TP_ARGS(ch, verdict, bytes, ret),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u32, verdict)
		__field(u64, bytes)
		__field(bool, again)
	),
	TP_fast_assign(
		__entry->dev = ch->dev.devt;
		__entry->verdict = verdict;
		__entry->bytes = bytes;
		__entry->again = ret == -EAGAIN;
	),
	TP_printk("dev=%d:%d wants=%s bytes=%llu%s",
		  MAJOR(__entry->dev), MINOR(__entry->dev),
		  __print_symbolic(__entry->verdict,
				   { BPIPE_WAIT_SPACE, "space" },
				   { BPIPE_WAIT_CREDIT, "credit" },
				   { BPIPE_WAIT_OWN, "own" },
				   { BPIPE_WAIT_LOW, "low" },
				   { BPIPE_WAIT_TOKENS, "tokens" },
				   { BPIPE_WAIT_TURN, "turn" }),
		  __entry->bytes, __entry->again ? " again" : "")
);

/* A record, or bytes of a stream, were dropped. */
TRACE_EVENT(bpipe_drop,
	TP_PROTO(const struct bpipe_channel *ch, u32 class, u32 reason, u64 bytes),
	TP_ARGS(ch, class, reason, bytes),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u32, class)
		__field(u32, reason)
		__field(u64, bytes)
	),
	TP_fast_assign(
		__entry->dev = ch->dev.devt;
		__entry->class = class;
		__entry->reason = reason;
		__entry->bytes = bytes;
	),
	TP_printk("dev=%d:%d class=%u reason=%s bytes=%llu",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->class,
		  __print_symbolic(__entry->reason,
				   { BPIPE_DROP_FULL, "full" },
				   { BPIPE_DROP_SHED, "shed" },
				   { BPIPE_DROP_EVICTED, "evicted" },
				   { BPIPE_DROP_EXPIRED, "expired" },
				   { BPIPE_DROP_SOJOURN, "sojourn" }),
		  __entry->bytes)
);

/* SET_CONFIG changed the configuration; the size, marks and byte rate of writers now. */
TRACE_EVENT(bpipe_config,
	TP_PROTO(const struct bpipe_channel *ch, const struct bpipe_flow *flow),
	TP_ARGS(ch, flow),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, size)
		__field(u64, high)
		__field(u64, low)
		__field(u64, rate)
		__field(u64, burst)
	),
	TP_fast_assign(
		__entry->dev = ch->dev.devt;
		__entry->size = flow->size;
		__entry->high = flow->high;
		__entry->low = flow->low;
		__entry->rate = flow->write.bytes.rate;
		__entry->burst = flow->write.bytes.burst;
	),
	TP_printk("dev=%d:%d size=%llu high=%llu low=%llu rate=%llu burst=%llu",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->size, __entry->high,
		  __entry->low, __entry->rate, __entry->burst)
);

#endif /* BPIPE_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
