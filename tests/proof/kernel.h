/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What module/ring.c and module/flow.c need of the kernel, for CBMC. Every header that they
 * include is replaced by this one.
 */
#ifndef PROOF_KERNEL_H
#define PROOF_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;
typedef uint16_t __u16;
typedef u32 __u32;
typedef u64 __u64;
#define s128 __int128

#define U64_MAX			UINT64_MAX
#define S64_MIN			INT64_MIN
#ifndef PIPE_BUF
#define PIPE_BUF		4096
#endif
#ifndef NSEC_PER_SEC
#define NSEC_PER_SEC		1000000000L
#endif
#define ____cacheline_aligned_in_smp

#define min(a, b)		((a) < (b) ? (a) : (b))
#define max(a, b)		((a) > (b) ? (a) : (b))
#define min3(a, b, c)		min(min(a, b), c)
#define min_t(type, a, b)	min((type)(a), (type)(b))
#define max_t(type, a, b)	max((type)(a), (type)(b))
#define clamp_t(type, a, lo, hi) min_t(type, max_t(type, a, lo), hi)

#define likely(x)		(x)
#define unlikely(x)		(x)
#define noinline
#define READ_ONCE(x)		(x)
#define WRITE_ONCE(x, value)	((x) = (value))

/* Other processes may act before any load of what they share: see ring.c. */
#define smp_load_acquire(p)	(others_act(), *(p))		/* no order here */
#define smp_store_release(p, value) (*(p) = (value))		/* nor here */
void others_act(void);

/* An iterator over @count bytes; some may be on pages that cannot be used. */
struct iov_iter {
	size_t count;
};

size_t _copy_from_iter(void *to, size_t n, struct iov_iter *from);
size_t _copy_to_iter(const void *from, size_t n, struct iov_iter *to);
void copy(void *to, const void *from, size_t n);
#define memcpy copy

static inline u64 div64_u64(u64 dividend, u64 divisor)
{
	return dividend / divisor;
}

#ifndef div_u64
#define div_u64(dividend, divisor) div64_u64(dividend, (u32)(divisor))
#endif

/* CBMC's functions: what must hold, what may be assumed, and an allocation. */
void __CPROVER_assert(bool condition, const char *what);
void __CPROVER_assume(bool condition);
void *__CPROVER_allocate(size_t size, bool zero);

#define prove(condition)	__CPROVER_assert(condition, #condition)
#define assume(condition)	__CPROVER_assume(condition)

/* Any value; CBMC tries all of them. */
u64 nondet_u64(void);
#define any() nondet_u64()

#endif /* PROOF_KERNEL_H */
