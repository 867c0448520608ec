/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The sleep/wake protocol of module/wait.c and module/channel.c, for SPIN.
 *
 * mirrors: module/wait.c: bpipe_wake_locked bpipe_wait_wake_all_locked bpipe_wake_writer_locked
 * mirrors: module/wait.c: bpipe_writer_first_locked bpipe_wake_readers_locked
 * mirrors: module/wait.c: bpipe_wait_set_trips_locked bpipe_update_gates_locked
 * mirrors: module/wait.c: bpipe_wait_held_up_locked
 * mirrors: module/wait.c: bpipe_write_tokens_due bpipe_settle_due_locked bpipe_data_due
 * mirrors: module/wait.c: bpipe_join_locked bpipe_part_locked bpipe_wait_queue_locked
 * mirrors: module/wait.c: bpipe_wait_sleep bpipe_wait_leave_queue
 * mirrors: module/wait.h: bpipe_wait_first bpipe_wait_behind bpipe_wait_settle_write
 * mirrors: module/wait.h: bpipe_wait_settle_read bpipe_wait_leave
 * mirrors: module/channel.c: bpipe_channel_at_end_locked bpipe_channel_release
 * mirrors: module/write.c: bpipe_ask_wr bpipe_ask_again_wr_locked bpipe_refuse_wr
 * mirrors: module/write.c: bpipe_queue_wr_locked bpipe_write_wr bpipe_channel_write
 * mirrors: module/read.c: bpipe_queue_rd_locked bpipe_starve_rd bpipe_nothing_rd
 * mirrors: module/read.c: bpipe_read_rd bpipe_read_stream_rd bpipe_channel_read
 * mirrors: module/flow.c: bpipe_flow_admit bpipe_flow_lack bpipe_flow_kept bpipe_flow_promise
 * mirrors: module/flow.c: bpipe_flow_keep bpipe_flow_refuse bpipe_flow_update
 * mirrors: module/flow.c: bpipe_flow_next_up bpipe_flow_next_down
 * mirrors: module/config.c: bpipe_apply_locked bpipe_config_set
 * mirrors: tests/proof/scenes
 *
 * Left out: page faults, epipe, and of pollers all but what they look at; records,
 * which are atomic writes here; what waits apart, and so holds up nobody; evictions,
 * and records whose time is over, after which all look again; credit, whose grants
 * wake as tokens do, and for want of which readers are woken as for that of room; the readers' rate; and what only watches: overload, the status
 * page. Who times out leaves as one who is killed. Of classes there are at most two.
 * Time is there as far as it brings tokens: one with each tick, until it is quiet.
 *
 * A step that another CPU can see half of is a statement of its own; the rest
 * is atomic. The barriers are modelled by what their absence allows: a load
 * that is done before the store that stands above it.
 *
 * What is shown: no deadlock (SPIN's invalid end states: only a sleeper may
 * stay for ever), no sleeper left whom somebody should have woken (nobody_lost,
 * once nothing moves any more), no writer that overtakes one that waits in
 * front of it (in_order), and never more bytes than fit.
 *
 * Everybody writes and reads as often as they like, until it becomes quiet, and
 * it may at any time: histories are of any length, and anything may be the last
 * that happens.
 *
 * A scene is set by macros; see the file scenes, which says what each is for.
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
#ifndef ATOMIC		/* are they stored at once or not at all? */
#define ATOMIC	true
#endif
#ifndef CLASSES		/* of writers; what sets the second apart is its limit */
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
#ifndef PASSERSBY	/* writers, the last ones, who do not wait */
#define PASSERSBY	0
#endif
#ifndef COUNT		/* bytes a read asks for */
#define COUNT	SIZE
#endif
#ifndef THRESHOLD	/* of reader number r */
#define THRESHOLD(r)	1
#endif
#ifndef DELAY		/* does reader number r have one? */
#define DELAY(r)	false
#endif
#ifndef SIGNALS		/* signals that may come, each kills anybody who sleeps */
#define SIGNALS	0
#endif
#ifndef RESIZES		/* changes of the configuration, to this size and back */
#define RESIZES	0
#endif
#ifndef OTHER_SIZE
#define OTHER_SIZE	SIZE
#endif

#ifndef BURST		/* tokens that there are at most, if there is a rate limit */
#define BURST	255
#endif
#define LIMITED	(BURST != 255)

#define MIN(a, b)	((a) < (b) -> (a) : (b))
#define NOBODY		255
#define NEVER		255	/* a trip wire that is not there */

