/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_FILE_H
#define BPIPE_FILE_H

#include <linux/fs.h>

extern const struct file_operations bpipe_fops;

#endif /* BPIPE_FILE_H */
