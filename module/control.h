/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_CONTROL_H
#define BPIPE_CONTROL_H

#include <linux/types.h>

int bpipe_control_init(u64 size);
void bpipe_control_uninit(void);

#endif /* BPIPE_CONTROL_H */
