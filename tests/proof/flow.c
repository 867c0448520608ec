// SPDX-License-Identifier: GPL-2.0
/*
 * Prove what module/flow.c promises, by CBMC.
 *
 * mirrors: module/flow.c
 * mirrors: module/flow.h
 * mirrors: tests/proof/kernel.h
 *
 * Bounds: levels, marks, lengths and times have any possible value. Division by an
 * unknown number is too much for the solver. So rate and burst are at most 7, a second
 * has 10 ns, to give them a meaning, and PIPE_BUF is 4. The code does not depend on these
 * values. At so low a rate, no token comes in within 50 ms: where the code divides by 20
 * for that, it is made to divide by 2. limits.c covers large values.
 *
 * bpipe_flow_set_marks() needs such a division, too. Here, marks are any that keep
 * low < high <= limit <= size; tests/kunit covers that function, and limits.c covers it at
 * the largest size.
 *
 * drop_to_low is off here: it only drops more, and admits nothing. tests/kunit covers it.
 *
 * The sum of reservations is any sum; prove_reserve() shows that each reservation is
 * removed and added as a whole.
 *
 * Each proof starts from any state that any_flow() allows. Writers change this state as
 * in prove_afford(), which shows that any_flow() also allows the result.
 */

#define NSEC_PER_SEC	10L
#define PIPE_BUF	4
#define MOST		7
#define MANY		(BPIPE_CREDIT_MAX / 4)
#define div_u64(n, by)	div64_u64(n, (u32)((by) == 20 ? 2 : (by)))

#include "../../module/flow.c"

static s64 full(const struct bpipe_bucket *b)
{
	return (s64)b->burst * NSEC_PER_SEC;
}

/* Writers go into debt for at most an atomic write, less the token it took. */
static bool sane(const struct bpipe_bucket *b)
{
	return b->rate <= MOST && b->burst >= 1 && b->burst <= MOST &&
	       (!b->rate || (b->fill <= full(b) &&
			     b->fill > -PIPE_BUF * NSEC_PER_SEC));
}

static struct bpipe_bucket any_bucket(void)
{
	struct bpipe_bucket b = {
		.rate = any(), .burst = any(), .fill = any(), .stamp = any(),
	};

	assume(sane(&b));
	return b;
}

static u64 any_to(u64 most)
{
	u64 n = any();

	assume(n <= most);
	return n;
}

/*
 * The class that asks stands for any. Of the others, only the bits of their gates matter,
 * and the sums in prove_reserve().
 */
static const u32 class = 3;

static struct bpipe_flow any_flow(void)
{
	struct bpipe_flow f = { .pressured = any() & 1, .closed = any_to(BPIPE_CLOSED_ALL) };
	struct bpipe_mark *mark;

	mark = &f.mark[class];
	*mark = (struct bpipe_mark) { .limit = any(), .high = any(), .low = any() };
	f.size = any();
	f.high = any();
	f.low = any();
	f.overhead = any() & 1 ? BPIPE_RECORD_OVERHEAD : 0;
	assume(f.size <= BPIPE_SIZE_MAX && f.low < f.high && f.high <= f.size);
	assume(mark->low < mark->high && mark->high <= mark->limit && mark->limit <= f.size);
	assume(mark->limit > f.overhead && mark->limit >= PIPE_BUF);
	return f;
}

static struct bpipe_need any_need_to(u64 most)
{
	return (struct bpipe_need) {
		.room = any_to(most), .bytes = any_to(most), .records = any_to(most),
		.credit = any_to(most),
	};
}

/* Add rates and credit, and any reservations. */
static struct bpipe_flow any_limited_flow(void)
{
	struct bpipe_flow f = any_flow();

	f.limited = true;
	f.write.bytes = any_bucket();
	f.credit_unit = any_to(BPIPE_CREDIT_RECORDS);
	f.credit = any_to(BPIPE_CREDIT_MAX);
	f.reserved[class] = any_need_to(MANY);
	return f;
}

/* What the requesting writer has reserved, if it was admitted. */
static struct bpipe_need held;

/*
 * In a stream, a write of up to PIPE_BUF bytes is atomic. A record is always atomic, and
 * has any length.
 */
