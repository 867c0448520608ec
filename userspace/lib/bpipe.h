/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libbpipe: the device's commands as functions, and numbers with units.
 *
 * Functions that return int return 0 (bpipe_open: a file descriptor), or -1
 * with errno set.
 */
#ifndef BPIPE_H
#define BPIPE_H

#include <stddef.h>
#include <stdint.h>

#include <linux/bpipe.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The channel that is there from load. */
#define BPIPE_DEFAULT	"bpipe"
/* Where others are made. */
#define BPIPE_CONTROL	"/dev/bpipe-control"

/* Enough for the device path of any channel, and for any formatted number. */
#define BPIPE_PATH_MAX	(sizeof("/dev/") + BPIPE_NAME_MAX)
#define BPIPE_TEXT_MAX	32

/*
 * The path of a channel given by name ("bpipe", or as it was added, with or without the
 * "bpipe-" of its node) or already by path (with a slash, returned as it is).
 * ENAMETOOLONG: no channel has such a name.
 */
const char *bpipe_path(const char *channel, char buf[BPIPE_PATH_MAX]);

/*
 * Open a channel by name or path, with open(2)'s flags; O_ACCMODE as access
 * mode looks and steers without counting as reader or writer. The file is
 * closed on exec. Besides open's errors: ENOTTY if it is not a bpipe.
 */
int bpipe_open(const char *channel, int flags);

/*
 * Look at a channel, by name or path, through sysfs. That opens no file of the channel, so
 * it can be removed at any time, and takes no permission on its node. bpipe_look() returns
 * a directory for the functions that follow; ENOENT: there is no such channel; ENODEV: it
 * came or went just then; EOPNOTSUPP: sysfs does not have what the node is of (it is not
 * mounted, the module is older than this, or it is no channel), so open the node. They fail
 * with ENODEV once the channel is removed.
 */
int bpipe_look(const char *channel);
int bpipe_look_config(int dir, struct bpipe_config *config);
int bpipe_look_stats(int dir, struct bpipe_stats *stats);

/*
 * Open a file on which poll(POLLPRI) returns when the channel's state has changed since
 * bpipe_watch_again() was last called on that file, or when the channel is removed.
 */
int bpipe_watch(int dir);
int bpipe_watch_again(int fd);

/* The commands of <linux/bpipe.h>, which has the errors. */
int bpipe_get_features(int fd, struct bpipe_features *features);
int bpipe_set_config(int fd, const struct bpipe_config *config);
int bpipe_get_config(int fd, struct bpipe_config *config);
int bpipe_get_stats(int fd, struct bpipe_stats *stats);
int bpipe_get_window(int fd, struct bpipe_window *window);
int bpipe_reset_peaks(int fd);
int bpipe_set_reader(int fd, const struct bpipe_reader *reader);
int bpipe_get_events(int fd, struct bpipe_events *events);
int bpipe_set_writer(int fd, const struct bpipe_writer *writer);
int bpipe_grant(int fd, uint64_t amount);

/*
 * The status page of a channel, mapped, for who looks at it often; bpipe_status_read()
 * copies what belongs together, and costs no system call.
 */
const struct bpipe_status *bpipe_status_map(int fd);
void bpipe_status_read(const struct bpipe_status *page, struct bpipe_status *status);
void bpipe_status_unmap(const struct bpipe_status *page);

/*
 * Make a channel, which differs from a new one in what @config's mask says; remove one, by
 * BPIPE_REMOVE_DRAIN, BPIPE_REMOVE_FORCE, or with 0 as flags only if it is not open.
 */
int bpipe_add(const char *name, const struct bpipe_config *config);
int bpipe_remove(const char *name, uint32_t flags);

/*
 * Decimal numbers with units, in any case and with at most six digits after a point:
 *	size	64, 4K, 64KiB, 1.5M, 1GiB (powers of 1024); 100kB, 1MB, 1GB (of 1000)
 *	rate	a size a second, with or without "/s"
 *	time	100us, 250ms, 10s, 2m, 1h, 1d; only 0 needs no unit
 *	percent	12.5%, at most 100%
 * EINVAL: not such a number. ERANGE: too large, too many digits, or so small
 * that it would become 0. EDOM: a fraction of a byte or nanosecond, as 1.5 or 1.5ns.
 */
#define BPIPE_TIME_UNITS	"ns, us, ms, s, m (or min), h, d"
#define BPIPE_PERCENT_MAX	100000000	/* 100%, in millionths of 1% */
int bpipe_parse_size(const char *text, uint64_t *bytes);
int bpipe_parse_rate(const char *text, uint64_t *bytes_per_second);
int bpipe_parse_time(const char *text, uint64_t *ns);
int bpipe_parse_percent(const char *text, uint64_t *millionths);

/*
 * The other way, rounded for people: "1.5 MiB"; rates in powers of 1000, as
 * dd shows them: "1 MB/s"; "3.2 s", "2 min 5 s".
 */
void bpipe_format_size(uint64_t bytes, char *buf, size_t len);
void bpipe_format_rate(uint64_t bytes_per_second, char *buf, size_t len);
void bpipe_format_time(uint64_t ns, char *buf, size_t len);

#ifdef __cplusplus
}
#endif

#endif /* BPIPE_H */
