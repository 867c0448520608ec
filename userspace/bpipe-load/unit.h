/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A unit is the data of one write: a header and a payload. The header has the producer, the
 * sequence number and the time. Each byte of the payload follows from the header, so a
 * reader can check a unit without any other.
 *
 *	 0       4       8               16              24              32      36     40
 *	+-------+-------+---------------+---------------+---------------+-------+------+----
 *	| magic | length|    producer   |    sequence   |    sent_ns    | flags | check| payload
 *	+-------+-------+---------------+---------------+---------------+-------+------+----
 *
 * All fields are little-endian. The length includes the header. The check covers the other
 * fields of the header.
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

/* Write the payload, which depends only on producer, sequence and length. */
void unit_fill(uint8_t *buf, const struct unit *unit);

/* Write the header. Do so after the payload, so that sent_ns and flags are up to date. */
void unit_seal(uint8_t *buf, const struct unit *unit);

/* Read the header. Return false if these UNIT_HEADER bytes are not a valid one. */
bool unit_open(const uint8_t *buf, struct unit *unit);

/* Return true if the payload of the whole unit in @buf is correct. */
bool unit_intact(const uint8_t *buf, const struct unit *unit);

#endif
