/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_NODE_H
#define BPIPE_NODE_H

#include <linux/device.h>

struct bpipe_channel;
struct bpipe_config;

extern const struct device_type bpipe_node_type;

int bpipe_node_configure(struct bpipe_channel *ch, const struct bpipe_config *set);

#endif /* BPIPE_NODE_H */
