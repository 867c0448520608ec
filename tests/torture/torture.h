/* SPDX-License-Identifier: GPL-2.0 */
/* Declarations that the parts of torture share. */
#ifndef BPIPE_TORTURE_H
#define BPIPE_TORTURE_H

#include <stdbool.h>
#include <stdint.h>

#define DEV		"/dev/bpipe"
/* The channel where the hostile openers move data; an innocent pair uses it, too. */
#define ARENA		"arena"
/* The channel that only an innocent pair uses. */
#define CALM		"calm"
/* Channels that come and go have this name and a number below FOUNDED. */
#define FOUNDED_NAME	"torture"
#define FOUNDED		4
/* User and group of the hostile openers. */
#define HOSTILE_ID	4242

void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint64_t now_ms(void);
void nap_us(unsigned int us);

/* Return true once all actors of this round have to end. */
bool stopping(void);

/* Count a call of the calling actor. */
void count_call(void);

/* Play the hostile opener until stopping(); the caller has entered its cgroup. */
void be_hostile(uint64_t seed);

/* Phases of the innocents: records before QUIET and after DONE do not count. */
enum innocent_phase { INNOCENT_START, INNOCENT_QUIET, INNOCENT_TORTURE, INNOCENT_DONE };

/* Start both pairs. Return false if they cannot be started. */
bool innocents_start(void);
void innocents_phase(enum innocent_phase phase);
/* Wait up to @patience_ms for both pairs to end, end the rest, and check what arrived. */
void innocents_end(uint64_t patience_ms);
void innocents_print(void);

#endif /* BPIPE_TORTURE_H */
