/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A unit is what one write carries: a header that says who sent it, as which
 * of its units and when, and a payload in which every byte follows from the
 * header. So a reader can check a unit without having seen any other.
 *
 *	 0       4       8               16              24              32      36     40
 *	+-------+-------+---------------+---------------+---------------+-------+------+----
 *	| magic | length|    producer   |    sequence   |    sent_ns    | flags | check| payload
 *	+-------+-------+---------------+---------------+---------------+-------+------+----
 *
 * All fields are little-endian. The length counts the header; the check is
 * over the header.
 */
#ifndef BPIPE_LOAD_UNIT_H
#define BPIPE_LOAD_UNIT_H

#include <stdbool.h>
#include <stdint.h>

#define UNIT_HEADER	40U
#define UNIT_MAX	(64U << 20)
#define UNIT_MAGIC0	'B'		/* the first byte of every unit */

#define UNIT_END	(1U << 0)	/* the last unit of its producer */

struct unit {
	uint64_t producer;
	uint64_t sequence;
	uint64_t sent_ns;	/* CLOCK_MONOTONIC */
	uint32_t length;
	uint32_t flags;
};

/* Write the payload; it depends on producer, sequence and length alone. */
void unit_fill(uint8_t *buf, const struct unit *unit);

/* Write the header: last, so that sent_ns and flags can be of the moment. */
void unit_seal(uint8_t *buf, const struct unit *unit);

/* Read the header. False: these UNIT_HEADER bytes are not one. */
bool unit_open(const uint8_t *buf, struct unit *unit);

/* Is the payload of the whole unit in buf what it should be? */
bool unit_intact(const uint8_t *buf, const struct unit *unit);

#endif