static struct bpipe_request any_request(const struct bpipe_flow *f)
{
	struct bpipe_request r = {
		.len = any(), .evictable = any(), .class = class,
		.policy = any_to(BPIPE_POLICY_DROP_OLDEST),
		.nonblock = any() & 1, .queued = any() & 1, .must_queue = any() & 1,
		.spent = any() & 1,
	};

	assume(r.len && r.len <= 1ULL << 62);
	held = any_need_to(MANY);
	if (r.queued && any() & 1)
		r.held = &held;
	else
		held = (struct bpipe_need) { 0 };
	r.nonblock |= r.policy != BPIPE_POLICY_BLOCK;
	r.atomic = f->overhead || r.len <= PIPE_BUF;
	if (f->overhead)
		assume(r.len <= bpipe_flow_largest(f, class));
	else
		assume(r.policy != BPIPE_POLICY_DROP_OLDEST);
	return r;
}

/* A writer that waits in the queue, if at all, and has spent nothing. */
static struct bpipe_request any_waiter(const struct bpipe_flow *f)
{
	struct bpipe_request r = any_request(f);

	r.policy = BPIPE_POLICY_BLOCK;
	r.nonblock = false;
	r.spent = false;
	r.queued = r.held;
	r.must_queue = false;
	return r;
}

/* Return what is left of @n without @kept. */
static u64 less(u64 n, u64 kept)
{
	return n > kept ? n - kept : 0;
}

/* Return what may be used of @there: what others leave, and at least what is @held. */
static u64 usable(u64 there, u64 reserved, u64 held)
{
	u64 left = less(there, less(reserved, held));

	return max(left, min(there, held));
}

/* A bucket fills at the rate, no faster and no slower, up to the burst. */
void prove_fill(void)
{
	struct bpipe_bucket b = any_bucket();
	u64 now = any();
	s64 fill;

	assume(b.rate);
	fill = bpipe_bucket_fill(&b, now);
	if (now <= b.stamp)
		prove(fill == b.fill);
	else if (now - b.stamp > (MOST + PIPE_BUF) * NSEC_PER_SEC)
		prove(fill == full(&b));
	else
		prove(fill == min(b.fill + (s64)((now - b.stamp) * b.rate), full(&b)));
}

void prove_tokens(void)
{
	struct bpipe_bucket b = any_bucket();
	u64 tokens = bpipe_bucket_tokens(&b, b.stamp);

	prove(b.rate || tokens == U64_MAX);
	prove(!b.rate || tokens <= b.burst);
	prove(!b.rate || (s64)tokens * NSEC_PER_SEC <= max(b.fill, 0));
	prove(!b.rate || (s64)(tokens + 1) * NSEC_PER_SEC > b.fill);
}

/* Return true if @wait is the first moment at which the bucket has @tokens. */
static bool exact(const struct bpipe_bucket *b, u64 tokens, u64 wait)
{
	s64 missing;

	if (!b->rate)
		return !wait;
	missing = (s64)tokens * NSEC_PER_SEC - b->fill;
	return wait <= (MOST + PIPE_BUF) * NSEC_PER_SEC &&
	       (s64)(wait * b->rate) >= missing &&
	       (!wait || (s64)((wait - 1) * b->rate) < missing);
}

void prove_wait(void)
{
	struct bpipe_bucket b = any_bucket();
	u64 tokens = any_to(b.burst);

	prove(exact(&b, tokens, bpipe_bucket_wait(&b, tokens, b.stamp)));
}

/*
 * Return true if @wait is the first moment at which the bucket has @want in addition to
 * what others have reserved. If others leave a quantum, the wait is for that. U64_MAX means
 * never.
 */
static bool worth(const struct bpipe_bucket *b, u64 others, u64 want, u64 wait)
{
	if (others + want > b->burst)
		return wait == U64_MAX;
	want = max(want, min(bpipe_bucket_quantum(b), b->burst - others));
	return exact(b, others + want, wait);
}

