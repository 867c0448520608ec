// SPDX-License-Identifier: GPL-2.0
/*
 * module/flow.c, by CBMC: what it promises.
 *
 * mirrors: module/flow.c
 * mirrors: module/flow.h
 * mirrors: tests/proof/kernel.h
 *
 * Bounds: levels, marks, lengths and times are any there can be. Division by
 * what is not known beforehand is too much for the solver: rate and burst are at
 * most 31, and so that they mean something, a second has 10 ns and PIPE_BUF is
 * 4. The code does not know. What is large is in limits.c.
 *
 * What bpipe_flow_plan() makes of the settings takes such a division, too: here, marks
 * are any that keep low < high <= limit <= size; tests/kunit has what it makes.
 *
 * Each proof starts from any state that any_flow() allows; what writers do to
 * it is in prove_afford(), which shows that they leave such a one.
 */

#define NSEC_PER_SEC	10L
#define PIPE_BUF	4
#define MOST		31

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

/* The class that asks; of the others, only the bits of their gates matter. */
static u32 class;

static struct bpipe_flow any_flow(void)
{
	struct bpipe_flow f = { .pressured = any() & 1, .shut = any_to(BPIPE_SHUT_ALL) };
	struct bpipe_mark *mark;

	class = any_to(BPIPE_CLASSES - 1);
	mark = &f.mark[class];
	*mark = (struct bpipe_mark) { .limit = any(), .high = any(), .low = any() };
	f.size = any();
	f.high = any();
	f.low = any();
	f.overhead = any() & 1 ? BPIPE_RECORD_OVERHEAD : 0;
	assume(f.size <= BPIPE_SIZE_MAX && f.low < f.high && f.high <= f.size);
	assume(mark->low < mark->high && mark->high <= mark->limit && mark->limit <= f.size);
	assume(mark->limit >= f.overhead + PIPE_BUF);
	return f;
}

/* With rates and credit; and something promised to somebody. */
static struct bpipe_flow any_limited_flow(void)
{
	struct bpipe_flow f = any_flow();

	f.limited = true;
	f.write.bytes = any_bucket();
	f.credit_unit = any_to(BPIPE_CREDIT_RECORDS);
	f.credit = any_to(BPIPE_CREDIT_MAX);
	f.promised = (struct bpipe_promise) {
		.class = any_to(BPIPE_CLASSES - 1),
		.room = any_to(PIPE_BUF),
		.bytes = any_to(f.write.bytes.burst),
		.records = any() & 1,
		.credit = any_to(PIPE_BUF),
	};
	return f;
}

/*
 * In a stream, a write of up to PIPE_BUF bytes is atomic; a record always is, and as
 * long as may be.
 */
static struct bpipe_request any_request(const struct bpipe_flow *f)
{
	struct bpipe_request r = {
		.len = any(), .evictable = any(), .class = class,
		.policy = any_to(BPIPE_POLICY_DROP_OLDEST),
		.nonblock = any() & 1, .turn = any() & 1, .behind = any() & 1,
	};

	assume(r.len && r.len <= 1ULL << 62 && !(r.turn && r.behind));
	r.nonblock |= r.policy != BPIPE_POLICY_BLOCK;
	r.atomic = f->overhead || r.len <= PIPE_BUF;
	if (f->overhead)
		assume(r.len <= bpipe_flow_largest(f, class));
	else
		assume(r.policy != BPIPE_POLICY_DROP_OLDEST);
	return r;
}

/* What of a promise a request has to leave alone. */
static u64 kept(const struct bpipe_flow *f, const struct bpipe_request *r, u64 promised)
{
	return r->turn || f->promised.class > r->class ? 0 : promised;
}

/* What is left of @n once @kept is taken away. */
static u64 less(u64 n, u64 kept)
{
	return n > kept ? n - kept : 0;
}

/* It fills by what time earns, no faster and no slower, up to the burst. */
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

/* Is @wait the first moment at which the bucket has @tokens? */
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

void prove_set(void)
{
	struct bpipe_bucket b = any_bucket(), old = b;
	u64 rate = any_to(MOST), burst = 1 + any_to(MOST - 1);

	bpipe_bucket_set(&b, rate, burst, b.stamp);
	prove(sane(&b));
	prove(b.rate == rate && b.burst == burst && b.stamp == old.stamp);
	prove(b.fill == (old.rate ? min(old.fill, full(&b)) : full(&b)));
}