/* The channel. Of the positions only the difference matters. */
byte level;
byte size = SIZE;
byte high = HIGH;
byte low = LOW;
byte trip_up = (CLASSES > 1 -> MIN(HIGH, HIGH1) : HIGH);
byte trip_down = NEVER;
bool pressured;
bool shut[CLASSES];
byte promised, promised_tokens;
byte tokens = BURST;
byte due = NEVER;	/* ticks until the writers' timer goes off */
byte wr_open = WRITERS;
bool wr_lock, rd_lock, spin;

/* The two queues, of processes' numbers: writers from 0, readers from 0. */
byte wq[WRITERS];
byte wq_len;
byte rq[READERS];
byte rq_len;
bool w_queued[WRITERS];
bool w_woken[WRITERS];
byte w_promise[WRITERS];
byte w_want[WRITERS];	/* tokens */
bool w_timed[WRITERS];
bool r_queued[READERS];
bool r_woken[READERS];
bool armed;			/* the readers' timer */
byte signals = SIGNALS;
bool quiet;			/* nobody has to begin anything any more */

#define W_FIRST		(wq_len -> wq[0] : NOBODY)

/* A class's limit and marks, and its gate. Those of the second do not change. */
#define LIMIT(c)	((c) -> LIMIT1 : size)
#define CHIGH(c)	((c) -> HIGH1 : high)
#define CLOW(c)		((c) -> LOW1 : low)
#define SHUT(w)		shut[CLASS(w)]
#define ANY_SHUT	(shut[0] || shut[CLASSES - 1])

/* Why a writer waits. */
#define SPACE		0
#define TURN		1
#define TOKENS		2

/*
 * What is under the spin lock; COARSE makes it one step. Where it also makes one
 * step of a look and what is done about it, under a mutex, no order is lost: what
 * others may do in between leaves the answer as it is (a write that fits will fit,
 * and whose turn it is, it will be; there is still a byte to read).
 */
#ifdef COARSE
#define LOCKED		atomic {
#define UNLOCKED(lock)	; lock = false }
#define STORES		(ATOMIC && !PASSERSBY && !LIMITED)
#define TAKES		(COUNT == 1)
#else
#define STORES		false
#define TAKES		false
#define LOCKED		atomic { !spin -> spin = true };
#define UNLOCKED(lock)	; atomic { spin = false; lock = false }
#endif

/* The writers' queue has changed, by @who; and @was was its first. */
inline keep(was, who)
{
	if
	:: wq_len -> promised = w_promise[wq[0]]; promised_tokens = w_want[wq[0]]
	:: else -> promised = 0; promised_tokens = 0
	fi;
	if
	:: wq_len && wq[0] != was ->
		w_timed[wq[0]] = false;
#ifndef BREAK_NEXT
		w_woken[wq[0]] = w_woken[wq[0]] || (was != NOBODY && wq[0] != who && !SHUT(wq[0]))
#endif
	:: else
	fi
}

/* Takes who out of a queue; inlines take no arrays. */
#define UNLINK(queue, queue_len, who)			\
	i = 0;						\
	do						\
	:: queue[i] != who -> i++			\
	:: else -> break				\
	od;						\
	do						\
	:: i + 1 < queue_len -> queue[i] = queue[i + 1]; i++	\
	:: else -> break				\
	od;						\
	queue_len--;					\
	queue[queue_len] = 0;				\
	i = 0

inline queue_writer(w)
{
	d_step {
		first = W_FIRST;
		if
		:: w_queued[w] && progress -> UNLINK(wq, wq_len, w); w_queued[w] = false
		:: else
		fi;
		if
		:: !w_queued[w] ->
			/* behind those of its class, before those of the next */
			i = wq_len;
			do
			:: i && CLASS(wq[i - 1]) > CLASS(w) -> wq[i] = wq[i - 1]; i--
			:: else -> break
			od;
			wq[i] = w;
			wq_len++
		:: else
		fi;
		w_queued[w] = true;
		progress = false;
		w_woken[w] = false;
		keep(first, w);
		i = 0
	}
}

inline update_gate(at, c)
{
	if
	:: at >= CHIGH(c) -> shut[c] = true
	:: at <= CLOW(c) -> shut[c] = false
	:: else
	fi
}

inline update_gates(at)
{
	if
	:: at >= high -> pressured = true
	:: at <= low -> pressured = false
	:: else
	fi;
	update_gate(at, 0);
#if CLASSES > 1
	update_gate(at, 1)
#endif
}

