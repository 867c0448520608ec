/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * libbpipe: channels of bpipe for programs in C. bpipe(3) explains it with examples,
 * bpipe(4) the device.
 *
 * Errors
 *	A function that returns an int returns -1 and sets errno if it fails, else 0 unless
 *	it says otherwise. A function that returns a pointer returns NULL and sets errno.
 *	A function that fails has changed no channel.
 *
 * Structures that grow
 *	The structures of <linux/bpipe.h> get new fields at their end. A function that takes
 *	one takes its size, too: pass sizeof. Then a program keeps working with a library
 *	and a module that are newer or older than its headers.
 *
 * Names
 *	A channel is named as it was added ("jobs"), by its node ("bpipe-jobs"), or by a path
 *	("/dev/bpipe-jobs").
 *
 * Threads
 *	All functions can be called from any thread. Calls for one struct bpipe_frames must
 *	not overlap.
 */
#ifndef BPIPE_H
#define BPIPE_H

#include <stddef.h>
#include <stdint.h>

#include <linux/bpipe.h>

/* The channel that exists as long as the module is loaded. */
#define BPIPE_DEFAULT	"bpipe"
/* The device that adds and removes channels. */
#define BPIPE_CONTROL	"/dev/bpipe-control"

/* Enough for the path of the node of any channel, and for any formatted number. */
#define BPIPE_PATH_MAX	(sizeof("/dev/") + BPIPE_NAME_MAX)
#define BPIPE_TEXT_MAX	32

/* Channels: names, open files */

/**
 * bpipe_path() - return the path of a channel's node
 * @channel: name, node or path of the channel
 * @buf: buffer for the path
 * @size: size of @buf, BPIPE_PATH_MAX for any channel
 *
 * Return: @buf, or @channel if it is a path already; NULL with ENAMETOOLONG if no channel
 * can have such a name, or @buf is too small.
 */
const char *bpipe_path(const char *channel, char *buf, size_t size);

/**
 * bpipe_name() - return the name that a channel was added with
 * @channel: name, node or path of the channel
 *
 * Return: the part of @channel after "/dev/" and BPIPE_NAME_PREFIX. A path outside of /dev
 * is returned as it is.
 */
const char *bpipe_name(const char *channel);

/**
 * bpipe_list() - list all channels
 *
 * Return: the names of the nodes, sorted, with NULL after the last one; free() frees names
 * and array together. ENOENT: the module is not loaded, or sysfs is not mounted.
 */
char **bpipe_list(void);

/**
 * bpipe_open() - open a channel
 * @channel: name, node or path of the channel
 * @flags: flags of open(2). O_RDONLY makes a reader, O_WRONLY a writer, O_RDWR both.
 *	O_ACCMODE makes neither: such a file serves to configure and to observe.
 *
 * read(2), write(2) and poll(2) work on the file; it is closed on exec.
 *
 * Return: a file descriptor, or -1 with an error of open(2). ENOTTY: not a channel.
 */
int bpipe_open(const char *channel, int flags);

/**
 * bpipe_add() - add a channel
 * @name: name, node or path of the new channel
 * @config: fields that differ from those of a new channel, as @config->mask says; or NULL
 * @size: sizeof(*@config), or 0
 *
 * The node exists on return. udev may still have to give it its group.
 *
 * Return: 0, or -1 with an error of BPIPE_ADD or of opening BPIPE_CONTROL.
 */
int bpipe_add(const char *name, const struct bpipe_config *config, size_t size);

/**
 * bpipe_remove() - remove a channel
 * @name: name, node or path of the channel
 * @flags: BPIPE_REMOVE_DRAIN, BPIPE_REMOVE_FORCE, or 0 for a channel that is not open
 *
 * Return: 0, or -1 with an error of BPIPE_REMOVE or of opening BPIPE_CONTROL.
 */
int bpipe_remove(const char *name, uint32_t flags);

/* Commands to an open file: the ioctls of <linux/bpipe.h>, which lists their errors */

int bpipe_get_features(int fd, struct bpipe_features *features, size_t size);
int bpipe_get_config(int fd, struct bpipe_config *config, size_t size);
int bpipe_set_config(int fd, const struct bpipe_config *config, size_t size);
int bpipe_get_stats(int fd, struct bpipe_stats *stats, size_t size);
int bpipe_get_window(int fd, struct bpipe_window *window, size_t size);
int bpipe_get_events(int fd, struct bpipe_events *events, size_t size);
int bpipe_set_reader(int fd, const struct bpipe_reader *reader, size_t size);
int bpipe_set_writer(int fd, const struct bpipe_writer *writer, size_t size);
int bpipe_grant(int fd, uint64_t amount);
int bpipe_reset_peaks(int fd);

/* Configuration in words, as bpipectl(8) takes it */

/**
 * bpipe_config_assign() - put the value of one key into a configuration
 * @config: configuration; its @size is what percentages refer to
 * @size: sizeof(*@config)
 * @key: name of a field that can be set, as "size", "policy" or "limit.7"
 * @value: its value as text, as "4M", "75%", "drop-newest", "10MB/s" or "250ms"
 *
 * Sets the field and its bit in @config->mask. Assign "size" before percentages of it.
 *
 * Return: 0, or -1 with ENOENT (no such key, or @size is too short for it) or with an error
 * of bpipe_parse_size().
 */