/* Room: what is granted is there, and was not somebody else's. */
void prove_room(void)
{
	struct bpipe_flow f = any_flow();
	struct bpipe_request r;
	struct bpipe_grant grant = { 0 };
	u64 level = any_to(f.size), room;
	enum bpipe_verdict verdict;

	f.promised.class = any_to(BPIPE_CLASSES - 1);
	f.promised.room = any_to(BPIPE_SIZE_MAX);
	r = any_request(&f);
	r.policy = BPIPE_POLICY_BLOCK;
	room = less(less(f.mark[class].limit, level), kept(&f, &r, f.promised.room));

	verdict = bpipe_flow_admit(&f, &r, level, 0, &grant);
	if (verdict != BPIPE_GO) {
		prove(verdict == (r.nonblock ? BPIPE_AGAIN : grant.lack));
		verdict = grant.lack;
	}
	prove((verdict == BPIPE_WAIT_TURN) ==
	      (r.behind && (!r.nonblock || bpipe_flow_shut(&f, class))));
	if (verdict == BPIPE_WAIT_TURN)
		return;
	prove((verdict == BPIPE_WAIT_SPACE) == (room < (r.atomic ? r.len + f.overhead : 1)));
	if (verdict == BPIPE_WAIT_SPACE)
		return;
	prove(verdict == BPIPE_GO);
	prove(grant.bytes == (r.atomic ? r.len : min(r.len, room)));
	prove(level + grant.bytes + f.overhead <= f.mark[class].limit);
}

/* Tokens and credit, where there is room: likewise. */
void prove_afford(void)
{
	struct bpipe_flow f = any_limited_flow(), after;
	struct bpipe_request r = any_request(&f);
	struct bpipe_grant grant = { 0 };
	u64 now = f.write.bytes.stamp, room = f.mark[class].limit, tokens, credit, want;
	enum bpipe_verdict verdict;

	r.policy = BPIPE_POLICY_BLOCK;
	r.nonblock = false;
	r.behind = false;
	f.promised.room = 0;
	assume(!r.atomic || room >= r.len + f.overhead);
	tokens = less(bpipe_bucket_tokens(&f.write.bytes, now), kept(&f, &r, f.promised.bytes));
	credit = less(f.credit, kept(&f, &r, f.promised.credit));
	want = bpipe_flow_promise(&f, &r).bytes;
	prove(want >= 1 && want <= f.write.bytes.burst && want <= r.len);

	verdict = bpipe_flow_admit(&f, &r, 0, now, &grant);
	prove((verdict == BPIPE_WAIT_CREDIT) ==
	      ((f.credit_unit == BPIPE_CREDIT_BYTES && credit < (r.atomic ? r.len : 1)) ||
	       (f.credit_unit == BPIPE_CREDIT_RECORDS && !credit)));
	if (verdict == BPIPE_WAIT_CREDIT)
		return;
	prove((verdict == BPIPE_WAIT_TOKENS) == (f.write.bytes.rate && tokens < want));
	if (verdict == BPIPE_WAIT_TOKENS) {
		prove(exact(&f.write.bytes, want, grant.wait_ns));
		return;
	}

	prove(verdict == BPIPE_GO);
	prove(grant.bytes >= 1 && grant.bytes <= r.len && grant.bytes <= room);
	prove(r.atomic ? grant.bytes == r.len : grant.bytes <= tokens);
	after = f;
	bpipe_flow_take(&after, grant.bytes, now);
	prove(f.overhead || sane(&after.write.bytes));
	prove(!f.write.bytes.rate || after.write.bytes.stamp == now);
	prove(!f.write.bytes.rate || after.write.bytes.fill ==
	      f.write.bytes.fill - (s64)grant.bytes * NSEC_PER_SEC);
	prove(after.credit == f.credit - (f.credit_unit == BPIPE_CREDIT_BYTES ? grant.bytes :
					  f.credit_unit == BPIPE_CREDIT_RECORDS ? 1 : 0));
}

/* Records have a bucket of their own; of two waits, the longer one. */
void prove_records(void)
{
	struct bpipe_flow f = any_flow();
	struct bpipe_request r = any_request(&f);
	struct bpipe_grant grant = { 0 };
	enum bpipe_verdict verdict;
	u64 now;

	f.limited = true;
	f.write.records = any_bucket();
	f.promised.records = any() & 1;
	now = f.write.records.stamp;
	r.policy = BPIPE_POLICY_BLOCK;
	r.nonblock = false;
	r.behind = false;
	verdict = bpipe_flow_admit(&f, &r, 0, now, &grant);
	prove((verdict == BPIPE_WAIT_TOKENS) ==
	      (bpipe_bucket_tokens(&f.write.records, now) <
	       1 + kept(&f, &r, f.promised.records)));
	prove(verdict != BPIPE_WAIT_TOKENS || exact(&f.write.records, 1, grant.wait_ns));
}