inline wake_writer()
{
	if
	:: wq_len && !SHUT(wq[0]) && !w_timed[wq[0]] -> w_woken[wq[0]] = true
	:: else
	fi
}

inline wake_readers(at, due)
{
	i = 0;
	do
	:: at == 0 || i == rq_len -> break
	:: else ->
		if
		:: r_woken[rq[i]] -> break
		:: else ->
			if
			:: ANY_SHUT || !wr_open || at >= THRESHOLD(rq[i]) || (due && DELAY(rq[i])) ->
				r_woken[rq[i]] = true;
				break
			:: else ->
				armed = armed || DELAY(rq[i]);
				i++
			fi
		fi
	od;
	i = 0
}

inline set_trips()
{
	d_step {
		up = (pressured -> NEVER : high);
		up = MIN(up, (shut[0] -> NEVER : CHIGH(0)));
		up = MIN(up, (shut[CLASSES - 1] -> NEVER : CHIGH(CLASSES - 1)));
		timed = !armed || level == 0;
		i = 0;
		do
		:: i == rq_len -> break
		:: else ->
			if
			:: r_woken[rq[i]] -> break
			:: else ->
				up = MIN(up, (timed && DELAY(rq[i]) -> 1 : THRESHOLD(rq[i])));
				i++
			fi
		od;
		i = 0
	};
	d_step {
		trip_up = up;
		trip_down = (pressured || shut[0] -> low : NEVER);
#ifndef BREAK_CLASS
		trip_down = (shut[CLASSES - 1] && (trip_down == NEVER || CLOW(CLASSES - 1) > trip_down) ->
			     CLOW(CLASSES - 1) : trip_down);
#endif
		up = 0;
		timed = false
	}
}

/* With the spin lock held. Leaves at and seen zero, to have fewer states. */
inline settle_locked(due)
{
	at = level;
	do
	:: true ->
		d_step {
			seen = at;
			update_gates(seen);
			wake_writer();
			wake_readers(seen, due)
		};
#ifdef BREAK_A
		at = level;
		set_trips();
#else
		set_trips();
		at = level;
#endif
#ifdef BREAK_LOOK_AGAIN
		break;
#endif
		if
		:: (seen < trip_up && at >= trip_up) ||
		   (trip_down != NEVER && seen > trip_down && at <= trip_down)
		:: else -> break
		fi
	od;
	atomic { at = 0; seen = 0 }
}

inline leave_writer(w)
{
	if
	:: w_queued[w] ->
		LOCKED
		d_step {
			first = W_FIRST;
			UNLINK(wq, wq_len, w);
			w_queued[w] = false;
			w_woken[w] = false;
			w_timed[w] = false;
			w_promise[w] = 0;
			w_want[w] = 0;
#ifdef BREAK_HAND_ON
			first = NOBODY;
#endif
			keep(first, w);
			first = 0
		};
#ifndef BREAK_HAND_ON
		settle_locked(false)
#else
		skip
#endif
		UNLOCKED(spin)
	:: else
	fi
}

inline leave_reader(r)
{
	if
	:: r_queued[r] ->
		LOCKED
		d_step {
			UNLINK(rq, rq_len, r);
			r_queued[r] = false;
			r_woken[r] = false
		};
#ifndef BREAK_HAND_ON
		settle_locked(false)
#else
		skip
#endif
		UNLOCKED(spin)
	:: else
	fi
}

#define PAY(n)	tokens = (LIMITED -> tokens - n : BURST)

/* Tokens that are worth starting for. */
#define WANT(left)	(ATOMIC -> MIN(left, BURST) : MIN(left, (BURST / 2 -> BURST / 2 : 1)))

/* The verdict: go, bytes that may be stored; if 0, why not. */
inline ask(w)
{
	d_step {
		turn = w_queued[w] && W_FIRST == w;
		behind = !turn && wq_len && CLASS(wq[0]) <= CLASS(w);
		room = (level < LIMIT(CLASS(w)) -> LIMIT(CLASS(w)) - level : 0);
		if
		:: behind -> room = room - MIN(room, promised); kept = promised_tokens
		:: else
		fi;
		go = 0;
		if
		:: behind && (!passerby || SHUT(w)) -> why = TURN
		:: else ->
			why = SPACE;
			if
			:: room < (ATOMIC -> left : 1)
			:: else ->
				go = MIN(left, room);
				if
				:: LIMITED && tokens < kept + WANT(left) -> go = 0; why = TOKENS
				:: LIMITED && !ATOMIC && tokens >= kept + WANT(left) ->
					go = MIN(go, tokens - kept)
				:: else
				fi
			fi
		fi;
#ifdef BREAK_TURN
		room = size - level;
		why = SPACE;
		go = (room < (ATOMIC -> left : 1) -> 0 : MIN(left, room));
#endif
		turn = false; behind = false; room = 0; kept = 0
	}
}