int bpipe_config_assign(struct bpipe_config *config, size_t size, const char *key,
			const char *value);

/**
 * bpipe_config_format() - print the value of one key of a configuration
 * @config: configuration
 * @size: sizeof(*@config)
 * @key: name of a field that can be set
 * @buf: buffer for the text, which bpipe_config_assign() reads back as the same value
 * @len: size of @buf, BPIPE_TEXT_MAX for any value
 *
 * Return: 0, or -1 with ENOENT (no such key, or @size is too short for it) or ERANGE (@len is
 * too small).
 */
int bpipe_config_format(const struct bpipe_config *config, size_t size, const char *key, char *buf,
			size_t len);

/**
 * bpipe_configure() - configure a channel in words
 * @fd: file of the channel
 * @words: words of the form "key=value", in any order, with NULL after the last one
 *
 * Sets all of them or none.
 *
 * Return: 0, or -1 with an error of bpipe_config_assign() or BPIPE_SET_CONFIG. EINVAL: also
 * a word without "=".
 */
int bpipe_configure(int fd, const char *const *words);

/**
 * bpipe_new_config() - return the configuration of a new channel
 * @config: buffer; its @mask is 0 afterwards, so bpipe_add() takes only what is assigned
 * @size: sizeof(*@config)
 *
 * Return: 0, or -1 with ENOENT if the module is not loaded.
 */
int bpipe_new_config(struct bpipe_config *config, size_t size);

/* Framed reads: records with their number, class, time and losses */

struct bpipe_frames;

/**
 * bpipe_frames_new() - start framed reads of a file
 * @fd: file that is open for reading, of a channel in record mode
 * @size: bytes to read at once; grows if a record is longer
 *
 * @fd stays the caller's. After this call, each read(2) of it returns frames.
 *
 * Return: an iterator, or NULL with an error of BPIPE_SET_READER or ENOMEM.
 */
struct bpipe_frames *bpipe_frames_new(int fd, size_t size);

/**
 * bpipe_frames_read() - read as many records as fit, with one read(2)
 * @frames: iterator
 *
 * Reads nothing while bpipe_frames_next() has not returned all records of the last call.
 *
 * Return: the number of records for bpipe_frames_next(), 0 at end-of-file, or -1 with an
 * error of read(2). ENOMEM: no memory for the next record, which stays in the channel.
 */
int bpipe_frames_read(struct bpipe_frames *frames);

/**
 * bpipe_frames_next() - return the next record that was read
 * @frames: iterator
 * @frame: buffer for the header of the record: length, class, number, time, losses
 *
 * Return: the bytes of the record, valid until the next bpipe_frames_read(); NULL after the
 * last record, without setting errno.
 */
const void *bpipe_frames_next(struct bpipe_frames *frames, struct bpipe_frame *frame);

/**
 * bpipe_frames_free() - free an iterator
 * @frames: iterator, or NULL
 *
 * Records that bpipe_frames_next() has not returned are lost. The file stays open.
 */
void bpipe_frames_free(struct bpipe_frames *frames);

/* Status page: level, windows and state without a system call */

/**
 * bpipe_status_map() - map the status page of a channel
 * @fd: file of the channel, which may be closed afterwards
 *
 * Return: the page, or NULL with an error of BPIPE_OPEN_STATUS or mmap(2).
 */
const struct bpipe_status *bpipe_status_map(int fd);

/**
 * bpipe_status_read() - take a snapshot of a status page
 * @page: page of bpipe_status_map()
 * @status: buffer; its fields belong together
 * @size: sizeof(*@status)
 */
void bpipe_status_read(const struct bpipe_status *page, struct bpipe_status *status, size_t size);

/**
 * bpipe_status_unmap() - unmap a status page
 * @page: page of bpipe_status_map()
 */
void bpipe_status_unmap(const struct bpipe_status *page);

/* Observation through sysfs, which opens no file of the channel and takes no permission */

/**
 * bpipe_look() - open the sysfs directory of a channel
 * @channel: name, node or path of the channel
 *
 * The channel can be removed at any time; then the functions below fail with ENODEV.
 *
 * Return: a file descriptor for the functions below, or -1. ENOENT: no such channel.
 * ENODEV: the channel is just being added or removed. EOPNOTSUPP: sysfs does not show what
 * the node belongs to, so use bpipe_open() with O_ACCMODE.
 */
int bpipe_look(const char *channel);
int bpipe_look_config(int dir, struct bpipe_config *config, size_t size);
int bpipe_look_stats(int dir, struct bpipe_stats *stats, size_t size);

/**
 * bpipe_watch() - open a file that announces changes of a channel's state
 * @dir: directory of bpipe_look()
 *
 * poll(2) with POLLPRI returns on it when the state has changed since bpipe_watch_again()
 * was last called, or when the channel was removed.
 *
 * Return: a file descriptor, or -1 with an error of open(2).
 */
