/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_CONFIG_H
#define BPIPE_CONFIG_H

#include <linux/types.h>

#include "uapi/linux/bpipe.h"

struct bpipe_channel;
struct bpipe_file;

/* SET_CONFIG fields and SET_READER fields that this module knows */
#define BPIPE_CFG_KNOWN	(BPIPE_CFG_SIZE | BPIPE_CFG_HIGH | BPIPE_CFG_LOW | \
			 BPIPE_CFG_RATE | BPIPE_CFG_BURST | BPIPE_CFG_MODE | \
			 BPIPE_CFG_HOLD | BPIPE_CFG_EPIPE)
#define BPIPE_READER_KNOWN	(BPIPE_READER_THRESHOLD | BPIPE_READER_DELAY)

int bpipe_config_parse(const char *text, u64 *value);
int bpipe_config_set(struct bpipe_channel *ch, const struct bpipe_config *set);
void bpipe_config_get(struct bpipe_channel *ch, struct bpipe_config *config);
int bpipe_config_set_reader(struct bpipe_file *bf, const struct bpipe_reader *set);

#endif /* BPIPE_CONFIG_H */