proctype writer(byte id)
{
	byte left, go, at, seen, up, i, room, kept, why, before, first;
	bool again, turn, behind, progress, crossed, timed, killed;
	bool passerby = id >= WRITERS - PASSERSBY;

	do
	:: killed -> break
#ifdef CLOSE
	:: !killed -> break		/* each when it likes */
#endif
	:: !killed && quiet -> break
	:: !killed && !quiet ->
		left = LEN(id);
		do
		:: atomic {
				!wr_lock -> wr_lock = true;
				ask(id);
				/* in_order: those who wait are not passed by, except by
				 * one that does not wait, while the gate is open, and
				 * what they were promised stays.
				 */
				assert(!go || !wq_len || wq[0] == id || passerby ||
				       CLASS(wq[0]) > CLASS(id));
				assert(!go || LIMIT(CLASS(id)) - level >=
				       go + (wq_len && wq[0] != id && CLASS(wq[0]) <= CLASS(id) ->
					     promised : 0));
				if
				:: go && STORES -> level = level + go; wr_lock = false
				:: else
				fi
			};
			if
			:: go ->
#ifdef BREAK_B
				crossed = level + go >= trip_up;
#endif
				if
				:: !STORES -> atomic { level = level + go; PAY(go); wr_lock = false }
				:: else
				fi;
#ifndef BREAK_B
				crossed = level >= trip_up;
#endif
				left = left - go;
				progress = true;
				go = 0;
				if
				:: crossed ->
					crossed = false;
					LOCKED
					settle_locked(false)
					UNLOCKED(spin)
				:: else
				fi;
				if
				:: !left -> break
				:: else
				fi
			:: else ->
#ifdef BREAK_TEST_FIRST
				LOCKED
				w_promise[id] = (ATOMIC -> left : 1);
				queue_writer(id);
				SHUT(id) = SHUT(id) || why == SPACE;
				set_trips()
				UNLOCKED(wr_lock);
#else
				LOCKED
				do
				:: true ->
					before = why;
					if
					:: before == SPACE ->
						d_step {
							SHUT(id) = true;
							at = level;
							wake_readers(at, false);
							at = 0
						};
						set_trips()
					:: else
					fi;
					ask(id);
					if
					:: !go && why == SPACE && before != SPACE
					:: else -> break
					fi
				od;
#ifdef BREAK_LOOK_WRITER
				go = 0;
				why = before;
#endif
#ifndef BREAK_GATE
				if
				:: before == SPACE && (go || why != SPACE) -> settle_locked(false)
				:: else
				fi;
#endif
				if
				:: go ->
					go = 0;
					again = true
				:: !go && !passerby ->
					d_step {
						w_promise[id] = (ATOMIC -> left : 1);
						w_want[id] = (LIMITED -> WANT(left) : 0)
					};
					queue_writer(id);
					d_step {
						first = 0;
						w_timed[id] = why == TOKENS;
						due = (why == TOKENS -> MIN(due, WANT(left) - tokens) : due)
					}
				:: else
				fi
				UNLOCKED(wr_lock);
#endif
				d_step { why = 0; before = 0 };
				if
				:: w_queued[id] && !again ->
end_asleep:				if
					:: w_woken[id]
					:: atomic { signals && !w_woken[id] -> signals--; killed = true };
						break
					fi
				:: passerby && !again -> break	/* EAGAIN */
				:: else
				fi;
				again = false
			fi
		od;
		progress = false;
		leave_writer(id);
		left = 0
	od;
#ifdef CLOSE
	LOCKED
	d_step {
		wr_open--;
		i = 0;
		do
#ifndef BREAK_CLOSE
		:: !wr_open && i < rq_len -> r_woken[rq[i]] = true; i++
#endif
		:: else -> break
		od;
		i = 0
	};
	settle_locked(false)
	UNLOCKED(spin)
#endif
}

