// SPDX-License-Identifier: MIT OR GPL-2.0
/* The words for values: their only table. */
#include <strings.h>

#include "lib.h"

static const char *const modes[] = {
	[BPIPE_MODE_STREAM]	= "stream",
	[BPIPE_MODE_RECORD]	= "record",
};

static const char *const orders[] = {
	[BPIPE_ORDER_FIFO]	= "fifo",
	[BPIPE_ORDER_PRIORITY]	= "priority",
};

static const char *const policies[] = {
	[BPIPE_POLICY_BLOCK]		= "block",
	[BPIPE_POLICY_ERROR]		= "error",
	[BPIPE_POLICY_DROP_NEWEST]	= "drop-newest",
	[BPIPE_POLICY_DROP_OLDEST]	= "drop-oldest",
	[BPIPE_POLICY_CHANNEL]		= "channel",
};

static const char *const credits[] = {
	[BPIPE_CREDIT_OFF]	= "off",
	[BPIPE_CREDIT_BYTES]	= "bytes",
	[BPIPE_CREDIT_RECORDS]	= "records",
};

static const char *const states[] = {
	[BPIPE_STATE_NORMAL]	= "normal",
	[BPIPE_STATE_PRESSURED]	= "pressured",
	[BPIPE_STATE_OVERLOADED] = "overloaded",
	[BPIPE_STATE_GONE]	= "gone",
};

static const char *const drops[] = {
	[BPIPE_DROP_FULL]	= "full",
	[BPIPE_DROP_SHED]	= "shed",
	[BPIPE_DROP_EVICTED]	= "evicted",
	[BPIPE_DROP_EXPIRED]	= "expired",
	[BPIPE_DROP_SOJOURN]	= "sojourn",
};

static const struct {
	const char *const *at;
	uint32_t nr;
} tables[] = {
	[BPIPE_WORDS_MODE]	= { modes, ARRAY_SIZE(modes) },
	[BPIPE_WORDS_ORDER]	= { orders, ARRAY_SIZE(orders) },
	[BPIPE_WORDS_POLICY]	= { policies, ARRAY_SIZE(policies) },
	[BPIPE_WORDS_CREDIT]	= { credits, ARRAY_SIZE(credits) },
	[BPIPE_WORDS_STATE]	= { states, ARRAY_SIZE(states) },
	[BPIPE_WORDS_DROP]	= { drops, ARRAY_SIZE(drops) },
};

const char *bpipe_word(enum bpipe_words words, uint32_t value)
{
	if (words >= ARRAY_SIZE(tables) || value >= tables[words].nr)
		return NULL;
	return tables[words].at[value];
}

int bpipe_parse_word(enum bpipe_words words, const char *text, uint32_t *value)
{
	const char *word;

	for (uint32_t i = 0; (word = bpipe_word(words, i)); i++) {
		if (!strcasecmp(word, text)) {
			*value = i;
			return 0;
		}
	}
	return fail(EINVAL);
}
