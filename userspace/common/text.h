/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Make text from other users (names of processes, arguments, paths) safe for terminals,
 * tables and JSON.
 */
#ifndef BPIPE_TEXT_H
#define BPIPE_TEXT_H

#include <stddef.h>
#include <stdio.h>

/*
 * Print @text as part of a message on one line. Escape control characters and bytes that
 * are not UTF-8, as \x1b.
 */
void text_print(FILE *to, const char *text);

/*
 * Make one word of printable ASCII: escape blanks, backslashes and all other bytes, as \x20.
 * An empty text becomes "-". Return @buf. A text of n bytes needs TEXT_WORD_MAX(n).
 */
#define TEXT_WORD_MAX(n)	(4 * (n) + 2)
const char *text_word(const char *text, char *buf, size_t size);

/*
 * Return a copy in valid UTF-8, which the caller frees, or NULL without memory. Invalid
 * bytes, and controls that JSON would print raw, become U+FFFD.
 */
char *text_utf8(const char *text);

#endif /* BPIPE_TEXT_H */