int bpipe_watch(int dir);
int bpipe_watch_again(int fd);

/* Words: names of values */

/**
 * enum bpipe_words - kinds of values that have words
 * @BPIPE_WORDS_MODE: enum bpipe_mode: stream, record
 * @BPIPE_WORDS_ORDER: enum bpipe_order: fifo, priority
 * @BPIPE_WORDS_POLICY: enum bpipe_policy: block, error, drop-newest, drop-oldest, and channel
 *	for a writer that did not choose one
 * @BPIPE_WORDS_CREDIT: enum bpipe_credit: off, bytes, records
 * @BPIPE_WORDS_STATE: enum bpipe_state: normal, pressured, overloaded, gone
 * @BPIPE_WORDS_DROP: enum bpipe_drop: full, shed, evicted, expired, sojourn
 */
enum bpipe_words {
	BPIPE_WORDS_MODE	= 0,
	BPIPE_WORDS_ORDER	= 1,
	BPIPE_WORDS_POLICY	= 2,
	BPIPE_WORDS_CREDIT	= 3,
	BPIPE_WORDS_STATE	= 4,
	BPIPE_WORDS_DROP	= 5,
};

/**
 * bpipe_word() - return the word for a value
 * @words: kind of the value
 * @value: value; the words of a kind start at 0, without a gap
 *
 * Return: the word, or NULL, without setting errno, if the library knows none.
 */
const char *bpipe_word(enum bpipe_words words, uint32_t value);

/**
 * bpipe_parse_word() - return the value of a word
 * @words: kind of the value
 * @text: word, in upper or lower case
 * @value: its value
 *
 * Return: 0, or -1 with EINVAL.
 */
int bpipe_parse_word(enum bpipe_words words, const char *text, uint32_t *value);

/* Numbers with units */

#define BPIPE_TIME_UNITS	"ns, us, ms, s, m (or min), h, d"
#define BPIPE_PERCENT_MAX	100000000	/* 100%, in millionths of 1% */

/**
 * bpipe_parse_size() - read a number of bytes
 * @text: 64, 4K, 64KiB, 1.5M, 1GiB (powers of 1024); 100kB, 1MB, 1GB (powers of 1000)
 * @bytes: its value
 *
 * Units may be in any case. A fraction has at most six digits.
 *
 * Return: 0, or -1. EINVAL: not a number of this kind. ERANGE: too large, too many digits,
 * or so small that it would become 0. EDOM: a fraction of a byte or of a nanosecond, as
 * 1.5 or 1.5ns. The functions below have the same errors.
 */
int bpipe_parse_size(const char *text, uint64_t *bytes);

/**
 * bpipe_parse_level() - read a number of bytes, or a part of a channel's size
 * @text: a size, or a percentage
 * @size: size of the channel
 * @bytes: its value
 *
 * Return: 0, or -1 as bpipe_parse_size().
 */
int bpipe_parse_level(const char *text, uint64_t size, uint64_t *bytes);

/**
 * bpipe_parse_rate() - read a number of bytes a second
 * @text: a size, with or without "/s" after it
 * @bytes_per_second: its value
 *
 * Return: 0, or -1 as bpipe_parse_size().
 */
int bpipe_parse_rate(const char *text, uint64_t *bytes_per_second);

/**
 * bpipe_parse_time() - read a time
 * @text: 100us, 250ms, 10s, 2m, 1h, 1d; only 0 needs no unit
 * @ns: its value
 *
 * Return: 0, or -1 as bpipe_parse_size().
 */
int bpipe_parse_time(const char *text, uint64_t *ns);

/**
 * bpipe_parse_percent() - read a percentage
 * @text: 12.5%, at most 100%
 * @millionths: its value, in millionths of 1%
 *
 * Return: 0, or -1 as bpipe_parse_size().
 */
int bpipe_parse_percent(const char *text, uint64_t *millionths);

/**
 * bpipe_parse_count() - read a plain number
 * @text: decimal digits
 * @count: its value
 *
 * Return: 0, or -1 as bpipe_parse_size().
 */
int bpipe_parse_count(const char *text, uint64_t *count);

/**
 * bpipe_format_size() - print a number of bytes, rounded: "1.5 MiB"
 * @bytes: number
 * @buf: buffer for the text
 * @len: size of @buf, BPIPE_TEXT_MAX for any number
 */
void bpipe_format_size(uint64_t bytes, char *buf, size_t len);

/**
 * bpipe_format_rate() - print a number of bytes a second, rounded, in powers of 1000: "1 MB/s"
 * @bytes_per_second: number
 * @buf: buffer for the text
 * @len: size of @buf, BPIPE_TEXT_MAX for any number
 */
void bpipe_format_rate(uint64_t bytes_per_second, char *buf, size_t len);

/**
 * bpipe_format_time() - print a time, rounded: "3.2 s", "2 min 5 s"
 * @ns: nanoseconds
 * @buf: buffer for the text
 * @len: size of @buf, BPIPE_TEXT_MAX for any number
 */
void bpipe_format_time(uint64_t ns, char *buf, size_t len);

#endif /* BPIPE_H */