/* A quantum is what comes in within 5 ms, or within 50 ms if that is not above PIPE_BUF. */
void prove_quantum(void)
{
	struct bpipe_bucket b = any_bucket();
	u64 n = bpipe_bucket_quantum(&b), soon = div_u64(b.rate, 200);

	prove(n >= 1 && n <= b.burst);
	prove(n == 1 || (n <= div_u64(b.rate, 20) && n <= b.burst / 2));
	prove(n <= soon || n <= PIPE_BUF);
	prove(n >= soon || n >= b.burst / 2);
	prove(n >= min(div_u64(b.rate, 20), PIPE_BUF) || n >= b.burst / 2);
}

/* A write uses nothing that others have reserved, and all that it reserved itself. */
void prove_usable(void)
{
	u64 there = any(), reserved = any_to(MANY), mine = any_to(MANY);
	u64 n = bpipe_usable(there, reserved, mine);

	prove(n <= there && n >= min(there, mine));
	prove(there - n >= min(there, less(reserved, mine)) || n <= mine);
	prove(n >= less(there, less(reserved, mine)));
	prove(mine || n == less(there, reserved));
}

void prove_set(void)
{
	struct bpipe_bucket b = any_bucket(), old = b;
	u64 rate = any_to(MOST), burst = 1 + any_to(MOST - 1);

	bpipe_bucket_set(&b, rate, burst, b.stamp);
	prove(sane(&b));
	prove(b.rate == rate && b.burst == burst && b.stamp == old.stamp);
	prove(b.fill == (old.rate ? min(old.fill, full(&b)) : full(&b)));
}

/* Granted room exists, and is not reserved by others. */
void prove_room(void)
{
	struct bpipe_flow f = any_flow();
	struct bpipe_request r;
	struct bpipe_decision decision = { 0 };
	u64 level = any_to(f.size), room;
	enum bpipe_verdict verdict;

	f.reserved[class].room = any_to(MANY);
	r = any_request(&f);
	r.policy = BPIPE_POLICY_BLOCK;
	room = usable(less(f.mark[class].limit, level), f.reserved[class].room, held.room);

	verdict = bpipe_flow_admit(&f, &r, level, 0, &decision);
	if (verdict != BPIPE_GO) {
		prove(verdict == (r.nonblock ? BPIPE_AGAIN : decision.wait_reason));
		verdict = decision.wait_reason;
	}
	prove((verdict == BPIPE_WAIT_TURN) ==
	      (!r.held && (r.queued || (r.must_queue && bpipe_flow_closed(&f, class)))));
	if (verdict == BPIPE_WAIT_TURN)
		return;
	prove((verdict == BPIPE_WAIT_SPACE) == (room < (r.atomic ? r.len + f.overhead : 1)));
	if (verdict == BPIPE_WAIT_SPACE)
		return;
	prove(verdict == (r.spent ? BPIPE_WAIT_TOKENS : BPIPE_GO));
	prove(!r.spent || !decision.wait_ns);
	if (r.spent)
		return;
	prove(decision.bytes == (r.atomic ? r.len : min(r.len, room)) && !decision.cut);
	prove(level + decision.bytes + f.overhead <= f.mark[class].limit);
	prove(r.held || decision.bytes + f.overhead <=
			less(less(f.mark[class].limit, level), f.reserved[class].room));
}

