// SPDX-License-Identifier: GPL-2.0
#include "bpipectl.h"
#include "usual.h"

/* The module's rule for a burst of 0: a tenth of a second's worth, within bounds. */
#define BURST_PART	10
#define BURST_BYTES	8192
#define BURST_RECORDS	1

/* A value that follows another one while it is 0. */
struct follower {
	__u64 *value;
	__u64 in_force;
};

#define FOLLOWERS	(4 + BPIPE_CLASSES)

static __u64 burst_of(__u64 rate, __u64 least)
{
	__u64 burst = rate / BURST_PART;

	if (burst < least)
		return least;
	return burst < BPIPE_BURST_MAX ? burst : BPIPE_BURST_MAX;
}

static void find_followers(struct bpipe_config *config, struct follower followers[FOLLOWERS])
{
	*followers++ = (struct follower) {
		&config->burst, burst_of(config->rate, BURST_BYTES)
	};
	*followers++ = (struct follower) {
		&config->burst_records, burst_of(config->rate_records, BURST_RECORDS)
	};
	*followers++ = (struct follower) {
		&config->read_burst, burst_of(config->read_rate, BURST_BYTES)
	};
	*followers++ = (struct follower) {
		&config->read_burst_records, burst_of(config->read_rate_records, BURST_RECORDS)
	};
	for (int i = 0; i < BPIPE_CLASSES; i++)
		*followers++ = (struct follower) { &config->limit[i], config->size };
}

void usual_in_force(struct bpipe_config *config)
{
	struct follower followers[FOLLOWERS];

	find_followers(config, followers);
	for (int i = 0; i < FOLLOWERS; i++)
		if (!*followers[i].value)
			*followers[i].value = followers[i].in_force;
}

void usual_as_set(struct bpipe_config *config)
{
	struct follower followers[FOLLOWERS];

	find_followers(config, followers);
	for (int i = 0; i < FOLLOWERS; i++)
		if (*followers[i].value == followers[i].in_force)
			*followers[i].value = 0;
}

void usual_marks(struct bpipe_config *config)
{
	config->high = config->size - config->size / 4;
	config->low = config->size / 4;
}

int usual_new(struct channel *ch)
{
	*ch = (struct channel) { .dir = -1, .fd = -1 };
	if (!bpipe_new_config(&ch->config, sizeof(ch->config)))
		return EXIT_OK;
	if (module_loaded()) {
		complain("/sys/module/bpipe/parameters/size: cannot be read");
		return EXIT_FAILED;
	}
	complain(BPIPE_CONTROL ": is the module loaded? try: modprobe bpipe");
	return EXIT_NO_CHANNEL;
}
