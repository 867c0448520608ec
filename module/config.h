/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_CONFIG_H
#define BPIPE_CONFIG_H

#include <linux/types.h>

#include "uapi/linux/bpipe.h"

struct bpipe_channel;
struct bpipe_file;

/* Bits of bpipe_config.mask for the limit, the ttl and the sojourn target of all classes */
#define BPIPE_CFG_LIMITS	(((1ULL << BPIPE_CLASSES) - 1) * BPIPE_CFG_LIMIT(0))
#define BPIPE_CFG_TTLS		(((1ULL << BPIPE_CLASSES) - 1) * BPIPE_CFG_TTL(0))
#define BPIPE_CFG_SOJOURNS	(((1ULL << BPIPE_CLASSES) - 1) * BPIPE_CFG_SOJOURN(0))
/* Bits for the settings of the device node, which require CAP_SYS_ADMIN */
#define BPIPE_CFG_NODE		(BPIPE_CFG_UID | BPIPE_CFG_GID | BPIPE_CFG_PERMISSIONS)
/* Bits that the module knows in the masks of SET_CONFIG, SET_READER and SET_WRITER */
#define BPIPE_CFG_KNOWN	(BPIPE_CFG_SIZE | BPIPE_CFG_HIGH | BPIPE_CFG_LOW | \
			 BPIPE_CFG_RATE | BPIPE_CFG_BURST | BPIPE_CFG_MODE | \
			 BPIPE_CFG_HOLD | BPIPE_CFG_EPIPE | BPIPE_CFG_ORDER | \
			 BPIPE_CFG_POLICY | BPIPE_CFG_TIMEOUT | BPIPE_CFG_CREDIT | \
			 BPIPE_CFG_RATE_RECORDS | BPIPE_CFG_BURST_RECORDS | \
			 BPIPE_CFG_READ_RATE | BPIPE_CFG_READ_BURST | \
			 BPIPE_CFG_READ_RATE_RECORDS | BPIPE_CFG_READ_BURST_RECORDS | \
			 BPIPE_CFG_OVERLOAD_AFTER | BPIPE_CFG_NODE | BPIPE_CFG_LIMITS | \
			 BPIPE_CFG_TTLS | BPIPE_CFG_SOJOURNS | BPIPE_CFG_DROP_TO_LOW)
#define BPIPE_READER_KNOWN	(BPIPE_READER_THRESHOLD | BPIPE_READER_DELAY | BPIPE_READER_FRAMED)
#define BPIPE_WRITER_KNOWN	(BPIPE_WRITER_CLASS | BPIPE_WRITER_POLICY | \
				 BPIPE_WRITER_TIMEOUT | BPIPE_WRITER_RATE | BPIPE_WRITER_BURST)

void bpipe_config_init(struct bpipe_channel *ch, u64 size);
int bpipe_config_parse(const char *text, u64 *value);
int bpipe_config_set(struct bpipe_channel *ch, const struct bpipe_config *set);
void bpipe_config_get(struct bpipe_channel *ch, struct bpipe_config *config);
int bpipe_config_set_reader(struct bpipe_file *bf, const struct bpipe_reader *set);
int bpipe_config_set_writer(struct bpipe_file *bf, const struct bpipe_writer *set);
int bpipe_config_grant(struct bpipe_file *bf, u64 amount);

#endif /* BPIPE_CONFIG_H */