/* Granted tokens and credit exist, and are not reserved by others, if there is room. */
void prove_afford(void)
{
	struct bpipe_flow f = any_limited_flow(), after;
	struct bpipe_request r = any_waiter(&f);
	struct bpipe_decision decision = { 0 };
	u64 now = f.write.bytes.stamp, room = f.mark[class].limit, tokens, credit, want;
	enum bpipe_verdict verdict;

	f.reserved[class].room = 0;
	f.reserved[class].records = 0;
	assume(!r.atomic || room >= r.len + f.overhead);
	tokens = usable(bpipe_bucket_tokens(&f.write.bytes, now), f.reserved[class].bytes,
			held.bytes);
	credit = usable(f.credit, f.reserved[class].credit, held.credit);
	want = bpipe_bucket_want(&f.write.bytes, &r);
	prove(want >= 1 && want <= f.write.bytes.burst && want <= r.len);
	prove(r.atomic || want <= PIPE_BUF);

	verdict = bpipe_flow_admit(&f, &r, 0, now, &decision);
	prove((verdict == BPIPE_WAIT_CREDIT) ==
	      ((f.credit_unit == BPIPE_CREDIT_BYTES && credit < (r.atomic ? r.len : 1)) ||
	       (f.credit_unit == BPIPE_CREDIT_RECORDS && !credit)));
	if (verdict == BPIPE_WAIT_CREDIT)
		return;
	prove((verdict == BPIPE_WAIT_TOKENS) == (f.write.bytes.rate && tokens < want));
	if (verdict == BPIPE_WAIT_TOKENS) {
		prove(worth(&f.write.bytes, less(f.reserved[class].bytes, held.bytes), want,
			    decision.wait_ns));
		return;
	}

	prove(verdict == BPIPE_GO);
	if (f.credit_unit == BPIPE_CREDIT_BYTES)
		room = min(room, credit);
	prove(decision.bytes >= 1 && decision.bytes <= r.len && decision.bytes <= room);
	prove(r.atomic ? decision.bytes == r.len : decision.bytes == min(tokens, min(r.len, room)));
	prove(decision.cut == (!r.atomic && f.write.bytes.rate && tokens < min(r.len, room)));
	after = f;
	bpipe_flow_take(&after, decision.bytes, now);
	prove(f.overhead || sane(&after.write.bytes));
	prove(!f.write.bytes.rate || after.write.bytes.stamp == now);
	prove(!f.write.bytes.rate || after.write.bytes.fill ==
	      f.write.bytes.fill - (s64)decision.bytes * NSEC_PER_SEC);
	prove(after.credit == f.credit - (f.credit_unit == BPIPE_CREDIT_BYTES ? decision.bytes :
					  f.credit_unit == BPIPE_CREDIT_RECORDS ? 1 : 0));
}

/* Records have a separate bucket; the longer of two waits counts. */
void prove_records(void)
{
	struct bpipe_flow f = any_flow();
	struct bpipe_request r = any_waiter(&f);
	const struct bpipe_bucket *b = &f.write.records;
	struct bpipe_decision decision = { 0 };
	enum bpipe_verdict verdict;

	f.limited = true;
	f.write.records = any_bucket();
	f.reserved[class].records = any_to(MANY);
	verdict = bpipe_flow_admit(&f, &r, 0, b->stamp, &decision);
	prove((verdict == BPIPE_WAIT_TOKENS) ==
	      (b->rate && usable(bpipe_bucket_tokens(b, b->stamp), f.reserved[class].records,
				 held.records) < 1));
	prove(verdict != BPIPE_WAIT_TOKENS ||
	      worth(b, less(f.reserved[class].records, held.records), 1, decision.wait_ns));
}

/* A file's own bucket comes before all else, and never grants more than it has. */
void prove_own(void)
{
	struct bpipe_bucket own = any_bucket();
	struct bpipe_flow f = any_flow();
	struct bpipe_request r = any_request(&f);
	struct bpipe_decision decision = { 0 };
	u64 now = own.stamp, want = bpipe_bucket_want(&own, &r);
	enum bpipe_verdict verdict;

	r.own = &own;
	r.policy = BPIPE_POLICY_BLOCK;
	r.nonblock = false;
	verdict = bpipe_flow_admit(&f, &r, 0, now, &decision);
	prove((verdict == BPIPE_WAIT_OWN) ==
	      (own.rate && bpipe_bucket_tokens(&own, now) < want));
	prove(verdict != BPIPE_WAIT_OWN || worth(&own, 0, want, decision.wait_ns));
	prove(verdict != BPIPE_GO || r.atomic || decision.bytes <= bpipe_bucket_tokens(&own, now));
	prove(want >= 1 && want <= own.burst);
}

/*
 * The policies decide what happens to a write that cannot go. An eviction frees enough, and
 * no more than what lacks in addition to reservations; at most what the write stores, plus
 * what is above the limit.
 */
