/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The sleep and wake-up protocol of module/wait.c and module/poll.c, for SPIN.
 *
 * mirrors: module/wait.c: bpipe_first_asleep bpipe_reserve_locked bpipe_sum_asleep_locked
 * mirrors: module/wait.c: bpipe_fall_asleep_locked bpipe_wake_up_locked bpipe_wake_locked
 * mirrors: module/lock.c: bpipe_channel_unlock_and_wake
 * mirrors: module/wait.c: bpipe_kick_locked bpipe_kick_rest
 * mirrors: module/wait.c: bpipe_wait_kick_locked bpipe_wait_kick_rest bpipe_wait_timer_by
 * mirrors: module/wait.c: bpipe_ahead_locked bpipe_relabel_locked bpipe_admit_waiter_locked
 * mirrors: module/wait.c: bpipe_wake_class_locked bpipe_wake_writers_locked
 * mirrors: module/wait.c: bpipe_poll_again_locked bpipe_writer_stalled_locked
 * mirrors: module/wait.c: bpipe_readers_due_locked bpipe_next_reader_locked
 * mirrors: module/wait.c: bpipe_wake_readers_locked bpipe_wake_above_locked bpipe_wake_below_locked
 * mirrors: module/wait.c: bpipe_wait_arm_wake_levels_locked bpipe_wait_poll_locked
 * mirrors: module/wait.c: bpipe_poll_due_locked bpipe_update_gates_locked
 * mirrors: module/wait.c: bpipe_update_due_locked bpipe_write_tokens_due bpipe_data_due
 * mirrors: module/wait.c: bpipe_join_locked bpipe_wait_part_locked bpipe_wait_queue_locked
 * mirrors: module/wait.c: bpipe_wait_sleep bpipe_wait_leave_queue
 * mirrors: module/wait.h: bpipe_wait_must_queue bpipe_wait_update_write
 * mirrors: module/wait.h: bpipe_wait_update_read bpipe_wait_leave
 * mirrors: module/channel.c: bpipe_channel_at_end_locked bpipe_channel_release
 * mirrors: module/poll.c: bpipe_writable_locked bpipe_poll_writable_locked bpipe_channel_poll
 * mirrors: module/write.c: bpipe_ask_wr bpipe_again_wr_locked bpipe_refuse_wr
 * mirrors: module/write.c: bpipe_queue_wr_locked bpipe_admit_wr bpipe_store_wr
 * mirrors: module/write.c: bpipe_write_wr bpipe_push_wr
 * mirrors: module/write.c: bpipe_channel_write
 * mirrors: module/read.c: bpipe_queue_rd_locked bpipe_starve_rd bpipe_nothing_rd
 * mirrors: module/read.c: bpipe_read_rd bpipe_read_stream_rd bpipe_read_record_rd
 * mirrors: module/read.c: bpipe_channel_read
 * mirrors: module/flow.c: bpipe_usable bpipe_bucket_quantum bpipe_bucket_want
 * mirrors: module/flow.c: bpipe_bucket_until bpipe_bucket_has bpipe_flow_afford
 * mirrors: module/flow.c: bpipe_flow_wait_reason bpipe_flow_admit bpipe_flow_need
 * mirrors: module/flow.c: bpipe_flow_reservation bpipe_flow_reserve bpipe_flow_fits
 * mirrors: module/flow.c: bpipe_flow_refuse bpipe_flow_update bpipe_flow_set_marks
 * mirrors: module/flow.c: bpipe_flow_next_up bpipe_flow_next_down bpipe_flow_writable
 * mirrors: module/config.c: bpipe_apply_locked bpipe_config_set
 * mirrors: tests/proof/scenes
 *
 * Left out: page faults and epipe; evictions and expired records, after which all
 * waiters check again; credit, because grants wake waiters like tokens do, and waiters
 * reserve both alike; the rate limits of readers and of files, whose waiters block no
 * other waiter; debt, because no write is longer than a burst; SIGIO and the pollers of
 * readers; observers: overload, accounts, the status page. A writer that times out
 * leaves like a killed one. The first of a class leaves tokens to come in until its wake-up
 * time, which is here the timer's; no other event sets it. There are at most two
 * classes, and the records of a scene have one length. Time exists only to bring tokens:
 * one with each tick, until it is quiet.
 *
 * A step that another CPU can see half of is a separate statement; the rest is
 * atomic. Barriers are modelled by what their absence allows: a load that is done
 * before the store above it.
 *
 * What is shown:
 *	no deadlock: only a sleeper may stay forever (SPIN's invalid end states);
 *	nobody_lost: once nothing moves any more, no sleeper is left whose needs are
 *	met, and no poller for which poll would return POLLOUT;
 *	in_order: a new write queues behind waiters while its gate is closed, and never
 *	takes what is reserved for its class or above;
 *	reserved: an admitted writer finds its room, unless a more important writer took
 *	it, the size changed, or it waited for tokens and reserved only those;
 *	the sums of reservations are those of the waiters, and 0 without waiters;
 *	the channel never holds more bytes than fit.
 *
 * All writers and readers write and read any number of times until it becomes quiet,
 * which may happen at any time. So histories have any length, and any event may be the
 * last.
 *
 * A scene is set by macros; the file scenes has the scenes and their purposes.
 */

#ifndef SIZE
#define SIZE	3
#endif
#ifndef HIGH
#define HIGH	SIZE
#endif
#ifndef LOW
#define LOW	1
#endif
#ifndef WRITERS
#define WRITERS	1
#endif
#ifndef READERS
#define READERS	1
#endif
#ifndef LEN		/* bytes of a write of writer number w */
#define LEN(w)	1
#endif
#ifndef ATOMIC		/* writes are stored as a whole or not at all */
#define ATOMIC	true
#endif
#ifndef ATOM		/* PIPE_BUF: room that poll, and a write that can be split, wait for */
#define ATOM	1
#endif
#ifndef RECORDS		/* records, all of LEN(0) bytes */
#define RECORDS	false
#endif
#ifndef CLASSES		/* of writers; only its limit distinguishes the second */
#define CLASSES	1
#endif
#ifndef CLASS
#define CLASS(w)	0
#endif
#ifndef LIMIT1
#define LIMIT1	SIZE
#define HIGH1	SIZE
#define LOW1	0
#endif
#ifndef PASSERSBY	/* number of writers, the last ones, that do not wait */
#define PASSERSBY	0
#endif
#ifndef POLLS		/* passers-by poll after a refusal */
#define POLLS	false
#endif
#ifndef COUNT		/* bytes that a read requests */
#define COUNT	SIZE
#endif
#ifndef THRESHOLD	/* of reader number r */
#define THRESHOLD(r)	1
#endif
#ifndef DELAY		/* reader number r has a delay */
#define DELAY(r)	false
#endif
#ifndef SIGNALS		/* number of signals; each kills a sleeper */
#define SIGNALS	0
#endif
#ifndef RESIZES		/* number of changes of the configuration, to OTHER_SIZE and back */
#define RESIZES	0
#endif
#ifndef OTHER_SIZE
#define OTHER_SIZE	SIZE
#endif
#ifndef WAKE_MAX	/* sleepers of a side woken for one hold of the lock */
#define WAKE_MAX	16
#endif

#ifndef BURST		/* the most tokens that a bucket holds; 255 for no rate limit */
#define BURST	255
#endif
#define LIMITED	(BURST != 255)
#ifndef QUANTUM		/* the fewest tokens that a sleep for tokens waits for */
#define QUANTUM	(BURST / 2)
#endif

#define MIN(a, b)	((a) < (b) -> (a) : (b))
#define MAX(a, b)	((a) > (b) -> (a) : (b))
#define NOBODY		255
#define NEVER		255	/* no wake-up level, or no time */
#define POLL_NONE	-2
#define POLL_ANY	255

/* Limits, marks and gates of classes. Those of the second class do not change. */
#define LIMIT(c)	((c) -> LIMIT1 : size)
#define TOP(c)		(LIMIT(c) - MIN(ATOM, LIMIT(c)) + 1)
#define CHIGH(c)	MIN(((c) -> HIGH1 : high), TOP(c))
#define CLOW(c)		MIN(((c) -> LOW1 : low), CHIGH(c) - 1)
#define CLOSED(w)		closed[CLASS(w)]

/* The channel. Of the positions in the ring, only the difference matters. */
byte level;
byte size = SIZE;
byte high = HIGH;
byte low = LOW;
byte wake_above = MIN(CHIGH(0), CHIGH(CLASSES - 1));
short wake_below = -1;
short poll_level = POLL_NONE;
bool pressured;
bool closed[CLASSES];
bool released[CLASSES];			/* others may use the tokens its sleepers reserved */
byte tokens = BURST;
byte due = NEVER;	/* ticks until the writers' timer expires */
byte wr_open = WRITERS;
bool wr_lock, rd_lock, spin;

/* What waiting writers of a class and above have reserved, and what a class's sleepers have. */
byte reserved_room[CLASSES], reserved_tokens[CLASSES];
byte asleep_room[CLASSES], asleep_tokens[CLASSES];

/* The writers' places in the order of their tickets, asleep or not. */
byte wq[WRITERS];
byte wq_len;
bool w_queued[WRITERS];
bool w_asleep[WRITERS];
bool w_woken[WRITERS];
bool w_admitted[WRITERS];
bool w_kicked[WRITERS];		/* asleep since the configuration changed */
byte w_wait_reason[WRITERS];
byte w_room[WRITERS];		/* what it needs */
byte w_tokens[WRITERS];
byte w_reserved_room[WRITERS];
byte w_reserved_tokens[WRITERS];
byte wakes;			/* writers woken for this hold of the lock */

/* The sleeping readers, in the order of their thresholds. */
byte rq[READERS];
byte rq_len;
bool r_queued[READERS];
bool r_woken[READERS];
bool r_kicked[READERS];
byte rd_woken;			/* woken, and still in their read */
bool armed;			/* the readers' timer is armed */

bool p_notified[WRITERS];
bool p_polls[WRITERS];
byte p_len[WRITERS];		/* length of the refused write, if it lacked room */

byte signals = SIGNALS;
bool quiet;			/* no process starts another call */

/* Temporary variables of a step. */
hidden byte i, c, k, n, f, who, why, others, room, there, want;
hidden byte any, waits, held, arms_timer;

/* Why a writer waits. */
#define SPACE		0
#define TURN		1
#define TOKENS		2
#define GO		3

/* The number of readers that the data is enough for. */
#define THINGS(at)	(RECORDS -> (at) / LEN(0) : 1)

/*
 * A critical section under the spin lock. COARSE makes it one step, and one step of all
 * that a caller does under its side's mutex. No order is lost by that. Others' steps
 * between a check and the action do not change the result: a write that fits will fit,
 * because no other write can take or reserve that room, and a byte to read stays. A refusal
 * is decided by a second check, under the spin lock.
 */
#ifdef BREAK_CHAIN
#define WAKES		wakes
#else
#define WAKES		0
#endif
#ifdef COARSE
#define STEP		atomic {
#define STEP_END	}
#define LOCKED		atomic {
#define UNLOCKED(lock)	; wakes = WAKES; lock = false }
#else
#define STEP		{
#define STEP_END	}
#define LOCKED		atomic { !spin -> spin = true };
#define UNLOCKED(lock)	; atomic { wakes = WAKES; spin = false; lock = false }
#endif

/* Remove an entry from a queue; a macro, because inlines take no arrays. */
#define UNLINK(queue, queue_len, who)			\
	k = 0;						\
	do						\
	:: queue[k] != who -> k++			\
	:: else -> break				\
	od;						\
	do						\
	:: k + 1 < queue_len -> queue[k] = queue[k + 1]; k++	\
	:: else -> break				\
	od;						\
	queue_len--;					\
	queue[queue_len] = 0

/* Set f to the first sleeper among the writers of a class. */
inline first_asleep(class)
{
	f = NOBODY;
	k = 0;
	do
	:: k == wq_len -> break
	:: else ->
		if
		:: w_asleep[wq[k]] && CLASS(wq[k]) == class -> f = wq[k]; break
		:: else -> k++
		fi
	od
}

/* Set waits if writers of a class or above have a place. */
inline must_queue(class)
{
	waits = false;
	k = 0;
	do
	:: k == wq_len -> break
	:: else -> waits = waits || CLASS(wq[k]) <= class; k++
	od
}

inline reserve(w, to_room, to_tokens)
{
	k = CLASS(w);
	do
	:: k == CLASSES -> break
	:: else ->
		reserved_room[k] = reserved_room[k] + to_room - w_reserved_room[w];
		reserved_tokens[k] = reserved_tokens[k] + to_tokens - w_reserved_tokens[w];
		k++
	od;
	w_reserved_room[w] = to_room;
	w_reserved_tokens[w] = to_tokens
}

/* Reserve what a writer lacks. */
inline reserve_for_reason(w)
{
	if
	:: w_wait_reason[w] == TOKENS -> reserve(w, 0, w_tokens[w])
	:: else -> reserve(w, w_room[w], 0)
	fi
}

/* Count @keep tokens as reserved again and @give no more, for the class and those below. */
inline release(class, give, keep)
{
	k = class;
	do
	:: k == CLASSES -> break
	:: else -> reserved_tokens[k] = reserved_tokens[k] + keep - give; k++
	od
}

inline writer_asleep(w)
{
	w_asleep[w] = true;
	w_kicked[w] = false;
	asleep_room[CLASS(w)] = asleep_room[CLASS(w)] + w_reserved_room[w];
	asleep_tokens[CLASS(w)] = asleep_tokens[CLASS(w)] + w_reserved_tokens[w];
	if
	:: released[CLASS(w)] -> release(CLASS(w), w_reserved_tokens[w], 0)
	:: else
	fi
}

inline writer_awake(w)
{
	w_asleep[w] = false;
	w_kicked[w] = false;
	asleep_room[CLASS(w)] = asleep_room[CLASS(w)] - w_reserved_room[w];
	asleep_tokens[CLASS(w)] = asleep_tokens[CLASS(w)] - w_reserved_tokens[w];
	if
	:: released[CLASS(w)] -> release(CLASS(w), 0, w_reserved_tokens[w])
	:: else
	fi
}

/* The part of @there that a writer may use: what others have not reserved. */
#define USABLE(there, reserved, held)						\
	MAX(there - MIN(there, reserved - MIN(reserved, held)), MIN(there, held))

/* The fewest tokens to start a write for. */
#define SOME		(QUANTUM -> QUANTUM : 1)
#define WANT(left)	(ATOMIC -> MIN(left, BURST) : MIN(left, MIN(SOME, ATOM)))

/* Decide: set go to the bytes that may be stored; if 0, set why. */
inline ask(w)
{
	must_queue(CLASS(w));
	held = w_queued[w] && w_admitted[w];
#ifdef BREAK_GRANTED
	held = w_queued[w];
#endif
	go = 0;
	if
#ifndef BREAK_TURN
	:: !held && (w_queued[w] || (waits && CLOSED(w))) -> why = TURN
#endif
	:: else ->
		there = (level < LIMIT(CLASS(w)) -> LIMIT(CLASS(w)) - level : 0);
		n = (held -> w_room[w] : 0);
		room = USABLE(there, reserved_room[CLASS(w)], n);
#ifdef BREAK_ROOM
		room = there;
#endif
		why = SPACE;
		if
		:: room < (ATOMIC -> left : 1)
		:: else ->
			go = MIN(left, room);
			why = GO;
			n = (held -> w_tokens[w] : 0);
			there = USABLE(tokens, reserved_tokens[CLASS(w)], n);
#ifdef BREAK_TOKENS
			there = tokens;
#endif
			if
			:: LIMITED && there < WANT(left) -> go = 0; why = TOKENS
			:: LIMITED && !ATOMIC && there >= WANT(left) -> go = MIN(go, there)
			:: else
			fi
		fi
	fi
}

/* The tokens that a writer keeps from others. */
#define KEPT(w)	((w_asleep[w] && released[CLASS(w)]) -> 0 : w_reserved_tokens[w])

/* Check the result of ask() against what others have reserved. */
inline in_order(w)
{
	i = 0; others = 0; want = 0; waits = false;
	do
	:: i == WRITERS -> break
	:: else ->
		if
		:: i != w && w_queued[i] && CLASS(i) <= CLASS(w) ->
			waits = true;
			others = others + w_reserved_room[i];
			want = want + KEPT(i)
		:: else
		fi;
		i++
	od;
	assert(reserved_room[CLASS(w)] == others + w_reserved_room[w]);
	assert(reserved_tokens[CLASS(w)] == want + KEPT(w));
	assert(!go || level + go <= LIMIT(CLASS(w)));
	/* in_order */
	assert(!go || w_queued[w] || !waits || !CLOSED(w));
	assert(!go || w_queued[w] || level + go + others <= LIMIT(CLASS(w)));
	assert(!go || w_queued[w] || !LIMITED || tokens >= go + want);
	/* reserved: beyond its reservation, a writer takes nothing that others have reserved */
	assert(!go || !w_queued[w] || w_admitted[w]);
	assert(!go || !w_queued[w] || go <= w_room[w] || level + go + others <= LIMIT(CLASS(w)));
	assert(go || !w_admitted[w] || CLASS(w) || LIMITED || RESIZES)
}

inline join(w)
{
	if
	:: !w_queued[w] -> wq[wq_len] = w; wq_len++; w_queued[w] = true
	:: else
	fi
}

inline queue_writer(w)
{
	join(w);
	w_woken[w] = false;
	w_admitted[w] = false;
	w_wait_reason[w] = why;
	w_room[w] = (ATOMIC -> left : MIN(left, ATOM));
	w_tokens[w] = (LIMITED -> (ATOMIC -> WANT(left) : MIN(left, SOME)) : 0);
	reserve_for_reason(w);
	writer_asleep(w)
}

inline notify_writers()
{
	i = WRITERS - PASSERSBY;
	do
	:: i == WRITERS -> break
	:: else -> p_notified[i] = p_polls[i]; i++
	od
}

/* Set f if poll returns POLLOUT; otherwise arm poll_level for the room that lacks. */
inline writable(w)
{
	n = MIN(MAX(p_len[w], ATOM), LIMIT(CLASS(w)));
	n = n + reserved_room[CLASS(w)];
	f = !CLOSED(w) && level + n <= LIMIT(CLASS(w));
	if
	:: CLOSED(w) || f
	:: else ->
		poll_level = MAX(poll_level, (n > LIMIT(CLASS(w)) -> -1 : LIMIT(CLASS(w)) - n))
	fi
}

/* Notify pollers of room; no poller in the model lacks tokens. */
inline unreserved()
{
#ifndef BREAK_POLL_AGAIN
	poll_level = (poll_level == POLL_NONE -> POLL_NONE : POLL_ANY)
#else
	skip
#endif
}

inline part_writer(w)
{
	UNLINK(wq, wq_len, w);
	w_queued[w] = false;
	w_woken[w] = false;
	w_admitted[w] = false;
	w_wait_reason[w] = 0;
	w_room[w] = 0;
	w_tokens[w] = 0;
#ifndef BREAK_PART
	reserve(w, 0, 0);
#endif
	unreserved()
}

inline update_gates(at)
{
	any = false;
	if
	:: at >= high -> pressured = true
	:: at <= low -> pressured = false
	:: else
	fi;
	c = 0;
	do
	:: c == CLASSES -> break
	:: else ->
		if
		:: at >= CHIGH(c) -> closed[c] = true
		:: at <= CLOW(c) -> any = any || closed[c]; closed[c] = false
		:: else
		fi;
		c++
	od;
	if
	:: any -> notify_writers()
	:: else
	fi
}

inline release_closed()
{
	c = 0;
	do
	:: c == CLASSES -> break
	:: else ->
		if
		:: released[c] == closed[c]
		:: else ->
			released[c] = closed[c];
#ifndef BREAK_RELEASE
			if
			:: !asleep_tokens[c]
			:: asleep_tokens[c] && released[c] -> release(c, asleep_tokens[c], 0); unreserved()
			:: asleep_tokens[c] && !released[c] -> release(c, 0, asleep_tokens[c])
			fi
#endif
		fi;
		c++
	od
}

/* Set why: what @f, of class c, lacks, or GO. If it lacks tokens, arm the timer. */
inline fits(at)
{
	n = reserved_room[c] - asleep_room[c];
	others = reserved_tokens[c] - asleep_tokens[c];
#ifdef BREAK_AHEAD
	n = 0;
	others = 0;
#endif
	want = NEVER;
	if
	:: at + n + w_room[f] > LIMIT(c) -> why = SPACE
	:: else ->
		if
		:: LIMITED && tokens < others + w_tokens[f] ->
			why = TOKENS;
			want = others + MAX(w_tokens[f], SOME);
			want = (want > BURST -> NEVER : want - tokens)
		:: else -> why = GO
		fi
	fi
}

inline admit_waiter()
{
	writer_awake(f);
#ifdef BREAK_GRANT
	reserve(f, 0, 0);
#else
	reserve(f, w_room[f], w_tokens[f]);
#endif
	w_woken[f] = true;
	w_admitted[f] = true;
	wakes++
}

inline relabel()
{
#ifndef BREAK_RELABEL
	if
	:: w_wait_reason[f] != why ->
		w_wait_reason[f] = why;
		if
		:: w_reserved_room[f] != (why == TOKENS -> 0 : w_room[f]) ||
		   w_reserved_tokens[f] != (why == TOKENS -> w_tokens[f] : 0) -> unreserved()
		:: else
		fi;
		writer_awake(f);
		reserve_for_reason(f);
		writer_asleep(f)
	:: else
	fi;
#endif
#ifndef BREAK_TIMER
	due = MIN(due, want)
#endif
}

inline wake_writers(at)
{
	c = 0;
	do
	:: c == CLASSES -> break
	:: else ->
		do
		:: closed[c] || wakes == WAKE_MAX -> break
		:: else ->
			first_asleep(c);
			if
			:: f == NOBODY -> break
			:: else
			fi;
			fits(at);
			if
			:: why == GO && w_wait_reason[f] == TOKENS && due != NEVER -> break
			:: why != GO -> relabel(); break
			:: else -> admit_waiter()
			fi
		od;
		c++
	od
}

/* Set any if a writer needs readers to make progress. */
inline stalled()
{
	any = poll_level != POLL_NONE;
	c = 0;
	do
	:: c == CLASSES -> break
	:: else ->
		first_asleep(c);
		if
		:: f != NOBODY -> any = any || w_wait_reason[f] != TOKENS
		:: else
		fi;
		any = any || closed[c];
		c++
	od
}

inline wake_reader(r)
{
	who = r;
	UNLINK(rq, rq_len, who);
	r_woken[who] = true;
	r_kicked[who] = false;
	rd_woken++
}

/* Set f to the first sleeping reader with a delay. */
inline first_delay()
{
	f = NOBODY;
	k = 0;
	do
	:: k == rq_len -> break
	:: else ->
		if
		:: DELAY(rq[k]) -> f = rq[k]; break
		:: else -> k++
		fi
	od
}

inline wake_readers(at, timer)
{
	stalled();
	any = any || !wr_open;
	n = THINGS(at);
	n = MIN(n - MIN(n, rd_woken), WAKE_MAX);
	do
	:: at == 0 || !n -> break
	:: else ->
		first_delay();
		if
		:: rq_len && (any || at >= THRESHOLD(rq[0])) -> wake_reader(rq[0]); n--
		:: else ->
			if
			:: timer && f != NOBODY -> wake_reader(f); n--
			:: else -> armed = armed || f != NOBODY; break
			fi
		fi
	od
}

inline poll_due(at)
{
	if
	:: poll_level != POLL_NONE && at <= poll_level ->
		poll_level = POLL_NONE;
		notify_writers()
	:: else
	fi
}

/* Compute the wake-up levels; arm_wake_levels() publishes them. */
inline new_wake_levels()
{
	d_step {
		stalled();
		up = (pressured -> NEVER : high);
		down = (pressured -> low : -1);
		down = MAX(down, poll_level);
		c = 0;
		do
		:: c == CLASSES -> break
		:: else ->
			up = MIN(up, (closed[c] -> NEVER : CHIGH(c)));
#ifdef BREAK_CLASS
			down = MAX(down, (closed[c] && !c -> CLOW(c) : -1));
#else
			down = MAX(down, (closed[c] -> CLOW(c) : -1));
#endif
			first_asleep(c);
#ifndef BREAK_TRIP
			if
			:: f != NOBODY ->
				down = (!closed[c] && w_wait_reason[f] != TOKENS ->
					MAX(down, LIMIT(c) - w_room[f] -
						  (reserved_room[c] - asleep_room[c])) :
					down)
			:: else
			fi;
#endif
			c++
		od;
		first_delay();
		arms_timer = !armed || level == 0;
		if
		:: (rq_len || any) && (RECORDS || !rd_woken) ->
			n = (any || (arms_timer && f != NOBODY) -> 1 : THRESHOLD(rq[0]));
			n = (rd_woken -> MAX(n, level + 1) : n);
			up = MIN(up, n)
		:: else
		fi
	}
}

inline arm_wake_levels()
{
	d_step {
		wake_above = up;
		wake_below = down;
		up = 0;
		down = 0
	}
}

/* Update with the spin lock held. Set at and seen to 0 in the end, to have fewer states. */
inline update_locked(timer)
{
	at = level;
	do
	:: true ->
		d_step {
			seen = at;
			update_gates(seen);
			release_closed();
			wake_writers(seen);
			wake_readers(seen, timer);
			poll_due(seen)
		};
		new_wake_levels();
#ifdef BREAK_A
		at = level;
		arm_wake_levels();
#else
		arm_wake_levels();
		at = level;
#endif
#ifdef BREAK_LOOK_AGAIN
		break;
#endif
		if
		:: (at > seen && at >= wake_above) || (at < seen && at <= wake_below)
		:: else -> break
		fi
	od;
	atomic { at = 0; seen = 0 }
}

/* Whether a writer that leaves the queue updates: it must, admitted or not. */
#ifdef BREAK_HAND_ON
#define HANDS_ON(admitted)	admitted
#elif defined(BREAK_NEXT)
#define HANDS_ON(admitted)	!admitted
#else
#define HANDS_ON(admitted)	true
#endif

inline leave_writer(w)
{
	STEP
	if
	:: w_queued[w] ->
		LOCKED
		d_step {
			crossed = HANDS_ON(w_admitted[w]);
			part_writer(w)
		};
		if
		:: crossed -> crossed = false; update_locked(false)
		:: else
		fi
		UNLOCKED(spin)
	:: else
	fi
	STEP_END
}

inline leave_reader(r)
{
	STEP
	if
	:: r_queued[r] ->
		LOCKED
		d_step {
			r_queued[r] = false;
#ifndef BREAK_WOKEN
			rd_woken = (r_woken[r] -> rd_woken - 1 : rd_woken);
#endif
			r_woken[r] = false
		};
		update_locked(false)
		UNLOCKED(spin)
	:: else
	fi
	STEP_END
}

/* Mark the sleepers to kick: those asleep when the configuration changes. */
inline sleepers_to_kick()
{
	i = 0;
	do
	:: i == WRITERS -> break
	:: else -> w_kicked[i] = w_asleep[i]; i++
	od;
	i = 0;
	do
	:: i == rq_len -> break
	:: else -> r_kicked[rq[i]] = true; i++
	od
}

/* Wake some of them to check again. */
inline kick_writers_locked()
{
	n = 0;
	i = 0;
	do
	:: i == WRITERS -> break
	:: else ->
		if
		:: w_kicked[i] && n < WAKE_MAX ->
			writer_awake(i);
			w_woken[i] = true;
			n++
		:: else
		fi;
		i++
	od;
	more = n == WAKE_MAX
}

inline kick_readers_locked()
{
	n = 0;
	i = 0;
	do
	:: i == READERS -> break
	:: else ->
		if
		:: r_kicked[i] && n < WAKE_MAX -> wake_reader(i); n++
		:: else
		fi;
		i++
	od;
	more = n == WAKE_MAX
}

/* Wake the rest. */
inline kick_writers_rest()
{
	more = true;
	do
	:: !more -> break
	:: else ->
		LOCKED
		d_step { kick_writers_locked() }
		UNLOCKED(spin)
	od
}

inline kick_readers_rest()
{
	more = true;
	do
	:: !more -> break
	:: else ->
		LOCKED
		d_step { kick_readers_locked() }
		UNLOCKED(spin)
	od
}

#define PAY(n)	tokens = (LIMITED -> tokens - n : BURST)

proctype writer(byte id)
{
	byte left, go, at, seen, up;
	short down, noted;
	bool crossed, sleeps, killed, turned_away, more;

	do
	:: killed -> break
#ifdef CLOSE
	:: !killed -> break		/* each at any time */
#endif
	:: !killed && quiet -> break
	:: !killed && !quiet ->
		left = LEN(id);
		do
		:: STEP
			atomic {
				!wr_lock -> wr_lock = true;
				d_step { ask(id); in_order(id) }
			};
			if
			:: go ->
				left = left - go;
#ifdef BREAK_B
				crossed = level + go >= wake_above;
#endif
				if
				:: RECORDS ->
					atomic { !spin -> level = level + go; PAY(go); wr_lock = false }
				:: !RECORDS && LIMITED ->
					level = level + go;
					atomic { !spin -> PAY(go); wr_lock = false }
				:: !RECORDS && !LIMITED ->
					atomic { level = level + go; wr_lock = false }
				fi;
				go = 0
#ifndef BREAK_B
				; crossed = level >= wake_above
#endif
			:: else ->
				LOCKED
				d_step {
					ask(id);
					in_order(id);
#ifndef BREAK_GATE
					if
					:: why == SPACE && level > CLOW(CLASS(id)) -> CLOSED(id) = true
					:: else
					fi;
#endif
					turned_away = !go && id >= WRITERS - PASSERSBY;
					sleeps = !go && !turned_away;
					if
					:: sleeps -> queue_writer(id)
					:: turned_away && POLLS ->
						p_len[id] = (why == SPACE && ATOMIC -> left : 0);
						writable(id)
					:: else
					fi
				};
				if
				:: go -> go = 0
				:: else ->
#ifdef BREAK_LOOK_WRITER
					new_wake_levels();
					arm_wake_levels()
#else
					update_locked(false)
#endif
				fi
#ifdef BREAK_GATE
				; CLOSED(id) = CLOSED(id) || w_asleep[id]
#endif
				UNLOCKED(wr_lock)
			fi
			STEP_END;
			if
			:: crossed ->
				crossed = false;
				LOCKED
				update_locked(false)
				UNLOCKED(spin)
			:: else
			fi;
			if
			:: !left -> break
			:: turned_away -> turned_away = false; break	/* EAGAIN */
			:: left && sleeps ->
				sleeps = false;
end_asleep:			if
				:: w_woken[id]
				:: atomic { signals && !w_woken[id] -> signals--; killed = true }
				fi;
				if
				:: killed ->
					LOCKED
					d_step {
						if
						:: w_asleep[id] -> writer_awake(id)
						:: else
						fi
					}
					UNLOCKED(spin);
					break
				:: else
				fi
			:: left && !sleeps && !turned_away && !ATOMIC -> leave_writer(id)
			:: left && !sleeps && !turned_away && ATOMIC
			fi
		od;
		leave_writer(id);
		if
		:: POLLS && left && !killed ->
			do
			:: true ->
				LOCKED
				d_step {
					p_polls[id] = true;
					p_notified[id] = false;
					writable(id);
					crossed = f
				};
				if
				:: !crossed -> update_locked(false)
				:: else -> new_wake_levels(); arm_wake_levels()
				fi;
				do
				:: true ->
					d_step {
						noted = poll_level;
						writable(id);
						crossed = f;
						p_polls[id] = !f
					};
#ifdef BREAK_POLL_ARMED
					break;
#endif
					if
					:: crossed || poll_level == noted -> break
					:: else -> new_wake_levels(); arm_wake_levels()
					fi
				od;
				atomic { noted = 0 }
				UNLOCKED(spin);
				if
				:: crossed -> break
				:: else
				fi;
end_polls:			p_notified[id]
			od;
			atomic { p_notified[id] = false; crossed = false; p_len[id] = 0 }
		:: else
		fi;
		left = 0
	od;
#ifdef CLOSE
	LOCKED
	d_step {
		wr_open--;
		if
		:: !wr_open -> sleepers_to_kick()
		:: else
		fi
	};
	update_locked(false);
#ifndef BREAK_CLOSE
	d_step {
		if
		:: !wr_open -> kick_readers_locked()
		:: else
		fi
	}
#endif
	UNLOCKED(spin);
#ifndef BREAK_CLOSE
	if
	:: !wr_open -> kick_readers_rest()
	:: else
	fi
#endif
#endif
}

proctype reader(byte id)
{
	byte got, left, at, seen, up;
	short down;
	bool first, crossed, sleeps, done;

	do
	:: done || quiet -> break
	:: !done && !quiet ->
		left = COUNT;
		first = true;
		do
		:: STEP
			atomic { !rd_lock -> rd_lock = true; got = MIN(level, left) };
			if
			:: got ->
				left = left - got;
				first = false;
#ifdef BREAK_B
				crossed = level - got <= wake_below;
#endif
				if
				:: RECORDS ->
					atomic { !spin -> level = level - got; rd_lock = false }
				:: !RECORDS ->
					atomic { level = level - got; rd_lock = false }
				fi;
#ifndef BREAK_B
				crossed = level <= wake_below;
#endif
				got = 0;
				left = (level -> left : 0)
			:: !got && !first -> left = 0; rd_lock = false
			:: !got && first ->
				LOCKED
				if
				:: !wr_open -> done = level == 0
				:: else ->
					d_step {
						armed = false;
						rd_woken = (r_woken[id] -> rd_woken - 1 : rd_woken);
						r_queued[id] = true;
						r_woken[id] = false;
						sleeps = true;
						/*
						 * after readers with the same threshold or
						 * a lower one
						 */
						k = rq_len;
						do
						:: k && THRESHOLD(rq[k - 1]) > THRESHOLD(id) ->
							rq[k] = rq[k - 1];
							k--
						:: else -> break
						od;
						rq[k] = id;
						rq_len++
					};
#ifdef BREAK_LOOK_READER
					new_wake_levels();
					arm_wake_levels()
#else
					update_locked(false)
#endif
				fi
				UNLOCKED(rd_lock)
			fi
			STEP_END;
			if
			:: crossed ->
				crossed = false;
				LOCKED
				update_locked(false)
				UNLOCKED(spin)
			:: else
			fi;
			if
			:: !left || done -> break
			:: sleeps ->
				sleeps = false;
end_asleep:			if
				:: r_woken[id]
				:: atomic { signals && !r_woken[id] -> signals--; done = true }
				fi;
				if
				:: done ->
					LOCKED
					d_step {
						if
						:: !r_woken[id] -> r_kicked[id] = false; UNLINK(rq, rq_len, id)
						:: else
						fi
					}
					UNLOCKED(spin);
					break
				:: else
				fi
			:: left && !done && !sleeps
			fi
		od;
		atomic { left = 0; first = false };
		leave_reader(id)
	od
}

/* The readers' timer: it may expire at any time, and expires in the end. */
proctype timer()
{
	byte at, seen, up;
	short down;

end:	do
	:: atomic { armed -> armed = false };
		LOCKED
		update_locked(true)
		UNLOCKED(spin)
	od
}

/* The writers' timer, which waits for tokens. */
proctype tokens_due()
{
	byte at, seen, up;
	short down;

end:	do
	:: atomic { !due -> due = NEVER };
		LOCKED
		update_locked(false);
		d_step { notify_writers() }
		UNLOCKED(spin)
	od
}

proctype time()
{
end:	do
	:: atomic {
			!quiet && (tokens < BURST || (due && due != NEVER)) ->
			tokens = MIN(tokens + 1, BURST);
			due = (due && due != NEVER -> due - 1 : due)
		}
	od
}

proctype config()
{
	byte at, seen, up, changes = RESIZES;
	short down;
	bool again, more;

	do
	:: !changes -> break
	:: else ->
		changes--;
		STEP
		atomic { !wr_lock -> wr_lock = true };
		atomic { !rd_lock -> rd_lock = true };
		again = level <= (size == SIZE -> OTHER_SIZE : SIZE);
		if
		:: again ->
			LOCKED
			d_step {
				sleepers_to_kick();
				size = (size == SIZE -> OTHER_SIZE : SIZE);
				high = MIN(HIGH, size);
				low = MIN(LOW, high - 1);
				c = 0;
				do
				:: c == CLASSES -> break
				:: else -> closed[c] = false; c++
				od;
				poll_level = POLL_NONE;
				due = NEVER
			};
			update_locked(false);
			d_step { notify_writers(); kick_writers_locked(); kick_readers_locked() }
			UNLOCKED(spin)
		:: else
		fi;
		atomic { rd_lock = false; wr_lock = false }
		STEP_END;
		if
		:: again ->
			again = false;
			kick_writers_rest();
			kick_readers_rest()
		:: else
		fi
	od
}

/*
 * Check the final state, in which nothing moves any more: each sleeper has a reason to
 * sleep, none sleeps for tokens without a timer, unless others go first, and the gates
 * match the level.
 */
inline nobody_lost()
{
	d_step {
		assert(pressured -> level > low : level < high);
		c = 0;
		do
		:: c == CLASSES -> break
		:: else ->
			assert(closed[c] || level < CHIGH(c));
			assert(!closed[c] || level > CLOW(c));
			first_asleep(c);
			if
			:: f != NOBODY && !closed[c] ->
				fits(level);
				n = others + MAX(w_tokens[f], SOME);
				assert(why == w_wait_reason[f] || w_wait_reason[f] == TOKENS);
				assert(w_wait_reason[f] != TOKENS || due != NEVER || (why != GO && n > BURST))
			:: else
			fi;
			room = 0;
			want = 0;
			i = 0;
			do
			:: i == WRITERS -> break
			:: else ->
				assert(w_asleep[i] == w_queued[i]);
				room = room + (CLASS(i) <= c -> w_reserved_room[i] : 0);
				want = want + (CLASS(i) <= c -> KEPT(i) : 0);
				i++
			od;
			assert(reserved_room[c] == room && reserved_tokens[c] == want);
			assert(wq_len || !(room + want));
			c++
		od;
		assert(!rd_woken);
		stalled();
		i = 0;
		do
		:: i == rq_len -> break
		:: else ->
			assert(wr_open && (!level || (!any && level < THRESHOLD(rq[i]) && !DELAY(rq[i]))));
			i++
		od;
		i = WRITERS - PASSERSBY;
		do
		:: i == WRITERS -> break
		:: else ->
			if
			:: p_polls[i] -> writable(i); assert(!f)
			:: else
			fi;
			i++
		od
	}
}

init
{
	byte p;

	atomic {
		do
		:: p < WRITERS -> run writer(p); p++
		:: else -> break
		od;
		p = 0;
		do
		:: p < READERS -> run reader(p); p++
		:: else -> break
		od;
		p = 0;
		run timer();
		if
		:: RESIZES -> run config()
		:: else
		fi;
		if
		:: LIMITED -> run tokens_due(); run time()
		:: else
		fi
	};

	quiet = true;
	timeout;
	nobody_lost()
}