/* A file's own bucket comes before all else, and never grants more than it has. */
void prove_own(void)
{
	struct bpipe_bucket own = any_bucket();
	struct bpipe_flow f = any_flow();
	struct bpipe_request r = any_request(&f);
	struct bpipe_grant grant = { 0 };
	u64 now = own.stamp, want = bpipe_bucket_want(&own, &r);
	enum bpipe_verdict verdict;

	r.own = &own;
	r.policy = BPIPE_POLICY_BLOCK;
	r.nonblock = false;
	verdict = bpipe_flow_admit(&f, &r, 0, now, &grant);
	prove((verdict == BPIPE_WAIT_OWN) ==
	      (own.rate && bpipe_bucket_tokens(&own, now) < bpipe_bucket_want(&own, &r)));
	prove(verdict != BPIPE_WAIT_OWN || exact(&own, bpipe_bucket_want(&own, &r), grant.wait_ns));
	prove(verdict != BPIPE_GO || r.atomic || grant.bytes <= bpipe_bucket_tokens(&own, now));
	prove(want >= 1 && want <= own.burst);
}

/* What the policies make of a lack; and an eviction is enough, and no more. */
void prove_policy(void)
{
	struct bpipe_flow f = any_flow();
	struct bpipe_request r, block;
	struct bpipe_grant grant = { 0 }, other = { 0 };
	u64 level = any_to(f.size);
	enum bpipe_verdict verdict, lack;

	f.promised.class = any_to(BPIPE_CLASSES - 1);
	f.promised.room = any_to(BPIPE_SIZE_MAX);
	f.credit_unit = any_to(BPIPE_CREDIT_RECORDS);
	f.credit = any_to(BPIPE_CREDIT_MAX);
	f.limited = f.credit_unit;
	r = any_request(&f);
	assume(r.evictable <= level);
	block = r;
	block.policy = BPIPE_POLICY_BLOCK;

	verdict = bpipe_flow_admit(&f, &r, level, 0, &grant);
	lack = bpipe_flow_admit(&f, &block, level, 0, &other);
	prove((verdict == BPIPE_GO) == (lack == BPIPE_GO));
	if (verdict == BPIPE_GO)
		return;
	switch (r.policy) {
	case BPIPE_POLICY_BLOCK:
	case BPIPE_POLICY_ERROR:
		prove(verdict == (r.nonblock ? BPIPE_AGAIN : other.lack));
		break;
	case BPIPE_POLICY_DROP_NEWEST:
		prove(verdict == BPIPE_DROP);
		break;
	default:
		prove(verdict == BPIPE_DROP || verdict == BPIPE_EVICT);
	}
	/* It was shed if all of it had fitted, but for the limit. */
	if (verdict == BPIPE_DROP)
		prove(grant.shed ==
		      (other.lack == BPIPE_WAIT_SPACE && r.len + f.overhead <=
		       less(f.size - level, kept(&f, &r, f.promised.room))));
	if (verdict != BPIPE_EVICT)
		return;
	prove(grant.evict >= 1 && grant.evict <= r.evictable);
	block.nonblock = r.nonblock;
	prove(bpipe_flow_admit(&f, &block, level - grant.evict, 0, &other) == BPIPE_GO);
	prove(bpipe_flow_admit(&f, &block, level - grant.evict + 1, 0, &other) != BPIPE_GO);
}

/* Whom an eviction hits: the least important who has something, never one above. */
void prove_victim(void)
{
	u64 held[BPIPE_CLASSES];
	u32 victim, other = any_to(BPIPE_CLASSES - 1), i;

	class = any_to(BPIPE_CLASSES - 1);
	for (i = 0; i < BPIPE_CLASSES; i++)
		held[i] = any();
	victim = bpipe_flow_victim(held, class);
	prove(victim <= BPIPE_CLASSES);
	prove(victim == BPIPE_CLASSES || (victim >= class && held[victim]));
	if (other >= class && held[other])
		prove(victim < BPIPE_CLASSES && victim >= other);
}