void prove_policy(void)
{
	struct bpipe_flow f = any_flow();
	struct bpipe_request r, block;
	struct bpipe_decision decision = { 0 }, other = { 0 };
	u64 level = any_to(f.size), limit = f.mark[class].limit, stores, most, lacking;
	enum bpipe_verdict verdict, reason;

	f.reserved[class].room = any_to(MANY);
	f.reserved[class].credit = any_to(MANY);
	f.credit_unit = any_to(BPIPE_CREDIT_RECORDS);
	f.credit = any_to(BPIPE_CREDIT_MAX);
	f.limited = f.credit_unit;
	r = any_request(&f);
	assume(r.evictable <= level && !r.queued);
	block = r;
	block.policy = BPIPE_POLICY_BLOCK;
	stores = r.len + f.overhead;
	most = stores + less(level, limit);
	lacking = less(level + f.reserved[class].room + stores, limit);

	verdict = bpipe_flow_admit(&f, &r, level, 0, &decision);
	reason = bpipe_flow_admit(&f, &block, level, 0, &other);
	prove((verdict == BPIPE_GO) == (reason == BPIPE_GO));
	if (verdict == BPIPE_GO)
		return;
	reason = other.wait_reason;
	switch (r.policy) {
	case BPIPE_POLICY_BLOCK:
	case BPIPE_POLICY_ERROR:
		prove(verdict == (r.nonblock ? BPIPE_AGAIN : reason));
		break;
	case BPIPE_POLICY_DROP_NEWEST:
		prove(verdict == BPIPE_DROP);
		break;
	default:
		prove(verdict == BPIPE_DROP || verdict == BPIPE_EVICT);
	}
	/* A drop is shed if the whole write would fit, but for the limit of its class. */
	if (verdict == BPIPE_DROP)
		prove(decision.shed == (reason == BPIPE_WAIT_SPACE &&
					stores <= less(f.size, level + f.reserved[class].room)));
	if (r.policy != BPIPE_POLICY_DROP_OLDEST)
		return;
	held = (struct bpipe_need) { .room = stores };
	block.nonblock = true;
	block.held = &held;
	lacking = reason == BPIPE_WAIT_TURN ? most : min(lacking, most);
	if (verdict == BPIPE_DROP) {
		prove((reason != BPIPE_WAIT_SPACE && reason != BPIPE_WAIT_TURN) ||
		      lacking > r.evictable ||
		      bpipe_flow_admit(&f, &block, level - lacking, 0, &other) != BPIPE_GO);
		return;
	}
	prove(reason == BPIPE_WAIT_SPACE || reason == BPIPE_WAIT_TURN);
	prove(decision.evict >= 1 && decision.evict <= r.evictable);
	prove(decision.bytes == r.len && decision.evict == lacking);
	prove(bpipe_flow_admit(&f, &block, level - decision.evict, 0, &other) == BPIPE_GO);
}

/* An eviction hits the least important class that holds bytes, none above the newcomer's. */
void prove_victim(void)
{
	u64 held[BPIPE_CLASSES];
	u32 victim, newcomer = any_to(BPIPE_CLASSES - 1), other = any_to(BPIPE_CLASSES - 1), i;

	for (i = 0; i < BPIPE_CLASSES; i++)
		held[i] = any();
	victim = bpipe_flow_victim(held, newcomer);
	prove(victim <= BPIPE_CLASSES);
	prove(victim == BPIPE_CLASSES || (victim >= newcomer && held[victim]));
	if (other >= newcomer && held[other])
		prove(victim < BPIPE_CLASSES && victim >= other);
}

/* Readers get no more than their tokens. */
void prove_deliver(void)
{
	struct bpipe_flow f = { .read.bytes = any_bucket() };
	struct bpipe_request r = { .len = any(), .atomic = any() & 1, .nonblock = any() & 1 };
	struct bpipe_decision decision = { 0 };
	u64 now = f.read.bytes.stamp, tokens, want;
	enum bpipe_verdict verdict;

	assume(r.len && r.len <= BPIPE_SIZE_MAX);
	tokens = bpipe_bucket_tokens(&f.read.bytes, now);
	want = bpipe_bucket_want(&f.read.bytes, &r);
	verdict = bpipe_flow_deliver(&f, &r, now, &decision);
	prove((verdict == BPIPE_WAIT_TOKENS) == (f.read.bytes.rate && tokens < want));
	if (verdict == BPIPE_WAIT_TOKENS) {
		prove(worth(&f.read.bytes, 0, want, decision.wait_ns));
		return;
	}
	prove(verdict == BPIPE_GO);
	prove(decision.bytes == (r.atomic ? r.len : min(r.len, tokens)));
	prove(decision.cut == (decision.bytes < r.len));
}

