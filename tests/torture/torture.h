/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of the torture share. */
#ifndef BPIPE_TORTURE_H
#define BPIPE_TORTURE_H

#include <stdbool.h>
#include <stdint.h>

#define DEV		"/dev/bpipe"
/* The hostile openers move data here; an innocent pair uses it, too. */
#define ARENA		"arena"
/* An innocent pair has this one to itself. */
#define CALM		"calm"
/* Channels that come and go are called this and a number below FOUNDED. */
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

/* What the innocents are in: none of their records counts before QUIET and after DONE. */
enum innocent_phase { INNOCENT_START, INNOCENT_QUIET, INNOCENT_TORTURE, INNOCENT_DONE };

/* Start both pairs; false if they cannot be started. */
bool innocents_start(void);
void innocents_phase(enum innocent_phase phase);
/* End both pairs and check what arrived; @patience_ms for those that end by themselves. */
void innocents_end(uint64_t patience_ms);
void innocents_print(void);

#endif /* BPIPE_TORTURE_H */
