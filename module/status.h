/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_STATUS_H
#define BPIPE_STATUS_H

struct bpipe_channel;

int bpipe_status_open(struct bpipe_channel *ch);

#endif /* BPIPE_STATUS_H */