/* Credit is what was granted, less what was used, up to the maximum. */
void prove_grant(void)
{
	struct bpipe_flow f = { .credit = any_to(BPIPE_CREDIT_MAX) }, old = f;
	u64 more = any();
	bool can = bpipe_flow_grant(&f, more);

	prove(can == (more <= BPIPE_CREDIT_MAX && old.credit + more <= BPIPE_CREDIT_MAX));
	prove(f.credit == (can ? old.credit + more : old.credit));
}

static bool same(const struct bpipe_need *a, const struct bpipe_need *b)
{
	return a->room == b->room && a->bytes == b->bytes && a->records == b->records &&
	       a->credit == b->credit;
}

/*
 * A reservation changes the sums of its class and those below, and its end restores them.
 * Small sums stand for all: addition does not depend on the size.
 */
void prove_reserve(void)
{
	struct bpipe_need from = any_need_to(MOST), to = any_need_to(MOST), sum;
	struct bpipe_flow f = { .closed = any(), .credit = any() }, old;
	u32 i;

	for (i = 0; i < BPIPE_CLASSES; i++)
		f.reserved[i] = any_need_to(MOST);
	old = f;
	bpipe_flow_reserve(&f, class, &from, &to);
	for (i = 0; i < BPIPE_CLASSES; i++) {
		sum = old.reserved[i];
		if (i >= class) {
			sum.room += to.room - from.room;
			sum.bytes += to.bytes - from.bytes;
			sum.records += to.records - from.records;
			sum.credit += to.credit - from.credit;
		}
		prove(same(&f.reserved[i], &sum));
	}
	prove(f.closed == old.closed && f.credit == old.credit);
	bpipe_flow_reserve(&f, class, &to, &from);
	for (i = 0; i < BPIPE_CLASSES; i++)
		prove(same(&f.reserved[i], &old.reserved[i]));
}

/* A reservation is a part of the need: all of it, or what the write lacks. */
void prove_reservation(void)
{
	struct bpipe_need need = any_need_to(MANY), n;
	enum bpipe_verdict reason = any_to(BPIPE_WAIT_TURN);

	n = bpipe_flow_reservation(&need, reason);
	prove(n.room == (reason == BPIPE_GO || reason == BPIPE_WAIT_SPACE ||
			 reason == BPIPE_WAIT_TURN ? need.room : 0));
	prove(n.bytes == (reason == BPIPE_GO || reason == BPIPE_WAIT_TOKENS ? need.bytes : 0));
	prove(n.records == (reason == BPIPE_GO || reason == BPIPE_WAIT_TOKENS ? need.records : 0));
	prove(n.credit == (reason == BPIPE_GO || reason == BPIPE_WAIT_CREDIT ? need.credit : 0));
}

/* An admitted writer goes, because all it needs is reserved, as others' needs are. */
void prove_fits(void)
{
	struct bpipe_flow f = any_limited_flow();
	struct bpipe_request r = any_waiter(&f);
	struct bpipe_need need, ahead = f.reserved[class];
	struct bpipe_decision decision = { 0 };
	u64 level = any_to(f.size), now = f.write.bytes.stamp, wait_ns = 0;
	enum bpipe_verdict fits, reason;

	r.held = NULL;
	r.queued = false;
	f.reserved[class].records = 0;
	ahead.records = 0;
	need = bpipe_flow_need(&f, &r);
	fits = bpipe_flow_fits(&f, class, &need, &ahead, level, now, &wait_ns);
	prove(fits == BPIPE_GO || fits == BPIPE_WAIT_SPACE || fits == BPIPE_WAIT_CREDIT ||
	      fits == BPIPE_WAIT_TOKENS);
	prove(fits == BPIPE_WAIT_TOKENS || !wait_ns);

	/* A new write after those ahead gets the same verdict. */
	reason = bpipe_flow_admit(&f, &r, level, now, &decision);
	prove(!r.atomic || fits == reason);
	prove(fits != BPIPE_GO || reason == BPIPE_GO);
	prove(reason == fits || fits == BPIPE_WAIT_SPACE ||
	      (!r.atomic && fits == BPIPE_WAIT_TOKENS && reason == BPIPE_GO));
	prove(fits != BPIPE_WAIT_TOKENS ||
	      worth(&f.write.bytes, ahead.bytes, need.bytes, wait_ns));
	if (fits != BPIPE_GO)
		return;

	/* Later reservations make no difference. */
	f.reserved[class].room += need.room + any_to(MANY);
	f.reserved[class].bytes += need.bytes + any_to(MANY);
	f.reserved[class].credit += need.credit + any_to(MANY);
	r.held = &need;
	r.queued = true;
	r.must_queue = any() & 1;
	prove(bpipe_flow_admit(&f, &r, level, now, &decision) == BPIPE_GO);
}