/* What readers are granted. */
void prove_deliver(void)
{
	struct bpipe_flow f = { .read.bytes = any_bucket() };
	struct bpipe_request r = { .len = any(), .atomic = any() & 1, .nonblock = any() & 1 };
	struct bpipe_grant grant = { 0 };
	u64 now = f.read.bytes.stamp, tokens, want;
	enum bpipe_verdict verdict;

	assume(r.len && r.len <= BPIPE_SIZE_MAX);
	tokens = bpipe_bucket_tokens(&f.read.bytes, now);
	want = bpipe_bucket_want(&f.read.bytes, &r);
	verdict = bpipe_flow_deliver(&f, &r, now, &grant);
	prove((verdict == BPIPE_WAIT_TOKENS) == (f.read.bytes.rate && tokens < want));
	if (verdict == BPIPE_WAIT_TOKENS) {
		prove(exact(&f.read.bytes, want, grant.wait_ns));
		return;
	}
	prove(verdict == BPIPE_GO);
	prove(grant.bytes == (r.atomic ? r.len : min(r.len, tokens)));
}

/* Credit is what was granted, less what was used, and never more than it may be. */
void prove_grant(void)
{
	struct bpipe_flow f = { .credit = any_to(BPIPE_CREDIT_MAX) }, old = f;
	u64 more = any();
	bool can = bpipe_flow_grant(&f, more);

	prove(can == (more <= BPIPE_CREDIT_MAX && old.credit + more <= BPIPE_CREDIT_MAX));
	prove(f.credit == (can ? old.credit + more : old.credit));
}

/* Whose turn it is goes as soon as room, bucket and credit are as full as they get. */
void prove_progress(void)
{
	struct bpipe_flow f = any_limited_flow();
	struct bpipe_request r = any_request(&f);
	struct bpipe_grant grant = { 0 };

	f.write.bytes.fill = full(&f.write.bytes);
	f.credit = BPIPE_CREDIT_MAX;
	r.policy = BPIPE_POLICY_BLOCK;
	r.turn = true;
	r.behind = false;
	f.promised = bpipe_flow_promise(&f, &r);
	prove(f.promised.room >= 1 && f.promised.room <= f.mark[class].limit);
	prove(bpipe_flow_admit(&f, &r, 0, f.write.bytes.stamp, &grant) == BPIPE_GO);
}

/* The gates: shut from high, open at low, and as they were in between. */
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
	prove(bpipe_flow_shut(&f, class) ==
	      (level >= f.mark[class].high ||
	       (level > f.mark[class].low && bpipe_flow_shut(&old, class))));
	prove(!!(changed & BPIPE_FLOW_OPENED) == !!(old.shut & ~f.shut));
	prove(f.shut <= BPIPE_SHUT_ALL);
}

/* The next levels that matter: reaching one changes something, and before, nothing does. */
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
	changes = then.pressured != f.pressured || then.shut != f.shut;
	prove(other < level || changes == (other >= up));
	prove(other > level || changes == ((s64)other <= down));
}

/* The window is what one who comes by and takes what there is would get. */
void prove_window(void)
{
	struct bpipe_flow f = any_limited_flow();
	struct bpipe_request r = any_request(&f);
	struct bpipe_grant grant = { 0 };
	u64 level = any_to(f.size), now = f.write.bytes.stamp, window;

	f.promised = (struct bpipe_promise) { 0 };
	if (any() & 1)
		f.promised = bpipe_flow_promise(&f, &r);
	window = bpipe_flow_window(&f, &r, level, now);
	/* Of records, any that is as long goes, tokens permitting, and no longer one. */
	if (f.overhead) {
		prove(window <= less(less(f.mark[class].limit, level), f.overhead));
		return;
	}
	r = (struct bpipe_request) {
		.len = BPIPE_SIZE_MAX, .class = class, .nonblock = true,
		.behind = kept(&f, &r, f.promised.room) && !r.turn,
	};
	r.behind = f.promised.room && f.promised.class <= class;
	if (bpipe_flow_admit(&f, &r, level, now, &grant) != BPIPE_GO)
		grant.bytes = 0;
	prove(window == grant.bytes);
}

/* poll: if it says yes, the tokens are there; if not yet, then not before. */
void prove_writable(void)
{
	struct bpipe_flow f = any_limited_flow();
	struct bpipe_request r = { .class = class };
	const struct bpipe_bucket *b = &f.write.bytes;
	u64 now = b->stamp, tokens, wait_ns;
	bool writable;

	tokens = kept(&f, &r, f.promised.bytes) + min(PIPE_BUF, b->burst);
	writable = bpipe_flow_writable(&f, &r, now, &wait_ns);
	prove(writable == (!bpipe_flow_shut(&f, class) && !wait_ns &&
			   (!f.credit_unit || f.credit > kept(&f, &r, f.promised.credit))));
	prove(b->rate && tokens > b->burst ? wait_ns == U64_MAX : exact(b, tokens, wait_ns));
}