proctype reader(byte id)
{
	byte n, want, at, seen, up, i;
	bool first, crossed, timed, done;

	do
	:: done || quiet -> break
	:: !done ->
		want = COUNT;
		first = true;
		do
		:: atomic {
				!rd_lock -> rd_lock = true;
				n = level;
				if
				:: n && TAKES -> level--; rd_lock = false
				:: else
				fi
			};
			if
			:: n ->
				n = MIN(n, want);
				want = want - n;
				first = false;
#ifdef BREAK_B
				crossed = trip_down != NEVER && level - n <= trip_down;
#endif
				if
				:: !TAKES -> atomic { level = level - n; rd_lock = false }
				:: else
				fi;
#ifndef BREAK_B
				crossed = trip_down != NEVER && level <= trip_down;
#endif
				n = 0;
				if
				:: crossed ->
					crossed = false;
					LOCKED
					settle_locked(false)
					UNLOCKED(spin)
				:: else
				fi;
				if
				:: !want || level == 0 -> break
				:: else
				fi
			:: !n && !first -> rd_lock = false; break
			:: else ->
				LOCKED
				if
				:: !wr_open -> done = (level == 0)
				:: else ->
					d_step {
						armed = false;
						if
						:: !r_queued[id] -> rq[rq_len] = id; rq_len++
						:: else
						fi;
						r_queued[id] = true;
						r_woken[id] = false
					};
#ifdef BREAK_A
					at = level;
					set_trips();
#else
					set_trips();
					at = level;
#endif
#ifndef BREAK_LOOK_READER
					r_woken[id] = r_woken[id] || at;
#endif
					at = 0
				fi
				UNLOCKED(rd_lock);
				if
				:: done -> break
				:: r_queued[id] && wr_open ->
end_asleep:				if
					:: r_woken[id]
					:: atomic { signals && !r_woken[id] -> signals--; done = true };
						break
					fi
				:: else
				fi
			fi
		od;
		atomic { want = 0; first = false };
		leave_reader(id)
	od
}

/* The readers' timer: it may go off at any time, and does in the end. */
proctype timer()
{
	byte at, seen, up, i;
	bool timed;

end:	do
	:: atomic { armed -> armed = false };
		LOCKED
		settle_locked(true)
		UNLOCKED(spin)
	od
}

/* The writers' timer, and what it waits for. */
proctype tokens_due()
{
end:	do
	:: atomic {
			!due && LIMITED -> due = NEVER;
			if
			:: wq_len -> w_woken[wq[0]] = true
			:: else
			fi
		}
	od
}

proctype time()
{
end:	do
	:: atomic {
			LIMITED && !quiet && (tokens < BURST || (due && due != NEVER)) ->
			tokens = MIN(tokens + 1, BURST);
			due = (due && due != NEVER -> due - 1 : due)
		}
	od
}

proctype config()
{
	byte at, seen, up, i, n = RESIZES;
	bool timed;

	do
	:: !n -> break
	:: else ->
		n--;
		atomic { !wr_lock -> wr_lock = true };
		atomic { !rd_lock -> rd_lock = true };
		if
		:: level > (size == SIZE -> OTHER_SIZE : SIZE)
		:: else ->
			LOCKED
			d_step {
				size = (size == SIZE -> OTHER_SIZE : SIZE);
				high = MIN(HIGH, size);
				low = MIN(LOW, high - 1)
			};
			settle_locked(false);
			d_step {
				i = 0;
				do
				:: i < wq_len -> w_woken[wq[i]] = true; i++
				:: else -> break
				od;
				i = 0;
				do
				:: i < rq_len -> r_woken[rq[i]] = true; i++
				:: else -> break
				od;
				i = 0
			}
			UNLOCKED(spin)
		fi;
		rd_lock = false;
		wr_lock = false
	od
}

/*
 * Once nothing moves any more: who sleeps, does so for a reason; and poll, which
 * looks at the gate alone, tells the truth.
 */
inline nobody_lost()
{
	assert(pressured -> level > low : level < high);
	do
	:: i == CLASSES -> break
	:: else ->
		assert(shut[i] || level < CHIGH(i));
		assert(!shut[i] || level > CLOW(i) ||
		       (ATOMIC && LIMIT(i) - level < LEN(WRITERS - 1)));
		i++
	od;
	i = 0;
	assert(!wq_len || SHUT(wq[0]) || (LIMITED && tokens < w_want[wq[0]]));
	do
	:: i == rq_len -> break
	:: else ->
		assert(wr_open &&
		       (!level || (!ANY_SHUT && level < THRESHOLD(rq[i]) && !DELAY(rq[i]))));
		i++
	od;
	i = 0
}

init
{
	byte i;

	atomic {
		do
		:: i < WRITERS -> run writer(i); i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < READERS -> run reader(i); i++
		:: else -> break
		od;
		i = 0;
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