/* An admitted writer goes once room, bucket and credit are at their maximum. */
void prove_progress(void)
{
	struct bpipe_flow f = any_limited_flow();
	struct bpipe_request r = any_waiter(&f);
	struct bpipe_decision decision = { 0 };

	f.write.bytes.fill = full(&f.write.bytes);
	f.credit = BPIPE_CREDIT_MAX;
	r.queued = true;
	r.must_queue = any() & 1;
	held = bpipe_flow_need(&f, &r);
	r.held = &held;
	prove(held.room >= 1 && held.room <= f.mark[class].limit);
	prove(held.room >= min(r.len, PIPE_BUF));
	prove(r.atomic || held.bytes == min(r.len, bpipe_bucket_quantum(&f.write.bytes)));
	prove(bpipe_flow_admit(&f, &r, 0, f.write.bytes.stamp, &decision) == BPIPE_GO);
}

/* A refusal closes a gate only where the level does not open it at once. */
void prove_refuse(void)
{
	struct bpipe_flow f = any_flow(), old = f;
	u64 level = any_to(f.size);
	u32 i;

	bpipe_flow_refuse(&f, class, level);
	prove(f.closed == (level > f.mark[class].low ? old.closed | 1U << class : old.closed));
	for (i = 0; i < BPIPE_CLASSES; i++)
		f.mark[i] = f.mark[class];
	bpipe_flow_update(&f, level);
	prove(bpipe_flow_closed(&f, class) == (level > f.mark[class].low));
}

/* The gates close at high, open at low, and stay as they were in between. */
void prove_update(void)
{
	struct bpipe_flow f = any_flow(), old;
	u64 level = any_to(f.size);
	unsigned int changed;
	u32 i;

	for (i = 0; i < BPIPE_CLASSES; i++)
		f.mark[i] = f.mark[class];
	old = f;
	changed = bpipe_flow_update(&f, level);
	prove(f.pressured == (level >= f.high || (old.pressured && level > f.low)));
	prove(!!(changed & BPIPE_FLOW_ROSE) == (f.pressured && !old.pressured));
	prove(!!(changed & BPIPE_FLOW_FELL) == (!f.pressured && old.pressured));
	prove(bpipe_flow_closed(&f, class) ==
	      (level >= f.mark[class].high ||
	       (level > f.mark[class].low && bpipe_flow_closed(&old, class))));
	prove(!!(changed & BPIPE_FLOW_OPENED) == !!(old.closed & ~f.closed));
	prove(f.closed <= BPIPE_CLOSED_ALL);
}

/* Reaching a next level changes something, and nothing changes before. */
void prove_next(void)
{
	struct bpipe_flow f = any_flow(), then;
	u64 level = any_to(f.size), other = any_to(f.size), up;
	bool changes;
	s64 down;
	u32 i;

	for (i = 0; i < BPIPE_CLASSES; i++)
		f.mark[i] = f.mark[class];
	bpipe_flow_update(&f, level);
	up = bpipe_flow_next_up(&f);
	down = bpipe_flow_next_down(&f);
	then = f;
	bpipe_flow_update(&then, other);
	changes = then.pressured != f.pressured || then.closed != f.closed;
	prove(other < level || changes == (other >= up));
	prove(other > level || changes == ((s64)other <= down));
}

