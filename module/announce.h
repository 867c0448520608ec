/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_ANNOUNCE_H
#define BPIPE_ANNOUNCE_H

struct bpipe_channel;
struct kernfs_node;

void bpipe_announce_init(struct bpipe_channel *ch);
void bpipe_announce_locked(struct bpipe_channel *ch);
struct kernfs_node *bpipe_announce_stop(struct bpipe_channel *ch);
void bpipe_announce_gone(struct kernfs_node *state);

#endif /* BPIPE_ANNOUNCE_H */
