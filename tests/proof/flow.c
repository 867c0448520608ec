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
 * Each proof starts from any state that any_flow() allows; what writers do to
 * it is in prove_admit(), which shows that they leave such a one.
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
	       (!b->rate || (b->credit <= full(b) &&
			     b->credit > -PIPE_BUF * NSEC_PER_SEC));
}

static struct bpipe_bucket any_bucket(void)
{
	struct bpipe_bucket b = {
		.rate = any(), .burst = any(), .credit = any(), .stamp = any(),
	};

	assume(sane(&b));
	return b;
}

static struct bpipe_flow any_flow(void)
{
	struct bpipe_flow f = {
		.size = any(), .high = any(), .low = any(),
		.pressured = any() & 1, .refused = any() & 1,
		.bucket = any_bucket(),
	};

	assume(f.size <= BPIPE_SIZE_MAX && f.low < f.high && f.high <= f.size);
	return f;
}

/* A write of up to PIPE_BUF bytes is atomic, as bpipe_channel_write() has it. */
static struct bpipe_request any_request(void)
{
	struct bpipe_request r = {
		.len = any(), .nonblock = any() & 1, .turn = any() & 1, .behind = any() & 1,
	};

	assume(r.len && !(r.turn && r.behind));
	r.atomic = r.len <= PIPE_BUF;
	return r;
}

static u64 any_to(u64 most)
{
	u64 n = any();

	assume(n <= most);
	return n;
}

/* It fills by what time earns, no faster and no slower, up to the burst. */
void prove_credit(void)
{
	struct bpipe_bucket b = any_bucket();
	u64 now = any();
	s64 credit;

	assume(b.rate);
	credit = bpipe_bucket_credit(&b, now);
	if (now <= b.stamp)
		prove(credit == b.credit);
	else if (now - b.stamp > (MOST + PIPE_BUF) * NSEC_PER_SEC)
		prove(credit == full(&b));
	else
		prove(credit == min(b.credit + (s64)((now - b.stamp) * b.rate), full(&b)));
}

void prove_tokens(void)
{
	struct bpipe_bucket b = any_bucket();
	u64 tokens = bpipe_bucket_tokens(&b, b.stamp);

	prove(b.rate || tokens == U64_MAX);
	prove(!b.rate || tokens <= b.burst);
	prove(!b.rate || (s64)tokens * NSEC_PER_SEC <= max(b.credit, 0));
	prove(!b.rate || (s64)(tokens + 1) * NSEC_PER_SEC > b.credit);
}

/* Is @wait the first moment at which the bucket has @tokens? */
static bool exact(const struct bpipe_bucket *b, u64 tokens, u64 wait)
{
	s64 missing;

	if (!b->rate)
		return !wait;
	missing = (s64)tokens * NSEC_PER_SEC - b->credit;
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
	prove(b.credit == (old.rate ? min(old.credit, full(&b)) : full(&b)));
}