/* The window is the length of the longest write that goes at once, without debt. */
void prove_window(void)
{
	struct bpipe_flow f = any_limited_flow();
	struct bpipe_request r = { .class = class }, w;
	struct bpipe_decision decision = { 0 };
	u64 level = any_to(f.size), now = f.write.bytes.stamp, n;
	bool debt;

	n = bpipe_flow_window(&f, &r, level, now);
	w = (struct bpipe_request) {
		.len = n, .class = class, .atomic = true, .nonblock = true,
		.must_queue = f.reserved[class].room || f.reserved[class].records ||
			  f.reserved[class].credit,
	};
	prove(n <= less(f.mark[class].limit, level));
	prove(!n || bpipe_flow_admit(&f, &w, level, now, &decision) == BPIPE_GO);
	w.len++;
	debt = w.len > less(bpipe_bucket_tokens(&f.write.bytes, now), f.reserved[class].bytes);
	prove((n && debt) || bpipe_flow_admit(&f, &w, level, now, &decision) != BPIPE_GO);
}

/* If poll says yes, the tokens exist; otherwise, they do not before the wake-up time. */
void prove_writable(void)
{
	struct bpipe_flow f = any_limited_flow();
	struct bpipe_request r = { .class = class, .len = any_to(BPIPE_SIZE_MAX) };
	const struct bpipe_need *reserved = &f.reserved[class];
	const struct bpipe_bucket *b = &f.write.bytes;
	u64 level = any_to(f.size), other = any_to(f.size), limit = f.mark[class].limit;
	u64 now = b->stamp, tokens, room;
	struct bpipe_ready ready;
	bool writable;

	tokens = reserved->bytes + min(PIPE_BUF, b->burst);
	room = min(max(r.len, PIPE_BUF) + f.overhead, limit);
	writable = bpipe_flow_writable(&f, &r, level, now, &ready);
	prove(ready.room == room);
	prove(!bpipe_flow_closed(&f, class) || ready.level == S64_MIN);
	prove(bpipe_flow_closed(&f, class) ||
	      ((s64)other <= ready.level) == (other + room + reserved->room <= limit));
	prove(ready.level >= -1 || bpipe_flow_closed(&f, class));
	prove(writable == ((s64)level <= ready.level && !ready.wait_ns &&
			   (!f.credit_unit || f.credit > reserved->credit)));
	prove(b->rate && tokens > b->burst ? ready.wait_ns == U64_MAX :
					     exact(b, tokens, ready.wait_ns));
}

/* If poll says yes, an atomic write goes, or one as long as was refused, if there is credit. */
void prove_pollout(void)
{
	struct bpipe_flow f = any_limited_flow();
	struct bpipe_bucket own = any_bucket();
	struct bpipe_request r = {
		.class = class, .own = &own, .len = any_to(BPIPE_SIZE_MAX),
		.atomic = true, .nonblock = any() & 1, .must_queue = any() & 1,
	};
	u64 level = any_to(f.size), now = f.write.bytes.stamp;
	struct bpipe_decision decision = { 0 };
	struct bpipe_ready ready;
	bool writable;

	assume(own.stamp == now);
	if (any() & 1)
		r.len = 0;
	f.write.records = any_bucket();
	f.write.records.stamp = now;
	writable = bpipe_flow_writable(&f, &r, level, now, &ready);
	r.len = min(max(r.len, PIPE_BUF), bpipe_flow_largest(&f, class));
	/* poll stands for no more tokens than an atomic write takes. */
	assume(r.len <= PIPE_BUF || !f.write.bytes.rate);
	assume(r.len <= PIPE_BUF || !own.rate);
	assume(f.credit_unit != BPIPE_CREDIT_BYTES || f.credit >= f.reserved[class].credit + r.len);
	prove(!writable || bpipe_flow_admit(&f, &r, level, now, &decision) == BPIPE_GO);
}

/* An open gate means room for an atomic write, except for what is reserved. */
void prove_open(void)
{
	struct bpipe_flow f = any_flow();
	struct bpipe_request r = { .class = class };
	u64 level = any_to(f.size);
	struct bpipe_ready ready;
	u32 i;

	assume(f.mark[class].high <= f.mark[class].limit - bpipe_flow_atomic(&f, class) + 1);
	for (i = 0; i < BPIPE_CLASSES; i++)
		f.mark[i] = f.mark[class];
	bpipe_flow_update(&f, level);
	prove(bpipe_flow_writable(&f, &r, level, 0, &ready) == !bpipe_flow_closed(&f, class));
}
