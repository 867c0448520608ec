/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_FILE_H
#define BPIPE_FILE_H

struct file_operations;

extern const struct file_operations bpipe_fops;

#endif /* BPIPE_FILE_H */