/* What is granted is there, and was not somebody else's. */
void prove_admit(void)
{
	struct bpipe_flow f = any_flow(), after;
	struct bpipe_request r = any_request();
	struct bpipe_grant grant;
	u64 level = any_to(f.size), now = f.bucket.stamp, room, tokens, want;
	enum bpipe_verdict verdict;

	f.promised.room = any_to(PIPE_BUF);
	f.promised.tokens = any_to(f.bucket.burst);
	room = f.size - level;
	tokens = bpipe_bucket_tokens(&f.bucket, now);
	if (!r.turn) {
		room -= min(room, f.promised.room);
		tokens -= min(tokens, f.promised.tokens);
	}
	want = bpipe_flow_promise(&f, &r).tokens;
	prove(want >= 1 && want <= f.bucket.burst && want <= r.len);

	verdict = bpipe_flow_admit(&f, &r, level, now, &grant);
	prove((verdict == BPIPE_WAIT_TURN) ==
	      (r.behind && (!r.nonblock || bpipe_flow_shut(&f))));
	if (verdict == BPIPE_WAIT_TURN)
		return;
	prove((verdict == BPIPE_WAIT_SPACE) == (room < (r.atomic ? r.len : 1)));
	if (verdict == BPIPE_WAIT_SPACE)
		return;
	prove((verdict == BPIPE_WAIT_TOKENS) == (f.bucket.rate && tokens < want));
	if (verdict == BPIPE_WAIT_TOKENS) {
		prove(exact(&f.bucket, want, grant.wait_ns));
		return;
	}

	prove(verdict == BPIPE_GO);
	prove(grant.bytes >= 1 && grant.bytes <= r.len && grant.bytes <= room);
	prove(r.atomic ? grant.bytes == r.len :
	      grant.bytes == min(min(r.len, room), tokens));
	after = f;
	bpipe_bucket_take(&after.bucket, grant.bytes, now);
	prove(sane(&after.bucket));
	prove(!f.bucket.rate || after.bucket.stamp == now);
	prove(!f.bucket.rate || after.bucket.credit ==
	      f.bucket.credit - (s64)grant.bytes * NSEC_PER_SEC);
}

/* Whose turn it is goes as soon as room and bucket are as full as they get. */
void prove_progress(void)
{
	struct bpipe_flow f = any_flow();
	struct bpipe_request r = any_request();
	struct bpipe_grant grant;

	assume(f.size >= PIPE_BUF);
	f.bucket.credit = full(&f.bucket);
	r.turn = true;
	r.behind = false;
	f.promised = bpipe_flow_promise(&f, &r);
	prove(f.promised.room >= 1 && f.promised.room <= min(r.len, PIPE_BUF));
	prove(bpipe_flow_admit(&f, &r, 0, f.bucket.stamp, &grant) == BPIPE_GO);
}

/* The gate: shut from high, open at low, and as it was in between. */
void prove_update(void)
{
	struct bpipe_flow f = any_flow(), old = f;
	u64 level = any_to(f.size);
	unsigned int changed = bpipe_flow_update(&f, level);

	prove(f.pressured == (level >= f.high || (old.pressured && level > f.low)));
	prove(f.refused == (old.refused && level > f.low));
	prove(!!(changed & BPIPE_FLOW_ROSE) == (f.pressured && !old.pressured));
	prove(!!(changed & BPIPE_FLOW_FELL) == (!f.pressured && old.pressured));
	prove(!!(changed & BPIPE_FLOW_OPENED) == (bpipe_flow_shut(&old) && !bpipe_flow_shut(&f)));
}

/* The window is what one who comes by and takes what there is would get. */
void prove_window(void)
{
	struct bpipe_flow f = any_flow();
	struct bpipe_request r = any_request();
	struct bpipe_grant grant;
	u64 level = any_to(f.size), now = f.bucket.stamp, window;

	if (any() & 1)
		f.promised = bpipe_flow_promise(&f, &r);
	window = bpipe_flow_window(&f, level, now);
	r = (struct bpipe_request) {
		.len = U64_MAX, .nonblock = true, .behind = f.promised.room,
	};
	if (bpipe_flow_admit(&f, &r, level, now, &grant) != BPIPE_GO)
		grant.bytes = 0;
	prove(window == grant.bytes);
}

/* poll: if it says yes, the tokens are there; if not yet, then not before. */
void prove_writable(void)
{
	struct bpipe_flow f = any_flow();
	u64 now = f.bucket.stamp, tokens, wait_ns;
	bool writable;

	f.promised.tokens = any_to(f.bucket.burst);
	tokens = f.promised.tokens + min(PIPE_BUF, f.bucket.burst);
	writable = bpipe_flow_writable(&f, now, &wait_ns);
	prove(writable == (!bpipe_flow_shut(&f) && !wait_ns));
	prove(f.bucket.rate && tokens > f.bucket.burst ? wait_ns == U64_MAX :
	      exact(&f.bucket, tokens, wait_ns));
}
